"""Meanings of operating system errors: who caused them, whether they pass, and what mends them.

A file that cannot be opened for want of descriptors is not gone, and a full disk is not the client's mistake. Every place
that meets an error of the system takes its meaning from here.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Fault(Enum):
    """A kind of trouble with the machine that the index runs on."""

    ABSENT = "absent"
    """Nothing lies there."""
    DESCRIPTORS = "descriptors"
    """Too many files and connections are open, in this process or on the machine."""
    MEMORY = "memory"
    """The machine or its limits give no more memory."""
    BUSY = "busy"
    """Somebody else holds it for the moment."""
    FULL = "full"
    """The disk or a quota has no room."""
    FORBIDDEN = "forbidden"
    """The service's user may not do it."""
    READ_ONLY = "read-only"
    """The file system is mounted read-only."""
    MISPLACED = "misplaced"
    """Something of another kind lies there: a directory, a link, a name that is too long."""
    BROKEN = "broken"
    """The disk, the network behind it or the data on it is damaged."""
    AWAY = "away"
    """A server that the index needs cannot be reached, or refuses."""
    UNKNOWN = "unknown"
    """An error that should not come up here."""


_NUMBERS: Final[dict[Fault, tuple[str, ...]]] = {
    Fault.ABSENT: ("ENOENT",),
    Fault.DESCRIPTORS: ("EMFILE", "ENFILE"),
    Fault.MEMORY: ("ENOMEM", "ENOBUFS"),
    Fault.BUSY: (
        *(
            "EAGAIN",
            "EWOULDBLOCK",
            "EBUSY",
            "EDEADLK",
            "EINTR",
            "ENOLCK",
            "ETIMEDOUT",
            "ETXTBSY",
            "EINPROGRESS",
        ),
    ),
    Fault.FULL: ("ENOSPC", "EDQUOT", "EFBIG"),
    Fault.FORBIDDEN: ("EACCES", "EPERM"),
    Fault.READ_ONLY: ("EROFS",),
    Fault.MISPLACED: ("ENOTDIR", "EISDIR", "ELOOP", "ENAMETOOLONG", "ENOTEMPTY", "EEXIST", "EXDEV", "EMLINK"),
    Fault.AWAY: ("EHOSTDOWN",),
    Fault.BROKEN: (
        *("EIO", "ESTALE", "EUCLEAN", "EBADMSG", "EREMOTEIO", "ENODEV", "ENXIO", "ENOMEDIUM", "ESHUTDOWN"),
        *("ECOMM", "EHOSTUNREACH", "EPROTO", "EOVERFLOW"),
    ),
}
"""The names of errno.h (POSIX.1, and Linux's own); not every system has each."""

_FAULTS: Final = {
    number: fault
    for fault, names in _NUMBERS.items()
    for name in names
    if (number := getattr(errno, name, None)) is not None
}

PASSING: Final = frozenset({Fault.DESCRIPTORS, Fault.MEMORY, Fault.BUSY, Fault.AWAY})
"""What passes by itself, so that looking again makes sense and nothing may be concluded from it."""

SHORTAGE: Final = frozenset({Fault.DESCRIPTORS, Fault.MEMORY})
"""Shortages of this process, which prove nothing about the requested file."""

STATUS: Final = {
    Fault.DESCRIPTORS: 503,
    Fault.MEMORY: 503,
    Fault.BUSY: 503,
    Fault.AWAY: 503,
    Fault.FULL: 507,
}
"""The HTTP status of each (RFC 9110 section 15.6, RFC 4918 section 11.5); 500 for all others. None is the client's doing."""

RETRY_AFTER: Final = 2
"""Seconds after which a client may retry when a fault passes by itself."""


def fault_of(number: int | None) -> Fault:
    """Return what an error number means."""
    return Fault.UNKNOWN if number is None else _FAULTS.get(number, Fault.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Trouble:
    """One refusal of the operating system, with its meaning.

    Attributes:
        cause: The system's own words for it, such as "Too many open files".
        place: The path that it is about; None if unknown.
        sentence: What the operator reads, where it is more precise than the kind; empty otherwise.
    """

    fault: Fault
    cause: str
    place: str | None = None
    sentence: str = ""

    @property
    def is_passing(self) -> bool:
        """Whether it ends without anybody's help."""
        return self.fault in PASSING

    @property
    def status(self) -> int:
        """The HTTP status that answers it."""
        return STATUS.get(self.fault, 500)

    @property
    def remedy(self) -> str:
        """What the operator can do, as the second half of a sentence."""
        return _REMEDIES[self.fault]

    def for_client(self) -> str:
        """Return a sentence that names no place on the server."""
        return f"{_FOR_CLIENTS[self.fault]} ({self.cause}); {self._next()}"

    def for_operator(self) -> str:
        """Return a sentence with the place and the remedy."""
        if self.sentence:
            return self.sentence
        place = "A file of the index" if self.place is None else self.place
        return f"{place} cannot be used ({self.cause}): {self.remedy}"

    def _next(self) -> str:
        if self.is_passing:
            return "try again in a moment."
        return "its operator has to mend that, and finds the place in the server's log."


_FOR_CLIENTS: Final = {
    Fault.ABSENT: "The index does not find a file of its own",
    Fault.DESCRIPTORS: "The index has too many files and connections open just now",
    Fault.MEMORY: "The index has no memory left just now",
    Fault.BUSY: "The index is changing that just now",
    Fault.FULL: "The disk of the index is full",
    Fault.FORBIDDEN: "The index is not permitted to use a file or directory of its own",
    Fault.READ_ONLY: "The disk of the index is read-only",
    Fault.MISPLACED: "Something else lies where the index needs a file or directory of its own",
    Fault.BROKEN: "The disk of the index has a fault",
    Fault.AWAY: "The index cannot use a server that it needs",
    Fault.UNKNOWN: "The index could not use a file of its own",
}

_REMEDIES: Final = {
    Fault.ABSENT: "put it back, or restore it from a backup.",
    Fault.DESCRIPTORS: (
        "raise the limit of open files (LimitNOFILE= in the unit, `ulimit -n` in a shell), or lower "
        "--max-connections-per-address. It is tried again."
    ),
    Fault.MEMORY: "give the service more memory (MemoryMax= in the unit), or lower --page-cache. It is tried again.",
    Fault.BUSY: "another process holds it. It is tried again.",
    Fault.FULL: "make room on its disk, or raise the quota.",
    Fault.FORBIDDEN: "give it to the service's user (chown, chmod), or see what else forbids it (ReadWritePaths= in the unit).",
    Fault.READ_ONLY: "mount its file system for writing, and see why it is not (`dmesg`).",
    Fault.MISPLACED: "move away what lies there.",
    Fault.BROKEN: "look at its disk or network file system (`dmesg`), and restore what is lost from a backup.",
    Fault.AWAY: "see that the server runs, and lets this machine in.",
    Fault.UNKNOWN: "the server's log may say more; please report it.",
}
