"""The core metadata of a release as pages show them, with a bound on descriptions (PyPUG "core-metadata"). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement

from simpleindex.core.errors import InvalidMetadata, InvalidProjectName
from simpleindex.core.metadata import description_body, header_fields
from simpleindex.core.names import parse_project_name
from simpleindex.core.parsing.address_texts import parse_addresses
from simpleindex.core.parsing.version_texts import parse_requirement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simpleindex.core.names import ProjectName

LONGEST_DESCRIPTION: Final = 512 * 1024
"""Characters of a description that are shown. The longest on the public index have some 300 KiB."""

LONGEST_LICENSE: Final = 20_000
"""Characters of a licence that stands in the metadata itself, whose text older tools copied there; GPL's has 35,000."""

_SHORT_LICENSE: Final = 100
"""Characters of the field License that are its name; what is longer is its text."""

_LONGEST: Final = 2_000
_MOST: Final = 500
_BEFORE_LICENSE_DIRECTORIES: Final = frozenset({"", "1.0", "1.1", "1.2", "2.0", "2.1", "2.2", "2.3"})
_EXTRA: Final = re.compile(
    r"""\bextra\s*==\s*(?:"([^"]+)"|'([^']+)')|(?:"([^"]+)"|'([^']+)')\s*==\s*extra\b"""
)
_CLAUSE_BEFORE: Final = re.compile(r"\band\Z")
_CLAUSE_AFTER: Final = re.compile(r"\Aand\b")
_OTHERWISE: Final = re.compile(r"\bor\b|\bextra\b|[()]")

_INDENT: Final = re.compile(r"(?:\r\n|\r|\n)(?:[ ]{7}\||[ \t]*)")


@dataclass(frozen=True, slots=True)
class Person:
    """An author or a maintainer.

    Attributes:
        name: May be empty.
        email: May be empty.
    """

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Requirement:
    """A dependency.

    Attributes:
        text: As the metadata write it (PEP 508), without the extra of its marker.
        project: The required project; None if the text cannot be parsed, or has a URL where it is taken from.
        extra: The extra that needs it; empty for all.
    """

    text: str
    project: ProjectName | None
    extra: str = ""


@dataclass(frozen=True, slots=True)
class ReleaseMetadata:
    """The metadata of a release.

    Attributes:
        name: The project, as its author writes it.
        summary: One line.
        license: An SPDX expression, or what older metadata say, in a field or in classifiers.
        license_text: The text of a licence that stands where its name should.
        license_files: Paths of the licences in the distribution, as the metadata state them.
        has_license_directory: Whether these are in the directory that PEP 639 gives them; older wheels have them anywhere.
        people: Authors and maintainers.
        urls: Labels and addresses: http, https and mailto only.
        requires_python: A version specifier, or nothing.
        keywords: Words, or several that belong together.
        classifiers: Trove classifiers.
        extras: Their names.
        requirements: The dependencies, in their order.
        has_dynamic_requirements: Whether building the sdist can add others (PEP 643).
        is_description_cut: Whether there is more of it (:data:`LONGEST_DESCRIPTION`).
        description_type: Its content type, or nothing.
    """

    name: str = ""
    summary: str = ""
    license: str = ""
    license_text: str = ""
    license_files: tuple[str, ...] = ()
    has_license_directory: bool = False
    people: tuple[Person, ...] = ()
    urls: tuple[tuple[str, str], ...] = ()
    requires_python: str = ""
    keywords: tuple[str, ...] = ()
    classifiers: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    requirements: tuple[Requirement, ...] = ()
    has_dynamic_requirements: bool = False
    description: str = ""
    is_description_cut: bool = False
    description_type: str = ""


NO_METADATA: Final = ReleaseMetadata()
"""Of a release without metadata, or with metadata that cannot be read."""


def parse_release_metadata(data: bytes) -> ReleaseMetadata:
    """Parse core metadata leniently: what cannot be understood is left out.

    Args:
        data: METADATA or PKG-INFO.
    """
    try:
        fields = MetadataFields(data)
        body = description_body(data)
    except InvalidMetadata:
        return NO_METADATA
    license_name, license_text = _license(fields)
    return ReleaseMetadata(
        name=fields.line("name"),
        summary=fields.line("summary"),
        license=license_name,
        license_text=license_text,
        license_files=fields.lines("license-file"),
        has_license_directory=fields.line("metadata-version") not in _BEFORE_LICENSE_DIRECTORIES,
        people=tuple(dict.fromkeys(islice(_people(fields), _MOST))),
        urls=tuple(dict.fromkeys(_urls(fields))),
        requires_python=fields.line("requires-python"),
        keywords=_keywords(fields.line("keywords")),
        classifiers=fields.lines("classifier"),
        extras=fields.lines("provides-extra"),
        requirements=tuple(map(_requirement, fields.lines("requires-dist"))),
        has_dynamic_requirements="requires-dist" in map(str.lower, fields.lines("dynamic")),
        description=read_description(fields, body),
        is_description_cut=_is_cut(fields.text("description")) or _is_cut(body.decode("utf-8", "replace")),
        description_type=fields.line("description-content-type"),
    )


class MetadataFields:
    """The header fields by their names in lower case; a bounded number of each.

    Args:
        data: METADATA or PKG-INFO.

    Raises:
        InvalidMetadata: The headers are endless.
    """

    def __init__(self, data: bytes) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in header_fields(data):
            values = self._values.setdefault(name.decode("ascii", "replace").lower(), [])
            if len(values) < _MOST:
                values.append(value.decode("utf-8", "replace"))

    def line(self, name: str) -> str:
        """Return a field on one line."""
        return next(iter(self.lines(name)), "")

    def lines(self, name: str) -> tuple[str, ...]:
        """Return all fields of a name, each on one line."""
        lines = (" ".join(value[:_LONGEST].split()) for value in self._values.get(name, ()))
        return tuple(line for line in lines if line and line != "UNKNOWN")

    def text(self, name: str) -> str:
        """Return a field as it is written."""
        return self._values.get(name, [""])[0]


def _keywords(text: str) -> tuple[str, ...]:
    """Split keywords at commas, as the field is specified; older ones have blanks alone, or semicolons."""
    separator = next((each for each in ",;" if each in text), None)
    words = (word.strip() for word in text.split(separator))
    return tuple(dict.fromkeys(word for word in words if word))


def _license(fields: MetadataFields) -> tuple[str, str]:
    """Return the name of the licence, and its text where that stands in the field for its name."""
    if expression := fields.line("license-expression"):
        return expression, ""
    written = fields.line("license")
    if len(written) <= _SHORT_LICENSE:
        return written or _classified_license(fields), ""
    text = _INDENT.sub("\n", fields.text("license")[:LONGEST_LICENSE]).strip()
    return _classified_license(fields) or f"{written[:_SHORT_LICENSE]}…", text


def _classified_license(fields: MetadataFields) -> str:
    texts = (each for each in fields.lines("classifier") if each.startswith("License :: "))
    return ", ".join(each.rpartition(" :: ")[2] for each in texts)


def _people(fields: MetadataFields) -> Iterator[Person]:
    for role in ("author", "maintainer"):
        addresses = [
            Person(name.strip(), email.strip())
            for value in fields.lines(f"{role}-email")
            for name, email in parse_addresses(value)
            if name or "@" in email
        ]
        if (name := fields.line(role)) and not any(person.name == name for person in addresses):
            nameless = [person for person in addresses if not person.name]
            addresses = [each for each in addresses if each not in nameless[:1]]
            yield Person(name, nameless[0].email if nameless else "")
        yield from addresses


def _urls(fields: MetadataFields) -> Iterator[tuple[str, str]]:
    for value in fields.lines("project-url"):
        label, _, url = value.partition(",")
        url = url.strip()
        if is_web_address(url) or url.lower().startswith("mailto:"):
            yield label.strip(), url
    for field, label in (("home-page", "Homepage"), ("download-url", "Download")):
        if is_web_address(url := fields.line(field)):
            yield label, url


def is_web_address(url: str) -> bool:
    """Tell whether a text of strangers may become a link."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def _requirement(text: str) -> Requirement:
    try:
        parsed = parse_requirement(text)
        # What is named with its URL is taken from there, and from no index.
        project = None if parsed.url else parse_project_name(parsed.name)
    except (InvalidRequirement, InvalidProjectName):
        return Requirement(text, None)
    head, _, marker = text.partition(";")
    extra, rest = _without_extra(marker)
    if not extra:
        return Requirement(text, project)
    return Requirement(f"{head.strip()}; {rest}" if rest else head.strip(), project, extra)


def _without_extra(marker: str) -> tuple[str, str]:
    """Return the extra that alone needs a requirement, and the rest of the marker; nothing where the marker says something else.

    That is one of which the extra is a part of a conjunction; what has an "or" is left as it is written.
    """
    extra = _EXTRA.search(marker)
    if extra is None:
        return "", ""
    before, after = marker[: extra.start()].strip(), marker[extra.end() :].strip()
    while before.endswith("(") and after.startswith(")"):
        before, after = before[:-1].strip(), after[1:].strip()
    parts = [
        _CLAUSE_BEFORE.sub("", before).strip(),
        _CLAUSE_AFTER.sub("", after).strip(),
    ]
    if parts[0] == before != "" or parts[1] == after != "" or any(map(_says_otherwise, parts)):
        return "", ""
    return next(name for name in extra.groups() if name), " and ".join(filter(None, parts))


def _says_otherwise(part: str) -> bool:
    """Tell whether a part of a marker has an alternative or another extra, or only one of two parentheses."""
    depth = 0
    for match in _OTHERWISE.finditer(part):
        if match[0] in "()":
            depth += 1 if match[0] == "(" else -1
            if depth < 0:
                return True
        elif not depth or match[0] == "extra":
            return True
    return depth != 0


def read_description(fields: MetadataFields, body: bytes) -> str:
    """Return the description: the body, or the header of old metadata, in which its lines are indented."""
    header = fields.text("description")
    if header.strip() and header.strip() != "UNKNOWN":
        return _INDENT.sub("\n", header[:LONGEST_DESCRIPTION]).strip()
    return body[: 4 * LONGEST_DESCRIPTION].decode("utf-8", "replace")[:LONGEST_DESCRIPTION].strip()


def _is_cut(description: str) -> bool:
    return len(description.rstrip()) > LONGEST_DESCRIPTION
