"""A small text file that an operator writes: read again when it changes, and never forgotten because it is broken for a moment."""

from __future__ import annotations

import codecs
import os
import stat
import time
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from simpleindex.core import severity
from simpleindex.core.errors import SimpleIndexError
from simpleindex.core.names import printable
from simpleindex.system.stamp import Stamp, is_young

if TYPE_CHECKING:
    from collections.abc import Callable

Value = TypeVar("Value")

MAXIMUM_SIZE: Final = 4 << 20
"""Bytes: some 30,000 users; a file named by mistake is not read whole."""

_LOOK_SECONDS: Final = 1.0
"""Between two looks at the file's state, which every request asks for."""


class FollowedFile(Generic[Value]):
    """What a file says now, or said last.

    Args:
        path: The file.
        kind: What it is called: "users", "access".
        parse: Understands it, or raises an error of ours whose text is a sentence.
        taken: Told of each new value.
        log: Takes a sentence for the operator.
        seconds: A clock that only goes on.
        now_ns: The time as files have it, nanoseconds since 1970.
    """

    def __init__(
        self,
        path: str,
        kind: str,
        parse: Callable[[bytes], Value],
        *,
        taken: Callable[[Value], None],
        log: Callable[[str], None],
        seconds: Callable[[], float] = time.monotonic,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.shown = f"The {kind} file {printable(path)}"
        self._path = path
        self._parse = parse
        self._taken = taken
        self._log = log
        self._seconds = seconds
        self._now_ns = now_ns
        self._value: list[Value] = []
        self._stamp: Stamp | None = None
        self._next_look = 0.0
        self._trouble: str | None = None
        self._repeats = False

    def open(self) -> None:
        """Read it for the first time.

        Raises:
            OSError: It cannot be read.
            SimpleIndexError: It cannot be understood.
        """
        self._read()
        self._next_look = self._seconds() + _LOOK_SECONDS

    def current(self) -> Value:
        """Return what it says, after a look at it at most once a second."""
        now = self._seconds()
        if now >= self._next_look:
            self._next_look = now + _LOOK_SECONDS
            before = self._value
            try:
                self._read()
                if self._trouble is not None and self._value is before:
                    self._log(f"{self.shown} can be obeyed again.")
                self._trouble = None
            except OSError as error:
                self._tell(f"cannot be read again ({error.strerror or error})")
            except SimpleIndexError as error:
                self._tell(f"cannot be obeyed now ({error})")
        assert self._value, "open() comes first"
        return self._value[0]

    def look_now(self, *, repeat: bool = False) -> Value:
        """As :meth:`current`, whenever the last look was.

        Args:
            repeat: Whether to say of a mistake that was there before that it still is (SIGHUP).
        """
        self._next_look = self._seconds()
        self._repeats = repeat
        value = self.current()
        self._repeats = False
        return value

    def _read(self) -> None:
        stamp = Stamp.of(os.stat(self._path))
        if stamp == self._stamp:
            return
        value = self._parse(read_text_file(self._path))
        # What changed within the last two seconds may change again and leave the same state (DESIGN section 4).
        self._stamp = None if is_young(stamp, self._now_ns()) else stamp
        # The same object as long as it says the same, so that what was made by it stays good.
        if self._value != [value]:
            self._taken(value)
            self._value = [value]

    def _tell(self, what: str) -> None:
        if what != self._trouble or self._repeats:
            self._trouble = what
            self._log(severity.error(f"{self.shown} {what}: what it said before stays in force."))


def read_text_file(path: str) -> bytes:
    """Return a small file's content.

    Raises:
        OSError: It cannot be read, or is no text at all. An empty one is being rewritten; one that says nothing has a
            comment.
    """
    # Without waiting for whoever writes into a FIFO.
    with open(path, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError(0, "it is not a regular file")
        content = stream.read(MAXIMUM_SIZE + 1)
    if len(content) > MAXIMUM_SIZE:
        raise OSError(0, f"it is larger than {MAXIMUM_SIZE} bytes")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)):
        raise OSError(0, "it is UTF-16 or UTF-32 text; save it as UTF-8")
    if b"\0" in content:
        raise OSError(0, "it is not a text")
    if not content.strip():
        raise OSError(0, "it is empty; one that says nothing holds a comment")
    return content
