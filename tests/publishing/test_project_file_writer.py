"""Yanks and status, written where they lie: nobody's words, owner or mode are lost."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from simpleindex.core.errors import CannotStore, InvalidSetting, NotHere
from simpleindex.core.faults import Fault
from simpleindex.core.model import Status
from simpleindex.core.names import PROJECT_FILE, ProjectName
from simpleindex.directory.layout.package_directory import PackageDirectory
from simpleindex.directory.project_file import InvalidProjectFile
from simpleindex.publishing.local.project_file_writer import ProjectFileWriter
from simpleindex.publishing.local.writer import Writer
from tests.fixtures.distributions import add_wheel, put, wheel_name
from tests.fixtures.trees import as_nobody, public_directory

if TYPE_CHECKING:
    from pathlib import Path

ACME = ProjectName("acme")


def files_of(root: Path) -> ProjectFileWriter:
    """The editor of a root."""
    return ProjectFileWriter(PackageDirectory(str(root)))


def text_of(root: Path, directory: str = "acme") -> str | None:
    """What a project's file says, if there is one."""
    path = root / directory / PROJECT_FILE
    return path.read_text() if path.exists() else None


def test_yank_and_back(tmp_path: Path) -> None:
    """Made with the first word, gone with the last; what is said already is no change."""
    add_wheel(tmp_path)
    files = files_of(tmp_path)
    assert files.yank(ACME, "1.0", "broken")
    assert not files.yank(ACME, "1.0.0", "broken")
    assert files.yank(ACME, wheel_name())
    assert text_of(tmp_path) == f'[yanked]\n"1.0" = "broken"\n"{wheel_name()}" = true\n'
    assert files.unyank(ACME, "1")
    assert files.unyank(ACME, wheel_name())
    assert not files.unyank(ACME, wheel_name())
    assert text_of(tmp_path) is None
    assert [path.name for path in (tmp_path / "acme").iterdir()] == [wheel_name()]


def test_status_and_back(tmp_path: Path) -> None:
    """A comment outlives every status."""
    add_wheel(tmp_path)
    files = files_of(tmp_path)
    assert files.set_status(ACME, Status.QUARANTINED, "malware")
    assert text_of(tmp_path) == 'status = "quarantined"\nreason = "malware"\n'
    put(tmp_path / "acme" / PROJECT_FILE, b"# careful\nstatus = 'archived'\n")
    assert files.set_status(ACME, Status.ACTIVE)
    assert not files.set_status(ACME, Status.ACTIVE)
    assert text_of(tmp_path) == "# careful\n"


def test_a_project_of_loose_files_gets_a_directory(tmp_path: Path) -> None:
    """There is no other place for it; where nothing changes, none is left."""
    put(tmp_path / wheel_name(), b"")
    files = files_of(tmp_path)
    assert not files.unyank(ACME, "1.0")
    assert not (tmp_path / "acme").exists()
    assert files.yank(ACME, "1.0")
    assert text_of(tmp_path) == '[yanked]\n"1.0" = true\n'
    assert files.unyank(ACME, "1.0")
    assert text_of(tmp_path) is None


def test_it_stays_where_it_lies(tmp_path: Path) -> None:
    """In whichever spelling; two of them are somebody's mistake, and left alone."""
    add_wheel(tmp_path, directory="Acme")
    put(tmp_path / "Acme" / PROJECT_FILE, b"status = 'archived'\n")
    assert files_of(tmp_path).yank(ACME, "1.0")
    assert text_of(tmp_path, "Acme") == "status = 'archived'\n\n[yanked]\n\"1.0\" = true\n"
    assert not (tmp_path / "acme").exists()
    put(tmp_path / "acme" / PROJECT_FILE, b"status = 'archived'\n")
    with pytest.raises(InvalidProjectFile, match="lies in acme and Acme"):
        files_of(tmp_path).yank(ACME, "2.0")


def test_a_name_that_is_taken_stays_so(tmp_path: Path) -> None:
    """Without a file or a ledger, the project file alone keeps strangers' packages out."""
    put(tmp_path / "acme" / PROJECT_FILE, b"status = 'quarantined'\n")
    files = files_of(tmp_path)
    assert files.set_status(ACME, Status.ACTIVE)
    assert text_of(tmp_path) == 'status = "active"\n'
    assert not files.set_status(ACME, Status.ACTIVE)
    add_wheel(tmp_path)
    Writer(PackageDirectory(str(tmp_path))).deletions.delete(ACME, [wheel_name()], who="alice")
    put(tmp_path / "acme" / PROJECT_FILE, b"status = 'quarantined'\n")
    assert files.set_status(ACME, Status.ACTIVE)
    assert text_of(tmp_path) is None


def test_an_unknown_project_is_not_made(tmp_path: Path) -> None:
    """A misspelt name must not become one."""
    with pytest.raises(NotHere):
        files_of(tmp_path).yank(ACME, "1.0")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", [b"", b"stauts = 'archived'\n", b"# " + b"x" * 70_000])
def test_a_broken_file_is_left_alone(tmp_path: Path, data: bytes) -> None:
    """Byte for byte."""
    path = put(tmp_path / "acme" / PROJECT_FILE, data)
    with pytest.raises(InvalidProjectFile):
        files_of(tmp_path).yank(ACME, "1.0")
    assert path.read_bytes() == data


def test_a_link_is_left_alone(tmp_path: Path) -> None:
    """It is not obeyed either, and replacing it would hide what it led to."""
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / PROJECT_FILE).symlink_to("elsewhere")
    with pytest.raises(InvalidProjectFile, match="is a link"):
        files_of(tmp_path).yank(ACME, "1.0")


def test_a_wrong_key_makes_nothing(tmp_path: Path) -> None:
    """Neither a version nor a file."""
    put(tmp_path / wheel_name(), b"")
    with pytest.raises(InvalidSetting):
        files_of(tmp_path).yank(ACME, "latest")
    assert not (tmp_path / "acme").exists()


def test_mode_is_kept_and_a_new_one_can_be_read(tmp_path: Path) -> None:
    """Whatever the umask."""
    add_wheel(tmp_path)
    before = os.umask(0o077)
    try:
        files_of(tmp_path).yank(ACME, "1.0")
        path = tmp_path / "acme" / PROJECT_FILE
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        path.chmod(0o664)
        files_of(tmp_path).yank(ACME, "2.0")
        assert stat.S_IMODE(path.stat().st_mode) == 0o664
    finally:
        os.umask(before)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_owner_is_kept_or_the_file_is_left_alone() -> None:
    """Root can keep it; another user cannot, and then says so."""
    with public_directory() as root:
        add_wheel(root)
        path = put(root / "acme" / PROJECT_FILE, b"status = 'archived'\n")
        os.chown(path, 1234, 4321)
        assert files_of(root).yank(ACME, "1.0")
        assert (path.stat().st_uid, path.stat().st_gid) == (1234, 4321)
        for directory in (root, *filter(lambda inner: inner.is_dir(), root.iterdir())):
            directory.chmod(0o777)
        before = path.read_bytes()
        with as_nobody(), pytest.raises(CannotStore, match=r"acme/simpleindex.toml belongs to another user"):
            files_of(root).yank(ACME, "2.0")
        assert path.read_bytes() == before
        assert path.stat().st_uid == 1234


@pytest.mark.parametrize("has_file", [True, False])
def test_the_directory_goes_before_its_file_is_written(tmp_path: Path, has_file: bool) -> None:
    """An operator moves it by hand just then: the client may try again."""
    wheel = add_wheel(tmp_path)
    if has_file:
        put(tmp_path / "acme" / PROJECT_FILE, b'[yanked]\n"1.0" = true\n')

    def change(before: bytes | None) -> bytes:
        wheel.parent.rename(tmp_path / "aside")
        return (before or b"") + b"# noted\n"

    with pytest.raises(CannotStore, match="was moved or removed meanwhile; try again") as caught:
        files_of(tmp_path).edit(ACME, change)
    assert caught.value.fault is Fault.BUSY
    assert not (tmp_path / "acme").exists()
