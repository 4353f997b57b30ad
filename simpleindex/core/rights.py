"""Who asks, and what a token limits them to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Action(Enum):
    """What can be done to a project."""

    READ = "read"
    UPLOAD = "upload"
    YANK = "yank"
    DELETE = "delete"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class TokenLimits:
    """What a token is good for at most.

    Attributes:
        id: The token's name.
        actions: What may be done with it.
        projects: Patterns of names, normalized.
    """

    id: str
    actions: frozenset[Action]
    projects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks.

    Attributes:
        user: A user's name, or None.
        token: The limits of the token that was shown, or None.
    """

    user: str | None
    token: TokenLimits | None = None


ANYONE: Final = Identity(None)
"""Who shows no credentials."""
