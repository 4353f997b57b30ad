"""Locked projects: one writer at a time, by ``flock`` on the project's directory; what it links, renames and makes durable there.

A lock covers all places of the project. A directory that was made only for the lock is removed with it. Blocking.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import CannotStore
from simpleindex.core.faults import Fault
from simpleindex.core.names import OWN_PREFIX
from simpleindex.core.text import printable
from simpleindex.system.atomic import FILE_MODE, STAYS, make_directory, storing, sync_directory, write_all
from simpleindex.system.ownership import give_to_owner_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simpleindex.core.names import ProjectName
    from simpleindex.directory.layout.package_directory import PackageDirectory
    from simpleindex.publishing.local.staging import StagedFile, Staging

PATIENCE: Final = 60.0
"""Seconds to wait for other writers of one project; each needs milliseconds, or a second for each GB that it compares."""

_TRIES: Final = 100
_CHUNK: Final = 1024 * 1024

# Errors of link() on a file system without hard links; then the lock alone keeps writers apart.
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
# Errors of flock() for a directory where the server keeps the locks (NFS): they need a file that is open for writing.
_NO_DIRECTORY_LOCKS: Final = frozenset({errno.EBADF, errno.EOPNOTSUPP, errno.EINVAL, errno.EISDIR})


class LockedProject:
    """A project that no other writer changes; made by :func:`locked_project`.

    Attributes:
        root: Absolute path of the root.
        path: Absolute path of the project's normalized directory, which exists.
        is_new: Whether it was made for this lock, so that it is removed again if it stays empty.
    """

    def __init__(self, directory: PackageDirectory, staging: Staging, name: ProjectName) -> None:
        self.name = name
        self.root = directory.root
        self.path = os.path.join(directory.root, name)
        self.is_new = False
        self._staging = staging
        self._mark: StagedFile | None = None

    def mark(self) -> StagedFile:
        """Mark this project for recovery after a crash (:mod:`simpleindex.publishing.local.recovery`)."""
        if self._mark is None:
            self._mark = self._staging.make(self.name)
        return self._mark

    @contextmanager
    def marked(self, note: bytes) -> Iterator[None]:
        """Mark this project with a note on the change; the mark stays if the change fails half-way."""
        write_all(self.mark().descriptor, note)
        try:
            yield
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """Leave the mark, so that the next start repairs the project."""
        if self._mark is not None:
            self._mark.abandon()
            self._mark = None

    def unmark(self) -> None:
        """Remove the mark."""
        if self._mark is not None:
            self._mark.discard()
            self._mark = None

    def add(self, source: str, target: str) -> None:
        """Link a finished file to its name; it is on the disk when this returns.

        Args:
            source: Its absolute path so far; it may stay there too.
            target: Its absolute path.

        Raises:
            FileExistsError: The name exists.
            OSError: It cannot be done.
        """
        self.link(source, target)
        sync_directory(os.path.dirname(target))

    def link(self, source: str, target: str) -> None:
        """Link a finished file to its name, as :meth:`add` does, without waiting for the disk."""
        self._arrive(source, target, _link)

    def move(self, source: str, target: str) -> None:
        """Rename a file, in place of one that exists; it is on the disk when this returns. Arguments as for :meth:`add`."""
        if self._arrive(source, target, os.rename):
            sync_directory(os.path.dirname(target))
            os.unlink(source)
        else:
            sync_directory(os.path.dirname(target))
        if (left := os.path.dirname(source)) != self._staging.path:
            sync_directory(left)

    def _arrive(self, source: str, target: str, operation: Callable[[str, str], None]) -> bool:
        """Link or rename; return whether it took a copy, because the target is on another file system."""
        try:
            operation(source, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
        else:
            return False
        near = os.path.join(os.path.dirname(target), nearby_name(self.mark().token))
        try:
            _copy(source, near)
            operation(near, target)
        finally:
            try:
                os.unlink(near)
            except FileNotFoundError:
                pass
            except OSError:
                self.leave()
        return True

    def replace(self, target: str, data: bytes, like: os.stat_result | None = None) -> None:
        """Replace a small file of the project; it is on the disk when this returns.

        Args:
            target: Its absolute path.
            data: Its content.
            like: The state of the replaced file, whose owner and mode are kept.

        Raises:
            CannotStore: The owner cannot be kept.
            OSError: It cannot be written.
        """
        staged = self._staging.make(self.name)
        try:
            write_all(staged.descriptor, data)
            give_to_owner_of(os.path.dirname(target), staged.descriptor)
            # A file of root's in another user's directory was left by a command that root ran.
            if like is not None and like.st_uid != 0:
                _keep_owner(staged.descriptor, like, os.path.relpath(target, self.root))
            os.fchmod(staged.descriptor, FILE_MODE if like is None else stat.S_IMODE(like.st_mode))
            os.fsync(staged.descriptor)
            self.move(staged.path, target)
        finally:
            staged.discard()


@contextmanager
def locked_project(
    directory: PackageDirectory, staging: Staging, name: ProjectName, *, patience: float = PATIENCE
) -> Iterator[LockedProject]:
    """Keep every other writer out of a project.

    Args:
        directory: The root.
        staging: Where marks are made.
        name: The project, whose normalized directory is made if missing and removed again if it stays empty.
        patience: Seconds to wait for others.

    Raises:
        CannotStore: The directory is not allowed or cannot be made, other writers hold the lock, or somebody without it moves
            or removes the directory.
    """
    with storing(os.path.join(directory.root, name)):
        project = LockedProject(directory, staging, name)
        descriptors: list[int] = []
        try:
            try:
                _acquire(directory, project, descriptors, patience)
            except BaseException:
                if project.is_new:
                    # Without the lock nothing is removed: another writer may be about to use the directory.
                    project.leave()
                raise
            try:
                yield project
            except (OSError, CannotStore) as error:
                # Where even this cannot be found out, the error is what the operator has to see.
                with suppress(OSError):
                    if not _is_at(project.path, descriptors[0]):
                        raise moved_meanwhile(name) from error
                raise
            finally:
                if project.is_new:
                    remove_if_empty(project)
        finally:
            project.unmark()
            for descriptor in descriptors:
                os.close(descriptor)


def _acquire(
    directory: PackageDirectory, project: LockedProject, descriptors: list[int], patience: float
) -> None:
    for _ in range(_TRIES):
        if reason := directory.refusal(project.name):
            raise CannotStore(reason)
        try:
            descriptor = os.open(project.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            if os.path.islink(project.path):
                raise CannotStore(
                    f"{project.name} in the root of the index is a link that leads nowhere.",
                    fault=Fault.MISPLACED,
                ) from None
            project.mark()
            project.is_new = True
            make_directory(project.path)
            continue
        except NotADirectoryError:
            raise CannotStore(
                f"{project.name} in the root of the index is a file where the project's directory should be.",
                fault=Fault.MISPLACED,
            ) from None
        descriptors.append(descriptor)
        _lock(descriptor, descriptors, project, patience)
        # Its maker may have removed it again before this lock was acquired.
        if _is_at(project.path, descriptor):
            return
        while descriptors:
            os.close(descriptors.pop())
    raise CannotStore(
        f"The directory {project.name} in the root of the index leads nowhere, or does not stay.",
        fault=Fault.MISPLACED,
    )


def _lock(descriptor: int, descriptors: list[int], project: LockedProject, patience: float) -> None:
    until = time.monotonic() + patience
    pause = 0.001
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= until:
                raise CannotStore(
                    f"Another writer is busy with the project {project.name}; try again later.",
                    fault=Fault.BUSY,
                ) from None
        except OSError as error:
            if error.errno not in _NO_DIRECTORY_LOCKS or len(descriptors) > 1:
                raise
            descriptor = _open_common_lock(project.root)
            descriptors.append(descriptor)
            continue
        time.sleep(pause)
        pause = min(pause * 2, 0.05)


def _is_at(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except (FileNotFoundError, NotADirectoryError):
        return False


def moved_meanwhile(name: ProjectName) -> CannotStore:
    """Return the error for a directory that somebody moves or removes while a writer works in it."""
    return CannotStore(
        f"The directory of the project {name} was moved or removed meanwhile; try again later.",
        fault=Fault.BUSY,
    )


def _open_common_lock(root: str) -> int:
    """Open the file that is locked for every project where directories cannot be locked."""
    path = os.path.join(root, f"{OWN_PREFIX}-lock")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    give_to_owner_of(root, descriptor)
    return descriptor


def remove_if_empty(project: LockedProject) -> None:
    """Remove the project's normalized directory if it is empty."""
    try:
        os.rmdir(project.path)
    except OSError as error:
        if error.errno not in STAYS:
            project.leave()


def nearby_name(token: str) -> str:
    """Return the name of a copy that is made beside its target, by the token of the mark."""
    return f"{OWN_PREFIX}-copy-{token}"


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        os.rename(source, target)


def _copy(source: str, target: str) -> None:
    reading = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        status = os.fstat(reading)
        writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            offset = 0
            while data := os.pread(reading, _CHUNK, offset):
                write_all(writing, data, offset)
                offset += len(data)
            if os.geteuid() == 0:
                os.fchown(writing, status.st_uid, status.st_gid)
            os.fchmod(writing, stat.S_IMODE(status.st_mode))
            # The upload time (docs/directory.md, "Which files are offered").
            os.utime(writing, ns=(status.st_atime_ns, status.st_mtime_ns))
            os.fsync(writing)
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def _keep_owner(descriptor: int, like: os.stat_result, shown: str) -> None:
    status = os.fstat(descriptor)
    if (status.st_uid, status.st_gid) == (like.st_uid, like.st_gid):
        return
    try:
        os.fchown(descriptor, like.st_uid, like.st_gid)
    except PermissionError:
        raise CannotStore(
            f"{printable(shown)} belongs to another user than the service's; edit it as that user, or give it to the service.",
            fault=Fault.FORBIDDEN,
        ) from None
