"""Checks of tokens, and the record of their last use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from cachetools import LRUCache
from twisted.internet.defer import Deferred

from simpleindex.access.errors import Unauthenticated, UnusableToken
from simpleindex.access.identity import Identity
from simpleindex.access.logins.credentials import LAST_USE_SECONDS, may_be_secret
from simpleindex.system.clocks import SYSTEM_CLOCKS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twisted.python.failure import Failure

    from simpleindex.access.logins.credentials import Token, TokenCredentials
    from simpleindex.access.logins.failed_logins import FailedLogins
    from simpleindex.access.logins.htpasswd import Users
    from simpleindex.system.clocks import Clocks
    from simpleindex.system.threads import Threads

_MOST_TOUCHED: Final = 4096

_WRONG_TOKEN: Final = "The token is unknown, expired or revoked."  # noqa: S105  (a sentence)


class TokenRecords(Protocol):
    """The records of tokens.

    Attributes:
        may_be_behind: Whether what other processes changed a moment ago may not be known here yet.
    """

    may_be_behind: bool

    def find(self, secret: str, now: float, /) -> Token:
        """Return the token, or raise UnusableToken or Unavailable; takes microseconds."""
        ...

    def catch_up(self) -> None:
        """Read what other processes changed until now, or raise Unavailable; blocking."""
        ...

    def touch(self, id: str, now: float, /) -> None:  # noqa: A002
        """Record a use; takes a write to disk."""
        ...


class TokenThreads(Protocol):
    """The threads that use the records of tokens.

    Attributes:
        writes: Write.
        catch_ups: Read what other processes changed.
    """

    @property
    def writes(self) -> Threads: ...
    @property
    def catch_ups(self) -> Threads: ...


class TokenChecks:
    """Finds the identity behind a token.

    Args:
        records: The tokens.
        users: Returns the current users; None without a users file: then the user of a token need not be in it.
        failed_logins: Logs failures.
        threads: Threads that write records, and those that bring them up to date.
        clocks: The clocks.
    """

    def __init__(
        self,
        records: TokenRecords,
        users: Callable[[], Users] | None,
        failed_logins: FailedLogins,
        threads: TokenThreads,
        clocks: Clocks = SYSTEM_CLOCKS,
    ) -> None:
        self._records = records
        self._users = users
        self._failed_logins = failed_logins
        self._threads = threads
        self._clocks = clocks
        self._is_catching_up = False
        self._waiting: list[Deferred[None]] = []
        self._touched: LRUCache[str, float] = LRUCache(_MOST_TOUCHED)

    async def identity(self, credentials: TokenCredentials, address: str) -> Identity:
        """Return the identity that a token gives.

        Raises:
            Unauthenticated: It is unknown, expired or revoked, or its user is gone.
            Unavailable: The records cannot be read now.
        """
        now = self._clocks.now()
        try:
            token = await self._find(credentials.secret, now)
            if token.user is not None and self._users and token.user not in self._users().hashes:
                # A user who was removed must not log in with an older token.
                raise UnusableToken(token.id, f"belongs to {token.user!r}, who is not in the users file")
        except UnusableToken as error:
            self._failed_logins.record(credentials.user, address, str(error), token=error.id)
            raise Unauthenticated(_WRONG_TOKEN) from None
        self._touch(token, now)
        return Identity(token.user, token.limits)

    async def _find(self, secret: str, now: float) -> Token:
        """Return the token; one that is not known may have been created a moment ago, by a command or another node."""
        try:
            return self._records.find(secret, now)
        except UnusableToken as error:
            if error.id is not None or not (self._records.may_be_behind and may_be_secret(secret)):
                raise
        await self._catch_up()
        return self._records.find(secret, now)

    def _catch_up(self) -> Deferred[None]:
        """Fire once what others changed until now is read; one thread reads for all who wait, for anybody can send wrong tokens."""
        caught_up: Deferred[None] = Deferred()
        # A reading that is under way may have begun too early.
        self._waiting.append(caught_up)
        if not self._is_catching_up:
            self._begin_to_catch_up()
        return caught_up

    def _begin_to_catch_up(self) -> None:
        self._is_catching_up = True
        waiting, self._waiting = self._waiting, []
        self._threads.catch_ups.run(self._records.catch_up).addBoth(self._caught_up, waiting)

    def _caught_up(self, result: Failure | None, waiting: Sequence[Deferred[None]]) -> None:
        self._is_catching_up = False
        if self._waiting:
            self._begin_to_catch_up()
        for each in waiting:
            each.callback(result)  # A Failure fails it.

    def _touch(self, token: Token, now: float) -> None:
        """Record that a token is used; no request waits for it, and a full disk is no reason to refuse one."""
        if token.last_used is not None and now - token.last_used < LAST_USE_SECONDS:
            return
        seconds = self._clocks.seconds()
        if seconds - self._touched.get(token.id, -LAST_USE_SECONDS) < LAST_USE_SECONDS:
            return
        self._touched[token.id] = seconds
        self._threads.writes.run(self._records.touch, token.id, now).addErrback(lambda _: None)
