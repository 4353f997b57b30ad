"""Which files of a project a machine wants: the wheels that it can use, else the sdist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from simpleindex.core.errors import InvalidFilename
from simpleindex.core.names import Kind, parse_distribution_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from packaging.tags import Tag

    from simpleindex.commands.requirements import Wanted


class Choice(NamedTuple):
    """What is wanted of a project's page.

    Attributes:
        files: The page's entries that are to be had.
        missing: Why there are none, as a sentence; empty if there are some.
    """

    files: tuple[Mapping[str, Any], ...]
    missing: str = ""


def choose(page: Mapping[str, Any], wanted: Wanted, platforms: Sequence[Sequence[Tag]]) -> Choice:
    """Choose the newest version that is wanted and offered, and of it what each platform uses.

    Args:
        page: A project's page, as JSON (PEP 691).
        wanted: What of it.
        platforms: The tags that each platform takes, the best first (PEP 425); none for all files.
    """
    releases: dict[Version, list[tuple[Mapping[str, Any], Kind]]] = {}
    for file in page["files"]:
        digest = file["hashes"].get("sha256")
        if wanted.sha256s and digest not in wanted.sha256s:
            continue
        try:
            parsed = parse_distribution_name(file["filename"], wanted.name)
        except InvalidFilename:
            continue
        version = Version(parsed.version)
        is_pinned = any(each.operator in ("==", "===") for each in wanted.versions)
        may_be_early = is_pinned or bool(wanted.versions.prereleases)
        if wanted.versions.contains(version, prereleases=may_be_early) and (
            is_pinned or not file.get("yanked")
        ):
            releases.setdefault(version, []).append((file, parsed.kind))
    if not releases:
        versions = str(wanted.versions) or " in any version"
        digests = " with one of the hashes that are wanted" if wanted.sha256s else ""
        return Choice((), f"{wanted.name}{versions} is not offered{digests}.")
    files = releases[max(releases)]
    if not platforms:
        return Choice(tuple(file for file, _ in files))
    chosen: dict[str, Mapping[str, Any]] = {}
    for tags in platforms:
        ranks = {tag: rank for rank, tag in enumerate(tags)}
        wheels = [
            (rank, file["filename"], file)
            for file, kind in files
            if kind is Kind.WHEEL and (rank := _rank(file["filename"], ranks)) is not None
        ]
        best = [min(wheels, key=lambda each: each[:2])[2]] if wheels else []
        for file in best or [file for file, kind in files if kind is Kind.SDIST]:
            chosen[file["filename"]] = file
    if not chosen:
        return Choice((), f"{wanted.name} {max(releases)} has no file for these platforms.")
    return Choice(tuple(chosen.values()))


def _rank(filename: str, ranks: Mapping[Tag, int]) -> int | None:
    try:
        tags = parse_wheel_filename(filename)[3]
    except InvalidWheelFilename:
        return None
    return min((ranks[tag] for tag in tags if tag in ranks), default=None)
