"""What the ACME library raises, as sentences for the operator."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import requests
from acme import errors, messages
from josepy import errors as josepy_errors

from simpleindex.config.acme_values import Identifier
from simpleindex.tls.acme.errors import AcmeFailed, ChallengeFailed
from simpleindex.tls.acme.sentences import Sentences, printable_detail
from simpleindex.tls.acme.settings import AcmeSettings, choose_profile
from simpleindex.tls.acme.state_files import AcmeState

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = AcmeSettings(None, "https://ca.test/dir", (Identifier("packages.example.org"),))


def problem(code: str, detail: str = "Because") -> messages.Error:
    made: messages.Error = messages.Error.from_json(
        {"type": f"urn:ietf:params:acme:error:{code}", "detail": detail}
    )
    return made


@pytest.fixture
def state(tmp_path: Path) -> AcmeState:
    state = AcmeState(tmp_path, SETTINGS.directory)
    state.prepare()
    state.write_account("account.json", b"{}")
    return state


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (errors.TimeoutError(), "ca.test has not finished within"),
        (requests.exceptions.SSLError("certificate has expired"), "set the clock right"),
        (requests.exceptions.SSLError("self signed"), "give its root with --acme-trust"),
        (requests.exceptions.ProxyError("refused"), "by the proxy of HTTPS_PROXY (refused)"),
        (requests.ConnectionError("refused"), "ca.test cannot be reached (refused)"),
        (errors.ClientError("odd"), "does not answer as an ACME server does"),
        (josepy_errors.DeserializationError("odd"), "does not answer as an ACME server does"),
        (KeyError("newNonce"), "does not answer as an ACME server does"),
        (problem("rateLimited"), "refuses more requests for now: Because."),
        (problem("accountDoesNotExist"), "does not know the account any more"),
        (problem("unauthorized"), "To register another one, remove "),
        (problem("externalAccountRequired"), "--acme-eab-id and --acme-eab-key"),
        (
            problem("userActionRequired", "The terms have changed"),
            "The terms have changed. Where its terms have changed, remove ",
        ),
        (problem("rejectedIdentifier"), "Correct --url or --acme-name."),
        (problem("caa"), "Because. Permit it in the DNS, in the name's CAA record."),
        (problem("invalidContact"), "the e-mail address of --acme"),
        (problem("invalidProfile"), "the profile of --acme-profile"),
        (problem("malformed"), "ca.test refuses: Because."),
        (problem("serverInternal"), "ca.test refuses: Because."),
        (errors.IssuanceError(problem("badCSR")), "ca.test refuses: Because."),
        (errors.ValidationError([]), "could not validate a name by challenge: no reason given."),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_each_error_is_a_sentence(state: AcmeState, error: Exception, sentence: str) -> None:
    with pytest.raises(AcmeFailed) as raised, Sentences(SETTINGS, state, lambda: timedelta(seconds=7)):
        raise error
    assert sentence in str(raised.value)
    assert raised.value.retry_after in (None, timedelta(seconds=7))


def test_roots_that_were_given_are_named(state: AcmeState) -> None:
    """Nobody is told to give what is given."""
    settings = replace(SETTINGS, trust="/etc/roots.pem")
    with (
        pytest.raises(AcmeFailed, match=r"no root in /etc/roots\.pem"),
        Sentences(settings, state, lambda: None),
    ):
        raise requests.exceptions.SSLError("self signed")


@pytest.mark.parametrize(
    ("code", "is_forgotten"), [("accountDoesNotExist", True), ("malformed", True), ("unauthorized", False)]
)
def test_an_account_that_is_gone_is_forgotten(state: AcmeState, code: str, is_forgotten: bool) -> None:
    with pytest.raises(AcmeFailed), Sentences(SETTINGS, state, lambda: None):
        raise problem(code)
    assert (state.read_account("account.json") is None) is is_forgotten


def test_other_exceptions_and_own_ones_pass(state: AcmeState) -> None:
    own = AcmeFailed("As it is.")
    for error in (own, ZeroDivisionError()):
        with pytest.raises(type(error)) as raised, Sentences(SETTINGS, state, lambda: None):
            raise error
        assert raised.value is error
    with Sentences(SETTINGS, state, lambda: None):
        pass


def test_a_failed_challenge_names_the_port() -> None:
    for kind, port in (("http-01", 80), ("tls-alpn-01", 443)):
        failed = ChallengeFailed("a.example.org", kind, "Timeout.")
        assert f"port {port} be open" in str(failed)
        assert failed.found == f"a.example.org by {kind}: Timeout."


@pytest.mark.parametrize(
    ("detail", "line"),
    [(None, "no reason given."), ("a\n b\x00!", "a b !"), ("x" * 400, "x" * 300 + "."), ("Done.", "Done.")],
)
def test_details_are_one_bounded_line(detail: str | None, line: str) -> None:
    assert printable_detail(detail) == line


@pytest.mark.parametrize(
    ("value", "profile", "offered", "chosen"),
    [
        ("a.example.org", None, ["shortlived"], None),
        ("192.0.2.1", None, ["shortlived"], "shortlived"),
        ("192.0.2.1", None, [], None),
        ("192.0.2.1", "classic", ["shortlived"], "classic"),
    ],
)
def test_the_profile(value: str, profile: str | None, offered: list[str], chosen: str | None) -> None:
    settings = AcmeSettings(None, SETTINGS.directory, (Identifier(value),), profile)
    assert choose_profile(settings, offered) == chosen


@pytest.mark.parametrize(
    "proxy",
    [
        "http://user:SECRET@127.0.0.1:99999",
        "http://user:SECRET@[/",
        "user:SECRET@127.0.0.1:1",
        "ftp://user:SECRET@127.0.0.1:1",
        "http://user:SECRET@",
        "http://us er:SECRET@x y:1",
        "http://user:SEC@RET@127.0.0.1:99999",
    ],
)
def test_a_proxy_that_is_none_is_named_without_its_password(
    state: AcmeState, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, proxy)
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(AcmeFailed) as raised, Sentences(SETTINGS, state, lambda: None):
        requests.get(SETTINGS.directory, timeout=5)
    assert "SEC" not in str(raised.value)
    assert "RET" not in str(raised.value)
