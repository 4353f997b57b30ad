"""HTTPS as clients meet it: versions, sessions, names, renewal, and what stays secret."""

from __future__ import annotations

import http.client
import os
import re
import socket
import ssl
import struct
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.end_to_end.running import PATIENCE, ask, wait_until
from tests.fixtures.certificates import Issued, issue, trusting
from tests.fixtures.distributions import add_wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.end_to_end.running import Server

pytestmark = pytest.mark.slow


def greeted(
    server: Server, context: ssl.SSLContext, name: str = "localhost", session: ssl.SSLSession | None = None
) -> ssl.SSLSocket:
    """A connection whose handshake is over."""
    plain = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
    return context.wrap_socket(plain, server_hostname=name, session=session)


def health(channel: ssl.SSLSocket) -> int:
    """Ask on an open connection; reading the answer also takes in the tickets of TLS 1.3."""
    channel.sendall(b"GET /-/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    response = http.client.HTTPResponse(channel)
    response.begin()
    response.read()
    return response.status


def shown(server: Server, *roots: Issued, name: str = "a.test") -> x509.Certificate:
    """The certificate that answers to a name."""
    with greeted(server, trusting(*roots), name) as channel:
        der = channel.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der)


def started(server: Server) -> Server:
    """Start it with certificates of the operator's own, which are not for localhost."""
    server.launch().await_listening()
    return server


def hello(version: bytes) -> bytes:
    """A greeting that offers nothing newer (RFC 5246 7.4.1.2); modern client libraries refuse to send one."""
    suites = b"\xc0\x13\xc0\x14\xc0\x09\xc0\x0a\x00\x2f\x00\x35"
    groups, points = b"\x00\x0a\x00\x06\x00\x04\x00\x17\x00\x18", b"\x00\x0b\x00\x02\x01\x00"
    extensions = groups + points
    body = version + os.urandom(32) + b"\x00" + struct.pack(">H", len(suites)) + suites + b"\x01\x00"
    body += struct.pack(">H", len(extensions)) + extensions
    message = b"\x01" + struct.pack(">I", len(body))[1:] + body
    return b"\x16\x03\x01" + struct.pack(">H", len(message)) + message


@pytest.mark.parametrize(
    ("version", "answer"),
    [
        # An alert: fatal, protocol_version.
        pytest.param(b"\x03\x01", b"\x15\x02\x46", id="1.0"),
        pytest.param(b"\x03\x02", b"\x15\x02\x46", id="1.1"),
    ],
)
def test_old_versions_are_refused(version: bytes, answer: bytes, index: Server) -> None:
    """RFC 8996: TLS 1.0 and 1.1 end with an alert that says why."""
    with socket.create_connection(("127.0.0.1", index.port), timeout=PATIENCE) as channel:
        channel.sendall(hello(version))
        got = channel.recv(7, socket.MSG_WAITALL)
    assert got[:1] + got[5:7] == answer


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_is_resumed(version: ssl.TLSVersion, index: Server) -> None:
    """Both versions that are offered work, and the second connection of a client saves the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(index.ca)
    context.minimum_version = context.maximum_version = version
    with greeted(index, context) as first:
        assert (health(first), first.session_reused) == (200, False)
        session = first.session
        assert first.cipher() is not None
    with greeted(index, context, session=session) as second:
        assert (health(second), second.session_reused) == (200, True)


def test_agrees_on_http_1_1(index: Server) -> None:
    """ALPN: HTTP/2 is not offered, whatever the client would like best."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(index.ca)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with greeted(index, context) as channel:
        assert channel.selected_alpn_protocol() == "http/1.1"


def test_the_ca_can_be_fetched(index: Server) -> None:
    """What clients are to trust is public, and is the very certificate under --state."""
    assert index.get("/-/ca.pem").body == index.ca.read_bytes()


def test_the_name_chooses_the_certificate(new_server: Callable[..., Server]) -> None:
    """Several sub-directories as certbot lays them down; each name gets its own, unknown ones the default."""
    root = issue(ca=True)
    hosts = {name: issue(name, by=root) for name in ("a.test", "b.test")}
    server = new_server()
    for name, issued in hosts.items():
        issued.put_pair(server.certs / name)
    started(server)
    for name, issued in hosts.items():
        assert shown(server, root, name=name) == issued.certificate
    anybody = trusting(root)
    anybody.check_hostname = False
    with greeted(server, anybody, "unknown.test") as channel:
        der = channel.getpeercert(binary_form=True)
    assert der == hosts["a.test"].certificate.public_bytes(Encoding.DER)


def test_renewal(new_server: Callable[..., Server]) -> None:
    """A renewed certificate is used after SIGHUP by new connections, while an old one goes on; a broken one never is."""
    root = issue(ca=True)
    first, second = (issue("a.test", by=root) for _ in range(2))
    server = new_server()
    first.put_pair(server.certs)
    started(server)
    with greeted(server, trusting(root), "a.test") as old:
        assert health(old) == 200
        second.put_pair(server.certs)
        server.reload()
        server.await_line("fullchain.pem is in use now")
        assert shown(server, root) == second.certificate
        (server.certs / "fullchain.pem").write_bytes(first.chain_pem[:300])
        server.reload()
        server.await_line("The former one stays in use")
        assert shown(server, root) == second.certificate
        assert health(old) == 200


def test_a_mismatching_pair_stops_the_start(new_server: Callable[..., Server]) -> None:
    """One sentence that names the file."""
    server = new_server()
    issue("a.test").put_pair(server.certs)
    (server.certs / "privkey.pem").write_bytes(issue("a.test").key_pem)
    assert re.fullmatch(r"simpleindex: .*fullchain\.pem .*\n", server.refused())


def test_certificates_inside_the_root_are_secret(new_server: Callable[..., Server]) -> None:
    """Wherever --certs lies, under whatever name it is asked for, it is no project."""
    server = new_server()
    server.certs_inside = True
    add_wheel(server.root, "acme")
    add_wheel(server.certs, "acme", directory=".")
    server.start()
    (key,) = (path.name for path in server.certs.glob("*.pem"))
    listing = server.get("/simple/").body
    assert (b"acme" in listing, b"certs" in listing) == (True, False)
    for place in ("certs/", f"certs/{key}", "certs", "Certs/", f"../certs/{key}", f"%2e%2e/certs/{key}", key):
        for prefix in ("/", "/simple/"):
            assert server.get(prefix + place).status in (301, 308, 404), place
    assert server.get("/simple/certs/acme-1.0-py3-none-any.whl").status == 404
    assert b"PRIVATE KEY" not in b"".join(
        server.get(place).body for place in ("/", "/certs/", f"/certs/{key}", "/-/ca.pem", "/-/status")
    )


def test_plain_http_only_redirects(new_server: Callable[..., Server], tmp_path: Path) -> None:
    """308 for reading, 405 for the rest, and the ACME challenge that certbot needs."""
    challenge = tmp_path / ".well-known" / "acme-challenge" / "to-ken_1"
    challenge.parent.mkdir(parents=True)
    challenge.write_text("to-ken_1.thumb")
    server = new_server("--http=tcp:0:interface=127.0.0.1", f"--acme-webroot={tmp_path}").start()
    found = re.search(r"port[= ](\d+).* for http \(redirects", server.log)
    assert found is not None
    with closing(http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=PATIENCE)) as connection:
        moved = ask(connection, "/simple/Acme/?format=x", host="evil.test")
        assert moved.status == 308
        assert re.fullmatch(
            rf"https://(?!evil)[^/]+:{server.port}/simple/Acme/\?format=x", moved.headers["Location"]
        )
        assert ask(connection, "/", "HEAD").status == 308
        refused = ask(connection, "/legacy/", "POST")
        assert (refused.status, refused.headers["Allow"]) == (405, "GET, HEAD")
        served = ask(connection, "/.well-known/acme-challenge/to-ken_1")
        assert (served.status, served.body) == (200, b"to-ken_1.thumb")
        assert ask(connection, "/.well-known/acme-challenge/other").status == 404


def test_plain_http_serves_when_it_is_meant_to(new_server: Callable[..., Server]) -> None:
    """With --serve-http the same pages are there with and without TLS."""
    server = new_server("--http=tcp:0:interface=127.0.0.1", "--serve-http")
    add_wheel(server.root, "acme")
    server.start()
    found = re.search(r"port[= ](\d+).* for http\.", server.log)
    assert found is not None
    with closing(http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=PATIENCE)) as connection:
        assert ask(connection, "/simple/acme/").body == server.get("/simple/acme/").body


def test_the_private_ca_outlives_a_restart(new_server: Callable[..., Server]) -> None:
    """Clients that trust it go on doing so, also when the server's certificate has to be made anew."""
    server = new_server().start()
    ca = server.ca.read_bytes()
    server.stop()
    (server.certs / "simpleindex.pem").unlink()
    server.start()
    assert server.ca.read_bytes() == ca
    wait_until(lambda: server.get("/-/health").status == 200, "trusted as before")
    assert (server.home / "state" / "ca" / "key.pem").stat().st_mode & 0o777 == 0o600
