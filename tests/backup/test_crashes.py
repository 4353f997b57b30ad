"""A backup and a restore that are killed, or whose disk is full, at any call that changes the file system."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.backup import destination
from simpleindex.backup.checking import CheckedBackup
from simpleindex.backup.destination import BackupDestination, read_manifest
from simpleindex.backup.errors import CannotBackUp, CannotRestore
from simpleindex.backup.manifest import PackagesMode
from tests.fixtures.backup_world import BackupWorld, contents
from tests.fixtures.depth import every
from tests.fixtures.distributions import add_wheel
from tests.fixtures.faults import Faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory in which fsync costs nothing."""
    monkeypatch.setattr(destination, "sync_file_system", lambda _: None)
    path = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    yield path
    shutil.rmtree(path)


def calls_of(act: Callable[[], object]) -> list[str]:
    with Faults().between() as faults:
        act()
    return faults.calls


def raised_by(act: Callable[[], object], faults: Faults) -> Exception | None:
    """Return the error of a process that lives on, if there is one."""
    try:
        with faults.between():
            act()
    except (CannotBackUp, CannotRestore, OSError) as error:
        return error
    return None


def assert_whole(world: BackupWorld, point: str) -> int:
    """See that every directory that counts as a backup has all of its files; return how many there are."""
    held = BackupDestination(str(world.backups))
    for name in held.names():
        path = str(world.backups / name)
        checked = CheckedBackup(path, read_manifest(path), lambda: None)
        assert checked.faults == [], point
        assert checked.files == len(list(read_manifest(path).stored_files())), point
    return len(held.names())


@pytest.mark.parametrize(
    ("packages", "step"),
    [(PackagesMode.LINK, every(12)), (PackagesMode.COPY, every(16))],
)
def test_a_backup_is_killed_at_every_call(memory: Path, packages: PackagesMode, step: int) -> None:
    """What is unfinished is never taken for a backup; the next one succeeds, and clears it away."""
    world = BackupWorld.made(memory)
    world.back_up(packages)
    add_wheel(world.home / "srv", "tool", "3.0")

    def act() -> None:
        world.back_up(packages)
        BackupDestination(str(world.backups)).remove_outdated(1)

    with Faults().between() as faults:
        act()
    assert {"mkdir", "link", "open", "rename", "unlink", "rmdir"} <= set(faults.calls)
    for at in range(1, len(faults.calls) + 1, step):
        shutil.rmtree(world.backups)
        world.back_up(packages)
        point = f"killed at {at} of {faults.calls}"
        assert Faults(at).kill(act), point
        assert assert_whole(world, point) in {1, 2}, point
        world.back_up(packages, verifies=True)
        names = sorted(os.listdir(world.backups))
        assert not [name for name in names if name.startswith(".")], point
        assert len(names) == assert_whole(world, point), point


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_a_full_disk_at_every_call(memory: Path, error: int) -> None:
    """One sentence, and nothing is left; what was there before is whole."""
    world = BackupWorld.made(memory)
    calls = calls_of(world.back_up)
    for at in range(1, len(calls) + 1, every(7)):
        point = f"{errno.errorcode[error]} at {at} of {calls}"
        raised = raised_by(world.back_up, Faults(at, error, for_ever=True))
        assert raised is None or os.strerror(error) in str(raised), point
        # The last call makes the renamed directory last; it may be there already.
        assert assert_whole(world, point) >= 1, point
        world.back_up()
        assert not [name for name in os.listdir(world.backups) if name.startswith(".")], point
        if at % 16 == 1:
            shutil.rmtree(world.backups)
            world.back_up()


def test_a_restore_is_killed_at_every_call(memory: Path) -> None:
    """A second restore brings everything back; what it moves aside is not lost."""
    world = BackupWorld.made(memory)
    report = world.back_up()

    def lost() -> None:
        shutil.rmtree(world.home, ignore_errors=True)

    def act() -> None:
        world.restore(report.path)

    lost()
    calls = calls_of(act)
    wanted = served(world)
    for at in range(1, len(calls) + 1, every(11)):
        lost()
        point = f"killed at {at} of {calls}"
        assert Faults(at).kill(act), point
        world.restore(report.path, replaces=True)
        assert served(world) == wanted, point
    assert assert_whole(world, "after all") == 1


def served(world: BackupWorld) -> dict[str, Any]:
    """Return what is restored, without what was moved aside."""
    found = contents(world.home)
    return {path: each[2] for path, each in found.items() if ".simpleindex-replaced-" not in path}


def test_a_restore_to_a_full_disk(memory: Path) -> None:
    """Nothing of it stays where it was not put in place yet."""
    world = BackupWorld.made(memory)
    report = world.back_up()
    shutil.rmtree(world.home)
    calls = calls_of(lambda: world.restore(report.path))
    for at in range(1, len(calls) + 1, every(7)):
        shutil.rmtree(world.home, ignore_errors=True)
        raised = raised_by(lambda: world.restore(report.path), Faults(at, errno.ENOSPC))
        assert raised is None or os.strerror(errno.ENOSPC) in str(raised)
        assert raised is None or "Part of the backup is in place" in str(raised) or not world.home.exists()
