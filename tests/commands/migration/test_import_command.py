"""``simpleindex import``: what it prints, writes and returns."""

from __future__ import annotations

import json
import signal
import threading
from threading import Event
from typing import TYPE_CHECKING, Any

import bcrypt
import pytest

from simpleindex.commands.main import main
from simpleindex.commands.migration import import_http, importing
from simpleindex.core.errors import CannotStore, RefusedStart
from simpleindex.core.faults import Fault
from simpleindex.core.model import Project, Status
from simpleindex.migration.importer import Importer
from simpleindex.migration.people import ImportedPeople, ImportedUser
from simpleindex.publishing.local.writer import Space, Writer
from simpleindex.records.audit.audit import Audit
from tests.fixtures.distributions import (
    add_sdist,
    add_wheel,
    put,
    sdist_bytes,
    sdist_name,
    wheel_bytes,
    wheel_name,
)
from tests.fixtures.examiner import InProcessExaminer
from tests.fixtures.imports import ACME, MemorySource
from tests.fixtures.trees import as_nobody, public_directory

if TYPE_CHECKING:
    from pathlib import Path

    from simpleindex.core.audit_entry import AuditEntry
    from simpleindex.migration.plan import ProjectPlan

    Captured = pytest.CaptureFixture[str]

WHEEL, SDIST = wheel_name(), sdist_name()
BCRYPT = "$2b$10$" + "a" * 53
EMPTY = bcrypt.hashpw(b"", bcrypt.gensalt(10)).decode()


class Move:
    """A pypiserver's directory, and a directory that takes it."""

    def __init__(self, path: Path, capsys: Captured) -> None:
        self.path = path
        self.old, self.root = path / "old", path / "packages"
        self.root.mkdir()
        put(self.old / WHEEL, wheel_bytes())
        put(self.old / SDIST, sdist_bytes())
        put(self.old / wheel_name("other"), wheel_bytes("other"))
        put(path / "htpasswd", f"alice:{BCRYPT}\nbob:$apr1$x$y\ncarol:{BCRYPT}\n".encode())
        self._capsys = capsys

    def run(self, *words: str, status: int = 0) -> tuple[str, str]:
        """Run the command; returns what it printed."""
        self._capsys.readouterr()
        places = [
            f"--{name}={self.path / directory}"
            for name, directory in (("path", "packages"), ("state", "state"), ("cache", "cache"))
        ]
        assert main(["import", "--from", str(self.old), *places, *words]) == status
        out, err = self._capsys.readouterr()
        assert "Traceback" not in err
        return out, err

    def refused(self, *words: str) -> str:
        """Run it in vain; returns the sentence."""
        out, err = self.run(*words, status=2)
        assert out == ""
        return err

    def there(self) -> set[str]:
        return {
            str(path.relative_to(self.root))
            for path in self.root.rglob("*")
            if path.is_file() and not path.name.startswith(".simpleindex")
        }


@pytest.fixture
def move(tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> Move:
    monkeypatch.setattr(importing, "open_examination", InProcessExaminer)
    return Move(tmp_path, capsys)


def test_everything_comes_and_a_second_run_has_nothing_to_do(move: Move) -> None:
    out, err = move.run()
    assert out.startswith(f"Imported 3 files of 2 projects from {move.old}, ")
    assert out.endswith("; 0 already here; 0 refused.\n")
    assert err == ""
    assert move.there() == {f"acme/{WHEEL}", f"acme/{SDIST}", f"other/{wheel_name('other')}"}
    audit = [json.loads(line) for line in (move.path / "state" / "audit.jsonl").read_text().splitlines()]
    assert {(entry["event"], entry["detail"]) for entry in audit} == {("import", "to local")}
    assert len(audit) == 3
    out, _ = move.run()
    assert out == f"Imported 0 files of 2 projects from {move.old}; 3 already here; 0 refused.\n"
    assert len((move.path / "state" / "audit.jsonl").read_text().splitlines()) == 3


def test_a_dry_run_changes_nothing(move: Move) -> None:
    users = f"--users={move.path / 'users'}"
    out, _ = move.run("--dry-run", "--users-from", str(move.path / "htpasswd"), users)
    lines = out.splitlines()
    assert lines[0] == f"Would import acme/{WHEEL}, {len(wheel_bytes())} bytes."
    assert lines[3] == f"Would add to {move.path / 'users'}: alice, carol, with their passwords."
    assert lines[-1].startswith("Would import 3 files of 2 projects")
    assert (move.there(), (move.path / "users").exists(), (move.path / "state").exists()) == (
        set(),
        False,
        False,
    )


def test_sizes_that_nobody_states(move: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    source = MemorySource()
    source.add(WHEEL, wheel_bytes(), size=None, yanked="broken")
    source.add(SDIST, sdist_bytes())
    monkeypatch.setattr(importing, "open_source", lambda *_: source)
    add_sdist(move.root)
    out, _ = move.run("--dry-run")
    assert out.splitlines()[0] == f"Would import acme/{WHEEL}, of unknown size; yanked."
    source.add(SDIST, sdist_bytes(), sha256=None)
    move.run("--json", str(move.path / "report.json"))
    report = json.loads((move.path / "report.json").read_text())
    assert [each["filename"] for each in report["present"]] == [SDIST]


def test_a_dry_run_examines_what_lies_on_a_disk(move: Move) -> None:
    put(move.old / wheel_name("broken"), b"no zip")
    out, _ = move.run("--dry-run", status=1)
    assert f"Not imported: broken/{wheel_name('broken')}: it is no valid distribution: " in out
    assert "require-matching-tags = false" in out
    assert "Would import broken" not in out
    assert out.splitlines()[-1].startswith("Would import 3 files of 3 projects")
    assert out.splitlines()[-1].endswith("; 0 already here; 1 refused.")
    assert move.there() == set()


def test_only_some_projects(move: Move) -> None:
    move.run("--project", "OTH*", "--project", "nothing")
    assert move.there() == {f"other/{wheel_name('other')}"}
    assert "--project: 'a b' is no name" in move.refused("--project", "a b")
    assert f"no project of {move.old} has such a name; it has acme, other." in move.refused(
        "--project", "no*"
    )


def test_nothing_is_there(move: Move) -> None:
    """Another directory was meant, perhaps."""
    empty = move.path / "empty"
    empty.mkdir()
    assert f"There are no packages in {empty}; look at --from." in move.refused("--from", str(empty))


def test_what_is_refused_is_reported_and_the_rest_comes(move: Move) -> None:
    put(move.old / wheel_name("broken"), b"no zip")
    add_wheel(move.root, "other", "1.0", "Summary: another one")
    out, _ = move.run(status=1)
    assert out.splitlines()[0] == (
        f"Not imported: other/{wheel_name('other')}: another file of that name is here already, with other bytes."
    )
    assert f"Not imported: broken/{wheel_name('broken')}: it is no valid distribution: " in out
    assert out.splitlines()[-1].endswith("; 0 already here; 2 refused.")
    assert f"acme/{WHEEL}" in move.there()


def test_users(move: Move) -> None:
    """Those that are here keep their passwords; a second import says so."""
    users = move.path / "users"
    users.write_text(f"carol:$2b$10$mine{'b' * 49}\nbob:$2b$10$mine{'b' * 49}\n")
    words = "--users-from", str(move.path / "htpasswd")
    out, _ = move.run(*words)
    assert "No users file takes alice, carol: name it with --users FILE, and run this again.\n" in out
    assert (
        "bob cannot log in yet: its hash is Apache's MD5, which is too weak. Set a password: simpleindex passwd bob"
        in out
    )
    out, _ = move.run(*words, "--users", str(users))
    assert f"Added to {users}: alice, with their passwords.\n" in out
    assert "Users that keep the passwords they have here: bob, carol.\n" in out
    assert "cannot log in" not in out
    assert users.read_text().splitlines()[2] == f"alice:{BCRYPT}"
    assert "mine" in users.read_text()
    assert "--users-from: /nothing cannot be read" in move.refused("--users-from", "/nothing")
    assert "cannot be changed" in move.refused(*words, "--users", str(move.root))


def test_users_of_a_server_that_is_read_over_http(move: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the file come before those of the server, which tells no hashes."""
    source = MemorySource()
    source.add(WHEEL, wheel_bytes())
    users = ImportedUser("alice"), ImportedUser("dora")
    monkeypatch.setattr(source, "people", lambda: ImportedPeople(users, notes=("It tells no hashes.",)))
    monkeypatch.setattr(importing, "open_source", lambda *_: source)
    out, _ = move.run("--users-from", str(move.path / "htpasswd"), "--users", str(move.path / "users"))
    assert f"Added to {move.path / 'users'}: alice, carol, with their passwords.\n" in out
    assert "alice cannot" not in out
    assert "dora cannot log in yet: it has no hash." in out
    assert "It tells no hashes." in out


def test_an_empty_password_is_none(move: Move) -> None:
    """Devpi's root has one at first."""
    htpasswd = put(move.path / "htpasswd", f"root:{EMPTY}\n".encode())
    out, _ = move.run("--users-from", str(htpasswd), "--users", str(move.path / "users"))
    assert "root cannot log in yet: the password is empty. Set a password: simpleindex passwd root\n" in out
    assert not (move.path / "users").exists()


def test_the_report_as_json(move: Move) -> None:
    put(move.old / wheel_name("broken"), b"no zip")
    move.run("--project", "other")
    place = move.path / "report.json"
    move.run("--json", str(place), "--users-from", str(move.path / "htpasswd"), status=1)
    report = json.loads(place.read_text())
    assert [each["filename"] for each in report["imported"]] == [WHEEL, SDIST]
    assert [each["filename"] for each in report["present"]] == [wheel_name("other")]
    assert [each["project"] for each in report["refused"]] == ["broken"]
    assert BCRYPT not in place.read_text()
    put(move.old / wheel_name("newer"), wheel_bytes("newer"))
    out, _ = move.run("--json", "-", "--dry-run", status=1)
    assert [each["filename"] for each in json.loads(out)["planned"]] == [wheel_name("newer")]
    assert "cannot be written" in move.run("--json", str(move.root), status=2)[1]


def test_rules_of_the_access_file_hold(move: Move) -> None:
    access = put(move.path / "access.toml", b"[uploads]\nmax-file-size = 100\n")
    out, _ = move.run("--access", str(access), status=1)
    assert out.count("max-file-size allows 100 bytes; set it in the access file.") == 3
    access.write_text("nonsense")
    assert str(access) in move.refused("--access", str(access))
    assert "cannot be read" in move.refused("--access", str(move.path / "none"))


def test_further_directories(move: Move) -> None:
    (move.path / "stable").mkdir()
    sources = put(move.path / "sources.toml", b'[[directory]]\nname = "stable"\npath = "stable"\n')
    move.run("--sources", str(sources), "--to", "stable")
    assert (move.path / "stable" / "acme" / WHEEL).exists()
    assert "--to: there is no directory 'stabel'; did you mean 'stable'?" in move.refused(
        "--sources", str(sources), "--to", "stabel"
    )
    (move.path / "stable").rename(move.path / "gone")
    assert "cannot be read" in move.refused("--sources", str(sources), "--to", "stable")


def test_what_cannot_be_read(move: Move) -> None:
    assert "/nothing cannot be read: No such file or directory." in move.refused("--from", "/nothing")
    assert "see simpleindex import --help" in move.refused("--nonsense")
    assert "--from is empty" in move.refused("--from", "")
    assert "ftp://old/ is none of http://, https:// and s3://" in move.refused("--from", "ftp://old/")
    for url in ("http://[x", "http://[::1/simple/", "//[x"):
        assert "--from is no http or https URL of an index" in move.refused("--from", url)
    for place in (str(move.old), "http://old/root/"):
        assert "--index is for what devpi-export writes" in move.refused(
            "--index", "root/dev", "--from", place
        )


def test_a_report_that_cannot_be_written(move: Move) -> None:
    """It is said before anything is imported, not hours later."""
    put(move.path / "file", b"")
    for place in (
        move.root,
        move.path / "nothing" / "report.json",
        move.path / "file" / "report.json",
        move.path / ("x" * 300),
    ):
        assert "cannot be written; name a file in a directory" in move.refused("--json", str(place))
    assert move.there() == set()


def test_a_report_where_the_user_cannot_look() -> None:
    with public_directory() as path:
        (path / "closed").mkdir(mode=0o700)
        for place in (path / "closed" / "report.json", path / "closed" / "deeper" / "report.json"):
            with (
                as_nobody(),
                pytest.raises(RefusedStart, match="cannot be written; name a file in a directory"),
            ):
                importing._refuse_bad_report(str(place))


def test_the_kind_is_recognized(move: Move) -> None:
    """By what lies in the directory; a bucket of Google's has to be copied first."""
    put(move.path / "export" / "dataindex.json", b'{"dumpversion": "2"}')
    assert "has no index with files" in move.refused("--from", str(move.path / "export"))
    for name in ("simple", "packages"):
        (move.path / "mirror" / "web" / name).mkdir(parents=True)
    put(move.path / "mirror" / "web" / "simple" / "acme" / "index.html", b"<!DOCTYPE html>")
    out, _ = move.run("--from", str(move.path / "mirror"), status=1)
    assert out.startswith("Not imported: acme: the page is HTML, but lists no files")
    assert "dataindex.json: it cannot be read: No such file" in move.refused("--kind", "devpi-export")
    assert "gsutil rsync -r BUCKET DIR" in move.refused("--from", "gs://bucket/prefix")
    assert "is not a bucket such as" in move.refused("--from", "s3://B/prefix")
    assert "--kind devpi-export is not for a bucket" in move.refused(
        "--kind", "devpi-export", "--from", "s3://bucket"
    )
    dump = put(move.path / "dump.json", b'{"users": [{"username": "bob"}]}')
    out, _ = move.run("--users-from", str(dump), "--kind", "pypicloud")
    assert "bob cannot log in yet: it has no hash." in out
    assert 'read = ["authenticated"]' in out


def test_a_server_over_http(move: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    source = MemorySource()
    source.add(WHEEL, wheel_bytes())
    opened: list[str] = []

    def open_http_source(url: str, *_: Any) -> MemorySource:
        opened.append(url)
        return source

    monkeypatch.setattr(import_http, "open_http_source", open_http_source)
    move.run("--from", "https://old.example/simple")
    assert opened == ["https://old.example/simple/"]
    assert move.there() == {f"acme/{WHEEL}"}


def test_too_little_space(move: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the beginning, and when it becomes less; as much stays free as with uploads."""
    monkeypatch.setattr(Writer, "space", lambda _: Space("/x", 1100, 20000))
    assert "/x can take 100 bytes more, and 1.9 KiB are to come. Make space, or choose" in move.refused()
    assert move.there() == set()
    monkeypatch.setattr("simpleindex.commands.migration.import_run._MOST_TOGETHER", 1)
    spaces = [5000, 5000]
    monkeypatch.setattr(Writer, "space", lambda _: Space("/x", spaces.pop() if spaces else 0, 20000))
    out, _ = move.run(status=1)
    assert "It was stopped: /x can take 0 bytes more, and " in out
    assert len(move.there()) <= 1


def test_stopped_and_gone_on(move: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    """By ^C: what is left is said, what is here stays, and the same command goes on."""
    bring = Importer.bring

    def interrupted(self: Importer, name: Any, file: Any) -> Any:
        if name == "other":
            raise KeyboardInterrupt
        return bring(self, name, file)

    with monkeypatch.context() as patch:
        patch.setattr(Importer, "bring", interrupted)
        out, err = move.run("--users-from", str(move.path / "htpasswd"), status=130)
    assert err == "Stopped; 1 of 3 files are left.\n"
    assert "It was stopped; the same command goes on where it was.\n" in out
    assert len(move.there()) == 2
    out, _ = move.run()
    assert out.endswith("; 2 already here; 0 refused.\n")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), CannotStore("The disk is full.", fault=Fault.FULL)])
def test_what_came_meanwhile_is_noted_too(
    move: Move, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files are fetched several at a time: a later one may be here when an earlier one ends the import."""
    bring, came = Importer.bring, Event()

    def interrupted(self: Importer, name: Any, files: Any) -> Any:
        if name == "acme":
            assert came.wait(60)
            raise error
        outcome = list(bring(self, name, files))
        came.set()
        return outcome

    monkeypatch.setattr(Importer, "bring", interrupted)
    out, _ = move.run(status=130 if isinstance(error, KeyboardInterrupt) else 1)
    assert "Imported 1 file of 2 projects" in out
    assert move.there() == {f"other/{wheel_name('other')}"}
    audit = (move.path / "state" / "audit.jsonl").read_text().splitlines()
    assert [json.loads(line)["filename"] for line in audit] == [wheel_name("other")]


@pytest.mark.parametrize("is_noted", [False, True])
def test_stopped_while_a_file_is_noted(move: Move, is_noted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is here then is in the audit and in the report, once."""
    bring, record, came, signals = Importer.bring, Audit.record, Event(), [signal.SIGTERM]

    def brought(self: Importer, name: Any, files: Any) -> Any:
        outcome = list(bring(self, name, files))
        if name == "other":
            came.set()
        return outcome

    def stop() -> None:
        if signals:
            assert came.wait(60)
            signal.pthread_kill(threading.main_thread().ident or 0, signals.pop())

    def interrupted(self: Audit, entry: AuditEntry) -> bool:
        is_first = entry.project == "acme"
        if is_first and not is_noted:
            stop()
        written = record(self, entry)
        if is_first and is_noted:
            stop()
        return written

    monkeypatch.setattr(Importer, "bring", brought)
    monkeypatch.setattr(Audit, "record", interrupted)
    out, _ = move.run("--json", "-", status=130)
    there = {f"acme/{WHEEL}", f"acme/{SDIST}", f"other/{wheel_name('other')}"}
    assert move.there() == there
    audit = [json.loads(line) for line in (move.path / "state" / "audit.jsonl").read_text().splitlines()]
    for entries in (audit, json.loads(out)["imported"]):
        assert sorted(f"{each['project']}/{each['filename']}" for each in entries) == sorted(there)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Fault.FULL, "It was stopped: It cannot be written. The same command goes on when that is mended."),
        (Fault.BUSY, "Not imported: acme: It cannot be written."),
    ],
)
def test_what_lies_beside_cannot_be_written(
    move: Move, fault: Fault, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files themselves are here by then."""
    put(move.old / f"{WHEEL}.asc", b"-----BEGIN PGP SIGNATURE-----\n")

    def refused(*_: Any) -> None:
        raise CannotStore("It cannot be written.", fault=fault)

    monkeypatch.setattr(Writer, "put_beside", refused)
    out, _ = move.run("--project", "acme", status=1)
    assert sentence in out.splitlines()
    assert "Imported 2 files of 1 project" in out
    assert move.there() == {f"acme/{WHEEL}", f"acme/{SDIST}"}
    audit = (move.path / "state" / "audit.jsonl").read_text().splitlines()
    assert {json.loads(line)["filename"] for line in audit} == {WHEEL, SDIST}


def test_stopped_while_projects_are_marked(move: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is fetched then."""

    def interrupted(_: Importer, project: Project) -> None:
        if project.name == "other":
            raise KeyboardInterrupt

    monkeypatch.setattr(Importer, "mark", interrupted)
    out, err = move.run(status=130)
    assert err == "Stopped; 1 of 2 projects are left.\n"
    assert "It was stopped" in out
    assert move.there() == set()


def test_stopped_before_anything_came(move: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(importing, "open_source", interrupted)
    assert move.run(status=130) == ("", "Stopped; the same command goes on where it was.\n")


def test_stopped_while_projects_are_read(move: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(Importer, "plan", interrupted)
    out, err = move.run(status=130)
    assert err == "Stopped; 2 of 2 projects are left.\n"
    assert "It was stopped" in out
    assert move.there() == set()


def test_stopped_after_the_first_project_was_read(move: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is fetched then."""
    plan = Importer.plan

    def interrupted(self: Importer, name: Any) -> ProjectPlan:
        if name == "other":
            raise KeyboardInterrupt
        return plan(self, name)

    monkeypatch.setattr(Importer, "plan", interrupted)
    _, err = move.run(status=130)
    assert err == "Stopped; 1 of 2 projects are left.\n"
    assert move.there() == set()


def test_a_full_disk_ends_it(move: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Any:
        raise CannotStore("The disk is full.", fault=Fault.UNKNOWN)

    monkeypatch.setattr(Importer, "bring", full)
    out, _ = move.run(status=1)
    assert "It was stopped: The disk is full. The same command goes on when that is mended.\n" in out


def test_what_is_in_the_way_of_one_project_stops_no_other(move: Move) -> None:
    """Here a directory where a file would be."""
    (move.root / "acme" / WHEEL).mkdir(parents=True)
    out, _ = move.run(status=1)
    assert f"Not imported: acme/{WHEEL}: " in out
    assert f"acme/{SDIST}" in move.there()


def test_a_status_that_cannot_be_written(move: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    source = MemorySource()
    file = source.add(WHEEL, wheel_bytes())
    source.has(Project(ACME, [file], (), Status.ARCHIVED, "\udc80"))
    monkeypatch.setattr(importing, "open_source", lambda *_: source)
    out, _ = move.run(status=1)
    assert out.startswith("Not imported: acme: its status cannot be written into simpleindex.toml: ")
    assert move.there() == set()


def test_a_project_that_cannot_be_read(move: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    from simpleindex.migration.errors import NotImported

    plan = Importer.plan

    def failing(self: Importer, name: Any) -> ProjectPlan:
        if name == "acme":
            raise NotImported("its page is broken")
        return plan(self, name)

    monkeypatch.setattr(Importer, "plan", failing)
    out, _ = move.run(status=1)
    assert out.startswith("Not imported: acme: its page is broken.\nImported 1 file of 1 project ")


def test_without_the_extra(move: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any) -> Any:
        raise ModuleNotFoundError(name="tomlkit")

    monkeypatch.setattr(importing, "_import", missing)
    assert "Python's tomlkit is not installed, which the extra 'publish'" in move.refused()
