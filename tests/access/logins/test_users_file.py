"""Changing the users file."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from simpleindex.access.logins.users_file import change_users_file
from simpleindex.system.followed_file import MAXIMUM_SIZE
from simpleindex.system.stamp import Stamp
from tests.fixtures.trees import SPECIAL, as_nobody, public_directory

if TYPE_CHECKING:
    from pathlib import Path


def append(content: bytes) -> bytes:
    """A change."""
    return content + b"bob:y\n"


def test_a_new_file(tmp_path: Path) -> None:
    """It is its owner's alone, and there is nothing else."""
    old = os.umask(0)
    try:
        assert change_users_file(str(tmp_path / "users"), append)
    finally:
        os.umask(old)
    assert (tmp_path / "users").read_bytes() == b"bob:y\n"
    assert (tmp_path / "users").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["users"]


def test_mode_and_owner_are_kept(tmp_path: Path) -> None:
    """Else the server could no longer read it."""
    path = tmp_path / "users"
    path.write_bytes(b"alice:x\n")
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 65534, 65533)
    before = path.stat()
    assert not change_users_file(str(path), append)
    after = path.stat()
    assert path.read_bytes() == b"alice:x\nbob:y\n"
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_gives_a_new_one_to_the_directorys_owner(tmp_path: Path) -> None:
    """What lies in the service's directory is the service's."""
    os.chown(tmp_path, 65534, 65533)
    change_users_file(str(tmp_path / "users"), append)
    assert ((tmp_path / "users").stat().st_uid, (tmp_path / "users").stat().st_gid) == (65534, 65533)


def test_a_link_goes_on_leading_there(tmp_path: Path) -> None:
    """The file that it leads to is changed."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "users").write_bytes(b"alice:x\n")
    (tmp_path / "users").symlink_to("real/users")
    change_users_file(str(tmp_path / "users"), append)
    assert (tmp_path / "users").is_symlink()
    assert (tmp_path / "real" / "users").read_bytes() == b"alice:x\nbob:y\n"


def test_no_change(tmp_path: Path) -> None:
    """Then the file is not touched, and none is made."""
    path = tmp_path / "users"
    assert not change_users_file(str(path), lambda _: None)
    assert not path.exists()
    path.write_bytes(b"alice:x\n")
    before = Stamp.of(path.stat())
    assert not change_users_file(str(path), lambda _: None)
    assert Stamp.of(path.stat()) == before


def test_what_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a full disk nor a change that refuses leaves anything behind; what a crash left is no hindrance."""
    path = tmp_path / "users"
    path.write_bytes(b"alice:x\n")
    (tmp_path / ".simpleindex-users").write_bytes(b"left behind")

    def fail(_: object) -> bytes:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        change_users_file(str(path), fail)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="No space left"):
            change_users_file(str(path), append)
    assert os.listdir(tmp_path) == ["users"]
    assert path.read_bytes() == b"alice:x\n"


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_file(tmp_path: Path, kind: str) -> None:
    """It is not waited for, and not replaced."""
    SPECIAL[kind](tmp_path / "users")
    with pytest.raises(OSError, match="not a regular file"):
        change_users_file(str(tmp_path / "users"), append)


def test_a_file_named_by_mistake(tmp_path: Path) -> None:
    """A wheel is not read whole."""
    (tmp_path / "users").write_bytes(b"#" * (MAXIMUM_SIZE + 1))
    with pytest.raises(OSError, match="larger than"):
        change_users_file(str(tmp_path / "users"), append)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user's file")
def test_a_file_of_somebody_else(tmp_path: Path) -> None:
    """Who may write the directory but not keep the owner is refused; the file is as it was."""
    with public_directory() as directory:
        directory.chmod(0o777)
        path = directory / "users"
        path.write_bytes(b"alice:x\n")
        path.chmod(0o644)
        with as_nobody(), pytest.raises(PermissionError):
            change_users_file(str(path), append)
        assert path.read_bytes() == b"alice:x\n"
        assert os.listdir(directory) == ["users"]


_APPENDER = """
import sys
from simpleindex.access.logins.users_file import change_users_file
for number in range(50):
    change_users_file(sys.argv[1], lambda content: content + f"{sys.argv[2]}{number}:x\\n".encode())
"""


def test_two_at_once(tmp_path: Path) -> None:
    """No change is lost."""
    arguments = [sys.executable, "-c", _APPENDER, str(tmp_path / "users")]
    processes = [subprocess.Popen([*arguments, name]) for name in "ab"]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert len((tmp_path / "users").read_bytes().splitlines()) == 100
