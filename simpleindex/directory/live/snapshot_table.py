"""The snapshots of a directory's projects, those at rest in little memory, or in the catalogue."""

from __future__ import annotations

from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from simpleindex.core.model import Status, stored_files
from simpleindex.directory.scan.resting import packed_at_rest, resting, unpacked_snapshot
from simpleindex.directory.scan.snapshot import ProjectSnapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from simpleindex.core.names import ProjectName
    from simpleindex.directory.scan.catalogue import Catalogue, StoredProject

Default = TypeVar("Default")

_MOST_UNPACKED: Final = 20_000
"""Projects at rest that are kept unpacked after a request; about as many as there are pages in the cache of rendered pages."""


DAMAGED: Final = ProjectSnapshot(pending=True, partial=True, has_traces=True)
"""The snapshot of a project that is damaged in the catalogue, until it is read again."""


class SnapshotTable:
    """The snapshot of each project, by its name.

    A snapshot is one object from one request to the next, so that pages made from it stay good. Everything here is for the
    reactor's thread, except where it says otherwise.

    Args:
        catalogue: Where the packed snapshots that are not in memory are.
        on_damage: Called with each project that turns out to be damaged there; it is unread from then on.

    Attributes:
        at_rest: The names of the projects at rest, of each of which at least one file is listed.
        unpacked: Snapshots that are not packed, and of those that are, the ones that were requested lately.
        projects: Number of projects that are listed.
        files: Number of their files.
        size: Bytes of these.
    """

    def __init__(
        self,
        catalogue: Catalogue | None = None,
        on_damage: Callable[[ProjectName], object] = lambda _: None,
    ) -> None:
        self._catalogue = catalogue
        self._on_damage = on_damage
        self.unpacked: dict[ProjectName, ProjectSnapshot] = {}
        # The packed snapshots, of those in the catalogue their places there.
        self._packed: dict[ProjectName, bytes | int] = {}
        self.at_rest = self._packed.keys()
        # The names that are in both, the longest unpacked first.
        self._in_both: dict[ProjectName, None] = {}
        self.projects = self.files = self.size = 0

    def get(self, name: ProjectName, default: Default) -> ProjectSnapshot | Default:
        """Return the snapshot of a project."""
        snapshot = self.unpacked.get(name)
        if snapshot is not None:
            return snapshot
        data = self._data(name)
        if data is None:
            return self._unread(name) if name in self._packed else default
        return self._unpack(name, data)

    def __getitem__(self, name: ProjectName) -> ProjectSnapshot:
        snapshot = self.get(name, None)
        if snapshot is None:
            raise KeyError(name)
        return snapshot

    def peek(self, name: ProjectName) -> ProjectSnapshot | None:
        """Return the snapshot of a project as a new object, if it is packed; usable from any thread."""
        data = self._data(name)
        return self.unpacked.get(name) if data is None else unpacked_snapshot(name, data)

    def __setitem__(self, name: ProjectName, snapshot: ProjectSnapshot) -> None:
        self._count(name, -1)
        data = packed_at_rest(snapshot)
        if data is None:
            self._packed.pop(name, None)
            self._in_both.pop(name, None)
            self.unpacked[name] = snapshot
        else:
            self._packed[name] = data
            if name in self.unpacked:
                self.unpacked[name] = snapshot
                self._in_both[name] = None
        self._count(name, 1)

    def add_stored(self, projects: Sequence[StoredProject]) -> None:
        """Add projects of the catalogue that are not in the table yet."""
        self._packed.update((stored.name, stored.place) for stored in projects)
        self.projects += len(projects)
        self.files += sum(stored.number for stored in projects)
        self.size += sum(stored.size for stored in projects)

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
            if isinstance(data, bytes):
                values = resting(data)
                yield name, values.directory, values.stamp
        for stored in self._catalogue.projects() if self._catalogue else ():
            if self._packed.get(stored.name) == stored.place:
                yield stored.name, stored.paths[0], stored.states[0]

    def at_rest_in_order(self) -> Iterator[tuple[ProjectName, bytes]]:
        """Yield the projects at rest as they are packed, by name; usable from any thread."""
        for name in sorted(self._packed):
            data = self._data(name)
            if data is not None:
                yield name, data

    @property
    def has_catalogue(self) -> bool:
        """Whether there is a catalogue."""
        return self._catalogue is not None

    @property
    def changed_since_catalogue(self) -> int:
        """How many projects are in the table and not in the catalogue, or the other way round; usable from any thread."""
        places = list(self._packed.values())
        in_memory = sum(type(place) is bytes for place in places)
        stored = self._catalogue.number if self._catalogue else 0
        return in_memory + stored - (len(places) - in_memory)

    def _data(self, name: ProjectName) -> bytes | None:
        """Return a packed snapshot; None if there is none, or if it cannot be read."""
        data = self._packed.get(name)
        if isinstance(data, int):
            assert self._catalogue is not None  # places are of it
            return self._catalogue.packed(data)
        return data

    def _unread(self, name: ProjectName) -> ProjectSnapshot:
        """Take a project out that is damaged in the catalogue, and have it read again; requests of it wait for that."""
        stored = self._catalogue and self._catalogue.project(name)
        if stored:
            self.files -= stored.number
            self.size -= stored.size
        self.projects -= 1
        del self._packed[name]
        self.unpacked[name] = DAMAGED
        self._on_damage(name)
        return DAMAGED

    def listing_digest(self, name: ProjectName) -> int | None:
        """Return a number for what is listed of a project, the same on every machine; 0 for nothing, None while that is not known.

        Usable from any thread.
        """
        data = self._data(name)
        if data is not None:
            return _digest(resting(data).files)
        snapshot = self.unpacked.get(name)
        if snapshot is None and name in self._packed:
            return None
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
        self.unpacked[name] = snapshot = unpacked_snapshot(name, data)
        self._in_both[name] = None
        return snapshot

    def _count(self, name: ProjectName, sign: int) -> None:
        """Count a project as it is in the table now, or no longer."""
        data = self._data(name)
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
