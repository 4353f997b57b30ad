"""``/-/why/`` over HTTP: three forms, in any view, and only for those who may read the project."""

from __future__ import annotations

import pytest

from simpleindex.access.access_file import parse_access
from simpleindex.access.errors import Unauthenticated
from simpleindex.core.errors import NotAllowed, Unavailable
from simpleindex.core.model import Project, Withheld
from simpleindex.core.names import ProjectName
from simpleindex.web.routing.routes import RedirectRoute
from simpleindex.web.routing.targets import route
from tests.fixtures.guarded_site import Lanes
from tests.fixtures.site import JSON, NEAR, SiteFixture
from tests.fixtures.stub_source import StubSource

ACME = ProjectName("acme")
WITHHELD = (
    Withheld("acme-2.0.zip", "It is too new.", "cooldown", "pypi", 86_400.0, public=True),
    Withheld("acme-3.0.zip", "It holds passwords.txt.", "archive"),
)


@pytest.fixture
def stable() -> StubSource:
    """A view."""
    return StubSource()


@pytest.fixture
def index(stable: StubSource) -> SiteFixture:
    """A project of three files, two of them withheld; a view with none of it."""
    index = SiteFixture(views={"stable": stable})
    index.source.add("acme-1.0.zip")
    index.source.put(Project(ACME, index.source.pages["acme"].files, WITHHELD))
    return index


@pytest.mark.parametrize(
    ("accept", "query", "kind", "beginning"),
    [
        ("*/*", "", "text/plain; charset=utf-8", b"acme is offered in part"),
        (None, "", "text/plain; charset=utf-8", b"acme is offered in part"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "", "text/html; charset=utf-8", b"<!DOCTYPE html>"),
        ("application/json", "", "application/json", b'{"name":"acme"'),
        ("text/html", "?format=json", "application/json", b'{"name":"acme"'),
        ("application/json", "?format=text", "text/plain; charset=utf-8", b"acme is offered in part"),
        ("application/json", "?format=x", "application/json", b'{"name":"acme"'),
    ],
)
def test_forms(index: SiteFixture, accept: str | None, query: str, kind: str, beginning: bytes) -> None:
    """Browsers get a page, programs JSON, terminals text; none of them is kept by a cache."""
    reply = index.get(f"/-/why/Acme{query}", *([("Accept", accept)] if accept else []))
    assert reply.status == 200
    assert reply.headers["content-type"] == kind
    assert reply.body.startswith(beginning)
    assert reply.headers["cache-control"] == "no-store"
    assert ("content-security-policy" in reply.headers) == kind.startswith("text/html")


def test_version(index: SiteFixture) -> None:
    """Of one version, in any spelling; with or without a slash at the end."""
    for target in ("/-/why/acme/2.0", "/-/why/acme/v2.0/"):
        page = index.get(target, ("Accept", "application/json")).json
        assert page["version"] == "2.0"
        assert [file["visible-from"] for file in page["files"]] == ["1970-01-02T00:00:00Z"]
        assert page["sources"] == [{"source": "main", "says": "was asked for acme."}]


def test_view(index: SiteFixture) -> None:
    """In the view that is named, and nothing for one that is not."""
    reply = index.get("/-/why/acme?view=stable&format=json")
    assert (reply.json["view"], reply.json["answer"]) == ("stable", "not here")
    assert reply.json["sources"] == [{"source": "stable", "says": "was asked for acme."}]
    assert index.get("/-/why/acme?view=nope").text == "There is no view here.\n"


@pytest.mark.parametrize(
    "target", ["/-/why/", "/-/why/-x", "/-/why/acme/%00", "/-/why/acme/" + "9" * 201, "/-/why/a%20b"]
)
def test_nothing(index: SiteFixture, target: str) -> None:
    """What can be no project's name or version has no page."""
    assert index.get(target).status == 404


def test_unknown(index: SiteFixture) -> None:
    """Of a project that nobody has, too, it is said who was asked."""
    page = index.get("/-/why/other?format=json").json
    assert (page["answer"], page["summary"]) == ("not here", "There is no project other here.")
    assert page["sources"]


def test_who_may_read_every_reason(index: SiteFixture) -> None:
    """What was found in a file is for readers on this machine."""
    assert "passwords.txt" not in index.get("/-/why/acme").text
    assert "passwords.txt" in index.get("/-/why/acme", ("Host", "localhost"), peer=NEAR).text
    assert "passwords.txt" not in index.get("/-/why/acme", ("Host", "evil.example"), peer=NEAR).text


@pytest.mark.parametrize(
    ("error", "answer"),
    [(Unavailable("It is being read."), "unavailable now"), (NotAllowed("Denied."), "refused")],
)
def test_what_a_source_raises_is_said(index: SiteFixture, error: Exception, answer: str) -> None:
    """An explanation of what a client gets is no error itself."""
    index.source.error = error
    page = index.get("/-/why/acme?format=json").json
    assert (page["answer"], page["summary"]) == (answer, str(error))


def test_strangers_get_what_the_page_gives_them(index: SiteFixture) -> None:
    """Without the login that the project needs the answer is 401."""
    index.source.error = Unauthenticated("Log in.")
    assert index.get("/-/why/acme").status == 401


def test_rights() -> None:
    """Who may not read a project is told nothing of it, whether or not there is one; an administrator reads every reason."""
    rule = '[[rule]]\nprojects = ["vault", "nothing"]\nread = ["alice"]\nadmin = ["carol"]\n'
    lanes = Lanes(parse_access(rule.encode()))
    for world in lanes.worlds:
        world.source.put(Project(ProjectName("vault"), (), (Withheld("vault-1.zip", "secret", "archive"),)))
    for name in ("vault", "nothing"):
        target = f"/-/why/{name}?format=text"
        assert lanes.ask("GET", target).status == 401
        reply = lanes.ask("GET", target, "bob")
        assert reply.status == 403
        assert "vault-1.zip" not in reply.text
    reply = lanes.ask("GET", "/-/why/vault?format=text", "alice")
    assert "vault-1.zip" in reply.text
    assert "secret" not in reply.text
    assert reply.headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in reply.headers
    assert "secret" in lanes.ask("GET", "/-/why/vault?format=text", "carol").text


def test_pages_lead_there(index: SiteFixture) -> None:
    """The count of what is withheld is in both forms of the page, and the way to the reasons in that for people."""
    assert index.get("/acme/", ("Accept", JSON)).json["_withheld"] == 2
    link = '<span data-href="../-/why/acme">/-/why/acme</span>'
    assert f"2 files withheld: {link} says why" in index.get("/acme/").text
    index.source.add("other-1.0.zip")
    assert "_withheld" not in index.get("/other/", ("Accept", JSON)).json


def test_pages_of_views_lead_to_the_view(stable: StubSource, index: SiteFixture) -> None:
    """In a view other things are withheld."""
    stable.put(index.source.pages["acme"])
    link = '<span data-href="../-/why/acme">/-/why/acme?view=stable</span>'
    assert f"2 files withheld: {link} says why" in index.get("/stable/acme/").text
    assert route(b"/stable/-/why/acme", ["stable"]) == RedirectRoute("/-/why/acme?view=stable")
