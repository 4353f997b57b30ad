"""The versions of a project as its page lists them: those that are offered, and those that are not, with the reason. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from packaging.version import Version

from simpleindex.core.errors import InvalidFilename
from simpleindex.core.names import parse_distribution_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from simpleindex.core.files import File
    from simpleindex.core.model import Project, Withheld

_NEVER: Final = float("inf")

_NEWEST: Final = 50
"""Versions that are listed at once; a phone shows each on four lines, so that the rest is folded away."""

_OFFERED: Final = 20
"""How many of these are offered, if there are as many: a rule can withhold the newest hundred."""


@dataclass(frozen=True, slots=True)
class Release:
    """A version in the list of versions.

    Attributes:
        uploaded: When its newest file was uploaded, seconds since 1970; None if that is not known.
        files: How many files are offered.
        yanked: Why all of its files are yanked, which may be an empty text; None if they are not.
        is_prerelease: Whether installers pass over it by default.
        withheld: How many files are not offered.
        reason: Why the first of these that will be is not offered, as a sentence; empty without any.
        visible_from: When that will be, seconds since 1970; None if nobody knows.
    """

    version: str
    uploaded: float | None = None
    files: int = 0
    yanked: str | None = None
    is_prerelease: bool = False
    withheld: int = 0
    reason: str = ""
    visible_from: float | None = None


@dataclass(frozen=True, slots=True)
class Releases:
    """What there is of a project.

    Attributes:
        all: The versions, newest first.
        others: What is not offered and is of no version: links and files with odd names.
    """

    all: tuple[Release, ...]
    others: tuple[Withheld, ...]

    def named(self, version: str) -> Release | None:
        """Return the release of a version in its normal form."""
        return next((each for each in self.all if each.version == version), None)

    @property
    def batches(self) -> tuple[tuple[Release, ...], tuple[Release, ...]]:
        """The versions that are listed at once, and the rest."""
        offered = [number for number, each in enumerate(self.all, 1) if each.files][:_OFFERED]
        cut = max(_NEWEST, offered[-1] if offered else 0)
        return self.all[:cut], self.all[cut:]

    def withheld_above(self, newest: str | None) -> Release | None:
        """Return the newest release, if nothing of it is offered and it is above the newest of those that are."""
        for each in self.all:
            if each.version == newest:
                return None
            if not each.files and not each.is_prerelease:
                return each
        return None


def releases_of(project: Project) -> Releases:
    """Return the versions of a project; of what is not offered, what everybody may know who may read the project."""
    files: dict[str, list[File]] = {}
    for file in project.files:
        files.setdefault(file.version, []).append(file)
    withheld, others = _by_version(project)
    # Files are sorted by their versions; only what is not offered has to be put among them.
    versions = sorted({*files, *withheld}, key=Version) if withheld else [*files]
    return Releases(
        tuple(
            _release(project, version, files.get(version, ()), withheld.get(version, ()))
            for version in reversed(versions)
        ),
        others,
    )


def _by_version(project: Project) -> tuple[dict[str, list[Withheld]], tuple[Withheld, ...]]:
    found: dict[str, list[Withheld]] = {}
    others: list[Withheld] = []
    for item in project.withheld:
        if not item.public:
            continue
        try:
            version = parse_distribution_name(item.filename, project.name).version
        except InvalidFilename:
            others.append(item)
        else:
            found.setdefault(version, []).append(item)
    return found, tuple(others)


def _release(project: Project, version: str, files: Sequence[File], withheld: Sequence[Withheld]) -> Release:
    times = [file.uploaded_ns for file in files if file.uploaded_ns is not None]
    first = min(withheld, key=lambda item: item.visible_from or _NEVER, default=None)
    reason = "" if first is None else first.reason
    if first is not None and not files:
        # The sentence is about the whole version.
        reason = reason.replace(first.filename, f"{project.name} {version}", 1)
    return Release(
        version,
        max(times) / 1e9 if times else None,
        len(files),
        _yanked(files),
        Version(version).is_prerelease,
        len(withheld),
        reason,
        None if first is None else first.visible_from,
    )


def _yanked(files: Iterable[File]) -> str | None:
    reasons = [file.yanked for file in files]
    texts = [reason for reason in reasons if reason is not None]
    return max(texts, key=len) if texts and len(texts) == len(reasons) else None
