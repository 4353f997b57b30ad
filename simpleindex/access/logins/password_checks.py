"""Checks of passwords, at a cost that other requests do not feel.

One hash at a time is computed, in a thread; a right password is remembered for a moment, and wrong ones delay the next
attempts from their address.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from cachetools import LRUCache
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from simpleindex.access.errors import TooManyFailures
from simpleindex.access.logins.backoff import NO_FAILURES
from simpleindex.core.addresses import counted_as

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simpleindex.access.logins.backoff import FailureHistory
    from simpleindex.access.logins.credentials import PasswordCredentials
    from simpleindex.access.logins.failed_logins import FailedLogins
    from simpleindex.access.logins.htpasswd import Users
    from simpleindex.system.threads import Threads

_Check = tuple[str, bytes]
"""The address whose failures count, and the digest of user and password."""

_RIGHT_SECONDS: Final = 60.0
"""For so long a right password is not hashed again: a client sends it with each of its requests."""

_TRUSTED_SECONDS: Final = 86_400.0
"""For so long a password that was right is not delayed by wrong ones from its neighbours."""

_MOST_RIGHT: Final = 4096
_MOST_ADDRESSES: Final = 10_000

_LONGEST_QUEUE: Final = 8.0
"""Seconds that all waiting checks take together; a request waits at most 10 s."""

_SHARE: Final = 0.5
"""The share of the queue that one address may fill."""

_LEAST_WAITING: Final = 4
"""Checks that may wait, however long each takes."""

_ASSUMED_COST: Final = 0.2
"""Seconds for a hash, until one has been measured."""

_LEAST_COST: Final = 0.01
"""Seconds; below that it is memory that bounds the queue."""

_WAIT_SECONDS: Final = 2
"""Retry-After for a client for which the queue has no room."""


class PasswordVerifier(Protocol):
    """The functions of :mod:`simpleindex.access.logins.hashes` that are needed here."""

    def verify(self, hash: str, password: bytes, /) -> bool:  # noqa: A002
        """Tell whether this is the password; takes long."""
        ...

    def dummy_hash(self, like: str | None, /) -> str:
        """Make a hash that no password has and that takes as long as another."""
        ...


@dataclass(frozen=True, slots=True)
class _RightPassword:
    """A pair of user and password that was right."""

    hash: str
    since: float


class _Queue:
    """A lock whose waiters stand in a queue; some may go to its front."""

    def __init__(self) -> None:
        self._is_locked = False
        self._waiting: deque[Deferred[None]] = deque()

    async def acquire(self, *, first: bool) -> None:
        """Wait for the lock."""
        if self._is_locked:
            turn: Deferred[None] = Deferred()
            if first:
                self._waiting.appendleft(turn)
            else:
                self._waiting.append(turn)
            await turn
        self._is_locked = True

    def release(self) -> None:
        """Let the next one have the lock."""
        if self._waiting:
            self._waiting.popleft().callback(None)
        else:
            self._is_locked = False


class PasswordChecks:
    """Tells right passwords from wrong ones.

    Args:
        users: Returns the current users.
        verifier: Verifies hashes, blocking.
        threads: A pool that does nothing else.
        failed_logins: Logs failures.
        seconds: A clock that never goes backwards.
    """

    def __init__(
        self,
        users: Callable[[], Users],
        verifier: PasswordVerifier,
        threads: Threads,
        failed_logins: FailedLogins,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._users = users
        self._verifier = verifier
        self._threads = threads
        self._seconds = seconds
        self._failed_logins = failed_logins
        # Keyed, so that a leak of this memory does not allow passwords to be tried on it quickly elsewhere.
        self._key = secrets.token_bytes(32)
        self._right: LRUCache[bytes, _RightPassword] = LRUCache(_MOST_RIGHT)
        self._failures: LRUCache[str, FailureHistory] = LRUCache(_MOST_ADDRESSES)
        self._queue = _Queue()
        self._checks: dict[tuple[str, bytes], list[Deferred[bool]]] = {}
        self._waiting: Counter[str] = Counter()
        self._cost = _ASSUMED_COST

    async def is_right(self, credentials: PasswordCredentials, address: str) -> bool:
        """Tell whether a password is right; at once where it was a moment ago.

        Raises:
            TooManyFailures: It is not checked now.
            Unavailable: It cannot be checked now.
        """
        pair = self._digest(credentials.user.encode("utf-8", "surrogatepass"), credentials.password)
        if self._was_right_just_now(pair, credentials.user):
            return True
        check = counted_as(address), pair
        # Each request waits for a Deferred of its own, so that one client that leaves does not end the check for the others.
        waiter: Deferred[bool] = Deferred()
        if check in self._checks:
            self._checks[check].append(waiter)
        else:
            self._refuse_if_delayed(check)
            self._refuse_if_crowded(check)
            self._checks[check] = [waiter]
            self._waiting[check[0]] += 1
            Deferred.fromCoroutine(self._check(check, credentials, address)).addBoth(self._finish, check)
        return await waiter

    async def _check(self, check: _Check, credentials: PasswordCredentials, address: str) -> bool:
        queued = self._seconds()
        await self._queue.acquire(first=self._was_right_today(check[1]))
        try:
            # The checks before this one may have been too many wrong ones, or slow ones.
            self._refuse_if_delayed(check)
            if self._seconds() - queued > _LONGEST_QUEUE:
                raise TooManyFailures(_WAIT_SECONDS)
            hashes = self._users().hashes
            hash_ = hashes.get(credentials.user)
            is_right = False
            if hashes:
                compared = hash_ or self._verifier.dummy_hash(self._similar_hash(hashes, credentials.user))
                began = self._seconds()
                is_right = await self._threads.run(self._verifier.verify, compared, credentials.password)
                # An average of the last few: the cost of a hash depends on the hash, the machine and its load.
                self._cost = (self._cost + self._seconds() - began) / 2
            if is_right and hash_ is not None:
                self._right[check[1]] = _RightPassword(hash_, self._seconds())
                return True
            self._count_failure(check)
            self._failed_logins.record(
                credentials.user, address, "wrong password" if hash_ else "no such user"
            )
            return False
        finally:
            # Not before the failure counts: the next check begins at once.
            self._queue.release()

    def _count_failure(self, check: _Check) -> None:
        counted, pair = check
        self._right.pop(pair, None)
        before = self._failures.get(counted, NO_FAILURES)
        self._failures[counted] = before.after_another(self._seconds())

    def _finish(self, result: bool | Failure, check: _Check) -> None:
        self._waiting[check[0]] -= 1
        self._waiting += Counter()  # removes zeros
        for waiter in self._checks.pop(check):
            if isinstance(result, Failure):
                waiter.errback(result)
            else:
                waiter.callback(result)

    def _was_right_just_now(self, pair: bytes, user: str) -> bool:
        right = self._right.get(pair)
        return (
            right is not None
            and right.hash == self._users().hashes.get(user)
            and self._seconds() - right.since < _RIGHT_SECONDS
        )

    def _was_right_today(self, pair: bytes) -> bool:
        right = self._right.get(pair)
        return right is not None and self._seconds() - right.since < _TRUSTED_SECONDS

    def _refuse_if_delayed(self, check: _Check) -> None:
        counted, pair = check
        wait = self._failures.get(counted, NO_FAILURES).wait(self._seconds())
        if wait and not self._was_right_today(pair):
            raise TooManyFailures(wait)

    def _refuse_if_crowded(self, check: _Check) -> None:
        counted, pair = check
        if self._was_right_today(pair):
            return
        room = max(_LEAST_WAITING, round(_LONGEST_QUEUE / max(self._cost, _LEAST_COST)))
        if len(self._checks) >= room or self._waiting[counted] >= room * _SHARE:
            raise TooManyFailures(_WAIT_SECONDS)

    def _similar_hash(self, hashes: Mapping[str, str], user: str) -> str:
        """Choose the hash that the dummy hash of an unknown user resembles, always the same for one name."""
        number = int.from_bytes(self._digest(user.encode("utf-8", "surrogatepass"))[:8])
        return list(hashes.values())[number % len(hashes)]

    def _digest(self, *parts: bytes) -> bytes:
        data = b"".join(len(part).to_bytes(4) + part for part in parts)
        return hmac.digest(self._key, data, "sha256")
