"""File descriptors: the limit of this process, and the reserve for files and directories.

Connections end first: new ones wait when a part of the descriptors is left, and are closed when half of that part is left;
then no more files are opened for clients either. The last of them are for reading the directory and the records, without
which nothing could be answered at all.
"""

from __future__ import annotations

import errno
import os
import resource
import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_MOST_KEPT: Final = 256
_LEAST_KEPT: Final = 24
"""Looking at a project takes one or two descriptors in each of ten threads; the records and the log take some more."""


@dataclass(frozen=True, slots=True)
class DescriptorBounds:
    """The numbers of descriptors from which on connections wait, are closed, and files are not opened; the system gives the lowest free one.

    Attributes:
        limit: Of the process (RLIMIT_NOFILE).
        waiting: New connections wait from this one on.
        closing: From this one on they are closed, and no files are opened for clients.
    """

    limit: int
    waiting: int
    closing: int


@lru_cache(maxsize=8)
def bounds_of(limit: int) -> DescriptorBounds:
    """Return the bounds of a process that may have so many descriptors."""
    kept = min(max(limit // 4, _LEAST_KEPT), _MOST_KEPT, limit // 2)
    return DescriptorBounds(limit, limit - kept, limit - kept // 2)


def raise_limit() -> int:
    """Raise the soft limit of descriptors, which shells set to 1024 for old programs' sake, to the hard one; return it.

    Only to be called where the reactor takes any number: select(2) knows none above 1023.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            # A sandbox may forbid it; the bounds follow from what there is.
            return soft
    return hard


def bounds() -> DescriptorBounds:
    """Return the bounds of this process now."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return bounds_of(limit if limit != resource.RLIM_INFINITY else 1 << 20)


def next_descriptor() -> int:
    """Return the lowest number that is free; the limit where there is none."""
    try:
        descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            return bounds().limit
        raise
    os.close(descriptor)
    return descriptor


def is_reserved_descriptor(descriptor: int) -> bool:
    """Whether a descriptor is one of those that are kept for the directory and the records."""
    return descriptor >= bounds().closing


def no_descriptor() -> OSError:
    """Return the error of a process that has no descriptor left."""
    return OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def keep_reserve(descriptor: int) -> int:
    """Return an open descriptor, or close it if it is one of those that are kept.

    Raises:
        OSError: It was.
    """
    if is_reserved_descriptor(descriptor):
        os.close(descriptor)
        raise no_descriptor()
    return descriptor


def discard_output() -> None:
    """Discard further output: its reader (``head``, ``less``) has closed the pipe, and Python would write to it once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
