"""A directory of packages as pypiserver serves it, or pypicloud's bucket or directory: distributions at any depth. Blocking."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from simpleindex.core.errors import InvalidFilename, InvalidProjectName
from simpleindex.core.files import File, file_order
from simpleindex.core.model import Project, Withheld
from simpleindex.core.names import distribution_suffix, parse_distribution_name, parse_project_name
from simpleindex.migration.file_source import FileSource, PackageFiles
from simpleindex.migration.people import NOBODY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simpleindex.core.names import DistributionName, ProjectName
    from simpleindex.migration.local_files import TreeFile
    from simpleindex.migration.people import ImportedPeople


class PackageTree(FileSource[PackageFiles]):
    """A tree of distributions, whose file names and directories say which projects they are of.

    pypiserver takes them from any depth. pypicloud's keys are ``PREFIX/NAME/FILE`` in a bucket, where PREFIX is four digits of a
    hash or missing, and ``NAME/VERSION/FILE`` on a disk.

    Args:
        directory: The tree, on this machine or in a bucket.
        label: Its name in notes and messages.

    Raises:
        InvalidImportSource: A directory cannot be read.
    """

    def __init__(self, directory: PackageFiles, label: str) -> None:
        super().__init__(directory)
        self.label = label
        self._files: dict[ProjectName, list[File]] = defaultdict(list)
        self._refused: dict[ProjectName, list[Withheld]] = defaultdict(list)
        for each in directory.walk():
            if distribution_suffix(each.path):
                self._add(each)

    def _add(self, found: TreeFile) -> None:
        path = found.path
        filename = posixpath.basename(path)
        try:
            name = _parsed(path, filename)
        except InvalidFilename as error:
            # Of no project; the name of its directory is the next best place for the sentence.
            self._refused[_project_of(path)].append(Withheld(path, error.reason, "name"))
            return
        if filename in self._paths[name.project]:
            reason = f"{self._paths[name.project][filename]} has the same name and comes first"
            self._refused[name.project].append(Withheld(path, reason, "duplicate"))
            return
        self._paths[name.project][filename] = path
        self._files[name.project].append(
            File(filename, name.version, name.kind, found.size, None, found.modified_ns)
        )

    def projects(self) -> Sequence[ProjectName]:
        """Return the names of the projects."""
        return sorted({*self._files, *self._refused})

    def project(self, name: ProjectName) -> Project:
        """Return a project; pypicloud states digests."""
        paths = self._paths.get(name, {})
        files = (
            replace(file, sha256=self._directory.stated_sha256(paths[file.filename]))
            for file in self._files.get(name, ())
        )
        return Project(name, sorted(files, key=file_order), tuple(self._refused.get(name, ())))

    def people(self) -> ImportedPeople:
        """Return nobody: users are in a file elsewhere."""
        return NOBODY


def _parsed(path: str, filename: str) -> DistributionName:
    """Parse a file's name; the directories above it decide where the name of an old sdist is split."""
    for directory in reversed(path.split("/")[:-1]):
        try:
            return parse_distribution_name(filename, parse_project_name(directory))
        except (InvalidProjectName, InvalidFilename):
            continue
    return parse_distribution_name(filename)


def _project_of(path: str) -> ProjectName:
    for directory in reversed(path.split("/")[:-1]):
        try:
            return parse_project_name(directory)
        except InvalidProjectName:
            continue
    return parse_project_name("unnamed")
