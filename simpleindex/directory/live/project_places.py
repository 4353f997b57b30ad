"""The places of the projects of a directory; most lie in one directory that has their name, and take little memory."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from simpleindex.directory.scan.name_sets import NameSet, RemainingNames, SortedNames, sorted_in_parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from simpleindex.core.names import ProjectName
    from simpleindex.directory.layout.directory_listings import RootListing


class Places(NamedTuple):
    """The places of one project.

    Attributes:
        directories: Raw names of its directories, the normalized one first.
        loose: Names of its files directly in the root.
    """

    directories: tuple[str, ...]
    loose: tuple[str, ...] = ()


class ProjectPlaces:
    """The places of all projects; never changed, only replaced.

    Args:
        plain: The projects that lie in one directory, which has the normalized name.
        others: The places of the others.
    """

    def __init__(
        self, plain: NameSet | None = None, others: Mapping[ProjectName, Places] | None = None
    ) -> None:
        self._plain = NameSet() if plain is None else plain
        self.others = others or {}

    @classmethod
    def listed(cls, survey: RootListing, base: SortedNames) -> ProjectPlaces:
        """Return the places that a survey found; in a thread.

        Args:
            survey: What it found.
            base: Names of which most are expected: those of the catalogue, or of the survey before. Where it has less than half,
                the places have a base of their own: by it they are compared at once with those of the next survey.
        """
        directories, loose = survey.directories, survey.loose
        plain = {name for name, raw in directories.items() if raw == (name,) and name not in loose}
        others = {
            name: Places(directories.get(name, ()), loose.get(name, ()))
            for name in chain(directories, (name for name in loose if name not in directories))
            if name not in plain
        }
        names = NameSet.of(base, plain)
        if 2 * names.numbers < len(plain):
            names = NameSet.of(SortedNames.of(sorted_in_parts([*plain])), plain)
        return cls(names, others)

    @property
    def base(self) -> SortedNames:
        """The names of which most are plain projects."""
        return self._plain.base

    def of(self, name: ProjectName) -> Places:
        """Return the places of a project; of one that is not there, the place where it would be."""
        return self.others.get(name) or Places((name,))

    def only_directory(self, name: ProjectName) -> str | None:
        """Return the raw name of the one directory in which a project lies; None if it lies in several, or in the root too."""
        if name in self._plain:
            return name
        places = self.others.get(name)
        return places.directories[0] if places and len(places.directories) == 1 and not places.loose else None

    def __contains__(self, name: object) -> bool:
        return name in self._plain or name in self.others

    def __iter__(self) -> Iterator[ProjectName]:
        yield from self._plain
        yield from self.others

    def __len__(self) -> int:
        return len(self._plain) + len(self.others)

    def has_names_of(self, before: ProjectPlaces) -> bool:
        """Return whether these are the places of the same projects, and the plain ones the same."""
        return (
            self.others.keys() == before.others.keys()
            and len(self._plain) == len(before._plain)
            and not self._plain.difference(before._plain)
        )

    def remaining(self) -> RemainingNames:
        """Return the names of all projects, as the set of those that remain to be read."""
        return RemainingNames(self._plain, self.others)

    def missing_in(self, at_rest: NameSet) -> set[ProjectName]:
        """Return the projects that are not at rest."""
        return self._plain.difference(at_rest).union(name for name in self.others if name not in at_rest)

    def changed(self, before: ProjectPlaces) -> set[ProjectName]:
        """Return the projects that lie elsewhere than before, and those of which files lie in the root, which may have changed."""
        others = {*self.others, *before.others}
        return {
            *self._plain.difference(before._plain),
            *before._plain.difference(self._plain),
            *(name for name in others if self.others.get(name) != before.others.get(name)),
            *(name for name, places in self.others.items() if places.loose),
        }
