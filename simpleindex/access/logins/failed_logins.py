"""Failed logins: one line each in the log and in the audit log, with a bound, because anybody can fail to log in.

A line reads ``Login failed for 'alice' from 192.0.2.7: wrong password``. For fail2ban::

    failregex = Login failed for '[^']*' from <HOST>:
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from simpleindex.core.addresses import counted_as
from simpleindex.core.audit_entry import AuditEntry
from simpleindex.system.log import logger

if TYPE_CHECKING:
    from collections.abc import Callable

_PERIOD: Final = 60.0  # seconds
_LINES_PER_ADDRESS: Final = 30
"""Within a period; fail2ban needs about five."""

_LINES: Final = 600
"""Of all addresses within a period: less than 200 MB a day, whatever the attack."""

_LONGEST_NAME: Final = 64

_log: Final = logger(__name__)


class AuditLog(Protocol):
    """The audit log."""

    def record(self, entry: AuditEntry) -> bool:
        """Append one line."""
        ...


class FailedLogins:
    """Logs and audits failed logins.

    Args:
        audit: The audit log.
        seconds: A clock that never goes backwards.

    Attributes:
        count: How many there were, also those without a line.
    """

    def __init__(self, audit: AuditLog, seconds: Callable[[], float]) -> None:
        self._audit = audit
        self._seconds = seconds
        self._since = seconds()
        self._lines: dict[str, int] = {}
        self._written = 0
        self._left_out = 0
        self.count = 0

    def record(
        self, user: str, address: str, reason: str, *, token: str | None = None, event: str = "login-failed"
    ) -> None:
        """Write one line, if there is room for it.

        Args:
            user: The user name that was sent.
            address: The client's address.
            reason: What was wrong, without any secret.
            token: The public id of the token, if the index made it.
            event: The event's name in the audit log.
        """
        self.count += 1
        if not self._has_room(address):
            self._left_out += 1
            return
        name = quoted(user)
        _log.warn(
            "Login failed for {name} from {address}: {reason}",
            name=name,
            address=address or "a local socket",
            reason=reason,
        )
        self._audit.record(AuditEntry(event, who=name[1:-1], token=token, address=address, detail=reason))

    def _has_room(self, address: str) -> bool:
        now = self._seconds()
        if now - self._since >= _PERIOD:
            if self._left_out:
                sentence = (
                    f"{self._left_out} more logins failed within a minute and have no lines of their own."
                )
                _log.warn("{sentence}", sentence=sentence)
                self._audit.record(AuditEntry("logins-failed", detail=sentence))
            self._since, self._written, self._left_out = now, 0, 0
            self._lines.clear()
        counted = counted_as(address)
        lines = self._lines.get(counted, 0)
        if lines >= _LINES_PER_ADDRESS or self._written >= _LINES:
            return False
        self._lines[counted] = lines + 1
        self._written += 1
        return True


def quoted(name: str) -> str:
    r"""Quote a name that a client sent, so that it can end neither the quotes nor the line.

    Whatever is not printable ASCII, a quote or a backslash becomes ``\xNN``, as in the access log.
    """
    shown = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."
    data = shown.encode("utf-8", "backslashreplace")
    text = "".join(
        chr(byte) if 0x20 <= byte < 0x7F and byte not in b"'\\" else f"\\x{byte:02X}" for byte in data
    )
    return f"'{text}'"
