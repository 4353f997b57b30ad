"""The options of a new token, as commands and pages take them: actions, projects, expiry and note; and a token in words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from simpleindex.access.identity import Action
from simpleindex.core.errors import SimpleIndexError
from simpleindex.core.patterns import InvalidPattern, parse_pattern
from simpleindex.core.text import parse_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simpleindex.access.logins.credentials import Token

ACTIONS: Final = ", ".join(action.value for action in Action)
"""All actions, for sentences."""

DEFAULT_EXPIRY: Final = "365d"

_LONGEST_NOTE: Final = 200  # characters


class InvalidTokenOption(SimpleIndexError):
    """An option of a new token that is not valid.

    Attributes:
        option: ``can``, ``projects``, ``expires`` or ``note``.
        reason: What is wrong, as a clause without its subject.
    """

    template = "{option}: {reason}"
    option: str
    reason: str


@dataclass(frozen=True, slots=True)
class TokenOptions:
    """What a new token is for.

    Attributes:
        actions: The actions that it permits.
        projects: The projects on which it permits them, as normalized patterns.
        expires: Its end, in seconds since 1970; None for never.
    """

    actions: tuple[Action, ...]
    projects: tuple[str, ...]
    expires: int | None
    note: str


def parse_token_options(
    can: Sequence[str], projects: Sequence[str], expires: str, note: str, now: float
) -> TokenOptions:
    """Return the options of a new token from their texts.

    Args:
        can: Names of actions; several may stand in one text, with commas or spaces between them.
        projects: Patterns of names, likewise.
        expires: How long the token lasts, as in ``30d``, or ``never``.
        note: Its purpose.
        now: Seconds since 1970.

    Raises:
        InvalidTokenOption: One of them is not valid.
    """
    return TokenOptions(_actions(can), _patterns(projects), parse_expiry(expires, now), _note(note))


def parse_expiry(text: str, now: float) -> int | None:
    """Return the end of a token that lasts as long as a text says, in seconds since 1970; None for ``never``.

    Raises:
        InvalidTokenOption: It is no duration.
    """
    if text == "never":
        return None
    seconds = parse_duration(text, "hdw")
    if not seconds:
        raise InvalidTokenOption("expires", f"{text!r} is no time such as 12h, 30d or 8w, nor never")
    return int(now) + seconds


def describe_token(token: Token) -> str:
    """Describe a token, as part of a sentence and in the audit."""
    whose = f"of {token.user}" if token.user else "of no user"
    end = "for ever" if token.expires is None else f"until {minute(token.expires)} UTC"
    note = f" ({token.note})" if token.note else ""
    return f"{whose}, can {action_list(token)} on {', '.join(token.projects)}, {end}{note}"


def action_list(token: Token) -> str:
    """Return the actions of a token with commas between them, in the order of the rights."""
    return ",".join(action.value for action in Action if action in token.actions)


def minute(seconds: int) -> str:
    """Return a moment to the minute, UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"


def _actions(texts: Sequence[str]) -> tuple[Action, ...]:
    actions = []
    for name in _split(texts):
        try:
            actions.append(Action(name))
        except ValueError:
            raise InvalidTokenOption("can", f"{name!r} is none of {ACTIONS}") from None
    if not actions:
        raise InvalidTokenOption("can", f"give at least one of {ACTIONS}")
    return tuple(dict.fromkeys(actions))


def _patterns(texts: Sequence[str]) -> tuple[str, ...]:
    try:
        patterns = tuple(dict.fromkeys(parse_pattern(text) for text in _split(texts)))
    except InvalidPattern as error:
        raise InvalidTokenOption("projects", str(error)) from None
    if not patterns:
        raise InvalidTokenOption("projects", "name at least one project, or * for all")
    return patterns


def _note(text: str) -> str:
    if len(text) > _LONGEST_NOTE or not text.isprintable():
        raise InvalidTokenOption("note", f"it must be one line of at most {_LONGEST_NOTE} characters")
    return text


def _split(texts: Sequence[str]) -> list[str]:
    return [part for text in texts for part in re.split(r"[,\s]+", text) if part]
