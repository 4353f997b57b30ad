"""``simpleindex log``: the questions that it takes, and what it prints."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from simpleindex.commands.audit import log as module
from simpleindex.commands.audit.log import AuditOutput, print_entries
from simpleindex.commands.main import main
from simpleindex.core.audit_entry import AuditEntry
from simpleindex.records.audit.audit import Audit
from simpleindex.records.audit.audit_questions import AuditQuestion
from simpleindex.records.audit.audit_sharing import AuditSharing
from simpleindex.records.opening import open_shared_audit

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fixtures.postgresql import PostgreSQL

ENTRIES = (
    AuditEntry(
        "upload", "alice", project="acme", filename="acme-1.0.zip", address="192.0.2.7", digest="aa" * 32
    ),
    AuditEntry("upload", token="ab12cd34", project="acme-x", filename="acme_x-1.0-py3-none-any.whl"),
    AuditEntry("yank", "command:root for alice", project="acme", version="2.0", detail="broken"),
    AuditEntry("token-created", "bob", token="ef56ef56", detail="upload acme-*"),
    AuditEntry("login-failed", r"evil\x1B", address="2001:db8::1", detail="wrong password"),
    AuditEntry("status", "bob", project="acme", detail="archived\x1b[2J"),
)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory whose audit has an entry each day from 2026-11-01 on, the first three rotated away."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SIMPLEINDEX_STATE", str(tmp_path / "state"))
    times = iter([1_793_491_200.0 + day * 86_400 for day in range(6)])
    audit = Audit(str(tmp_path / "state"), now=lambda: next(times))
    for entry in ENTRIES[:3]:
        audit.record(entry)
    (tmp_path / "state/audit.jsonl").rename(tmp_path / "state/audit.jsonl.1")
    for entry in ENTRIES[3:]:
        audit.record(entry)
    audit.close()
    return tmp_path / "state"


def run(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(["log", *words]) == 0
    return capsys.readouterr().out.splitlines()


def days(capsys: pytest.CaptureFixture[str], *words: str) -> list[int]:
    """Return the days of November whose entries are printed."""
    return [int(json.loads(line)["time"][8:10]) for line in run(capsys, "--json", *words)]


@pytest.mark.usefixtures("state")
def test_columns_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """One line an entry, of rotated files too, and nothing that moves a cursor."""
    assert run(capsys) == [
        "TIME (UTC)           EVENT              USER              FROM             WHAT",
        "2026-11-01 00:00:00  upload             alice             192.0.2.7        acme-1.0.zip",
        "2026-11-02 00:00:00  upload             token:ab12cd34    -                acme_x-1.0-py3-none-any.whl",
        "2026-11-03 00:00:00  yank               command:root for alice  -                acme 2.0: broken",
        "2026-11-04 00:00:00  token-created      bob               -                token ef56ef56: upload acme-*",
        r"2026-11-05 00:00:00  login-failed       evil\x1B          2001:db8::1      wrong password",
        "2026-11-06 00:00:00  status             bob               -                acme: archived?[2J",
    ]


@pytest.mark.usefixtures("state")
def test_filters(capsys: pytest.CaptureFixture[str]) -> None:
    """By project, version, user, event and time."""
    assert days(capsys) == [1, 2, 3, 4, 5, 6]
    assert days(capsys, "Acme") == [1, 3, 6]
    assert days(capsys, "acme", "1") == [1]
    assert days(capsys, "acme", "2") == [3]
    assert days(capsys, "acme", "new") == []
    assert days(capsys, "--user", "alice") == [1, 3]
    assert days(capsys, "--user", "root") == [3]
    assert days(capsys, "--user", "token:ab12cd34") == [2]
    assert days(capsys, "--user", "ali") == []
    assert days(capsys, "--event", "yank", "--event", "*-failed") == [3, 5]
    assert days(capsys, "--since", "2026-11-03", "--until", "2026-11-05T00:00") == [3, 4]
    assert days(capsys, "--since", "1h") == []
    assert days(capsys, "--limit", "2") == [5, 6]
    assert run(capsys, "--limit", "4")[0] == "... 2 earlier entries: --limit 0 shows all."
    assert run(capsys, "other") == ["No entry of the audit matches."]


@pytest.mark.usefixtures("state")
def test_a_reader_that_has_read_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``head``: no trouble of the audit, so it is left to what runs every command."""

    def full(*_: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(module, "_print_entry", full)
    with pytest.raises(BrokenPipeError):
        module.log([])


def test_lines_that_are_no_entries(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are passed over."""
    with (state / "audit.jsonl").open("ab") as file:
        file.write(
            b'[]\n{"time": 1, "event": "x"}\n{"event": "x"}\n\xff\n' + b"[" * 100_000 + b'\n{"time": "2026'
        )
    assert len(days(capsys)) == 6


@pytest.mark.usefixtures("state")
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("-x",), "see simpleindex log --help"),
        (("a b",), "'a b' is not a valid project name"),
        (("--since", "soon"), "--since: 'soon' is neither a time such as 2h or 30d, nor a date"),
        (("--until", "99d99"), "--until: '99d99' is neither"),
        (("--event", "uplaod"), "--event: there is no event 'uplaod'; did you mean 'upload'?"),
        (("--state", "/proc/none"), "There is no /proc/none, so no server has used it"),
    ],
)
def test_mistakes(words: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence, and status 2."""
    assert main(["log", *words]) == 2
    assert sentence in capsys.readouterr().err


def test_an_audit_that_cannot_be_read(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence names it."""
    (state / "audit.jsonl").unlink()
    (state / "audit.jsonl").mkdir()
    assert main(["log"]) == 2
    assert "audit.jsonl" in capsys.readouterr().err


def test_following(state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """New entries that match are printed as they come, through a rotation, until ^C."""
    audit = Audit(str(state))

    def happen() -> None:
        audit.record(AuditEntry("upload", "carol", project="acme", filename="acme-3.0.zip"))
        audit.record(AuditEntry("upload", "carol", project="other", filename="other-3.0.zip"))
        (state / "audit.jsonl").rename(state / "audit.jsonl-2")

    def happen_again() -> None:
        audit.record(AuditEntry("upload", "carol", project="acme", filename="acme-4.0.zip"))

    def interrupt() -> None:
        raise KeyboardInterrupt

    steps = iter((happen, happen_again, lambda: None, interrupt))
    monkeypatch.setattr(time, "sleep", lambda _: next(steps)())
    lines = run(capsys, "acme", "--follow", "--limit", "1")
    audit.close()
    assert lines[0] == "... 2 earlier entries: --limit 0 shows all."
    assert [line.split("  ")[-1].strip() for line in lines[1:]] == [
        "WHAT",
        "acme: archived?[2J",
        "acme-3.0.zip",
        "acme-4.0.zip",
        "",
    ]


def test_following_before_the_first_entry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It waits for the audit to appear."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        print_entries(
            str(tmp_path / "audit.jsonl"),
            AuditQuestion(),
            AuditOutput(50, json=False, follow=True),
            interrupt,
        )
    assert capsys.readouterr().out.startswith("TIME (UTC)")


def test_all_nodes(
    state: Path, postgresql: PostgreSQL, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With records in a database the entries of all nodes, and new ones as they come."""
    url = postgresql.create_database()
    sharing = AuditSharing(str(state), open_shared_audit(url))
    sharing.share()
    assert days(capsys, "--records", url, "--user", "bob") == [4, 6]
    other = Audit(str(state.parent / "other"))
    others = AuditSharing(str(state.parent / "other"), sharing.shared)

    def happen() -> None:
        for name in ("acme", "other"):
            other.record(AuditEntry("upload", "carol", project=name, filename=f"{name}-3.0.zip"))
        others.share()

    def interrupt() -> None:
        raise KeyboardInterrupt

    steps = iter((happen, lambda: None, interrupt))
    monkeypatch.setattr(time, "sleep", lambda _: next(steps)())
    lines = run(capsys, "acme", "--follow", "--limit", "1", "--records", url)
    assert [line.split("  ")[-1].strip() for line in lines[1:]] == [
        "WHAT",
        "acme: archived?[2J",
        "acme-3.0.zip",
        "",
    ]
    other.close()
    others.end()
    sharing.end()

    def full(*_: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(module, "_print_entry", full)
    with pytest.raises(BrokenPipeError):
        module.log(["--records", url])


def test_all_nodes_without_their_database(capsys: pytest.CaptureFixture[str]) -> None:
    """A sentence says where the entries of one node are."""
    assert main(["log", "--records", "postgresql://127.0.0.1:1/none"]) == 2
    error = capsys.readouterr().err
    assert (
        "postgresql://127.0.0.1:1/none cannot be used (the server cannot be reached): see that the server runs"
        in error
    )
    assert "audit.jsonl" in error
