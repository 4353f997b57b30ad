"""``simpleindex certificates``: what it prints of files and of requests."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.commands.main import main
from simpleindex.config.acme_values import LETS_ENCRYPT
from simpleindex.records.opening import open_postgresql
from simpleindex.records.postgresql.acme import SharedAcmeStore
from simpleindex.tls.acme.state_files import AcmeState
from simpleindex.tls.acme.status import CertificateStatus, FailedTries, RenewalStatus
from simpleindex.tls.machine_names import MachineIdentity
from simpleindex.tls.private_ca import ensure
from tests.fixtures.certificates import NOW, issue

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.fixtures.postgresql import PostgreSQL


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def status(root: Path, value: RenewalStatus) -> None:
    """Let a server with ``--acme`` have left a status."""
    state = AcmeState(root / "state", "https://localhost/dir")
    state.prepare()
    state.write_status(value)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(["certificates", "--certs", "certs", "--state", "state", *words])
    return code, capsys.readouterr().out


def test_no_certificate_yet(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(capsys)
    assert code == 0
    assert (
        out
        == f"{places}/certs holds no certificate; the server makes one with a private CA when it starts with --https.\n"
    )


def test_none_of_the_authority_yet(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where a server runs with ``--acme``, or is configured to."""
    AcmeState(places / "state", "https://localhost/dir").prepare()
    assert run(capsys)[1].endswith(
        "\nNo certificate of --acme yet: a server that runs with it requests one, and its log says what comes of that.\n"
    )
    (places / "c.toml").write_text(
        'https = ["443"]\nacme = "none"\nacme-name = ["b.example.com"]\nstate = "other"\n'
    )
    assert main(["certificates", "--certs", "certs", "--config", "c.toml"]) == 0
    assert "No certificate of --acme yet" in capsys.readouterr().out


def test_a_state_that_is_anothers(
    places: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said that requests are not shown, instead of that there are none."""
    AcmeState(places / "state", "https://localhost/dir").prepare()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert run(capsys)[1].endswith(
        f"\n{places}/state cannot be read: requests of --acme are shown to root and to the service's user.\n"
    )


@pytest.mark.parametrize("name", ["simpleindex-acme", "a.pem"])
def test_a_user_who_may_not_read_there_is_told_who_may(
    places: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """And not to remove a file, or to let a service read it that can."""
    issue("a.example.com").put(places / "certs/a.pem")
    issue("b.example.com").put(places / "certs/simpleindex-acme/certificate.pem")

    def refuse(path: str, *arguments: Any, call: Callable[..., Any]) -> Any:
        if os.path.basename(path) == name:
            raise PermissionError(13, "Permission denied", str(path))
        return call(path, *arguments)

    for call in ("scandir", "open"):
        monkeypatch.setattr(os, call, partial(refuse, call=getattr(os, call)))
    code = main(["certificates", "--certs", "certs", "--state", "state"])
    said = capsys.readouterr()
    monkeypatch.undo()
    assert code == (1 if name == "a.pem" else 2)
    sentence = "cannot be read (Permission denied): run the command as root, or as the service's user."
    assert f"{places}/certs/{name} {sentence}\n" in said.out + said.err


def test_each_certificate_with_its_names_end_and_origin(
    places: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    issue("a.example.com").put(places / "certs/a.pem")
    issue("b.example.com", end=timedelta(hours=30)).put(places / "certs/simpleindex-acme/certificate.pem")
    root = issue(ca=True)
    (places / "state/ca").mkdir(parents=True)
    (places / "state/ca/cert.pem").write_bytes(root.chain_pem)
    issue("c.example.com", by=root).put(places / "certs/simpleindex.pem")
    page = "https://ca.test/why"
    status(
        places, RenewalStatus(CertificateStatus("ab", "", datetime(2127, 1, 2, 3, 4, tzinfo=UTC), None, page))
    )
    code, out = run(capsys)
    assert code == 0
    assert "a.pem: a.example.com\n  yours, until " in out
    assert "certificate.pem: b.example.com\n  from the authority of --acme, until " in out
    assert " (29 hours left)\n" in out
    assert "simpleindex.pem: c.example.com\n  from the private CA, until " in out
    assert out.endswith(
        "The certificate of --acme is renewed at 2127-01-02 03:04 UTC.\n"
        "The authority explains when it suggests to renew: https://ca.test/why\n"
    )


def test_what_is_wrong_is_named_and_fails(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    issue("a.example.com", start=timedelta(days=-9), end=timedelta(days=-2)).put(places / "certs/a.pem")
    (places / "certs/broken.pem").write_text("-----BEGIN CERTIFICATE-----")
    code, out = run(capsys)
    assert code == 1
    assert "(over)\n" in out
    assert "expired on " in out
    assert "broken.pem is cut short" in out


def test_a_failed_request_is_shown_with_its_next_try(
    places: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = datetime(2127, 1, 2, 3, 4, tzinfo=UTC)
    failed = FailedTries("request", 3, "ca.test cannot be reached.", at, at, is_wait_requested=False)
    status(places, RenewalStatus(failed=failed))
    code, out = run(capsys)
    assert code == 1
    assert "Last request to the authority of --acme: ca.test cannot be reached.\n" in out
    assert out.endswith("Failed tries: 3; the next try is at 2127-01-02 03:04 UTC.\n")
    code, out = run(capsys, "--json")
    assert code == 1
    assert json.loads(out)["acme"] == {
        "renew-at": None,
        "explanation": None,
        "next-try": "2127-01-02T03:04:00+00:00",
        "failures": 3,
        "last-error": "ca.test cannot be reached.",
    }


def test_a_time_that_has_passed_is_no_promise(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a server that does not run, or runs without the option, nothing is renewed."""
    past = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    status(places, RenewalStatus(CertificateStatus("ab", "", past, None)))
    assert run(capsys)[1].endswith(
        "The certificate of --acme is renewed at 2026-01-02 03:04 UTC, which has passed: does the server run with --acme?\n"
    )


def test_a_certificate_of_a_private_ca_is_nobodys_own(
    places: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither where the CA cannot be read, nor that of a former one, which is not served."""
    identity = MachineIdentity(("box.example.com",), ())
    now = datetime.now(UTC)
    ensure(places / "certs", places / "former", identity, now)
    assert "  from the private CA, until " in run(capsys)[1]
    ensure(places / "certs", places / "state", identity, now)
    code, out = run(capsys)
    assert code == 1
    assert out.count("  from the private CA, until ") == 1
    assert out.count("  from a private CA that is gone, until ") == 1
    place = f"{places}/certs/simpleindex.pem"
    assert (
        f"{place} is not served, because its private CA is not in {places}/state/ca any more: remove it.\n"
        in out
    )


def test_a_server_without_the_option_any_more(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it remembers of requests fails nobody: it makes none."""
    status(
        places,
        RenewalStatus(failed=FailedTries("request", 3, "It failed.", NOW, NOW, is_wait_requested=False)),
    )
    (places / "c.toml").write_text('https = ["443"]\n')
    code, out = run(capsys, "--config", "c.toml")
    assert (code, out.count("\n")) == (0, 1)
    assert "--acme" not in out


def test_nodes_with_a_database(
    places: Path, postgresql: PostgreSQL, capsys: pytest.CaptureFixture[str]
) -> None:
    """What any of them remembers; and a sentence where it is away."""
    url = postgresql.create_database()
    records = open_postgresql(url)
    records.prepare()
    store = SharedAcmeStore(records, url, LETS_ENCRYPT, ["b.example.com"])
    store.write_status(RenewalStatus(None, FailedTries("x", 3, "It failed.", NOW, NOW, False)))
    records.close()
    for database, status, sentence in (
        (url, 1, "Last request to the authority of --acme: It failed.\n"),
        ("postgresql://127.0.0.1:1/none", 1, "It is not known: postgresql://127.0.0.1:1/none cannot be read"),
    ):
        (places / "c.toml").write_text(
            f'records = "{database}"\nhttps = ["443"]\nacme = "none"\nacme-name = ["b.example.com"]\n'
        )
        assert main(["certificates", "--certs", "certs", "--state", "state", "--config", "c.toml"]) == status
        assert sentence in capsys.readouterr().out
