"""What the exceptions of the system and of SQLite mean, and which path they are about."""

from __future__ import annotations

import errno
import os
import sqlite3
from typing import TYPE_CHECKING

import pytest

from simpleindex.core.errors import CannotStore
from simpleindex.core.faults import Fault
from simpleindex.system.atomic import storing
from simpleindex.system.errors import own_trouble, trouble_of
from tests.fixtures.trees import as_nobody, public_directory

if TYPE_CHECKING:
    from pathlib import Path


def database_error(code: int, kind: type[sqlite3.Error] = sqlite3.OperationalError) -> sqlite3.Error:
    """As the sqlite3 module raises it."""
    error = kind("in SQLite's words")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (sqlite3.SQLITE_FULL, Fault.FULL),
        (sqlite3.SQLITE_BUSY, Fault.BUSY),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, Fault.BUSY),
        (sqlite3.SQLITE_LOCKED, Fault.BUSY),
        (sqlite3.SQLITE_NOMEM, Fault.MEMORY),
        (sqlite3.SQLITE_READONLY, Fault.FORBIDDEN),
        (sqlite3.SQLITE_READONLY_DIRECTORY, Fault.FORBIDDEN),
        (sqlite3.SQLITE_CORRUPT, Fault.BROKEN),
        (sqlite3.SQLITE_NOTADB, Fault.BROKEN),
        (sqlite3.SQLITE_IOERR_READ, Fault.BROKEN),
        (sqlite3.SQLITE_CANTOPEN, Fault.UNKNOWN),
    ],
)
def test_codes_of_sqlite(tmp_path: Path, code: int, fault: Fault) -> None:
    """Extended codes have the meaning of their primary one."""
    path = tmp_path / "records.sqlite3"
    path.write_bytes(b"x")
    assert trouble_of(database_error(code), str(path)).fault is fault


def test_what_sqlite_keeps_to_itself_is_seen_from_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says only that it cannot open a file, or that there was an error of input or output."""
    path = tmp_path / "records.sqlite3"
    for code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR_SHMSIZE):
        assert trouble_of(database_error(code), str(path)).fault is Fault.ABSENT
        with monkeypatch.context() as patched:

            def refuse(*_: object, **__: object) -> int:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

            patched.setattr(os, "open", refuse)
            trouble = trouble_of(database_error(code), str(path))
        assert (trouble.fault, trouble.place) == (Fault.DESCRIPTORS, str(path))
    with public_directory() as root:
        path = root / "records.sqlite3"
        path.write_bytes(b"x")
        path.chmod(0o600)
        with as_nobody():
            assert trouble_of(database_error(sqlite3.SQLITE_CANTOPEN), str(path)).fault is Fault.FORBIDDEN


def test_a_full_disk_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where SQLite cannot make the files that lie beside a database."""
    real = os.statvfs(tmp_path)
    full = os.statvfs_result((*real[:4], 0, *real[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    trouble = trouble_of(database_error(sqlite3.SQLITE_IOERR), str(tmp_path / "records.sqlite3"))
    assert (trouble.fault, trouble.cause) == (Fault.FULL, os.strerror(errno.ENOSPC))


def test_a_read_only_file_system_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite says only that it cannot open a file there."""
    real = os.statvfs(tmp_path)
    read_only = os.statvfs_result((*real[:8], real.f_flag | os.ST_RDONLY, real.f_namemax))
    monkeypatch.setattr(os, "statvfs", lambda _: read_only)
    trouble = trouble_of(database_error(sqlite3.SQLITE_CANTOPEN), str(tmp_path / "records.sqlite3"))
    assert trouble.cause == os.strerror(errno.EROFS)


def test_the_place_is_what_has_to_be_mended(tmp_path: Path) -> None:
    """Of a link or rename the target, and of what does not exist its directory."""
    with public_directory() as root:
        (root / "acme").mkdir(mode=0o755)
        (root / "draft").write_bytes(b"x")
        with as_nobody(), pytest.raises(CannotStore) as caught, storing(str(root)):
            os.rename(root / "draft", root / "acme" / "acme-1.0.tar.gz")
        assert caught.value.trouble is not None
        assert caught.value.trouble.place == str(root / "acme")
        assert str(root) not in str(caught.value)
    with pytest.raises(CannotStore) as caught, storing(str(tmp_path)):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    assert caught.value.trouble is not None
    assert caught.value.trouble.place == str(tmp_path)


@pytest.mark.parametrize("error", [KeyError("x"), OSError("x"), FileNotFoundError(2, "x"), ValueError()])
def test_what_is_no_trouble_of_the_server(error: BaseException) -> None:
    """A mistake in the program, or what the code around it has to expect."""
    assert own_trouble(error) is None


def test_a_store_that_refuses() -> None:
    """No mode of a file is to be changed for it."""
    trouble = trouble_of(
        OSError(errno.EACCES, "the store refuses it (AccessDenied)", "s3://packages/acme"), None
    )
    assert (trouble.fault, trouble.status) == (Fault.FORBIDDEN, 500)
    assert trouble.for_operator() == (
        "s3://packages/acme cannot be used (the store refuses it (AccessDenied)): let the credentials of this server do it, and "
        "set its clock right."
    )
