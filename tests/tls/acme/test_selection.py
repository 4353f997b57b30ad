"""Which protocol a TLS connection speaks while challenges are open, whatever its client sends."""

from __future__ import annotations

import os
import ssl
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from hypothesis import example, given
from hypothesis import strategies as st
from OpenSSL import SSL

from simpleindex.config.acme_values import Identifier
from simpleindex.tls.acme.alpn import select_protocol
from simpleindex.tls.acme.challenge_certificates import TLS_ALPN_PROTOCOL, make_challenge_certificates
from simpleindex.tls.acme.state_files import AcmeState
from simpleindex.tls.certificates import CertificateOrigin, ServerCertificate
from simpleindex.tls.contexts import HTTP, certificate_context
from tests.fixtures.certificates import issue, shake

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simpleindex.tls.contexts import SelectProtocol

NAME = "packages.example.org"


class Greeting:
    """A connection as far as the selection needs it."""

    def __init__(self, server_name: bytes | None) -> None:
        self._server_name = server_name
        self.used: list[Any] = []

    def get_servername(self) -> bytes | None:
        return self._server_name

    def use_certificate(self, certificate: x509.Certificate) -> None:
        self.used.append(certificate)

    def use_privatekey(self, key: object) -> None:
        self.used.append(key)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> AcmeState:
    """One open challenge, a secret beside the challenges, and what could not be one among them."""
    state = AcmeState(tmp_path_factory.mktemp("state"), "https://ca.example.org/directory")
    state.prepare()
    pem = make_challenge_certificates(Identifier(NAME), "token.thumbprint", datetime.now(UTC))
    state.open_challenge("tls-alpn-01", NAME, pem)
    state.open_challenge("tls-alpn-01", "broken.example.org", pem[: len(pem) // 2])
    state.open_challenge("tls-alpn-01", "empty.example.org", b"")
    state.open_challenge("tls-alpn-01", "text.example.org", b"-----BEGIN PRIVATE KEY-----\nno key")
    state.write_account("key.pem", b"secret")
    challenges = state.home / "challenges" / "tls-alpn-01"
    (challenges / "link.example.org").symlink_to(f"{state.account_place}/key.pem")
    (challenges / "directory.example.org").mkdir()
    os.mkfifo(challenges / "fifo.example.org")
    return state


@contextmanager
def opened_files() -> Iterator[list[str]]:
    """The files that are opened until the end of the block."""
    real, paths = os.open, []

    def call(path: Any, *arguments: Any, **options: Any) -> int:
        paths.append(os.fspath(path))
        return real(path, *arguments, **options)

    os.open = call
    try:
        yield paths
    finally:
        os.open = real


protocols = st.lists(
    st.sampled_from([TLS_ALPN_PROTOCOL, HTTP, b"h2", b"acme-tls/1.0"]) | st.binary(min_size=1, max_size=255),
    max_size=6,
)
server_names = (
    st.none()
    | st.binary(max_size=300)
    | st.text(alphabet="./a%:[]\0-_\\~A", max_size=40).map(str.encode)
    | st.sampled_from(
        [b"..", b"../http-01/token", b"../../status.json", b"../../accounts/x/key.pem", b"/etc/passwd", b"."]
    )
    | st.sampled_from(["broken", "empty", "text", "link", "directory", "fifo"]).map(
        lambda label: f"{label}.example.org".encode()
    )
    | st.sampled_from(
        [b"PACKAGES.example.org", b"packages.example.org.", b"fe80::1%../../status.json", b"x/../" * 9]
    )
)


@given(protocols, server_names)
@example([TLS_ALPN_PROTOCOL], NAME.encode())
@example([TLS_ALPN_PROTOCOL], b"broken.example.org")
@example([TLS_ALPN_PROTOCOL], b"empty.example.org")
@example([TLS_ALPN_PROTOCOL], b"text.example.org")
@example([TLS_ALPN_PROTOCOL], b"link.example.org")
@example([TLS_ALPN_PROTOCOL], b"../../status.json")
def test_nothing_but_a_protocol_or_a_refusal(
    state: AcmeState, offered: list[bytes], server_name: bytes | None
) -> None:
    """Every file that is opened lies among the challenges, and the answer is one of those offered."""
    greeting: Any = Greeting(server_name)
    select: SelectProtocol = select_protocol(state.read_challenge_certificates)
    with opened_files() as paths:
        try:
            selected = select(greeting, offered)
        except SSL.Error:
            selected = None
    challenges = state.home / "challenges" / "tls-alpn-01"
    assert all(os.path.dirname(path) == str(challenges) for path in paths)
    assert all(os.path.normpath(path) == path for path in paths)
    if offered == [TLS_ALPN_PROTOCOL]:
        is_open = (server_name or b"").lower().rstrip(b".") == NAME.encode()
        assert selected == (TLS_ALPN_PROTOCOL if is_open else None)
        assert bool(greeting.used) is is_open
    else:
        assert selected == (HTTP if HTTP in offered else None)
        assert not paths
        assert not greeting.used


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    "name", [NAME, "broken.example.org", "empty.example.org", "text.example.org", "fifo.example.org"]
)
@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_a_handshake_ends_in_the_challenges_certificate_or_in_an_alert(
    state: AcmeState, version: ssl.TLSVersion, name: str, kind: str
) -> None:
    issued = issue(NAME, key=kind)
    ordinary = ServerCertificate("x", (issued.certificate,), (NAME,), CertificateOrigin.OPERATOR, issued.key)
    context = certificate_context([ordinary], select_protocol(state.read_challenge_certificates))
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.minimum_version = client.maximum_version = version
    client.set_alpn_protocols([TLS_ALPN_PROTOCOL.decode()])
    if name == NAME:
        handshake = shake(lambda: SSL.Connection(context, None), client, name)
        handshake.leaf.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31"))
    else:
        with pytest.raises(SSL.Error, match="no application protocol"):
            shake(lambda: SSL.Connection(context, None), client, name)
