"""Read which file names are used up by deleted files, from the ledgers of a project. Blocking."""

from __future__ import annotations

import os
from io import FileIO
from typing import TYPE_CHECKING

from simpleindex.core.names import LEDGER, ProjectName
from simpleindex.directory.ledger import used_names

if TYPE_CHECKING:
    from simpleindex.directory.layout.package_directory import PackageDirectory


def used_names_of(directory: PackageDirectory, project: ProjectName) -> frozenset[str]:
    """Return the file names that deleted files of a project had.

    Raises:
        OSError: A ledger cannot be read.
    """
    return frozenset().union(*(used_names(read_ledger(path)[0]) for path in ledger_paths(directory, project)))


def ledger_paths(directory: PackageDirectory, project: ProjectName) -> list[str]:
    """Return the path of the ledger in each directory of a project; a directory may have been renamed since."""
    directories, _ = directory.places_of(project)
    return [os.path.join(directory.root, raw, LEDGER) for raw in directories]


def read_ledger(path: str) -> tuple[bytes, os.stat_result | None]:
    """Return a ledger's content and state; empty and None if there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return b"", None
    with FileIO(descriptor, "rb") as file:
        return file.readall(), os.fstat(descriptor)
