"""The packed form of a project's snapshot while nothing of it has to be read, judged or logged again.

Nearly all projects of an index are like that. As objects such a snapshot takes three times the memory, and the garbage
collector visits each of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from simpleindex.core.files import StoredFiles
from simpleindex.core.model import Project, Status, restored_files, stored_files
from simpleindex.core.serialization import deserialize, serialize
from simpleindex.directory.scan.scanned_files import ScannedFiles
from simpleindex.directory.scan.snapshot import ProjectSnapshot, is_settled
from simpleindex.system.stamp import Stamp

if TYPE_CHECKING:
    from simpleindex.core.names import ProjectName


class Resting(NamedTuple):
    """A snapshot of a project whose files lie in one directory and are all listed.

    Attributes:
        known: What is known of its files, packed.
        files: Those that are listed, packed.
        number: Of them.
        size: Bytes of them all.
        directory: Its raw name.
        stamp: The directory's state, as plain values.
    """

    known: bytes
    files: bytes
    number: int
    size: int
    directory: str
    stamp: tuple[int, ...]


def packed_at_rest(snapshot: ProjectSnapshot) -> bytes | None:
    """Return a snapshot packed; None if it holds more than :class:`Resting` can hold."""
    project = snapshot.project
    if project is None or not is_settled(snapshot) or len(snapshot.stamps) != 1:
        return None
    if not snapshot.has_traces or snapshot.unserved or snapshot.doubtful:
        return None
    if project.status is not Status.ACTIVE or project.status_reason is not None:
        return None
    ((directory, stamp),) = snapshot.stamps.items()
    files = stored_files(project.files)
    return serialize((snapshot.known.packed, *files, directory, tuple(stamp)))


def resting(data: bytes) -> Resting:
    """Return the values of a packed snapshot."""
    return Resting(*deserialize(data))


def unpacked_snapshot(name: ProjectName, data: bytes) -> ProjectSnapshot:
    """Return the snapshot that was packed."""
    values = resting(data)
    files = restored_files(StoredFiles(values.files, values.number, values.size))
    return ProjectSnapshot(
        project=Project(name, files),
        known=ScannedFiles.restored(values.known, files),
        stamps={values.directory: Stamp(*values.stamp)},
        has_traces=True,
    )
