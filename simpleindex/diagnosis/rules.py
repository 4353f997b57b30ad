"""Which rules for upstreams have no effect. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpleindex.core.patterns import ALL
from simpleindex.diagnosis.finding import Finding, Severity
from simpleindex.policy.rules import PolicyAction

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from simpleindex.policy.rules import PolicyRule


def judge_rules(rules: Sequence[PolicyRule], sources: Sequence[str], where: str) -> Iterator[Finding]:
    """Yield rules that can concern no file.

    Args:
        rules: The rules, in their order.
        sources: The names of the directories and upstreams.
        where: The sources file.
    """
    for number, rule in enumerate(rules):
        if not any(rule.is_about_source(source) for source in sources):
            sentence = (
                f"{where}: the rule {rule.name} has no effect, because there is no upstream that it is about."
            )
            yield Finding(Severity.WARNING, sentence)
            continue
        if (
            above := next((each for each in rules[:number] if _leaves_nothing_to(each, rule)), None)
        ) is not None:
            sentence = f"{where}: the rule {rule.name} has no effect, because the rule {above.name} above it decides about all that it is about."
            yield Finding(Severity.WARNING, sentence)


def _leaves_nothing_to(above: PolicyRule, rule: PolicyRule) -> bool:
    """Tell whether a rule decides about every file that one below it is about."""
    if above.action not in (PolicyAction.ALLOW, PolicyAction.DENY) or not above.is_about_whole_projects:
        return False
    if above.exclude and set(above.exclude) - set(rule.exclude):
        return False
    has_projects = ALL in above.projects or set(rule.projects) <= set(above.projects)
    has_sources = (
        above.sources is None if rule.sources is None else (above.sources or rule.sources) >= rule.sources
    )
    if above.sources is None and rule.sources is not None and rule.sources & above.own:
        has_sources = False
    has_views = above.views is None or (rule.views is not None and rule.views <= above.views)
    return has_projects and has_sources and has_views
