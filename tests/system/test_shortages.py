"""What the operating system refuses to this process says nothing of the directory: nothing is gone by it."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.core.errors import SimpleIndexError, Unavailable
from simpleindex.core.names import ProjectName
from simpleindex.system.errors import own_trouble
from tests.fixtures.deferreds import error, result
from tests.fixtures.distributions import add_wheel, put, wheel_bytes, wheel_name
from tests.fixtures.live_directory import ACME, OTHER, LiveDirectoryFixture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHORTAGES = [errno.EMFILE, errno.ENFILE, errno.ENOMEM]
TROUBLES = [*SHORTAGES, errno.EIO, errno.EACCES, errno.ESTALE]
CALLS = ["open", "scandir", "listdir", "lstat"]


@contextmanager
def refusing(call: str, number: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have one function of ``os`` fail for everything that is asked meanwhile."""

    def refuse(path: Any = ".", *_: Any, **__: Any) -> Any:
        raise OSError(number, os.strerror(number), path)

    with monkeypatch.context() as patched:
        patched.setattr(os, call, refuse)
        yield


@pytest.fixture
def world(tmp_path: Path) -> LiveDirectoryFixture:
    """Two projects, long since read."""
    root = tmp_path / "root"
    add_wheel(root)
    add_wheel(root, "other", "1.0")
    return LiveDirectoryFixture(root).begin()


def change(world: LiveDirectoryFixture) -> None:
    """Something new in one project, and a new project; everything is to be looked at."""
    put(wheel_path(world, "acme", "2.0"), wheel_bytes("acme", "2.0"))
    add_wheel(world.root, "third", "1.0")
    world.live.everything_changed()


def wheel_path(world: LiveDirectoryFixture, name: str, version: str) -> Path:
    """Where a wheel lies."""
    return world.root / name / wheel_name(name, version)


def listed(world: LiveDirectoryFixture, name: ProjectName) -> list[str] | str:
    """The files of a project, or the error that it is answered with."""
    try:
        snapshot = result(world.ask(name))
    except SimpleIndexError as error:
        return type(error).__name__
    return [] if snapshot is None else sorted(file.filename for file in snapshot.project.files)


@pytest.mark.parametrize("number", TROUBLES, ids=errno.errorcode.get)
@pytest.mark.parametrize("call", CALLS)
def test_no_trouble_makes_a_project_absent(
    world: LiveDirectoryFixture, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    """What was listed is listed, or cannot be told now; when the trouble is over everything is in step again."""
    with refusing(call, number, monkeypatch):
        change(world)
        for name in (ACME, OTHER):
            assert listed(world, name) != [], name
    if (call, number) == ("open", errno.EACCES):
        # What lets a file be read again is a change of it.
        for path in (wheel_path(world, "acme", "2.0"), wheel_path(world, "third", "1.0")):
            path.chmod(0o600)
        world.live.everything_changed()
    world.clock.advance(3)
    world.sweep()
    assert listed(world, ACME) == [wheel_name(), wheel_name("acme", "2.0")]
    assert listed(world, OTHER) == [wheel_name("other", "1.0")]
    assert listed(world, ProjectName("third")) == [wheel_name("third", "1.0")]
    assert all(own_trouble(failure.value) for failure in world.failures)
    world.failures.clear()


@pytest.mark.parametrize("number", SHORTAGES, ids=errno.errorcode.get)
@pytest.mark.parametrize("call", CALLS)
def test_a_shortage_leaves_everything_as_it_was(
    world: LiveDirectoryFixture, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    """The root is not gone, what is known is still offered, and it is looked at again without anybody's help."""
    with refusing(call, number, monkeypatch):
        change(world)
        assert world.live.suspended is None
        assert listed(world, OTHER) == [wheel_name("other", "1.0")]
        assert wheel_name() in listed(world, ACME)
    world.clock.advance(3)
    assert listed(world, ACME) == [wheel_name(), wheel_name("acme", "2.0")]
    world.failures.clear()


@pytest.mark.parametrize("number", SHORTAGES, ids=errno.errorcode.get)
def test_a_shortage_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Nothing is known yet, and nothing is said to be absent."""
    add_wheel(tmp_path / "root")
    world = LiveDirectoryFixture(tmp_path / "root")
    with refusing("scandir", number, monkeypatch):
        world.begin()
        waiting = world.ask(ACME)
        world.clock.advance(11)
        assert type(error(waiting)) is Unavailable
    world.clock.advance(3)
    assert listed(world, ACME) == [wheel_name()]
    assert world.live.suspended is None
    world.failures.clear()
