"""One page with the files of many projects, as for pip's ``--find-links``: taken apart by project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import InvalidFilename
from simpleindex.core.model import Project
from simpleindex.core.names import ProjectName, parse_distribution_name
from simpleindex.core.packed import PackedFiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.core.model import File, Withheld

FLAT_PAGE: Final = ProjectName(".page")
"""What the page is called where it is kept like a project's; no project is called so."""


def project_of(file: File) -> ProjectName:
    """Whose a file of a page is; a name that could be split in several ways is split as that of a file directly in a root."""
    return parse_distribution_name(file.filename).project


def split(page: Project, before: Mapping[ProjectName, Project]) -> dict[ProjectName, Project]:
    """The projects of a page, in the order of their names.

    Args:
        page: Its files are sorted.
        before: The projects of the page that it takes the place of; those that are as they were are the same objects.
    """
    files: dict[ProjectName, list[File]] = {}
    withheld: dict[ProjectName, list[Withheld]] = {}
    for file in page.files:
        files.setdefault(project_of(file), []).append(file)
    for item in page.withheld:
        owner = _project_of_withheld(item.filename)
        if owner is not None:
            withheld.setdefault(owner, []).append(item)
    found = {}
    for name in sorted({*files, *withheld}):
        project = Project(
            name,
            PackedFiles(files.get(name, ())),
            tuple(withheld.get(name, ())),
            generation=page.generation,
            valid_until=page.valid_until,
            stale=page.stale,
        )
        known = before.get(name)
        found[name] = known if known == project else project
    return found


def _project_of_withheld(filename: str) -> ProjectName | None:
    """Whose a withheld file or link is: it may have a suffix in capitals, or be named as an egg fragment is, without any."""
    for text in (filename, filename.lower(), f"{filename}.zip"):
        try:
            return parse_distribution_name(text).project
        except InvalidFilename:
            continue
    return None
