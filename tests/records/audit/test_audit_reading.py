"""Who uploaded the files of a project, from the audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simpleindex.core.audit_entry import AuditEntry
from simpleindex.core.names import ProjectName
from simpleindex.records.audit import audit_reading
from simpleindex.records.audit.audit import Audit
from simpleindex.records.audit.audit_reading import UploadNote, uploads_of

if TYPE_CHECKING:
    from pathlib import Path

ACME = ProjectName("acme")


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    """An audit with uploads of two projects, and what else happens."""
    audit = Audit(str(tmp_path), now=lambda: 86_400.0)
    audit.record(AuditEntry("upload", who="alice", project="acme", filename="acme-1.0.zip"))
    audit.record(AuditEntry("upload", token="t1", project="acme", filename="acme-2.0.zip"))
    audit.record(AuditEntry("upload", who="eve", project="acme-evil", filename="acme-1.0.zip"))
    audit.record(AuditEntry("yank", who="bob", project="acme", version="1.0"))
    audit.record(AuditEntry("upload-again", who="bob", project="acme", filename="acme-1.0.zip"))
    audit.record(AuditEntry("copy", who="command:root", project="acme", filename="acme-3.0.zip"))
    audit.record(AuditEntry("upload-refused", who="mallory", project="acme", filename="acme-4.0.zip"))
    audit.close()
    return audit


def test_the_uploads_of_one_project(audit: Audit) -> None:
    time = "1970-01-02T00:00:00.000+00:00"
    assert uploads_of(audit.path, ACME) == {
        "acme-1.0.zip": UploadNote("alice", time),
        "acme-2.0.zip": UploadNote("token:t1", time),
        "acme-3.0.zip": UploadNote("command:root", time),
    }


def test_lines_that_are_no_entries_are_passed_over(audit: Audit, tmp_path: Path) -> None:
    with open(audit.path, "ab") as file:
        file.write(
            b'{"time": "2", "event": "upload", "project": "acme"}\n"project": "acme"\n["project", {"project": "acme"}]\n{"event": "upload", "project": "acme", "filen'
        )
    assert len(uploads_of(audit.path, ACME)) == 3
    assert uploads_of(str(tmp_path / "none"), ACME) == {}


def test_only_the_end_of_a_long_audit_is_read(audit: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_reading, "_MOST", 300)
    assert [*uploads_of(audit.path, ACME)] == ["acme-3.0.zip"]
