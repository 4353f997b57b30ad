"""URLs of upstreams: where they lead, whom they may lead to, and through which proxy."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.core.errors import InvalidSetting
from simpleindex.upstreams.pages import urls as upstream_urls
from simpleindex.upstreams.pages.urls import (
    BasicCredentials,
    HostPolicy,
    Proxy,
    absolute_url,
    basename,
    index_url,
    is_surely_private,
    origin,
    proxy_for,
    quoted_as_pip_does,
)
from tests.fixtures.tables import for_each

PIECES = st.sampled_from(
    [
        "http://",
        "https://",
        "a.example",
        "x",
        "/",
        ".",
        "..",
        ":",
        "80",
        "@",
        "?",
        "#",
        "%",
        "%2e",
        "\\",
        "[",
        "]",
        "é",
        " ",
        "-",
    ]
)
REFERENCES = st.lists(PIECES | st.text(max_size=3), max_size=10).map("".join)


@given(REFERENCES)
def test_an_absolute_url_is_plain(reference: str) -> None:
    """Whatever was written: ASCII, no credentials, no fragment, and itself when it is resolved again."""
    url = absolute_url("https://up.example/simple/acme/", reference)
    if url is not None:
        assert url.isascii()
        assert url.isprintable()
        assert not set(url) & set(' #@\\"<>^`{|}') - {"@"}
        assert "@" not in url.split("/")[2]
        assert not {".", ".."} & set(url.partition("?")[0].split("/")[3:])
        assert absolute_url("http://other.example/", url) == url
        assert origin(url).scheme in {"http", "https"}
        basename(url)


@given(st.from_regex(upstream_urls._PLAIN, fullmatch=True))
def test_the_short_way_is_no_other_way(url: str) -> None:
    """What is taken to be plain is what taking it apart gives."""
    short = absolute_url("https://up.example/", url)
    with patch.object(upstream_urls, "_PLAIN", upstream_urls._BARE_PERCENT):
        assert absolute_url("https://up.example/", url) == short


@given(
    st.from_regex(upstream_urls._NAME, fullmatch=True)
    | st.sampled_from(["x" * 4090, "x" * 5000, "...", "a:b", "a.zip"]),
    st.lists(PIECES, max_size=6).map(lambda pieces: "https://up.example/" + "".join(pieces))
    | st.sampled_from(["https://up.example", "https://UP.example/a/../b/", "https://up.example:443/a/"]),
)
def test_a_file_beside_its_page(name: str, base: str) -> None:
    """Wherever the page is, the short way is no other way."""
    try:
        short = absolute_url(base, name)
    except ValueError:
        return
    with patch.object(upstream_urls, "_NAME", upstream_urls._BARE_PERCENT):
        assert absolute_url(base, name) == short


@pytest.mark.parametrize(
    ("text", "url", "credentials"),
    [
        ("https://pypi.org/simple", "https://pypi.org/simple/", None),
        ("https://u:p%40ss@up.example/x/", "https://up.example/x/", BasicCredentials("u", "p@ss")),
        ("https://token@up.example", "https://up.example/", BasicCredentials("token", "")),
        (" http://[::1]:8080/a ", "http://[::1]:8080/a/", None),
        ("https://up.example/list?x=1", "https://up.example/list?x=1", None),
    ],
)
def test_index_url(text: str, url: str, credentials: BasicCredentials | None) -> None:
    """As operators write it; credentials are taken out of it."""
    assert index_url(text) == (url, credentials)


@pytest.mark.parametrize(
    "text", ["", "pypi.org", "ftp://x/", "https://", "https://u:s3cret@[x/", "https://u:s3cret@a b/"]
)
def test_index_url_that_is_none(text: str) -> None:
    """The error does not tell the password."""
    with pytest.raises(InvalidSetting) as caught:
        index_url(text)
    assert "s3cret" not in str(caught.value)


def test_credentials_are_not_shown() -> None:
    """Not by repr, which ends up in logs; the header is RFC 7617's."""
    credentials = BasicCredentials("Aladdin", "open sesame")
    assert "sesame" not in f"{credentials!r} {credentials}"
    assert credentials.header() == b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="


REACH = HostPolicy(
    "https://up.example/simple/", ("files.example", "*.cdn.example", "odd.example:8443", "[fd00::1]:81")
)


@for_each(
    ("source", "target", "fault"),
    [
        ("https://up.example/a", "https://up.example/b", None),
        ("https://up.example/a", "https://up.example:8443/b", None),
        ("https://far.example/a", "https://far.example/b", None),
        ("https://far.example/a", "https://up.example/b", None),
        ("https://up.example/a", "https://files.example/b", None),
        ("https://up.example/a", "https://x.cdn.example/b", None),
        ("https://up.example/a", "https://odd.example:8443/b", None),
        ("https://up.example/a", "https://odd.example/b", "not in its `hosts`"),
        (
            "https://up.example/a",
            "https://files.example:22/b",
            "files.example:22, which is not in its `hosts`",
        ),
        ("https://up.example/a", "https://cdn.example/b", "not in its `hosts`"),
        ("https://up.example/a", "https://evil.example/b", "not in its `hosts`"),
        ("https://up.example/a", "http://up.example/b", "from https to http"),
        ("http://up.example/a", "https://up.example/b", None),
        ("https://up.example/a", None, "no http"),
    ],
)
def test_redirects(source: str, target: str | None, fault: str | None) -> None:
    """To the same host, the upstream's, and those that are listed; never away from TLS."""
    refusal = REACH.refuses_redirect(source, target)
    assert (refusal is None) if fault is None else (fault in (refusal or ""))


def test_redirects_of_files() -> None:
    """Anywhere, since their hash judges them and addresses are looked at later; but not away from TLS."""
    for target in ("https://evil.example/b", "https://10.0.0.1/"):
        assert REACH.refuses_redirect("https://up.example/a", target, of_file=True) is None
    for bad in ("http://up.example/b", None):
        assert REACH.refuses_redirect("https://up.example/a", bad, of_file=True) is not None


@for_each(
    ("index", "url", "fault"),
    [
        (REACH.url, "https://up.example/a.zip", None),
        (REACH.url, "https://anywhere.example/a.zip", None),
        (REACH.url, "http://up.example/a.zip", "http"),
        (REACH.url, "https://192.168.1.1/a.zip", "private"),
        (REACH.url, "https://intranet/a.zip", "private"),
        (REACH.url, "https://[fd00::1]:81/a.zip", None),
        ("http://up.example/", "http://up.example/a.zip", None),
        ("http://localhost:3141/", "http://localhost:3141/a.zip", None),
        ("http://localhost:3141/", "http://localhost:6379/a.zip", "private"),
    ],
)
def test_links(index: str, url: str, fault: str | None) -> None:
    """Clients are sent to any public host, to private ones only where the upstream itself may lead, and never away from TLS."""
    refusal = HostPolicy(index, REACH.hosts).refuses_link(url)
    assert (refusal is None) if fault is None else (fault in (refusal or ""))


def test_a_private_network() -> None:
    """An operator can say that an upstream may lead anywhere."""
    assert HostPolicy(REACH.url, private=True).may_be_private("10.0.0.1", 6379)


def test_known_hosts() -> None:
    """The public index needs no list."""
    host_policy = HostPolicy("https://pypi.org/simple/")
    assert host_policy.refuses_redirect("https://pypi.org/x", "https://files.pythonhosted.org/y") is None
    assert not host_policy.may_be_private("files.pythonhosted.org", 443)


@for_each(
    ("url", "host", "port", "expected"),
    [
        ("http://localhost:3141/", "localhost", 3141, True),
        ("http://localhost:3141/", "localhost", 6379, False),
        ("http://localhost:3141/", "127.0.0.1", 3141, False),
        ("http://10.0.0.5/", "10.0.0.5", 443, True),
        ("https://10.0.0.5/", "10.0.0.5", 80, False),
        (REACH.url, "FILES.example", 443, True),
        (REACH.url, "files.example", 22, False),
        (REACH.url, "odd.example", 8443, True),
        (REACH.url, "fd00::1", 81, True),
        (REACH.url, "other.example", 443, False),
    ],
)
def test_who_may_be_private(url: str, host: str, port: int, expected: bool) -> None:
    """The upstream itself at its port, and what is listed."""
    assert HostPolicy(url, REACH.hosts).may_be_private(host, port) is expected


@for_each(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("a.localhost", True),
        ("metadata.google.internal", True),
        ("0x7f.1", True),
        ("2130706433", True),
        ("127.1", True),
        ("intranet", True),
        ("8.8.8.8", False),
        ("files.example", False),
    ],
)
def test_surely_private(host: str, expected: bool) -> None:
    """What a proxy need not be asked for."""
    assert is_surely_private(host) is expected


PROXY = {"https_proxy": "http://proxy.example:3128"}


@for_each(
    ("url", "environment", "expected"),
    [
        ("https://up.example/", {}, None),
        ("https://up.example/", PROXY, Proxy("proxy.example", 3128)),
        ("https://up.example/", {"HTTPS_PROXY": "proxy.example:3128"}, Proxy("proxy.example", 3128)),
        ("https://up.example/", {"HTTPS_PROXY": "x:1", "https_proxy": ""}, None),
        ("http://up.example/", PROXY, None),
        ("http://up.example/", {"HTTP_PROXY": "http://p"}, Proxy("p", 80)),
        ("http://up.example/", {"HTTP_PROXY": "http://p", "REQUEST_METHOD": "GET"}, None),
        ("http://up.example/", {"ALL_PROXY": "http://p"}, Proxy("p", 80)),
        (
            "https://up.example/",
            {"HTTPS_PROXY": "http://u:p%3A@p:1"},
            Proxy("p", 1, BasicCredentials("u", "p:")),
        ),
        ("https://up.example/", {**PROXY, "NO_PROXY": "*"}, None),
        ("https://up.example/", {**PROXY, "NO_PROXY": "a, .example"}, None),
        ("https://up.example/", {**PROXY, "no_proxy": "up.example"}, None),
        ("https://up.example/", {**PROXY, "NO_PROXY": "p.example"}, Proxy("proxy.example", 3128)),
        ("https://up.example/", {**PROXY, "NO_PROXY": "up.example:8443"}, Proxy("proxy.example", 3128)),
        ("https://up.example:8443/", {**PROXY, "NO_PROXY": "up.example:8443"}, None),
        ("https://[::1]/", {**PROXY, "NO_PROXY": "::1"}, None),
        ("https://[::1]:444/", {**PROXY, "NO_PROXY": "[::1]:444"}, None),
    ],
)
def test_proxy_for(url: str, environment: dict[str, str], expected: Proxy | None) -> None:
    """The customary variables, as curl and requests read them."""
    assert proxy_for(url, environment) == expected


@pytest.mark.parametrize(
    "text", ["socks5://p:1", "https://p:1", "http://", "http://u:s3cret@[x", "http://p:99999"]
)
def test_proxies_that_cannot_be_used(text: str) -> None:
    """They are refused in words, without the secret."""
    with pytest.raises(InvalidSetting, match="HTTPS_PROXY") as caught:
        proxy_for("https://up.example/", {"HTTPS_PROXY": text})
    assert "s3cret" not in str(caught.value)


@for_each(
    ("path", "expected"),
    [
        *((path, path) for path in ("acme-1.0.zip", "a%20b/c@1/d.zip", "a%2Fb.zip", "~a/b_c-d.zip", "")),
        ("acme-1.0+local.zip", "acme-1.0%2Blocal.zip"),
        ("a!1,2=3;4'5(6)$7&8*9.zip", "a%211%2C2%3D3%3B4%275%286%29%247%268%2A9.zip"),
        ("a%2fb%7ec.zip", "a%2Fb~c.zip"),
        ("a%2Bb.zip?x=1+2", "a%2Bb.zip?x=1+2"),
    ],
)
def test_urls_are_quoted_as_pip_quotes_them(path: str, expected: str) -> None:
    """Each part of the path anew, but not what is a separator in it; tried with pip 26.3. Doing it again changes nothing."""
    quoted = quoted_as_pip_does(f"https://up.example/{path}")
    assert quoted == f"https://up.example/{expected}"
    assert quoted_as_pip_does(quoted) == quoted


@pytest.mark.parametrize(
    ("reference", "url"),
    [
        ("https://x.example/a/./b/../c", "https://x.example/a/c"),
        ("https://x.example/a/b/.", "https://x.example/a/b/"),
        ("https://x.example/a/b/..", "https://x.example/a/"),
        ("https://x.example/../../a", "https://x.example/a"),
    ],
)
def test_dot_segments_of_an_absolute_reference_are_removed(reference: str, url: str) -> None:
    """As in RFC 3986 section 5.2.4."""
    assert absolute_url("https://up.example/simple/", reference) == url
