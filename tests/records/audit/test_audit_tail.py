"""New lines of the audit as they come, and from where another reader has ended."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
from typing import TYPE_CHECKING

import pytest

from simpleindex.records.audit.audit_tail import AuditPosition, AuditTail, end_of_audit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An audit of two lines."""
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b"4\n5\n")
    return path


def texts(tail: AuditTail, most: int = 1 << 20) -> list[bytes]:
    return [line.text for line in tail.read(most)]


def test_new_lines_through_rotations(path: Path) -> None:
    """A line that is being written is not read; after a rotation nothing is missed and nothing comes twice."""
    tail = AuditTail(str(path), end_of_audit(str(path)))
    assert texts(tail) == []
    with path.open("ab") as file:
        file.write(b"6\n7")
        file.flush()
        assert texts(tail) == [b"6\n"]
        path.rename(path.with_name("audit.jsonl.1"))
        assert texts(tail) == []
        file.write(b"\n")
    path.write_bytes(b"8\n")
    assert [texts(tail), texts(tail), texts(tail)] == [[b"7\n"], [b"8\n"], []]
    tail.close()


def test_going_on_where_another_reader_ended(path: Path) -> None:
    """Also in a file that was rotated away meanwhile; where that is gone, with the current one."""
    first = AuditTail(str(path))
    (line,) = first.read(1)
    first.close()
    assert line.text == b"4\n"
    path.rename(path.with_name("audit.jsonl-3"))
    path.write_bytes(b"6\n")
    tail = AuditTail(str(path), line.end)
    assert [texts(tail), texts(tail), texts(tail)] == [[b"5\n"], [b"6\n"], []]
    tail.close()
    tail = AuditTail(str(path), AuditPosition(1, 77))
    assert texts(tail) == [b"6\n"]
    tail.close()


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_rotated_and_compressed_meanwhile(path: Path, compress: Callable[[bytes], bytes]) -> None:
    """Several times, as while a server is off: the file is recognized by its first line, also where its number is another's now."""
    first = AuditTail(str(path))
    (line,) = first.read(1)
    first.close()
    suffix = {gzip.compress: ".gz", bz2.compress: ".bz2", lzma.compress: ".xz"}[compress]
    path.with_name(f"audit.jsonl.2{suffix}").write_bytes(compress(b"4\n5\n"))
    path.write_bytes(b"other\n")
    path.rename(path.with_name("audit.jsonl.1"))
    path.write_bytes(b"6\n")
    for age, name in enumerate(("audit.jsonl.1", f"audit.jsonl.2{suffix}")):
        os.utime(path.with_name(name), (2000 - age, 2000 - age))
    tail = AuditTail(str(path), line.end)
    assert texts(tail, 1) == [b"5\n"]
    (_, again) = texts(tail), texts(tail)
    assert again == [b"6\n"]
    tail.close()


def test_an_older_copy(path: Path) -> None:
    """As after a restore: what it has was read before, what is added was not."""
    end = end_of_audit(str(path))
    copy = path.with_name("copy")
    copy.write_bytes(b"4\n")
    copy.replace(path)
    tail = AuditTail(str(path), end)
    assert texts(tail) == []
    with path.open("ab") as file:
        file.write(b"7\n")
    assert texts(tail) == [b"7\n"]
    tail.close()


def test_a_damaged_rotated_file(path: Path) -> None:
    first = AuditTail(str(path))
    (line,) = first.read(1)
    first.close()
    data = gzip.compress(b"4\n" + os.urandom(9000).hex().encode() + b"\n")
    path.with_name("audit.jsonl.1.gz").write_bytes(data[:-100])
    path.unlink()
    tail = AuditTail(str(path), line.end)
    with pytest.raises(OSError, match=r"beside .*audit\.jsonl is damaged"):
        tail.read()
    tail.close()


def test_a_file_that_was_removed_while_it_was_read(path: Path) -> None:
    """Reading goes on with the current file; where it was compressed, with the one after it."""
    tail = AuditTail(str(path))
    assert texts(tail) == [b"4\n", b"5\n"]
    path.unlink()
    assert texts(tail) == []
    path.with_name("audit.jsonl.1.gz").write_bytes(gzip.compress(b"4\n5\n"))
    path.write_bytes(b"6\n")
    assert texts(tail) == [b"6\n"]
    path.unlink()
    path.write_bytes(b"7\n")
    assert texts(tail) == [b"7\n"]
    tail.close()


def test_a_file_that_is_cut_off_is_read_from_its_begin(path: Path) -> None:
    """As by logrotate's copytruncate."""
    tail = AuditTail(str(path))
    assert texts(tail) == [b"4\n", b"5\n"]
    os.truncate(path, 0)
    assert texts(tail) == []
    with path.open("ab") as file:
        file.write(b"6\n")
    assert texts(tail) == [b"6\n"]
    tail.close()


def test_an_audit_that_is_not_there_yet(tmp_path: Path) -> None:
    """It is read from its first line once it is there."""
    path = tmp_path / "audit.jsonl"
    tail = AuditTail(str(path), end_of_audit(str(path)))
    tail.close()
    assert texts(tail) == []
    path.write_bytes(b"1\n")
    assert texts(tail) == [b"1\n"]
    path.unlink()
    assert texts(tail) == []
    path.write_bytes(b"2\n")
    assert texts(tail) == [b"2\n"]
    tail.close()
