"""Rules about what other indexes offer: which files are withheld, why, and until when.

Pure: a project, the rules and a time give a project with less in it. The rules of a project are gone through in their order.
Every restriction that selects a file has to be met by it; one that ``allow``s it exempts it from the rules below.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from simpleindex.core.model import Project, Status, Withheld
from simpleindex.core.names import Kind
from simpleindex.core.packed import PackedFiles
from simpleindex.core.patterns import ALL, matcher
from simpleindex.core.views import LOCAL
from simpleindex.policy import messages as policy_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.specifiers import SpecifierSet

    from simpleindex.core.model import File
    from simpleindex.core.names import ProjectName

_NS: Final = 1_000_000_000
_ALL_KINDS: Final = frozenset(Kind)


class PolicyAction(Enum):
    """What a rule does with the files that it is about."""

    DENY = "deny"
    ALLOW = "allow"
    QUARANTINE = "quarantine"
    REQUIRE = "require"
    """Withholds those that lack what it requires; written by the requirement alone."""


class DenialMode(Enum):
    """How a project answers of which rules deny all (SPEC U13, U14)."""

    EMPTY = "empty"
    """As a project without files, so that uv takes it from no other index either."""

    NOT_HERE = "404"
    """As if there were none: clients, and the next index here, look elsewhere."""

    REFUSED = "403"
    """With a refusal, at which uv stops."""


class NamesList(Protocol):
    """Names, or versions of them, that somebody has listed."""

    def whole(self, name: ProjectName) -> str | None:
        """Why all of a project is on it, as the end of a sentence; None if it is not."""
        ...

    def version(self, name: ProjectName, version: str) -> str | None:
        """Why a version is on it; None if it is not."""
        ...

    def mends(self, name: ProjectName, version: str) -> bool:
        """Whether a version is one that mends what others are on it for."""
        ...


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One rule.

    Attributes:
        name: What it is called.
        action: What it does.
        projects: Patterns of the projects that it is about.
        exclude: Patterns of those that it is not about.
        sources: Names of the sources that it is about; None for every upstream.
        own: Names of one's own directories, which are no upstreams.
        views: Names of the views in which it holds; None for all.
        versions: Which versions it is about; None for all.
        kinds: Wheels, sdists or both.
        tags: Patterns of wheels' tags, ``python-abi-platform``; of a wheel that has several, one has to match. None for
            all files.
        prereleases: Only pre-releases (PEP 440, developmental ones too), or only others; None for both.
        yanked: Only yanked files, or only others; None for both.
        lists: Keys of lists; it is about what is on one of them. Empty for all.
        min_age: Seconds since the upload that a file must have; None for any.
        not_after: Seconds since 1970 by which it must have been uploaded; None for any.
        max_size: Bytes; None for any.
        requires_hash: Whether it must have a digest that the upstream states.
        blocked: How a project answers of which it denies all.
        message: Added to its sentences.
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
        """Whether it is about some project of a source."""
        return source not in self.own if self.sources is None else source in self.sources

    def concerns(self, name: ProjectName, source: str) -> bool:
        """Whether it is about some file of this project from this source."""
        return (
            self.is_about_source(source)
            and matcher(self.projects).find(name) is not None
            and matcher(self.exclude).find(name) is None
        )

    @property
    def is_about_all_files(self) -> bool:
        """Whether it makes no difference between a project's files, as far as that does not depend on lists."""
        return (
            self.versions is None
            and self.tags is None
            and self.prereleases is None
            and self.yanked is None
            and self.kinds == _ALL_KINDS
        )

    @property
    def is_about_whole_projects(self) -> bool:
        """Whether it makes no difference between a project's files."""
        return not self.lists and self.is_about_all_files

    def what(self, file: File) -> str:
        """What of a file makes this rule be about it, as the end of a sentence; empty if nothing in particular."""
        facts = []
        if self.versions is not None:
            facts.append(f"{file.version} is in {self.versions}")
        if self.prereleases is not None:
            facts.append("it is a pre-release" if self.prereleases else "it is no pre-release")
        if self.kinds != frozenset(Kind):
            facts.append(f"it is {'a wheel' if file.kind is Kind.WHEEL else 'an sdist'}")
        if self.tags is not None:
            facts.append(f"it is for {', '.join(self.tags)}")
        if self.yanked is not None:
            facts.append("it is yanked" if self.yanked else "it is not yanked")
        return " and ".join(facts)

    def selects(self, file: File) -> bool:
        """Whether it is about this file, as far as that does not depend on lists."""
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


@dataclass(frozen=True, slots=True)
class Allowance:
    """An exemption from every rule, for a time.

    Attributes:
        name: The project.
        version: PEP 440's normal form; None for all.
        until: Seconds since 1970.
        by: Who gave it.
        reason: Why, in words.
    """

    name: ProjectName
    version: str | None
    until: float
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Denial:
    """Why nothing of a project is offered.

    Attributes:
        rule: The name of the rule.
        sentence: Why.
        blocked: How it is answered.
    """

    rule: str
    sentence: str
    blocked: DenialMode


class _Reason(NamedTuple):
    rule: str
    sentence: str
    until: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """All rules at a time; another object whenever anything of it changes.

    Attributes:
        rules: In their order.
        allowances: Those that were given.
        lists: By the keys that rules have for them.
    """

    rules: tuple[PolicyRule, ...] = ()
    allowances: tuple[Allowance, ...] = ()
    lists: Mapping[str, NamesList] = field(default_factory=dict)

    def for_views(self, views: frozenset[str]) -> Policy:
        """The rules that hold in one of these views."""
        rules = tuple(rule for rule in self.rules if rule.views is None or rule.views & views)
        return self if rules == self.rules else replace(self, rules=rules)

    def concerns(self, name: ProjectName, source: str) -> bool:
        """Whether a rule is about some file of this project from this source."""
        return any(rule.concerns(name, source) for rule in self.rules)

    def judges_age(self, source: str, name: ProjectName | None = None) -> tuple[str, ...]:
        """Return the names of the rules that judge when files of a source were uploaded.

        Args:
            source: Its name.
            name: Only those that are about this project; None for any.
        """
        return tuple(
            rule.name
            for rule in self.rules
            if (rule.min_age is not None or rule.not_after is not None)
            and (rule.concerns(name, source) if name is not None else rule.is_about_source(source))
        )

    def denial(self, name: ProjectName, source: str, now: float) -> Denial | None:
        """Why nothing of a project is offered, whatever it has; None if that depends on its files.

        Args:
            name: The project.
            source: Which source has it.
            now: Seconds since 1970.
        """
        if any(each.name == name and each.until > now for each in self.allowances):
            return None
        for rule in self.rules:
            if not rule.concerns(name, source):
                continue
            if rule.action is PolicyAction.ALLOW:
                return None
            if rule.action is not PolicyAction.DENY:
                continue
            if rule.is_about_whole_projects:
                sentence = policy_text.denied(name, rule.name, rule.message)
                return Denial(rule.name, sentence, rule.blocked)
            why = self._listed_whole(rule, name)
            if why is not None:
                return Denial(rule.name, policy_text.denied(name, rule.name, rule.message, why), rule.blocked)
        return None

    def judge(self, project: Project, source: str, now: float) -> Project:
        """What is left of a project; the same object if all of it is, for good.

        Args:
            project: As the source has it.
            source: Its name.
            now: Seconds since 1970.
        """
        rules = [rule for rule in self.rules if rule.concerns(project.name, source)]
        if not rules:
            return project
        times = [] if project.valid_until is None else [project.valid_until]
        exempt: dict[Version | None, float] = {}
        for each in self.allowances:
            if each.name == project.name and each.until > now:
                # 1.0 is 1.0.0 (PEP 440).
                version = None if each.version is None else Version(each.version)
                exempt[version] = max(each.until, exempt.get(version, 0.0))
        kept: list[File] = []
        withheld: list[Withheld] = []
        for file in project.files:
            until = max(exempt.get(None, 0.0), exempt.get(Version(file.version), 0.0)) if exempt else 0.0
            reasons = self._reasons(rules, file, project.name)
            holding = [reason for reason in reasons if reason.until is None or reason.until > now]
            times += [reason.until for reason in holding if reason.until is not None]
            if not holding or until:
                kept.append(file)
                times += [until] if holding else []
            else:
                withheld.append(_withheld(file, source, holding))
        status, status_reason = project.status, project.status_reason
        quarantine = self._quarantine(rules, None in exempt)
        if quarantine is not None:
            sentence = policy_text.quarantined(project.name, quarantine.name, quarantine.message)
            withheld += [
                Withheld(file.filename, sentence, quarantine.name, source, None, True) for file in kept
            ]
            kept, status, status_reason = [], Status.QUARANTINED, sentence
        elif None in exempt and self._quarantine(rules, False) is not None:
            times.append(exempt[None])
        valid_until = min(times, default=None)
        if not withheld and valid_until == project.valid_until and status is project.status:
            return project
        files = project.files if len(kept) == len(project.files) else PackedFiles(kept)
        return replace(
            project,
            files=files,
            withheld=(*project.withheld, *withheld),
            status=status,
            status_reason=status_reason,
            valid_until=valid_until,
        )

    @staticmethod
    def _quarantine(rules: list[PolicyRule], is_exempt: bool) -> PolicyRule | None:
        if is_exempt:
            return None
        for rule in rules:
            if rule.action is PolicyAction.QUARANTINE:
                return rule
            if rule.action is PolicyAction.ALLOW and rule.is_about_whole_projects:
                break
        return None

    def _reasons(self, rules: list[PolicyRule], file: File, name: ProjectName) -> list[_Reason]:
        """Why a file is withheld, by every rule that does so, at whatever time."""
        reasons = []
        for rule in rules:
            if not rule.selects(file):
                continue
            why = self._listed(rule, name, file.version) if rule.lists else ""
            if why is None:
                continue
            if rule.action is PolicyAction.ALLOW:
                break
            if rule.action is PolicyAction.DENY:
                sentence = policy_text.withheld(
                    file.filename, rule.name, why or rule.what(file), rule.message
                )
                reasons.append(_Reason(rule.name, sentence, None))
            elif rule.action is PolicyAction.REQUIRE:
                reasons += self._lacks(rule, file, name)
        return reasons

    def _lacks(self, rule: PolicyRule, file: File, name: ProjectName) -> list[_Reason]:
        lacks: list[tuple[str, float | None]] = []
        uploaded = None if file.uploaded_ns is None else file.uploaded_ns / _NS
        if rule.min_age is not None and not self._mends(name, file.version):
            until = None if uploaded is None else uploaded + rule.min_age
            lacks.append((policy_text.too_young(uploaded, rule.min_age, file.dated_by), until))
        if rule.not_after is not None and (uploaded is None or uploaded > rule.not_after):
            lacks.append((policy_text.too_late(uploaded, rule.not_after, file.dated_by), None))
        if rule.max_size is not None and (file.size is None or file.size > rule.max_size):
            lacks.append((policy_text.too_large(file.size, rule.max_size), None))
        if rule.requires_hash and file.sha256 is None and file.other_hash is None:
            lacks.append((policy_text.NO_HASH, None))
        return [
            _Reason(rule.name, policy_text.withheld(file.filename, rule.name, why, rule.message), until)
            for why, until in lacks
        ]

    def _listed(self, rule: PolicyRule, name: ProjectName, version: str) -> str | None:
        for key in rule.lists:
            why = self.lists[key].whole(name) or self.lists[key].version(name, version)
            if why is not None:
                return why
        return None

    def _listed_whole(self, rule: PolicyRule, name: ProjectName) -> str | None:
        if not rule.is_about_all_files:
            return None
        return next((why for key in rule.lists if (why := self.lists[key].whole(name)) is not None), None)

    def _mends(self, name: ProjectName, version: str) -> bool:
        return any(each.mends(name, version) for each in self.lists.values())


def _withheld(file: File, source: str, reasons: list[_Reason]) -> Withheld:
    """By the rule that holds it longest; by the first of those that hold it for good."""
    for_good = next((reason for reason in reasons if reason.until is None), None)
    reason = for_good or max(reasons, key=lambda each: each.until or 0.0)
    return Withheld(file.filename, reason.sentence, reason.rule, source, reason.until, public=True)


def _has_tag(filename: str, patterns: tuple[str, ...]) -> bool:
    try:
        tags = parse_wheel_filename(filename)[3]
    except InvalidWheelFilename:
        return False
    return any(fnmatchcase(str(tag), pattern) for tag in tags for pattern in patterns)
