"""What the end of an examining process means: for the file that it examined, or for all files."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from simpleindex.archives.examination.limits import ExaminationOverrun, NotExamined
from simpleindex.archives.examination.process import EndCause

if TYPE_CHECKING:
    from simpleindex.archives.examination.process import ProcessEnded
    from simpleindex.core.faults import Trouble


def verdict(ended: ProcessEnded, seconds: int, memory: int) -> ExaminationOverrun | NotExamined:
    """Return what the end of a process means for the one file that it examined.

    Args:
        ended: How it ended.
        seconds: Of computing time that it was allowed.
        memory: Bytes that it was allowed.
    """
    match ended.cause:
        case EndCause.TIME:
            return ExaminationOverrun(f"examining it takes more than {seconds} seconds of computing time")
        case EndCause.MEMORY:
            return ExaminationOverrun(f"examining it takes more than {memory >> 20} MiB of memory")
        case EndCause.CRASH | EndCause.BAD_ANSWER:
            return ExaminationOverrun(f"examining it ended the process that did so: {ended.detail}")
    return NotExamined(f"the process that examines files failed: {ended.detail}")


def not_begun(trouble: Trouble) -> NotExamined:
    """Return the error for a file where no process can be begun."""
    reason = f"no process that examines files can be begun: {trouble.cause}"
    return NotExamined(reason, None if trouble.is_passing else trouble)


def stopping() -> InterruptedError:
    """Return the error for a file whose examination the end of the service interrupts."""
    return InterruptedError(errno.EINTR, "the service is stopping")
