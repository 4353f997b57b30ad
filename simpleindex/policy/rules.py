"""The rules of a sources file, as values: which files a rule is about, and what it does with them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, Protocol

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from simpleindex.core.names import Kind
from simpleindex.core.patterns import ALL, matcher
from simpleindex.core.views import LOCAL

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName

_ALL_KINDS: Final = frozenset(Kind)


class PolicyAction(Enum):
    """The effect of a rule on the files that it is about."""

    DENY = "deny"
    ALLOW = "allow"
    QUARANTINE = "quarantine"
    REQUIRE = "require"
    """Withhold the files that do not meet the requirements; a rule with requirements has no other action."""


class DenialMode(Enum):
    """The answer for a project of which a rule denies all files (docs/protocol.md, "Not here, not allowed, cannot tell")."""

    EMPTY = "empty"
    """A project without files, so that uv takes it from no other index either."""

    NOT_HERE = "404"
    """404, so that clients, and the next source here, look elsewhere."""

    REFUSED = "403"
    """403, at which uv stops."""


class NamesList(Protocol):
    """A list of projects or versions: a deny list, or security advisories."""

    def project_reason(self, name: ProjectName) -> str | None:
        """Return why all of a project is listed, as the end of a sentence; None if it is not."""
        ...

    def version_reason(self, name: ProjectName, version: str) -> str | None:
        """Return why a version is listed; None if it is not."""
        ...

    def is_fix(self, name: ProjectName, version: str) -> bool:
        """Tell whether a version fixes what others are listed for."""
        ...


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One rule.

    Attributes:
        projects: Patterns of the projects that it is about.
        exclude: Patterns of projects that it is not about.
        sources: Names of the sources that it is about; None for every upstream.
        own: Names of the local directories, which are not upstreams.
        views: Names of the views in which it holds; None for all.
        versions: The versions that it is about; None for all.
        kinds: Wheels, sdists or both.
        tags: Patterns of wheel tags, ``python-abi-platform``, one of which must match one of the wheel's; None for all files.
        prereleases: Only pre-releases (PEP 440, developmental ones too), or only others; None for both.
        yanked: Only yanked files, or only others; None for both.
        lists: Keys of lists; the rule is about what is on one of them. Empty for all.
        min_age: Seconds since the upload that a file must have; None for any.
        not_after: Seconds since 1970 by which a file must have been uploaded; None for any.
        max_size: Bytes; None for any.
        requires_hash: Whether the upstream must state a digest of the file.
        blocked: The answer for a project of which the rule denies all files.
        message: The operator's text, added to sentences about the rule.
    """

    name: str
    action: PolicyAction
    projects: tuple[str, ...] = (ALL,)
    exclude: tuple[str, ...] = ()
    sources: frozenset[str] | None = None
    own: frozenset[str] = frozenset({LOCAL})
    views: frozenset[str] | None = None
    versions: SpecifierSet | None = None
    kinds: frozenset[Kind] = _ALL_KINDS
    tags: tuple[str, ...] | None = None
    prereleases: bool | None = None
    yanked: bool | None = None
    lists: tuple[str, ...] = ()
    min_age: float | None = None
    not_after: float | None = None
    max_size: int | None = None
    requires_hash: bool = False
    blocked: DenialMode = DenialMode.EMPTY
    message: str = ""

    def is_about_source(self, source: str) -> bool:
        """Tell whether the rule is about some project of a source."""
        return source not in self.own if self.sources is None else source in self.sources

    def concerns(self, name: ProjectName, source: str) -> bool:
        """Tell whether the rule is about some file of this project from this source."""
        return (
            self.is_about_source(source)
            and matcher(self.projects).find(name) is not None
            and matcher(self.exclude).find(name) is None
        )

    @property
    def is_about_all_files(self) -> bool:
        """Whether the rule treats all files of a project alike, apart from its lists."""
        return (
            self.versions is None
            and self.tags is None
            and self.prereleases is None
            and self.yanked is None
            and self.kinds == _ALL_KINDS
        )

    @property
    def is_about_whole_projects(self) -> bool:
        """Whether the rule treats all files of a project alike."""
        return not self.lists and self.is_about_all_files

    def describe(self, file: File) -> str:
        """Say why the rule is about a file, as the end of a sentence; empty if it is about all files."""
        facts = []
        if self.versions is not None:
            facts.append(f"{file.version} is in {self.versions}")
        if self.prereleases is not None:
            facts.append("it is a pre-release" if self.prereleases else "it is not a pre-release")
        if self.kinds != frozenset(Kind):
            facts.append(f"it is {'a wheel' if file.kind is Kind.WHEEL else 'an sdist'}")
        if self.tags is not None:
            facts.append(f"it is for {', '.join(self.tags)}")
        if self.yanked is not None:
            facts.append("it is yanked" if self.yanked else "it is not yanked")
        return " and ".join(facts)

    def selects(self, file: File) -> bool:
        """Tell whether the rule is about a file, apart from its lists."""
        if file.kind not in self.kinds or (
            self.yanked is not None and self.yanked != (file.yanked is not None)
        ):
            return False
        if self.tags is not None and not _has_tag(file.filename, self.tags):
            return False
        if self.versions is None and self.prereleases is None:
            return True
        version = Version(file.version)
        if self.prereleases is not None and self.prereleases != version.is_prerelease:
            return False
        return self.versions is None or self.versions.contains(version, prereleases=True)


def _has_tag(filename: str, patterns: tuple[str, ...]) -> bool:
    try:
        tags = parse_wheel_filename(filename)[3]
    except InvalidWheelFilename:
        return False
    return any(fnmatchcase(str(tag), pattern) for tag in tags for pattern in patterns)
