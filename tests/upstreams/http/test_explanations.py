"""What of an upstream's own refusal goes into our sentence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.upstreams.errors import UpstreamFailed
from simpleindex.upstreams.http.explanations import explanation_of, is_telling
from simpleindex.upstreams.http.logins import FixedLogin
from simpleindex.upstreams.pages.urls import BasicCredentials
from tests.fixtures.hostile_upstream import always, page
from tests.fixtures.http_upstream import HttpUpstreamFixture
from tests.fixtures.network import response
from tests.fixtures.tables import for_each

if TYPE_CHECKING:
    from typing import Any

PROBLEM = "application/problem+json"
PLAIN = "text/plain; charset=utf-8"
LOGIN = BasicCredentials("me", "s3cret")  # not one
BROKEN = "acme/simpleindex.toml has the unknown key 'yankd' (did you mean 'yanked'?)."


@for_each(
    ("content_type", "body", "expected"),
    [
        (PROBLEM, {"title": "Failed Dependency", "detail": BROKEN}, BROKEN[:-1]),
        ("Application/Problem+JSON; charset=utf-8", {"title": "Too odd"}, "Too odd"),
        (PROBLEM, {"title": "Too odd", "detail": 7}, "Too odd"),
        (PROBLEM, {"detail": ["x"]}, ""),
        (PROBLEM, ["x"], ""),
        (PLAIN, "Come\r\nback\tlater.\n", "Come back later"),
        (PLAIN, "a\x1b[31mb\u202ec", "a [31mb c"),
        (PLAIN, "x" * 301, "x" * 300 + "..."),
        (PLAIN, 'no "quotes"', "no 'quotes'"),
        (PLAIN, "<!DOCTYPE html><h1>Nginx</h1>", ""),
        (PLAIN, "a < b is odd", "a < b is odd"),
        (PROBLEM, {"detail": "<script>"}, ""),
        (PLAIN, "The password s3cret is wrong", ""),
        (PLAIN, "Basic bWU6czNjcmV0 is wrong", ""),
        (PLAIN, "see https://me:pw@h.example/a?sig=abc now", "see https://h.example/a now"),
        (PLAIN, "", ""),
    ],
)
def test_what_is_passed_on(content_type: str, body: Any, expected: str) -> None:
    """One short printable line, without markup, logins and signatures."""
    data = (body if isinstance(body, str) else json.dumps(body)).encode()
    assert is_telling(content_type)
    assert explanation_of(content_type, data, LOGIN) == expected


@pytest.mark.parametrize("data", [b"{", b"[" * 8000, b"\xff", b"null", b"", b"1" * 8000])
def test_what_is_no_problem(data: bytes) -> None:
    """A broken body says nothing."""
    assert explanation_of(PROBLEM, data, None) == ""


@pytest.mark.parametrize("content_type", ["", "text/html", "application/json", "text/xml", "text/plainer"])
def test_other_types(content_type: str) -> None:
    """Pages of proxies and web servers are for browsers."""
    assert not is_telling(content_type)


@given(st.binary(max_size=2000) | st.text(max_size=1000).map(str.encode))
def test_any_bytes(data: bytes) -> None:
    """It is printable and short whatever comes."""
    text = explanation_of(PLAIN, data, None)
    assert text.isprintable()
    assert len(text) <= 303
    assert "<script" not in text


@for_each("status", [400, 401, 403, 409, 424, 429, 500, 502, 503])
@for_each("content_type", [PROBLEM, PLAIN])
def test_the_operator_learns_the_reason(status: int, content_type: str) -> None:
    """Our error carries it, of a page and of a file; whether it lasts depends on the status as before."""
    body = BROKEN if content_type == PLAIN else json.dumps({"detail": BROKEN})
    steps = page(body.encode(), f"Content-Type: {content_type}", status=f"{status} x")
    bare = page(b"", status=f"{status} x")
    for asks in ("project", "fetch"):
        errors = []
        for answer in (steps, bare):
            world = HttpUpstreamFixture(answer)
            with pytest.raises(UpstreamFailed) as caught:
                getattr(world, asks)()
            errors.append(caught.value)
            world.close()
        telling, silent = errors
        assert f'saying "{BROKEN[:-1]}".' in str(telling)
        assert "saying" not in str(silent)
        assert (telling.retry_after, telling.timed_out) == (silent.retry_after, silent.timed_out)


@pytest.mark.parametrize(
    "answer",
    [
        page(b"x" * 9000, "Content-Type: text/plain", status="500 x"),
        always(response(b"half", "Content-Type: text/plain", status="500 x", length=900)),
        page(b"no gzip", "Content-Type: text/plain", "Content-Encoding: gzip", status="500 x"),
    ],
    ids=["large", "never ends", "broken"],
)
def test_a_body_that_cannot_be_read(answer: Any) -> None:
    """The status is said without it, and soon."""
    world = HttpUpstreamFixture(answer)
    before = world.network.clock.seconds()
    with pytest.raises(UpstreamFailed, match=r"it answers 500\."):
        world.project()
    assert world.network.clock.seconds() - before < 5
    world.close()


def test_a_password_that_is_repeated() -> None:
    """It is not passed on."""
    world = HttpUpstreamFixture(
        page(b"s3cret?", "Content-Type: text/plain", status="500 x"), login=FixedLogin(LOGIN)
    )
    with pytest.raises(UpstreamFailed, match=r"it answers 500\."):
        world.project()
    world.close()
