"""The end of the process: no thread holds it up for longer than patience lasts."""

from __future__ import annotations

import subprocess
import sys
from threading import Event
from typing import TYPE_CHECKING

import pytest
from twisted.python.threadpool import ThreadPool

from simpleindex.service.ending import Patience, PatientThread, bound_joins

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def stuck() -> Iterator[Event]:
    """What threads wait for that nothing else ends; it is set after the test."""
    event = Event()
    yield event
    event.set()


def test_patience_begins_with_the_first_wait_and_is_shared() -> None:
    """Time before the first wait does not count, time between waits does."""
    now = 100.0
    patience = Patience(0.5, lambda: now)
    now = 200.0
    assert patience.left() == 0.5
    now = 200.25
    assert patience.left() == 0.25
    now = 300.0
    assert patience.left() == 0


def test_a_pool_with_stuck_threads_stops(stuck: Event) -> None:
    """All threads together are waited for once, and none keeps the interpreter alive."""
    pool = ThreadPool(0, 3, "stuck")
    bound_joins(pool, Patience(0))
    pool.start()
    for _ in range(3):
        pool.callInThread(stuck.wait)
    threads = [*pool.threads]
    pool.stop()
    assert [thread.is_alive() for thread in threads] == [True] * 3
    assert all(thread.daemon for thread in threads)
    stuck.set()
    for thread in threads:
        thread.join(30)


def test_threads_that_end_in_time_are_joined() -> None:
    """What is nearly done is waited for."""
    thread = PatientThread(Patience(30), target=lambda: None)
    thread.start()
    thread.join()
    assert not thread.is_alive()


STUCK = """
import faulthandler, sys, threading
from unittest import mock
from simpleindex.service import ending
with mock.patch.object(ending, "_FORCE_SECONDS", 0.05):
    ending.end_by_force()
threading.Event().wait()
"""


def test_the_last_resort_needs_no_python_code_to_run() -> None:
    """A process whose main thread never comes back ends by itself, and says where every thread was."""
    ended = subprocess.run(
        [sys.executable, "-c", STUCK], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 1
    assert "most recent call first" in ended.stderr
