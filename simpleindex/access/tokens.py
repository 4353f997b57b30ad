"""Tokens: secrets made by the index, each with its limits and its end."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from simpleindex.access.identity import Action, TokenLimits

SECRET_PREFIX: Final = "sidx-"  # noqa: S105  (how they begin)
"""How every secret begins, so that scanners for leaked secrets find it."""

# 32 random bytes as base64url without padding.
_SECRET: Final = re.compile(rf"{SECRET_PREFIX}[A-Za-z0-9_-]{{43}}\Z")


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token; never its secret.

    Attributes:
        id: Its name: 8 lower-case letters and digits.
        user: Whose it is, or None.
        actions: What may be done with it.
        projects: Patterns of the projects that it is good for.
        created: Seconds since 1970.
        expires: The same; None for never.
        note: What it is for.
        last_used: Seconds since 1970, to the minute; None for never.
        revoked: When it was, or None.
    """

    id: str
    user: str | None
    actions: frozenset[Action]
    projects: tuple[str, ...]
    created: int
    expires: int | None
    note: str
    last_used: int | None = None
    revoked: int | None = None

    @property
    def limits(self) -> TokenLimits:
        """What it is good for at most."""
        return TokenLimits(self.id, self.actions, self.projects)

    def refusal(self, now: float) -> str | None:
        """Why it gives no rights at this time (seconds since 1970), in a word, or None."""
        if self.revoked is not None:
            return "revoked"
        if self.expires is not None and self.expires <= now:
            return "expired"
        return None


def may_be_secret(text: str) -> bool:
    """Tell whether a text has the form of a token's secret."""
    return _SECRET.match(text) is not None
