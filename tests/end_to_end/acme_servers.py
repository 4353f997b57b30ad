"""A real ACME authority for tests: Debian's ``pebble``, with ``pebble-challtestsrv`` as its resolver."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from tests.end_to_end.running import wait_until
from tests.fixtures.certificates import issue

if TYPE_CHECKING:
    from pathlib import Path

MISSING = (
    None if shutil.which("pebble") and shutil.which("pebble-challtestsrv") else "pebble is not installed"
)


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


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
        wait_until(
            lambda: self._answers(self._port) and self._answers(self._dns_management), "pebble answers"
        )
        return self

    def stop(self) -> None:
        """End both."""
        while self._running:
            process = self._running.pop()
            process.kill()
            process.wait()

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

    def _answers(self, port: int) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False
