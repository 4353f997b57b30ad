"""The choice of a project's files for a machine: the wheels that it can use, else the sdist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from simpleindex.core.errors import InvalidFilename
from simpleindex.core.names import Kind, parse_distribution_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from packaging.tags import Tag

    from simpleindex.commands.cache.requirements import ProjectRequirement


_Candidate: TypeAlias = "tuple[Mapping[str, Any], Kind]"


class Choice(NamedTuple):
    """The files of a project that fulfil a requirement.

    Attributes:
        files: Entries of the project's page.
        missing: Why there are none, as a sentence; empty if there are some.
    """

    files: tuple[Mapping[str, Any], ...]
    missing: str = ""


def choose_files(
    page: Mapping[str, Any], requirement: ProjectRequirement, platforms: Sequence[Sequence[Tag]]
) -> Choice:
    """Choose the newest version that fulfils a requirement, and of it the best file for each platform.

    Args:
        page: A project's page, as JSON (PEP 691).
        requirement: On this project.
        platforms: The tags that each platform takes, the best first (PEP 425); none for all files.
    """
    releases = _releases(page, requirement)
    if not releases:
        versions = str(requirement.versions) or " in any version"
        digests = " with one of the required hashes" if requirement.sha256s else ""
        return Choice((), f"{requirement.name}{versions} is not offered{digests}.")
    files = releases[max(releases)]
    if not platforms:
        return Choice(tuple(file for file, _ in files))
    chosen = {file["filename"]: file for tags in platforms for file in _best(files, tags)}
    if not chosen:
        return Choice((), f"{requirement.name} {max(releases)} has no file for these platforms.")
    return Choice(tuple(chosen.values()))


def _releases(page: Mapping[str, Any], requirement: ProjectRequirement) -> dict[Version, list[_Candidate]]:
    """Return the files that fulfil a requirement, by version."""
    is_pinned = any(each.operator in ("==", "===") for each in requirement.versions)
    may_be_early = is_pinned or bool(requirement.versions.prereleases)
    releases: dict[Version, list[_Candidate]] = {}
    for file in page["files"]:
        if requirement.sha256s and file["hashes"].get("sha256") not in requirement.sha256s:
            continue
        try:
            parsed = parse_distribution_name(file["filename"], requirement.name)
        except InvalidFilename:
            continue
        version = Version(parsed.version)
        if requirement.versions.contains(version, prereleases=may_be_early) and (
            is_pinned or not file.get("yanked")
        ):
            releases.setdefault(version, []).append((file, parsed.kind))
    return releases


def _best(files: Sequence[_Candidate], tags: Sequence[Tag]) -> list[Mapping[str, Any]]:
    """Return the best wheel for a platform, or else the sdists."""
    ranks = {tag: rank for rank, tag in enumerate(tags)}
    wheels = [
        (rank, file["filename"], file)
        for file, kind in files
        if kind is Kind.WHEEL and (rank := _rank(file["filename"], ranks)) is not None
    ]
    if wheels:
        return [min(wheels, key=lambda each: each[:2])[2]]
    return [file for file, kind in files if kind is Kind.SDIST]


def _rank(filename: str, ranks: Mapping[Tag, int]) -> int | None:
    try:
        tags = parse_wheel_filename(filename)[3]
    except InvalidWheelFilename:
        return None
    return min((ranks[tag] for tag in tags if tag in ranks), default=None)
