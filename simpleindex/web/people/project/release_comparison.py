"""Compare two releases of a project: which of their distributions, which members, which dependencies. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from packaging.requirements import InvalidRequirement
from packaging.utils import canonicalize_name

from simpleindex.core.names import Kind
from simpleindex.core.parsing.version_texts import parse_requirement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from simpleindex.archives.contents import Member
    from simpleindex.core.files import File

_METADATA: Final = re.compile(r"[^/]+\.dist-info/METADATA|[^/]+/PKG-INFO")
_ANY_PLATFORM: Final = "none-any"


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


def requirements_of(metadata: str) -> tuple[str, ...]:
    """Return the Requires-Dist fields of core metadata, in their order."""
    head = metadata.partition("\n\n")[0]
    return tuple(
        line.partition(":")[2].strip()
        for line in head.splitlines()
        if line.lower().startswith("requires-dist:")
    )


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
