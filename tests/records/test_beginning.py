"""Records that are gone are never taken for records that never were."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

from simpleindex.core.errors import RefusedStart, Unavailable
from simpleindex.core.names import ProjectName
from simpleindex.records.database import RECORDS_FILENAME, RecordsDatabase
from simpleindex.records.lost_records import AuditEvidence, RecordsCondition, evidence_of, judge_condition
from simpleindex.records.owners import OwnerTable
from simpleindex.records.start_check import condition_of, initialize_records
from simpleindex.records.used_names import UsedNames
from tests.fixtures.log import CapturedLog
from tests.fixtures.tables import for_each

if TYPE_CHECKING:
    from pathlib import Path

ACME = ProjectName("acme")


def line(event: str, project: str | None = None) -> bytes:
    """A line of the audit."""
    found = {"time": "2026-01-01T00:00:00.000+00:00", "event": event, "project": project}
    return json.dumps({key: value for key, value in found.items() if value}).encode() + b"\n"


TALES = [
    ("upload", True, True),
    ("upload-again", True, True),
    ("token-created", True, False),
    ("records-begun", True, False),
    ("allowance-given", True, False),
    ("delete", False, True),
    ("yank", False, True),
    ("copy", False, True),
    # What anybody can cause, or is about others' names.
    ("login-failed", False, False),
    ("upload-refused", False, False),
    ("download-refused", False, False),
    ("pinned", False, False),
    ("password-set", False, False),
]


@for_each(("event", "had_records", "is_own"), TALES)
def test_what_an_event_tells(event: str, had_records: bool, is_own: bool) -> None:
    """Whether there were records then, and whether its project is private."""
    names = frozenset({ACME} if is_own else ())
    assert evidence_of([line(event, "Acme")]) == AuditEvidence(
        is_there=True, had_records=had_records, names=names
    )


@pytest.mark.parametrize(
    "data",
    [b"\n", b"{", b"[]", b"1\n", b"\xff\xfe", b'{"event": ["upload"]}', b'{"event": "upload", "project": 1}'],
)
def test_lines_that_tell_nothing(data: bytes) -> None:
    """They are there all the same, and the others are read."""
    evidence = evidence_of([data, line("delete", "acme"), b'{"event": "delete", "project": "no name!"}'])
    assert evidence.is_there
    assert evidence.names == frozenset({ACME})


@pytest.mark.parametrize(
    ("size", "evidence", "beginning"),
    [
        (None, AuditEvidence(), RecordsCondition.NEW),
        (0, AuditEvidence(), RecordsCondition.NEW),
        (4096, AuditEvidence(), RecordsCondition.PRESENT),
        (4096, AuditEvidence(is_there=True, had_records=True), RecordsCondition.PRESENT),
        (None, AuditEvidence(is_there=True), RecordsCondition.NEW),
        (0, AuditEvidence(is_there=True), RecordsCondition.LOST),
        (None, AuditEvidence(is_there=True, had_records=True), RecordsCondition.LOST),
        (0, AuditEvidence(is_there=True, had_records=True), RecordsCondition.LOST),
    ],
)
def test_what_a_directory_is(size: int | None, evidence: AuditEvidence, beginning: RecordsCondition) -> None:
    """Anybody can cause a failed login before anything is kept; an empty file beside an audit is a loss."""
    assert judge_condition(size, evidence) is beginning


def begin(state: Path, *, anew: bool = False) -> list[str]:
    """Begin; return what is logged."""
    with CapturedLog() as log:
        initialize_records(str(state), anew=anew)
    return log.lines


def test_a_new_directory(tmp_path: Path) -> None:
    """Records are made without a word, once; from then on their loss shows."""
    state = tmp_path / "state"
    assert condition_of(str(state)) is RecordsCondition.NEW
    assert begin(state) == begin(state) == []
    assert condition_of(str(state)) is RecordsCondition.PRESENT
    assert [json.loads(text)["event"] for text in (state / "audit.jsonl").read_text().splitlines()] == [
        "records-begun"
    ]
    (state / RECORDS_FILENAME).unlink()
    with pytest.raises(RefusedStart, match="--new-records"):
        begin(state)


@pytest.mark.parametrize("how", ["empty", "gone", "rotated", "compressed"])
def test_lost_records(tmp_path: Path, how: str) -> None:
    """The start is refused, nothing is made; where that is meant the names in the audit stay used."""
    state = tmp_path / "state"
    begin(state)
    lines = line("upload", "acme") + line("login-failed", "x") + line("delete", "other")
    if how == "rotated":
        (state / "audit.jsonl.1").write_bytes(lines)
        (state / "audit.jsonl").unlink()
    elif how == "compressed":
        (state / "audit.jsonl").unlink()
        (state / "audit.jsonl-20260101.gz").write_bytes(gzip.compress(lines))
    else:
        (state / "audit.jsonl").write_bytes(lines)
    (state / RECORDS_FILENAME).unlink()
    if how == "empty":
        (state / RECORDS_FILENAME).touch()
    before = sorted(path.name for path in state.iterdir())
    with pytest.raises(RefusedStart, match="is empty or gone"):
        begin(state)
    assert sorted(path.name for path in state.iterdir()) == before
    (sentence,) = begin(state, anew=True)
    assert "The 2 names of your own" in sentence
    used = UsedNames(RecordsDatabase(str(state), initialized=True))
    assert [used.has(ProjectName(name)) for name in ("acme", "other", "x")] == [True, True, False]
    assert begin(state, anew=True) == []


@pytest.mark.parametrize("how", ["empty", "gone"])
def test_records_lost_while_it_runs(tmp_path: Path, how: str) -> None:
    """What never looked before does not take them for new either, and makes none."""
    begin(tmp_path)
    database = RecordsDatabase(str(tmp_path), initialized=True)
    owners, used = OwnerTable(database), UsedNames(database)
    (tmp_path / RECORDS_FILENAME).unlink()
    if how == "empty":
        (tmp_path / RECORDS_FILENAME).touch()
    for ask in (
        lambda: owners.owner(ACME),
        lambda: owners.claim(ACME, "alice", 0.0),
        lambda: used.has(ACME),
    ):
        with pytest.raises(Unavailable):
            ask()
    used.add([ACME])
    assert not (tmp_path / RECORDS_FILENAME).exists() or not (tmp_path / RECORDS_FILENAME).stat().st_size
