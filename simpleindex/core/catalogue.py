"""What a project offers, decided from what was found of it in every place where it lies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from simpleindex.core.files import PackedFiles
from simpleindex.core.model import File, Project, Status, Withheld, file_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from simpleindex.core.names import ProjectName
    from simpleindex.core.project_file import ProjectFile


@dataclass(frozen=True, slots=True)
class Found:
    """One distribution file in one place.

    Attributes:
        place: Where, opaque to this module and unique.
        rank: Which of two places is preferred for one file name; lower wins (the normalized directory is 0).
        outcome: The file as it would be listed, or why it cannot be.
    """

    place: str
    rank: int
    outcome: File | Withheld


def assemble(
    name: ProjectName, found: Iterable[Found], project_file: ProjectFile, generation: int = 0
) -> tuple[Project, Mapping[str, str]]:
    """Make a project of what was found.

    The same file name in two places: same bytes are one file; different bytes, the better place wins and the other is
    withheld (DESIGN section 4). A quarantined project offers nothing (PEP 792), a yanked file says so (PEP 592).

    Returns:
        The project, and for each file name that it offers the place from which its bytes come.
    """
    chosen: dict[str, tuple[File, str]] = {}
    withheld: list[Withheld] = []
    for item in sorted(found, key=lambda item: (item.rank, item.place)):
        if isinstance(item.outcome, Withheld):
            withheld.append(item.outcome)
            continue
        first, place = chosen.setdefault(item.outcome.filename, (item.outcome, item.place))
        if first.sha256 != item.outcome.sha256:
            reason = (
                f"{item.place} has the same name as {place} and other bytes; delete or rename one of them."
            )
            withheld.append(Withheld(item.outcome.filename, reason, "duplicate"))
    if project_file.status is Status.QUARANTINED:
        withheld += [
            Withheld(file, f"{file} is not offered: the project {name} is quarantined.", "status")
            for file in chosen
        ]
        chosen = {}
    files = [file for file, _ in chosen.values()]
    if project_file.yanked:
        files = [replace(file, yanked=project_file.yank_of(file)) for file in files]
    project = Project(
        name=name,
        files=PackedFiles(sorted(files, key=file_order)),
        withheld=tuple(sorted(withheld, key=lambda item: (item.filename, item.reason))),
        status=project_file.status,
        status_reason=project_file.reason,
        generation=generation,
    )
    return project, {filename: place for filename, (_, place) in chosen.items()}
