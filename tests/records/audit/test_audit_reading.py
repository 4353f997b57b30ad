"""The latest entries of the audit: the same as if all of it were read, and only its end is."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from simpleindex.core.names import ProjectName
from simpleindex.records.audit import audit_reading
from simpleindex.records.audit.audit_reading import latest_entries, recent_entries

if TYPE_CHECKING:
    from pathlib import Path

UPLOADS = frozenset({"upload"})


def line(seconds: float, event: str = "upload", project: str = "acme") -> bytes:
    time = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return f"{json.dumps({'time': time, 'event': event, 'project': project})}\n".encode()


def latest(path: Path, since: float) -> list[str]:
    return [entry["time"][11:19] for entry in latest_entries(str(path), since, UPLOADS)]


@pytest.fixture
def audit(tmp_path: Path) -> Path:
    """One line a second, through three hours; some are in disorder, and one is cut off."""
    path = tmp_path / "audit.jsonl"
    lines = [line(second + (30 if second % 7 == 0 else 0)) for second in range(10_800)]
    lines[10_000] = lines[10_000][:20] + b"\n"
    path.write_bytes(b"".join(lines))
    return path


@pytest.mark.parametrize("since", [0, 5_000, 10_000.5, 10_790, 10_900])
def test_entries_of_the_last_time(audit: Path, since: float) -> None:
    expected = [
        entry["time"][11:19]
        for each in audit.read_bytes().splitlines()
        if each.endswith(b"}") and (entry := json.loads(each))["time"] >= json.loads(line(since))["time"]
    ]
    assert latest(audit, since) == expected
    assert [*latest_entries(str(audit), since, frozenset({"yank"}))] == []
    acme = [*recent_entries(str(audit), ProjectName("acme"), since)]
    assert len(acme) == len(expected)
    assert [*recent_entries(str(audit), ProjectName("other"), since)] == []


def test_only_the_end_is_read(audit: Path) -> None:
    """Not what was written hours before, whatever its time."""
    content = audit.read_bytes()
    audit.write_bytes(line(20_000) + content)
    assert "05:33:20" not in latest(audit, 10_795)
    assert "05:33:20" in latest(audit, 60)


def test_no_more_than_so_many_bytes(audit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_reading, "_LATEST", 1000)
    assert len(latest(audit, 0)) < 20


def test_an_audit_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    assert latest(tmp_path / "none", 0) == []
