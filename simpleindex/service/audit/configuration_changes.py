"""Record in the audit when other users, rights, rules or options are in force."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simpleindex.config.settings import changes
from simpleindex.core.audit_entry import AuditEntry
from simpleindex.core.text import plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from simpleindex.access.logins.htpasswd import Users
    from simpleindex.access.rights import Access
    from simpleindex.config.settings import Settings
    from simpleindex.policy.rules import PolicyRule
    from simpleindex.service.composition.index import ComposedIndex
    from simpleindex.service.composition.logins import Logins


@dataclass(frozen=True, slots=True)
class Configuration:
    """What an operator has decided, as it is in force at one moment.

    Attributes:
        users: The users; None without a users file.
        access: The rights; None without an access file.
        rules: The rules of the sources file.
    """

    settings: Settings
    users: Users | None
    access: Access | None
    rules: tuple[PolicyRule, ...]


class ConfigurationChanges:
    """Compares what is in force with what was in force, and records the difference."""

    def __init__(self, index: ComposedIndex) -> None:
        self._index = index
        self._before = configuration_of(index)

    def record(self) -> None:
        """Record what has changed since the last time."""
        now = configuration_of(self._index)
        before, self._before = self._before, now
        for entry in configuration_changes(before, now):
            self._index.runtime.audit.record(entry)


def configuration_of(index: ComposedIndex) -> Configuration:
    """Return what is in force, without a look at the files."""
    users, access = (None, None) if index.logins is None else _people(index.logins)
    upstreams = index.sources.upstreams
    rules = () if upstreams is None else upstreams.files.sources.sources.rules
    return Configuration(index.runtime.current(), users, access, rules)


def _people(logins: Logins) -> tuple[Users | None, Access | None]:
    from simpleindex.access.logins.htpasswd import Users  # noqa: PLC0415  (only where people log in)

    users: Users | None = None
    access: Access | None = None
    for file in logins.files:
        value = file.value
        if isinstance(value, Users):
            users = value
        else:
            access = value
    return users, access


def configuration_changes(before: Configuration, now: Configuration) -> Iterator[AuditEntry]:
    """Yield an entry of the audit for each part that has changed."""
    if now.settings is not before.settings:
        changed, _ = changes(before.settings, now.settings)
        if changed:
            yield AuditEntry("settings-changed", detail=", ".join(changed))
    if now.users is not before.users and before.users is not None and now.users is not None:
        detail = _difference(before.users.hashes, now.users.hashes, "other password")
        yield AuditEntry("users-changed", detail=detail)
    if now.access is not before.access and now.access is not None:
        yield AuditEntry("access-changed", detail=f"{plural(len(now.access.rules), 'rule')} in force")
    if now.rules != before.rules:
        old, new = ({rule.name: rule for rule in rules} for rules in (before.rules, now.rules))
        detail = f"{plural(len(now.rules), 'rule')} in force; {_difference(old, new, 'changed')}"
        yield AuditEntry("rules-changed", detail=detail)


def _difference(before: Mapping[str, object], now: Mapping[str, object], changed: str) -> str:
    parts = (
        ("added", [name for name in now if name not in before]),
        ("removed", [name for name in before if name not in now]),
        (changed, [name for name in now if name in before and now[name] != before[name]]),
    )
    return "; ".join(_part(verb, names) for verb, names in parts if names) or "another order"


def _part(verb: str, names: Iterable[str]) -> str:
    return f"{verb}: {', '.join(names)}"
