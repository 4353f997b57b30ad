"""Find changes without events (docs/measurements.md): compare what is there with what was there.

Two cadences, because an in-place write leaves its directory's mtime alone: the directories every time, every known file
every tenth time. What is withheld or changed in the last 2 s is looked at every time. Blocking; runs in a thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simpleindex.core.names import ProjectName
    from simpleindex.directory.layout.package_directory import PackageDirectory
    from simpleindex.directory.scan.snapshot import ProjectSnapshot


def sweep(
    directory: PackageDirectory, snapshots: Iterable[tuple[ProjectName, ProjectSnapshot]], *, thorough: bool
) -> list[ProjectName]:
    """Return the projects that must be looked at again."""
    return [name for name, snapshot in snapshots if is_outdated(directory, snapshot, thorough=thorough)]


def is_outdated(directory: PackageDirectory, snapshot: ProjectSnapshot, *, thorough: bool = False) -> bool:
    """Return whether the state of a project may have changed."""
    if snapshot.trouble or snapshot.young:
        return True
    if any(directory.stamp(path) != stamp for path, stamp in snapshot.stamps.items()):
        return True
    paths = snapshot.known if thorough else snapshot.known.withheld
    return any(directory.stamp(path) != snapshot.known[path].stamp for path in paths)
