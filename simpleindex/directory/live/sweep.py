"""Finding changes where nothing tells of them (docs/measurements.md): compare what is there with what was there.

Two cadences, because an in-place write leaves its directory's mtime alone: the directories every time, every known file
every tenth time. What is withheld or changed in the last 2 s is looked at every time. Blocking; runs in a thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simpleindex.core.names import ProjectName
    from simpleindex.directory.layout.package_directory import PackageDirectory
    from simpleindex.directory.scan.scanner import ProjectSnapshot


def sweep(
    directory: PackageDirectory, shelves: Iterable[tuple[ProjectName, ProjectSnapshot]], *, thorough: bool
) -> list[ProjectName]:
    """Name the projects that must be looked at again.

    Args:
        directory: Where they lie.
        shelves: What is known of each.
        thorough: Whether to compare every known file.
    """
    return [name for name, shelf in shelves if is_outdated(directory, shelf, thorough=thorough)]


def is_outdated(directory: PackageDirectory, shelf: ProjectSnapshot, *, thorough: bool = False) -> bool:
    """Whether what is known of one project need no longer be true."""
    if shelf.trouble or shelf.young:
        return True
    if any(directory.stamp(path) != stamp for path, stamp in shelf.stamps.items()):
        return True
    paths = shelf.known if thorough else shelf.known.withheld
    return any(directory.stamp(path) != shelf.known[path].stamp for path in paths)
