"""Views: several indexes of one process, each below its own prefix, and none knowing of the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simpleindex.access.access_file import parse_access
from simpleindex.access.rights import default_access
from simpleindex.core.model import Project
from simpleindex.core.names import ProjectName
from simpleindex.core.views import MAIN_VIEW, is_view_name
from simpleindex.web.routing.routes import FileRoute, ProjectRoute, RedirectRoute, RootRoute, UploadRoute
from simpleindex.web.routing.targets import is_below_view, route
from tests.fixtures.guarded_site import Lanes, form_of
from tests.fixtures.site import SiteFixture
from tests.fixtures.stub_source import StubSource
from tests.fixtures.tables import for_each

ACME = ProjectName("acme")
VIEWS = (MAIN_VIEW, "stable")
WHEEL = "acme-1.0-py3-none-any.whl"
NEXT = "acme-2.0-py3-none-any.whl"


@pytest.fixture
def stable() -> StubSource:
    """What the view has: less than the index at the root."""
    source = StubSource()
    source.add(WHEEL, b"one", metadata=b"Name: acme\n")
    return source


@pytest.fixture
def index(stable: StubSource) -> SiteFixture:
    """An index with a view beside it."""
    index = SiteFixture(views={"stable": stable}, base_url="https://index.example/")
    index.source.add(WHEEL, b"one")
    index.source.add(NEXT, b"two")
    index.source.add("other-1.0.zip", b"other")
    return index


@for_each(
    ("target", "meaning"),
    [
        (b"/stable", RedirectRoute("/stable/")),
        (b"/stable?a=b", RedirectRoute("/stable/?a=b")),
        (b"/stable/", RootRoute("stable")),
        (b"/stable/simple", RedirectRoute("/stable/simple/")),
        (b"/stable/simple/", RootRoute("stable")),
        (b"/stable/acme", RedirectRoute("/stable/acme/")),
        (b"/stable/Acme/", RedirectRoute("/stable/acme/")),
        (b"/stable/simple/ACME/x.zip", RedirectRoute("/stable/simple/acme/x.zip")),
        (b"/stable/acme/", ProjectRoute(ACME, "stable")),
        (b"/stable/simple/acme/", ProjectRoute(ACME, "stable")),
        (b"/stable/acme/acme-1.0.zip", FileRoute(ACME, "acme-1.0.zip", "stable")),
        (b"/stable/stable/", ProjectRoute(ProjectName("stable"), "stable")),
        (b"/stable/Simple/", RedirectRoute("/stable/simple/simple/")),
        (b"/stable/simple/simple/", ProjectRoute(ProjectName("simple"), "stable")),
        (b"/stable/simple/legacy/", ProjectRoute(ProjectName("legacy"), "stable")),
        # A project of a view's name is reached under the customary prefix.
        (b"/simple/stable/", ProjectRoute(ProjectName("stable"))),
        (b"/Stable/", RedirectRoute("/simple/stable/")),
        (b"/main/", ProjectRoute(ProjectName("main"))),
        (b"/Main/", RedirectRoute("/main/")),
        (b"/legacy/", UploadRoute()),
        (b"/acme/", ProjectRoute(ACME)),
    ],
)
def test_routes(target: bytes, meaning: object) -> None:
    """A view's prefix comes before everything else, and each redirect is one hop."""
    found = route(target, VIEWS)
    assert found == meaning
    if isinstance(found, RedirectRoute):
        assert not isinstance(route(found.location.encode(), VIEWS), RedirectRoute)


@pytest.mark.parametrize(
    "target", ["/stable/-/status", "/stable/legacy/", "/stable/acme/a/b", "/stable//-/status", "/STABLE/x/y"]
)
def test_nothing(index: SiteFixture, target: str) -> None:
    """A view has neither uploads nor pages of the server."""
    assert index.get(target).status == 404


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        (b"/stable/", True),
        (b"/stable", True),
        (b"/%73table/x", True),
        (b"/main/", False),
        (b"/x/stable", False),
        (b"*", False),
    ],
)
def test_is_within(target: bytes, answer: bool) -> None:
    """What lies below a view's prefix; the root's own name is none."""
    assert is_below_view(target, VIEWS) is answer


@for_each(
    ("text", "answer"),
    [
        ("stable", True),
        ("team-1", True),
        ("x" * 40, True),
        ("main", False),
        ("simple", False),
        ("legacy", False),
        ("", False),
        ("-", False),
        ("a-", False),
        ("Stable", False),
        ("a_b", False),
        ("x" * 41, False),
        ("a/b", False),
        (".well-known", False),
    ],
)
def test_names(text: str, answer: bool) -> None:
    """A name is one segment of a URL in the one spelling that a project of it has, and none that means something else."""
    assert is_view_name(text) is answer


@pytest.mark.parametrize("prefix", ["/stable/", "/stable/simple/"])
def test_pages_and_files(index: SiteFixture, prefix: str) -> None:
    """The view has what it has, under both prefixes, and the root has its own."""
    assert [
        each["name"]
        for each in index.get(f"{prefix}?format=application/vnd.pypi.simple.v1+json").json["projects"]
    ] == ["acme"]
    json = ("Accept", "application/vnd.pypi.simple.v1+json")
    assert index.get(f"{prefix}acme/", json).json["versions"] == ["1.0"]
    assert index.get("/simple/acme/", json).json["versions"] == ["1.0", "2.0"]
    assert index.get(f"{prefix}acme/{WHEEL}").body == b"one"
    assert index.get(f"{prefix}acme/{WHEEL}.metadata").body == b"Name: acme\n"
    assert index.get(f"{prefix}acme/{NEXT}").status == 404
    assert index.get(f"{prefix}other/").status == 404
    assert index.get("/other/").status == 200


def test_pages_are_kept_apart(index: SiteFixture, stable: StubSource) -> None:
    """One project's page in two views is two pages, also where both have the very same answer."""
    stable.put(index.source.pages["acme"])
    first, second = index.get("/simple/acme/"), index.get("/stable/simple/acme/")
    assert first.body == second.body
    stable.put(Project(ACME))
    assert index.get("/stable/simple/acme/").body != first.body
    assert index.get("/simple/acme/").body == first.body


def test_provenance_has_the_prefix(index: SiteFixture, stable: StubSource) -> None:
    """What the protocol wants absolute leads to the view that it is read in."""
    file = replace(stable.pages["acme"].files[0], provenance=True)
    stable.put(replace(stable.pages["acme"], files=(file,)))
    json = ("Accept", "application/vnd.pypi.simple.v1+json")
    assert index.get("/stable/acme/", json).json["files"][0]["provenance"] == (
        f"https://index.example/stable/simple/acme/{WHEEL}.provenance"
    )


def test_express(index: SiteFixture) -> None:
    """The express lane knows views, and answers byte for byte what the ordinary lane does."""
    block = b" HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n"
    express = pytest.importorskip("simpleindex.web.fast.express").Express(
        index.listings, None, index.resource.also
    )
    for target in (b"/stable/", b"/stable/acme/", b"/stable/simple/acme/", b"/acme/", b"/"):
        ordinary = index.get(target, ("Accept", "text/html"))
        passed = express.answer(b"GET " + target + block)
        assert passed is not None
        assert passed[0].endswith(b"\r\n\r\n" + ordinary.body)
    assert express.answer(b"GET /stable/other/" + block) is None


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/stable/"),
        ("PUT", f"/stable/{WHEEL}"),
        ("POST", "/stable/simple/"),
        ("POST", "/stable/legacy/"),
    ],
)
def test_nothing_is_uploaded_to_a_view(stable: StubSource, method: str, target: str) -> None:
    """A view shows what lies elsewhere; an upload to it is refused with the place that takes it."""
    lanes = Lanes(default_access(), views={"stable": stable})
    header, body = form_of(WHEEL)
    reply = lanes.ask(method, target, "alice", header, body=body)
    assert (reply.status, reply.text) == (405, "This URL is for reading; uploads go to /legacy/.\n")


def test_rights_hold_in_every_view(stable: StubSource) -> None:
    """Who may not read a project may not read it below another prefix either; lists leave it out for each."""
    rule = b'[[rule]]\nprojects = ["vault"]\nread = ["alice"]\n'
    stable.add("vault-1.0.zip", b"secret")
    lanes = Lanes(parse_access(rule), views={"stable": stable})
    for prefix in ("/stable/", "/stable/simple/", "/"):
        assert lanes.ask("GET", f"{prefix}vault/").status == 401
        assert lanes.ask("GET", f"{prefix}vault/vault-1.0.zip").status == 401
        assert lanes.ask("GET", f"{prefix}vault/", "alice").status == 200
    for label, names in (("anonymous", {"acme"}), ("alice", {"acme", "vault"})):
        for _ in range(2):
            reply = lanes.ask("GET", "/stable/", label, "Accept: application/vnd.pypi.simple.v1+json")
            assert {each["name"] for each in reply.json["projects"]} == names
            reply = lanes.ask("GET", "/", label, "Accept: application/vnd.pypi.simple.v1+json")
            assert {each["name"] for each in reply.json["projects"]} == names - {"acme"} | {
                "acme-app",
                "tool",
            }
