"""haproxy in front of nodes, with the configuration that the package brings."""

from __future__ import annotations

import http.client
import shutil
import ssl
import subprocess
from importlib.resources import files
from typing import TYPE_CHECKING

from tests.end_to_end.acme_servers import answers
from tests.end_to_end.running import PATIENCE, Answer, ask, wait_until
from tests.fixtures.certificates import issue
from tests.fixtures.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MISSING_HAPROXY = (
    None if shutil.which("haproxy") else "haproxy is not installed (Debian: apt install haproxy)"
)


def configuration(home: Path, port: int, nodes: Sequence[int]) -> Path:
    """Write the configuration for nodes on ports of loopback; return its file."""
    home.mkdir(parents=True, exist_ok=True)
    text = files("simpleindex").joinpath("deploy/haproxy.cfg").read_text()
    text = text.replace("bind :443", f"bind 127.0.0.1:{port}")
    text = text.replace("/etc/haproxy/packages.example.com.pem", str(home / "localhost.pem"))
    for number in range(1, 4):
        named = f"node{number}.internal:8080"
        if number <= len(nodes):
            text = text.replace(named, f"127.0.0.1:{nodes[number - 1]}")
        else:
            text = text.replace(f"    server node{number} {named}\n", "")
    path = home / "haproxy.cfg"
    path.write_text(text)
    return path


class Proxy:
    """haproxy, with the configuration that the package brings.

    Attributes:
        port: Where it listens with TLS.
    """

    def __init__(self, home: Path, ports: list[int]) -> None:
        self.port = free_port()
        path = configuration(home, self.port, ports)
        issued = issue("localhost")
        issued.put(home / "localhost.pem")
        self._trust = ssl.create_default_context(cadata=issued.chain_pem.decode())
        with (home / "log").open("wb") as log:
            self._process = subprocess.Popen(["haproxy", "-f", path], stdout=log, stderr=log)
        wait_until(lambda: answers(self.port), "haproxy listens")

    def connect(self) -> http.client.HTTPSConnection:
        """Return a new connection."""
        return http.client.HTTPSConnection("localhost", self.port, context=self._trust, timeout=PATIENCE)

    def get(self, path: str) -> Answer:
        """Request a path."""
        connection = self.connect()
        try:
            return ask(connection, path)
        finally:
            connection.close()

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
