"""Compare two releases of a project: which of their distributions, which members, which dependencies. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from packaging.requirements import InvalidRequirement
from packaging.utils import canonicalize_name

from simpleindex.core.errors import InvalidMetadata
from simpleindex.core.metadata import header_fields
from simpleindex.core.names import Kind
from simpleindex.core.parsing.version_texts import parse_requirement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from simpleindex.archives.contents import Member
    from simpleindex.core.files import File

_METADATA: Final = re.compile(r"[^/]+\.dist-info/METADATA|[^/]+/PKG-INFO")
_ANY_PLATFORM: Final = "none-any"
_SHOWN_ELSEWHERE: Final = frozenset(
    {"version", "metadata-version", "name", "description", "requires-dist", "dynamic"}
)
_LONGEST_VALUE: Final = 500
"""Characters of a line of metadata that are shown; the text of a licence has 1,000 and more."""


@dataclass(frozen=True, slots=True)
class MemberComparison:
    """How the members of two distributions differ; paths without the version in their first segment.

    Attributes:
        added: Paths that only the newer one has.
        removed: Paths that only the older one has.
        changed: Paths of both with other bytes.
        same: How many are the same.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    same: int


def pair_of(files: Sequence[File], older: str, newer: str) -> tuple[File, File] | None:
    """Choose a distribution of each of two releases that can be compared: wheels of the same tags, else sdists.

    Returns:
        The older and the newer file; None if there are no two of one kind.
    """
    of_older = {_tags(file): file for file in reversed(files) if file.version == older}
    of_newer = {_tags(file): file for file in reversed(files) if file.version == newer}
    common = of_older.keys() & of_newer.keys()
    if not common:
        wheels = [[file for tags, file in sorted(of.items()) if tags] for of in (of_older, of_newer)]
        return (wheels[0][0], wheels[1][0]) if all(wheels) else None
    # A wheel for everybody, then any wheel, then the sdist, whose tags are none.
    best = min(common, key=lambda tags: (not tags.endswith(_ANY_PLATFORM), not tags, tags))
    return of_older[best], of_newer[best]


def are_for_the_same(older: File, newer: File) -> bool:
    """Tell whether two distributions are for the same Pythons and platforms."""
    return _tags(older) == _tags(newer)


def compare_members(
    older: tuple[File, Iterable[Member]], newer: tuple[File, Iterable[Member]]
) -> MemberComparison:
    """Compare the members of two distributions."""
    before = {versionless_path(member.path, older[0]): member for member in older[1]}
    after = {versionless_path(member.path, newer[0]): member for member in newer[1]}
    common = before.keys() & after.keys()
    changed = {
        path
        for path in common
        if (before[path].size, before[path].fingerprint) != (after[path].size, after[path].fingerprint)
    }
    return MemberComparison(
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(sorted(changed)),
        same=len(common) - len(changed),
    )


def versionless_path(path: str, file: File) -> str:
    """Return a member's path with ``*`` in place of the version in its first segment."""
    top, slash, rest = path.partition("/")
    stem = re.match(r"([A-Za-z0-9._]+)-[^-/]+?((?:\.dist-info|\.data)?)\Z", top)
    if stem is None or not slash or (file.kind is Kind.WHEEL and not stem[2]):
        return path
    return f"{stem[1]}-*{stem[2]}/{rest}"


def is_metadata(path: str) -> bool:
    """Tell whether a member has the core metadata of its distribution."""
    return _METADATA.fullmatch(path) is not None


def fields_of(metadata: str) -> dict[str, tuple[str, ...]]:
    """Return the header fields of core metadata by their names in lower case, each value on one line; none if they are endless."""
    fields: dict[str, list[str]] = {}
    try:
        for name, value in header_fields(metadata.encode("utf-8", "replace")):
            text = " ".join(value.decode("utf-8", "replace").split())
            fields.setdefault(name.decode("ascii", "replace").lower(), []).append(text)
    except InvalidMetadata:
        return {}
    return {name: tuple(values) for name, values in fields.items()}


def compare_fields(
    before: Mapping[str, Sequence[str]], after: Mapping[str, Sequence[str]]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the lines of metadata that were added, and those that were removed, without those that have a place of their own."""
    former, present = (
        {
            (name, value): f"{_title(name)}: {value[:_LONGEST_VALUE]}"
            for name, values in sorted(fields.items())
            if name not in _SHOWN_ELSEWHERE
            for value in values
        }
        for fields in (before, after)
    )
    added, removed = present.keys() - former.keys(), former.keys() - present.keys()
    return (
        tuple(text for key, text in present.items() if key in added),
        tuple(text for key, text in former.items() if key in removed),
    )


def _title(name: str) -> str:
    return "-".join("URL" if part == "url" else part.capitalize() for part in name.split("-"))


def compare_requirements(
    before: Sequence[str], after: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the requirements that were added, and those that were removed, by name; another spelling is no change."""
    former = {_plain_requirement(each): each for each in before}
    present = {_plain_requirement(each): each for each in after}
    added, removed = present.keys() - former.keys(), former.keys() - present.keys()
    return tuple(present[each] for each in sorted(added)), tuple(former[each] for each in sorted(removed))


def _plain_requirement(text: str) -> str:
    """Return a requirement in its normal form; as it is written if it cannot be parsed."""
    try:
        parsed = parse_requirement(text)
    except InvalidRequirement:
        return text
    return f"{canonicalize_name(parsed.name)}{str(parsed)[len(parsed.name) :]}"


def _tags(file: File) -> str:
    """Return a wheel's tags as its name has them; nothing for an sdist."""
    if file.kind is not Kind.WHEEL:
        return ""
    return "-".join(file.filename.removesuffix(".whl").split("-")[-3:])
