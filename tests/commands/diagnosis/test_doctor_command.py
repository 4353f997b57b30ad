"""``simpleindex doctor``: one line a subject, findings with remedies, JSON, exit status."""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from simpleindex.backup import destination
from simpleindex.commands.diagnosis import doctor_subjects, doctor_upstreams
from simpleindex.commands.diagnosis.doctor_report import ReportWriter
from simpleindex.commands.main import main
from simpleindex.diagnosis.finding import Finding, Severity, report_on
from simpleindex.diagnosis.server import ClientTrial, ServerFacts
from simpleindex.diagnosis.upstreams import UpstreamProbe
from simpleindex.directory.scan.scanner import Scanner
from tests.fixtures.backup_world import BackupWorld
from tests.fixtures.distributions import add_wheel, put, wheel_bytes

if TYPE_CHECKING:
    from pathlib import Path

    Captured = pytest.CaptureFixture[str]

SOURCES = b'[[upstream]]\nname = "behind"\nurl = "https://index.example/simple/"\n'


class World:
    """The places of a server, whose requests are answered without a network.

    Attributes:
        server: What the server says.
        probes: What the upstreams say.
        trials: What the clients say.
        is_open: Whether everybody may read the packages.
    """

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place = place
        self.root = place / "root"
        self.root.mkdir()
        self.server = ServerFacts("http://localhost:8080/", version="1", installed="1")
        self.probes = [UpstreamProbe("behind", "https://index.example/simple/", None, 0.2, proxy="p:1")]
        self.trials = [ClientTrial("pip", "pip install acme"), ClientTrial("uv", "uv pip install acme")]
        self.is_open = True
        self.tried: list[str] = []
        monkeypatch.setattr(doctor_subjects, "request_status", lambda *_: self.server)
        monkeypatch.setattr(doctor_upstreams, "request_upstreams", lambda *_: self.probes)
        monkeypatch.setattr(
            doctor_subjects, "readable", lambda *given: next(iter(given[3])) if self.is_open else None
        )
        monkeypatch.setattr(doctor_subjects, "trial_url", lambda *given: given[0])
        monkeypatch.setattr(doctor_subjects, "try_clients", self._try)

    def _try(self, _: Any, requirement: str) -> list[ClientTrial]:
        self.tried.append(requirement)
        return self.trials

    def words(self, *more: str) -> list[str]:
        places = [f"--{name}={self.place / name}" for name in ("state", "cache", "certs")]
        return ["doctor", f"--path={self.root}", *places, *more]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    for variable in list(os.environ):
        if variable.startswith("SIMPLEINDEX_"):
            monkeypatch.delenv(variable)
    return World(tmp_path, monkeypatch)


def lines_of(captured: Captured) -> dict[str, str]:
    """Return what each subject's first line says."""
    lines = captured.readouterr().out.splitlines()
    return {line.split()[1]: line.split(maxsplit=2)[2] for line in lines if len(line.split()) > 2}


def test_all_is_well(world: World, capsys: Captured) -> None:
    add_wheel(world.root)
    sources = put(world.place / "sources.toml", SOURCES)
    users = put(world.place / "users", b"# nobody\n")
    users.chmod(0o600)
    assert main(world.words(f"--sources={sources}", f"--users={users}", "--https=8443", "--deep")) == 0
    out = capsys.readouterr().out
    assert out.endswith("\nAll is well.\n"), out
    assert [line.split()[:2] for line in out.splitlines()[:-2]] == [
        ["ok", subject]
        for subject in (
            *(
                "configuration",
                "permissions",
                "records",
                "accounts",
                "sources",
                "upstreams",
                "packages",
                "digests",
            ),
            *("certificates", "machine", "server", "clients"),
        )
    ]
    assert world.tried == ["acme==1.0"]


def test_what_is_broken(world: World, capsys: Captured) -> None:
    put(world.root / "acme" / "acme-1.0-py3-none-any.whl", wheel_bytes()[:99])
    put(world.place / "state" / "records.sqlite3", b"x" * 9999)
    (world.place / "state").chmod(0o700)
    put(world.place / "certs" / "a.pem", b"nothing")
    world.server = ServerFacts("http://localhost:8080/", is_running=False)
    assert main(world.words("--https=8443")) == 2
    out = capsys.readouterr().out
    assert "error    records       " in out
    assert "$ simpleindex restore --force BACKUP\n" in out
    assert "warning  packages      Not offered: acme/acme-1.0-py3-none-any.whl" in out
    assert "$ simpleindex delete acme acme-1.0-py3-none-any.whl\n" in out
    assert "hint     server        No server answers" in out
    assert out.splitlines()[-1].startswith("2 errors, 1 warning, "), out
    assert world.tried == []


@pytest.mark.parametrize(
    "filenames",
    [
        pytest.param(("acme/acme-1.0-py3-none-any.whl",), id="cut off"),
        pytest.param(("acme/acme_1-1.0-py3-none-any.whl",), id="of another project"),
        pytest.param(
            ("acme/acme-1.0-py3-none-any.whl", "Acme/Acme-1.0-py3-none-any.whl"), id="two spellings"
        ),
        pytest.param(("not a name-1.0.zip",), id="a stray in the root"),
    ],
)
def test_the_remedy_for_a_file_that_is_not_offered(
    world: World, capsys: Captured, filenames: tuple[str, ...]
) -> None:
    for name in filenames:
        put(world.root / name, wheel_bytes() if len(filenames) > 1 else wheel_bytes()[:99])
    main(world.words())
    lines = capsys.readouterr().out.splitlines()
    found = [
        lines[number + 1].strip()
        for number, line in enumerate(lines)
        if "Not offered" in line or "one distribution" in line
    ]
    assert found, lines
    places = [f"--{name}={where}" for name, where in (("path", world.root), ("state", world.place / "state"))]
    for remedy in found:
        command = shlex.split(remedy.removeprefix("$ "))
        if command[0] == "simpleindex":
            assert main([*command[1:], *places]) == 0
        else:
            subprocess.run(command, check=True)
    capsys.readouterr()
    main(world.words())
    out = capsys.readouterr().out
    assert "Not offered" not in out
    assert "one distribution" not in out


def remedies(captured: Captured) -> list[str]:
    """Return the commands of ours that are printed."""
    lines = captured.readouterr().out.splitlines()
    return [line.split("$ simpleindex ")[1] for line in lines if "$ simpleindex " in line]


def test_the_remedy_for_a_user_who_is_unknown(
    world: World, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = put(world.place / "users", b"# nobody\n")
    users.chmod(0o600)
    access = put(world.place / "access.toml", b'[[rule]]\nprojects = ["*"]\nread = ["bob"]\n')
    words = world.words(f"--users={users}", f"--access={access}")
    assert main(words) == 0
    assert remedies(capsys) == ["passwd bob"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse battery\n"))
    assert main(["passwd", "bob", f"--users={users}"]) == 0
    capsys.readouterr()
    assert main(words) == 0
    assert remedies(capsys) == []


def test_the_remedy_for_damaged_records(
    world: World, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(destination, "sync_file_system", lambda _: None)
    made = BackupWorld.made(tmp_path / "backed-up")
    monkeypatch.setenv("SIMPLEINDEX_CONFIG", str(made.home / "etc" / "simpleindex.toml"))

    def of_records() -> list[str]:
        capsys.readouterr()
        main(["doctor", "--offline", "--json"])
        subjects = json.loads(capsys.readouterr().out)["subjects"]
        return [
            each["remedy"]
            for subject in subjects
            if subject["subject"] == "records"
            for each in subject["findings"]
        ]

    assert of_records() == []
    made.back_up()
    (records,) = made.home.rglob("records.sqlite3")
    put(records, b"x" * 9999)
    assert of_records() == ["simpleindex restore --force BACKUP"]
    assert main(["restore", "--force", str(max(made.backups.iterdir()))]) == 0, capsys.readouterr().err
    assert of_records() == []


def test_json(world: World, capsys: Captured) -> None:
    sources = put(
        world.place / "sources.toml",
        SOURCES + b'[[rule]]\nname = "a"\naction = "deny"\n[[rule]]\nname = "b"\naction = "deny"\n',
    )
    assert main(world.words(f"--sources={sources}", "--json", "--offline")) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["status"] == 1
    (subject,) = (each for each in report["subjects"] if each["findings"])
    assert subject == {
        "subject": "sources",
        "summary": "1 upstream, 0 further directories, 0 views, 2 rules",
        "findings": [
            {
                "severity": "warning",
                "sentence": f"{sources}: the rule b has no effect, because the rule a above it decides about all that it is about.",
                "remedy": "",
            }
        ],
    }
    assert "upstreams" not in [each["subject"] for each in report["subjects"]]


def test_sources_that_cannot_be_used(world: World, capsys: Captured) -> None:
    sources = put(world.place / "sources.toml", b"x = 1")
    assert main(world.words(f"--sources={sources}")) == 2
    assert "unknown key" in lines_of(capsys)["sources"]


def test_a_directory_that_is_gone(world: World, capsys: Captured) -> None:
    world.root.rmdir()
    assert main(world.words()) == 2
    assert "does not exist" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("store", "status", "words"),
    [
        (Mock(**{"list.return_value": ()}), 0, "s3://packages can be read and written"),
        (
            Mock(**{"list.side_effect": OSError(0, "The endpoint is away")}),
            2,
            "cannot be read: The endpoint is away.",
        ),
    ],
)
def test_a_bucket(
    world: World, capsys: Captured, monkeypatch: pytest.MonkeyPatch, store: Mock, status: int, words: str
) -> None:
    facts = pytest.importorskip("simpleindex.diagnosis.facts.bucket", exc_type=ImportError)
    monkeypatch.setattr(facts, "ObjectStore", lambda _: store)
    monkeypatch.setattr(facts, "broken_promise", lambda _: None)
    assert main(["doctor", "--path=s3://packages/", *world.words()[2:]]) == status
    lines = lines_of(capsys)
    assert words in lines["bucket"]
    assert "packages" not in lines
    assert "no wheel here" in lines["clients"]


def test_a_bucket_without_the_library(
    world: World, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "simpleindex.diagnosis.facts.bucket", raising=False)
    monkeypatch.delitem(sys.modules, "simpleindex.bucket.object_store", raising=False)
    monkeypatch.setitem(sys.modules, "boto3", None)
    assert main(["doctor", "--path=s3://packages/", *world.words()[2:]]) == 2
    assert "'s3'" in lines_of(capsys)["bucket"]


def test_upstreams_are_requested_in_a_reactor(monkeypatch: pytest.MonkeyPatch) -> None:
    thread = Mock()
    thread.run.side_effect = lambda function: function()
    monkeypatch.setattr(doctor_upstreams, "start_reactor", lambda: thread)
    monkeypatch.setattr(doctor_upstreams, "Threads", Mock())
    monkeypatch.setattr(doctor_upstreams, "probe_upstreams", lambda *given: given)
    given: Any = doctor_upstreams.request_upstreams([], "/etc")
    assert given[:4] == ([], "/etc", os.environ, thread.reactor)


def test_certificates_that_cannot_be_read(world: World, capsys: Captured) -> None:
    put(world.place / "certs", b"a file")
    assert main(world.words("--https=8443")) == 2
    assert "cannot be read (Not a directory)" in lines_of(capsys)["certificates"]


def test_without_a_port_or_clients(world: World, capsys: Captured) -> None:
    assert main(world.words("--http=unix:/run/index")) == 0
    assert "no port" in lines_of(capsys)["server"]
    assert main(world.words()) == 0
    assert "no wheel here" in lines_of(capsys)["clients"]
    world.trials = []
    add_wheel(world.root)
    assert main(world.words()) == 0
    assert "neither pip nor uv" in lines_of(capsys)["clients"]
    world.is_open = False
    assert main(world.words()) == 0
    assert "they need a token" in lines_of(capsys)["clients"]


def test_options_that_are_not_valid(world: World, capsys: Captured) -> None:
    assert main(world.words("--as=nobody-at-all")) == 2
    assert "no user 'nobody-at-all'" in capsys.readouterr().err
    assert main(world.words("--wath=off")) == 2
    assert "did you mean --watch?" in capsys.readouterr().err
    assert main(["doctor", "--help"]) == 0
    assert "--deep" in capsys.readouterr().out


def test_stopped(world: World, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    add_wheel(world.root)

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Scanner, "read_project", stop)
    assert main(world.words()) == 130
    assert capsys.readouterr().err == "Stopped; 1 of 1 projects are left.\n"


class Terminal(io.StringIO):
    """A terminal of 60 columns."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    terminal = Terminal()
    writer = ReportWriter(terminal)
    command = f"chmod o= /{'x' * 80}"
    reports = [
        report_on("machine", "69 GiB free"),
        report_on(
            "records", "", [Finding(Severity.ERROR, "word " * 20, command), Finding(Severity.HINT, "Also.")]
        ),
    ]
    for report in reports:
        writer.write(report)
    writer.end(reports)
    shown = terminal.getvalue()
    assert "\x1b[32m✓\x1b[0m  machine       69 GiB free\n" in shown
    assert command in shown, "it can be copied"
    assert "1 error, 1 hint." in shown
    plain = [line for line in shown.replace("\x1b[0m", "").splitlines() if command not in line]
    assert all(len(line) <= 70 for line in plain), plain
