"""``simpleindex allow`` and ``simpleindex disallow``, in this process."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.commands.policy import allowances as allowances_module
from simpleindex.core.names import ProjectName
from simpleindex.policy.judgement import Allowance
from simpleindex.records.allowances import AllowanceTable
from simpleindex.records.database import RecordsDatabase
from simpleindex.records.start_check import initialize_records
from tests.fixtures.commands import audited, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Captured = pytest.CaptureFixture[str]

ACME = ProjectName("acme")
NOW = 1_700_000_000
TWO_HOURS = "2023-11-15 00:14 UTC"


class AllowancesFixture:
    """A state directory that the environment names, at a known time."""

    def __init__(self, path: Path) -> None:
        self.state = path / "state"
        self.now = float(NOW)
        self.database = RecordsDatabase(str(self.state))

    def held(self) -> tuple[Allowance, ...]:
        """As a server sees them."""
        return AllowanceTable(self.database).active(self.now)

    def audited(self) -> list[dict[str, Any]]:
        """What is in the audit."""
        return audited(self.state)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AllowancesFixture]:
    """One in which the same person does everything."""
    monkeypatch.chdir(tmp_path)
    for name in ("SIMPLEINDEX_CONFIG", "STATE_DIRECTORY", "SUDO_USER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SIMPLEINDEX_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(allowances_module, "command_user", lambda: "command:alice")
    world = AllowancesFixture(tmp_path)
    monkeypatch.setattr(time, "time", lambda: world.now)
    yield world
    world.database.close()


def allow(capsys: Captured, what: str, time: str = "2h", reason: str = "CVE-1") -> str:
    """Give an allowance; returns what was said."""
    initialize_records(os.environ["SIMPLEINDEX_STATE"], anew=False)
    out, err = run(capsys, "allow", what, "--for", time, "--reason", reason)
    assert out == ""
    return err


@pytest.mark.parametrize(
    ("what", "version", "spelt"),
    [
        ("Acme", None, "acme"),
        ("acme==1.0", "1.0", "acme==1.0"),
        ("ACME == v1.00rc1+Local.2", "1.0rc1+local.2", "acme==1.0rc1+local.2"),
    ],
)
def test_allow(
    world: AllowancesFixture, capsys: Captured, what: str, version: str | None, spelt: str
) -> None:
    """A running server sees it; it is audited with its reason, and said how it is ended."""
    said = allow(capsys, what)
    assert world.held() == (Allowance(ACME, version, NOW + 7200, "command:alice", "CVE-1"),)
    assert said == (
        f"{spelt} is exempt from all rules until {TWO_HOURS}: CVE-1\n"
        f"To end it early: simpleindex disallow {spelt}. The records are in {world.state}.\n"
    )
    (line,) = world.audited()
    assert {key: line[key] for key in ("event", "who", "project", "detail")} == {
        "event": "allowance-given",
        "who": "command:alice",
        "project": "acme",
        "detail": f"{spelt} until {TWO_HOURS}: CVE-1",
    }


def test_allow_again(world: AllowancesFixture, capsys: Captured) -> None:
    """The later word counts, also where it is shorter."""
    allow(capsys, "acme==1.0", "3d")
    allow(capsys, "acme==1.0.0", "30m", "less")
    allow(capsys, "acme", "1w")
    assert [(each.version, each.until - NOW) for each in world.held()] == [
        ("1.0", 1800),
        (None, 7 * 86_400),
    ]


def test_the_longest(world: AllowancesFixture, capsys: Captured) -> None:
    """A year; its end is on time."""
    allow(capsys, "acme", "365d")
    world.now += 365 * 86_400 - 1
    assert len(world.held()) == 1
    world.now += 1
    assert world.held() == ()


def test_disallow(world: AllowancesFixture, capsys: Captured) -> None:
    """It ends at once, in any spelling of the version, and what else is exempt is said."""
    for what in ("acme", "acme==1.0", "other"):
        allow(capsys, what)
    out, err = run(capsys, "disallow", "Acme==1.0.0")
    assert (out, err) == ("", "The rules apply to acme==1.0 again. Still exempt: acme.\n")
    assert [(each.name, each.version) for each in world.held()] == [("acme", None), ("other", None)]
    _, err = run(capsys, "disallow", "acme")
    assert err == "The rules apply to acme again.\n"
    assert [(line["event"], line["detail"]) for line in world.audited()[3:]] == [
        ("allowance-ended", "acme==1.0"),
        ("allowance-ended", "acme"),
    ]


def test_disallow_what_is_not_allowed(world: AllowancesFixture, capsys: Captured) -> None:
    """What is meant may be another spelling of it; what has ended is not there."""
    initialize_records(str(world.state), anew=False)
    _, err = run(capsys, "disallow", "acme", status=2)
    assert err == f"simpleindex: There is no allowance of acme in {world.state}.\n"
    allow(capsys, "acme==1.0")
    _, err = run(capsys, "disallow", "acme", status=2)
    assert err == f"simpleindex: There is no allowance of acme in {world.state}, but of acme==1.0.\n"
    world.now += 7200
    _, err = run(capsys, "disallow", "acme==1.0", status=2)
    assert err == f"simpleindex: There is no allowance of acme==1.0 in {world.state}.\n"
    assert [line["event"] for line in world.audited()] == ["allowance-given"]


def test_list(world: AllowancesFixture, capsys: Captured) -> None:
    """What ends first is first; what has ended is not listed."""
    allow(capsys, "old", "1m", "gone")
    world.now += 60
    for what, until, reason in (
        ("other==1.0", "1d", "a b"),
        ("acme", "2h", "CVE-1"),
        ("acme==2.0", "3h", "x"),
    ):
        allow(capsys, what, until, reason)
    out, err = run(capsys, "allow", "--list")
    assert err == ""
    assert out.splitlines() == [
        "PROJECT  VERSION  UNTIL                 BY             REASON",
        "acme     all      2023-11-15 00:15 UTC  command:alice  CVE-1",
        "acme     2.0      2023-11-15 01:15 UTC  command:alice  x",
        "other    1.0      2023-11-15 22:15 UTC  command:alice  a b",
    ]
    for asked, versions in (
        ("acme", [None, "2.0"]),
        ("acme==2.0.0", [None, "2.0"]),
        ("acme==3.0", [None]),
        ("third", []),
    ):
        listed = json.loads(run(capsys, "allow", asked, "--list", "--json")[0])
        assert [each["version"] for each in listed] == versions
    assert json.loads(run(capsys, "allow", "--list", "--json", "other")[0]) == [
        {
            "project": "other",
            "version": "1.0",
            "until": "2023-11-15T22:14:20Z",
            "by": "command:alice",
            "reason": "a b",
        }
    ]


def test_list_of_none(world: AllowancesFixture, capsys: Captured) -> None:
    """It says where it looked; in a directory that no server has used nothing is listed or made."""
    assert "so no server has used it" in run(capsys, "allow", "--list", status=2)[1]
    assert "so no server has used it" in run(capsys, "disallow", "acme", status=2)[1]
    assert not world.state.exists()
    initialize_records(str(world.state), anew=False)
    assert run(capsys, "allow", "--list") == ("", f"There are no active allowances in {world.state}.\n")
    assert run(capsys, "allow", "--list", "--json") == ("[]\n", "")


GOOD = ("--for", "2h", "--reason", "x")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "give what to allow (NAME or NAME==VERSION), --for TIME, --reason TEXT"),
        (("acme", "--for", "2h"), "give --reason TEXT; see simpleindex allow --help"),
        (("acme", "--reason", "x"), "give --for TIME"),
        (GOOD, "give what to allow"),
        (("acme", "--json", *GOOD), "--json goes with --list"),
        (("acme", "other", *GOOD), "unrecognized arguments: other"),
        (
            ("acme>=1", *GOOD),
            "'acme>=1' is neither a project nor one version of it: write NAME or NAME==VERSION",
        ),
        (("acme==1.*", *GOOD), "is neither a project nor one version"),
        (("acme===1.0", *GOOD), "is neither a project nor one version"),
        (("acme==1.0,==1.1", *GOOD), "is neither a project nor one version"),
        (("acme[extra]==1.0", *GOOD), "is neither a project nor one version"),
        (("acme==1.0; python_version>'3'", *GOOD), "is neither a project nor one version"),
        (("acme @ https://example.com/acme.zip", *GOOD), "is neither a project nor one version"),
        (("acme-1.0.tar.gz==", *GOOD), "is neither a project nor one version"),
        (("", *GOOD), "is neither a project nor one version"),
        (("*", *GOOD), "is neither a project nor one version"),
        (("a_", *GOOD), "is neither a project nor one version"),
        (("acme", "--for", "2", "--reason", "x"), "--for: '2' is no time such as"),
        (("acme", "--for", "0h", "--reason", "x"), "--for: '0h' is no time"),
        (("acme", "--for", "never", "--reason", "x"), "--for: 'never' is no time"),
        (
            ("acme", "--for", "366d", "--reason", "x"),
            "--for: that is more than a year; to exempt it for good, write a rule",
        ),
        (("acme", "--for", "2h", "--reason", " "), "--reason: it must be one line of 1 to 200 characters"),
        (("acme", "--for", "2h", "--reason", "a\nb"), "--reason: it must be one line"),
        (("acme", "--for", "2h", "--reason", "x" * 201), "--reason: it must be one line"),
    ],
)
def test_refused(world: AllowancesFixture, capsys: Captured, words: tuple[str, ...], reason: str) -> None:
    """One sentence, and nothing is made."""
    out, err = run(capsys, "allow", *words, status=2)
    assert out == ""
    assert reason in err
    assert err.count("\n") == 1
    assert not world.state.exists()


def test_disallow_that_is_refused(world: AllowancesFixture, capsys: Captured) -> None:
    """As above."""
    for words, reason in (
        ((), "required: NAME[==VERSION]"),
        (("a>1",), "is neither a project nor one version"),
    ):
        _, err = run(capsys, "disallow", *words, status=2)
        assert reason in err
        assert not world.state.exists()


def test_records_that_cannot_be_used(world: AllowancesFixture, capsys: Captured) -> None:
    """A sentence with the place, and status 2; nothing is said to be done."""
    world.state.mkdir()
    (world.state / "records.sqlite3").write_bytes(b"no database" * 100)
    for words in (["allow", "acme", *GOOD], ["allow", "--list"], ["disallow", "acme"]):
        out, err = run(capsys, *words, status=2)
        assert out == ""
        assert f"{world.state}/records.sqlite3 cannot be used" in err
        assert err.count("\n") == 1
    assert world.audited() == []


@pytest.mark.parametrize("command", ["allow", "disallow"])
def test_help(command: str, capsys: Captured) -> None:
    """Each has its own."""
    out, err = run(capsys, command, "--help")
    assert out.startswith(f"usage: simpleindex {command}")
    assert err == ""


def test_allow_for_no_server(world: AllowancesFixture, capsys: Captured) -> None:
    """Nobody would know it: it is not given unless a new state directory is meant."""
    words = ("allow", "acme==1.0", "--for", "2h", "--reason", "CVE-1")
    _, err = run(capsys, *words, status=2)
    assert "No server has used" in err
    assert "this allowance" in err
    assert not world.state.exists()
    run(capsys, *words, "--new-state")
    assert len(world.held()) == 1
