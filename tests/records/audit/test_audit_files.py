"""The files of the audit: rotated ones in their order."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
from typing import TYPE_CHECKING

import pytest

from simpleindex.records.audit.audit_files import audit_files, audit_lines

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An audit that was rotated three times, and what else lies beside it."""
    (tmp_path / "audit.jsonl-2.bz2").write_bytes(bz2.compress(b"1\n"))
    (tmp_path / "audit.jsonl.2.gz").write_bytes(gzip.compress(b"2\n"))
    (tmp_path / "audit.jsonl.1.xz").write_bytes(lzma.compress(b"3\n"))
    (tmp_path / "audit.jsonl").write_bytes(b"4\n5\n")
    (tmp_path / "records.sqlite3").touch()
    for age, name in enumerate(("audit.jsonl.1.xz", "audit.jsonl.2.gz", "audit.jsonl-2.bz2")):
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    # A copy of an old backup: the current file is the last whatever its time.
    os.utime(tmp_path / "audit.jsonl", (500, 500))
    return tmp_path / "audit.jsonl"


def test_oldest_first(path: Path) -> None:
    """Rotated and compressed files come before the current one."""
    assert list(audit_lines(str(path))) == [b"1\n", b"2\n", b"3\n", b"4\n", b"5\n"]
    assert list(audit_lines(str(path), since=999)) == [b"2\n", b"3\n"]
    assert list(audit_lines(str(path), current=False)) == [b"1\n", b"2\n", b"3\n"]
    assert audit_files(str(path.parent / "none")) == []


def test_a_damaged_file_is_an_error_that_names_it(path: Path) -> None:
    """A cut archive does not end the command with a traceback."""
    (path.parent / "audit.jsonl.2.gz").write_bytes(gzip.compress(b"2\n" * 99)[:20])
    with pytest.raises(OSError, match=r"audit\.jsonl\.2\.gz is damaged"):
        list(audit_lines(str(path)))


def test_a_file_that_vanishes_meanwhile_is_passed_over(path: Path) -> None:
    """Logrotate removes the oldest."""
    lines = audit_lines(str(path))
    assert next(lines) == b"1\n"
    (path.parent / "audit.jsonl.2.gz").unlink()
    assert list(lines) == [b"3\n", b"4\n", b"5\n"]
