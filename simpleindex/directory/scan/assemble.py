"""What a project offers, decided from what was found of it in each directory of one `--path` that spells its name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from packaging.version import Version

from simpleindex.core.distribution_identity import normalized_filename, wheel_tags
from simpleindex.core.files import File, file_order
from simpleindex.core.model import Project, Status, Withheld
from simpleindex.core.names import DistributionName, Kind, distribution_suffix

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from simpleindex.core.names import ProjectName
    from simpleindex.directory.project_file import ProjectFile


@dataclass(frozen=True, slots=True)
class FileInPlace:
    """One distribution file in one place.

    Attributes:
        place: Where, opaque to this module and unique.
        rank: Which of two places is preferred for one file name; lower wins (the normalized directory is 0).
        outcome: The file as it would be listed, or why it cannot be.
    """

    place: str
    rank: int
    outcome: File | Withheld


def assemble_project(
    name: ProjectName, found: Iterable[FileInPlace], project_file: ProjectFile
) -> tuple[Project, Mapping[str, str]]:
    """Make a project of what was found.

    The same file name in two places: same bytes are one file; different bytes, the better place wins and the other is
    withheld. So it is with two spellings of one distribution's name. A quarantined project offers nothing (PEP 792), a yanked file says so (PEP 592).

    Returns:
        The project, and for each file name that it offers the place from which its bytes come.
    """
    chosen: dict[str, FileInPlace] = {}
    withheld: list[Withheld] = []
    for item in sorted(found, key=lambda item: (item.rank, item.place)):
        if isinstance(item.outcome, Withheld):
            withheld.append(item.outcome)
            continue
        first = chosen.setdefault(item.outcome.filename, item)
        if _file_of(first).sha256 != item.outcome.sha256:
            reason = f"{item.place} has the same name as {first.place} and other bytes; delete or rename one of them."
            withheld.append(Withheld(item.outcome.filename, reason, "duplicate"))
    if len(chosen) > 1:
        withheld += _withhold_ambiguous(name, chosen)
    if project_file.status is Status.QUARANTINED:
        withheld += [
            Withheld(file, f"{file} is not offered: the project {name} is quarantined.", "status")
            for file in chosen
        ]
        chosen = {}
    files = [_file_of(item) for item in chosen.values()]
    if project_file.yanked:
        files = [replace(file, yanked=project_file.yank_of(file)) for file in files]
    project = Project(
        name=name,
        files=sorted(files, key=file_order),
        withheld=tuple(sorted(withheld, key=lambda item: (item.filename, item.reason))),
        status=project_file.status,
        status_reason=project_file.reason,
    )
    return project, {filename: item.place for filename, item in chosen.items()}


def are_told_apart(name: ProjectName, found: Iterable[FileInPlace]) -> bool:
    """Return whether installers can distinguish these files of a project, so that all are offered."""
    return not _withhold_ambiguous(name, {_file_of(item).filename: item for item in found})


def _withhold_ambiguous(name: ProjectName, chosen: dict[str, FileInPlace]) -> list[Withheld]:
    """Withhold files that installers cannot distinguish from another one: two names of one distribution, with other bytes.

    Of such files the one in the better place is served; else the one whose name is normalized, so that two copies of a
    directory serve the same, whatever the files' times; else the first by name. Two sdists in different formats stay: old
    releases have them, and installers prefer one format.
    """
    groups: dict[tuple[object, ...], list[FileInPlace]] = {}
    versions: dict[str, Version] = {}
    for item in chosen.values():
        file = _file_of(item)
        if (version := versions.get(file.version)) is None:
            version = versions[file.version] = Version(file.version)
        what = wheel_tags(file.filename) if file.kind is Kind.WHEEL else distribution_suffix(file.filename)
        groups.setdefault((version, what), []).append(item)
    withheld = []
    for group in groups.values():
        first, *others = sorted(group, key=partial(_preference, name)) if len(group) > 1 else group
        for item in others:
            file = _file_of(item)
            if file.sha256 != _file_of(first).sha256:
                del chosen[file.filename]
                reason = (
                    f"{item.place} is the same distribution as {first.place} under another name, with other bytes: "
                    "installers cannot tell them apart. Delete one of them."
                )
                withheld.append(Withheld(file.filename, reason, "duplicate"))
    return withheld


def _preference(name: ProjectName, item: FileInPlace) -> tuple[int, bool, str]:
    file = _file_of(item)
    wanted = normalized_filename(DistributionName(file.filename, name, file.version, file.kind))
    return item.rank, file.filename != wanted, file.filename


def _file_of(item: FileInPlace) -> File:
    assert isinstance(item.outcome, File)  # what is withheld is never chosen
    return item.outcome
