"""An authority that is broken, or another program in its place: whatever it answers is a sentence, and bounded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from acme import errors

from simpleindex.tls.acme.certificate_requests import CertificateRequests
from simpleindex.tls.acme.network import SESSION_SECONDS, BoundedNetwork
from simpleindex.tls.acme.status import RenewalStatus
from tests.fixtures.acme_client import Place, now
from tests.fixtures.acme_protocol import URL, Answer, authorization
from tests.fixtures.depth import part

if TYPE_CHECKING:
    from collections.abc import Iterator

ODD: tuple[Any, ...] = (
    None,
    5,
    "\x1b[31m",
    [],
    {},
    [{}],
    "x" * 10_000,
    10**400,
    "http://[",
    "file:///etc/passwd",
)


def answers_at(table: dict[str, list[Answer]], path: str) -> Iterator[Answer]:
    """What no authority answers: each value of its answer replaced, or left out, and texts that are none."""
    usual = table[path][0]
    for text in ("", "null", "[" * 50_000, "<html>", '"\x00"'):
        yield replace(usual, content=text)
    for name in usual.content if isinstance(usual.content, dict) else ():
        rest = {each: value for each, value in usual.content.items() if each != name}
        yield replace(usual, content=rest)
        for odd in ODD:
            yield replace(usual, content={**rest, name: odd})
    for detail in (5, ["a", 1], {"a": 1}, "\x1b[2J" * 1000, None):
        for kind in ("rateLimited", "odd"):
            content = {"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail}
            yield Answer(content, 400, {"Retry-After": "9" * 40})


@pytest.mark.parametrize(
    "path",
    [
        "/directory",
        "/newNonce",
        "/newAccount",
        "/newOrder",
        "/authorization",
        "/challenge",
        "/finalize",
        "/order",
    ],
)
def test_whatever_an_authority_answers_is_one_printable_sentence(
    place: Place, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)  # takes most of the time
    place.authority.directory["meta"] = {"profiles": {"classic": "a"}, "externalAccountRequired": False}
    pending, valid = authorization("pending", "http-01", "tls-alpn-01"), authorization("valid")
    usual = dict(place.authority.table) | {"/authorization": [pending, valid]}
    state = place.state
    for answer in part([*answers_at(usual, path)], 4, path):
        place.authority.requests.clear()
        place.authority.table = {each: [*answers] for each, answers in usual.items()}
        place.authority.table[path][0] = answer
        state.forget_account()
        state.write_status(RenewalStatus())
        requests = CertificateRequests(place.client, state, place.path / f"{id(answer)}", now)
        outcome = requests.check()
        assert outcome.error.isprintable(), answer
        assert len(outcome.error) < 1200, answer
        assert len(place.authority.requests) < 150, answer


def test_more_authorizations_than_names_are_not_requested(place: Place) -> None:
    (order,) = place.authority.table["/newOrder"]
    order.content["authorizations"] = [f"{URL}/authorization"] * 5000
    place.fails("does not answer as an ACME server does")
    assert not place.authority.sent("/authorization")


@pytest.mark.parametrize("requested", ["-1", "0", "Sat, 01 Jan 2000 00:00:00 GMT", "9" * 40, "soon"])
def test_an_order_that_is_never_finished_is_asked_about_once_a_second(
    place: Place, slept: list[float], requested: str
) -> None:
    """And no longer than its time, whatever the authority requests."""
    (order,) = place.authority.table["/order"]
    unfinished = {**order.content, "status": "processing"}
    place.authority.table["/order"] = [Answer(unfinished, headers={"Retry-After": requested})]
    place.fails("has not finished within 120 s")
    assert sum(slept) <= 121
    assert len(place.authority.sent("/order")) <= 121


def test_a_token_that_is_no_files_name(place: Place) -> None:
    place.settings = replace(place.settings, may_use_http=True)
    place.authority.table["/authorization"] = [authorization("pending", "http-01", token="A" * 10_000)]
    place.fails("sends a token of 10000 characters")
    for token in ("../../../status", "", "a" * 5, "/etc/passwd"):
        place.authority.table["/authorization"] = [authorization("pending", "http-01", token=token)]
        place.fails("does not answer as an ACME server does")


@pytest.mark.usefixtures("place")
def test_a_session_ends() -> None:
    """However many answers there are: one thread serves all of the renewal."""
    passed = [0.0]
    network = BoundedNetwork(None, lambda: passed[0])
    assert network.get(f"{URL}/directory").ok
    passed[0] = SESSION_SECONDS + 1
    with pytest.raises(errors.TimeoutError):
        network.get(f"{URL}/directory")
    network.session.close()
