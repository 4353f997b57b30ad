"""Coalesce requests for work: one run at a time for each key, and no request is lost."""

from __future__ import annotations

import time
from collections import OrderedDict
from itertools import chain, islice
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

from twisted.internet.defer import Deferred

from simpleindex.system.log import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Sequence

    from twisted.python.failure import Failure

_log = logger(__name__)

Key = TypeVar("Key", bound="Hashable")


class KeySet(Protocol[Key]):
    """A set out of which keys are taken; it may need less memory than a set of them."""

    def __contains__(self, key: object) -> bool: ...

    def __iter__(self) -> Iterator[Key]: ...

    def __len__(self) -> int: ...

    def discard(self, key: Key, /) -> None:
        """Take a key out, if it is there."""
        ...


class _Later(NamedTuple, Generic[Key]):
    """Very many keys that wait.

    Attributes:
        keys: Those whose turn is yet to come.
        in_turn: Yields them in order, and perhaps others that were taken out.
        since: When they were noted.
    """

    keys: KeySet[Key]
    in_turn: Iterator[Key]
    since: float


class Coalescer(Generic[Key]):
    """Runs work for keys in batches; a key requested during its run is run once more afterwards.

    Args:
        work: Does it for a batch of keys.
        workers: How many batches run at once.
        batch: How many keys go into one.
        seconds: A clock that never goes backwards.

    What the work raises is logged; those who wait go on all the same and see the old state.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Key]], Awaitable[None]],
        *,
        workers: int,
        batch: int,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._work = work
        self._workers = workers
        self._batch = batch
        self._waiting: OrderedDict[Key, list[Deferred[None]]] = OrderedDict()
        self._running: dict[Key, list[Deferred[None]]] = {}
        self._later: list[_Later[Key]] = []
        self._since: dict[Key, float] = {}
        self._seconds = seconds
        self._batches = 0
        self._starting = False

    def is_busy(self, key: Key) -> bool:
        """Whether this key is being run, or will be."""
        is_soon = key in self._waiting or key in self._running
        # Rarely are any noted for later, and each page asks.
        return is_soon or (bool(self._later) and self._is_later(key))

    def busy(self) -> tuple[Key, ...]:
        """Every key that is being run, or will be; usable from any thread."""
        later = chain.from_iterable(each.keys for each in [*self._later])
        return tuple(dict.fromkeys(chain([*self._running], [*self._waiting], later)))

    @property
    def is_idle(self) -> bool:
        """Whether nothing is run or waits."""
        return not self._waiting and not self._running and not self._later

    def __len__(self) -> int:
        """Return how many keys are run or wait; one of two sets (:meth:`note_set`) counts twice until it is run."""
        later = sum(len(each.keys) for each in self._later)
        return len(self._running) + later + sum(key not in self._running for key in self._waiting)

    @property
    def running(self) -> tuple[Key, ...]:
        """Every key that is being run."""
        return tuple(self._running)

    @property
    def longest_wait(self) -> float:
        """For how many seconds the oldest key has been run or waiting; 0 if there is none."""
        since = (*self._since.values(), *(each.since for each in self._later))
        return self._seconds() - min(since) if since else 0.0

    def ask(self, key: Key, *, first: bool = False) -> Deferred[None]:
        """Request another run for a key.

        Args:
            key: Which.
            first: Start now, before and beside all others: somebody is waiting.

        Returns:
            A Deferred that fires after a run which began after this call.
        """
        waiter: Deferred[None] = Deferred()
        self._discard_later(key)
        self._waiting.setdefault(key, []).append(waiter)
        self._since.setdefault(key, self._seconds())
        if first and key not in self._running:
            self._run([key])
        self._start()
        return waiter

    def note(self, keys: Iterable[Key]) -> None:
        """Request another run for each of these keys, as :meth:`ask` does, without waiting for it: many at once cost little."""
        now = self._seconds()
        for key in keys:
            self._discard_later(key)
            self._waiting.setdefault(key, [])
            self._since.setdefault(key, now)
        self._start()

    def note_all(self, keys: Sequence[Key]) -> None:
        """Request another run for very many keys, in this order and after all others; until its turn a key takes next to no memory."""
        self.note([key for key in keys if key in self._running])
        later = [key for key in keys if key not in self._waiting and not self._is_later(key)]
        if later:
            self._later.append(_Later({*later}, iter(later), self._seconds()))
        self._start()

    def note_set(self, keys: KeySet[Key], in_turn: Iterator[Key]) -> None:
        """Request another run for very many keys after all others, as :meth:`note_all` does; until its turn a key need not be an object.

        Args:
            keys: Which; they are taken out of it.
            in_turn: Yields them, in the order in which they are run.
        """
        for key in self._waiting:
            keys.discard(key)
        self.note([key for key in self._running if key in keys])
        for key in self._running:
            keys.discard(key)
        if keys:
            self._later.append(_Later(keys, in_turn, self._seconds()))
        self._start()

    def join(self, key: Key, *, first: bool = False) -> Deferred[None]:
        """Wait for the last run that was requested; the key must be busy.

        Args:
            key: Which.
            first: Start it now, as in :meth:`ask`.
        """
        if key in self._waiting or self._is_later(key):
            return self.ask(key, first=first)
        waiter: Deferred[None] = Deferred()
        self._running[key].append(waiter)
        return waiter

    def stop(self) -> None:
        """Begin no more runs; those who wait for one are not answered."""
        self._workers = 0

    def _start(self) -> None:
        # Work that ends at once comes back here from within; starting the next from there would go ever deeper.
        if self._starting:
            return
        self._starting = True
        try:
            while self._batches < self._workers and (keys := self._next()):
                self._run(keys)
        finally:
            self._starting = False

    def _next(self) -> list[Key]:
        keys = list(islice((key for key in self._waiting if key not in self._running), self._batch))
        while self._later and len(keys) < self._batch:
            later = self._later[0]
            key = next(later.in_turn)
            if key in later.keys:
                self._discard_later(key)
                self._waiting[key] = []
                self._since[key] = later.since
                keys.append(key)
        return keys

    def _is_later(self, key: Key) -> bool:
        return any(key in each.keys for each in self._later)

    def _discard_later(self, key: Key) -> None:
        for each in self._later:
            each.keys.discard(key)
        if not all(each.keys for each in self._later):
            # An emptied set is as large as it was when it was full.
            self._later = [each for each in self._later if each.keys]

    def _run(self, keys: Sequence[Key]) -> None:
        self._batches += 1
        for key in keys:
            self._running[key] = self._waiting.pop(key)
        done = Deferred.fromCoroutine(_call(self._work, keys))
        done.addBoth(self._finish, keys)
        done.addErrback(lambda failure: _log.failure("", failure))

    def _finish(self, outcome: Failure | None, keys: Sequence[Key]) -> Failure | None:
        self._batches -= 1
        waiters = [waiter for key in keys for waiter in self._running.pop(key)]
        for key in keys:
            # One that was requested meanwhile waits from that time on; the end of its former run is close enough.
            del self._since[key]
            if key in self._waiting:
                self._since[key] = self._seconds()
        self._start()
        for waiter in waiters:
            waiter.callback(None)
        return outcome


async def _call(work: Callable[[Sequence[Key]], Awaitable[None]], keys: Sequence[Key]) -> None:
    await work(keys)
