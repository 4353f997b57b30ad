"""What ACME keeps in the state directory."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simpleindex.tls.acme.state_files import AcmeState
from simpleindex.tls.acme.status import CertificateStatus, FailedTries, RenewalStatus, status_json
from tests.fixtures.certificates import NOW

if TYPE_CHECKING:
    from pathlib import Path

DIRECTORY = "https://ca.example.org:9000/acme/directory"


@pytest.fixture
def state(tmp_path: Path) -> AcmeState:
    state = AcmeState(tmp_path, DIRECTORY)
    state.prepare()
    return state


def test_all_of_it_is_for_the_servers_user_only(state: AcmeState) -> None:
    state.write_account("key.pem", b"secret")
    state.open_challenge("http-01", "token", b"answer")
    state.write_status(RenewalStatus())
    with state.locked():
        pass
    for directory, _, files in os.walk(state.home):
        assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700
        for name in files:
            assert stat.S_IMODE(os.stat(os.path.join(directory, name)).st_mode) == 0o600


def test_one_server_holds_the_lock_at_a_time(state: AcmeState, tmp_path: Path) -> None:
    with state.locked() as first, AcmeState(tmp_path, DIRECTORY).locked() as second:
        assert (first, second) == (True, False)
    with state.locked() as again:
        assert again


def test_each_authority_has_an_account_of_its_own(state: AcmeState, tmp_path: Path) -> None:
    state.write_account("key.pem", b"one")
    other = AcmeState(tmp_path, "https://ca.example.org:9000/other/../../directory")
    other.prepare()
    assert other.read_account("key.pem") is None
    assert os.path.dirname(other.account_place) == os.path.dirname(state.account_place)


def test_open_challenges_are_seen_by_every_server_until_they_are_closed(
    state: AcmeState, tmp_path: Path
) -> None:
    state.open_challenge("tls-alpn-01", "packages.example.org", b"pem")
    state.open_challenge("http-01", "a-Token_1", b"a-Token_1.thumbprint")
    other = AcmeState(tmp_path, DIRECTORY)
    assert other.read_challenge_certificates("packages.example.org") == b"pem"
    assert other.read_key_authorization("a-Token_1") == b"a-Token_1.thumbprint"
    state.close_challenges()
    assert other.read_challenge_certificates("packages.example.org") is None
    assert other.read_key_authorization("a-Token_1") is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text()
    | st.sampled_from(
        ["", ".", "..", "../status.json", "/etc/passwd", "a/../../status.json", "a\0b", "x" * 5000]
    )
)
def test_no_name_or_token_leads_out_of_the_directory(state: AcmeState, name: str) -> None:
    state.write_status(RenewalStatus())
    assert state.read_challenge_certificates(name) is None
    assert state.read_key_authorization(name) is None


CERTIFICATE = CertificateStatus("ab", "https://ca/", NOW, NOW + timedelta(hours=6))
FAILED = FailedTries(
    "https://ca/ a.test", 4, "sentence", NOW, NOW + timedelta(hours=1), is_wait_requested=True
)


@pytest.mark.parametrize(
    "status",
    [
        RenewalStatus(),
        RenewalStatus(CERTIFICATE),
        RenewalStatus(replace(CERTIFICATE, advice_at=None), FAILED),
        RenewalStatus(None, FAILED),
    ],
)
def test_a_status_is_remembered(state: AcmeState, status: RenewalStatus) -> None:
    state.write_status(status)
    assert state.read_status() == status


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 60_000,
        b"null",
        b"\xff",
        b'{"certificate": 1, "failed": []}',
        b'{"certificate": {"serial": "ab"}, "failed": {"count": "many"}}',
    ],
)
def test_a_status_that_cannot_be_read_is_an_empty_one(state: AcmeState, text: bytes) -> None:
    (state.home / "status.json").write_bytes(text)
    assert state.read_status() == RenewalStatus()


@pytest.mark.parametrize("time", [None, 1e300, "soon", "2027-01-02T03:04:05", "0001-01-01T00:00:00+14:00"])
def test_a_time_that_cannot_be_read_leaves_the_rest(state: AcmeState, time: object) -> None:
    values = json.loads(status_json(RenewalStatus(CERTIFICATE, FAILED)))
    values["certificate"]["renew-at"] = time
    (state.home / "status.json").write_text(json.dumps({**values, "of a later version": 1}))
    assert state.read_status() == RenewalStatus(None, FAILED)


def test_the_release_before_reads_the_status_too() -> None:
    """It needs each of these, and without the certificate's it would also forget how long the authority wants it to wait."""
    values = json.loads(status_json(RenewalStatus(CERTIFICATE, FAILED)))
    assert {"serial", "directory", "renew-at", "ask-at"} <= values["certificate"].keys()
    assert {"request", "count", "sentence", "last", "next-try", "is-wait-requested"} == values[
        "failed"
    ].keys()


def test_a_sentence_that_an_older_server_remembered_is_printable(state: AcmeState) -> None:
    state.write_status(RenewalStatus(None, replace(FAILED, sentence="\x1b[31mred\n" + "x" * 5000)))
    failed = state.read_status().failed
    assert failed is not None
    assert failed.sentence.isprintable()
    assert len(failed.sentence) == 1000


def test_what_a_crash_left_aside_does_not_hinder(state: AcmeState) -> None:
    (state.home / ".simpleindex-status.json").write_bytes(b"half")
    state.write_status(RenewalStatus(CERTIFICATE))
    assert state.read_status().certificate == CERTIFICATE
