"""The state of a file as the file system states it, by which a change is noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import os


class Stamp(NamedTuple):
    """What the file system says of a file's identity and state; equal stamps mean equal bytes (see :func:`is_young`).

    Attributes:
        inode: File number.
        size: Bytes.
        mtime_ns: When its bytes changed, as its owner may set it.
        ctime_ns: When it changed in any way, by the kernel.
        links: Number of hard links; a changed number explains a changed ctime.
    """

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    links: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """Take it from a stat result."""
        return cls(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_nlink)

    def same_bytes_as(self, other: Stamp) -> bool:
        """Whether nothing but ctime and link count differs, as hard-link backups leave it."""
        return self[:3] == other[:3]

    def may_be(self, other: Stamp) -> bool:
        """Whether this can be taken for the state of the same bytes.

        A new ctime with the same number of links can be a write in place whose mtime was set back.
        """
        return self == other or (self.same_bytes_as(other) and self.links != other.links)


# docs/measurements.md, "File times": a timestamp may be a tick old; FAT has ticks of 2 s.
YOUNG_NS: Final = 2_000_000_000


def is_young(stamp: Stamp, now_ns: int) -> bool:
    """Whether a further change could leave this very stamp, because the last one was under 2 s ago.

    A time in the future is no change of just now: a file stamped 2106 must not be looked at for ever.
    """
    return abs(now_ns - stamp.ctime_ns) < YOUNG_NS or abs(now_ns - stamp.mtime_ns) < YOUNG_NS
