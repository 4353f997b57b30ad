"""The access log: one line per request in the Combined Log Format, written once a second."""

from __future__ import annotations

import errno
import re
import time
from functools import lru_cache
from io import FileIO
from math import floor
from typing import TYPE_CHECKING, Final, NamedTuple

from twisted.web.http import datetimeToLogString

from simpleindex.core.addresses import client_address
from simpleindex.system.log import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from simpleindex.core.addresses import Network
    from simpleindex.web.http.finished_requests import FinishedRequest
    from simpleindex.web.http.response import RequestRecord

_log: Final = logger(__name__)

_FLUSH_SECONDS: Final = 1.0
_FLUSH_BYTES: Final = 64 * 1024
_STDOUT: Final = 1

# As nginx does: every byte that could end a field or a line, or control a terminal, becomes \xNN, the backslash too.
_ESCAPES: Final = {byte: f"\\x{byte:02X}" for byte in range(256) if not 0x20 <= byte < 0x7F or byte in b'"\\'}
_BARE_ESCAPES: Final = {**_ESCAPES, 0x20: "\\x20"}
# Nearly always, and then it is seen ten times faster than escaped.
_NOTHING_TO_ESCAPE: Final = re.compile(rb"[ !#-\[\]-~]+").fullmatch
_NOTHING_BARE_TO_ESCAPE: Final = re.compile(r"[!#-\[\]-~]+").fullmatch

_CREDENTIALS: Final = re.compile(rb"://[^/?#]*@")
"""In a URL (RFC 3986 section 3.2.1), which a request's target can be (RFC 9112 section 3.2.2), and a Referer is."""


class LogEntry(NamedTuple):
    """A request that is over, as the log has it.

    Attributes:
        address: The client's; empty for a Unix socket.
        user: The user who is logged in, ``token:ID`` for a token without a user, or empty.
        when: Seconds since 1970; logged in UTC.
        request_line: Method, target and version.
        size: Bytes of the answer's body that were given to the transport.
        referer: That header, or empty.
        agent: The User-Agent header, or empty.
    """

    address: str
    user: str
    when: float
    request_line: bytes
    status: int
    size: int
    referer: bytes
    agent: bytes


def combined(entry: LogEntry) -> str:
    """Return one line of the Combined Log Format, with its line end."""
    return (
        f"{_bare(entry.address)} - {_bare(entry.user)} {_timestamp(floor(entry.when))} {_quoted(entry.request_line)}"
        f" {entry.status} {entry.size or '-'} {_quoted(entry.referer)} {_quoted(entry.agent)}\n"
    )


def _user_of(record: RequestRecord | None) -> str:
    if record is None or not record.identity.authenticated:
        return ""
    identity = record.identity
    # No user's name has a colon, so neither can be taken for the other.
    return identity.user or (f"token:{identity.token.id}" if identity.token else "")


@lru_cache(maxsize=2)
def _timestamp(second: int) -> str:
    stamp: str = datetimeToLogString(second)
    return stamp


@lru_cache(maxsize=256)
def _bare(text: str) -> str:
    if not text or _NOTHING_BARE_TO_ESCAPE(text):
        return text or "-"
    return text.encode(errors="backslashreplace").decode("latin-1").translate(_BARE_ESCAPES) or "-"


# The same clients send the same requests; cached values are short, for request lines and headers are bounded.
@lru_cache(maxsize=256)
def _quoted(data: bytes) -> str:
    if b"@" in data:
        data = _CREDENTIALS.sub(b"://", data)
    if _NOTHING_TO_ESCAPE(data):
        return f'"{data.decode("ascii")}"'
    return f'"{data.decode("latin-1").translate(_ESCAPES) or "-"}"'


class AccessLog:
    """A file of such lines.

    A disk that is full, or a pipe that nobody reads, costs lines and is logged once until it is over; it costs no answer.
    """

    def __init__(
        self,
        path: str,
        clock: IReactorTime,
        *,
        trusted: Iterable[Network],
        now: Callable[[], float] = time.time,
    ) -> None:
        """Open the file for appending.

        Args:
            path: The file's, or "-" for the standard output.
            clock: Wakes up to write.
            trusted: The networks of the proxies whose X-Forwarded-For counts.
            now: The time, seconds since 1970 (a reactor's own may count from elsewhere).

        Raises:
            OSError: It cannot be opened.
        """
        self._path = path
        self._clock = clock
        self._trusted = tuple(trusted)
        self._now = now
        self._lines: list[str] = []
        self._size = 0
        self._wake: IDelayedCall | None = None
        self._failing = False
        self._file = self._open()

    def record(self, request: FinishedRequest) -> None:
        """Take note of a request that is over."""
        headers = request.requestHeaders
        forwarded_for = b",".join(headers.getRawHeaders(b"X-Forwarded-For", ())).decode("latin-1")
        peer = getattr(request.getClientAddress(), "host", "")
        line = combined(
            LogEntry(
                address=client_address(peer, forwarded_for, self._trusted),
                user=_user_of(request.record),
                when=self._now(),
                request_line=b" ".join((request.method, request.uri, request.clientproto)),
                status=request.code,
                size=request.sentLength,
                referer=request.getHeader(b"Referer") or b"",
                agent=request.getHeader(b"User-Agent") or b"",
            )
        )
        self._lines.append(line)
        self._size += len(line)
        if self._size >= _FLUSH_BYTES:
            self.flush()
        elif self._wake is None:
            self._wake = self._clock.callLater(_FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Write the buffered lines."""
        if self._wake is not None and self._wake.active():
            self._wake.cancel()
        self._wake = None
        data = memoryview("".join(self._lines).encode("ascii"))
        self._lines.clear()
        self._size = 0
        try:
            while data:
                # None from a pipe that is full and was made non-blocking by another process that shares it.
                written = self._file.write(data)
                if written is None:
                    raise BlockingIOError(errno.EAGAIN, "nobody reads it")
                data = data[written:]
        except OSError as error:
            if not self._failing:
                _log.error(
                    "The access log {path} cannot be written ({error}); its lines are lost until it can.",
                    path=self._path,
                    error=error.strerror,
                )
            self._failing = True
        else:
            self._failing = False

    def reopen(self) -> None:
        """Go on in a new file of the same path, after the old one was moved away (logrotate); if need be, in the old."""
        self.flush()
        try:
            fresh = self._open()
        except OSError as error:
            _log.error(
                "The access log {path} cannot be opened ({error}); it goes on in the old file.",
                path=self._path,
                error=error.strerror,
            )
            return
        self._file.close()
        self._file = fresh

    def close(self) -> None:
        """Write the buffered lines, and close."""
        self.flush()
        self._file.close()

    def _open(self) -> FileIO:
        if self._path == "-":
            # The descriptor, because twistd puts an object of its own in the place of sys.stdout.
            return FileIO(_STDOUT, "w", closefd=False)
        return FileIO(self._path, "a")
