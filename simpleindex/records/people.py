"""What cannot be rebuilt of people: tokens and who owns which project, in SQLite in the state directory.

Several processes use it at once, servers and commands; a change in one holds in all of them from the next question on.
What cannot be read is never taken for "nobody" or "allowed": it raises Unavailable.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import sqlite3
import string
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, TypeVar

from simpleindex.access.credentials import SECRET_PREFIX, Token, may_be_secret
from simpleindex.access.identity import Action
from simpleindex.core import severity
from simpleindex.core.errors import Unavailable, UnusableToken
from simpleindex.core.names import ProjectName, printable
from simpleindex.policy.judgement import Allowance
from simpleindex.records.database import RecordsFile
from simpleindex.system.errors import trouble_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

T = TypeVar("T")

_SECRET_BYTES: Final = 32
_ID_LENGTH: Final = 8
_ID_ALPHABET: Final = string.ascii_lowercase + string.digits

_TOUCH_SECONDS: Final = 60
"""How exact the last use is: a write to disk costs more than the request."""

_READ_TIMEOUT: Final = 1.0
"""Seconds that a question may wait for another process; it holds up the reactor."""

_WRITE_TIMEOUT: Final = 10.0

_COLUMNS: Final = "id, user, actions, projects, created, expires, note, last_used, revoked"


class Records:
    """Tokens and owners; usable from any thread. Questions take microseconds, changes wait for the disk.

    Args:
        state_directory: Where the database is; a change makes it if it is missing.
        log: Told in a sentence, once until it is over, that the database cannot be used.
        begun: Whether the records were made before, so that missing ones are lost, not new.
    """

    def __init__(self, state_directory: str, log: Callable[[str], None], *, begun: bool = False) -> None:
        self.path = os.path.join(state_directory, "records.sqlite3")
        self._log = log
        self._said: str | None = None
        # Apart, so that no question waits for a change.
        self._reading = RecordsFile(self.path, _READ_TIMEOUT, begun=begun)
        self._writing = RecordsFile(self.path, _WRITE_TIMEOUT, begun=begun)

    def close(self) -> None:
        """Close the database; it is opened again when it is needed."""
        self._reading.close()
        self._writing.close()

    def create_token(
        self,
        *,
        user: str | None,
        actions: Iterable[Action],
        projects: Iterable[str],
        expires: int | None,
        note: str,
        now: float,
    ) -> tuple[Token, str]:
        """Make a token.

        Args:
            user: Whose it will be.
            actions: What it will be good for.
            projects: On which projects, as normalized patterns.
            expires: When it ends, in seconds since 1970; None for never.
            note: What it is for.
            now: Seconds since 1970.

        Returns:
            The token and its secret, which is kept nowhere.

        Raises:
            Unavailable: It cannot be kept.
        """
        secret = SECRET_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
        id_ = "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))
        token = Token(id_, user, frozenset(actions), tuple(projects), int(now), expires, note)
        self._write(
            lambda connection: connection.execute(
                f"INSERT INTO tokens ({_COLUMNS}, digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  (constants)
                (*_row(token), _digest(secret)),
            )
        )
        return token, secret

    def find_token(self, secret: str, now: float) -> Token:
        """Return the token behind a secret.

        Raises:
            UnusableToken: It is unknown, expired or revoked.
            Unavailable: It cannot be told.
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

    def tokens(self) -> Sequence[Token]:
        """Return all tokens, the oldest first."""
        return self._tokens("ORDER BY created, id", ())

    def revoke(self, id: str, now: float) -> Token | None:  # noqa: A002  (as everywhere)
        """End a token for good; returns it as it was, or None if there is none."""
        found = self._tokens("WHERE id = ?", (id,))
        if found:
            self._write(
                lambda connection: connection.execute(
                    "UPDATE tokens SET revoked = ? WHERE id = ? AND revoked IS NULL", (int(now), id)
                )
            )
        return found[0] if found else None

    def touch(self, id: str, now: float) -> None:  # noqa: A002
        """Note that a token is used; once a minute is enough."""
        self._write(
            lambda connection: connection.execute(
                "UPDATE tokens SET last_used = ? WHERE id = ? AND (last_used IS NULL OR last_used <= ?)",
                (int(now), id, int(now) - _TOUCH_SECONDS),
            )
        )

    def owner(self, name: ProjectName) -> str | None:
        """Return who owns a project, or None."""
        rows = self._read("SELECT user FROM owners WHERE project = ?", (name,))
        return rows[0][0] if rows else None

    def owners(self) -> Mapping[ProjectName, str]:
        """Return the owner of every project that has one."""
        rows = self._read("SELECT project, user FROM owners ORDER BY project", ())
        return {ProjectName(name): user for name, user in rows}

    def claim(self, name: ProjectName, user: str, now: float) -> str:
        """Make a project somebody's if it is nobody's; returns whose it is now. Of several at once, one wins."""

        def claim(connection: sqlite3.Connection) -> str:
            connection.execute("INSERT OR IGNORE INTO owners VALUES (?, ?, ?)", (name, user, int(now)))
            row = connection.execute("SELECT user FROM owners WHERE project = ?", (name,)).fetchone()
            owner: str = row[0]
            return owner

        return self._write(claim)

    def give(self, name: ProjectName, user: str | None, now: float) -> None:
        """Make a project somebody's, whoever's it was; None makes it nobody's."""

        def give(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM owners WHERE project = ?", (name,))
            if user is not None:
                connection.execute("INSERT INTO owners VALUES (?, ?, ?)", (name, user, int(now)))

        self._write(give)

    def allow(self, allowance: Allowance) -> None:
        """Give an allowance, in place of one for the same."""

        def allow(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO allowances VALUES (?, ?, ?, ?, ?)",
                (
                    allowance.name,
                    allowance.version or "",
                    math.ceil(allowance.until),
                    allowance.by,
                    allowance.reason,
                ),
            )

        self._write(allow)

    def disallow(self, name: ProjectName, version: str | None) -> bool:
        """Take an allowance back; returns whether there was one."""

        def disallow(connection: sqlite3.Connection) -> bool:
            sentence = "DELETE FROM allowances WHERE project = ? AND version = ?"
            return connection.execute(sentence, (name, version or "")).rowcount > 0

        return self._write(disallow)

    def allowances(self, now: float) -> tuple[Allowance, ...]:
        """Return those that have not ended, the one that ends first at the beginning."""
        rows = self._read(
            "SELECT project, version, until, who, reason FROM allowances WHERE until > ? ORDER BY until, project, version",
            (now,),
            table="allowances",
        )
        return tuple(
            Allowance(ProjectName(name), version or None, float(until), by, reason)
            for name, version, until, by, reason in rows
        )

    def _tokens(self, condition: str, values: tuple[object, ...]) -> list[Token]:
        rows = self._read(f"SELECT {_COLUMNS} FROM tokens {condition}", values)  # noqa: S608  (constants)
        try:
            return [_token(row) for row in rows]
        except (ValueError, TypeError):
            raise self._unavailable(sqlite3.DatabaseError("a row in it is damaged")) from None

    def _read(
        self, statement: str, values: tuple[object, ...], *, table: str | None = None
    ) -> list[tuple[Any, ...]]:
        try:
            rows = self._reading.read(statement, values, table=table)
        except (sqlite3.Error, OSError) as error:
            raise self._unavailable(error) from error
        self._said = None
        return rows

    def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return self._writing.write(work)
        except (sqlite3.Error, OSError) as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: sqlite3.Error | OSError) -> Unavailable:
        trouble = trouble_of(error, self.path)
        if trouble.cause != self._said:
            self._said = trouble.cause
            self._log(
                severity.error(
                    f"The records {printable(self.path)} cannot be used ({trouble.cause}), so that tokens and owners are answered "
                    f"with 503: {trouble.remedy}"
                )
            )
        return Unavailable(f"The records of tokens and owners cannot be used now: {trouble.for_client()}")


def _digest(secret: str) -> bytes:
    # Of 256 random bits, which nobody guesses: a slow hash would only slow down each request.
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
