"""``simpleindex backup`` and ``simpleindex restore``: what they print, and their exit status."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.backup import destination
from simpleindex.backup.destination import read_manifest
from simpleindex.commands.main import main
from simpleindex.records.state_lock import StateLock
from tests.fixtures.backup_world import BackupWorld
from tests.fixtures.distributions import put, wheel_name

if TYPE_CHECKING:
    from collections.abc import Callable

WHEEL = f"acme/{wheel_name()}"

Run = "Callable[..., tuple[int, str, str]]"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BackupWorld:
    """The files of a server, whose configuration the environment names."""
    monkeypatch.setattr(destination, "sync_file_system", lambda _: None)
    made = BackupWorld.made(tmp_path)
    monkeypatch.setenv("SIMPLEINDEX_CONFIG", str(made.home / "etc" / "simpleindex.toml"))
    return made


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command; return its status and what it printed."""

    def call(*words: object) -> tuple[int, str, str]:
        status = main(list(map(str, words)))
        return (status, *capsys.readouterr())

    return call


def newest(world: BackupWorld) -> Path:
    return max(world.backups.iterdir())


def test_a_backup(world: BackupWorld, run: Callable[..., tuple[int, str, str]]) -> None:
    """One sentence says what is in it."""
    status, out, err = run("backup", world.backups, "--verify")
    assert (status, err) == (0, "")
    assert out.startswith(
        f"{newest(world)}: 3 package files (3 linked), 11 files of state, certificates and configuration; "
    )
    assert out.endswith(" Verified.\n")
    (world.home / "etc" / "denied.txt").unlink()
    status, out, err = run("backup", world.backups, "--packages", "none")
    assert "0 package files, " in out
    assert "Verified" not in out
    assert (
        err == f"simpleindex: {world.home}/etc/denied.txt is named by the configuration and is not there.\n"
    )


def test_old_ones_go_when_the_new_one_is_verified(
    world: BackupWorld, run: Callable[..., tuple[int, str, str]]
) -> None:
    """And stay when it is not."""
    first = Path(world.back_up().path)
    status, out, _ = run("backup", world.backups, "--keep", "1")
    assert (status, out.splitlines()[-1]) == (0, f"Removed {first.name}.")
    assert "Verified." in out
    kept = newest(world)
    path = world.home / "srv" / WHEEL
    times = path.stat()
    path.write_bytes(b"X" + path.read_bytes()[1:])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    status, _, err = run("backup", world.backups, "--keep", "1")
    assert status == 2
    assert "The backup was not kept" in err
    assert newest(world) == kept


def test_one_that_is_dated_in_the_future(
    world: BackupWorld, run: Callable[..., tuple[int, str, str]]
) -> None:
    """It counts as the oldest: the new one stays, and is what a restore takes."""
    first = Path(world.back_up().path)
    future = first.rename(world.backups / "9999-01-01T00-00-00Z")
    status, out, err = run("backup", world.backups, "--keep", "1")
    assert (status, out.splitlines()[-1]) == (0, f"Removed {future.name}.")
    assert err.startswith(f"simpleindex: {future.name} in {world.backups} is dated in the future")
    assert newest(world).name < future.name


def test_packages_that_cannot_be_linked(
    world: BackupWorld, run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason is told, because copies cost room."""

    def link(*_: Any, **__: Any) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", link)
    _, out, _ = run("backup", world.backups)
    assert "(3 copied)" in out
    assert "3 package files could not be linked" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("{home}/srv/backups",), "lies in the directory of --path"),
        (("{home}/var",), "lies in the directory of --state"),
        (("{home}/certs/x",), "lies in the directory of --certs"),
        (("{home}/cache/x",), "lies in the directory of --cache"),
        (("{home}/staging/x",), "staging, which is backed up"),
        (("{home}/etc/users",), "users, which is backed up"),
        (("b", "--keep", "0"), "see simpleindex backup --help"),
        (("b", "--keep", "x"), "see simpleindex backup --help"),
        (("b", "--packages", "tape"), "see simpleindex backup --help"),
        ((), "see simpleindex backup --help"),
        (("b", "--state", "{home}/nowhere"), "No server has used"),
    ],
)
def test_what_cannot_be_done(
    world: BackupWorld, run: Callable[..., tuple[int, str, str]], words: tuple[str, ...], sentence: str
) -> None:
    status, out, err = run("backup", *(word.format(home=world.home) for word in words))
    assert (status, out) == (2, "")
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_it_is_stopped(
    world: BackupWorld, run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """^C says what was left, and leaves nothing."""
    calls = iter(range(9))

    def stop(*_: Any, **__: Any) -> bool:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return False

    monkeypatch.setattr("simpleindex.backup.making.link_file", stop)
    status, _, err = run("backup", world.backups)
    assert status == 130
    assert err == "Stopped; 12 of 14 files are left.\nsimpleindex: The unfinished backup is removed.\n"
    assert list(world.backups.iterdir()) == []
    backup = world.back_up().path
    monkeypatch.setattr("simpleindex.backup.restoring.copy_file", stop)
    calls = iter([2])
    shutil.rmtree(world.home)
    status, _, err = run("restore", backup)
    assert (status, err.splitlines()[-1]) == (130, "simpleindex: Nothing was restored.")


def test_a_restore(world: BackupWorld, run: Callable[..., tuple[int, str, str]]) -> None:
    """The newest of several backups, or the one that is named; first only what it would do."""
    world.back_up()
    backup = Path(world.back_up().path)
    status, out, _ = run("restore", world.backups, "--dry-run")
    assert status == 0
    assert out.startswith("The newest of 2 backups is 2016-11-29T06-00-00Z.\nThe backup of ")
    assert f"  packages: 2 files to {world.home}/srv\n" in out
    assert out.endswith("more.\n")
    status, _, err = run("restore", backup)
    assert status == 2
    assert "would be replaced" in err
    shutil.rmtree(world.home)
    status, out, _ = run("restore", backup)
    assert status == 0
    assert out.startswith("Restored 14 files (")
    assert (world.home / "srv" / WHEEL).is_file()


def test_a_running_server(world: BackupWorld, run: Callable[..., tuple[int, str, str]]) -> None:
    """Nothing is restored under it."""
    backup = world.back_up().path
    lock = StateLock(str(world.home / "var"))
    lock.share()
    status, _, err = run("restore", backup, "--force")
    assert status == 2
    assert "A server is running" in err
    lock.release()
    assert run("restore", backup, "--force")[0] == 0


def test_parts_of_a_backup(world: BackupWorld, run: Callable[..., tuple[int, str, str]]) -> None:
    """The packages come back while the server runs with newer records."""
    backup = world.back_up().path
    shutil.rmtree(world.home / "srv")
    world.create_token()
    records = (world.home / "var" / "records.sqlite3").read_bytes()
    lock = StateLock(str(world.home / "var"))
    lock.share()
    status, out, _ = run("restore", backup, "--part", "packages", "--dry-run")
    assert (status, out.splitlines()[1:]) == (0, [f"  packages: 2 files to {world.home}/srv"])
    status, out, _ = run("restore", backup, "--part", "packages")
    lock.release()
    assert (status, len(out.splitlines())) == (0, 1)
    assert (world.home / "srv" / WHEEL).is_file()
    assert (world.home / "var" / "records.sqlite3").read_bytes() == records
    status, _, err = run("restore", backup, "--part", "package")
    assert (status, "--part: the backup has no part 'package'" in err, "'packages'" in err) == (2, True, True)


def test_packages_in_a_bucket(
    world: BackupWorld, run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are in no backup, and a restored server looks for them where they were."""
    monkeypatch.setenv("SIMPLEINDEX_PATH", "s3://company/python")
    status, out, err = run("backup", world.backups)
    assert (status, "1 package file (1 linked)" in out) == (0, True)
    assert "The packages in s3://company/python are not in it" in err
    assert read_manifest(str(newest(world))).options["path"] == ("s3://company/python",)
    assert run("backup", world.backups, "--packages", "none")[2] == ""


def test_packages_by_reference(world: BackupWorld, run: Callable[..., tuple[int, str, str]]) -> None:
    """What is not there any more is named."""
    assert run("backup", world.backups, "--packages", "reference")[0] == 0
    (world.home / "srv" / WHEEL).unlink()
    for top in ("var", "certs", "etc"):
        shutil.rmtree(world.home / top)
    status, out, _ = run("restore", world.backups)
    assert status == 1
    assert out.splitlines()[-1] == (
        f"{world.home}/srv/{WHEEL} is not there as it was; the backup has only its digest."
    )
    status, out, _ = run("restore", world.backups, "--dry-run")
    assert "packages: 2 files stay where they are" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("acme", wheel_name()), f"simpleindex undelete acme {wheel_name()}"),
        (("nowhere",), "There is no directory"),
        (("{home}",), "is no backup: it has no manifest.json"),
        (("b", "--verify", "--force"), "--verify proves the whole backup"),
        ((), "see simpleindex restore --help"),
    ],
)
def test_what_cannot_be_restored(
    world: BackupWorld, run: Callable[..., tuple[int, str, str]], words: tuple[str, ...], sentence: str
) -> None:
    """Also the old way to take a file out of the trash."""
    status, out, err = run("restore", *(word.format(home=world.home) for word in words))
    assert (status, out) == (2, "")
    assert sentence in err


def test_damaged_backups(world: BackupWorld, run: Callable[..., tuple[int, str, str]]) -> None:
    """Each is refused with a sentence."""
    backup = Path(world.back_up().path)
    (backup / "users" / "users").unlink()
    status, _, err = run("restore", backup)
    assert (status, "users/users is not there. The backup is not whole" in err) == (2, True)
    status, out, _ = run("restore", "--verify", backup)
    assert status == 1
    assert out.splitlines() == [f"{backup}/users/users is not there.", "The backup is NOT good."]
    manifest = backup / "manifest.json"
    manifest.write_text(manifest.read_text().replace(str(world.home / "staging"), str(world.home / "srv")))
    put(backup / "users" / "users", b"alice:x\n")
    assert run("restore", backup, "--dry-run")[0] == 0
    text = manifest.read_text().replace(f"{world.home}/etc/users", f"{world.home}/etc/simpleindex.toml")
    manifest.write_text(text.replace('"path": "users"', '"path": "simpleindex.toml"'))
    status, _, err = run("restore", backup, "--dry-run")
    assert status == 2
    assert "has two items" in err


def test_a_directory_that_cannot_be_written(
    world: BackupWorld, run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence with the remedy."""
    backup = world.back_up().path

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), "/dev/disk")

    monkeypatch.setattr("simpleindex.commands.backup.restore.read_manifest", fail)
    status, _, err = run("restore", backup)
    assert (status, "dmesg" in err) == (2, True)


def test_records_that_are_busy(
    world: BackupWorld, run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody holds them for longer than a backup waits."""
    monkeypatch.setattr("simpleindex.backup.file_copies._SQLITE_SECONDS", 0.01)
    path = world.home / "var" / "old.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE old (name TEXT)")
        other.execute("BEGIN EXCLUSIVE")
        status, _, err = run("backup", world.backups)
    assert (status, "locked" in err) == (2, True)
    assert list(world.backups.iterdir()) == []
