"""Read access logs: the current file and rotated ones (also compressed), for the requests of some files. Blocking."""

from __future__ import annotations

import bz2
import glob
import gzip
import lzma
import os
import re
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from simpleindex.core.errors import InvalidProjectName
from simpleindex.core.names import distribution_suffix, parse_project_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from simpleindex.core.names import ProjectName

_LONGEST_LINE: Final = 64 * 1024  # bytes; a request's head is bounded to less

_ROTATED: Final = re.compile(r"[.-][0-9][0-9T_.-]*(?:\.(?:gz|bz2|xz))?")
"""What logrotate puts behind the name: a number or a date, and the suffix of its compression."""

_OPENERS: Final[dict[str, Callable[[str], Any]]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}

# As simpleindex.web.http.access_log writes it, and Apache and nginx: quotes and backslashes in quoted fields are escaped.
_LINE: Final = re.compile(
    rb'(\S+) \S+ (\S+) \[([^\]]{26})\] "GET (\S+) [^" ]+" (200|206) (\d+) "(?:[^"\\]|\\.)*" "((?:[^"\\]|\\.)*)"\s*'
)
_ESCAPE: Final = re.compile(rb"\\x([0-9A-F]{2})")

_OF_TRIALS: Final = [b"", b"-", b"trial"]
"""How the URLs of ``simpleindex doctor`` begin, whose installations are no downloads."""

_MONTHS: Final = {
    month: number
    for number, month in enumerate(
        (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"), 1
    )
}


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A file that the access log says was sent, or a part of it.

    Attributes:
        time: When the answer ended, seconds since 1970.
        address: The client's; empty for a Unix socket.
        user: The user, or ``token:ID``; empty without a login.
        status: 200, or 206 for a part.
        size: How many bytes were sent.
    """

    time: int
    address: str
    user: str
    filename: str
    status: int
    size: int
    agent: str


def access_logs(path: str) -> list[str]:
    """Return an access log and the rotated ones beside it, as far as they exist, oldest first."""
    name = os.path.basename(path)
    found = [
        each
        for each in glob.glob(f"{glob.escape(path)}*")
        if each == path or _ROTATED.fullmatch(os.path.basename(each)[len(name) :])
    ]
    return sorted(found, key=_modified)


def read_requests(
    paths: Sequence[str], project: ProjectName, is_wanted: Callable[[str], bool]
) -> Iterator[LoggedRequest]:
    """Yield the requests of some files of a project that were answered with the file or a part of it.

    Args:
        paths: The logs.
        project: The project.
        is_wanted: Tells whether a file name is one of the files.

    Raises:
        OSError: A log cannot be read.
    """
    # Lines without it need not be parsed; every URL of a file has the project's normalized name.
    mark = f"/{project}/".encode()
    for path in paths:
        for line in _lines(path):
            if (
                mark in line
                and (request := _parse(line, project)) is not None
                and is_wanted(request.filename)
            ):
                yield request


def _modified(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def _lines(path: str) -> Iterator[bytes]:
    opener = _OPENERS.get(os.path.splitext(path)[1])
    with open(path, "rb") if opener is None else opener(path) as file:
        try:
            while line := file.readline(_LONGEST_LINE):
                yield line
        except (EOFError, zlib.error, lzma.LZMAError):
            return  # It is being compressed just now, or was cut off.


def _parse(line: bytes, project: ProjectName) -> LoggedRequest | None:
    matched = _LINE.fullmatch(line)
    if matched is None:
        return None
    address, user, time, target, status, size, agent = matched.groups()
    filename = _file_of(_unescaped(target), project)
    seconds = _seconds(time)
    if filename is None or seconds is None:
        return None
    return LoggedRequest(seconds, _text(address), _text(user), filename, int(status), int(size), _text(agent))


def _file_of(target: bytes, project: ProjectName) -> str | None:
    """Return the distribution that a target leads to, if it is one of the project."""
    parts = target.partition(b"?")[0].split(b"/")
    if len(parts) < 3 or parts[:3] == _OF_TRIALS:
        return None
    try:
        if parse_project_name(unquote_to_bytes(parts[-2]).decode()) != project:
            return None
        filename = unquote_to_bytes(parts[-1]).decode()
    except (UnicodeDecodeError, InvalidProjectName):
        return None
    # Not pages, metadata and other answers about the project.
    return filename if distribution_suffix(filename) else None


def _seconds(time: bytes) -> int | None:
    """Return the moment of ``29/Nov/2026:05:32:29 +0000``, which strptime reads ten times slower."""
    try:
        day, month, rest = time.split(b"/", 2)
        year, hour, minute, second = rest[:-6].split(b":")
        date = datetime(int(year), _MONTHS[month], int(day), int(hour), int(minute), int(second), tzinfo=UTC)
        offset = int(rest[-5:-2]) * 3600 + int(rest[-5:-4] + rest[-2:]) * 60
    except (ValueError, KeyError):
        return None
    return int(date.timestamp()) - offset


def _text(field: bytes) -> str:
    return "" if field == b"-" else _unescaped(field).decode("utf-8", "replace")


def _unescaped(field: bytes) -> bytes:
    return _ESCAPE.sub(lambda escape: bytes.fromhex(escape[1].decode()), field)
