"""Pools of threads."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.system.threads import Threads, core_count, share_interpreter
from tests.fixtures.threads import InlineThreads

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred


class Reactor:
    """Takes what threads hand over."""

    def __init__(self) -> None:
        self.handed = threading.Semaphore(0)
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = []

    def callFromThread(self, function: Any, *args: Any, **kwargs: Any) -> None:
        self.calls.append((function, args, kwargs))
        self.handed.release()

    def deliver(self) -> None:
        """Wait for a thread, and do what it handed over."""
        assert self.handed.acquire(timeout=30)
        function, args, kwargs = self.calls.pop()
        function(*args, **kwargs)


def test_a_call_is_made_in_a_thread_and_its_value_delivered_in_the_reactor() -> None:
    """A call that is made before the start waits for it."""
    reactor = Reactor()
    threads = Threads(reactor, "reads", 1)
    results: list[tuple[int, str]] = []
    threads.run(lambda number: (number, threading.current_thread().name), 7).addCallback(results.append)
    threads.start()
    reactor.deliver()
    threads.stop()
    ((number, name),) = results
    assert (number, name == threading.current_thread().name) == (7, False)


def test_without_threads_value_and_exception_are_there_at_once() -> None:
    """As tests use it."""
    threads = InlineThreads()
    values: list[object] = []
    threads.run(int, "7").addCallback(values.append)
    failing: Deferred[int] = threads.run(int, "x")
    failing.addErrback(lambda failure: values.append(failure.type))
    assert values == [7, ValueError]
    assert threads.calls == 2


@pytest.mark.parametrize(("count", "cores"), [(6, 6), (None, 1)])
def test_systems_that_cannot_tell_which_cores_a_process_may_use(
    monkeypatch: pytest.MonkeyPatch, count: int | None, cores: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert core_count() == cores


def test_threads_that_compute_give_way_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a small part of the 50 ms that an answer may wait: it takes a dozen turns of the interpreter."""
    set_to: list[float] = []
    monkeypatch.setattr(sys, "setswitchinterval", set_to.append)
    share_interpreter()
    assert set_to == [0.0005]
