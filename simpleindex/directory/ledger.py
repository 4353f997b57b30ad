"""``<project>/.simpleindex-ledger``: the file names that deleted files had (docs/protocol.md, "Answers to an upload").

One line for each: the deleted bytes' sha256 (``-`` where it could not be read), the name, when (RFC 3339, UTC), and who did
it. A line that begins with ``freed`` gives the name back. What is no such line is passed over; the last line of a name counts.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from simpleindex.core.text import replace_unprintable

_FREED: Final = "freed"
UNKNOWN_DIGEST: Final = "-"


def used_names(ledger: bytes) -> frozenset[str]:
    """Return the file names that no new file may have."""
    used = {}
    for line in ledger.decode(errors="replace").split("\n"):
        match line.split(" ", 2):
            case [what, filename, _] if filename and not line.startswith("#"):
                used[filename] = what != _FREED
    return frozenset(filename for filename, is_used in used.items() if is_used)


def with_deleted(ledger: bytes, sha256: str, filename: str, *, now: float, who: str) -> bytes:
    """Add a name.

    Args:
        ledger: Its present content.
        sha256: Digest of the deleted bytes, or :data:`UNKNOWN_DIGEST`.
        filename: A distribution's name; it has no spaces.
        now: Seconds since 1970.
        who: Who deletes it.
    """
    return _with_line(ledger, sha256, filename, now, who)


def with_freed(ledger: bytes, filename: str, *, now: float, who: str) -> bytes:
    """Give a name back; arguments as in :func:`with_deleted`."""
    return _with_line(ledger, _FREED, filename, now, who)


def _with_line(ledger: bytes, what: str, filename: str, now: float, who: str) -> bytes:
    when = datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    # Somebody's name must not make a line of its own.
    shown = replace_unprintable(who) or "?"
    start = ledger if not ledger or ledger.endswith(b"\n") else ledger + b"\n"
    return start + f"{what} {filename} {when} {shown}\n".encode(errors="replace")
