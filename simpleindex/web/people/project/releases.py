"""The versions of a project as its page lists them: those that are offered, and those that are not, with the reason. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from packaging.version import Version

from simpleindex.core.errors import InvalidFilename
from simpleindex.core.names import WHEEL_SUFFIX, parse_distribution_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from simpleindex.core.files import File
    from simpleindex.core.model import Project, Withheld

_NEVER: Final = float("inf")

_NEWEST: Final = 50
"""Versions that are listed at once; a phone shows each on four lines, so that the rest is folded away."""

_OFFERED: Final = 20
"""How many of these are offered, if there are as many: a rule can withhold the newest hundred."""

_IN_CHOOSER: Final = 200
"""Versions in the list beside the name, and in the table of a version's page. Few projects have more; 6,400 in both took 400 ms, and
2.4 MB of HTML, on every page of a version."""

_AROUND: Final = 10
"""Versions on each side of an older one that its page lists, to compare it with those before and behind it."""

_WHEEL_HYPHENS: Final = (4, 5)


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


class Releases:
    """What there is of a project. The facts about a release are put together when they are requested.

    Args:
        project: Whose versions these are. Of what is not offered, only what is public is shown (:class:`~simpleindex.core.model.Withheld`).
        version: The version whose page lists them; None for the page of the project, which lists all.

    Attributes:
        versions: All of them, oldest first.
        others: What is not offered and is of no version: links and files with odd names.
    """

    def __init__(self, project: Project, version: str | None = None) -> None:
        self._project = project
        self._files: dict[str, list[File]] = {}
        for file in project.files:
            self._files.setdefault(file.version, []).append(file)
        self._withheld, self.others = _by_version(project)
        # Files are sorted by their versions; only what is not offered has to be put among them.
        self.versions = (
            tuple(sorted({*self._files, *self._withheld}, key=Version))
            if self._withheld
            else tuple(self._files)
        )
        self._listed = self.versions[::-1] if version is None else self.versions[: -_IN_CHOOSER - 1 : -1]
        self._around = () if version is None else self._versions_around(version)
        self._known: dict[str, Release] = {}

    def _versions_around(self, version: str) -> tuple[str, ...]:
        if version not in self._files or version in self._listed:
            return ()
        place, end = self.versions.index(version), len(self.versions) - len(self._listed)
        return self.versions[max(place - _AROUND, 0) : min(place + _AROUND + 1, end)][::-1]

    def named(self, version: str) -> Release | None:
        """Return the release of a version as :attr:`versions` has it."""
        files, withheld = self._files.get(version, ()), self._withheld.get(version, ())
        if not files and not withheld:
            return None
        if version not in self._known:
            self._known[version] = _release(self._project, version, files, withheld)
        return self._known[version]

    @property
    def choices(self) -> tuple[Release, ...]:
        """Those in the list beside the project's name, newest first."""
        return self._named((*self._listed[:_IN_CHOOSER], *self._around))

    @property
    def batches(self) -> tuple[tuple[Release, ...], tuple[Release, ...], tuple[Release, ...]]:
        """The versions that are listed at once, newest first; older ones; and those around the page's own, if it is older still."""
        offered = [number for number, each in enumerate(self._listed, 1) if each in self._files][:_OFFERED]
        cut = max(_NEWEST, offered[-1] if offered else 0)
        return (
            self._named(self._listed[:cut]),
            self._named(self._listed[cut:]),
            self._named(self._around),
        )

    @property
    def unlisted(self) -> int:
        """How many versions are in no batch."""
        return len(self.versions) - len(self._listed) - len(self._around)

    def withheld_above(self, newest: str | None) -> Release | None:
        """Return the newest release, if nothing of it is offered and it is above the newest of those that are."""
        for version in reversed(self.versions):
            if version == newest:
                return None
            if version not in self._files and not Version(version).is_prerelease:
                return self.named(version)
        return None

    def _named(self, versions: Iterable[str]) -> tuple[Release, ...]:
        return tuple(each for version in versions if (each := self.named(version)) is not None)


def _by_version(project: Project) -> tuple[dict[str, list[Withheld]], tuple[Withheld, ...]]:
    found: dict[str, list[Withheld]] = {}
    others: list[Withheld] = []
    known: dict[str, str] = {}
    for item in project.withheld:
        if not item.public:
            continue
        try:
            found.setdefault(_version_of(item.filename, project, known), []).append(item)
        except InvalidFilename:
            others.append(item)
    return found, tuple(others)


def _version_of(filename: str, project: Project, known: dict[str, str]) -> str:
    """Return the version of a file; of a release with many wheels one name is parsed, which takes 17 µs.

    Args:
        filename: Its name.
        project: Whose file it is.
        known: The version by what stands before a wheel's tags; one that was parsed is added.

    Raises:
        InvalidFilename: It states none.
    """
    is_wheel = filename.endswith(WHEEL_SUFFIX) and filename.count("-") in _WHEEL_HYPHENS
    stem = "-".join(filename.split("-", 2)[:2]) if is_wheel else filename
    if stem not in known:
        known[stem] = parse_distribution_name(filename, project.name).version
    return known[stem]


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
