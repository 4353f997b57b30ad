"""Restored backups: everything is as it was, or nothing has changed."""

from __future__ import annotations

import errno
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from simpleindex.backup import restoring
from simpleindex.backup.destination import read_manifest
from simpleindex.backup.errors import CannotRestore
from simpleindex.backup.manifest import MANIFEST, PackagesMode
from simpleindex.backup.plan import plan_restore
from simpleindex.backup.restoring import RestoreRequest, missing_files
from simpleindex.config.resolution import resolve
from tests.fixtures.backup_world import BackupWorld, contents
from tests.fixtures.distributions import put, wheel_name

WHEEL = f"acme/{wheel_name()}"


def lost(world: BackupWorld) -> None:
    """Lose everything that the server had."""
    shutil.rmtree(world.home)


def comparable(world: BackupWorld) -> dict[str, Any]:
    """Return what a restore brings back: all but half uploads, locks, and links of certificates, which come as files."""
    found = contents(world.home)
    apart = ("srv/.simpleindex-uploads", "var/server.lock", "certs/live.pem", "var/records.sqlite3")
    return {path: each for path, each in found.items() if not path.startswith(apart)}


def test_everything_is_as_it_was(world: BackupWorld) -> None:
    """With modes and times; a directory that held nothing but the configuration is made anew."""
    for top in ("srv", "staging", "var", "certs"):
        os.utime(world.home / top, ns=(5, 10**18))
    before = comparable(world)
    report = world.back_up()
    lost(world)
    assert world.restore(report.path) == []
    after = comparable(world)
    assert set(after) == set(before)
    for path, each in before.items():
        if path != "etc" and not path.startswith("etc/secrets"):
            assert after[path] == each, path
        else:
            assert after[path][2] == each[2]
    assert (world.home / "certs" / "live.pem").read_bytes() == b"certificate"
    assert (world.home / "etc" / "users").stat().st_mode & 0o777 == 0o640
    world.create_token()
    assert not os.path.samefile(world.home / "srv" / WHEEL, Path(report.path) / "packages" / WHEEL)


def test_into_empty_directories(world: BackupWorld) -> None:
    """A mount point cannot be replaced, so everything is moved into it; uploads that a server receives meanwhile stay where they are."""
    report = world.back_up()
    lost(world)
    put(world.home / "srv" / ".simpleindex-uploads" / "arriving", b"half")
    put(world.home / "etc" / "unrelated", b"stays")
    put(world.home / "var" / "server.lock", b"")
    inode = (world.home / "srv").stat().st_ino
    world.restore(report.path)
    assert (world.home / "srv").stat().st_ino == inode
    assert (world.home / "srv" / ".simpleindex-uploads" / "arriving").read_bytes() == b"half"
    assert (world.home / "etc" / "unrelated").read_bytes() == b"stays"


def test_what_is_there_is_not_replaced(world: BackupWorld) -> None:
    """Without --force nothing changes."""
    report = world.back_up()
    before = contents(world.home)
    with pytest.raises(CannotRestore, match="would be replaced"):
        world.restore(report.path)
    assert contents(world.home) == before
    lost(world)
    put(world.home / "etc" / "users", b"bob:y\n")
    with pytest.raises(CannotRestore, match=r"etc/users would be replaced"):
        world.restore(report.path)
    assert list(contents(world.home)) == ["etc", "etc/users"]


def test_files_of_the_configuration_that_are_as_before(world: BackupWorld) -> None:
    """They are in nobody's way; a link is no such file."""
    report = world.back_up()
    users = world.home / "etc" / "users"
    content = users.read_bytes()
    lost(world)
    put(users, content)
    world.restore(report.path)
    assert (users.read_bytes(), users.stat().st_mode & 0o777) == (content, 0o640)
    lost(world)
    put(world.home / "elsewhere", content)
    users.parent.mkdir()
    users.symlink_to(world.home / "elsewhere")
    with pytest.raises(CannotRestore, match=r"etc/users would be replaced"):
        world.restore(report.path)


def test_what_is_there_is_moved_aside(world: BackupWorld) -> None:
    """With --force nothing is lost; a second time neither. Files of the configuration that are as before stay."""
    report = world.back_up()
    put(world.home / "etc" / "users", b"bob:y\n")
    put(world.home / "srv" / "acme" / "new.whl", b"new")
    notes = world.restore(report.path, replaces=True)
    assert len(notes) == 5
    assert [each.name for each in (world.home / "etc" / ".simpleindex-replaced-1").iterdir()] == ["users"]
    aside = world.home / "srv" / ".simpleindex-replaced-1"
    assert f"What was there is in {aside}; remove it when you do not need it." in notes
    assert (aside / "acme" / "new.whl").read_bytes() == b"new"
    assert not (world.home / "srv" / "acme" / "new.whl").exists()
    world.restore(report.path, replaces=True)
    assert (world.home / "srv" / ".simpleindex-replaced-2").is_dir()
    assert aside.is_dir()
    # None of it is in the next backup.
    assert not [item for item in read_manifest(world.back_up().path).items if "replaced" in item.path]


def test_below_another_directory(world: BackupWorld, tmp_path: Path) -> None:
    """A server can be started from there: its options and its sources file name the places of there."""
    report = world.back_up()
    below = tmp_path / "copy"
    notes = world.restore(report.path, below)
    start = f"twistd -n --pidfile= simpleindex --config {below}/simpleindex.toml --https 9443"
    assert notes == [f"Start it there, on other ports, with: {start}"]
    settings = resolve({"config": str(below / "simpleindex.toml")}, {}, tmp_path)
    assert settings.path == below / str(world.home)[1:] / "srv"
    assert settings.serve_http is False
    sources = (settings.sources or Path()).read_text()
    assert f'path = "{below}{world.home}/staging"' in sources
    assert f'"file:{below}{world.home}/etc/secrets/behind"' in sources
    with pytest.raises(CannotRestore, match="would be replaced"):
        world.restore(report.path, below)
    lost(world)
    only_options = tmp_path / "other"
    put(only_options / "simpleindex.toml", b"")
    with pytest.raises(CannotRestore, match=r"other/simpleindex\.toml would be replaced"):
        world.restore(report.path, only_options)


def test_a_configuration_file_that_is_there_already(world: BackupWorld, tmp_path: Path) -> None:
    """It is moved aside as everything is that was there, and not written over."""
    report = world.back_up()
    mine = put(tmp_path / "to" / "simpleindex.toml", b"# mine\n")
    with pytest.raises(CannotRestore, match=r"simpleindex\.toml would be replaced"):
        world.restore(report.path, tmp_path / "to")
    notes = world.restore(report.path, tmp_path / "to", replaces=True)
    aside = tmp_path / "to" / ".simpleindex-replaced-1"
    assert f"What was there is in {aside}; remove it when you do not need it." in notes
    assert (aside / "simpleindex.toml").read_bytes() == b"# mine\n"
    assert str(tmp_path / "to").encode() in mine.read_bytes()


def test_a_file_in_the_place_of_a_directory(world: BackupWorld) -> None:
    report = world.back_up()
    lost(world)
    put(world.home / "srv", b"")
    with pytest.raises(CannotRestore, match="is no directory"):
        world.restore(report.path)
    (world.home / "srv").unlink()
    world.home.rmdir()
    world.home.write_bytes(b"")
    with pytest.raises(CannotRestore):
        world.restore(report.path, replaces=True)


@pytest.mark.parametrize("damage", ["changed", "gone", "link"])
def test_a_damaged_backup(world: BackupWorld, damage: str) -> None:
    """Nothing is restored of it; a link in it is not followed."""
    report = world.back_up(PackagesMode.COPY)
    lost(world)
    path = Path(report.path) / "packages" / WHEEL
    data = path.read_bytes()
    path.unlink()
    if damage == "changed":
        path.write_bytes(b"X" + data[1:])
    elif damage == "link":
        (world.backups / "elsewhere").write_bytes(data)
        path.symlink_to(world.backups / "elsewhere")
    manifest = read_manifest(report.path)
    request = RestoreRequest(report.path, manifest, plan_restore(manifest))
    assert bool(missing_files(request)) == (damage != "changed")
    with pytest.raises(CannotRestore, match="not whole; choose another one"):
        world.restore(report.path)
    assert not world.home.exists()


def test_a_hostile_manifest(world: BackupWorld, tmp_path: Path) -> None:
    """Nothing is written out of its places."""
    report = world.back_up()
    path = Path(report.path) / MANIFEST
    table = json.loads(path.read_text())
    for wrong in ("../../evil", "/tmp/evil", "a/../../evil"):
        table["items"][-1]["path"] = wrong
        path.write_text(json.dumps(table))
        with pytest.raises(CannotRestore, match="leads out of its part"):
            world.restore(report.path, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("number", [1, 5, 12, 20])
def test_a_full_disk(world: BackupWorld, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left of what was restored; the sentence says what to do."""
    report = world.back_up()
    lost(world)
    calls = iter(range(1, 1000))
    real = os.open

    def fail(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        if flags & os.O_CREAT and next(calls) == number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        return real(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", fail)
    with (
        pytest.raises(CannotRestore, match="No space left on device")
        if number < 12
        else suppress(CannotRestore)
    ):
        world.restore(report.path)
        return
    assert not world.home.exists()


def test_links_come_back(world: BackupWorld) -> None:
    """As links, wherever they lead."""
    (world.home / "srv" / "outside").symlink_to("/nowhere")
    report = world.back_up()
    lost(world)
    world.restore(report.path)
    assert os.readlink(world.home / "srv" / "outside") == "/nowhere"


def test_it_is_stopped(world: BackupWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """^C leaves nothing."""
    report = world.back_up()
    lost(world)

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(restoring, "copy_file", stop)
    with pytest.raises(KeyboardInterrupt):
        world.restore(report.path)
    assert not world.home.exists()


def test_it_was_killed_before(world: BackupWorld) -> None:
    """What a killed restore has left is no hindrance, and goes."""
    report = world.back_up()
    lost(world)
    put(world.home / "srv" / ".simpleindex-restoring" / "half", b"")
    world.restore(report.path)
    assert sorted(each.name for each in (world.home / "srv").iterdir()) == ["acme", "tool"]


def test_a_rename_that_fails(world: BackupWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then some of it is in place, and the sentence says so."""
    report = world.back_up()
    lost(world)

    def fail(source: str, target: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), target)

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(CannotRestore, match="Part of the backup is in place"):
        world.restore(report.path)


def test_it_is_stopped_while_it_is_put_in_place(world: BackupWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there may have been moved aside already, so the sentence does not say that nothing was restored."""
    report = world.back_up()
    renamed: list[str] = []
    rename = os.rename

    def stop(source: str, target: str) -> None:
        if renamed:
            raise KeyboardInterrupt
        renamed.append(target)
        rename(source, target)

    monkeypatch.setattr(os, "rename", stop)
    with pytest.raises(CannotRestore, match=r"It was stopped\. Part of the backup is in place.*--force"):
        world.restore(report.path, replaces=True)
    monkeypatch.undo()
    world.restore(report.path, replaces=True)
    assert (world.home / "srv" / "acme").is_dir()


@pytest.mark.parametrize("is_root", [True, False])
def test_owners(world: BackupWorld, is_root: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """By name where this machine has it, else by number; only root can give files away."""
    report = world.back_up()
    path = Path(report.path) / MANIFEST
    table = json.loads(path.read_text())
    owners = {"users": [70001, 70002, "root", "root"], "config": [70001, 70002, "nobody-here", "nobody-here"]}
    for each in table["items"]:
        each["owner"] = owners.get(each["part"], [os.getuid(), os.getgid(), "", ""])
    path.write_text(json.dumps(table))
    lost(world)
    given: dict[str, tuple[int, int]] = {}
    monkeypatch.setattr(os, "chown", lambda path, *ids, **_: given.update({os.path.basename(path): ids}))
    monkeypatch.setattr(os, "geteuid", lambda: 0 if is_root else os.getuid() or 1000)
    if not is_root and os.getuid() == 0:
        monkeypatch.setattr("simpleindex.backup.destination._refuse_strangers", lambda *_: None)
    notes = world.restore(report.path)
    if is_root:
        assert given["simpleindex.toml"] == (70001, 70002)
        assert given.get("users", (0, 0)) == (0, 0)
        assert notes == []
    else:
        assert given == {}
        assert notes == ["All files belong to you now, because only root can give them to their owners."]
