"""The directories, the mounts and the access log that the service prepares."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

import pytest
from twisted.internet.task import Clock

from simpleindex.config.resolution import resolve
from simpleindex.core.errors import RefusedStart
from simpleindex.service.places import (
    excluded_paths,
    mountinfo,
    open_access_log,
    own_directory,
    refuse_unreadable,
)

if TYPE_CHECKING:
    from pathlib import Path

    from simpleindex.config.settings import Settings


def settings(tmp_path: Path, **given: object) -> Settings:
    """The settings of such a command line."""
    environment = {"STATE_DIRECTORY": str(tmp_path / "state"), "CACHE_DIRECTORY": str(tmp_path / "cache")}
    return resolve({name.replace("_", "-"): value for name, value in given.items()}, environment, tmp_path)


def test_what_is_never_a_project(tmp_path: Path) -> None:
    """Our own directories always, the optional ones where there are such."""
    own = [str(tmp_path / name) for name in ("certs", "state", "cache")]
    assert sorted(excluded_paths(settings(tmp_path))) == sorted(own)
    config = tmp_path / "c.toml"
    config.touch()
    given = settings(tmp_path, http=("80",), acme_webroot="webroot", config=str(config))
    assert sorted(excluded_paths(given)) == sorted([*own, str(tmp_path / "webroot"), str(config)])


def test_a_directory_of_its_own(tmp_path: Path) -> None:
    """It is made with what it lies in, for nobody else."""
    path = tmp_path / "a" / "cache"
    own_directory(path, (None, None))
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("owner", "chowned"),
    [
        ((None, None), []),
        ((7, 8), [(7, 8)]),
        ((None, 8), [(-1, 8)]),
        ((7, None), [(7, -1)]),
    ],
)
def test_it_belongs_to_who_will_write_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, chowned: list[tuple[int, int]]
) -> None:
    """Root gives it away; what is there already is left alone."""
    calls: list[tuple[Path, int, int]] = []
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda *arguments: calls.append(arguments))
    path = tmp_path / "cache"
    for _ in range(2):
        own_directory(path, owner)
    assert calls == [(path, *each) for each in chowned]


def test_only_root_gives_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user becomes nobody else, and may not."""
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    monkeypatch.setattr(os, "chown", None)
    own_directory(tmp_path / "cache", (7, 8))
    assert (tmp_path / "cache").is_dir()


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """A cache that cannot be had costs speed and no start."""
    (tmp_path / "file").touch()
    own_directory(tmp_path / "file" / "cache", (None, None))
    assert (tmp_path / "file").is_file()


def test_mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux tells; elsewhere nothing is known, which is no error."""
    given = tmp_path / "mountinfo"
    given.write_bytes(b"22 1 8:1 / /caf\xe9 rw - ext4 /dev/sda1 rw\n")
    monkeypatch.setattr("simpleindex.service.places.Path", lambda _: given)
    assert mountinfo() == "22 1 8:1 / /caf\udce9 rw - ext4 /dev/sda1 rw\n"
    given.unlink()
    assert mountinfo() == ""


def test_no_access_log(tmp_path: Path) -> None:
    """Off is the default."""
    assert open_access_log(settings(tmp_path), Clock()) is None


def test_an_access_log(tmp_path: Path) -> None:
    """It is there at once, not with its first line."""
    log = open_access_log(settings(tmp_path, access_log="access.log"), Clock())
    assert log is not None
    log.close()
    assert (tmp_path / "access.log").read_bytes() == b""


def test_an_access_log_that_cannot_be_written(tmp_path: Path) -> None:
    """One sentence with the file, the reason and the option."""
    with pytest.raises(RefusedStart) as caught:
        open_access_log(settings(tmp_path, access_log="missing/access.log"), Clock())
    assert str(caught.value) == (
        f"The access log {tmp_path}/missing/access.log cannot be written (No such file or directory); "
        "choose another --access-log."
    )


def test_files_about_people_must_be_readable_for_who_reads_them_again(tmp_path: Path) -> None:
    """Root reads everything at the start; the user that the service becomes would miss every change."""
    users = tmp_path / "users"
    users.write_text("# nobody\n")
    users.chmod(0o600)
    given = settings(tmp_path, users=str(users))
    refuse_unreadable(given, (None, None))
    refuse_unreadable(settings(tmp_path), (65534, 65534))
    if os.getuid() == 0:
        with pytest.raises(RefusedStart, match="user id 65534"):
            refuse_unreadable(given, (65534, 65534))
