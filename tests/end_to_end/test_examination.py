"""Files that are endless to examine, and threads that never end: neighbours are served, and SIGTERM ends the server."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.running import PATIENCE, Installed, Server, wait_until
from tests.fixtures.distributions import add_wheel

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Endless(Installed):
    """Twistd as :mod:`tests.end_to_end.endless` has it.

    Attributes:
        seconds: For which a file may be examined.
    """

    seconds: int = 1

    def command(self, *arguments: str | Path) -> list[str]:
        script = Path(__file__).with_name("endless.py")
        return [str(self.python), str(script), str(self.seconds), *map(str, arguments)]


def children_of(pid: int) -> list[int]:
    """The processes that a process has begun."""
    entries = (entry for entry in Path("/proc").iterdir() if entry.name.isdecimal())
    return [int(entry.name) for entry in entries if _parent_of(entry) == pid]


def _parent_of(entry: Path) -> int | None:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def test_an_endless_file_is_withheld(new_server: Callable[..., Server]) -> None:
    """Its sentence is in the log, its neighbours in the same directory are served, and so is all that comes later."""
    server = new_server()
    server.installed = Endless(server.installed.python, server.installed.twistd)
    add_wheel(server.root, "acme")
    add_wheel(server.root, "endless", "1.0")
    server.start()
    server.await_line("endless-1.0-py3-none-any.whl is not served: examining it takes more than 1 seconds")
    assert server.project("endless")["files"] == []
    before = children_of(server.process.pid)
    add_wheel(server.root, "acme", "2.0")
    assert len(server.project("acme")["files"]) == 2
    # Somebody kills what examines files, while nobody needs it.
    for child in before:
        os.kill(child, signal.SIGKILL)
    add_wheel(server.root, "acme", "3.0")
    assert len(server.project("acme")["files"]) == 3


def test_sigterm_ends_it_whatever_others_do(new_server: Callable[..., Server]) -> None:
    """A process that computes, a thread that waits for it, and a thread that computes in C and cannot be told to stop."""
    server = new_server("--watch=poll", "--poll-interval=1")
    server.installed = Endless(server.installed.python, server.installed.twistd, seconds=10_000)
    add_wheel(server.root, "acme")
    server.start()
    assert len(server.project("acme")["files"]) == 1
    pid = server.process.pid
    add_wheel(server.root, "endless")
    wait_until(lambda: any(_seconds(child) > 1 for child in children_of(pid)), "its process computes")
    before = _seconds(pid)
    add_wheel(server.root, "stuck")
    wait_until(lambda: _seconds(pid) > before + 1, "its thread computes")
    children = children_of(pid)
    server.process.send_signal(signal.SIGTERM)
    # It takes ten seconds; a server that joins its threads never ends.
    assert server.process.wait(PATIENCE) == -signal.SIGTERM
    wait_until(lambda: not any(Path(f"/proc/{child}").exists() for child in children), "its processes end")
    server.is_over = True
    server.assert_clean()


def _seconds(pid: int) -> float:
    """For how long a process has computed."""
    try:
        used = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0  # It has ended.
    return (int(used[11]) + int(used[12])) / os.sysconf("SC_CLK_TCK")
