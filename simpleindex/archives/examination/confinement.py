"""How an examining process limits itself, by means of the kernel that need no privileges and work in every container.

Enforced by the kernel until the process ends:

- computing time for each request (``RLIMIT_CPU``; the signal SIGXCPU ends the process),
- memory (``RLIMIT_AS``), and no core dumps,
- no file can be written (``RLIMIT_FSIZE`` 0), no process or thread begun (``RLIMIT_NPROC`` 0; the superuser is exempt),
- no privileges gained by executing a program (``PR_SET_NO_NEW_PRIVS``, on Linux),
- while a file is examined, nothing can be opened and no socket made (``RLIMIT_NOFILE`` 0): there is the one socket to the
  server and the files that came over it, for reading, and nothing else that was inherited; but for descriptions.

The last can be undone by an attacker who runs code in the process, for the limit must rise to take the next files.
It is a guard against what libraries do, not a wall. That process has the user of the server.
"""

from __future__ import annotations

import os
import resource
import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from simpleindex.archives.examination.frames import MOST_DESCRIPTORS

if TYPE_CHECKING:
    from collections.abc import Iterator

_DESCRIPTORS: Final = MOST_DESCRIPTORS + 16
_PR_SET_NO_NEW_PRIVS: Final = 38  # linux/prctl.h


def confine(memory: int) -> None:
    """Deny this process what it does not need.

    Args:
        memory: Bytes of address space that it may add to what it has.

    Raises:
        OSError: A limit cannot be set.
        ValueError: The same.
    """
    # The server ends its children itself, once nobody waits for an answer; a terminal's Ctrl-C reaches all of them.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _gain_no_privileges()
    for kind in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC):
        resource.setrlimit(kind, (0, 0))
    _lower(resource.RLIMIT_NOFILE, _DESCRIPTORS)
    _lower(resource.RLIMIT_AS, _address_space() + memory)


def allow_opening(allowed: bool) -> None:
    """Allow this process to receive descriptors, or to open nothing at all."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if allowed else 0, hard))


@contextmanager
def opening_allowed() -> Iterator[None]:
    """Allow files to be opened within the block, for what can be loaded only when it is needed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def allow_seconds(seconds: int) -> None:
    """Let this process compute for so many seconds more, rounded up."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    wanted = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(
        resource.RLIMIT_CPU, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
    )


def _lower(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    wanted = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (wanted, wanted))


def _address_space() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except (OSError, ValueError):
        # Only what lies in memory is known then; of programs and libraries most does not.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 + (256 << 20)


def _gain_no_privileges() -> None:
    if os.uname().sysname != "Linux":
        return
    # Python may have been built without it, and the unit for systemd says the same.
    with suppress(ImportError, OSError, AttributeError):
        import ctypes  # noqa: PLC0415

        ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
