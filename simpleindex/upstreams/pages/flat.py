"""Split a flat page, which has the files of many projects (pip's ``--find-links``), into projects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import InvalidFilename
from simpleindex.core.model import Project
from simpleindex.core.names import ProjectName, parse_distribution_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.core.files import File
    from simpleindex.core.model import Withheld

FLAT_PAGE_NAME: Final = ProjectName(".page")
"""The name of a flat page where it is cached like a project's page; no project can have it."""


def page_name(name: ProjectName, *, is_flat: bool) -> ProjectName:
    """Return the name under which the page that lists a project is cached: its own, or that of an upstream's flat page."""
    return FLAT_PAGE_NAME if is_flat else name


def project_of(file: File) -> ProjectName:
    """Return the project of a file on a flat page; an ambiguous name is read like that of a file directly in a root."""
    return parse_distribution_name(file.filename).project


def split(page: Project, before: Mapping[ProjectName, Project]) -> dict[ProjectName, Project]:
    """Return the projects of a page, in the order of their names.

    Args:
        page: The page; its files are sorted.
        before: The projects of the page before; those that have not changed stay the same objects.
    """
    files: dict[ProjectName, list[File]] = {}
    withheld: dict[ProjectName, list[Withheld]] = {}
    for file in page.files:
        files.setdefault(project_of(file), []).append(file)
    for item in page.withheld:
        owner = _project_of_withheld(item.filename)
        if owner is not None:
            withheld.setdefault(owner, []).append(item)
    projects = {}
    for name in sorted({*files, *withheld}):
        project = Project(
            name,
            files.get(name, ()),
            tuple(withheld.get(name, ())),
            valid_until=page.valid_until,
            stale=page.stale,
        )
        earlier = before.get(name)
        projects[name] = earlier if earlier == project else project
    return projects


def _project_of_withheld(filename: str) -> ProjectName | None:
    """Return the project of a withheld file or link, which may have a suffix in capitals, or none, like an egg fragment."""
    for text in (filename, filename.lower(), f"{filename}.zip"):
        try:
            return parse_distribution_name(text).project
        except InvalidFilename:
            continue
    return None
