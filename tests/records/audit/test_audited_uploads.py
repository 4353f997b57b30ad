"""Who uploaded the files of a project, from the audit, as it grows and is rotated."""

from __future__ import annotations

import os
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.core.audit_entry import AuditEntry
from simpleindex.core.names import ProjectName
from simpleindex.records.audit import audited_uploads
from simpleindex.records.audit.audit import Audit
from simpleindex.records.audit.audited_uploads import AuditedUploads, UploadNote

if TYPE_CHECKING:
    from pathlib import Path

ACME = ProjectName("acme")
UPLOAD = AuditEntry("upload", who="alice", project="acme", filename="acme-1.0.zip")


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    """An audit with uploads of two projects, and what else happens."""
    audit = Audit(str(tmp_path), now=lambda: 86_400.0)
    audit.record(UPLOAD)
    audit.record(AuditEntry("upload", token="t1", project="acme", filename="acme-2.0.zip"))
    audit.record(AuditEntry("upload", who="eve", project="acme-evil", filename="acme-1.0.zip"))
    audit.record(AuditEntry("yank", who="bob", project="acme", version="1.0"))
    audit.record(AuditEntry("upload-again", who="bob", project="acme", filename="acme-1.0.zip"))
    audit.record(AuditEntry("copy", who="command:root", project="acme", filename="acme-3.0.zip"))
    audit.record(AuditEntry("upload-refused", who="mallory", project="acme", filename="acme-4.0.zip"))
    audit.close()
    return audit


def append(audit: Audit, data: bytes) -> None:
    with open(audit.path, "ab") as file:
        file.write(data)


def test_the_uploads_of_one_project(audit: Audit) -> None:
    time = "1970-01-02T00:00:00.000+00:00"
    uploads = AuditedUploads(audit.path)
    for _ in range(2):
        assert uploads.of(ACME) == {
            "acme-1.0.zip": UploadNote("alice", time),
            "acme-2.0.zip": UploadNote("token:t1", time),
            "acme-3.0.zip": UploadNote("command:root", time),
        }
    assert [*uploads.of(ProjectName("acme-evil"))] == ["acme-1.0.zip"]
    assert uploads.of(ProjectName("none")) == {}


def test_lines_that_are_no_entries_are_passed_over(audit: Audit, tmp_path: Path) -> None:
    append(
        audit,
        b'{"time": "2", "event": "upload", "project": "acme"}\n"project": "acme"\n["project", {"project": "acme"}]\n'
        b'"event": "upload", "project": "acme"\n\n{"event": "upload", "project": "acme", "filen',
    )
    assert len(AuditedUploads(audit.path).of(ACME)) == 3
    assert AuditedUploads(str(tmp_path / "none")).of(ACME) == {}


def test_projects_of_one_checksum(audit: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audited_uploads, "crc32", lambda _: 0x01010101)
    assert len(AuditedUploads(audit.path).of(ACME)) == 3


def test_what_was_added_is_found_and_the_rest_not_looked_at_again(audit: Audit) -> None:
    """Though it was made another project's meanwhile."""
    uploads = AuditedUploads(audit.path)
    assert len(uploads.of(ACME)) == 3
    with open(audit.path, "r+b") as file:
        content = file.read()
        file.seek(0)
        file.write(content.replace(b'"project": "acme-evil"', b'"project": "acme"     '))
    audit.record(AuditEntry("upload", who="zoe", project="acme", filename="acme-5.0.zip"))
    found = uploads.of(ACME)
    assert (len(found), found["acme-5.0.zip"].who, found["acme-1.0.zip"].who) == (4, "zoe", "alice")
    audit.record(AuditEntry("upload", who="zoe", project="acme", filename="acme-1.0.zip"))
    assert uploads.of(ACME)["acme-1.0.zip"].who == "zoe"
    assert AuditedUploads(audit.path).of(ACME).keys() == found.keys()


def test_a_line_that_is_being_written(audit: Audit) -> None:
    uploads = AuditedUploads(audit.path)
    line = b'{"time": "2", "event": "upload", "who": "zoe", "project": "acme", "filename": "acme-5.0.zip"}\n'
    for cut in range(1, len(line)):
        append(audit, line[cut - 1 : cut])
        assert len(uploads.of(ACME)) == 3
    append(audit, line[-1:])
    assert uploads.of(ACME)["acme-5.0.zip"] == UploadNote("zoe", "2")


def test_a_file_in_its_place(audit: Audit, tmp_path: Path) -> None:
    """Renamed and begun anew, cut off, or cut off and longer by now than it was."""
    uploads = AuditedUploads(audit.path)
    assert len(uploads.of(ACME)) == 3
    os.rename(audit.path, tmp_path / "audit.jsonl.1")
    assert uploads.of(ACME) == {}
    later = Audit(str(tmp_path), now=lambda: 90_000.0)
    later.record(UPLOAD)
    assert len(uploads.of(ACME)) == 1
    os.truncate(audit.path, 0)
    assert uploads.of(ACME) == {}
    latest = Audit(str(tmp_path), now=lambda: 100_000.0)
    for number in range(5):
        latest.record(AuditEntry("upload", who="zoe", project="acme", filename=f"acme-{number}.zip"))
    assert len(uploads.of(ACME)) == 5
    later.close()
    latest.close()


def test_another_file_that_got_the_number_of_the_one_before(audit: Audit) -> None:
    """As one that is copied and cut off by a rotation, and is as long again before anybody looks."""
    uploads = AuditedUploads(audit.path)
    assert len(uploads.of(ACME)) == 3
    with open(audit.path, "rb+") as file:
        content = file.read()
        file.seek(0)
        file.write(
            content.replace(b'"1970-01-02T', b'"1970-01-03T').replace(b'"who": "alice"', b'"who": "zoe"  ')
        )
    assert uploads.of(ACME)["acme-1.0.zip"].who == "zoe"


def test_only_the_end_of_a_long_audit_counts(audit: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audited_uploads, "_MOST", 300)
    uploads = AuditedUploads(audit.path)
    assert [*uploads.of(ACME)] == ["acme-3.0.zip"]
    for number in range(4):
        audit.record(AuditEntry("upload", who="zoe", project="acme", filename=f"acme-{number}.zip"))
    assert [*uploads.of(ACME)] == ["acme-2.zip", "acme-3.zip"]


def test_many_files_are_not_kept(audit: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audited_uploads, "_MOST_NOTES", 3)
    uploads = AuditedUploads(audit.path)
    assert [len(uploads.of(ACME)) for _ in range(2)] == [3, 3]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 3), st.booleans()), max_size=40))
def test_it_is_as_if_all_lines_were_read(changes: list[tuple[str, int, bool]]) -> None:
    """Of every project, whenever somebody looks."""
    expected: dict[str, dict[str, str]] = {project: {} for project in "abcd"}
    with TemporaryDirectory() as directory:
        audit = Audit(directory)
        uploads = AuditedUploads(audit.path)
        for number, (project, version, is_looked_at) in enumerate(changes):
            audit.record(AuditEntry("upload", who=f"u{number}", project=project, filename=f"{version}.zip"))
            expected[project][f"{version}.zip"] = f"u{number}"
            if is_looked_at:
                uploads.of(ProjectName(project))
        for project, notes in expected.items():
            found = {file: note.who for file, note in uploads.of(ProjectName(project)).items()}
            assert found == notes
        audit.close()
