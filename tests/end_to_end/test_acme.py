"""Certificates of a public authority (``--acme``), requested from a real pebble by a real server."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from tests.end_to_end.acme_servers import MISSING, Pebble, free_port
from tests.end_to_end.running import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.end_to_end.running import Server

pytestmark = [pytest.mark.slow, pytest.mark.skipif(MISSING is not None, reason=str(MISSING))]

ISSUED = r"The certificate authority issued a certificate for "


@pytest.fixture
def new_pebble(tmp_path: Path) -> Iterator[Callable[..., Pebble]]:
    """Make authorities; they end with the test."""
    made: list[Pebble] = []

    def make(tls_port: int, http_port: int = 1, **environment: str) -> Pebble:
        made.append(Pebble(tmp_path / f"pebble-{len(made)}", tls_port, http_port, **environment))
        return made[-1]

    yield make
    for pebble in made:
        pebble.stop()


def listening(server: Server, tls_port: int, *options: str) -> Server:
    """Let it listen on a port that the authority knows."""
    server.listen = ["--https", f"tcp:{tls_port}:interface=127.0.0.1"]
    server.options = [*server.options, *options]
    return server


def shown(port: int, name: str | None) -> x509.Certificate:
    """The certificate that a client gets which trusts anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    import socket

    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname=name) as channel,
    ):
        der = channel.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der)


@pytest.mark.parametrize("name", ["packages.example.org", "127.0.0.1"])
def test_one_command_gets_a_certificate(
    new_server: Callable[..., Server], new_pebble: Callable[..., Pebble], name: str
) -> None:
    """From nothing to a certificate for a name or for an address, through the port that is there anyway."""
    port = free_port()
    pebble = new_pebble(port).start()
    server = listening(new_server("--acme-name", name), port, *pebble.options)
    server.launch().await_listening()
    server.await_line(ISSUED + name)
    context = ssl.create_default_context(cafile=str(pebble.root()))
    import socket

    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname=name) as channel,
    ):
        assert channel.version() == "TLSv1.3"
