"""One line for each failed login, in the log and in the audit, and a bound to them: everybody can fail to log in.

A line reads ``Login failed for 'alice' from 192.0.2.7: wrong password``. For fail2ban::

    failregex = Login failed for '[^']*' from <HOST>:
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from simpleindex.core import severity
from simpleindex.core.addresses import counted_as

if TYPE_CHECKING:
    from collections.abc import Callable

_PERIOD: Final = 60.0  # seconds
_LINES_PER_ADDRESS: Final = 30
"""Within a period; fail2ban wants five or so."""

_LINES: Final = 600
"""Of all addresses within a period: less than 200 MB a day, whoever attacks."""

_LONGEST_NAME: Final = 64


class Recorder(Protocol):
    """What is asked of the audit."""

    def record(
        self,
        event: str,
        *,
        who: str | None = None,
        token: str | None = None,
        address: str | None = None,
        detail: str | None = None,
    ) -> bool:
        """Append one line."""
        ...


class FailedLogins:
    """Says and records that a login failed.

    Args:
        say: Takes a sentence for the operator.
        audit: Takes the same for the records.
        seconds: A clock that only goes on.
    """

    def __init__(self, say: Callable[[str], None], audit: Recorder, seconds: Callable[[], float]) -> None:
        self._say = say
        self._audit = audit
        self._seconds = seconds
        self._since = seconds()
        self._lines: dict[str, int] = {}
        self._written = 0
        self._left_out = 0

    def tell(
        self, user: str, address: str, reason: str, *, token: str | None = None, event: str = "login-failed"
    ) -> None:
        """Take note of a failure.

        Args:
            user: The name that was given, whatever it is.
            address: Where it came from.
            reason: What was wrong, without any secret.
            token: The id of the token that was shown, if it is one of ours.
            event: What the audit calls it.
        """
        if not self._has_room(address):
            self._left_out += 1
            return
        name = quoted(user)
        self._say(severity.warning(f"Login failed for {name} from {address or 'a local socket'}: {reason}"))
        self._audit.record(event, who=name[1:-1], token=token, address=address, detail=reason)

    def _has_room(self, address: str) -> bool:
        now = self._seconds()
        if now - self._since >= _PERIOD:
            if self._left_out:
                sentence = (
                    f"{self._left_out} more logins failed within a minute and have no lines of their own."
                )
                self._say(severity.warning(sentence))
                self._audit.record("logins-failed", detail=sentence)
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
    r"""Put a name that somebody sent between quotes that it cannot end, for a line that it cannot end either.

    Whatever is not printable ASCII, a quote or a backslash becomes ``\xNN``, as in the access log.
    """
    shown = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."
    data = shown.encode("utf-8", "backslashreplace")
    text = "".join(
        chr(byte) if 0x20 <= byte < 0x7F and byte not in b"'\\" else f"\\x{byte:02X}" for byte in data
    )
    return f"'{text}'"
