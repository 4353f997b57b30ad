"""Checks of passwords that cost others nothing.

One hash at a time is computed, in a thread; a right password is remembered for a moment, and wrong ones are delayed by the
address they come from.
"""

from __future__ import annotations

import hmac
import secrets
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from simpleindex.access.backoff import NO_FAILURES
from simpleindex.core.addresses import counted_as
from simpleindex.core.errors import TooManyFailures

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from simpleindex.access.backoff import FailureHistory
    from simpleindex.access.credentials import PasswordCredentials
    from simpleindex.access.failed_logins import FailedLogins
    from simpleindex.access.htpasswd import Users

K = TypeVar("K")
V = TypeVar("V")
_Check = tuple[str, bytes]
"""Whose failures count, and the pair of user and password."""

_RIGHT_SECONDS: Final = 60.0
"""For so long a right password is not hashed again: a client sends it with each of its requests."""

_KNOWN_SECONDS: Final = 86_400.0
"""For so long a password that was right is not delayed by its neighbours' wrong ones."""

_MOST_RIGHT: Final = 4096
_MOST_ADDRESSES: Final = 10_000

_LONGEST_QUEUE: Final = 8.0
"""Seconds that those who wait take together; a request waits at most 10 s (DESIGN section 6)."""

_SHARE: Final = 0.5
"""Of the queue, what one address may fill."""

_LEAST_WAITING: Final = 4
"""Passwords that may wait, however long each takes."""

_ASSUMED_COST: Final = 0.2
"""Seconds for a hash, until one has been measured."""

_LEAST_COST: Final = 0.01
"""Seconds; below that it is memory that bounds the queue."""

_WAIT_SECONDS: Final = 2
"""What is told to whom there is no room for."""


class PasswordVerifier(Protocol):
    """What is asked of :mod:`simpleindex.access.hashes`."""

    def verify(self, hash: str, password: bytes, /) -> bool:  # noqa: A002
        """Tell whether this is the password; takes long."""
        ...

    def dummy_hash(self, like: str | None, /) -> str:
        """Make a hash that no password has and that takes as long as another."""
        ...


@dataclass(frozen=True, slots=True)
class _RightPassword:
    """A pair of user and password that was right.

    Attributes:
        hash: The user's, against which it was.
        since: When.
    """

    hash: str
    since: float


class _Turn:
    """A lock, at which some need not stand in line."""

    def __init__(self) -> None:
        self._is_taken = False
        self._waiting: deque[Deferred[None]] = deque()

    async def come(self, *, first: bool) -> None:
        """Wait until it is one's turn, which must be ended."""
        if self._is_taken:
            turn: Deferred[None] = Deferred()
            if first:
                self._waiting.appendleft(turn)
            else:
                self._waiting.append(turn)
            await turn
        self._is_taken = True

    def end(self) -> None:
        """Let the next one begin."""
        if self._waiting:
            self._waiting.popleft().callback(None)
        else:
            self._is_taken = False


class PasswordChecks:
    """Tells right passwords from wrong ones.

    Args:
        users: Gives the users as they are now.
        hashes: Verifies one, blocking.
        in_password_thread: Calls a blocking function in a thread.
        seconds: A clock that only goes on.
        failed_logins: Told of wrong ones.
    """

    def __init__(
        self,
        users: Callable[[], Users],
        hashes: PasswordVerifier,
        in_password_thread: Callable[..., Awaitable[bool]],
        seconds: Callable[[], float],
        failed_logins: FailedLogins,
    ) -> None:
        self._users = users
        self._hashes = hashes
        self._in_password_thread = in_password_thread
        self._seconds = seconds
        self._failed_logins = failed_logins
        # Keyed: whoever comes by this memory must not be able to try passwords on it quickly elsewhere.
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, _RightPassword] = OrderedDict()
        self._failures: OrderedDict[str, FailureHistory] = OrderedDict()
        self._turn = _Turn()
        self._checks: dict[tuple[str, bytes], list[Deferred[bool]]] = {}
        self._waiting: Counter[str] = Counter()
        self._cost = _ASSUMED_COST

    async def is_right(self, shown: PasswordCredentials, address: str) -> bool:
        """Tell whether a password is right; at once where it was a moment ago.

        Raises:
            TooManyFailures: It is not looked at now.
            Unavailable: It cannot be told now.
        """
        pair = self._keyed(shown.user.encode("utf-8", "surrogatepass"), shown.password)
        if self._was_right_just_now(pair, shown.user):
            return True
        check = counted_as(address), pair
        # Each request waits for itself, so that one client that leaves does not end the check for the others.
        waiter: Deferred[bool] = Deferred()
        if check in self._checks:
            self._checks[check].append(waiter)
        else:
            self._refuse_if_delayed(check)
            self._refuse_if_crowded(check)
            self._checks[check] = [waiter]
            self._waiting[check[0]] += 1
            Deferred.fromCoroutine(self._check(check, shown, address)).addBoth(self._finish, check)
        return await waiter

    async def _check(self, check: _Check, shown: PasswordCredentials, address: str) -> bool:
        asked = self._seconds()
        await self._turn.come(first=self._was_right_today(check[1]))
        try:
            # Those before it may have been too many wrong ones, or slow ones.
            self._refuse_if_delayed(check)
            if self._seconds() - asked > _LONGEST_QUEUE:
                raise TooManyFailures(_WAIT_SECONDS)
            hashes = self._users().hashes
            hash_ = hashes.get(shown.user)
            is_right = False
            if hashes:
                compared = hash_ or self._hashes.dummy_hash(self._resembling(hashes, shown.user))
                began = self._seconds()
                is_right = await self._in_password_thread(self._hashes.verify, compared, shown.password)
                # Of the last few: hashes cost what their makers chose, on whatever machine, beside whatever else runs.
                self._cost = (self._cost + self._seconds() - began) / 2
            if is_right and hash_ is not None:
                self._keep(self._right, check[1], _RightPassword(hash_, self._seconds()), _MOST_RIGHT)
                return True
            self._note_failure(check)
            self._failed_logins.tell(shown.user, address, "wrong password" if hash_ else "no such user")
            return False
        finally:
            # Not before the failure counts: the next one begins at once.
            self._turn.end()

    def _note_failure(self, check: _Check) -> None:
        counted, pair = check
        self._right.pop(pair, None)
        failures = self._failures.get(counted, NO_FAILURES).after_another(self._seconds())
        self._keep(self._failures, counted, failures, _MOST_ADDRESSES)

    def _finish(self, result: bool | Failure, check: _Check) -> None:
        self._waiting[check[0]] -= 1
        self._waiting += Counter()  # without those of none
        for waiter in self._checks.pop(check):
            if isinstance(result, Failure):
                waiter.errback(result)
            else:
                waiter.callback(result)

    def _was_right_just_now(self, pair: bytes, user: str) -> bool:
        known = self._right.get(pair)
        return (
            known is not None
            and known.hash == self._users().hashes.get(user)
            and self._seconds() - known.since < _RIGHT_SECONDS
        )

    def _was_right_today(self, pair: bytes) -> bool:
        known = self._right.get(pair)
        return known is not None and self._seconds() - known.since < _KNOWN_SECONDS

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

    def _resembling(self, hashes: Mapping[str, str], user: str) -> str:
        """Choose, always the same for one name, whose hash a user who does not exist would have one like."""
        number = int.from_bytes(self._keyed(user.encode("utf-8", "surrogatepass"))[:8])
        return list(hashes.values())[number % len(hashes)]

    def _keyed(self, *parts: bytes) -> bytes:
        data = b"".join(len(part).to_bytes(4) + part for part in parts)
        return hmac.digest(self._key, data, "sha256")

    @staticmethod
    def _keep(memory: OrderedDict[K, V], key: K, value: V, most: int) -> None:
        memory[key] = value
        memory.move_to_end(key)
        if len(memory) > most:
            memory.popitem(last=False)
