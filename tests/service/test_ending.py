"""The end of the process: no thread holds it up for longer than patience lasts."""

from __future__ import annotations

import faulthandler
import os
import subprocess
import sys
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest
from twisted.python.threadpool import ThreadPool

from simpleindex.service.ending import Patience, PatientThread, bound_joins, end_by_force

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


@pytest.mark.parametrize("has_stderr", [True, False])
def test_the_last_resort_writes_to_the_standard_error_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, *, has_stderr: bool
) -> None:
    """A daemon has closed it; then the places of its threads go nowhere, and it ends all the same."""
    begun: list[dict[str, Any]] = []
    monkeypatch.setattr(faulthandler, "dump_traceback_later", lambda *_, **named: begun.append(named))
    with open(os.devnull, "w", encoding="utf-8") as stderr:
        monkeypatch.setattr(sys, "__stderr__", stderr if has_stderr else None)
        end_by_force()
        (named,) = begun
        assert named["exit"]
        assert os.path.samestat(os.fstat(named["file"]), os.stat(os.devnull))
        assert (named["file"] == stderr.fileno()) is has_stderr
    if not has_stderr:
        os.close(named["file"])


def test_the_last_resort_is_there_although_the_standard_error_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A closed file has no descriptor."""
    begun: list[int] = []
    monkeypatch.setattr(faulthandler, "dump_traceback_later", lambda *_, file, **__: begun.append(file))
    with open(os.devnull, "w", encoding="utf-8") as stderr:
        pass
    monkeypatch.setattr(sys, "__stderr__", stderr)
    end_by_force()
    os.close(begun[0])
