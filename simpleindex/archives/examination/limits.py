"""The limits of an examining process: memory, computing time, waiting, time without work; and the errors where one is exceeded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simpleindex.archives.errors import BrokenArchive
from simpleindex.core.errors import SimpleIndexError

if TYPE_CHECKING:
    from simpleindex.core.faults import Trouble

_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ExaminationLimits:
    """What a process that examines files may use.

    Attributes:
        cpu_seconds: Of computing time for any file.
        description_seconds: Of computing time for a description, for which a person waits. The longest on the public index take
            half a second.
        bytes_per_second: Further bytes of the file for which it gets one more second. The slowest that is honest, bzip2,
            is ten times as fast.
        memory: Bytes of address space beyond those of the idle process. The largest directory that is read needs a
            quarter.
        waiting: Seconds to wait for an answer: others may need the processors, and the disk may be slow.
        waiting_factor: Further seconds to wait for each second of computing time.
        batch_files: Small files that are examined in one go.
        batches_ahead: How many are sent before the answer to the first is taken: on a busy machine it takes longer to
            wake a process than to examine a batch.
        batch_bytes: What a small file is.
        batch_seconds: Of computing time for a batch; where that is too little, each of its files is examined by itself.
        idle_seconds: After which a process that has nothing to do ends.
    """

    cpu_seconds: int = 20
    description_seconds: int = 3
    bytes_per_second: int = _MIB
    memory: int = 512 * _MIB
    waiting: float = 60.0
    waiting_factor: int = 10
    batch_files: int = 32
    batches_ahead: int = 3
    batch_bytes: int = 256 * 1024
    batch_seconds: int = 3
    idle_seconds: float = 60.0

    def seconds_for(self, size: int) -> int:
        """Return the seconds of computing time for a file of so many bytes."""
        return self.cpu_seconds + size // self.bytes_per_second

    def waiting_for(self, seconds: int) -> float:
        """Return the seconds to wait for what may compute for so many seconds."""
        return self.waiting + self.waiting_factor * seconds


class ExaminationOverrun(BrokenArchive):
    """A file whose examination was ended, because it took too much or ended the process that did it.

    It is judged as one that is broken: installers may fare no better.
    """


class NotExamined(SimpleIndexError):
    """A file that could not be examined now, through no fault of its own.

    Attributes:
        reason: Why, as a sentence without its subject.
        trouble: What the operating system refuses, where that lasts until an operator mends it.
    """

    reason: str
    trouble: Trouble | None = None
