"""Real ACME authorities for tests: Debian's ``pebble`` with ``pebble-challtestsrv`` as its resolver, and ``acme2certifier``."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import urllib.request
from contextlib import contextmanager, suppress
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.end_to_end.running import wait_until
from tests.fixtures.certificates import issue
from tests.fixtures.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.server import BaseHTTPRequestHandler

MISSING = (
    None if shutil.which("pebble") and shutil.which("pebble-challtestsrv") else "pebble is not installed"
)


@contextmanager
def imitated_authority(home: Path, answers: type[BaseHTTPRequestHandler]) -> Iterator[tuple[str, str]]:
    """Run something in the place of an authority, in a thread; the URL of its directory, and the file with its root."""
    issue("localhost").put_pair(home)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(home / "fullchain.pem", home / "privkey.pem")
    server = ThreadingHTTPServer(("127.0.0.1", 0), answers)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"https://localhost:{server.server_address[1]}/dir", str(home / "fullchain.pem")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answers(port: int) -> bool:
    """Whether somebody listens on a port of loopback."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


class Pebble:
    """An authority that validates every name at 127.0.0.1.

    Args:
        home: Its files.
        tls_port: Where it validates by TLS-ALPN-01; also an attribute.
        http_port: Where it validates by HTTP-01.
        environment: Further variables of pebble's; by default a third of all nonces is refused.
    """

    def __init__(self, home: Path, tls_port: int, http_port: int = 1, **environment: str) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._home = home
        self.tls_port = tls_port
        self._port, self._management, self._dns, self._dns_management = (free_port() for _ in range(4))
        self._environment = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "33", **environment}
        own = issue("localhost", "127.0.0.1")
        (home / "chain.pem").write_bytes(own.chain_pem)
        (home / "key.pem").write_bytes(own.key_pem)
        self._settings: dict[str, Any] = {
            "listenAddress": f"127.0.0.1:{self._port}",
            "managementListenAddress": f"127.0.0.1:{self._management}",
            "certificate": str(home / "chain.pem"),
            "privateKey": str(home / "key.pem"),
            "httpPort": http_port,
            "tlsPort": tls_port,
            "externalAccountBindingRequired": False,
            "domainBlocklist": ["blocked.example.org"],
        }
        self._running: list[subprocess.Popen[bytes]] = []

    @property
    def directory(self) -> str:
        """The URL of its directory."""
        return f"https://localhost:{self._port}/dir"

    @property
    def trust(self) -> str:
        """A file with what its directory's certificate is trusted by."""
        return str(self._home / "chain.pem")

    @property
    def options(self) -> list[str]:
        """The options by which a server requests certificates from it."""
        return ["--acme", "none", "--acme-directory", self.directory, "--acme-trust", self.trust]

    @property
    def log(self) -> str:
        """What it logged."""
        return (self._home / "log").read_text()

    def bind_accounts(self, key_id: str, key: str) -> None:
        """Take only accounts that are bound to one of its own; before the start."""
        self._settings["externalAccountBindingRequired"] = True
        self._settings["externalAccountMACKeys"] = {key_id: key}

    def validity(self, seconds: int) -> None:
        """Issue certificates that are valid for so long; before the start."""
        self._settings["certificateValidityPeriod"] = seconds

    def start(self) -> Self:
        """Start both and wait until they answer."""
        (self._home / "config.json").write_text(json.dumps({"pebble": self._settings}))
        resolver = [
            "pebble-challtestsrv",
            "-defaultIPv6",
            "",
            "-http01",
            "",
            "-https01",
            "",
            "-tlsalpn01",
            "",
        ]
        resolver += ["-dns01", f"127.0.0.1:{self._dns}", "-management", f"127.0.0.1:{self._dns_management}"]
        self._launch(resolver)
        pebble = ["pebble", "-strict", "-config", str(self._home / "config.json")]
        self._launch([*pebble, "-dnsserver", f"127.0.0.1:{self._dns}"])
        ports = (self._port, self._management, self._dns_management)
        wait_until(lambda: all(map(answers, ports)), "pebble answers")
        assert all(process.poll() is None for process in self._running), self.log[-3000:]
        return self

    def stop(self) -> None:
        """End both; they must not have ended before."""
        ended = [process.poll() for process in self._running]
        while self._running:
            process = self._running.pop()
            process.kill()
            process.wait()
        assert not any(code is not None for code in ended), self.log[-3000:]

    def root(self) -> Path:
        """Return a file with the root that clients have to trust."""
        context = ssl.create_default_context(cafile=str(self._home / "chain.pem"))
        url = f"https://127.0.0.1:{self._management}/roots/0"
        with urllib.request.urlopen(url, context=context) as response:
            path = self._home / "root.pem"
            path.write_bytes(response.read())
        return path

    def resolve(self, name: str, address: str) -> None:
        """Let a name lead to an address."""
        body = json.dumps({"host": name, "addresses": [address]}).encode()
        urllib.request.urlopen(f"http://127.0.0.1:{self._dns_management}/add-a", body).close()

    def _launch(self, command: list[str]) -> None:
        with (self._home / "log").open("ab") as log:
            environment = {**os.environ, **self._environment}
            self._running.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))


ACME2CERTIFIER = shutil.which("a2c-cli")
"""A program of acme2certifier's, beside which its Python lies: it has an environment of its own (.ci/run makes one)."""

_SERVE = """
import base64, io, json, ssl, sys
from wsgiref.simple_server import WSGIRequestHandler, make_server
from acme2certifier.share.acme2certifier_wsgi import application

class Handler(WSGIRequestHandler):
    def address_string(self):
        return self.client_address[0]

def over_tls(environ, start_response):
    if environ["PATH_INFO"].endswith("neworders"):
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        payload = json.loads(body)["payload"]
        print("order", json.dumps(json.loads(base64.urlsafe_b64decode(payload + "==="))), flush=True)
        environ["wsgi.input"] = io.BytesIO(body)
    return application({**environ, "wsgi.url_scheme": "https"}, start_response)

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
server = make_server("127.0.0.1", int(sys.argv[1]), over_tls, handler_class=Handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


class Acme2Certifier:
    """An authority with profiles and renewal information (RFC 9773), which pebble 2.4 lacks; it believes every challenge.

    It suggests to renew in the hour after a tenth of the six days that certificates are valid.

    Args:
        home: Its files.
    """

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._home = home
        self._port = free_port()
        ca, own = issue(ca=True), issue("localhost", "127.0.0.1")
        (home / "ca.pem").write_bytes(ca.chain_pem)
        (home / "ca-key.pem").write_bytes(ca.key_pem)
        (home / "issued").mkdir()
        own.put_pair(home)
        profiles = {"classic": "https://localhost/classic", "shortlived": "https://localhost/shortlived"}
        (home / "acme_srv.cfg").write_text(
            f"""
[DEFAULT]
debug: False
[CAhandler]
handler_module: acme2certifier.cahandlers.openssl_ca_handler
issuing_ca_key: {home}/ca-key.pem
issuing_ca_cert: {home}/ca.pem
issuing_ca_crl: {home}/crl.pem
cert_save_path: {home}/issued
cert_validity_days: 6
[DBhandler]
handler: wsgi
dbfile: {home}/acme.db
[Challenge]
challenge_validation_disable: True
[Order]
profiles: {json.dumps(profiles)}
[Renewalinfo]
renewalthreshold_pctg: 10
renewal_window_duration: 3600
"""
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def directory(self) -> str:
        """The URL of its directory."""
        return f"https://localhost:{self._port}/directory"

    @property
    def trust(self) -> str:
        """A file with what its directory's certificate is trusted by."""
        return str(self._home / "fullchain.pem")

    @property
    def orders(self) -> list[dict[str, Any]]:
        """What was ordered (RFC 8555 section 7.4), also in vain."""
        lines = (self._home / "log").read_text().splitlines()
        return [json.loads(line.removeprefix("order ")) for line in lines if line.startswith("order ")]

    def start(self) -> Self:
        """Start it and wait until it answers."""
        assert ACME2CERTIFIER is not None, "only called where it is installed"
        words = [str(Path(ACME2CERTIFIER).with_name("python")), "-c", _SERVE, str(self._port), self.trust]
        environment = {
            **os.environ,
            "ACME_SRV_CONFIGFILE": str(self._home / "acme_srv.cfg"),
            "ACME2CERTIFIER_I_KNOW_THE_RISK": "1",
        }
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*words, str(self._home / "privkey.pem")],
                stdout=log,
                stderr=log,
                env=environment,
                cwd=self._home,
            )
        wait_until(lambda: answers(self._port), "acme2certifier answers")
        return self

    def stop(self) -> None:
        """End it."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
