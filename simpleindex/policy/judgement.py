"""Apply rules to projects: which files are not offered, why, and until when.

The rules of a project apply in their order. A file must meet every restriction that selects it; a rule that allows a file
exempts it from the rules below.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from packaging.version import Version

from simpleindex.core.model import Project, Status, Withheld
from simpleindex.policy import messages
from simpleindex.policy.rules import PolicyAction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName
    from simpleindex.policy.rules import DenialMode, NamesList, PolicyRule

_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Allowance:
    """An exemption from every rule, for a time.

    Attributes:
        version: PEP 440's normal form; None for all.
        until: Seconds since 1970.
        by: The user who gave it.
    """

    name: ProjectName
    version: str | None
    until: float
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Denial:
    """The denial of a whole project.

    Attributes:
        rule: The name of the rule.
        mode: How requests for the project are answered.
    """

    rule: str
    sentence: str
    mode: DenialMode


class _Reason(NamedTuple):
    rule: str
    sentence: str
    until: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """All rules at a time; another object whenever any of them changes.

    Attributes:
        rules: The rules, in their order.
        lists: The lists, by the keys that rules have for them.
    """

    rules: tuple[PolicyRule, ...] = ()
    allowances: tuple[Allowance, ...] = ()
    lists: Mapping[str, NamesList] = field(default_factory=dict)

    def for_views(self, views: frozenset[str]) -> Policy:
        """Return the rules that hold in one of these views."""
        rules = tuple(rule for rule in self.rules if rule.views is None or rule.views & views)
        return self if rules == self.rules else replace(self, rules=rules)

    def concerns(self, name: ProjectName, source: str) -> bool:
        """Tell whether a rule is about some file of this project from this source."""
        return any(rule.concerns(name, source) for rule in self.rules)

    def judges_age(self, source: str, name: ProjectName | None = None) -> tuple[str, ...]:
        """Return the names of the rules that depend on when files of a source were uploaded.

        Args:
            source: The source's name.
            name: Only rules that are about this project; None for any.
        """
        return tuple(
            rule.name
            for rule in self.rules
            if (rule.min_age is not None or rule.not_after is not None)
            and (rule.concerns(name, source) if name is not None else rule.is_about_source(source))
        )

    def denial(self, name: ProjectName, source: str, now: float) -> Denial | None:
        """Return the denial of a whole project; None if what is offered depends on its files.

        Args:
            name: The project.
            source: The source's name.
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
            why = "" if rule.is_about_whole_projects else self._listed_whole(rule, name)
            if why is not None:
                sentence = messages.denied(name, rule.name, rule.message, why)
                return Denial(rule.name, sentence, rule.blocked)
        return None

    def judge(self, project: Project, source: str, now: float) -> Project:
        """Return a project with the files that the rules let through; the same object if that is all of them, for good.

        Args:
            project: The project, as the source has it.
            source: The source's name.
            now: Seconds since 1970.
        """
        rules = [rule for rule in self.rules if rule.concerns(project.name, source)]
        if not rules:
            return project
        times = [] if project.valid_until is None else [project.valid_until]
        exempt = self._exemptions(project.name, now)
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
        quarantine = _quarantine(rules)
        if quarantine is not None and None in exempt:
            times.append(exempt[None])
        elif quarantine is not None:
            sentence = messages.quarantined(project.name, quarantine.name, quarantine.message)
            withheld += [
                Withheld(file.filename, sentence, quarantine.name, source, None, True) for file in kept
            ]
            kept, status, status_reason = [], Status.QUARANTINED, sentence
        valid_until = min(times, default=None)
        if not withheld and valid_until == project.valid_until and status is project.status:
            return project
        files = project.files if len(kept) == len(project.files) else kept
        return replace(
            project,
            files=files,
            withheld=(*project.withheld, *withheld),
            status=status,
            status_reason=status_reason,
            valid_until=valid_until,
        )

    def _exemptions(self, name: ProjectName, now: float) -> dict[Version | None, float]:
        """Return until when each version of a project is exempt; None stands for all of them."""
        exempt: dict[Version | None, float] = {}
        for each in self.allowances:
            if each.name == name and each.until > now:
                # 1.0 is 1.0.0 (PEP 440).
                version = None if each.version is None else Version(each.version)
                exempt[version] = max(each.until, exempt.get(version, 0.0))
        return exempt

    def _reasons(self, rules: list[PolicyRule], file: File, name: ProjectName) -> list[_Reason]:
        """Return a reason for each rule that withholds a file at some time."""
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
                sentence = messages.withheld(
                    file.filename, rule.name, why or rule.describe(file), rule.message
                )
                reasons.append(_Reason(rule.name, sentence, None))
            elif rule.action is PolicyAction.REQUIRE:
                reasons += self._unmet(rule, file, name)
        return reasons

    def _unmet(self, rule: PolicyRule, file: File, name: ProjectName) -> list[_Reason]:
        unmet: list[tuple[str, float | None]] = []
        uploaded = None if file.uploaded_ns is None else file.uploaded_ns / _NS
        if rule.min_age is not None and not self._is_fix(name, file.version):
            until = None if uploaded is None else uploaded + rule.min_age
            unmet.append((messages.too_young(uploaded, rule.min_age, file.dated_by), until))
        if rule.not_after is not None and (uploaded is None or uploaded > rule.not_after):
            unmet.append((messages.too_late(uploaded, rule.not_after, file.dated_by), None))
        if rule.max_size is not None and (file.size is None or file.size > rule.max_size):
            unmet.append((messages.too_large(file.size, rule.max_size), None))
        if rule.requires_hash and file.sha256 is None and file.other_hash is None:
            unmet.append((messages.NO_HASH, None))
        return [
            _Reason(rule.name, messages.withheld(file.filename, rule.name, why, rule.message), until)
            for why, until in unmet
        ]

    def _listed(self, rule: PolicyRule, name: ProjectName, version: str) -> str | None:
        for key in rule.lists:
            why = self.lists[key].project_reason(name) or self.lists[key].version_reason(name, version)
            if why is not None:
                return why
        return None

    def _listed_whole(self, rule: PolicyRule, name: ProjectName) -> str | None:
        if not rule.is_about_all_files:
            return None
        return next(
            (why for key in rule.lists if (why := self.lists[key].project_reason(name)) is not None), None
        )

    def _is_fix(self, name: ProjectName, version: str) -> bool:
        return any(each.is_fix(name, version) for each in self.lists.values())


def _quarantine(rules: Sequence[PolicyRule]) -> PolicyRule | None:
    for rule in rules:
        if rule.action is PolicyAction.QUARANTINE:
            return rule
        if rule.action is PolicyAction.ALLOW and rule.is_about_whole_projects:
            break
    return None


def _withheld(file: File, source: str, reasons: list[_Reason]) -> Withheld:
    """Name the rule that withholds a file for the longest time; the first of those that withhold it for good."""
    for_good = next((reason for reason in reasons if reason.until is None), None)
    reason = for_good or max(reasons, key=lambda each: each.until or 0.0)
    return Withheld(file.filename, reason.sentence, reason.rule, source, reason.until, public=True)
