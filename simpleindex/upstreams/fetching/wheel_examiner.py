"""Read the metadata of an upstream's wheels in examining processes."""

from __future__ import annotations

import os
import tempfile
from io import FileIO
from typing import TYPE_CHECKING, Final, Self

from simpleindex.archives.archive_info import ArchiveInfo
from simpleindex.archives.errors import BrokenArchive
from simpleindex.archives.examination.limits import NotExamined
from simpleindex.archives.examination.process import UnexpectedError
from simpleindex.archives.examination.protocol import MissingSpan, WheelMetadata, distribution, wheel_end
from simpleindex.core.errors import SimpleIndexError
from simpleindex.core.names import WHEEL_SUFFIX
from simpleindex.system.atomic import write_all

if TYPE_CHECKING:
    from simpleindex.archives.examination.protocol import Examiner
    from simpleindex.system.threads import Threads
    from simpleindex.upstreams.cache.incoming import Incoming

_LEAST: Final = 4096
"""The least bytes of a range request."""


class WheelExaminer:
    """Examines wheels in other processes."""

    def __init__(self, examiner: Examiner, threads: Threads) -> None:
        self._examiner = examiner
        self._threads = threads

    async def whole(self, incoming: Incoming, filename: str) -> ArchiveInfo:
        """Read a complete file; for other files than wheels, and for broken wheels, only the digest is returned.

        A broken wheel is the file that the upstream lists, so it is served nevertheless.
        """
        if not filename.endswith(WHEEL_SUFFIX):
            return _only_digest(incoming)
        facts: ArchiveInfo = await self._threads.run(self._whole, incoming, filename)
        return facts

    def _whole(self, incoming: Incoming, filename: str) -> ArchiveInfo:
        with incoming.reader() as file:
            (facts,) = self._examiner.examine([distribution(file.fileno(), incoming.size, filename, None)])
        is_true = isinstance(facts, ArchiveInfo) and facts.sha256 == incoming.sha256
        return facts if isinstance(facts, ArchiveInfo) and is_true else _only_digest(incoming)

    async def end(self, parts: WheelParts, filename: str, size: int) -> WheelMetadata | MissingSpan:
        """Read the metadata of a wheel from parts of it.

        Args:
            parts: The parts so far.
            filename: Its name.
            size: Its bytes.

        Returns:
            The metadata, or which bytes are missing.

        Raises:
            BrokenArchive: It is no wheel.
            InvalidFilename: Its name is invalid.
            NotExamined: It cannot be examined now.
        """
        outcome = await self._threads.run(self._end, parts, filename, size)
        match outcome:
            case MissingSpan(offset, length):
                if offset + length > size:
                    raise BrokenArchive("it is incomplete")
                return MissingSpan(offset, max(length, _LEAST))
            case WheelMetadata():
                return outcome
            case UnexpectedError():
                raise BrokenArchive(str(outcome)) from outcome
            case OSError():
                raise NotExamined(f"it cannot be read: {outcome.strerror}") from outcome
        assert isinstance(outcome, SimpleIndexError)  # of Examiner.examine
        raise outcome

    def _end(self, parts: WheelParts, filename: str, size: int) -> WheelMetadata | MissingSpan | Exception:
        (outcome,) = self._examiner.examine([wheel_end(parts.file.fileno(), filename, size, parts.spans)])
        return outcome


class WheelParts:
    """Parts of a wheel, each at its offset in a sparse file; also a context manager.

    Attributes:
        spans: Offset and length of each part.
        size: Bytes of all parts.

    Raises:
        NotExamined: The file cannot be created.
    """

    def __init__(self) -> None:
        self.spans: list[tuple[int, int]] = []
        self.size = 0
        try:
            self.file = _unnamed_file()
        except OSError as error:
            raise NotExamined(f"there is no room for a part of it: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def add(self, offset: int, data: bytes) -> None:
        """Add a part.

        Raises:
            BrokenArchive: The offset is larger than any file.
        """
        try:
            write_all(self.file.fileno(), data, offset)
        except (OSError, OverflowError) as error:
            raise BrokenArchive("it is too large to be read") from error
        self.spans.append((offset, len(data)))
        self.size += len(data)


def _unnamed_file() -> FileIO:
    try:
        return FileIO(os.memfd_create("wheel"), "r+b")
    except (AttributeError, OSError):
        # Not on Linux, or not allowed.
        with tempfile.TemporaryFile() as file:
            return FileIO(os.dup(file.fileno()), "r+b")


def _only_digest(incoming: Incoming) -> ArchiveInfo:
    return ArchiveInfo("", incoming.sha256, None, None, None)
