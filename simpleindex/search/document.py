"""What is indexed of a project: the facts and the text in the core metadata of one distribution."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from packaging.requirements import InvalidRequirement
from packaging.utils import canonicalize_name

from simpleindex.core.errors import InvalidProjectName
from simpleindex.core.metadata import description_body, header_fields
from simpleindex.core.names import parse_project_name
from simpleindex.core.parsing.address_texts import parse_addresses
from simpleindex.core.parsing.version_texts import parse_requirement
from simpleindex.search.folding import collapse, fold

if TYPE_CHECKING:
    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName

LONGEST_TEXT: Final = 16_384
"""Characters of a description that are indexed; of the public index's, nine in ten are shorter."""

_LONGEST_FACT: Final = 500
_MOST_REQUIREMENTS: Final = 500
_MOST_CLASSIFIERS: Final = 100
_INDENT: Final = re.compile(r"(?:\r\n|\r|\n)(?:[ ]{7}\||[ \t]*)")
_NAMES: Final = frozenset({"author", "maintainer"})
_ADDRESSES: Final = frozenset({"author-email", "maintainer-email"})


class Dependency(NamedTuple):
    """A requirement of a project.

    Attributes:
        project: What is required.
        requirement: As the metadata write it (PEP 508).
    """

    project: ProjectName
    requirement: str


class Document(NamedTuple):
    """What is indexed of a project.

    Attributes:
        project: Its name, normalized.
        title: Its name as the metadata spell it.
        summary: One line.
        keywords: As the metadata write them.
        authors: Names and addresses of authors and maintainers.
        text: Classifiers and description, folded and bounded.
        written: What excerpts are cut from, as the metadata write it: the keywords, the description and each classifier on lines.
        requires_python: Specifiers; None if there are none.
        dependencies: One for each required project.
    """

    project: ProjectName
    title: str
    summary: str = ""
    keywords: str = ""
    authors: str = ""
    text: str = ""
    written: str = ""
    requires_python: str | None = None
    dependencies: tuple[Dependency, ...] = ()


def document_of(project: ProjectName, file: File, metadata: bytes | None) -> Document:
    """Return what is indexed of a project.

    Args:
        project: Its name.
        file: The distribution that represents it.
        metadata: Its core metadata; None if it has none, so that only the name can be found.

    Raises:
        InvalidMetadata: The headers are endless.
    """
    if metadata is None:
        return Document(project, project, requires_python=file.requires_python)
    fields: dict[str, list[str]] = {}
    for name, value in header_fields(metadata):
        fields.setdefault(name.decode("ascii", "replace").lower(), []).append(
            value.decode("utf-8", "replace")
        )
    title = _line(fields, "name")
    if str(canonicalize_name(title)) != project:
        title = project
    classifiers = fields.get("classifier", [])[:_MOST_CLASSIFIERS]
    keywords, description = _line(fields, "keywords"), _description(fields, metadata)
    text = "\n".join((*classifiers, description))
    return Document(
        project,
        title,
        _line(fields, "summary"),
        keywords,
        _authors(fields),
        fold(text[:LONGEST_TEXT]),
        "\n".join(map(collapse, (keywords, description[:LONGEST_TEXT], *classifiers)))[: 2 * LONGEST_TEXT],
        file.requires_python,
        tuple(_dependencies(fields.get("requires-dist", [])[:_MOST_REQUIREMENTS])),
    )


def _line(fields: dict[str, list[str]], name: str) -> str:
    value = fields.get(name, [""])[0]
    line = " ".join(value[:_LONGEST_FACT].split())
    return "" if line == "UNKNOWN" else line


def _description(fields: dict[str, list[str]], metadata: bytes) -> str:
    """Return the description: the body, or the header of old metadata, in which its lines are indented."""
    header = fields.get("description", [""])[0]
    if header.strip():
        return _INDENT.sub("\n", header[: 2 * LONGEST_TEXT])
    return description_body(metadata)[: 4 * LONGEST_TEXT].decode("utf-8", "replace")


def _authors(fields: dict[str, list[str]]) -> str:
    names = [_line(fields, name) for name in sorted(_NAMES)]
    for name in sorted(_ADDRESSES):
        for value in fields.get(name, [])[:1]:
            names += [part for pair in parse_addresses(value[:_LONGEST_FACT]) for part in pair]
    return ", ".join(dict.fromkeys(name for name in names if name and name != "UNKNOWN"))


def _dependencies(requirements: list[str]) -> list[Dependency]:
    """Return the requirements by project; of several for one project the first."""
    dependencies: dict[ProjectName, Dependency] = {}
    for text in requirements:
        line = " ".join(text.split())
        try:
            name = parse_project_name(parse_requirement(line).name)
        except (InvalidRequirement, InvalidProjectName):
            continue
        dependencies.setdefault(name, Dependency(name, line))
    return list(dependencies.values())
