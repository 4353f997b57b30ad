"""The plan of an import: which files of a project are fetched, which are here already, and which are refused. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.version import Version

from simpleindex.core.distribution_identity import identify
from simpleindex.core.names import Kind, distribution_suffix, parse_distribution_name
from simpleindex.core.text import human_size, shown

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from simpleindex.access.identity import UploadRules
    from simpleindex.core.files import File
    from simpleindex.core.model import Project, Withheld
    from simpleindex.core.names import ProjectName


@dataclass(frozen=True, slots=True)
class FilesHere:
    """What the directory has of a project, as far as the plan depends on it.

    Attributes:
        same: For each file of the source whose name is here: whether it has the same bytes; None if that shows only when the
            file was fetched.
        taken: For files whose names are not valid or cannot be used here: why, as a sentence without its end.
    """

    same: Mapping[str, bool | None] = field(default_factory=dict)
    taken: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RefusedFile:
    """A file that is not imported.

    Attributes:
        filename: Its name; empty if the whole project cannot be read.
        reason: Why, as a sentence without its end.
    """

    project: str
    filename: str
    reason: str


@dataclass(frozen=True, slots=True)
class ProjectPlan:
    """What is to be done about a project.

    Attributes:
        project: The project, as the source has it.
        fetched: Files that are to be fetched, in the order of versions.
        present: Files that are here already.
        refused: Files that are not imported.
    """

    project: Project
    fetched: tuple[File, ...]
    present: tuple[File, ...]
    refused: tuple[RefusedFile, ...]

    @property
    def size(self) -> int:
        """The bytes to be fetched, as far as they are stated."""
        return sum(file.size or 0 for file in self.fetched)


def plan_project(project: Project, here: FilesHere, rules: UploadRules) -> ProjectPlan:
    """Decide what is done about each file of a project."""
    refused = [RefusedFile(project.name, each.filename, _reason(each)) for each in project.withheld]
    fetched: list[File] = []
    present: list[File] = []
    first: dict[Hashable, str] = {}
    for file in project.files:
        if here.same.get(file.filename):
            present.append(file)
            continue
        reason = _refusal(file, project.name, here, rules, first)
        if reason is None:
            fetched.append(file)
        else:
            refused.append(RefusedFile(project.name, file.filename, reason))
    return ProjectPlan(project, tuple(fetched), tuple(present), tuple(refused))


def _reason(withheld: Withheld) -> str:
    """Return the reason without the file's name, which is printed before it, and without its end."""
    reason = withheld.reason.rstrip(".")
    for lead in (f"{withheld.filename}: ", f"{shown(withheld.filename)}: "):
        reason = reason.removeprefix(lead)
    return reason


def _refusal(
    file: File, project: ProjectName, here: FilesHere, rules: UploadRules, first: dict[Hashable, str]
) -> str | None:
    """Return why a file is not fetched; None if it is."""
    if here.same.get(file.filename) is False:
        return "another file of that name is here already, with other bytes"
    if file.filename in here.taken:
        return here.taken[file.filename]
    name = parse_distribution_name(file.filename, project)
    if not rules.local_versions and Version(name.version).local is not None:
        return f"its version {name.version} has a local part, and the access file refuses these"
    if excess := size_refusal(file.size or 0, rules):
        return excess
    # Old releases have sdists in several formats; two spellings of one name cannot be told apart.
    other = first.setdefault(
        (identify(name), distribution_suffix(file.filename) if name.kind is Kind.SDIST else ""), file.filename
    )
    if other != file.filename:
        return f"it is {other} under another name"
    return None


def size_refusal(size: int, rules: UploadRules) -> str | None:
    """Return why a file of this size is refused; None if it is not."""
    if not rules.max_file_size or size <= rules.max_file_size:
        return None
    return (
        f"it has {human_size(size)} or more, and max-file-size allows {human_size(rules.max_file_size)}; "
        "set it in the access file"
    )
