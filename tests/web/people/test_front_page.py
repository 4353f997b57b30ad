"""The front page, searches in it, and what programs read beside it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from simpleindex.access.errors import Unauthenticated
from simpleindex.access.identity import ANYONE
from simpleindex.core.errors import NotHere
from simpleindex.core.model import Project
from simpleindex.core.names import ProjectName
from simpleindex.core.views import MAIN_VIEW
from simpleindex.search.document import Document
from simpleindex.search.document_rows import DocumentChanges, Entry, IndexedFile
from simpleindex.web.http.response import RequestInfo
from simpleindex.web.people import results
from simpleindex.web.people.front_page import FrontPage, UpstreamsBehind
from simpleindex.web.people.page_request import PageRequest
from simpleindex.web.people.program_pages import BadgePage, FeedPage, SearchJson
from simpleindex.web.people.renderer import PageRenderer, SiteDescription
from simpleindex.web.routing.routes import FileRoute, OwnPageRoute, RootRoute
from tests.fixtures.deferreds import result
from tests.fixtures.stub_source import StubSource
from tests.fixtures.threads import InlineThreads
from tests.search.world import SearchWorld

if TYPE_CHECKING:
    from pathlib import Path

    from simpleindex.core.source import Source
    from simpleindex.web.http.response import Response
    from simpleindex.web.people.page_request import PageRoute
    from simpleindex.web.people.pages import PeoplePage

ATOM = "{http://www.w3.org/2005/Atom}"
UPSTREAMS: dict[str, tuple[str, ...]] = {MAIN_VIEW: (), "dev": ("public",)}
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


class Pages:
    """The pages over a searched directory in memory.

    Attributes:
        world: The directory and its search index.
        notice: The notice in Markdown.
        time: The clock of the front page.
        hidden: Projects of upstreams that no reader may read.
    """

    def __init__(self, cache: Path) -> None:
        self.world = SearchWorld(cache)
        self.notice = ""
        self.time = 0.0
        self.hidden: set[str] = set()
        renderer = PageRenderer({}, InlineThreads(), 1_000_000, SiteDescription(title="Packages"))
        self.front = FrontPage(
            renderer,
            self.world.search,
            InlineThreads(),
            lambda: self.notice,
            UpstreamsBehind(UPSTREAMS, lambda _, names: [name for name in names if name not in self.hidden]),
            lambda: self.time,
        )
        self.json = SearchJson(self.world.search, UPSTREAMS)
        self.feed = FeedPage(self.world.search, lambda: "Packages", lambda: "https://index.example/")
        self.badge = BadgePage()

    def answer(
        self, page: PeoplePage, target: str, route: PageRoute, source: Source | None = None, **headers: str
    ) -> Response:
        """Ask a page; by default as a reader of everything."""
        info = RequestInfo("GET", target.encode(), lambda name: headers.get(name.replace("-", "_")))
        view = getattr(route, "view", MAIN_VIEW)
        request = PageRequest(route, info, ANYONE, source or self.world.source, view)
        response: Response = result(page.answer(request))
        return response

    def html(self, target: str = "/", *, view: str = MAIN_VIEW, source: Source | None = None) -> str:
        """The page at an address."""
        return text(self.answer(self.front, target, RootRoute(view), source))

    def results(self, query: str) -> dict[str, Any]:
        """The results as JSON."""
        answer = self.answer(self.json, f"/-/search.json?{query}", OwnPageRoute("search.json"))
        results: dict[str, Any] = json.loads(text(answer))
        return results


def text(response: Response) -> str:
    """The body of a response."""
    assert response.status == 200
    assert isinstance(response.body, bytes)
    return response.body.decode()


@pytest.fixture
def pages(tmp_path: Path) -> Pages:
    """An index of two projects."""
    pages = Pages(tmp_path)
    pages.world.add("acme", "1.0", "Summary: Rockets & traps")
    pages.world.add("beta", "2.0", "Requires-Dist: acme")
    pages.world.index()
    return pages


def test_the_front_page(pages: Pages) -> None:
    html = pages.html()
    assert "<title>Packages</title>" in html
    assert 'name="q"' in html
    assert "autofocus" in html
    assert "2 projects." in html
    assert '<a href="./acme/">acme</a>' in html
    assert "Rockets &amp; traps" in html
    assert 'datetime="2023-11-14T22:13:20Z"' in html
    assert "-/feed.xml" in html
    assert "-/setup/" in html


def test_an_empty_index(tmp_path: Path) -> None:
    pages = Pages(tmp_path)
    pages.world.index()
    html = pages.html()
    assert "No project is here yet" in html
    assert "/-/docs/publishing" in html


def test_while_the_index_is_made(tmp_path: Path) -> None:
    pages = Pages(tmp_path)
    pages.world.add("acme")
    assert "There is no search index now" in pages.html()
    pages.world.database.open()
    assert "being made" not in pages.html("/?q=acme")
    pages.world.search.is_behind = lambda: True
    assert "The search index is being made" in pages.html("/?q=acme")
    pages.time += 10
    assert "once they are in the search index" in pages.html()
    # What is listed has a page, whether it can be found or not.
    assert '<a href="./acme/">acme</a>' in pages.html("/?q=Acme")


def test_in_front_of_upstreams(pages: Pages) -> None:
    html = pages.html("/dev/", view="dev")
    assert "also what is offered of <b>public</b>.</p>" in " ".join(html.split())
    assert "feed.xml?view=dev" in html


def test_no_reader_learns_how_many_there_are_that_only_others_may_read(pages: Pages) -> None:
    entries = [
        Entry(IndexedFile("", "", 0), Document(ProjectName(name), name))
        for name in ("a", "b", "secret", "acme")
    ]
    pages.world.database.write("public", DocumentChanges(entries))
    pages.hidden.add("secret")
    assert "with 2 projects held in the cache" in pages.html("/dev/", view="dev")


def test_the_notice_is_markdown_and_runs_nothing(pages: Pages) -> None:
    pages.notice = f"Ask **us** first.\n\n{HOSTILE}\n\n[here](javascript:alert(1))"
    html = pages.html()
    assert "Ask <strong>us</strong> first." in html
    assert "<script>alert" not in html
    assert "onerror" not in html
    assert "javascript:" not in html
    pages.notice = ""
    assert "Ask" not in pages.html()


def test_a_new_project_appears_once_it_is_indexed(pages: Pages) -> None:
    pages.html()
    pages.world.add("gamma")
    assert "3 projects." in pages.html()
    assert "gamma" not in pages.html()
    pages.world.indexer.note("local", ProjectName("gamma"))
    pages.world.finish()
    pages.time += 10
    assert "gamma" in pages.html()


def test_a_reader_sees_the_projects_on_offer_alone(pages: Pages) -> None:
    reader = StubSource()
    reader.put(pages.world.source.pages["beta"])
    for target in ("/", "/?q=ac", "/?q=rockets"):
        html = pages.html(target, source=reader)
        assert "/acme/" not in html
        assert "Rockets" not in html
    assert "1 project." in pages.html(source=reader)


def test_who_may_not_enter_learns_so(pages: Pages) -> None:
    reader = StubSource()
    reader.error = Unauthenticated("log in")
    for target in ("/", "/?q=acme"):
        with pytest.raises(Unauthenticated):
            pages.html(target, source=reader)


def test_a_search(pages: Pages) -> None:
    html = pages.html("/?q=rockets")
    assert '<a href="./acme/">acme</a>' in html
    assert 'value="rockets"' in html
    assert "beta" not in html
    assert "1 project matches." in html
    assert "No project matches zzz." in pages.html("/?q=zzz")
    assert "python:old matches nothing" in pages.html("/?q=python%3Aold")
    assert "author: matches nothing" in pages.html("/?q=acme+author%3A")


def test_a_result_shows_the_words_around_its_match(pages: Pages) -> None:
    pages.world.add("gamma", "1.0", "Summary: Rays", body=f"They pass {HOSTILE} & Walls, <b>walls</b>.")
    pages.world.indexer.note("local", ProjectName("gamma"))
    pages.world.finish()
    pages.time += 10
    html = pages.html("/?q=walls")
    assert (
        '<p class="excerpt">They pass &lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&gt;&lt;img src=x onerror=alert(1)&gt; &amp; '
        "<mark>Walls</mark>, &lt;b&gt;<mark>walls</mark>&lt;/b&gt;.</p>" in html
    )
    assert "excerpt" not in pages.html("/?q=rays")
    (result_,) = pages.results("q=walls")["results"]
    assert result_["excerpt"] == [f"They pass {HOSTILE} & ", "Walls", ", <b>", "walls", "</b>."]


def test_a_search_that_finds_nothing_names_what_was_probably_meant(pages: Pages) -> None:
    meant = '<p>Did you mean <a href="./acme/">acme</a>?</p>'
    assert meant in pages.html("/?q=acne")
    assert pages.results("q=acne")["near"] == [{"project": "acme", "url": "../acme/"}]
    for target in ("/?q=acme", "/?q=acne&start=20", "/?q=python%3Aold+acne", "/?q=zzzzzz"):
        assert "Did you mean" not in pages.html(target)
    assert "Did you mean" not in pages.html("/?q=acne", source=StubSource())


def test_a_project_of_which_everything_is_yanked_says_so(pages: Pages) -> None:
    assert "yanked" not in pages.html("/?q=acme")
    pages.world.add("gone", "1.0", yanked="explodes")
    pages.world.indexer.note("local", ProjectName("gone"))
    pages.world.finish()
    pages.time += 10
    for target in ("/", "/?q=gone"):
        assert '1.0 <span class="mark bad">yanked</span>' in pages.html(target)
    assert pages.results("q=gone")["results"][0]["yanked"] is True


def test_what_was_typed_may_be_behind(pages: Pages) -> None:
    """Of upstreams the index has only what somebody requested."""
    html = pages.html("/dev/?q=Some_Thing", view="dev")
    assert (
        'Projects of public are found here once somebody has requested them. There may be <a href="../dev/some-thing/">'
        in html
    )
    for target, view in (
        ("/dev/?q=acme", "dev"),
        ("/dev/?q=some+thing", "dev"),
        ("/?q=something", MAIN_VIEW),
    ):
        assert "There may be" not in pages.html(target, view=view)
    pages.world.source.put(Project(ProjectName("gamma")))
    assert "There is <a" in pages.html("/?q=gamma")
    assert "There is <a" not in pages.html("/?q=gamma", source=StubSource())


def test_results_come_in_pages(tmp_path: Path) -> None:
    pages = Pages(tmp_path)
    for number in range(25):
        pages.world.add(f"acme-{number}")
    pages.world.index()
    assert 'rel="next" href="./?q=acme&amp;start=20"' in pages.html("/?q=acme")
    second = pages.html("/?q=acme&start=20")
    assert second.count("<li>") == 5
    assert "Results 1 to 20." in pages.html("/?q=acme")
    assert "Results 21 to 25 of 25." in second
    assert "There are no more results." in pages.html("/?q=acme&start=40")
    assert 'rel="prev" href="./?q=acme&amp;start=0"' in second
    assert pages.html("/?q=acme&start=-1") == pages.html("/?q=acme&start=x") == pages.html("/?q=acme")


def test_pages_of_results_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that follows "more" comes to an end, and nothing twice."""
    monkeypatch.setattr(results, "_MOST_RESULTS", 40)
    pages = Pages(tmp_path)
    for number in range(90):
        pages.world.add(f"acme-{number}")
    pages.world.index()
    found = [pages.results(f"q=acme&start={start}") for start in (0, 20, 40, 60)]
    assert [page["more"] for page in found] == [True, True, False, False]
    assert found[3] == found[2]
    assert "another word narrows the search" in pages.html("/?q=acme&start=40")


def test_what_strangers_write_is_text(pages: Pages) -> None:
    pages.world.add("evil", "1.0", f"Summary: {HOSTILE}", f"Name: {HOSTILE}")
    pages.world.indexer.note("local", ProjectName("evil"))
    pages.world.finish()
    pages.time += 10
    for target in ("/", "/?q=evil", f"/?q={HOSTILE}".replace(" ", "+").replace("#", "")):
        html = pages.html(target)
        assert "<script>alert" not in html
        assert "<img" not in html
    assert HOSTILE in pages.results("q=evil")["results"][0]["summary"]


def test_results_as_json(pages: Pages) -> None:
    assert pages.results("q=rockets") == {
        "query": "rockets",
        "start": 0,
        "sentence": "1 project matches.",
        "results": [
            {
                "name": "acme",
                "project": "acme",
                "version": "1.0",
                "summary": "Rockets & traps",
                "uploaded": "2023-11-14T22:13:20Z",
                "yanked": False,
                "source": "local",
                "url": "../acme/",
                "excerpt": [],
            }
        ],
        "more": False,
        "near": [],
        "direct": None,
    }
    assert pages.results("")["results"] == []
    assert pages.results("q=depends:-")["sentence"].startswith("depends:- matches nothing")
    assert pages.results("q=%20")["sentence"].startswith("Nothing was searched for")
    direct = {"project": "zeta", "url": "../dev/zeta/", "upstreams": ["public"]}
    target = "/-/search.json?q=Zeta&view=dev"
    info = RequestInfo("GET", target.encode(), lambda _: None)
    request = PageRequest(OwnPageRoute("search.json"), info, ANYONE, pages.world.source, "dev")
    assert json.loads(text(result(pages.json.answer(request))))["direct"] == direct


def test_programs_learn_that_they_must_log_in(pages: Pages) -> None:
    reader = StubSource()
    reader.error = Unauthenticated("log in")
    with pytest.raises(Unauthenticated):
        pages.answer(pages.json, "/-/search.json?q=acme", OwnPageRoute("search.json"), reader)


def test_the_feed_of_the_index(pages: Pages) -> None:
    response = pages.answer(pages.feed, "/-/feed.xml", OwnPageRoute("feed.xml"))
    feed = ET.fromstring(text(response))
    titles = [entry.findtext(f"{ATOM}title") for entry in feed.iter(f"{ATOM}entry")]
    assert titles == ["acme 1.0", "beta 2.0"]
    links = {link.attrib["href"] for link in feed.iter(f"{ATOM}link")}
    assert links == {
        *("https://index.example/-/feed.xml", "https://index.example/"),
        *("https://index.example/acme/1.0/", "https://index.example/beta/2.0/"),
    }
    tag = dict(response.headers)["ETag"]
    again = pages.answer(pages.feed, "/-/feed.xml", OwnPageRoute("feed.xml"), if_none_match=tag)
    assert again.status == 304


def test_the_feed_of_a_project(pages: Pages) -> None:
    route = FileRoute(ProjectName("beta"), "feed.xml")
    feed = ET.fromstring(text(pages.answer(pages.feed, "/beta/feed.xml", route)))
    assert feed.findtext(f"{ATOM}title") == "beta on Packages"
    assert [entry.findtext(f"{ATOM}title") for entry in feed.iter(f"{ATOM}entry")] == ["beta 2.0"]
    with pytest.raises(NotHere):
        pages.answer(pages.feed, "/zeta/feed.xml", FileRoute(ProjectName("zeta"), "feed.xml"))


def test_a_badge(pages: Pages) -> None:
    response = pages.answer(pages.badge, "/-/badge/Acme.svg", OwnPageRoute("badge/Acme.svg"))
    assert dict(response.headers)["Content-Type"] == "image/svg+xml"
    assert "acme: v1.0" in text(response)
    for name in ("badge/acme", "badge/.svg", "badge/other.svg", "badge/a/b.svg"):
        with pytest.raises(NotHere):
            pages.answer(pages.badge, f"/-/{name}", OwnPageRoute(name))


def test_a_badge_of_a_project_without_releases(pages: Pages) -> None:
    pages.world.source.empty("nothing")
    response = pages.answer(pages.badge, "/-/badge/nothing.svg", OwnPageRoute("badge/nothing.svg"))
    assert "no release" in text(response)


@pytest.mark.parametrize("name", ["search.json/more", "feed.xml/more"])
def test_nothing_lies_below(pages: Pages, name: str) -> None:
    for page in (pages.json, pages.feed):
        with pytest.raises(NotHere):
            pages.answer(page, f"/-/{name}", OwnPageRoute(name))
