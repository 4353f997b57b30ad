"""Locks that keep writers of one project of a bucket apart, where conditions of the store do not. Blocking.

The store decides between two writers of one object. What concerns several objects needs a lock: two spellings of one
distribution, a file with its provenance, a deletion.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Protocol

from packaging.utils import canonicalize_version

from simpleindex.core.distribution_identity import wheel_tags
from simpleindex.core.errors import CannotStore
from simpleindex.core.faults import Fault
from simpleindex.core.names import Kind
from simpleindex.system.atomic import storing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from simpleindex.core.names import DistributionName, ProjectName

PATIENCE: Final = 60.0
"""Seconds to wait for other writers; a large file takes as long as it takes to send it to the store."""

LONGEST_PUT: Final = 600.0
"""Seconds after its claim in which an upload may come although its lock ended: the store has the bytes of one that was killed,
that had no answer, or whose lock ended with its session. At 10 MB/s that is a file of 6 GB."""

_FILES: Final = 256
"""Lock files of each kind; projects that share one wait for each other without need."""


class Locks(Protocol):
    """Locks by name, which several processes share."""

    def held(self, exclusive: str, shared: str | None = None) -> AbstractContextManager[None]:
        """Hold one lock alone, and before it another one together with those who hold it shared as well.

        Raises:
            CannotStore: Others hold one of them for too long.
            Unavailable: They are not available now.
        """
        ...

    def close(self) -> None:
        """Close connections."""
        ...


def lock_upload(locks: Locks, name: DistributionName) -> AbstractContextManager[None]:
    """Keep out other uploads of one distribution, in any spelling, and all other changes of its project."""
    words = [name.project, canonicalize_version(name.version), name.kind.value]
    if name.kind is Kind.WHEEL:
        # Without the build tag: to wait without need does no harm.
        words += [".".join(sorted(tags)) for tags in wheel_tags(name.filename)[1]]
    return locks.held(" ".join(words), name.project)


def lock_change(locks: Locks, project: ProjectName) -> AbstractContextManager[None]:
    """Keep out all other changes of a project."""
    return locks.held(project)


class LockFiles:
    """Locks of the processes of one machine: files in a directory that they share.

    Args:
        directory: The directory; it is made when it is needed.
        patience: Seconds to wait for others.
    """

    def __init__(self, directory: str, patience: float = PATIENCE) -> None:
        self._directory = directory
        self._patience = patience

    @contextmanager
    def held(self, exclusive: str, shared: str | None = None) -> Iterator[None]:
        """Hold locks, as :meth:`Locks.held` says."""
        with ExitStack() as held:
            with storing(self._directory):
                os.makedirs(self._directory, mode=0o700, exist_ok=True)
                end = time.monotonic() + self._patience
                if shared is not None:
                    held.callback(os.close, self._locked("project", shared, fcntl.LOCK_SH, end))
                # Files apart from those of projects, so that nobody waits for who waits for him.
                kind = "project" if shared is None else "distribution"
                held.callback(os.close, self._locked(kind, exclusive, fcntl.LOCK_EX, end))
            yield

    def close(self) -> None:
        """Do nothing: a file is open only while its lock is held."""

    def _locked(self, kind: str, name: str, operation: int, end: float) -> int:
        number = int.from_bytes(sha256(name.encode()).digest()[:4]) % _FILES
        path = os.path.join(self._directory, f"{kind}-{number}")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        pause = 0.001
        while True:
            try:
                fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= end:
                    os.close(descriptor)
                    project = name.partition(" ")[0]
                    raise CannotStore(
                        f"Another writer is busy with the project {project}; try again later.",
                        fault=Fault.BUSY,
                    ) from None
            else:
                return descriptor
            time.sleep(pause)
            pause = min(pause * 2, 0.05)
