"""What ACME keeps in the state directory."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simpleindex.tls.acme.state_files import AcmeState, RenewalStatus

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
    assert other.account_directory.parent == state.account_directory.parent


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
    state.write_status(RenewalStatus(error="not for clients"))
    assert state.read_challenge_certificates(name) is None
    assert state.read_key_authorization(name) is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"failures": "many"}',
        b'{"renew_at": "soon"}',
        b'{"next_try": [1]}',
        b"\xff",
    ],
)
def test_a_status_that_cannot_be_read_is_an_empty_one(state: AcmeState, text: bytes) -> None:
    (state.home / "status.json").write_bytes(text)
    assert state.read_status() == RenewalStatus()


def test_a_status_is_remembered_and_fields_of_later_versions_are_passed_over(state: AcmeState) -> None:
    status = RenewalStatus("ab", "https://ca/", 1.0, 2.0, "https://ca/ a.test", 4, "sentence", 3.0, 5.0, True)
    state.write_status(status)
    assert state.read_status() == status
    (state.home / "status.json").write_bytes(b'{"failures": 2, "new": 1}')
    assert state.read_status() == RenewalStatus(failures=2)


def test_what_a_crash_left_aside_does_not_hinder(state: AcmeState) -> None:
    (state.home / ".simpleindex-status.json").write_bytes(b"half")
    state.write_status(RenewalStatus(failures=1))
    assert state.read_status().failures == 1
