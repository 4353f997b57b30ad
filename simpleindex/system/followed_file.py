"""Small text files that an operator writes: read again when they change; the last valid content stays in force."""

from __future__ import annotations

import codecs
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from simpleindex.core.errors import RefusedStart, SimpleIndexError
from simpleindex.core.text import printable
from simpleindex.system.clocks import SYSTEM_CLOCKS
from simpleindex.system.log import logger
from simpleindex.system.stamp import Stamp, is_young

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from simpleindex.system.clocks import Clocks

Value = TypeVar("Value")

MAXIMUM_SIZE: Final = 4 << 20
"""Bytes: some 30,000 users; a file named by mistake is not read whole."""

_log: Final = logger(__name__)

_LOOK_SECONDS: Final = 1.0
"""Between two looks at the file; every request asks for its content."""


@dataclass(frozen=True, slots=True)
class FileKind(Generic[Value]):
    """A kind of followed file.

    Attributes:
        name: What messages call it: "users", "access".
        parse: Parses the content; raises a SimpleIndexError for an invalid one.
        warnings: Returns a sentence for each part of a valid file that has no effect.
        announces: Whether to log that a changed file was read again.
        remedy: A sentence that says what to do where the server cannot start without the file.
    """

    name: str
    parse: Callable[[bytes], Value]
    warnings: Callable[[Value], tuple[str, ...]] = lambda _: ()
    announces: bool = False
    remedy: str = ""


class FollowedFile(Generic[Value]):
    """A file that is read again when it changes; its last valid content stays in force.

    Args:
        path: The file.
        kind: What it holds.
        changed: Called with each new value after the first one.
        clocks: The clocks.
    """

    def __init__(
        self,
        path: str,
        kind: FileKind[Value],
        *,
        changed: Callable[[Value], None] = lambda _: None,
        clocks: Clocks = SYSTEM_CLOCKS,
    ) -> None:
        self.shown = f"The {kind.name} file {printable(path)}"
        self._path = path
        self._kind = kind
        self._changed = changed
        self._clocks = clocks
        self._value: list[Value] = []
        self._stamp: Stamp | None = None
        self._next_look = 0.0
        self._trouble: str | None = None
        self._modified_ns = 0

    @property
    def value(self) -> Value:
        """The last valid content, without a look at the file."""
        assert self._value, "open() comes first"
        return self._value[0]

    @property
    def modified(self) -> float:
        """When the content in force was written, seconds since 1970; 0 before it is read."""
        return self._modified_ns / 1e9

    @property
    def is_valid(self) -> bool:
        """Whether the last look found a valid file."""
        return self._trouble is None

    def open(self) -> None:
        """Read the file for the first time.

        Raises:
            OSError: It cannot be read.
            SimpleIndexError: It is not valid.
        """
        self._read()
        self._next_look = self._clocks.seconds() + _LOOK_SECONDS

    def open_at_start(self) -> None:
        """Read the file for the first time, for a server that cannot run without it.

        Raises:
            RefusedStart: It cannot be read, or is not valid.
        """
        try:
            self.open()
        except OSError as error:
            reason = f"{self.shown} cannot be read: {error.strerror or error}. {self._kind.remedy}"
            raise RefusedStart(reason.rstrip()) from None
        except SimpleIndexError as error:
            raise RefusedStart(f"{self.shown} is not valid: {error}") from None

    def current(self) -> Value:
        """Return the content, after a look at the file at most once a second."""
        if self._clocks.seconds() >= self._next_look:
            self._look(repeat=False)
        return self.value

    def reload(self) -> Value:
        """Look at the file now and return its content; log again what is still wrong with it (SIGHUP)."""
        self._look(repeat=True)
        return self.value

    def look(self) -> Value:
        """Look at the file now and return its content."""
        self._look(repeat=False)
        return self.value

    def _look(self, *, repeat: bool) -> None:
        self._next_look = self._clocks.seconds() + _LOOK_SECONDS
        before = self._value
        try:
            self._read()
        except OSError as error:
            self._report(f"cannot be read again ({error.strerror or error})", repeat=repeat)
        except SimpleIndexError as error:
            self._report(f"is not valid now ({error})", repeat=repeat)
        else:
            if self._trouble is not None and self._value is before:
                _log.info("{file} is valid again.", file=self.shown)
            self._trouble = None
        if repeat and self._value is before:
            self._warn(self._kind.warnings(self.value))

    def _read(self) -> None:
        stamp = Stamp.of(os.stat(self._path))
        if stamp == self._stamp:
            return
        value = self._kind.parse(read_text_file(self._path))
        self._modified_ns = stamp.mtime_ns
        # A file that changed within the last two seconds may change again and keep its time stamp (docs/directory.md).
        self._stamp = None if is_young(stamp, self._clocks.now_ns()) else stamp
        # The same object as long as it is equal, so that what was made from it stays valid.
        if self._value != [value]:
            before, self._value = self._value, [value]
            warned = self._kind.warnings(before[0]) if before else ()
            self._warn(each for each in self._kind.warnings(value) if each not in warned)
            if before:
                if self._kind.announces:
                    _log.info("{file} was read again.", file=self.shown)
                self._changed(value)

    def _warn(self, sentences: Iterable[str]) -> None:
        for sentence in sentences:
            _log.warn("{file}: {sentence}", file=printable(self._path), sentence=sentence)

    def _report(self, trouble: str, *, repeat: bool) -> None:
        if trouble != self._trouble or repeat:
            self._trouble = trouble
            _log.error("{file} {what}: its last valid content stays in force.", file=self.shown, what=trouble)


def read_named_file(path: Path, parse: Callable[[bytes], Value]) -> Value:
    """Return the value of a file that the settings name, read once.

    Raises:
        RefusedStart: It cannot be read, or is not valid.
    """
    try:
        return parse(read_text_file(str(path)))
    except OSError as error:
        raise RefusedStart(f"{path} cannot be read: {error.strerror}") from None
    except SimpleIndexError as error:
        raise RefusedStart(f"{path}: {error}") from None


def read_text_file(path: str) -> bytes:
    """Return a small file's content.

    Raises:
        OSError: It cannot be read, or is not text. An empty file is taken for one that is being rewritten; write a comment
            into one that has nothing to say.
    """
    # Do not wait for a writer of a FIFO.
    with open(path, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError(0, "it is not a regular file")
        content = stream.read(MAXIMUM_SIZE + 1)
    if len(content) > MAXIMUM_SIZE:
        raise OSError(0, f"it is larger than {MAXIMUM_SIZE} bytes")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)):
        raise OSError(0, "it is UTF-16 or UTF-32 text; save it as UTF-8")
    if b"\0" in content:
        raise OSError(0, "it is not text")
    if not content.strip():
        raise OSError(0, "it is empty; write a comment into it if that is meant")
    return content
