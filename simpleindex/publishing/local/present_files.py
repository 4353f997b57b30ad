"""The stored files of a project, and whether a new file may have its name. Blocking; called under the project's lock."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from io import FileIO
from typing import TYPE_CHECKING

from simpleindex.core.distribution_identity import same_distribution
from simpleindex.core.errors import CannotStore, Changed
from simpleindex.core.faults import Fault
from simpleindex.directory.layout.package_directory import PackageDirectory
from simpleindex.directory.ledger import UNKNOWN_DIGEST
from simpleindex.directory.ledger_files import used_names_of
from simpleindex.publishing.errors import AlreadyExists, NameUsed
from simpleindex.system.stamp import Stamp

if TYPE_CHECKING:
    from simpleindex.core.names import DistributionName, ProjectName
    from simpleindex.directory.layout.directory_listings import DirectoryEntry
    from simpleindex.publishing.local.locked_project import LockedProject


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a project that is stored.

    Attributes:
        path: Its path, relative to the root.
        sha256: Lower-case hex digest.
        created: Whether this change created it; False if the same bytes were stored before.
    """

    path: str
    sha256: str
    created: bool


class MomentaryDirectory(PackageDirectory):
    """A directory whose places of a project are looked up once, for work on many of its files that takes a moment."""

    def __init__(self, directory: PackageDirectory) -> None:
        self.__dict__.update(directory.__dict__)
        self._places: dict[ProjectName, tuple[tuple[str, ...], tuple[str, ...]]] = {}

    def places_of(self, project: ProjectName) -> tuple[tuple[str, ...], tuple[str, ...]]:
        if project not in self._places:
            self._places[project] = super().places_of(project)
        return self._places[project]


def served_entries(directory: PackageDirectory, place: LockedProject, filename: str) -> list[DirectoryEntry]:
    """Return the files of this name that can be served, the preferred one first.

    Raises:
        CannotStore: A file that cannot be served has the path that a new one would have.
    """
    entries = directory.entries_of(directory.places_of(place.name), filename)
    for entry in entries:
        if entry.trouble and entry.path == f"{place.name}/{filename}":
            raise CannotStore(f"{entry.path} is in the way: {entry.trouble}.", fault=Fault.MISPLACED)
    return [entry for entry in entries if not entry.trouble]


def require_name(
    directory: PackageDirectory, name: DistributionName, *, overwrite: bool, formats_may_differ: bool
) -> None:
    """Refuse a new file's name if the distribution exists under another one, or if it was used before.

    Args:
        directory: The root.
        name: The new file's name, parsed.
        overwrite: Whether a name that was used before may be used again. A file of another name is never replaced: the
            project would have both then.
        formats_may_differ: As in :func:`require_new`.

    Raises:
        AlreadyExists: It exists.
        NameUsed: It was used before.
        Changed: A file is being changed.
        OSError: The directory cannot be read.
    """
    require_new(directory, name, formats_may_differ=formats_may_differ)
    if not overwrite:
        require_unused(directory, name, formats_may_differ=formats_may_differ)


def require_new(directory: PackageDirectory, name: DistributionName, *, formats_may_differ: bool) -> None:
    """Refuse a name if the same distribution exists under another one.

    Args:
        directory: The root.
        name: The new file's name, parsed.
        formats_may_differ: Whether the release may have an sdist in another format.

    Raises:
        AlreadyExists: It exists.
        Changed: A file is being changed.
        OSError: The directory cannot be read.
    """
    places = directory.places_of(name.project)
    names = directory.filenames_of(places)
    for filename in same_distribution(name, names, formats_may_differ=formats_may_differ):
        for entry in directory.entries_of(places, filename):
            if not entry.trouble:
                raise AlreadyExists(filename, digest_of(directory, entry), name.filename)


def require_unused(directory: PackageDirectory, name: DistributionName, *, formats_may_differ: bool) -> None:
    """Refuse a name if a deleted file had it, or another spelling of it; arguments as in :func:`require_new`.

    Raises:
        NameUsed: It was used.
        OSError: The directory cannot be read.
    """
    used = used_names_of(directory, name.project)
    if name.filename in used:
        raise NameUsed(name.filename)
    for filename in same_distribution(name, used, formats_may_differ=formats_may_differ):
        raise NameUsed(filename, name.filename)


def digest_of(directory: PackageDirectory, entry: DirectoryEntry) -> str:
    """Return the sha256, in lower-case hex, of a file that has no trouble.

    Raises:
        Changed: It changed meanwhile.
        OSError: It cannot be read.
    """
    assert entry.stamp is not None  # it has no trouble
    with FileIO(directory.open_file(entry.path, entry.stamp), "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        if not Stamp.of(os.fstat(file.fileno())).may_be(entry.stamp):
            raise Changed(entry.filename)
    return digest


def digest_if_readable(directory: PackageDirectory, entry: DirectoryEntry) -> str:
    """Return the digest as :func:`digest_of` does, or ``-`` for a file that cannot be read."""
    if entry.trouble:
        return UNKNOWN_DIGEST
    try:
        return digest_of(directory, entry)
    except (OSError, Changed):
        return UNKNOWN_DIGEST
