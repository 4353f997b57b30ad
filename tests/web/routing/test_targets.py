"""What a request target means, and what it can never mean."""

from __future__ import annotations

from urllib.parse import quote, unquote, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.core.errors import NotHere
from simpleindex.core.names import ProjectName
from simpleindex.web.routing.routes import (
    AcmeRoute,
    FileRoute,
    OwnPageRoute,
    ProjectRoute,
    RedirectRoute,
    ReleaseRoute,
    RootRoute,
    Route,
    SiteFileRoute,
    UploadRoute,
)
from simpleindex.web.routing.targets import relative_location, route, split_target
from tests.fixtures.tables import for_each

ACME = ProjectName("acme")

TARGETS: list[tuple[bytes, Route]] = [
    (b"/", RootRoute()),
    (b"/simple/", RootRoute()),
    (b"/?format=x", RootRoute()),
    (b"/%73imple/", RootRoute()),
    (b"/acme/", ProjectRoute(ACME)),
    (b"/simple/acme/", ProjectRoute(ACME)),
    (b"/simple/acme/?format=text/html", ProjectRoute(ACME)),
    (b"/%61cme/", ProjectRoute(ACME)),
    (b"/acme/acme-1.0.tar.gz", FileRoute(ACME, "acme-1.0.tar.gz")),
    (b"/simple/acme/acme-1.0.tar.gz", FileRoute(ACME, "acme-1.0.tar.gz")),
    (b"/acme/acme-1.0+local.tar.gz", FileRoute(ACME, "acme-1.0+local.tar.gz")),
    (b"/acme/acme-1.0%2Blocal.tar.gz", FileRoute(ACME, "acme-1.0+local.tar.gz")),
    (b"/acme/acme-1.0%2blocal.tar.gz", FileRoute(ACME, "acme-1.0+local.tar.gz")),
    (b"/acme/acme-1%211.0.tar.gz", FileRoute(ACME, "acme-1!1.0.tar.gz")),
    (b"/acme/%252e%252e", FileRoute(ACME, "%2e%2e")),
    (b"/acme/a%252Fb", FileRoute(ACME, "a%2Fb")),
    (b"/acme/%zz", FileRoute(ACME, "%zz")),
    (b"/acme/...", FileRoute(ACME, "...")),
    (b"/acme/\xc3\xa4", FileRoute(ACME, "ä")),
    (b"/acme/%C3%A4", FileRoute(ACME, "ä")),
    (b"/-/trial/simple/acme/", ProjectRoute(ACME)),
    (b"/-/trial/simple/acme/acme-1.0.tar.gz", FileRoute(ACME, "acme-1.0.tar.gz")),
    (b"/favicon.ico", SiteFileRoute("favicon.ico")),
    (b"/robots.txt?x", SiteFileRoute("robots.txt")),
    (b"/favicon.ico/", RedirectRoute("/favicon-ico/")),
    (b"/simple/robots-txt/", ProjectRoute(ProjectName("robots-txt"))),
    (b"/acme/robots.txt", FileRoute(ACME, "robots.txt")),
    # A slash too many, as proxies and index URLs are put together.
    (b"//", RootRoute()),
    (b"//simple/", RootRoute()),
    (b"/simple//", RootRoute()),
    (b"//simple//acme/", ProjectRoute(ACME)),
    (b"/simple//acme/", ProjectRoute(ACME)),
    (b"/simple/acme//", ProjectRoute(ACME)),
    (b"///acme/acme-1.0+local.tar.gz", FileRoute(ACME, "acme-1.0+local.tar.gz")),
    (b"/simple//acme//a%2525b", FileRoute(ACME, "a%25b")),
    (b"http://evil.example//acme/", ProjectRoute(ACME)),
    # Reserved words are projects under the prefix.
    (b"/simple/simple/", ProjectRoute(ProjectName("simple"))),
    (b"/simple/legacy/", ProjectRoute(ProjectName("legacy"))),
    (b"/simple/legacy/legacy-1.zip", FileRoute(ProjectName("legacy"), "legacy-1.zip")),
    # Uploads, with and without slash, never redirected.
    (b"/legacy", UploadRoute()),
    (b"/legacy/", UploadRoute()),
    (b"/legacy/?x", UploadRoute()),
    (b"/-/status", OwnPageRoute("status")),
    (b"/-/", OwnPageRoute("")),
    (b"/-/a/b", OwnPageRoute("a/b")),
    (b"/.well-known/acme-challenge/token", AcmeRoute("token")),
    # An absolute form names an authority, which is not believed.
    (b"http://evil.example/simple/acme/", ProjectRoute(ACME)),
    (b"HTTPS://evil.example:8443/", RootRoute()),
    (b"http://evil.example", RootRoute()),
    (b"http://evil.example?format=x", RootRoute()),
]


@for_each(("target", "meaning"), TARGETS)
def test_meaning(target: bytes, meaning: Route) -> None:
    """Each kind of URL is recognised under every prefix, decoded exactly once."""
    assert route(target) == meaning


REDIRECTS = [
    (b"/simple", "/simple/"),
    (b"/acme", "/acme/"),
    (b"/simple/acme", "/simple/acme/"),
    (b"/Foo_Bar", "/foo-bar/"),
    (b"/Foo_.-Bar/", "/foo-bar/"),
    (b"/simple/Foo_Bar", "/simple/foo-bar/"),
    (b"/simple/Foo_Bar/", "/simple/foo-bar/"),
    (b"/Foo_Bar/Foo_Bar-1.0+x.tar.gz", "/foo-bar/Foo_Bar-1.0%2Bx.tar.gz"),
    (b"/Foo_Bar/a%252Fb", "/foo-bar/a%252Fb"),
    (b"/Foo_Bar/a%3Fb%23c", "/foo-bar/a%3Fb%23c"),
    (b"/Foo_Bar/%C3%A4%0D%0A", "/foo-bar/%C3%A4%0D%0A"),
    # The query stays, and stays as it was quoted.
    (
        b"/Foo_Bar?format=application/vnd.pypi.simple.v1+json",
        "/foo-bar/?format=application/vnd.pypi.simple.v1+json",
    ),
    (b"/simple?format=text%2Fhtml", "/simple/?format=text%2Fhtml"),
    (b"/simple?a=b&c=d?e", "/simple/?a=b&c=d?e"),
    (b"/simple?", "/simple/"),
    (b'/simple?"<\xff\x01>\\', "/simple/?%22%3C%FF%01%3E%5C"),
    # A project whose own URL is taken is sent to the prefix at once.
    (b"/Simple", "/simple/simple/"),
    (b"/Simple/", "/simple/simple/"),
    (b"/LEGACY", "/simple/legacy/"),
    (b"/Legacy/Legacy-1.zip", "/simple/legacy/Legacy-1.zip"),
    (b"/simple/Legacy/", "/simple/legacy/"),
    (b"/simple/simple", "/simple/simple/"),
    # As static copies of an index are linked.
    (b"/index.html", "/"),
    (b"/simple/index.html", "/simple/"),
    (b"/simple/index.html?format=text/html", "/simple/?format=text/html"),
    (b"/acme/index.html", "/acme/"),
    (b"/simple/Acme/index.html", "/simple/acme/"),
    (b"/Acme/x-index.html", "/acme/x-index.html"),
    # What listings link to, by the same relative URL under every prefix.
    (b"/simple/-/why/acme", "/-/why/acme"),
    (b"/simple/-/why/acme/1.0?format=json", "/-/why/acme/1.0?format=json"),
    (b"/simple/-/ca.pem", "/-/ca.pem"),
    # Never to another host.
    (b"http://evil.example/simple", "/simple/"),
    (b"http://evil.example/Foo", "/foo/"),
]


def resolved(base: str, reference: str) -> str:
    """As RFC 3986 section 5.2 has it, where an empty part of a path is a level like any other."""
    path, _, query = reference.partition("?")
    levels: list[str] = []
    parts = [*urlsplit(base).path.split("/")[1:-1], *path.split("/")]
    for part in parts:
        if part == "..":
            levels = levels[:-1]
        elif part != ".":
            levels.append(part)
    return "/" + "/".join(levels) + (f"?{query}" if query else "")


@for_each("prefix", ["/", "/pypi/", "/a/simple/", "/acme/"])
@for_each(("target", "location"), REDIRECTS)
def test_relative_location(target: bytes, location: str, prefix: str) -> None:
    """Below every prefix that a proxy takes away it is the same place, by the standard and by Python's reading of it."""
    reference = relative_location(target, location)
    assert reference.startswith(("./", "../"))
    path = split_target(target)[0].decode("latin-1")
    base = f"https://proxy.example{prefix}{path[1:]}"
    expected = f"{prefix}{location[1:]}"
    assert urljoin(base, reference) == f"https://proxy.example{expected}"
    assert resolved(base, reference) == expected


@for_each(("target", "location"), REDIRECTS)
def test_redirect(target: bytes, location: str) -> None:
    """Slash and name are put right together, in one hop, on this host."""
    assert route(target) == RedirectRoute(location)
    assert not isinstance(route(location.encode()), RedirectRoute)


NOTHING = [
    b"/-/trial/-/status",
    b"/-/trial/simple/Acme/",
    b"/-/trial",
    b"//evil.example",
    b"//evil.example/",
    b"/simple//evil.example/",
    b"http://evil.example//simple",
    b"/\\evil.example/",
    b"/%5Cevil.example",
    b"/%2F%2Fevil.example",
    b"/%2Fevil.example/",
    b"/simple/%2e%2e/",
    b"/..",
    b"/../",
    b"/simple/../acme/",
    b"/acme/../../etc/passwd",
    b"/acme/.",
    b"/acme/%2E%2E",
    b"/acme/a%2Fb",
    b"/acme/a%5cb",
    b"/acme/a\\b",
    b"/acme/a%00.whl",
    b"/acme/a\0.whl",
    b"/acme%00/",
    b"/acme%0A/",
    b"/acme%20/",
    b"/acme+/",
    b"/-acme/",
    b"/acme_/",
    # Overlong forms of "." and "/", a lone surrogate, a cut sequence.
    b"/acme/%C0%AE%C0%AE",
    b"/acme/a%C0%AFb",
    b"/acme/%ED%A0%80",
    b"/acme/%C3",
    b"/acme/\xff",
    # Letters that only look like ASCII: long s, Kelvin sign, full width.
    b"/%C5%BFimple/",
    b"/%E2%84%AAelvin/",
    b"/%EF%BD%81cme/",
    # Depths that nothing has.
    b"/acme/x/y",
    b"/simple/acme/x/",
    b"/legacy/x",
    b"/-",
    b"/simple/-/",
    b"/simple/-/status",
    b"/simple/-/api/whoami",
    b"/-simple/-/why/acme",
    # With a slash too many only what is read; and what would be redirected is not, for clients resolve that in two ways.
    b"//-/status",
    b"//legacy/",
    b"/simple//-/why/acme",
    b"//.well-known/acme-challenge/token",
    b"//Acme/",
    b"//simple//Acme/",
    b"//acme",
    b"//index.html",
    b"///favicon.ico",
    # What browsers, crawlers and scanners ask any host for.
    b"/apple-touch-icon.png",
    b"/simple/favicon.ico",
    b"/sitemap.xml",
    b"/ads.txt",
    b"/wp-login.php",
    b"/INDEX.HTM",
    b"/robots.TXT",
    b"/.well-known/",
    b"/.well-known/acme-challenge",
    b"/.well-known/security.txt",
    b"/.well-known/acme-challenge/a/b",
    b"/.well-known/acme-challenge/%2e%2e",
    b"/simple/.well-known/",
    # Forms of a target that are for proxies only.
    b"acme",
    b"evil.example:443",
    b"acme?x=http://evil.example/simple/",
    b"",
]


def test_a_release_has_a_page_for_people_outside_of_simple() -> None:
    """What follows the project is a version, whatever it is; below ``/simple/`` there is no such page."""
    assert route(b"/acme/1.0/") == ReleaseRoute(ProjectName("acme"), "1.0")
    assert route(b"/stable/acme/1.0/", ["stable"]) == ReleaseRoute(ProjectName("acme"), "1.0", "stable")
    for target in (b"/simple/acme/1.0/", b"/acme/1.0/x/"):
        with pytest.raises(NotHere):
            route(target)


def test_trials_have_their_own_urls() -> None:
    """What an installation of the doctor fetches is known by its URL."""
    ordinary, trial = (route(f"{prefix}/simple/acme/a.whl".encode()) for prefix in ("", "/-/trial"))
    assert (getattr(ordinary, "is_trial", None), getattr(trial, "is_trial", None)) == (False, True)


@for_each("target", NOTHING)
def test_nothing(target: bytes) -> None:
    """Whatever climbs, hides a separator or cannot be a name means nothing."""
    with pytest.raises(NotHere):
        route(target)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/a?b?c", b"/a", b"b?c"),
        (b"/a?", b"/a", b""),
        (b"http://host/a?b", b"/a", b"b"),
        (b"http://host?b=/c", b"/", b"b=/c"),
        (b"http://host", b"/", b""),
        (b"/a?u=http://host/b", b"/a", b"u=http://host/b"),
    ],
)
def test_split(target: bytes, path: bytes, query: bytes) -> None:
    """The authority of an absolute form ends where its path or its query begins (RFC 3986 section 3.2)."""
    assert split_target(target) == (path, query)


@given(
    st.binary(max_size=60).map(lambda tail: b"/" + tail)
    | st.text("/\\.%2F5Cae-_?#:@é\0", max_size=30).map(str.encode)
)
def test_any_target(target: bytes) -> None:
    """Any bytes at all mean something or nothing; a redirect stays on this host, is plain ASCII and ends in one hop."""
    try:
        meaning = route(target)
    except NotHere:
        return
    if isinstance(meaning, RedirectRoute):
        location = meaning.location
        assert location.isascii()
        assert location.isprintable()
        reference = relative_location(target, location)
        assert reference.startswith(("./", "../"))
        assert resolved(split_target(target)[0].decode("latin-1"), reference) == location
        assert location[0] == "/"
        assert location[1] not in "/\\"
        assert not isinstance(route(location.encode()), RedirectRoute)
    if isinstance(meaning, FileRoute):
        assert meaning.filename not in (".", "..")
        assert not set(meaning.filename) & set("/\\\0")


@given(st.text(st.characters(exclude_characters="/\\\0", exclude_categories=["Cs"]), min_size=1))
def test_file_name_survives(filename: str) -> None:
    """A file name that is quoted once is read once, also through a redirect."""
    if filename in (".", ".."):
        return
    quoted = quote(filename, safe="").encode()
    assert route(b"/acme/" + quoted) == FileRoute(ACME, filename)
    moved = route(b"/ACME/" + quoted)
    assert isinstance(moved, RedirectRoute)
    assert unquote(moved.location) == f"/acme/{filename}"
