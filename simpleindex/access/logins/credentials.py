"""Parse the Authorization header; tokens and their secrets (RFC 7617, RFC 6750; docs/protocol.md)."""

from __future__ import annotations

import re
import unicodedata
from base64 import b64decode
from dataclasses import dataclass, field
from typing import Final

from simpleindex.access.identity import Action, TokenLimits
from simpleindex.access.logins.htpasswd import TOKEN_USER

_LONGEST: Final = 4096
"""Characters of the longest header; the longest password has 1,024 bytes."""

LONGEST_PASSWORD: Final = 1024
"""Bytes; argon2 would read gigabytes."""

LAST_USE_SECONDS: Final = 60
"""How exact the time of a token's last use is: a write to disk costs more than the request."""


@dataclass(frozen=True, slots=True)
class PasswordCredentials:
    """A user and a password.

    Attributes:
        user: The user name in NFC; it may be unknown.
        password: The password as UTF-8, whatever encoding the client used.
    """

    user: str
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenCredentials:
    """A token's secret.

    Attributes:
        user: The user name beside it, for the log only.
        secret: The secret; it may be unknown.
    """

    user: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class MalformedCredentials:
    """A header that cannot be read.

    Attributes:
        reason: What is wrong, without any part of the header.
    """

    reason: str


Credentials = PasswordCredentials | TokenCredentials | MalformedCredentials


def parse_authorization(header: str) -> Credentials | None:
    """Parse the header's value.

    Args:
        header: As latin-1, which is how bytes become text without loss.

    Returns:
        None without a secret: for ``https://alice@host/`` pip sends a name with an empty password before it asks the keyring.
    """
    if len(header) > _LONGEST:
        return MalformedCredentials("it is too long")
    scheme, _, rest = header.strip().partition(" ")
    match scheme.lower():
        case "basic":
            return _parse_basic(rest.strip())
        case "bearer" | "token":
            # pypi.org takes both words.
            return TokenCredentials(TOKEN_USER, rest.strip())
    return MalformedCredentials("its scheme is none of Basic, Bearer and token")


def _parse_basic(text: str) -> Credentials | None:
    try:
        data = b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        return MalformedCredentials("it is not base64")
    name, colon, password = _decoded(data).partition(":")
    if not colon:
        return MalformedCredentials("it has no colon")
    user = unicodedata.normalize("NFC", name)
    if user == TOKEN_USER or password.strip().startswith(SECRET_PREFIX):
        # A secret pasted with a newline is the commonest mistake with tokens.
        return TokenCredentials(user, password.strip()) if password.strip() else None
    if not password:
        return None
    encoded = password.encode()
    return (
        PasswordCredentials(user, encoded)
        if len(encoded) <= LONGEST_PASSWORD
        else MalformedCredentials("its password is too long")
    )


def _decoded(data: bytes) -> str:
    """Decode UTF-8 (uv, curl, browsers) or latin-1 (clients that use requests: pip, twine, poetry); clients do not say which."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


SECRET_PREFIX: Final = "sidx-"  # noqa: S105  (how they begin)
"""The prefix of every secret, so that scanners for leaked secrets find it."""


# 32 random bytes as base64url without padding.
_SECRET: Final = re.compile(rf"{SECRET_PREFIX}[A-Za-z0-9_-]{{43}}\Z")


@dataclass(frozen=True, slots=True)
class Token:
    """The record of a token, without its secret.

    Attributes:
        id: The public id: 8 lower-case letters and digits.
        user: Its user, or None.
        actions: The actions that it allows.
        projects: Patterns of the projects that it is valid for.
        created: Seconds since 1970.
        expires: Seconds since 1970; None for never.
        note: Its purpose, in the words of its maker.
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
        """The limits of identities with this token."""
        return TokenLimits(self.id, self.actions, self.projects)

    def refusal(self, now: float) -> str | None:
        """Return why it is not valid at this time (seconds since 1970), in a word, or None."""
        if self.revoked is not None:
            return "revoked"
        if self.expires is not None and self.expires <= now:
            return "expired"
        return None


def may_be_secret(text: str) -> bool:
    """Tell whether a text has the form of a token's secret."""
    return _SECRET.match(text) is not None
