"""Parse the rules of a sources file.

::

    [[rule]]
    name = "cooldown"
    projects = ["*"]
    min-age = "7d"

A key says either which files a rule is about, or what they must have. An ambiguous rule is refused.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any, Final

from packaging.specifiers import InvalidSpecifier

from simpleindex.core.errors import InvalidSources
from simpleindex.core.names import Kind
from simpleindex.core.parsing.toml import (
    check_keys,
    to_boolean,
    to_choice,
    to_duration,
    to_patterns,
    to_size,
    to_text,
    to_texts,
)
from simpleindex.core.parsing.version_texts import parse_specifiers
from simpleindex.core.text import one_of, shown
from simpleindex.policy.rules import DenialMode, PolicyAction, PolicyRule

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

_SELECTING: Final = ("versions", "kinds", "tags", "prereleases", "yanked", "deny-names", "advisories")
_REQUIRING: Final = ("min-age", "not-after", "max-size", "requires-hash")
_KEYS: Final = (
    *("name", "action", "projects", "exclude", "sources", "views"),
    *_SELECTING,
    *_REQUIRING,
    *("blocked", "message"),
)
_LISTS: Final = ("deny-names", "advisories")


def parse_rules(
    tables: Sequence[dict[str, object]],
    *,
    upstreams: Collection[str],
    own: Collection[str],
    views: Collection[str],
    blocked: DenialMode,
) -> tuple[PolicyRule, ...]:
    """Parse the rules.

    Args:
        tables: The tables of the file.
        upstreams: The names of the upstreams.
        own: The names of the local directories.
        views: The names of the views.
        blocked: The default of ``blocked``.

    Raises:
        InvalidSources: A rule is not valid, or has no effect.
    """
    rules: list[PolicyRule] = []
    for number, table in enumerate(tables, 1):
        rule = _rule(table, number, upstreams=upstreams, own=own, views=views, blocked=blocked)
        if any(rule.name == other.name for other in rules):
            raise InvalidSources(f"has two rules called {shown(rule.name)}; give each a name of its own")
        rules.append(rule)
    return tuple(rules)


def _rule(
    table: Mapping[str, object],
    number: int,
    *,
    upstreams: Collection[str],
    own: Collection[str],
    views: Collection[str],
    blocked: DenialMode,
) -> PolicyRule:
    where = f"rule {number}"
    check_keys(table, _KEYS, f" in {where}")
    name = to_text(table.get("name", where), f"'name' of {where}")
    if len(name) > 100 or not name.isprintable():
        raise InvalidSources(f"has a 'name' of {where} that is no short text on one line")
    if "name" in table:
        where = f"the rule {name}"
    action = _action(table, where)
    values: dict[str, Any] = {
        "projects": to_patterns(table.get("projects", ["*"]), f"'projects' of {where}"),
        "exclude": to_patterns(table.get("exclude", []), f"'exclude' of {where}"),
        "sources": _names(table, "sources", where, (*own, *upstreams)),
        "own": frozenset(own),
        "views": _names(table, "views", where, views),
        "blocked": to_choice(table.get("blocked", blocked.value), DenialMode, f"'blocked' of {where}"),
        "message": _message(table, where),
        **_selection(table, where),
        **_requirements(table, where),
    }
    if not values["projects"]:
        raise InvalidSources(f"has no 'projects' in {where}; leave the key out where it is about all")
    return PolicyRule(name=name, action=action, **values)


def _action(table: Mapping[str, object], where: str) -> PolicyAction:
    requiring = [key for key in _REQUIRING if key in table]
    listing = [key for key in _LISTS if key in table]
    choices = [action.value for action in PolicyAction if action is not PolicyAction.REQUIRE]
    given = table.get("action")
    if given is not None and given not in choices:
        near = one_of(given, choices) if isinstance(given, str) else f" (known: {', '.join(choices)})"
        raise InvalidSources(f"has an unknown value of 'action' of {where}{near}")
    if requiring and given is not None:
        raise InvalidSources(
            f"has both an 'action' and {requiring[0]!r} in {where}: the one is an effect, the other a requirement; make "
            "it two rules"
        )
    if requiring and listing:
        raise InvalidSources(f"has both {listing[0]!r} and {requiring[0]!r} in {where}; make it two rules")
    if requiring:
        if "blocked" in table:
            raise InvalidSources(f"has 'blocked' in {where}, which denies no whole project; leave it out")
        return PolicyAction.REQUIRE
    if given is None and listing:
        return PolicyAction.DENY
    if given is None:
        raise InvalidSources(
            f"has nothing that {where} does: give it an action ({', '.join(choices)}) or what files must have "
            f"({', '.join(_REQUIRING)})"
        )
    action = PolicyAction(given)
    selecting = [key for key in _SELECTING if key in table]
    if action is PolicyAction.QUARANTINE and selecting:
        raise InvalidSources(
            f'has {selecting[0]!r} in {where}, but whole projects are quarantined; to withhold some files use action = "deny"'
        )
    return action


def _names(
    table: Mapping[str, object], key: str, where: str, known: Collection[str]
) -> frozenset[str] | None:
    if key not in table:
        return None
    names = to_texts(table[key], f"{key!r} of {where}")
    for name in names:
        if name not in known:
            raise InvalidSources(
                f"has an unknown name {shown(name)} in {key!r} of {where}{one_of(name, known)}"
            )
    if not names:
        raise InvalidSources(f"has no {key!r} in {where}; leave the key out where it holds for all")
    return frozenset(names)


def _message(table: Mapping[str, object], where: str) -> str:
    message = to_text(table["message"], f"'message' of {where}") if "message" in table else ""
    if len(message) > 300 or not message.isprintable():
        raise InvalidSources(
            f"has a 'message' of {where} that is no text of at most 300 characters on one line"
        )
    return message


def _selection(table: Mapping[str, object], where: str) -> dict[str, Any]:
    values: dict[str, Any] = {
        key: to_boolean(table[key], f"{key!r} of {where}")
        for key in ("prereleases", "yanked")
        if key in table
    }
    if "versions" in table:
        text = to_text(table["versions"], f"'versions' of {where}")
        try:
            values["versions"] = parse_specifiers(text)
        except InvalidSpecifier:
            raise InvalidSources(
                f'has \'versions\' of {where} that are no specifier (PEP 440), such as "<2" or "==1.4.*"'
            ) from None
    if "kinds" in table:
        kinds = to_texts(table["kinds"], f"'kinds' of {where}")
        values["kinds"] = frozenset(to_choice(kind, Kind, f"'kinds' of {where}") for kind in kinds)
        if not kinds:
            raise InvalidSources(f"has no 'kinds' in {where}; leave the key out where it is about all")
    if "tags" in table:
        values["tags"] = tuple(_tag(tag, where) for tag in to_texts(table["tags"], f"'tags' of {where}"))
        if not values["tags"]:
            raise InvalidSources(f"has no 'tags' in {where}; leave the key out where it is about all")
    values["lists"] = tuple(
        f"{key}:{to_text(table[key], f'{key!r} of {where}')}" for key in _LISTS if key in table
    )
    return values


def _tag(text: str, where: str) -> str:
    parts = text.lower().split("-")
    if len(parts) != 3 or not all(parts) or not text.isascii():
        raise InvalidSources(
            f"has the tag {shown(text)} in {where}, which is none of a wheel's: write python-abi-platform with * where it does "
            'not matter, such as "*-*-win_amd64"'
        )
    return text.lower()


def _requirements(table: Mapping[str, object], where: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if "min-age" in table:
        values["min_age"] = to_duration(table["min-age"], f"'min-age' of {where}")
    if "not-after" in table:
        values["not_after"] = _moment(table["not-after"], where)
    if "max-size" in table:
        values["max_size"] = to_size(table["max-size"], f"'max-size' of {where}")
    if "requires-hash" in table:
        values["requires_hash"] = to_boolean(table["requires-hash"], f"'requires-hash' of {where}")
        if not values["requires_hash"]:
            raise InvalidSources(
                f"has requires-hash = false in {where}, which requires nothing; leave it out"
            )
    return values


def _moment(value: object, where: str) -> float:
    """Parse a time; a date stands for its end, in UTC, so that files uploaded on it are not after it."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, date):
        return datetime.combine(value, time.max, UTC).timestamp()
    raise InvalidSources(
        f"has a 'not-after' of {where} that is no date; write it without quotes, as 2026-01-31"
    )
