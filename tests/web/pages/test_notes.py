"""What pages tell people of the index: tools must find none of it, and its links lead somewhere under every prefix."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import urljoin

import pytest
from pypi_simple import IndexPage, ProjectPage

from simpleindex.core.model import Project, ProjectList, Withheld
from simpleindex.core.names import ProjectName
from simpleindex.upstreams.pages.project_parser import parse_project
from simpleindex.upstreams.pages.roots import parse_root
from simpleindex.web.pages.notes import NOTHING_MORE, IndexDescription
from simpleindex.web.pages.simple_html import project_html
from simpleindex.web.routing.routes import OwnPageRoute, RedirectRoute, RootRoute
from simpleindex.web.routing.targets import route
from tests.fixtures.rendered import root_html
from tests.fixtures.stub_source import StubSource

ACME = ProjectName("acme")
VIEWS = ("main", "stable", "all")
ABOUT = IndexDescription(
    has_private_ca=True, unlisted={"main": ("public", "mirror"), "stable": ()}, views=VIEWS
)
BARE = replace(ABOUT, has_private_ca=False)
LISTED = ProjectList((ACME, ProjectName("other")))


def a_project() -> Project:
    """One with a file, and one that is withheld."""
    source = StubSource()
    source.add("acme-1.0.zip", b"data")
    return replace(source.pages["acme"], withheld=(Withheld("acme-2.0.zip", "2.0", "cooldown"),))


def links(page: bytes) -> list[str]:
    """The URLs of which a script makes links."""
    return re.findall('data-href="([^"]*)"', page.decode())


def followed(url: str) -> object:
    """What a link leads to in the end, in at most one hop."""
    found = route(url.encode(), VIEWS)
    return route(found.location.encode(), VIEWS) if isinstance(found, RedirectRoute) else found


@pytest.mark.parametrize("about", [ABOUT, BARE, NOTHING_MORE])
def test_tools_find_projects_and_files_alone(about: IndexDescription) -> None:
    """pypi-simple, and we ourselves as another index's client, take every anchor for one (PEP 503)."""
    root = root_html(LISTED, about)
    assert IndexPage.from_html(root).projects == ["acme", "other"]
    assert parse_root("text/html", root, "https://x.example/").names == LISTED.names
    page = project_html(a_project(), None, "main", about)
    assert [each.filename for each in ProjectPage.from_html("acme", page).packages] == ["acme-1.0.zip"]
    parsed = parse_project("text/html", page, "https://x.example/acme/", name=ACME, source="x")
    assert [each.filename for each in parsed.files] == ["acme-1.0.zip"]
    assert not parsed.withheld


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("prefix", ["/", "/simple/"])
def test_links_lead_somewhere(view: str, prefix: str) -> None:
    """One relative URL holds at the root and under /simple/, for a page is the same bytes there."""
    base = prefix if view == "main" else f"/{view}{prefix}"
    meanings = [followed(urljoin(base, link)) for link in links(root_html(LISTED, ABOUT, view))]
    others = [RootRoute(name) for name in VIEWS if name != view]
    assert meanings == [OwnPageRoute("ca.pem"), *others]
    page = project_html(a_project(), None, view, ABOUT)
    first, second = links(page)
    assert followed(urljoin(f"{base}acme/", first)) == OwnPageRoute("why/acme")
    assert followed(urljoin(f"{base}acme/", second)) == OwnPageRoute("ca.pem")
    if view != "main":
        assert f"/-/why/acme?view={view}</span>" in page.decode()


def test_a_view_in_a_link_is_kept() -> None:
    """Where the link does not name it, its prefix does."""
    assert route(b"/stable/simple/-/why/acme", VIEWS) == RedirectRoute("/-/why/acme?view=stable")
    assert route(b"/stable/-/why/acme", VIEWS) == RedirectRoute("/-/why/acme?view=stable")
    assert route(b"/-/view/nothing", VIEWS) == OwnPageRoute("view/nothing")
    assert route(b"/-/view/main", ()) == RedirectRoute("/")


def test_the_private_ca() -> None:
    """The command would fail without it, and people have to know where it is."""
    for page in (root_html(LISTED, ABOUT), project_html(a_project(), None, "main", ABOUT)):
        assert b"pip install --cert ca.pem " in page
        assert b"fingerprint" in page
    for page in (root_html(LISTED, BARE), project_html(a_project(), None, "main", BARE)):
        assert b"--cert" not in page
        assert b"ca.pem" not in page


def test_what_stands_behind() -> None:
    """A list of two projects is not all that can be installed; also where it is empty."""
    for listed in (LISTED, ProjectList()):
        page = root_html(listed, ABOUT).decode()
        assert "The projects of <b>public</b>, <b>mirror</b> can be installed from here too" in page
        assert "can be installed" not in root_html(listed, ABOUT, "stable").decode()
        assert "can be installed" not in root_html(listed, NOTHING_MORE).decode()
        assert "Other indexes" not in root_html(listed, NOTHING_MORE).decode()
