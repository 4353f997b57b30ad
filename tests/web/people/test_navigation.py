"""Which request gets a page for people and which the simple page, by the headers that real clients send."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.web.people.navigation import is_navigation
from tests.fixtures.fast_lane import needs_fast_lane
from tests.fixtures.people_site import BROWSERS, TOOLS, is_for_people, open_people_pages
from tests.fixtures.site import SiteFixture
from tests.fixtures.tables import for_each
from tests.fixtures.two_lanes import WHEEL, open_counting_lane, stocked

if TYPE_CHECKING:
    from simpleindex.web.admission import Admission
    from simpleindex.web.people.pages import PeoplePages
    from tests.fixtures.site import Reply

PEOPLE = ("/acme/", "/empty/", "/shut/")
"""Pages that browsers and tools get in different forms."""

SIMPLE = ("/simple/", "/simple/acme/", "/simple/empty/", "/simple/shut/")
DATE = {"date"}


def open_with_front(index: SiteFixture, admission: Admission) -> PeoplePages:
    """Pages for people with one at the root too, whichever."""
    pages = open_people_pages(index, admission)
    return replace(pages, front=pages.own["setup"])


def site(*, has_pages: bool = True, cors: str | None = "*") -> SiteFixture:
    return SiteFixture(stocked(), people=open_with_front if has_pages else None, cors=cors)


def alike(one: Reply, other: Reply, *, but: frozenset[str] | set[str] = frozenset()) -> None:
    """See that two answers have the same bytes and headers."""
    ignored = DATE | but
    assert (one.status, one.body) == (other.status, other.body)
    assert {name: value for name, value in one.headers.items() if name not in ignored} == {
        name: value for name, value in other.headers.items() if name not in ignored
    }


def varies_by(reply: Reply) -> set[str]:
    return {name.strip().lower() for name in reply.headers["vary"].split(",")}


@pytest.mark.parametrize("name", BROWSERS)
def test_browsers_get_pages_for_people(name: str) -> None:
    index = site()
    for target in ("/", *PEOPLE, "/acme/1.0/", "/acme/?page=1", "/-/setup/"):
        assert is_for_people(index.get(target, *BROWSERS[name])), target


@for_each("name", TOOLS)
def test_tools_get_what_they_got_before(name: str) -> None:
    """The same bytes with and without these pages; below ``/simple/`` the same headers too."""
    pages, none = site(), site(has_pages=False)
    for target in (
        "/",
        *PEOPLE,
        *SIMPLE,
        "/nothing/",
        "/simple/nothing/",
        f"/acme/{WHEEL}",
        f"/acme/{WHEEL}.metadata",
    ):
        with_pages, without = pages.get(target, *TOOLS[name]), none.get(target, *TOOLS[name])
        is_listing = target in ("/", *PEOPLE)
        alike(with_pages, without, but={"vary"} if is_listing else set())
        if is_listing and with_pages.status == 200:
            assert varies_by(with_pages) - varies_by(without) == {"sec-fetch-dest", "sec-fetch-site"}
        alike(
            pages.head(target, *TOOLS[name]),
            none.head(target, *TOOLS[name]),
            but={"vary"} if is_listing else set(),
        )


@pytest.mark.parametrize("name", BROWSERS)
def test_below_the_customary_prefix_browsers_too_get_what_they_got_before(name: str) -> None:
    pages, none = site(), site(has_pages=False)
    for target in SIMPLE:
        alike(pages.get(target, *BROWSERS[name]), none.get(target, *BROWSERS[name]))


@pytest.mark.parametrize(
    "form",
    [
        "application/vnd.pypi.simple.v1+json",
        "application/vnd.pypi.simple.v1+html",
        "text/html",
        "application/vnd.pypi.simple.latest+json",
    ],
)
def test_a_browser_that_names_a_form_in_the_query_gets_it(form: str) -> None:
    headers = BROWSERS["Firefox over TLS"]
    for target in (f"/acme/?format={form}", f"/acme/?format={form.replace('+', '%2B')}"):
        reply = site().get(target, *headers)
        alike(reply, site(has_pages=False).get(target, *headers), but={"vary"})
        assert not is_for_people(reply)
    assert is_for_people(site().get("/acme/?format=nonsense", *headers))
    assert is_for_people(site().get("/acme/?other=text/html", *headers))


def test_a_tool_that_asks_for_a_version_or_a_file_gets_what_it_got_before() -> None:
    """A version has a page for people alone."""
    pages, none = site(), site(has_pages=False)
    for headers in TOOLS.values():
        alike(pages.get("/acme/1.0/", *headers), none.get("/acme/1.0/", *headers))
        assert pages.get("/acme/1.0/", *headers).status == 404


def test_head_is_a_tools() -> None:
    """No browser sends it when a person follows a link."""
    for headers in BROWSERS.values():
        alike(site().head("/acme/", *headers), site(has_pages=False).head("/acme/", *headers), but={"vary"})


def test_both_forms_vary_by_the_same_fields() -> None:
    """So a cache between a browser and the index never gives one the other's."""
    index = site()
    for target in PEOPLE:
        for accept_encoding in ("", "gzip"):
            page = index.get(target, *BROWSERS["Chrome over HTTP"][:2], ("Accept-Encoding", accept_encoding))
            listing = index.get(target, *TOOLS["pip 9.0.3"])
            assert varies_by(page) == varies_by(listing)
            assert page.headers["etag"] != listing.headers["etag"]
            kept = index.get(target, *BROWSERS["Chrome over TLS"], ("If-None-Match", listing.headers["etag"]))
            assert kept.status == 200


@needs_fast_lane
@pytest.mark.parametrize("first", ["person", "tool"])
@pytest.mark.parametrize("browser", BROWSERS)
def test_the_express_lane_confuses_nobody(browser: str, first: str) -> None:
    """Nobody gets what it remembers of the other, in either order; it answers both."""
    index, slow = site(), site()
    lane = open_counting_lane(index)
    assert lane is not None
    requests = {"person": BROWSERS[browser], "tool": TOOLS["pip 26"]}
    for who in (first, *({"person", "tool"} - {first}), first) * 2:
        for target in ("/", "/acme/", "/empty/"):
            reply = index.get(target, *requests[who])
            assert is_for_people(reply) == (who == "person")
            alike(reply, slow.get(target, *requests[who]))
    agents = {fields[b"user-agent"][:3] for *_, fields, _ in lane.passed}
    # What a prefetched document is for is not among the fields that the lane knows.
    assert agents == {b"pip"} | ({b"Moz", b"Lyn"} & {dict(BROWSERS[browser])["User-Agent"][:3].encode()}) - (
        {b"Moz"} if "Sec-Purpose" in dict(BROWSERS[browser]) else set()
    )


@given(
    st.dictionaries(
        st.sampled_from(["accept", "sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site"]),
        st.one_of(
            st.sampled_from(
                ["document", "Document ", "empty", "", "application/xhtml+xml", "*/*", "navigate"]
            ),
            st.text(st.characters(codec="latin-1"), max_size=30),
        ),
    ),
    st.sampled_from(["GET", "HEAD", "POST", "PUT"]),
)
def test_any_headers_are_judged(headers: dict[str, str], method: str) -> None:
    answer = is_navigation(method, headers.get)
    if answer:
        assert method in {"GET", "POST"}
        destination = headers.get("sec-fetch-dest")
        assert destination is None or destination.strip().lower() == "document"
        assert destination is not None or "application/xhtml+xml" in headers["accept"].lower()
