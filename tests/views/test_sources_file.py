"""The sources file: understood wholly, or refused with what is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.core.errors import InvalidSources
from simpleindex.core.model import Strategy
from simpleindex.core.parsing.toml import MAXIMUM_SIZE
from simpleindex.core.views import MAIN_VIEW, ViewSettings
from simpleindex.upstreams.settings import DirectorySettings, UpstreamSettings
from simpleindex.views.sources_file import CacheSettings, Sources, parse_sources
from tests.fixtures.tables import for_each

FULL = """
strategy = "merge"
own = ["Acme_*"]
allow-upstream = ["acme-open"]

[[upstream]]
name = "pypi"
url = "https://index.example/simple"
projects = ["*"]
exclude = ["bad-*"]
credentials = "env:LOGIN"
ca-file = "/etc/ca.pem"
ttl = "1h"
timeout = "3s"
list = true
hosts = ["*.files.example"]
connections = 3

[[upstream]]
name = "other"
url = "http://localhost:3141/root/"
mode = "cache"
credentials = "file:/etc/login"

[cache]
size = "50G"
free = "2G"
largest-file = 5
"""


def test_everything() -> None:
    """Every key, and what holds where one is left out."""
    assert parse_sources(FULL.encode()) == Sources(
        strategy=Strategy.MERGE,
        own=("acme-*",),
        allow_upstream=("acme-open",),
        upstreams=(
            UpstreamSettings(
                "pypi",
                "https://index.example/simple/",
                projects=("*",),
                exclude=("bad-*",),
                credentials=("env", "LOGIN"),
                ca_file="/etc/ca.pem",
                ttl=3600.0,
                timeout=3.0,
                lists=True,
                hosts=("*.files.example",),
                connections=3,
            ),
            UpstreamSettings("other", "http://localhost:3141/root/", credentials=("file", "/etc/login")),
        ),
        cache=CacheSettings(50 << 30, 2 << 30, 5),
        views=(ViewSettings(MAIN_VIEW, ("local", "pypi", "other"), Strategy.MERGE, frozenset({MAIN_VIEW})),),
    )
    assert parse_sources(b"# nothing\n") == Sources()


DIRECTORY = '[[directory]]\nname = "staging"\npath = "/srv/staging"\n'
ISOLATED = '[[view]]\nname = "v"\nsources = ["{}", "{}"]\nstrategy = "isolated"\n'
HUGE = "0x" + "f" * 4000  # more digits than Python writes out in decimal
UPSTREAM = '[[upstream]]\nname = "a"\nurl = "https://h/"\n'


@pytest.mark.parametrize(
    ("text", "url", "lists"),
    [
        ('url = "https://h/links.html"', "https://h/links.html", True),
        ('url = "https://h/dist/"', "https://h/dist/", True),
        ('url = "https://h/dist"\nlist = false', "https://h/dist", False),
    ],
)
def test_a_flat_upstream(text: str, url: str, lists: bool) -> None:
    """Its URL is a page, left as it is; its projects are known, so they are on the list unless that is not wanted."""
    (upstream,) = parse_sources(f'[[upstream]]\nname = "a"\nflat = true\n{text}'.encode()).upstreams
    assert (upstream.url, upstream.flat, upstream.lists) == (url, True, lists)


def test_directories() -> None:
    """They stand between that of --path and the upstreams, in the order of the file, also where no upstream is requested."""
    more = DIRECTORY.replace("staging", "more")
    sources = parse_sources((UPSTREAM + DIRECTORY + more + ISOLATED.format("more", "local")).encode())
    assert sources.directories == (
        DirectorySettings("staging", "/srv/staging"),
        DirectorySettings("more", "/srv/more"),
    )
    assert [view.sources for view in sources.views] == [("local", "staging", "more", "a"), ("more", "local")]
    isolated = parse_sources(f"strategy = 'isolated'\n{DIRECTORY}".encode())
    assert isolated.views[0].sources == ("local", "staging")


@for_each(
    ("content", "sentence"),
    [
        ("stratgy = 'merge'", "unknown key 'stratgy'; did you mean 'strategy'"),
        ("strategy = 'firstindex'", "did you mean 'first-index'"),
        ("strategy = 1", "known: first-index, merge, isolated"),
        ("strategy = 'isolated'\n" + UPSTREAM, "never asks"),
        ("own = 'acme'", "not a list of texts for 'own'"),
        ("own = ['-']", "for 'own' the project '-'"),
        ("upstream = 1", "write [[upstream]]"),
        ("[[upstream]]\nname = 'a'", "no 'url' in upstream 1"),
        (UPSTREAM.replace('"a"', '"A b"'), "small letters"),
        (UPSTREAM + UPSTREAM, "two sources called 'a'"),
        (UPSTREAM.replace('"a"', '"local"'), "two sources called 'local'"),
        (UPSTREAM.replace("https://h/", "ftp://h/"), "no URL of an index"),
        (UPSTREAM.replace("https://h/", "https://h:x/"), "no URL of an index"),
        *(
            (UPSTREAM.replace("https://h/", url), "no URL of an index")
            for url in (
                "https://h\\n/",
                "https://h/\\tx/",
                "https://%/",
                "https://h:0/",
                "https://h\\u202e/",
                "https:///",
            )
        ),
        (UPSTREAM.replace("https://h/", "https://u:secret@h/"), "a login in the 'url'"),
        (UPSTREAM.replace("https://h/", "https://@h/"), "a login in the 'url'"),
        (UPSTREAM.replace("https://h/", "https://h/?a"), "a ? or #"),
        (UPSTREAM + "hosts = 'x'", "not a list of texts for 'hosts'"),
        *(
            (UPSTREAM + f'hosts = ["{host}"]', "which is no host; write its name alone")
            for host in (
                "https://files.example/",
                "files.example/",
                "a b",
                "",
                "\\u0000",
                "b\u00fccher.example",
            )
        ),
        *(
            (
                UPSTREAM + f"missing = [{value}]",
                "a value in 'missing' of the upstream a, which is no HTTP status",
            )
            for value in (HUGE, f"[{HUGE}]", "true", "4.04", "{a = 1}")
        ),
        *((f"[cache]\nsize = {size}", "no size such as") for size in (HUGE, 1 << 63, '"9999999T"', -1, 1.5)),
        (f"[[rule]]\nmax-size = {HUGE}", "no size such as"),
        (UPSTREAM + "ttl = 5", "no time such as"),
        (UPSTREAM + "ttl = '0s'", "no time such as"),
        (UPSTREAM + "list = 'yes'", "neither true nor false"),
        (UPSTREAM + "ca-file = ''", "no text for 'ca-file'"),
        (UPSTREAM + "credentials = 'me:secret'", "name no place"),
        (UPSTREAM + "tll = '5m'", "did you mean 'ttl'"),
        (UPSTREAM + "mode = 'redirct'", "'mode' of the upstream a; did you mean 'redirect'"),
        (UPSTREAM + "mode = 'redirect'\ncredentials = 'env:X'", 'sent there without; use mode = "cache"'),
        (UPSTREAM + "mode = 'listing-only'\ncredentials = 'me:secret'", "'credentials' of the upstream a"),
        (DIRECTORY + DIRECTORY, "two sources called 'staging'"),
        (DIRECTORY + UPSTREAM.replace('"a"', '"staging"'), "two sources called 'staging'"),
        (DIRECTORY.replace("staging", "local", 1), "two sources called 'local'"),
        (DIRECTORY.replace("staging", "St aging", 1), "calls directory 1 'St aging'"),
        (DIRECTORY.replace('"/srv/staging"', "1"), "no text for 'path' of the directory staging"),
        ("[[directory]]\nname = 'a'", "no 'path' in directory 1"),
        (DIRECTORY + "url = 'x'", "unknown key 'url' in directory 1"),
        (
            DIRECTORY + UPSTREAM + ISOLATED.format("staging", "a"),
            'upstreams that the view v, with strategy = "isolated"',
        ),
        (
            UPSTREAM + "mode = 'redirect'\nkeep-removed = true",
            'of which nothing is kept with mode = "redirect"; leave one',
        ),
        (UPSTREAM + "flat = 'yes'", "'flat' of the upstream a that is neither true nor false"),
        ("= ", "not valid TOML"),
    ],
)
def test_refusals(content: str, sentence: str) -> None:
    """Each mistake has its sentence, and no secret is in it."""
    with pytest.raises(InvalidSources) as caught:
        parse_sources(content.encode())
    assert sentence in str(caught.value)
    assert "secret" not in str(caught.value)


def test_what_is_no_text() -> None:
    """Neither are these read."""
    for content, word in (
        (b"\xff", "UTF-8"),
        (b"#" * (MAXIMUM_SIZE + 1), "MiB"),
        (b"a=" + b"[" * 100_000, "nested"),
    ):
        with pytest.raises(InvalidSources, match=word):
            parse_sources(content)


@given(st.text(max_size=60), st.sampled_from(["", UPSTREAM]))
def test_anything(text: str, before: str) -> None:
    """Whatever stands there, it is understood or refused."""
    try:
        parse_sources(f"{before}{text}".encode())
    except InvalidSources as refused:
        assert str(refused).startswith("it ")  # noqa: PT017


VIEWS = """
[[upstream]]
name = "pypi"
url = "https://index.example/simple"
[[upstream]]
name = "other"
url = "https://other.example/simple"
[[view]]
name = "stable"
sources = ["local"]
strategy = "isolated"
[[view]]
name = "pypi"
sources = ["pypi"]
[[view]]
name = "team"
sources = ["stable", "other", "local"]
strategy = "merge"
[[view]]
name = "leaf"
sources = ["team", "pypi"]
"""


def test_views() -> None:
    """The root shows everything; a view what it names, with what the views that it builds on show and hold back."""
    assert parse_sources(VIEWS.encode()).views == (
        ViewSettings("main", ("local", "pypi", "other"), Strategy.FIRST_INDEX, frozenset({"main"})),
        ViewSettings("stable", ("local",), Strategy.ISOLATED, frozenset({"stable"})),
        # A source's name means the source, also where a view is called the same.
        ViewSettings("pypi", ("pypi",), Strategy.FIRST_INDEX, frozenset({"pypi"})),
        ViewSettings("team", ("local", "other"), Strategy.MERGE, frozenset({"team", "stable"})),
        ViewSettings(
            "leaf",
            ("local", "other", "pypi"),
            Strategy.FIRST_INDEX,
            frozenset({"leaf", "team", "stable"}),
        ),
    )


@for_each(
    ("text", "sentence"),
    [
        ('sources = ["local"]', "has no 'name' in view 1"),
        ('name = "a"', "has no 'sources' in view 1"),
        ('name = "a"\nsources = []', "has no 'sources' in the view a; name what it shows, such as 'local'"),
        (
            'name = "main"\nsources = ["local"]',
            "calls view 1 'main'; a name has small letters, digits and hyphens",
        ),
        ('name = "simple"\nsources = ["local"]', "and is none of legacy, main, simple"),
        ('name = "A b"\nsources = ["local"]', "calls view 1 'A b'"),
        (
            'name = "a"\nsources = ["locl"]',
            "has an unknown source 'locl' in the view a; did you mean 'local'?",
        ),
        ('name = "a"\nsources = ["a"]', "has an unknown source 'a' in the view a (known: local, main)"),
        ('name = "a"\nsources = "local"', "has what is not a list of texts for 'sources' of the view a"),
        ('name = "a"\nsources = ["local"]\nrules = []', "has the unknown key 'rules' in view 1"),
        (
            'name = "a"\nsources = ["local"]\nstrategy = "x"',
            "has an unknown value of 'strategy' of the view a",
        ),
        (
            'name = "a"\nsources = ["local"]\n[[view]]\nname = "a"\nsources = ["local"]',
            "has two views called 'a'; give each a name of its own",
        ),
    ],
)
def test_views_refused(text: str, sentence: str) -> None:
    """What is not wholly understood is refused with what is wrong, and where."""
    with pytest.raises(InvalidSources) as caught:
        parse_sources(f"[[view]]\n{text}".encode())
    assert sentence in str(caught.value)


def test_a_view_that_asks_nobody() -> None:
    """Upstreams of a view that asks none are a mistake."""
    text = VIEWS.replace('sources = ["local"]', 'sources = ["local", "pypi"]')
    with pytest.raises(InvalidSources, match="has upstreams that the view stable, with strategy"):
        parse_sources(text.encode())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("cache = 5", "has a 'cache' that is not a table; write [cache]"),
        ('[cache]\nsiez = "5G"', "has the unknown key 'siez' in [cache]; did you mean 'size'?"),
        ('[cache]\nsize = "5 G"', "has a value of 'size' of [cache] that is no size such as"),
        (
            '[[upstream]]\nname = "a"\nurl = "http://a/"\nconnections = 0',
            "has 'connections' of the upstream a that are",
        ),
        (
            '[[upstream]]\nname = "a"\nurl = "http://a/"\nconnections = true',
            "has 'connections' of the upstream a",
        ),
    ],
)
def test_room_refused(text: str, sentence: str) -> None:
    """Sizes and numbers."""
    with pytest.raises(InvalidSources) as caught:
        parse_sources(text.encode())
    assert sentence in str(caught.value)
