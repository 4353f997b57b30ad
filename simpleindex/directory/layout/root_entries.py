"""Entries of the root that are neither projects' directories nor distributions, and the names that they reserve."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from simpleindex.core.errors import InvalidFilename
from simpleindex.core.names import parse_distribution_name
from simpleindex.core.text import printable
from simpleindex.directory.layout.distribution_like import traced_projects
from simpleindex.directory.layout.unserved_files import PassedOver

if TYPE_CHECKING:
    import os

    from simpleindex.core.names import ProjectName


class EntryKind(Enum):
    """What an entry of the root is, links followed."""

    DIRECTORY = "directory"
    OTHER = "other"
    UNKNOWN = "unknown"


class OtherEntries:
    """Entries of the root that are neither projects' directories nor distributions.

    Attributes:
        reserved: As in :class:`~simpleindex.directory.layout.directory_listings.RootListing`.
        traced: The same.
        unnamed: Raw names of directories whose names are no project's.
        passed_over: What is not served.
    """

    def __init__(self) -> None:
        self.reserved: dict[ProjectName, str] = {}
        self.traced: set[ProjectName] = set()
        self.unnamed: list[str] = []
        self.passed_over = PassedOver()

    def take_file(self, filename: str) -> None:
        """Take note of a file, also of one under a temporary name."""
        self.passed_over.judge(printable(filename), filename)
        for project in traced_projects(filename):
            self.reserved.setdefault(project, filename)
            self.traced.add(project)


def kind_of(entry: os.DirEntry[str]) -> EntryKind:
    """Return what an entry is; of a link, what it leads to."""
    try:
        if entry.is_dir():
            return EntryKind.DIRECTORY
        if entry.is_symlink():
            entry.stat()
    except OSError:
        # A link to nothing, a loop of links, or a link to where this user may not look.
        return EntryKind.UNKNOWN
    return EntryKind.OTHER


def is_directory(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a directory, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:
        # A loop of links, or a link to where this user may not look.
        return False


def is_of_project(filename: str, project: ProjectName) -> bool:
    """Return whether a file directly in the root is one of a project."""
    try:
        return parse_distribution_name(filename).project == project
    except InvalidFilename:
        return False
