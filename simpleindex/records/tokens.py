"""Tokens for uploads and for logins of machines, a table of the records."""

from __future__ import annotations

import json
import secrets
import sqlite3
import string
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from simpleindex.access.errors import UnusableToken
from simpleindex.access.identity import Action
from simpleindex.access.logins.credentials import LAST_USE_SECONDS, SECRET_PREFIX, Token, may_be_secret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simpleindex.access.token_options import TokenOptions
    from simpleindex.records.interface import Records

_SECRET_BYTES: Final = 32
_ID_LENGTH: Final = 8
_ID_ALPHABET: Final = string.ascii_lowercase + string.digits

_COLUMNS: Final = 'id, "user", actions, projects, created, expires, note, last_used, revoked'


class TokenTable:
    """The tokens; usable from any thread. Queries take microseconds, changes wait for the disk.

    Attributes:
        may_be_behind: Whether queries may not know what another process changed a moment ago.
    """

    def __init__(self, database: Records) -> None:
        self._database = database
        self.may_be_behind = database.is_copy

    def create(self, user: str | None, options: TokenOptions, now: float) -> tuple[Token, str]:
        """Create a token.

        Args:
            user: The user that it stands for; None for none.
            options: What it is for.
            now: Seconds since 1970.

        Returns:
            The token and its secret, which is stored nowhere.

        Raises:
            Unavailable: It cannot be stored.
        """
        secret = SECRET_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
        id_ = "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))
        token = Token(
            id_,
            user,
            frozenset(options.actions),
            options.projects,
            int(now),
            options.expires,
            options.note,
        )
        self._database.write(
            lambda transaction: transaction.execute(
                f"INSERT INTO tokens ({_COLUMNS}, digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  (constants)
                (*_row(token), _digest(secret)),
            )
        )
        return token, secret

    def find(self, secret: str, now: float) -> Token:
        """Return the token of a secret.

        Raises:
            UnusableToken: It is unknown, expired or revoked.
            Unavailable: The records cannot be read.
        """
        if not may_be_secret(secret):
            raise UnusableToken(None, "unknown")
        tokens = self._tokens("WHERE digest = ?", (_digest(secret),))
        if not tokens:
            raise UnusableToken(None, "unknown")
        token = tokens[0]
        if refusal := token.refusal(now):
            raise UnusableToken(token.id, refusal)
        return token

    def catch_up(self) -> None:
        """Read what other processes changed until now; blocking.

        Raises:
            Unavailable: The records cannot be read.
        """
        self._database.catch_up()

    def all(self) -> Sequence[Token]:
        """Return all tokens, the oldest first."""
        return self._tokens("ORDER BY created, id", ())

    def of_user(self, user: str) -> Sequence[Token]:
        """Return the tokens of a user, the oldest first."""
        return self._tokens('WHERE "user" = ? ORDER BY created, id', (user,))

    def revoke(self, id: str, now: float) -> Token | None:  # noqa: A002  (as everywhere)
        """Revoke a token for good; return it as it was before, or None if there is none."""
        tokens = self._tokens("WHERE id = ?", (id,))
        if tokens:
            self._database.write(
                lambda transaction: transaction.execute(
                    "UPDATE tokens SET revoked = ? WHERE id = ? AND revoked IS NULL", (int(now), id)
                )
            )
        return tokens[0] if tokens else None

    def touch(self, id: str, now: float) -> None:  # noqa: A002
        """Store the time of a token's last use, to the minute."""
        self._database.write(
            lambda transaction: transaction.execute(
                "UPDATE tokens SET last_used = ? WHERE id = ? AND (last_used IS NULL OR last_used <= ?)",
                (int(now), id, int(now) - LAST_USE_SECONDS),
            )
        )

    def _tokens(self, condition: str, values: tuple[object, ...]) -> list[Token]:
        rows = self._database.read(f"SELECT {_COLUMNS} FROM tokens {condition}", values, current=True)  # noqa: S608  (constants)
        try:
            return [_token(row) for row in rows]
        except (ValueError, TypeError):
            raise self._database.unavailable(sqlite3.DatabaseError("a row in it is damaged")) from None


def _digest(secret: str) -> bytes:
    # A secret has 256 random bits and cannot be guessed, so a slow hash would only slow down each request.
    return sha256(secret.encode()).digest()


def _row(token: Token) -> tuple[object, ...]:
    actions = ",".join(sorted(action.value for action in token.actions))
    return (
        *(
            token.id,
            token.user,
            actions,
            json.dumps(token.projects),
            token.created,
            token.expires,
            token.note,
        ),
        *(token.last_used, token.revoked),
    )


def _token(row: tuple[Any, ...]) -> Token:
    id_, user, actions, projects, created, expires, note, last_used, revoked = row
    return Token(
        id_,
        user,
        frozenset(Action(action) for action in actions.split(",")),
        tuple(str(pattern) for pattern in json.loads(projects)),
        created,
        expires,
        note,
        last_used,
        revoked,
    )
