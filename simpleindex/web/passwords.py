"""Checks of passwords that cost others nothing.

One hash at a time is computed, in a thread; a right password is remembered for a moment, and wrong ones are delayed by the
address they come from.
"""

from __future__ import annotations

import hmac
import secrets
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from twisted.internet.defer import Deferred, DeferredLock
from twisted.python.failure import Failure

from simpleindex.core.addresses import counted_as
from simpleindex.core.backoff import NO_FAILURES
from simpleindex.core.errors import TooManyFailures

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from simpleindex.core.backoff import Failures
    from simpleindex.core.credentials import Password
    from simpleindex.core.users import Users
    from simpleindex.web.failed_logins import FailedLogins

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

_MOST_WAITING: Final = 40
"""At 0.1 s each, less than the 10 s that a request may wait here (DESIGN section 6)."""

_MOST_WAITING_PER_ADDRESS: Final = 20

_WAIT_SECONDS: Final = 2
"""What is told to whom there is no room for; the queue is over by then."""


class Hashes(Protocol):
    """What is asked of :mod:`simpleindex.store.passwords`."""

    def verify(self, hash: str, password: bytes, /) -> bool:  # noqa: A002
        """Tell whether this is the password; takes long."""
        ...

    def dummy_hash(self, like: str | None, /) -> str:
        """Make a hash that no password has and that takes as long as another."""
        ...


@dataclass(frozen=True, slots=True)
class _Right:
    """A pair of user and password that was right.

    Attributes:
        hash: The user's, against which it was.
        since: When.
    """

    hash: str
    since: float


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
        hashes: Hashes,
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
        self._right: OrderedDict[bytes, _Right] = OrderedDict()
        self._failures: OrderedDict[str, Failures] = OrderedDict()
        self._turn = DeferredLock()
        self._checks: dict[tuple[str, bytes], list[Deferred[bool]]] = {}
        self._waiting: Counter[str] = Counter()

    async def is_right(self, shown: Password, address: str) -> bool:
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

    async def _check(self, check: _Check, shown: Password, address: str) -> bool:
        await self._turn.acquire()
        try:
            # Those before it may have been too many wrong ones.
            self._refuse_if_delayed(check)
            hashes = self._users().hashes
            hash_ = hashes.get(shown.user)
            is_right = False
            if hashes:
                compared = hash_ or self._hashes.dummy_hash(self._resembling(hashes, shown.user))
                is_right = await self._in_password_thread(self._hashes.verify, compared, shown.password)
            if is_right and hash_ is not None:
                self._keep(self._right, check[1], _Right(hash_, self._seconds()), _MOST_RIGHT)
                return True
            self._note_failure(check)
            self._failed_logins.tell(shown.user, address, "wrong password" if hash_ else "no such user")
            return False
        finally:
            # Not before the failure counts: the next one begins at once.
            self._turn.release()

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
        if len(self._checks) >= _MOST_WAITING or self._waiting[counted] >= _MOST_WAITING_PER_ADDRESS:
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
