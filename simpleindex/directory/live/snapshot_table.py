"""The snapshots of a directory's projects, those at rest in little memory."""

from __future__ import annotations

from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from simpleindex.core.model import Status, stored_files
from simpleindex.directory.scan.resting import PackedSnapshot, packed_at_rest, resting, unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simpleindex.core.names import ProjectName
    from simpleindex.directory.scan.snapshot import ProjectSnapshot

Default = TypeVar("Default")

_MOST_UNPACKED: Final = 20_000
"""Projects at rest that are kept unpacked after a request; about as many as there are pages in the cache of rendered pages."""


class SnapshotTable:
    """The snapshot of each project, by its name.

    A snapshot is one object from one request to the next, so that pages made from it stay good. Everything here is for the
    reactor's thread, except where it says otherwise.

    Attributes:
        at_rest: The names of the projects at rest, of each of which at least one file is listed.
        unpacked: Snapshots that are not packed, and of those that are, the ones that were requested lately.
        projects: Number of projects that are listed.
        files: Number of their files.
        size: Bytes of these.
    """

    def __init__(self) -> None:
        self.unpacked: dict[ProjectName, ProjectSnapshot] = {}
        self._packed: dict[ProjectName, bytes] = {}
        self.at_rest = self._packed.keys()
        # The names that are in both, the longest unpacked first.
        self._in_both: dict[ProjectName, None] = {}
        self.projects = self.files = self.size = 0

    def get(self, name: ProjectName, default: Default) -> ProjectSnapshot | Default:
        """Return the snapshot of a project."""
        snapshot = self.unpacked.get(name)
        if snapshot is not None:
            return snapshot
        data = self._packed.get(name)
        return default if data is None else self._unpack(name, data)

    def __getitem__(self, name: ProjectName) -> ProjectSnapshot:
        snapshot = self.get(name, None)
        if snapshot is None:
            raise KeyError(name)
        return snapshot

    def peek(self, name: ProjectName) -> ProjectSnapshot | None:
        """Return the snapshot of a project as a new object, if it is packed; usable from any thread."""
        data = self._packed.get(name)
        return self.unpacked.get(name) if data is None else unpacked(name, data)

    def __setitem__(self, name: ProjectName, snapshot: ProjectSnapshot) -> None:
        self._count(name, -1)
        data = packed_at_rest(snapshot)
        if data is None:
            self._packed.pop(name, None)
            self._in_both.pop(name, None)
            self.unpacked[name] = snapshot
        else:
            self._packed[name] = data.data
            if name in self.unpacked:
                self.unpacked[name] = snapshot
                self._in_both[name] = None
        self._count(name, 1)

    def add_packed(self, name: ProjectName, data: PackedSnapshot) -> None:
        """Add a project at rest that is not in the table yet."""
        self._packed[name] = data.data
        self.projects += 1
        self.files += data.number
        self.size += data.size

    def remove(self, name: ProjectName) -> None:
        """Remove a project, if it is there."""
        self._count(name, -1)
        self._packed.pop(name, None)
        self._in_both.pop(name, None)
        self.unpacked.pop(name, None)

    def __contains__(self, name: object) -> bool:
        return name in self._packed or name in self.unpacked

    def __len__(self) -> int:
        return len(self._packed) + len(self.unpacked) - len(self._in_both)

    def __iter__(self) -> Iterator[ProjectName]:
        """Yield the names; usable from any thread."""
        packed = self._packed
        yield from list(packed)
        yield from [name for name in list(self.unpacked) if name not in packed]

    def items(self) -> Iterator[tuple[ProjectName, ProjectSnapshot]]:
        """Yield each project with its snapshot, without keeping any unpacked; usable from any thread."""
        for name in self:
            snapshot = self.peek(name)
            if snapshot is not None:
                yield name, snapshot

    def in_flux(self) -> list[tuple[ProjectName, ProjectSnapshot]]:
        """Return the projects that are not at rest, with their snapshots; usable from any thread."""
        return [
            (name, snapshot) for name, snapshot in list(self.unpacked.items()) if name not in self._packed
        ]

    def listed(self) -> list[ProjectName]:
        """Return the names of the projects that are listed; usable from any thread."""
        return [*list(self._packed), *(name for name, snapshot in self.in_flux() if snapshot.project)]

    def directories_at_rest(self) -> Iterator[tuple[ProjectName, str, tuple[int, ...]]]:
        """Yield each project at rest with the raw name of its directory and its state; usable from any thread."""
        for name, data in list(self._packed.items()):
            values = resting(data)
            yield name, values.directory, values.stamp

    def listing_digest(self, name: ProjectName) -> int | None:
        """Return a number for what is listed of a project, the same on every machine; 0 for nothing, None while that is not known.

        Usable from any thread.
        """
        data = self._packed.get(name)
        if data is not None:
            return _digest(resting(data).files)
        snapshot = self.unpacked.get(name)
        if snapshot is None or (snapshot.project is None and snapshot.trouble is None):
            return 0
        if snapshot.project is None:
            return None
        project = snapshot.project
        data = stored_files(project.files).data
        if project.status is Status.ACTIVE and project.status_reason is None:
            return _digest(data)
        return _digest(data + f"{project.status.value}\0{project.status_reason}".encode())

    def _unpack(self, name: ProjectName, data: bytes) -> ProjectSnapshot:
        if len(self._in_both) >= _MOST_UNPACKED:
            for oldest in list(islice(self._in_both, _MOST_UNPACKED // 8)):
                del self._in_both[oldest], self.unpacked[oldest]
        self.unpacked[name] = snapshot = unpacked(name, data)
        self._in_both[name] = None
        return snapshot

    def _count(self, name: ProjectName, sign: int) -> None:
        """Count a project as it is in the table now, or no longer."""
        data = self._packed.get(name)
        if data is not None:
            values = resting(data)
            number, size = values.number, values.size
        else:
            snapshot = self.unpacked.get(name)
            if snapshot is None or snapshot.project is None:
                return
            number, size = len(snapshot.project.files), snapshot.project.size
        self.projects += sign
        self.files += sign * number
        self.size += sign * size


def _digest(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest(), signed=True) or 1
