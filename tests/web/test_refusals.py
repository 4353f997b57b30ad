"""Refusals over HTTP: the sentence is where each client looks for it, and facts are for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin

from simpleindex.access.errors import TooManyFailures
from simpleindex.core.errors import NotAllowed, Unavailable
from simpleindex.policy.errors import FileWithheld
from simpleindex.publishing.errors import AlreadyExists
from simpleindex.upstreams.errors import UpstreamFailed
from simpleindex.web.http.respond import error_response
from tests.fixtures.connection import answers
from tests.fixtures.site import JSON, PIP, SiteFixture
from tests.fixtures.tables import for_each
from tests.fixtures.two_lanes import Pair, get

if TYPE_CHECKING:
    from simpleindex.core.errors import SimpleIndexError

FIREFOX = ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")

REFUSED = {
    "/nobody/": 404,
    "/simple/nobody/": 404,
    "/simple/nobody/nobody-1.0.zip": 404,
    "/simple/a%2Fb/": 404,
    "/-/nothing": 404,
    "/-/why/a%20b": 404,
    "/legacy/": 405,
}


@for_each("target", REFUSED)
@for_each("accept", ["*/*", PIP, "text/plain", FIREFOX[1]])
def test_the_sentence_is_in_all_places(target: str, accept: str) -> None:
    """pip, twine and poetry show the reason phrase; others the body."""
    index = SiteFixture()
    transport = index.begin("GET", target, ("Accept", accept))
    (answer,) = answers(transport.take())
    assert answer.status == REFUSED[target]
    assert answer.headers[b"cache-control"] == b"no-store"
    assert b"Accept" in answer.headers[b"vary"]
    phrase = answer.reason.decode("ascii")
    assert phrase.endswith(".")
    assert phrase in answer.text


@for_each("target", REFUSED)
@for_each("prefix", ["/", "/pypi/", "/a/b/"])
def test_a_browser_gets_a_way_back(target: str, prefix: str) -> None:
    """Also below a prefix of a proxy, of which the index knows nothing."""
    page = SiteFixture().get(target, FIREFOX)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    here = f"https://proxy.example{prefix}{target[1:]}"
    links = [part.partition('"')[0] for part in page.text.split('<a href="')[1:]]
    assert urljoin(here, links[0]) == f"https://proxy.example{prefix}"
    if "/nobody" in target:
        assert urljoin(here, links[1]) == f"https://proxy.example{prefix}-/why/nobody"


@for_each(
    ("error", "facts"),
    [
        (NotAllowed("No."), {}),
        (
            FileWithheld("No.", filename="a-1.zip", rule="cooldown", source="pypi", visible_from=0.0),
            {
                "filename": "a-1.zip",
                "rule": "cooldown",
                "source": "pypi",
                "visible-from": "1970-01-01T00:00:00Z",
            },
        ),
        (
            FileWithheld("No.", filename="a-1.zip", rule="list", source="pypi", visible_from=None),
            {"filename": "a-1.zip", "rule": "list", "source": "pypi"},
        ),
        (UpstreamFailed("pypi", "it is odd."), {"upstream": "pypi"}),
        (UpstreamFailed("pypi", "it is slow.", timed_out=True), {"upstream": "pypi"}),
        (UpstreamFailed("pypi", "it is away.", retry_after=600), {"upstream": "pypi", "retry-after": 2}),
        (Unavailable("Soon.", retry_after=30), {"retry-after": 2}),
        (Unavailable("Soon.", retry_after=1), {"retry-after": 1}),
        (Unavailable("Not soon.", retry_after=None), {}),
        (TooManyFailures(2), {"retry-after": 2}),
        (TooManyFailures(60), {"retry-after": 60}),
        (AlreadyExists("a-1.zip", "00ff"), {"filename": "a-1.zip", "sha256": "00ff"}),
    ],
)
def test_facts(error: SimpleIndexError, facts: dict[str, object]) -> None:
    """What an error knows is there for programs, beside the sentence (RFC 9457 section 3.2)."""
    index = SiteFixture()
    index.source.error = error
    found = index.get("/acme/", ("Accept", JSON)).json
    response = error_response(error)
    assert response is not None
    header = dict(response.headers).get("Retry-After")
    if header is not None:
        assert header == str(facts["retry-after"])
    assert (found.pop("status"), found.pop("detail")) == (response.status, str(error))
    assert found.pop("type") == "about:blank"
    assert found.pop("title")
    assert found == facts


def test_both_lanes() -> None:
    """What the express lane leaves to the other one is refused alike."""
    pair = Pair()
    pair.warm()
    for path in (b"/nobody/", b"/simple/nobody/", b"/-/nothing", b"/acme/none.whl"):
        for lines in (
            (b"Host: a",),
            (b"Host: a", b"Accept: " + FIREFOX[1].encode()),
            (b"Host: a", b"Accept: */*"),
        ):
            pair.connect()
            assert pair.send(get(path, lines)).startswith(b"HTTP/1.1 404 There is no ")
