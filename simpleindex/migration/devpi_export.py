"""The tree that ``devpi-export`` (``devpi-server --export``) writes: ``dataindex.json``, and files below ``USER/INDEX``. Blocking."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from simpleindex.core import bounds
from simpleindex.core.errors import InvalidProjectName
from simpleindex.core.files import file_order
from simpleindex.core.model import Project
from simpleindex.core.names import parse_project_name
from simpleindex.core.parsing.json_text import load_json, text_in
from simpleindex.core.text import one_of, printable, shown
from simpleindex.migration.devpi_pages import devpi_upload_time, people_of_index, stated_hashes
from simpleindex.migration.errors import InvalidImportSource, NotImported
from simpleindex.migration.file_source import FileSource
from simpleindex.migration.people import ImportedUser
from simpleindex.upstreams.pages.entries import judged_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from simpleindex.core.names import ProjectName
    from simpleindex.migration.local_files import SourceDirectory
    from simpleindex.migration.people import ImportedPeople

DATA_INDEX: Final = "dataindex.json"
_LARGEST: Final = 1 << 30
"""Bytes of that file: some 2 KB for each release."""

_FORMATS: Final = frozenset({"1", "2"})
_BASE: Final = "http://export.invalid/"


class DevpiExport(FileSource["SourceDirectory"]):
    """One index of an export.

    Args:
        directory: What the export was written into.
        index: ``USER/NAME``; None for the only index that has files.

    Raises:
        InvalidImportSource: It is no export, or has no such index, or several.
    """

    def __init__(self, directory: SourceDirectory, index: str | None) -> None:
        super().__init__(directory)
        data = _read(directory)
        indexes = {
            name: each for name, each in _tables(data.get("indexes")) if isinstance(each.get("files"), list)
        }
        self._name = _chosen(index, indexes, directory.root)
        self.label = f"{directory.root} ({self._name})"
        self._index = indexes[self._name]
        self._users = tuple(
            ImportedUser(name, text_in(user.get("pwhash"))) for name, user in _tables(data.get("users"))
        )
        self._entries: dict[ProjectName, list[dict[str, Any]]] = defaultdict(list)
        self._documents = 0
        for entry in self._index["files"]:
            if isinstance(entry, dict):
                self._add(entry)

    def _add(self, entry: Mapping[str, Any]) -> None:
        path, project = entry.get("relpath"), entry.get("projectname")
        if entry.get("type") != "releasefile":
            self._documents += 1
            return
        if not isinstance(path, str) or not isinstance(project, str):
            return
        try:
            name = parse_project_name(project)
        except InvalidProjectName:
            return
        filename = os.path.basename(path)
        mapping = entry.get("entrymapping")
        self._paths[name].setdefault(filename, path)
        self._entries[name].append(
            {
                "filename": filename,
                "url": _BASE,
                "hashes": stated_hashes(mapping if isinstance(mapping, dict) else {}),
                "upload-time": devpi_upload_time(entry.get("log")),
                "size": self._size(path),
                "yanked": self._yanked(project, entry.get("version")),
            }
        )

    def _size(self, path: str) -> int | None:
        try:
            return self._directory.size(path)
        except NotImported:
            # Opening it raises the error.
            return None

    def _yanked(self, project: str, version: object) -> object:
        projects = dict(_tables(self._index.get("projects")))
        return dict(_tables(projects.get(project))).get(str(version), {}).get("yanked")

    def projects(self) -> Sequence[ProjectName]:
        """Return the names of the projects that have files."""
        return sorted(self._entries)

    def project(self, name: ProjectName) -> Project:
        """Return a project."""
        files, withheld = judged_files(self._entries[name], _BASE, name, "devpi")
        return Project(name, sorted(files, key=file_order), tuple(withheld))

    def people(self) -> ImportedPeople:
        """Return the users of the server, with their hashes, and the rights on the index."""
        config = self._index.get("indexconfig")
        people = people_of_index(self._name, config if isinstance(config, dict) else {}, self._users)
        if not self._documents:
            return people
        note = f"Documentation and test results are not imported; the export has {self._documents:,} of them."
        return replace(people, notes=(*people.notes, note))


def _read(directory: SourceDirectory) -> dict[str, Any]:
    where = f"{printable(directory.root)}/{DATA_INDEX}"
    try:
        data = load_json(directory.text(DATA_INDEX, _LARGEST).decode("utf-8-sig"), bounds.EXPORT_VALUES)
    except NotImported as error:
        raise InvalidImportSource(f"{where}: {error.reason}.") from None
    except ValueError as error:
        raise InvalidImportSource(f"{where} is no JSON that can be read: {error}.") from None
    if not isinstance(data, dict) or str(data.get("dumpversion")) not in _FORMATS:
        raise InvalidImportSource(
            f"{where} is not in the format of devpi-server 2 to 6 (dumpversion 1 or 2); export it with one of these."
        )
    return data


def _chosen(index: str | None, indexes: Mapping[str, Any], root: str) -> str:
    with_files = [name for name, each in indexes.items() if each["files"]]
    if index is not None:
        if index not in indexes:
            raise InvalidImportSource(
                f"{root} has no index {shown(index)} with files{one_of(index, with_files)}"
            )
        return index
    if len(with_files) == 1:
        return with_files[0]
    if not with_files:
        raise InvalidImportSource(f"{root} has no index with files.")
    names = ", ".join(map(printable, with_files))
    raise InvalidImportSource(f"{root} has several indexes with files; choose one with --index: {names}.")


def _tables(value: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(value, Mapping):
        yield from ((name, each) for name, each in value.items() if isinstance(each, Mapping))
