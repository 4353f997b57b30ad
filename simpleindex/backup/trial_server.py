"""A server that is started for a trial, on a free port of this machine, and the requests to it. Blocking."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urljoin, urlsplit

from simpleindex.core.errors import SimpleIndexError
from simpleindex.core.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

_JSON: Final = "application/vnd.pypi.simple.v1+json, application/json;q=0.9, */*;q=0.1"
_BETWEEN_LOOKS: Final = 0.1
_ANSWER_SECONDS: Final = 60.0
_END_SECONDS: Final = 20.0
# It ends with the command that tries it, however that ends (prctl(2), PR_SET_PDEATHSIG with SIGTERM).
_ENDS_WITH_PARENT: Final = "import ctypes, sys; sys.platform == 'linux' and ctypes.CDLL(None).prctl(1, 15); "
_TWISTD: Final = f"{_ENDS_WITH_PARENT}from twisted.scripts.twistd import run; run()"


class NoAnswer(SimpleIndexError):
    """A server that does not start, or does not answer as it should.

    Attributes:
        reason: What happened, as a sentence.
    """

    reason: str


class TrialServer:
    """A server in a process of its own; used as a context manager it ends with the block.

    Args:
        configuration: Its configuration file, without ports.
        place: A directory for its log.
        environment: Its environment.
        is_tls: Whether it listens with TLS.

    Attributes:
        token: The secret of a token to log in with; empty for none.
    """

    def __init__(
        self, configuration: str, place: str, environment: Mapping[str, str], *, is_tls: bool
    ) -> None:
        self.token = ""
        self._is_tls = is_tls
        self._port = _free_port()
        self._log = os.path.join(place, "trial.log")
        listen = "https" if is_tls else "http"
        self._command = [sys.executable, "-P", "-c", _TWISTD, "-n", "--pidfile=", "simpleindex"]
        self._command += ["--config", configuration, f"--{listen}", f"tcp:{self._port}:interface=127.0.0.1"]
        self._place = place
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(  # noqa: S603  (ours)
                self._command,
                cwd=self._place,
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # ^C is for the command, which ends the server.
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait_until_ready(self, seconds: float) -> None:
        """Wait until the server has read its packages.

        Raises:
            NoAnswer: It ended, or takes longer.
        """
        assert self._process is not None
        end = time.monotonic() + seconds
        while True:
            if self._process.poll() is not None:
                raise NoAnswer(f"The restored server does not start: {self._last_line()}")
            try:
                status, _ = self._answer("-/ready")
            except (OSError, http.client.HTTPException):
                status = 0
            if status == 200:
                return
            if time.monotonic() > end:
                raise NoAnswer(
                    f"The restored server was not ready after {seconds:.0f} seconds: {self._last_line()}"
                )
            time.sleep(_BETWEEN_LOOKS)

    def get(self, page: str) -> bytes:
        """Return the body of a page or file.

        Raises:
            NoAnswer: It is refused, or the connection fails.
        """
        try:
            status, body = self._answer(page)
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer(f"The restored server does not send {printable(page)}: {error!r}.") from None
        if status != 200:
            raise NoAnswer(f"The restored server answers {printable(page)} with status {status}.")
        return body

    def get_json(self, page: str) -> Any:
        """Return a page in JSON; None if it is refused or is none.

        Raises:
            NoAnswer: The connection fails.
        """
        try:
            status, body = self._answer(page)
            return json.loads(body) if status == 200 else None
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer(f"The restored server does not send {printable(page)}: {error!r}.") from None
        except ValueError:
            return None

    def _answer(self, page: str) -> tuple[int, bytes]:
        connection: http.client.HTTPConnection
        if self._is_tls:
            # What names its certificate has is no matter here: the port is on this machine.
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            connection = http.client.HTTPSConnection(
                "127.0.0.1", self._port, timeout=_ANSWER_SECONDS, context=context
            )
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_ANSWER_SECONDS)
        headers = {"Accept": _JSON, "Host": "localhost"}
        if self.token:
            headers["Authorization"] = f"Basic {b64encode(f'__token__:{self.token}'.encode()).decode()}"
        try:
            parts = urlsplit(urljoin("/", page))
            connection.request(
                "GET", f"{parts.path}{f'?{parts.query}' if parts.query else ''}", headers=headers
            )
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _last_line(self) -> str:
        with open(self._log, "rb") as log:
            lines = log.read().decode("utf-8", "replace").splitlines()
        told = [line for line in lines if line.strip() and "Main loop terminated" not in line]
        return printable(told[-1]) if told else "it wrote no log."


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
