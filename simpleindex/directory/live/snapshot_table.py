"""The snapshots of a directory's projects, those at rest in little memory, or in the catalogue."""

from __future__ import annotations

from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from simpleindex.core.model import Status, stored_files
from simpleindex.directory.scan.name_sets import NO_NAMES, NameSet
from simpleindex.directory.scan.resting import packed_at_rest, resting, unpacked_snapshot
from simpleindex.directory.scan.snapshot import ProjectSnapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from simpleindex.core.names import ProjectName
    from simpleindex.directory.scan.catalogue import Catalogue, StoredProject

Default = TypeVar("Default")

_MOST_UNPACKED: Final = 20_000
"""Projects at rest that are kept unpacked after a request; about as many as there are pages in the cache of rendered pages."""


_NEIGHBOURS: Final = 128
"""Projects of the catalogue whose files are counted together too, so that those of one that is damaged are known by the others."""

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
        # The packed snapshots that are in memory; what is changed is added there before it is taken out elsewhere.
        self._packed: dict[ProjectName, bytes] = {}
        self.at_rest = NameSet(catalogue.names if catalogue else NO_NAMES, self._packed.keys())
        # The names that are in both, the longest unpacked first.
        self._in_both: dict[ProjectName, None] = {}
        self.projects = self.files = self.size = 0
        self._neighbours: dict[int, tuple[int, int]] = {}

    def get(self, name: ProjectName, default: Default) -> ProjectSnapshot | Default:
        """Return the snapshot of a project."""
        snapshot = self.unpacked.get(name)
        if snapshot is not None:
            return snapshot
        number = self.at_rest.number(name)
        if number < 0:
            packed = self._packed.get(name)
            return default if packed is None else self._unpack(name, packed)
        data = self._stored(name, number)
        return self._unread(name) if data is None else self._unpack(name, data)

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
            self.unpacked[name] = snapshot
            self._packed.pop(name, None)
            self.at_rest.remove_number_of(name)
            self._in_both.pop(name, None)
        else:
            self._packed[name] = data
            self.at_rest.remove_number_of(name)
            if name in self.unpacked:
                self.unpacked[name] = snapshot
                self._in_both[name] = None
        self._count(name, 1)

    def add_stored(self, projects: Sequence[StoredProject]) -> None:
        """Add projects of the catalogue that are not in the table yet."""
        self.at_rest.add_numbers(stored.number for stored in projects)
        self.projects += len(projects)
        for stored in projects:
            self._add(stored.number, stored.files, stored.size)

    def has_stored(self, project: StoredProject) -> bool:
        """Return whether a project of the catalogue is in the table, as the catalogue has it or another way."""
        name = project.name
        return self.at_rest.has_number(project.number) or name in self.unpacked or name in self._packed

    def remove(self, name: ProjectName) -> None:
        """Remove a project, if it is there."""
        self._count(name, -1)
        self._packed.pop(name, None)
        self.at_rest.remove_number_of(name)
        self._in_both.pop(name, None)
        self.unpacked.pop(name, None)

    def let_rest(self, name: ProjectName) -> None:
        """Keep a project that is at rest in its packed form alone."""
        if name in self._in_both:
            del self._in_both[name], self.unpacked[name]

    def __contains__(self, name: object) -> bool:
        return name in self.unpacked or name in self.at_rest

    def __len__(self) -> int:
        return len(self.at_rest) + len(self.unpacked) - len(self._in_both)

    def __iter__(self) -> Iterator[ProjectName]:
        """Yield the names; usable from any thread."""
        # In this order: what is packed meanwhile is unpacked until later.
        at_rest, unpacked = iter(self.at_rest), dict.fromkeys(self.unpacked)
        for name in at_rest:
            unpacked.pop(name, None)
            yield name
        yield from unpacked

    def items(self) -> Iterator[tuple[ProjectName, ProjectSnapshot]]:
        """Yield each project with its snapshot, without keeping any unpacked; usable from any thread."""
        for name in self:
            snapshot = self.peek(name)
            if snapshot is not None:
                yield name, snapshot

    def in_flux(self) -> list[tuple[ProjectName, ProjectSnapshot]]:
        """Return the projects that are not at rest, with their snapshots; usable from any thread."""
        # Not a list of the items: each is made as an object, so the collector may run, and with it other threads that change them.
        return [
            (name, snapshot)
            for name in [*self.unpacked]
            if name not in self.at_rest and (snapshot := self.unpacked.get(name)) is not None
        ]

    def listed(self) -> list[ProjectName]:
        """Return the names of the projects that are listed; usable from any thread."""
        return [*self.at_rest, *(name for name, snapshot in self.in_flux() if snapshot.project)]

    def directories_at_rest(self) -> Iterator[tuple[ProjectName, str, tuple[int, ...]]]:
        """Yield each project at rest with the raw name of its directory and its state; usable from any thread."""
        for name in [*self._packed]:
            if (data := self._packed.get(name)) is not None:
                values = resting(data)
                yield name, values.directory, values.stamp
        for stored in self._catalogue.projects() if self._catalogue else ():
            if self.at_rest.has_number(stored.number):
                yield stored.name, stored.paths[0], stored.states[0]

    def at_rest_in_order(self) -> Iterator[tuple[ProjectName, bytes]]:
        """Yield the projects at rest as they are packed, by name; usable from any thread."""
        for name in self.at_rest.in_order():
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
        at_rest = self.at_rest
        return len(at_rest.others) + len(at_rest.base) - at_rest.numbers

    def _data(self, name: ProjectName) -> bytes | None:
        """Return a packed snapshot; None if there is none, or if it cannot be read."""
        number = self.at_rest.number(name)
        return self._packed.get(name) if number < 0 else self._stored(name, number)

    def _stored(self, name: ProjectName, number: int) -> bytes | None:
        """Return a packed snapshot in the catalogue; None if it cannot be read."""
        assert self._catalogue is not None  # numbers are of it
        return self._catalogue.packed(name, number)

    def _unread(self, name: ProjectName) -> ProjectSnapshot:
        """Take a project out that is damaged in the catalogue, and have it read again; requests of it wait for that."""
        self[name] = DAMAGED
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
        if snapshot is None and name in self.at_rest:
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
        """Count a project as it is in the table, or with -1 no longer: before it is changed with -1, and afterwards with 1."""
        number = self.at_rest.number(name)
        if number >= 0:
            # Still in the catalogue: what is changed has no number there, so this is before the change, and the sign is -1.
            self.projects -= 1
            files, size = self._stored_numbers(name, number)
            self._add(number, -files, -size)
            return
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

    def _add(self, number: int, files: int, size: int) -> None:
        """Count files of a project of the catalogue, or, with negative numbers, no longer."""
        self.files += files
        self.size += size
        group = number // _NEIGHBOURS
        files_before, size_before = self._neighbours.get(group, (0, 0))
        self._neighbours[group] = files_before + files, size_before + size

    def _stored_numbers(self, name: ProjectName, number: int) -> tuple[int, int]:
        """Return how many files a project of the catalogue was counted with, and their bytes, also if all about it is damaged."""
        data = self._stored(name, number)
        if data is not None:
            return resting(data).number, resting(data).size
        stored = self._catalogue and self._catalogue.project(name)
        if stored:
            return stored.files, stored.size
        group = number // _NEIGHBOURS
        start = group * _NEIGHBOURS
        flags = bytes(start) + self.at_rest.flags[start : start + _NEIGHBOURS]
        neighbours = [self._data(each) for each in self.at_rest.base.selected(flags)]
        known = [resting(each) for each in neighbours if each is not None]
        damaged = len(neighbours) - len(known)
        files, size = self._neighbours[group]
        # Each damaged one gets its share, and the last one what is left.
        return (
            (files - sum(each.number for each in known)) // damaged,
            (size - sum(each.size for each in known)) // damaged,
        )


def _digest(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest(), signed=True) or 1
