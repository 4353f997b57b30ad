"""The audit: one whole line for each event, from several writers, whatever is in the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.core.audit_entry import AuditEntry
from simpleindex.records.audit.audit import Audit
from tests.fixtures.trees import SPECIAL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fixtures.log import CapturedLog


class Kept:
    """An audit in a state directory, and what was logged about it."""

    def __init__(self, state: Path, log: CapturedLog) -> None:
        self.path = state / "audit.jsonl"
        self.log = log
        self.audit = Audit(str(state), lambda: 1_700_000_000.25)

    @property
    def logged(self) -> list[str]:
        """The sentences in the log."""
        return self.log.lines

    def lines(self) -> list[dict[str, Any]]:
        """What is in the file, as a reader of JSON lines sees it."""
        return [json.loads(line) for line in self.path.read_bytes().split(b"\n")[:-1]]


@pytest.fixture
def kept(tmp_path: Path, log: CapturedLog) -> Iterator[Kept]:
    """One whose directory must yet be made."""
    kept = Kept(tmp_path / "deep" / "state", log)
    yield kept
    kept.audit.close()


def test_a_line(kept: Kept) -> None:
    """When in UTC, what, who, and whatever else applies."""
    assert kept.audit.record(
        AuditEntry("login-failed", who="alice", address="192.0.2.7", detail="wrong password")
    )
    assert kept.audit.record(
        AuditEntry("upload", token="ab12cd34", project="acme", filename="acme-1.zip", digest="aa" * 32)
    )
    assert kept.lines() == [
        {
            "time": "2023-11-14T22:13:20.250+00:00",
            "event": "login-failed",
            "who": "alice",
            "address": "192.0.2.7",
            "detail": "wrong password",
        },
        {
            "time": "2023-11-14T22:13:20.250+00:00",
            "event": "upload",
            "token": "ab12cd34",
            "project": "acme",
            "filename": "acme-1.zip",
            "digest": "aa" * 32,
        },
    ]
    assert kept.logged == []


def test_it_is_private(kept: Kept) -> None:
    """The file is its owner's alone, and so is the directory."""
    kept.audit.record(AuditEntry("x"))
    assert kept.path.stat().st_mode & 0o777 == 0o600
    assert kept.path.parent.stat().st_mode & 0o777 == 0o700


@given(st.text(), st.text())
def test_nothing_breaks_a_line(who: str, detail: str) -> None:
    """Neither control characters, nor separators of lines in Unicode, nor lone surrogates."""
    written: list[bytes] = []
    audit = Audit("/nowhere")
    audit._append = written.append  # type: ignore[assignment,method-assign]
    assert audit.record(AuditEntry("x", who=who, detail=detail))
    (line,) = written
    assert line.isascii()
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert all(byte >= 0x20 and byte != 0x7F for byte in line[:-1])
    assert json.loads(line)["who"] == who


def test_texts_are_bounded(kept: Kept) -> None:
    """A client that sends a megabyte as its name does not write one."""
    kept.audit.record(AuditEntry("x", who="a" * 2000))
    assert kept.lines()[0]["who"] == "a" * 1000 + "..."


def test_it_is_appended_to(kept: Kept) -> None:
    """By the next process too."""
    kept.audit.record(AuditEntry("one"))
    other = Audit(str(kept.path.parent))
    other.record(AuditEntry("two"))
    kept.audit.record(AuditEntry("three"))
    other.close()
    assert [line["event"] for line in kept.lines()] == ["one", "two", "three"]


def test_rotation(kept: Kept) -> None:
    """After it was renamed or removed, the next line makes a new one."""
    kept.audit.record(AuditEntry("one"))
    kept.path.rename(kept.path.with_suffix(".1"))
    kept.audit.record(AuditEntry("two"))
    assert [line["event"] for line in kept.lines()] == ["two"]
    assert b"one" in kept.path.with_suffix(".1").read_bytes()
    kept.path.unlink()
    kept.audit.record(AuditEntry("three"))
    assert [line["event"] for line in kept.lines()] == ["three"]
    assert kept.path.stat().st_mode & 0o777 == 0o600


def test_a_line_that_was_cut_off(kept: Kept) -> None:
    """What a full disk left behind does not swallow the next line."""
    kept.audit.record(AuditEntry("one"))
    kept.path.write_bytes(kept.path.read_bytes() + b'{"time": "20')
    kept.audit.record(AuditEntry("two"))
    first, torn, second, rest = kept.path.read_bytes().split(b"\n")
    assert json.loads(first)["event"] == "one"
    assert torn == b'{"time": "20'
    assert json.loads(second)["event"] == "two"
    assert rest == b""


@pytest.mark.parametrize("written", [OSError(28, "No space left on device"), 5])
def test_a_full_disk(kept: Kept, monkeypatch: pytest.MonkeyPatch, written: Any) -> None:
    """The caller is told each time, the operator once until it is over."""
    kept.audit.record(AuditEntry("one"))

    def write(_: int, __: bytes) -> int:
        if isinstance(written, OSError):
            raise written
        return int(written)

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", write)
        assert not kept.audit.record(AuditEntry("two"))
        assert not kept.audit.record(AuditEntry("three"))
    (sentence,) = kept.logged
    assert "audit.jsonl cannot be written" in sentence
    assert kept.audit.record(AuditEntry("four"))
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", write)
        assert not kept.audit.record(AuditEntry("five"))
    assert len(kept.logged) == 2


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_file(kept: Kept, kind: str) -> None:
    """It is neither waited for nor written to."""
    kept.path.parent.mkdir(parents=True)
    SPECIAL[kind](kept.path)
    assert not kept.audit.record(AuditEntry("one"))
    assert "not a regular file" in kept.logged[0]


def test_a_link_is_not_followed(kept: Kept, tmp_path: Path) -> None:
    """Root runs commands in a directory of another user's."""
    kept.path.parent.mkdir(parents=True)
    target = tmp_path / "target"
    for exists in (False, True):
        if exists:
            target.write_text("as it was")
        kept.path.unlink(missing_ok=True)
        kept.path.symlink_to(target)
        assert not kept.audit.record(AuditEntry("one"))
    assert target.read_text() == "as it was"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_gives_it_to_the_directorys_owner(kept: Kept) -> None:
    """What a command of root's makes, the service can go on with."""
    kept.path.parent.mkdir(parents=True)
    os.chown(kept.path.parent, 65534, 65533)
    kept.audit.record(AuditEntry("one"))
    status = kept.path.stat()
    assert (status.st_uid, status.st_gid) == (65534, 65533)


_WRITER = """
import sys
from simpleindex.core.audit_entry import AuditEntry
from simpleindex.records.audit.audit import Audit
audit = Audit(sys.argv[1])
for number in range(200):
    assert audit.record(AuditEntry("x", who=sys.argv[2], detail=f"{number} " + "y" * 500))
"""


def test_two_processes(kept: Kept) -> None:
    """No line is lost and none is torn."""
    arguments = [sys.executable, "-c", _WRITER, str(kept.path.parent)]
    processes = [subprocess.Popen([*arguments, name]) for name in ("a", "b")]
    assert [process.wait(60) for process in processes] == [0, 0]
    lines = kept.lines()
    for name in ("a", "b"):
        details = [line["detail"].partition(" ")[0] for line in lines if line["who"] == name]
        assert details == [str(number) for number in range(200)]
