"""A way to a server that notes who passes, and can be closed: requests counted, answers seen, the network cut."""

from __future__ import annotations

import contextlib
import re
import selectors
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

_REQUEST: Final = re.compile(rb"(?:GET|HEAD|POST|PUT) (\S+) HTTP/1\.[01]\r\n")
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})")
_PIECE: Final = 1 << 16


@dataclass
class Passed:
    """A request that went through.

    Attributes:
        path: What was asked for.
        is_part: Whether only a part of it was.
        status: The answer's; 0 until there is one.
    """

    path: str
    is_part: bool = False
    status: int = 0


@dataclass(eq=False)
class _Line:
    """One connection: where it comes from, where it goes, and the last request on it."""

    near: socket.socket
    far: socket.socket
    asked: Passed | None = None

    def other(self, one: socket.socket) -> socket.socket:
        return self.far if one is self.near else self.near


@dataclass
class Passage:
    """Hands on the bytes of plain HTTP connections in both directions, in one thread.

    A request is known by its first line where a client's bytes begin with one; no client of these tests sends the next one
    before it has the answer.

    Attributes:
        target: The port that it leads to.
        passed: Every request, in its order.
        port: Where it is.
    """

    target: int
    passed: list[Passed] = field(default_factory=list)
    port: int = field(init=False)

    def __post_init__(self) -> None:
        self._door = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self._door.getsockname()[1]
        self._bell, self._rope = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._door, selectors.EVENT_READ)
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Cut every connection, and refuse new ones from now on."""
        if self._thread.is_alive():
            self._rope.send(b"!")
            self._thread.join()
        self._rope.close()

    def asked(self, part: str) -> list[Passed]:
        """The requests for a path that has this in it."""
        return [each for each in self.passed if part in each.path]

    def _run(self) -> None:
        lines: dict[socket.socket, _Line] = {}
        while True:
            for key, _ in self._selector.select():
                one = key.fileobj
                assert isinstance(one, socket.socket)
                if one is self._bell:
                    self._selector.close()
                    for each in (self._door, self._bell, *lines):
                        each.close()
                    return
                if one is self._door:
                    self._open(lines)
                elif one in lines:
                    self._hand_on(one, lines)

    def _open(self, lines: dict[socket.socket, _Line]) -> None:
        near, _ = self._door.accept()
        try:
            far = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            near.close()
            return
        line = _Line(near, far)
        for end in (near, far):
            lines[end] = line
            self._selector.register(end, selectors.EVENT_READ)

    def _hand_on(self, one: socket.socket, lines: dict[socket.socket, _Line]) -> None:
        line, data = lines[one], b""
        with contextlib.suppress(OSError):
            data = one.recv(_PIECE)
            self._note(line, data, from_client=one is line.near)
            line.other(one).sendall(data)
        if data:
            return
        for end in (line.near, line.far):
            del lines[end]
            self._selector.unregister(end)
            end.close()

    def _note(self, line: _Line, data: bytes, *, from_client: bool) -> None:
        if from_client and (found := _REQUEST.match(data)):
            line.asked = Passed(found[1].decode("latin-1"), is_part=b"\r\nrange:" in data.lower())
            self.passed.append(line.asked)
        elif not from_client and line.asked is not None and (found := _STATUS.match(data)):
            line.asked.status, line.asked = int(found[1]), None
