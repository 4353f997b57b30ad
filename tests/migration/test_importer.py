"""Importing files one by one: what arrives in the directory, and what of a hostile server does not."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.access.access_file import parse_access
from simpleindex.access.identity import UploadRules
from simpleindex.access.rights import Access
from simpleindex.archives.examination.limits import NotExamined
from simpleindex.core.errors import CannotStore, Changed
from simpleindex.core.model import Project, Status, Withheld
from simpleindex.core.names import COPIED, LEDGER, ProjectName
from simpleindex.directory.ledger import with_deleted
from simpleindex.directory.project_file import parse_project_file
from simpleindex.directory.scan.scanner import Scanner
from simpleindex.directory.scan.snapshot import NO_SNAPSHOT, ScanJob
from simpleindex.migration.arrival import ImportedFile
from simpleindex.migration.errors import ImportStopped, NotImported
from simpleindex.migration.importer import Importer
from simpleindex.migration.local_files import SourceDirectory
from simpleindex.migration.package_tree import PackageTree
from simpleindex.migration.plan import RefusedFile
from simpleindex.publishing.errors import AlreadyExists, NameUsed
from simpleindex.publishing.local.staging import STAGING
from tests.fixtures.distributions import add_wheel, put, sdist_bytes, sdist_name, wheel_bytes, wheel_name
from tests.fixtures.examiner import FailingExaminer, InProcessExaminer
from tests.fixtures.imports import ACME, ImportBench, listed, sha256

if TYPE_CHECKING:
    from pathlib import Path

WHEEL, SDIST = wheel_name(), sdist_name()
DATA = wheel_bytes()
LONG_AGO = 1_500_000_000_000_000_000


@pytest.fixture
def bench(tmp_path: Path) -> ImportBench:
    return ImportBench(tmp_path)


def left(bench: ImportBench) -> list[str]:
    """Unfinished files in the directory."""
    staging = bench.root / STAGING
    return os.listdir(staging) if staging.exists() else []


def test_a_file_arrives_with_its_time_its_yank_and_what_lies_beside(bench: ImportBench) -> None:
    bench.source.add(WHEEL, DATA, uploaded_ns=LONG_AGO, yanked="it deletes files")
    bench.source.side_files[WHEEL] = {".asc": b"-----BEGIN PGP SIGNATURE-----\n", ".sig": b"theirs"}
    put(bench.root / "acme" / f"{WHEEL}.sig", b"ours")
    assert bench.run() == []
    there = bench.there()
    assert there.pop("acme/simpleindex.toml")
    assert there.pop(f"acme/{WHEEL}.sig") == b"ours"
    assert there == {f"acme/{WHEEL}": DATA, f"acme/{WHEEL}.asc": b"-----BEGIN PGP SIGNATURE-----\n"}
    assert (bench.root / "acme" / WHEEL).stat().st_mtime_ns == LONG_AGO
    yanked = parse_project_file((bench.root / "acme" / "simpleindex.toml").read_bytes()).yanked
    assert yanked == {WHEEL: "it deletes files"}
    note = json.loads((bench.root / "acme" / COPIED).read_text())
    assert note["from"] == bench.source.label
    assert note["url"] == f"https://old.example/{WHEEL}"


def test_the_servers_date_stands_in_for_an_upload_time(bench: ImportBench) -> None:
    """And none lies in the future."""
    bench.source.add(WHEEL, DATA)
    bench.source.modified_ns = LONG_AGO
    bench.source.add(SDIST, sdist_bytes(), uploaded_ns=9_000_000_000_000_000_000)
    assert bench.run() == []
    assert (bench.root / "acme" / WHEEL).stat().st_mtime_ns == LONG_AGO
    assert (bench.root / "acme" / SDIST).stat().st_mtime_ns < 9_000_000_000_000_000_000


def test_what_is_here_is_not_fetched_again(bench: ImportBench) -> None:
    """Whatever digest is stated; where none is, the note about the first import tells."""
    bench.source.add(WHEEL, DATA)
    md5 = hashlib.md5(b := sdist_bytes(), usedforsecurity=False).hexdigest()
    bench.source.add(SDIST, b, sha256=None, other_hash=("md5", md5))
    plain = wheel_name("acme", "2.0")
    bench.source.add(plain, wheel_bytes("acme", "2.0"), sha256=None)
    assert bench.run() == []
    bench.source.opened.clear()
    plan = bench.importer.plan(ACME)
    assert {file.filename for file in plan.present} == {WHEEL, SDIST, plain}
    assert (bench.run(), bench.source.opened) == ([], [])


def test_what_is_here_without_a_note_is_fetched_and_compared(bench: ImportBench) -> None:
    add_wheel(bench.root)
    file = bench.source.add(WHEEL, DATA, sha256=None)
    assert bench.importer.plan(ACME).fetched == (file,)
    (brought,) = bench.importer.bring(ACME, [file])
    assert isinstance(brought, ImportedFile)
    assert not brought.created
    bench.source.content[WHEEL] = [DATA + b"x"]
    (refused,) = bench.importer.bring(ACME, [replace(file, size=None)])
    assert isinstance(refused, RefusedFile)
    assert "with other bytes" in refused.reason


def test_digests_that_the_server_remembers_are_believed(bench: ImportBench) -> None:
    """As far as the file is in that state."""
    path = add_wheel(bench.root)
    os.utime(path, ns=(LONG_AGO, LONG_AGO))
    bench.digests.open()
    scanner = Scanner(bench.directory, bench.digests, lambda: 1 << 62, examiner=InProcessExaminer())
    places = bench.directory.places_of(ACME)
    scanner.read_project(ScanJob(ACME, *places, NO_SNAPSHOT), budget=1 << 40)
    bench.source.add(WHEEL, DATA)
    assert bench.importer.plan(ACME).present
    put(path, wheel_bytes(files={"more.py": b""}))
    assert [each.reason for each in bench.importer.plan(ACME).refused] == [
        "another file of that name is here already, with other bytes"
    ]
    bench.digests.close()


def hostile(**stated: Any) -> dict[str, Any]:
    return {"size": None, "sha256": None, **stated}


@pytest.mark.parametrize(
    ("stated", "pieces", "reason"),
    [
        ({}, [DATA[:-1] + b"x"], f"its sha256 is {sha256(DATA[:-1] + b'x')}, and {sha256(DATA)} is stated"),
        (hostile(other_hash=("sha512", "ab" * 64)), [DATA], "its sha512 is "),
        ({}, [DATA, b"more"], f"more than the {len(DATA):,} bytes arrive that are stated"),
        ({}, [DATA[:10]], f"10 bytes arrived, and {len(DATA):,} are stated"),
        (hostile(), [b"<html>Please log in</html>"], "it is no valid distribution: "),
        (hostile(size=10 << 30), [DATA], "it has 10.0 GiB or more, and max-file-size allows 2.0 GiB"),
        (hostile(), [NotImported("the connection broke off")], "the connection broke off"),
        (hostile(), NotImported("404"), "404"),
    ],
)
def test_what_is_not_as_stated_is_refused(
    bench: ImportBench, stated: dict[str, Any], pieces: Any, reason: str
) -> None:
    """And leaves nothing behind, not even the project."""
    bench.source.add(WHEEL, DATA, **stated)
    bench.source.content[WHEEL] = pieces
    (line,) = bench.run()
    assert line.startswith(f"{WHEEL}: {reason}")
    assert (bench.there(), left(bench)) == ({}, [])
    assert not (bench.root / "acme").exists()


def test_a_body_without_end_is_cut_off(tmp_path: Path) -> None:
    """At the size that uploads may have."""
    bench = ImportBench(tmp_path, access=Access(uploads=UploadRules(max_file_size=1000)))
    bench.source.add(WHEEL, DATA, size=None)
    bench.source.content[WHEEL] = [b"x" * 400] * 1000
    assert bench.run() == [
        f"{WHEEL}: it has 1.2 KiB or more, and max-file-size allows 1000 bytes; set it in the access file"
    ]
    unbounded = parse_access(b"[uploads]\nmax-file-size = 0\n")
    (tmp_path / "second").mkdir()
    bench = ImportBench(tmp_path / "second", access=unbounded)
    bench.source.add(WHEEL, DATA, size=None)
    assert bench.run() == []


def test_names_that_cannot_be_used_are_refused_before_they_are_fetched(bench: ImportBench) -> None:
    add_wheel(bench.root)
    (bench.root / "acme" / LEDGER).write_bytes(with_deleted(b"", "-", SDIST, now=0, who="alice"))
    bench.source.add(SDIST, sdist_bytes())
    bench.source.add("acme-1.0.0-py3-none-any.whl", DATA)
    project = bench.source.project(ACME)
    evil = replace(listed(WHEEL), filename="acme-2.0/../../x-py3-none-any.whl", version="2.0")
    bench.source.has(replace(project, files=[*project.files, evil]))
    lines = bench.run()
    assert lines[0].startswith(
        f"acme-1.0.0-py3-none-any.whl: {WHEEL} is here, which is the same distribution"
    )
    assert "deleted here once" in lines[1]
    assert f"simpleindex free acme {SDIST}" in lines[1]
    assert "a slash" in lines[2]
    assert bench.source.opened == []


def test_a_status_is_set_before_the_first_file(bench: ImportBench) -> None:
    """A project that is here keeps its own, and one without files is not begun."""
    project = Project(ACME, [listed(WHEEL, DATA)], (), Status.DEPRECATED, "use other")
    bench.source.content[WHEEL] = [DATA]
    bench.source.has(project)
    assert bench.run() == []
    written = parse_project_file((bench.root / "acme" / "simpleindex.toml").read_bytes())
    assert (written.status, written.reason) == (Status.DEPRECATED, "use other")
    bench.source.has(replace(project, status=Status.ARCHIVED))
    assert bench.run() == []
    assert b"deprecated" in bench.there()["acme/simpleindex.toml"]


def test_a_quarantined_project_does_not_come(bench: ImportBench) -> None:
    withheld = (Withheld(WHEEL, f"{WHEEL} is not offered: the project acme is quarantined.", "status"),)
    bench.source.has(Project(ACME, (), withheld, Status.QUARANTINED))
    assert bench.run() == [f"{WHEEL}: {WHEEL} is not offered: the project acme is quarantined"]
    assert bench.there() == {}


def test_a_file_that_cannot_be_examined_now(tmp_path: Path) -> None:
    bench = ImportBench(tmp_path, FailingExaminer(**{WHEEL: NotExamined("there is no memory")}))
    bench.source.add(WHEEL, DATA)
    assert bench.run() == [f"{WHEEL}: it cannot be examined now: there is no memory"]


def test_a_file_that_changes_here_meanwhile(bench: ImportBench, monkeypatch: pytest.MonkeyPatch) -> None:
    add_wheel(bench.root)
    bench.source.add(WHEEL, DATA, sha256=None, other_hash=("md5", "ab" * 16))

    def changed(*_: Any) -> int:
        raise Changed(WHEEL)

    monkeypatch.setattr(type(bench.directory), "open_file", changed)
    with pytest.raises(NotImported, match="is being changed here"):
        bench.importer.plan(ACME)


def test_a_directory_that_cannot_be_read(bench: ImportBench, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any) -> None:
        raise OSError(5, "Input/output error")

    bench.source.add(WHEEL, DATA)
    monkeypatch.setattr(type(bench.directory), "places_of", failing)
    with pytest.raises(CannotStore):
        bench.importer.plan(ACME)


def test_what_does_not_fit_into_the_project_file(bench: ImportBench) -> None:
    """A file does not come without its yank, nor a project without its status."""
    for number in range(36):
        name = wheel_name("acme", f"{number}.0")
        bench.source.add(name, wheel_bytes("acme", f"{number}.0"), yanked="x" * 2000)
    lines = bench.run()
    assert 0 < len(lines) < 20
    assert all("its yank cannot be written into simpleindex.toml" in line for line in lines)
    assert len(parse_project_file(bench.there()["acme/simpleindex.toml"]).yanked) == 36 - len(lines)
    other = Project(ProjectName("other"), [listed(wheel_name("other"))], (), Status.ARCHIVED, "\udc80")
    with pytest.raises(NotImported, match="its status cannot be written into"):
        bench.importer.mark(other)


def test_another_writer_was_quicker(bench: ImportBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others of the project come all the same; a name that is in the way, or changes, is told."""
    outcomes = [AlreadyExists(WHEEL, "0" * 64), NameUsed(WHEEL), FileExistsError(17, "exists")]

    def require_name(*_: Any, **__: Any) -> None:
        if outcomes:
            raise outcomes.pop(0)

    monkeypatch.setattr("simpleindex.publishing.local.writer.require_name", require_name)
    monkeypatch.setattr(type(bench.target.writer), "judge_name", lambda *_: None)
    for version in ("1.0", "2.0", "3.0", "4.0"):
        bench.source.add(wheel_name("acme", version), wheel_bytes("acme", version))
    assert [line.partition(": ")[2] for line in bench.run()] == [
        "another writer took its name meanwhile",
        "another writer took its name meanwhile",
        "acme/acme-3.0-py3-none-any.whl is being changed by another writer; try again later",
    ]
    assert [*bench.there()] == [f"acme/{wheel_name('acme', '4.0')}"]


def test_what_comes_meanwhile(bench: ImportBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the lock it is looked at once more: the same bytes are no news, others are refused, a directory in the way is named."""
    examine = bench.importer._examine
    contents = {wheel_name("acme", "1.0"): DATA, wheel_name("acme", "2.0"): b"other"}

    def examined(*arguments: Any) -> None:
        examine(*arguments)
        for filename, data in contents.items():
            put(bench.root / "acme" / filename, data)
        (bench.root / "acme" / wheel_name("acme", "3.0")).mkdir(exist_ok=True)

    monkeypatch.setattr(bench.importer, "_examine", examined)
    files = [bench.source.add(wheel_name("acme", f"{n}.0"), wheel_bytes("acme", f"{n}.0")) for n in (3, 2, 1)]
    outcomes = bench.importer.bring(ACME, files)
    assert [getattr(each, "reason", getattr(each, "created", None)) for each in outcomes] == [
        "acme/acme-3.0-py3-none-any.whl is in the way: it is not a regular file",
        "another writer took its name meanwhile",
        False,
    ]
    assert list(bench.importer.bring(ACME, [])) == []


def test_checking_where_it_lies(tmp_path: Path) -> None:
    """Nothing is written."""
    put(tmp_path / "old" / WHEEL, DATA)
    put(tmp_path / "old" / SDIST, b"no archive")
    bench = ImportBench(tmp_path)
    source = PackageTree(SourceDirectory(str(tmp_path / "old")), "old")
    importer = Importer(source, bench.target, InProcessExaminer(), Access(), "command:me", bench.stopping)
    wheel, sdist = source.project(ACME).files
    importer.check(ACME, wheel)
    with pytest.raises(NotImported, match="no valid distribution"):
        importer.check(ACME, sdist)
    with pytest.raises(NotImported, match="is stated"):
        importer.check(ACME, replace(wheel, sha256="ab" * 32))
    assert (bench.there(), left(bench)) == ({}, [])


def test_stopping(bench: ImportBench) -> None:
    """In the middle of a file, and before the next project; no draft stays."""
    file = bench.source.add(WHEEL, DATA)
    bench.stopping.set()
    with pytest.raises(ImportStopped):
        list(bench.importer.bring(ACME, [file]))
    with pytest.raises(ImportStopped):
        bench.importer.plan(ACME)
    assert left(bench) == []
