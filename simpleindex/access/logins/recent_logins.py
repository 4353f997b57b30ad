"""Successful logins in the audit: a user or token from an address once a day, for every request is a login."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cachetools import TTLCache

from simpleindex.core.addresses import counted_as
from simpleindex.core.audit_entry import AuditEntry

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.access.identity import Identity
    from simpleindex.access.logins.failed_logins import AuditLog

_ONCE_SECONDS: Final = 86_400.0
_MOST: Final = 10_000
"""Users and addresses that are in memory; some 3 MB."""


class RecentLogins:
    """Records logins that succeed.

    Args:
        audit: The audit.
        seconds: A clock that never goes backwards.
    """

    def __init__(self, audit: AuditLog, seconds: Callable[[], float]) -> None:
        self._audit = audit
        self._recorded: TTLCache[tuple[str | None, str | None, str], None] = TTLCache(
            _MOST, _ONCE_SECONDS, timer=seconds
        )

    def note(self, identity: Identity, address: str) -> None:
        """Record a login, if it is the first one within a day; networks of IPv6 count as one address."""
        key = identity.user, identity.token_id, counted_as(address)
        if key not in self._recorded:
            self._recorded[key] = None
            self._audit.record(
                AuditEntry("login", who=identity.user, token=identity.token_id, address=address or None)
            )
