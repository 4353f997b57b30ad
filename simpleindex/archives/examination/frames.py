"""Messages between the server and an examining process: a length, JSON, and file descriptors.

JSON, because reading it can at worst fail: an attacker who took over such a process by an archive must gain nothing
by what it answers.
"""

from __future__ import annotations

import array
import json
import socket
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

_LENGTH: Final = Struct("!I")
_CHUNK: Final = 1024 * 1024
_INTEGER: Final = array.array("i").itemsize

MOST_DESCRIPTORS: Final = 200
"""Linux passes at most 253 with one message."""


class Receiver(Protocol):
    """The receiving half of a socket."""

    def recv(self, length: int, /) -> bytes: ...


class BadFrame(Exception):
    """What arrived is too long, or no JSON."""


def send(channel: socket.socket, value: Any, descriptors: Sequence[int] = ()) -> None:
    """Send one value, with open files.

    Raises:
        OSError: The other side is gone, or takes nothing.
    """
    data = json.dumps(value, separators=(",", ":")).encode()
    frame = _LENGTH.pack(len(data)) + data
    if descriptors:
        passed = array.array("i", descriptors)
        sent = channel.sendmsg([frame], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)])
        frame = frame[sent:]
    if frame:
        channel.sendall(frame)


def receive(channel: Receiver, most: int) -> Any:
    """Receive one value.

    Args:
        channel: From whom; its timeout holds for each part.
        most: Bytes.

    Raises:
        EOFError: The other side is gone.
        BadFrame: It is longer, or cannot be read.
        OSError: The channel failed, or was too slow.
    """
    return _value(channel, _taken(channel, _LENGTH.size), most)


def receive_with_descriptors(channel: socket.socket, most: int) -> tuple[Any, list[int]]:
    """Receive one value, and the open files that came with it, which the caller closes; errors as for :func:`receive`."""
    room = socket.CMSG_LEN(MOST_DESCRIPTORS * _INTEGER)
    start, control, _, _ = channel.recvmsg(_LENGTH.size, room)
    if not start:
        raise EOFError
    passed = array.array("i")
    for level, kind, data in control:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            passed.frombytes(data[: len(data) // _INTEGER * _INTEGER])
    start += _taken(channel, _LENGTH.size - len(start))
    return _value(channel, start, most), [*passed]


def _value(channel: Receiver, start: bytes, most: int) -> Any:
    (length,) = _LENGTH.unpack(start)
    if length > most:
        raise BadFrame(f"{length} bytes")
    try:
        return json.loads(_taken(channel, length))
    except (ValueError, RecursionError) as error:
        raise BadFrame("no JSON") from error


def _taken(channel: Receiver, length: int) -> bytes:
    parts, left = [], length
    while left:
        part = channel.recv(min(left, _CHUNK))
        if not part:
            raise EOFError
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
