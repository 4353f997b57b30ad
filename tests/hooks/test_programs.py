"""Programs of hooks: what they get, how long they may take, and what their exit status means."""

from __future__ import annotations

import json
import os
import stat
import threading
from typing import TYPE_CHECKING

import pytest
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from simpleindex.hooks.notification import notification_of
from simpleindex.hooks.programs import ProgramTarget
from tests.fixtures.threads import InlineThreads

if TYPE_CHECKING:
    from pathlib import Path

NOTIFICATION = notification_of({"time": "2026-11-29T06:30:00.000+00:00", "event": "upload"}, None)


def program(place: Path, script: str, timeout: float = 120.0) -> ProgramTarget:
    path = place / "program"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return ProgramTarget((str(path), "a b"), InlineThreads(), timeout)


def test_what_a_program_gets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The event on its standard input, its arguments, and nothing of the server's environment."""
    monkeypatch.setenv("SIMPLEINDEX_TOKEN", "s3cret")
    out = tmp_path / "out"
    target = program(tmp_path, f'cat > {out}.json; (echo "$1"; pwd; env) > {out}')
    assert target.run(NOTIFICATION).trouble is None
    assert json.loads((tmp_path / "out.json").read_text()) == json.loads(NOTIFICATION.body)
    argument, directory, *environment = out.read_text().splitlines()
    assert (argument, directory) == ("a b", "/")
    assert {line.partition("=")[0] for line in environment} - {"PWD", "OLDPWD", "_", "SHLVL"} == {
        "PATH",
        "LANG",
        "SIMPLEINDEX_EVENT",
    }
    assert "SIMPLEINDEX_EVENT=upload" in environment


@pytest.mark.parametrize(
    ("script", "trouble", "is_passing"),
    [
        ("exit 0", None, False),
        ("exit 3", "its program ended with status 3", False),
        ("exit 75", "its program ended with status 75", True),
        ("kill -9 $$", "its program was ended by signal 9", False),
    ],
)
def test_outcomes(tmp_path: Path, script: str, trouble: str | None, is_passing: bool) -> None:
    """By the exit status; a program need not read its input."""
    outcome = program(tmp_path, script).run(NOTIFICATION)
    assert (outcome.trouble, outcome.is_passing) == (trouble, is_passing)


def test_a_program_that_takes_too_long(tmp_path: Path) -> None:
    """It is killed with what it has started."""
    outcome = SynchronousTestCase().successResultOf(
        Deferred.fromCoroutine(program(tmp_path, "sleep 1000 & wait", 0.05).notify(NOTIFICATION))
    )
    assert outcome.trouble is not None
    assert outcome.trouble.endswith(", and was killed")


def test_a_program_that_is_not_there() -> None:
    """A clause without a traceback."""
    outcome = ProgramTarget(("/nowhere/at/all",), InlineThreads(), 1.0).run(NOTIFICATION)
    assert outcome.trouble == "its program cannot be run: No such file or directory"


def test_the_end_of_the_server(tmp_path: Path) -> None:
    """A program that runs is killed; none is begun afterwards."""
    fifo = tmp_path / "begun"
    os.mkfifo(fifo)
    target = program(tmp_path, f"echo > {fifo}; sleep 1000")
    outcomes: list[str | None] = []
    thread = threading.Thread(target=lambda: outcomes.append(target.run(NOTIFICATION).trouble))
    thread.start()
    fifo.read_text()
    target.close()
    thread.join()
    target.close()
    outcomes.append(target.run(NOTIFICATION).trouble)
    assert outcomes == ["its program was ended by signal 9", "its program cannot be run: the server ends"]
