"""The page of all projects as indexes, plain web servers and static sites write it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simpleindex.core.names import parse_project_name
from simpleindex.upstreams.pages.roots import UpstreamRoot, parse_root
from tests.fixtures.tables import for_each

ROOT = "https://up.example/simple/"

Places = dict[str, str]


def root(body: str, url: str = ROOT) -> tuple[list[str], Places]:
    """Names, and places relative to the root."""
    found: UpstreamRoot = parse_root("text/html", f"<title>Index of</title>{body}".encode(), url)
    return [*found.names], {name: place.removeprefix(ROOT) for name, place in found.places.items()}


@for_each(
    ("body", "names", "places"),
    [
        # PEP 503
        ('<a href="/simple/acme/">acme</a><a href="zoo/">zoo</a>', ["acme", "zoo"], {}),
        ('<a href="acme">acme</a>', ["acme"], {}),
        ('<a href="https://up.example/simple/acme/">acme</a>', ["acme"], {}),
        # An index that does not know its own name, or is behind a proxy that changes the path.
        ('<a href="http://inside:8081/simple/acme/">acme</a>', ["acme"], {}),
        ('<a href="/pypi/simple/acme/">acme</a>', ["acme"], {}),
        # Listings: sorting, parents, shortened texts, files beside the directories.
        (
            (
                '<a href="?C=N;O=D">Name</a><a href="?C=M&amp;O=A">Last modified</a><a href="/">Parent Directory</a>'
                '<a href="../">../</a><a href="./">.</a><a href="a-very-long-name/">a-very-lo..&gt;</a>'
                '<a href="README.txt">README.txt</a><a href="acme-1.0.tar.gz">acme-1.0.tar.gz</a>'
                '<a href="style.css">style.css</a><a href="index.html">index.html</a><a href="/simple/index.html">here</a>'
            ),
            ["a-very-long-name"],
            {},
        ),
        (
            '<a href="Foo_Bar/">Foo_Bar/</a><a href="zope.thing/">zope.thing</a><a href="acme/">acme/</a>',
            ["acme", "foo-bar", "zope-thing"],
            {"foo-bar": "Foo_Bar/", "zope-thing": "zope.thing/"},
        ),
        # The directory of the normalized name is asked for anyway.
        ('<a href="Foo_Bar/">Foo_Bar/</a><a href="foo-bar/">foo-bar/</a>', ["foo-bar"], {}),
        ('<a href="Foo_Bar/">x</a><a href="foo.bar/">x</a>', ["foo-bar"], {"foo-bar": "Foo_Bar/"}),
        # Static sites.
        (
            (
                '<a href="acme/index.html">acme</a><a href="./Zope.Thing/index.html">zope.thing</a>'
                '<a href="zoo.html">zoo</a>'
            ),
            ["acme", "zoo", "zope-thing"],
            {"acme": "acme/index.html", "zope-thing": "Zope.Thing/index.html", "zoo": "zoo.html"},
        ),
        (
            '<a href="zope.interface">zope.interface</a>',
            ["zope-interface"],
            {"zope-interface": "zope.interface"},
        ),
        ('<a href="%41cme/">Acme</a>', ["acme"], {"acme": "%41cme/"}),
        # The text, where the URL has no name.
        ('<a href="-/">acme</a>', ["acme"], {"acme": "-/"}),
        # Links that lead elsewhere.
        (
            (
                '<a href="https://github.example/user/pip2pi">pip2pi</a><a href="/about">About</a>'
                '<a href="/help/simple.html">help</a><a href="mailto:a@b">mail</a><a href="https://nginx.example/">nginx</a>'
                '<a href="#top">top</a><a href="javascript:x()">x</a><a href="//evil.example/x/y/">y</a>'
            ),
            [],
            {},
        ),
    ],
)
def test_pages_of_many_servers(body: str, names: list[str], places: Places) -> None:
    """Names are found, and where their pages are that nobody would find by the name."""
    assert root(body) == (names, places)


def test_other_roots() -> None:
    """At the top of a host, and with a page's own name."""
    assert root(
        '<a href="acme/">a</a><a href="/zoo">z</a><a href="https://x.example/b">b</a>', "https://up.example/"
    )[0] == ["acme", "zoo"]
    assert root('<a href="acme/">a</a><a href="index.html">i</a>', f"{ROOT}index.html")[0] == ["acme"]
    body = '<base href="https://other.example/simple/"><a href="Foo_Bar/">x</a>'
    assert root(body) == (["foo-bar"], {})


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=10)), max_size=5))
def test_places_are_below_the_index(links: list[tuple[str, str]]) -> None:
    """Whatever is linked; names are names."""
    body = "".join(
        f'<a href="{href.replace("&", "&amp;").replace(chr(34), "&quot;")}">{text}</a>'
        for href, text in links
    )
    found = parse_root("text/html", f"<title>Index of</title>{body}".encode(), ROOT)
    assert [*found.names] == sorted({parse_project_name(name) for name in found.names})
    assert set(found.places) <= set(found.names)
    assert all(place.startswith(ROOT) and ".." not in place.split("/") for place in found.places.values())
