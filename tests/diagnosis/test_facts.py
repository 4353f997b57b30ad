"""What is gathered from a real disk: it is broken, found, mended by the remedy itself, and not found again."""

from __future__ import annotations

import grp
import os
import pwd
import resource
import sqlite3
import subprocess
import time
from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from simpleindex.commands.diagnosis import check
from simpleindex.config.resolution import resolve
from simpleindex.core.errors import RefusedStart
from simpleindex.diagnosis.databases import judge_databases, judge_records
from simpleindex.diagnosis.digests import find_changed_files, find_changed_metadata
from simpleindex.diagnosis.facts import databases
from simpleindex.diagnosis.facts import machine as machine_facts
from simpleindex.diagnosis.facts.databases import check_databases, damage_of, records_facts
from simpleindex.diagnosis.facts.digests import read_again
from simpleindex.diagnosis.facts.machine import clock_of, disk_spaces, open_files_limit, watch_limits
from simpleindex.diagnosis.facts.places import foreign_entries, service_places, service_user
from simpleindex.diagnosis.packages import DirectoryFacts, judge_directory
from simpleindex.diagnosis.permissions import ServiceUser, judge_permissions
from simpleindex.diagnosis.upstreams import UpstreamProbe
from simpleindex.directory.scan.digest_cache import DigestCache
from simpleindex.records.start_check import initialize_records
from tests.fixtures.distributions import add_wheel, metadata_text, put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from simpleindex.config.settings import Settings
    from simpleindex.diagnosis.finding import Finding

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")


class Machine:
    """The places of a server below one directory."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.root = place / "root"
        self.root.mkdir()

    def settings(self, **given: object) -> Settings:
        places = {name: str(self.place / name) for name in ("state", "cache", "certs")}
        return resolve({"path": str(self.root), **places, **given}, {}, self.place, root_may_be_gone=True)


@pytest.fixture(autouse=True)
def interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every user can run it, as on a machine that is set up well; that of the tests may be root's."""
    monkeypatch.setattr("simpleindex.diagnosis.facts.places.sys", SimpleNamespace(executable="/bin/sh"))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def mend(find: Callable[[], Iterator[Finding]], words: str) -> None:
    """See a finding, run its remedy, and see that it is gone."""
    found = [finding for finding in find() if words in finding.sentence]
    assert found, list(find())
    for finding in found:
        subprocess.run(["/bin/sh", "-c", finding.remedy], check=True)
    assert [finding for finding in find() if words in finding.sentence] == []


@pytest.fixture
def nobody(machine: Machine) -> Iterator[ServiceUser]:
    """Another user than root, who can enter the places of the test."""
    opened = [each for each in (machine.place, *machine.place.parents) if str(each).startswith("/tmp/")]
    modes = [each.stat().st_mode for each in opened]
    for each in opened:
        each.chmod(0o755)
    yield service_user(machine.settings(), "nobody")
    for each, mode in zip(opened, modes, strict=True):
        each.chmod(mode)


@needs_root
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda machine: (machine.place / "state").mkdir(mode=0o700), "cannot be written to by nobody"),
        (lambda machine: machine.root.chmod(0o700), "root cannot be written to by nobody"),
        (lambda machine: machine.root.rmdir(), "root does not exist"),
        (lambda machine: put(machine.place / "users", b"").chmod(0o600), "users cannot be read by nobody"),
        (
            lambda machine: put(machine.place / "certs" / "a.pem", b"").parent.chmod(0o700),
            "certs cannot be read by nobody",
        ),
    ],
)
def test_places(machine: Machine, nobody: ServiceUser, make: Callable[[Machine], object], words: str) -> None:
    settings = machine.settings(users=str(machine.place / "users"), https="8443")
    machine.root.chmod(0o777)
    put(machine.place / "users", b"").chmod(0o644)
    make(machine)
    mend(lambda: judge_permissions(service_places(settings, ()), (), nobody), words)


@needs_root
def test_secrets(machine: Machine, nobody: ServiceUser) -> None:
    settings = machine.settings(users=str(put(machine.place / "users", b"")), https="8443")
    (machine.place / "state").mkdir(mode=0o755)
    os.chown(machine.place / "state", nobody.uid, -1)
    put(machine.place / "certs" / "a.pem", b"-----BEGIN PRIVATE KEY-----")
    put(machine.place / "certs" / "b.pem", b"-----BEGIN CERTIFICATE-----")
    found = [
        each.sentence
        for each in judge_permissions(service_places(settings, ()), (), nobody)
        if "is secret" in each.sentence
    ]
    assert len(found) == 3, found
    mend(lambda: judge_permissions(service_places(settings, ()), (), nobody), "is secret")


@needs_root
def test_what_a_command_of_root_left_behind(machine: Machine, nobody: ServiceUser) -> None:
    put(machine.place / "state" / "records.sqlite3", b"").chmod(0o600)
    os.chown(machine.place / "state", nobody.uid, -1)

    def find() -> Iterator[Finding]:
        entries = foreign_entries(machine.place / "state", nobody, is_written=True)
        return judge_permissions((), [] if entries is None else [entries], nobody)

    mend(find, "1 entry below")


@needs_root
def test_packages_that_cannot_be_read(machine: Machine, nobody: ServiceUser) -> None:
    add_wheel(machine.root).chmod(0o600)
    (machine.root / "closed").mkdir(mode=0o700)
    (machine.root / "link").symlink_to("nowhere")

    def find() -> Iterator[Finding]:
        entries = foreign_entries(machine.root, nobody, is_written=False)
        return judge_permissions((), [] if entries is None else [entries], nobody)

    mend(find, "2 entries below")


def test_the_user_of_the_service(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = machine.settings()
    assert service_user(settings, None).uid == os.geteuid()
    assert service_user(settings, "nobody").name == "nobody"
    with pytest.raises(RefusedStart, match="no user 'nobody-at-all'"):
        service_user(settings, "nobody-at-all")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    (machine.place / "state").mkdir()
    assert service_user(settings, None).uid == (machine.place / "state").stat().st_uid

    def unknown(_: int) -> Any:
        raise KeyError

    with monkeypatch.context() as patched:
        patched.setattr(grp, "getgrgid", unknown)
        assert service_user(settings, "nobody").group.isdigit()
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    user = service_user(settings, None)
    assert (user.name, user.groups) == (str(user.uid), frozenset())
    root = ServiceUser("root", 0, "root", frozenset())
    assert foreign_entries(machine.place, root, is_written=True) is None


def test_files_that_vanish_meanwhile(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    user = service_user(machine.settings(), "nobody")
    assert foreign_entries(machine.place / "gone", user, is_written=True) is None
    settings = machine.settings(https="8443")
    key = put(machine.place / "certs" / "a.pem", b"-----BEGIN CERTIFICATE-----")

    def gone(_: object) -> Any:
        raise OSError

    monkeypatch.setattr(type(key), "read_bytes", gone)
    (place,) = (each for each in service_places(settings, ()) if each.path == str(key))
    assert place.is_secret, "it may be a key"


def test_places_that_are_gone(machine: Machine) -> None:
    settings = machine.settings(
        sources=str(machine.place / "sources.toml"), **{"access-log": str(machine.place / "log")}
    )
    machine.root.rmdir()
    user = service_user(settings, None)
    sentences = [
        each.sentence
        for each in judge_permissions(service_places(settings, [machine.place / "more"]), (), user)
    ]
    assert [sentence.split(",")[0] for sentence in sentences] == [
        f"{machine.root} does not exist",
        f"{machine.place / 'more'} does not exist",
        f"{machine.place / 'sources.toml'} does not exist",
    ]


def make_database(path: Path, *, rows: int = 500) -> None:
    path.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE a (b TEXT)")
        connection.executemany("INSERT INTO a VALUES (?)", [("x" * 200,)] * rows)
        connection.commit()


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096 * 3 : 4096 * 5] = b"\xff" * 8192
    path.write_bytes(data)


def test_databases(machine: Machine) -> None:
    settings = machine.settings()
    cache, counts = machine.place / "cache" / "digests.sqlite3", machine.place / "state" / "downloads.sqlite3"
    assert check_databases(settings) == []
    for path in (cache, counts):
        make_database(path)
    assert [each.damage for each in check_databases(settings)] == [None, None]
    assert sorted(os.listdir(cache.parent)) == [cache.name], "nothing is left that could be another user's"
    for path, words in ((cache, "made anew"), (counts, "counts begin anew")):
        damage(path)
        mend(lambda: judge_databases(check_databases(settings)), words)
    put(cache, b"no database at all, but long enough to be one of them" * 100)
    mend(lambda: judge_databases(check_databases(settings)), "file is not a database")


def test_a_database_in_use(machine: Machine) -> None:
    path = machine.place / "state" / "records.sqlite3"
    make_database(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO a VALUES ('y')")
        connection.commit()
        assert damage_of(path) is None
        copy = machine.place / "copy.sqlite3"
        put(copy, path.read_bytes())
        put(
            machine.place / "copy.sqlite3-wal", (machine.place / "state" / "records.sqlite3-wal").read_bytes()
        )
    assert damage_of(copy) is None, "as a crash leaves it"
    assert not (machine.place / "copy.sqlite3-shm").exists()


def test_records(machine: Machine) -> None:
    settings, state = machine.settings(), machine.place / "state"
    assert list(judge_records(records_facts(settings))) == []
    initialize_records(str(state), anew=False)
    assert list(judge_records(records_facts(settings))) == []
    put(state / "audit.jsonl", b'{"event": "token-created", "time": "2026-01-01T00:00:00Z", "token": "ab"}\n')
    (state / "records.sqlite3").unlink()
    (finding,) = judge_records(records_facts(settings))
    assert "is empty or gone" in finding.sentence


def test_records_in_a_database_server_that_is_away(machine: Machine) -> None:
    pytest.importorskip("psycopg")
    settings = machine.settings(records="postgresql://index@127.0.0.1:1/index?connect_timeout=1")
    (finding,) = judge_records(records_facts(settings))
    assert finding.sentence == (
        "The database of --records cannot be used: the server cannot be reached; see that the server runs, and lets this machine in."
    )


def read_later(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the directory as a server does when its files have rested for a while."""
    now = time.time_ns() + 60_000_000_000
    monkeypatch.setattr(check, "time", SimpleNamespace(time_ns=lambda: now))
    check.read_directory(settings)


def test_records_in_a_database_server(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = machine.settings(records="postgresql://index@db.example/index")
    records = Mock()
    monkeypatch.setattr(databases, "open_records", lambda *_: records)
    assert list(judge_records(records_facts(settings))) == []
    records.close.assert_called_once_with()


def test_files_are_read_again(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = machine.settings()
    wheel = add_wheel(machine.root)
    put(wheel.with_name(f"{wheel.name}.metadata"), metadata_text("acme", "1.0"))
    read_later(settings, monkeypatch)
    read: list[int] = []

    def again() -> tuple[Any, Any]:
        read.clear()
        return read_again(settings, read.append, read.append)

    files, beside = again()
    assert [list(find_changed_files(files)), list(find_changed_metadata(beside))] == [[], []]
    assert read == [wheel.stat().st_size, wheel.stat().st_size]
    put(wheel.with_name(f"{wheel.name}.metadata"), b"Name: other\n")
    mend(lambda: find_changed_metadata(again()[1]), "is not what its wheel has")


def test_a_file_that_rotted(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = machine.settings()
    wheel = add_wheel(machine.root)
    read_later(settings, monkeypatch)
    recall = DigestCache.recall
    data = bytearray(wheel.read_bytes())
    data[30] ^= 1
    backup = put(machine.place / "BACKUP" / wheel.name, wheel.read_bytes())
    wheel.write_bytes(data)

    def as_before(self: DigestCache, directory: str, entries: Any) -> Any:
        """As on a disk that changes bytes and no times."""
        entries = tuple(entries)
        stamps = {entry.path: entry.stamp for entry in entries}
        return {path: (stamps[path], facts) for path, (_, facts) in recall(self, directory, entries).items()}

    monkeypatch.setattr(DigestCache, "recall", as_before)
    monkeypatch.chdir(machine.place)
    nothing = lambda _: None  # noqa: E731
    mend(lambda: find_changed_files(read_again(settings, nothing, nothing)[0]), "has changed though")
    assert wheel.read_bytes() == backup.read_bytes()


def test_a_project_in_two_directories(machine: Machine) -> None:
    settings = machine.settings()
    add_wheel(machine.root, "acme-lib", "1.0")
    add_wheel(machine.root, "acme-lib", "2.0", directory="Acme_Lib")

    def find() -> Iterator[Finding]:
        reading = check.read_directory(settings)
        assert reading.report.files == 2
        return judge_directory(DirectoryFacts(str(machine.root), spellings=reading.spellings))

    mend(find, "lies in several directories")


def test_a_machine(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = machine.settings()
    assert [each.option for each in disk_spaces(settings)] == ["path", "state", "cache"]
    add_wheel(machine.root)
    limits = watch_limits((machine.root, machine.place / "gone"))
    assert limits.needed == 3
    assert limits.granted is None or limits.granted > 0
    monkeypatch.setattr(machine_facts, "_MAX_WATCHES", machine.place / "none")
    assert watch_limits((machine.root,)).granted is None
    monkeypatch.setattr(resource, "getrlimit", lambda _: (5, 7))
    assert open_files_limit() == 7
    monkeypatch.setattr(resource, "getrlimit", lambda _: (5, resource.RLIM_INFINITY))
    assert open_files_limit() > 1 << 20

    def gone(_: object) -> Any:
        raise OSError

    monkeypatch.setattr(os, "statvfs", gone)
    assert disk_spaces(settings) == []


def test_a_clock(machine: Machine) -> None:
    settings = machine.settings()
    probes = [
        UpstreamProbe("a", "https://a.example/", None, 0.1, clock_offset=5.0),
        UpstreamProbe("b", "https://b.example/", None, 0.1),
    ]
    assert clock_of(settings, 9.0, probes).offsets == (("a", 5.0),)
    assert clock_of(settings, 9.0, ()).newest is None
    audit = put(machine.place / "state" / "audit.jsonl", b"")
    os.utime(audit, (2_000_000_000, 2_000_000_000))
    assert clock_of(settings, 9.0, ()).newest == (2_000_000_000, str(audit))
