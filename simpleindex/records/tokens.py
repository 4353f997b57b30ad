"""Tokens for uploads and for logins of machines, a table of the records."""

from __future__ import annotations

import json
import secrets
import sqlite3
import string
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from simpleindex.access.errors import FormWasSent, TooManyTokens, UnusableToken
from simpleindex.access.identity import Action
from simpleindex.access.logins.credentials import LAST_USE_SECONDS, SECRET_PREFIX, Token, may_be_secret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simpleindex.access.token_options import TokenOptions
    from simpleindex.records.interface import Records, RecordsTransaction

MOST_USABLE: Final = 50
"""Tokens of one user that can be used, as many as GitHub allows of its fine-grained ones: nobody looks through a longer list for
one that leaked."""

_MOST_ENDED: Final = 100
"""Tokens of one user that ended and stay in the list; the audit has all of them."""

_MOST_NAMED: Final = 3

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

    def create(
        self,
        user: str | None,
        options: TokenOptions,
        now: float,
        *,
        form: str | None = None,
        most: int = MOST_USABLE,
    ) -> tuple[Token, str]:
        """Create a token.

        Args:
            user: The user that it stands for; None for none.
            options: What it is for.
            now: Seconds since 1970.
            form: The one-time value of the form that requests it; None for no form.
            most: How many tokens that can be used a user may have.

        Returns:
            The token and its secret, which is stored nowhere.

        Raises:
            FormWasSent: The user has sent this form before.
            TooManyTokens: The user has too many.
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

        key = None if form is None else sha256(json.dumps([user, form]).encode()).hexdigest()

        def insert(transaction: RecordsTransaction) -> None:
            # All in one transaction, so that of two processes that get a form only one makes a token of it.
            if key is not None:
                _refuse_sent(transaction, key)
            if user is not None:
                _make_room(transaction, user, most, int(now))
            transaction.execute(
                f"INSERT INTO tokens ({_COLUMNS}, digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  (constants)
                (*_row(token), _digest(secret)),
            )
            if key is not None:
                transaction.execute("INSERT INTO token_forms VALUES (?, ?)", (key, id_))

        self._database.write(insert)
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
        """Revoke a token for good; return it as it was before, or None if there is none.

        Of several who do so at once one gets it as not revoked yet.
        """
        if not (tokens := self._tokens("WHERE id = ?", (id,))):
            return None
        revoked = self._database.write(
            lambda transaction: (
                transaction.execute(
                    "UPDATE tokens SET revoked = ? WHERE id = ? AND revoked IS NULL", (int(now), id)
                ).rowcount
            )
        )
        return tokens[0] if revoked else next(iter(self._tokens("WHERE id = ?", (id,))), None)

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


def _refuse_sent(transaction: RecordsTransaction, form: str) -> None:
    """Refuse a form that has made a token.

    Raises:
        FormWasSent: It has.
    """
    made = transaction.execute("SELECT token FROM token_forms WHERE form = ?", (form,)).fetchone()
    if made is not None:
        raise FormWasSent(made[0])


def _make_room(transaction: RecordsTransaction, user: str, most: int, now: int) -> None:
    """Forget the oldest ended tokens of a user, so that making and revoking tokens all day fills no disk.

    Raises:
        TooManyTokens: Too many of the others can be used.
    """
    of_user = 'WHERE "user" = ? AND'
    usable, ended = (
        "revoked IS NULL AND (expires IS NULL OR expires > ?)",
        "(revoked IS NOT NULL OR expires <= ?)",
    )
    idle = transaction.execute(
        f"SELECT id FROM tokens {of_user} {usable} ORDER BY coalesce(last_used, created), id",  # noqa: S608  (constants)
        (user, now),
    ).fetchall()
    if len(idle) >= most:
        raise TooManyTokens(user, len(idle), most, tuple(id_ for (id_,) in idle[:_MOST_NAMED]))
    kept = f"SELECT id FROM tokens {of_user} {ended} ORDER BY coalesce(revoked, expires) DESC, id LIMIT {_MOST_ENDED}"  # noqa: S608
    deleted = transaction.execute(
        f"DELETE FROM tokens {of_user} {ended} AND id NOT IN ({kept})",  # noqa: S608
        (user, now, user, now),
    )
    if deleted.rowcount:
        transaction.execute("DELETE FROM token_forms WHERE token NOT IN (SELECT id FROM tokens)")


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
