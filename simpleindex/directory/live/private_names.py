"""Private names of which no project is served yet, or any more.

A request to another index for a private name reveals that the name exists, and takes what that index offers. A name becomes
private before its first file is whole: by a directory, by a copy on its way, by an upload. Names are remembered for good once
anything like a distribution was there. Everything here runs in the reactor's thread, unless it says otherwise.
"""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from simpleindex.core.errors import InvalidProjectName
from simpleindex.core.names import ProjectName, parse_project_name
from simpleindex.directory.layout.distribution_like import is_trace, traced_projects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

ENTRY: Final = "something of that name lies in the directory, and none of it is a distribution that is served"
UPLOAD: Final = "an upload of it is on its way"


class NameRecord(Protocol):
    """Remembers names for good; usable from any thread."""

    def is_stored(self, name: ProjectName) -> bool:
        """Return whether a name is remembered, as far as is known without reading."""
        ...

    def add(self, names: Iterable[ProjectName]) -> None:
        """Remember names; blocking where there are new ones."""
        ...


class NoRecord:
    """Remembers nothing: without other indexes, no name can get out."""

    def is_stored(self, name: ProjectName) -> bool:
        """Nothing has to be remembered."""
        del name
        return True

    def add(self, names: Iterable[ProjectName]) -> None:
        """There is nothing to do."""


class PrivateNames:
    """The names that a root takes, beyond the projects that it serves.

    Attributes:
        reserved: Raw names of entries by the project whose name they take; from the last survey.
        uploads: Numbers of uploads on their way, by project.
    """

    def __init__(self, record: NameRecord) -> None:
        self._record = record
        self.reserved: Mapping[ProjectName, str] = {}
        # Entries of the root that an event named, until a survey that began later has seen them or their absence.
        self._appeared: dict[str, tuple[ProjectName, ...]] = {}
        self._surveyed: dict[str, tuple[ProjectName, ...]] = {}
        self._traced: set[ProjectName] = set()
        self.uploads: Counter[ProjectName] = Counter()
        self._lock = threading.Lock()

    # What events tell

    def appeared(self, entries: Mapping[str, bool]) -> None:
        """Take note of entries of the root that were made or moved there; a survey must follow.

        Args:
            entries: Whether it is a directory, by raw name.
        """
        for raw, is_directory in entries.items():
            if names := _names_of(raw, is_directory=is_directory):
                self._appeared[raw] = names

    def heard(self, files: Mapping[str, Iterable[bytes]]) -> frozenset[str]:
        """Take note of names in projects' directories, from events.

        Args:
            files: The names, by the raw name of the directory.

        Returns:
            The directories in which something like a distribution was for the first time: they are to be looked at, which
            remembers their names.
        """
        found = set()
        for raw, filenames in files.items():
            with suppress(InvalidProjectName):
                name = parse_project_name(raw)
                if name in self._traced or self._record.is_stored(name):
                    continue
                if any(is_trace(filename.decode("utf-8", "replace")) for filename in filenames):
                    self._traced.add(name)
                    found.add(raw)
        return frozenset(found)

    # What looks tell

    def begin_survey(self) -> tuple[str, ...]:
        """Return the raw names of which a survey that begins now finds out whether they are gone again."""
        self._surveyed |= self._appeared
        self._appeared = {}
        return tuple(self._surveyed)

    def remember_surveyed(self, vanished: Iterable[str], traced: Iterable[ProjectName]) -> None:
        """Remember what a survey found, in its thread; blocking.

        Args:
            vanished: Raw names that were there and are gone, so that nobody can tell what lay in them.
            traced: Projects of which something like a distribution lies in the root itself.
        """
        gone = [name for raw in vanished for name in self._surveyed.get(raw, ())]
        self._record.add([*gone, *traced])

    def end_survey(self, reserved: Mapping[ProjectName, str]) -> bool:
        """Take what a survey found; return whether that is another than before."""
        is_new = self.reserved.keys() != reserved.keys() or bool(self._surveyed)
        self.reserved = reserved
        self._surveyed = {}
        return is_new

    def is_traced(self, name: ProjectName) -> bool:
        """Return whether an event named something like a distribution whose project is not remembered yet."""
        return name in self._traced

    def remember(self, names: Iterable[ProjectName]) -> None:
        """Remember names for good; in any thread, blocking."""
        self._record.add(names)

    def note_remembered(self, names: Iterable[ProjectName]) -> None:
        """Take note that these were looked at, and remembered where they are to be."""
        self._traced.difference_update(names)

    # What uploads tell

    def reserve(self, name: ProjectName) -> Callable[[], None]:
        """Take a name for an upload that is on its way; in any thread.

        Returns:
            What gives it back, once.
        """
        with self._lock:
            self.uploads[name] += 1
        held = [name]

        def release() -> None:
            with self._lock:
                if held:
                    self.uploads[held.pop()] -= 1
                    # A count of nothing would keep the name.
                    if not self.uploads[name]:
                        del self.uploads[name]

        return release


def _names_of(raw: str, *, is_directory: bool) -> tuple[ProjectName, ...]:
    """Return the project names that a new entry of the root makes private.

    An event does not tell a link from a file. What is no directory and not like a distribution is most often a temporary file of an
    editor: a link to a directory is found by the survey that the event leads to.
    """
    if is_directory:
        with suppress(InvalidProjectName):
            return (parse_project_name(raw),)
        return ()
    return traced_projects(raw)
