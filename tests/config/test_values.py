"""From texts to values, one table per kind."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.config.values import (
    ListenAddress,
    WatchMode,
    to_access_log,
    to_bytes,
    to_cors,
    to_count,
    to_days,
    to_flag,
    to_lifetime,
    to_listen,
    to_network,
    to_path,
    to_records,
    to_seconds,
    to_token_memory,
    to_url,
    to_watch,
    to_workers,
)
from simpleindex.core.errors import InvalidSetting
from tests.fixtures.tables import for_each

if TYPE_CHECKING:
    from collections.abc import Callable

BASE = Path("/base")

NOT_WORKERS = "is neither a whole number from 1 to 999 nor 'auto'"
HOLDS_PASSWORD = "holds a password, which lists of processes show; write it into a file that libpq reads: ?passfile=/etc/simpleindex/pgpass"
STRAY_AT = (
    "has an '@' that ends no user name; write a password into a file that libpq reads (?passfile=/etc/simpleindex/pgpass), and an '@' "
    "in a name as %40"
)
UNLIKE_RECORDS = "is not a URL like 'postgresql://db.example.org/simpleindex'"
NO_PATH = "has a path that is not written like '/pypi/'"
UNLIKE_URL = "is not a URL like 'https://packages.example.com/'"
UNLIKE_ORIGIN = "is neither an origin like 'https://app.example.com' nor '*' nor 'off'"
UNLIKE_ENDPOINT = "is neither a port nor an endpoint such as 'tcp:443:interface=192.0.2.1'"
USER = "holds an '@'; a user name and a password have no place here"
NOT_ASCII = "is not ASCII; write an international name in its xn-- form"
OUT_OF_RANGE = "is not a number of seconds from 0.05 to 86400"
NOT_COUNT = "is not a whole number from 0 to 999999999"
NOT_BYTES = "is not a number of bytes such as 67108864 or '64M' (K, M, G or T)"
NOT_NETWORK = "is not an address or a network such as '192.0.2.0/24' or '::1'"


@for_each(
    ("reader", "text", "value"),
    [
        (to_flag, "1", True),
        (to_flag, "Yes", True),
        (to_flag, "TRUE", True),
        (to_flag, "on", True),
        (to_flag, "0", False),
        (to_flag, "no", False),
        (to_flag, "False", False),
        (to_flag, "off", False),
        (to_listen, "443", ListenAddress("443", 443)),
        (to_listen, "0", ListenAddress("0", 0)),
        (to_listen, "00443", ListenAddress("443", 443)),
        (to_listen, "65535", ListenAddress("65535", 65535)),
        (to_listen, "tcp:443:interface=192.0.2.1", ListenAddress("tcp:443:interface=192.0.2.1")),
        (to_listen, "systemd:domain=INET6:index=0", ListenAddress("systemd:domain=INET6:index=0")),
        (to_listen, "unix:/run/x.sock", ListenAddress("unix:/run/x.sock")),
        (to_listen, "haproxy:tcp:443", ListenAddress("haproxy:tcp:443")),
        (to_watch, "auto", WatchMode.AUTO),
        (to_watch, "off", WatchMode.OFF),
        (to_seconds, "2", 2.0),
        (to_seconds, "0.05", 0.05),
        (to_seconds, "86400", 86400.0),
        (to_count, "0", 0),
        (to_count, "256", 256),
        (to_lifetime, "1m", 60),
        (to_lifetime, "7d", 604_800),
        (to_token_memory, "2s", 2),
        (to_token_memory, "1m", 60),
        (to_days, "52w", 364),
        (to_workers, "auto", 0),
        (to_workers, "999", 999),
        *(
            (to_records, text, text)
            for text in (
                "postgres://db/index",
                "postgresql:///index",
                "postgresql://me@[2001:db8::1]:5432,db:65535/index?passfile=/a%40b:c",
            )
        ),
        (to_bytes, "0", 0),
        (to_bytes, "1000", 1000),
        (to_bytes, "64M", 64 * 1024 * 1024),
        (to_bytes, "8k", 8192),
        (to_bytes, "2G", 2 * 1024**3),
        (to_url, "https://packages.example.com", "https://packages.example.com/"),
        (to_url, "https://packages.example.com/", "https://packages.example.com/"),
        (to_url, "HTTPS://Packages.Example.com:443/", "https://packages.example.com/"),
        (to_url, "http://localhost:8080", "http://localhost:8080/"),
        (to_url, "http://h:80", "http://h/"),
        (to_url, "http://h:443", "http://h:443/"),
        (to_url, "https://[2001:DB8:0::1]:8443/", "https://[2001:db8::1]:8443/"),
        (to_url, "https://192.0.2.1/", "https://192.0.2.1/"),
        (to_url, "https://Host.example/PyPI", "https://host.example/PyPI/"),
        (to_url, "https://host.example/a/b%2Bc/", "https://host.example/a/b%2Bc/"),
        (to_cors, "*", "*"),
        (to_cors, "off", None),
        (to_cors, "https://app.example.com", "https://app.example.com"),
        (to_cors, "https://App.example.com:443", "https://app.example.com"),
        (to_cors, "http://localhost:3000", "http://localhost:3000"),
        (to_cors, "moz-extension://abc-def", "moz-extension://abc-def"),
        (to_cors, "x-app://abc:1", "x-app://abc:1"),
        (to_network, "10.0.0.0/8", ip_network("10.0.0.0/8")),
        (to_network, "10.1.2.3/8", ip_network("10.0.0.0/8")),
        (to_network, "192.0.2.1", ip_network("192.0.2.1/32")),
        (to_network, "2001:db8::/32", ip_network("2001:db8::/32")),
        (to_network, "::ffff:10.0.0.0/104", ip_network("10.0.0.0/8")),
        (to_network, "::ffff:0:0/95", ip_network("::ffff:0:0/95", strict=False)),
    ],
)
def test_values(reader: Callable[[str], Any], text: str, value: object) -> None:
    """What each kind of option takes, and in which canonical form it arrives."""
    assert reader(text) == value


@for_each(
    ("reader", "text", "reason"),
    [
        (to_flag, "yess", "is none of 1, true, yes, on, 0, false, no, off; did you mean 'yes'?"),
        (to_flag, "2", "is none of 1, true, yes, on, 0, false, no, off"),
        (to_listen, "65536", "is not a port; ports go from 0 to 65535"),
        (to_listen, "9" * 5000, "is not a port; ports go from 0 to 65535"),
        (to_listen, "-1", UNLIKE_ENDPOINT),
        (to_listen, "443.0", UNLIKE_ENDPOINT),
        (to_listen, "٤٤٣", UNLIKE_ENDPOINT),
        (to_listen, "127.0.0.1:8080", UNLIKE_ENDPOINT),
        (to_listen, ":443", UNLIKE_ENDPOINT),
        (to_listen, "tcp:", UNLIKE_ENDPOINT),
        (to_listen, "tcp:443\n", UNLIKE_ENDPOINT),
        (to_watch, "pol", "is none of auto, inotify, poll, off; did you mean 'poll'?"),
        (to_watch, "never", "is none of auto, inotify, poll, off"),
        (to_seconds, "soon", "is not a number of seconds"),
        (to_seconds, "0", OUT_OF_RANGE),
        (to_seconds, "0.049", OUT_OF_RANGE),
        (to_seconds, "-2", OUT_OF_RANGE),
        (to_seconds, "86401", OUT_OF_RANGE),
        (to_seconds, "nan", OUT_OF_RANGE),
        (to_seconds, "inf", OUT_OF_RANGE),
        (to_count, "-1", NOT_COUNT),
        (to_count, "1.5", NOT_COUNT),
        (to_count, "٣", NOT_COUNT),
        (to_count, "1" * 10, NOT_COUNT),
        (to_lifetime, "59s", "is not a duration from 1m to 7d"),
        (to_lifetime, "8d", "is not a duration from 1m to 7d"),
        (to_token_memory, "61s", "is not a duration from 2s to 60s"),
        (to_token_memory, "never", "is not a duration from 2s to 60s"),
        (to_lifetime, "soon", "is not a duration from 1m to 7d"),
        (to_days, "0d", "is not a time such as 400d or 52w"),
        (to_days, "24h", "is not a time such as 400d or 52w"),
        *((to_workers, text, NOT_WORKERS) for text in ("0", "-1", "1000", "two")),
        (to_records, "mysql://db/index", UNLIKE_RECORDS),
        (to_records, "postgresql://[db/index", UNLIKE_RECORDS),
        *(
            (to_records, f"postgresql://{rest}", HOLDS_PASSWORD)
            for rest in (
                "me:secret@db/x",
                "me:a?b@db/x",
                "me:a#b@db/x",
                "db/x?pass%77ord=a",
                "db/x?sslpassword=a",
                "db/x?oauth_client_secret=a",
                "db/x?scram_client_key=a",
                "db/x?scram_server_key=a",
                "db/x#?password=a",
                "a?b@db/x?password=a",
                "me@db?password=a@b/x",
                "me:a@b@db/x",
            )
        ),
        *(
            (to_records, f"postgresql://{rest}", STRAY_AT)
            for rest in (
                "me:a/b@db/x",
                "me:12/b@db/x",
                "me:12/x?b=@db/y",
                "me@example.org:12/b@db/x",
                "me@a@db/x",
                "db/x?passfile=/a@b",
            )
        ),
        *(
            (to_records, f"postgresql://{rest}", "has a port that is none; ports go from 1 to 65535")
            for rest in ("db:0/x", "db:65536", "a,b:x/y", "db:/x", "[::1]:x?sslmode=require")
        ),
        (to_bytes, "64MB", NOT_BYTES),
        (to_bytes, "M", NOT_BYTES),
        (to_bytes, "-1", NOT_BYTES),
        (to_bytes, "1.5G", NOT_BYTES),
        (to_bytes, "1" * 16, NOT_BYTES),
        (to_url, "packages.example.com", UNLIKE_URL),
        (to_url, "https:///", UNLIKE_URL),
        (to_url, "https://h:/", UNLIKE_URL),
        (to_url, "https://h:x/", UNLIKE_URL),
        (to_url, "https://-h..x/", UNLIKE_URL),
        (to_url, "https://a b/", UNLIKE_URL),
        (to_url, "https://h\n", UNLIKE_URL),
        (to_url, "https://user:secret@h/", USER),
        (to_url, "https://bücher.example/", NOT_ASCII),
        (to_url, "https://[::1::]/", "has an IPv6 address that is none"),
        (to_url, "https://h:0/", "has a port that is none; ports go from 1 to 65535"),
        (to_url, "https://h:65536/", "has a port that is none; ports go from 1 to 65535"),
        (to_url, "ftp://h/", "does not begin with http:// or https://"),
        (to_url, "https://h/?a", "has a query or a fragment; write 'https://h/'"),
        (to_url, "https://h/#", "has a query or a fragment; write 'https://h/'"),
        (to_url, "https://h/simple/", "is the list of projects; write the index's root, 'https://h/'"),
        (
            to_url,
            "https://h/pypi/simple",
            "is the list of projects; write the index's root, 'https://h/pypi/'",
        ),
        (to_url, "https://h//", NO_PATH),
        (to_url, "https://h/a//b", NO_PATH),
        (to_url, "https://h/a/../b", NO_PATH),
        (to_url, "https://h/./", NO_PATH),
        (to_url, "https://h/a b", NO_PATH),
        (to_url, "https://h/%zz", NO_PATH),
        (to_url, 'https://h/"', NO_PATH),
        (to_cors, "of", f"{UNLIKE_ORIGIN}; did you mean 'off'?"),
        (to_cors, "null", UNLIKE_ORIGIN),
        (to_cors, "app.example.com", UNLIKE_ORIGIN),
        (to_cors, "https://a@b", USER),
        (
            to_cors,
            "https://app.example.com/",
            "goes on after the host and port, where an origin ends; write 'https://app.example.com'",
        ),
        (to_network, "10.0.0.0/33", NOT_NETWORK),
        (to_network, "localhost", NOT_NETWORK),
        (to_network, "1", NOT_NETWORK),
    ],
)
def test_refusals(reader: Callable[[str], Any], text: str, reason: str) -> None:
    """What each kind of option does not take, and the words for it."""
    with pytest.raises(InvalidSetting) as caught:
        reader(text)
    assert caught.value.reason == reason
    assert str(caught.value) == f"The value {reason}"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("pkgs", "/base/pkgs"),
        (".", "/base"),
        ("/srv/pkgs/", "/srv/pkgs"),
        ("link/../pkgs", "/base/link/../pkgs"),
        ("~", "/home/me"),
        ("~/pkgs", "/home/me/pkgs"),
        ("./~me", "/base/~me"),
    ],
)
def test_paths(text: str, path: str) -> None:
    """A path becomes absolute; '..' is kept, since what it means depends on links."""
    assert to_path(text, BASE, "/home/me") == Path(path)


def test_the_home_of_another_user() -> None:
    """~user is that user's home whatever $HOME says."""
    assert to_path("~root/x", BASE, "/home/me").is_absolute()
    assert to_path("~root/x", BASE, "/home/me") != BASE / "~root/x"


@pytest.mark.parametrize(("text", "home"), [("~/x", None), ("~no-such-user-here/x", "/home/me")])
def test_an_unknown_home(text: str, home: str | None) -> None:
    """A home that nobody knows is refused instead of becoming a directory called '~'."""
    with pytest.raises(
        InvalidSetting, match="begins with a home directory that is not known; write the whole path"
    ):
        to_path(text, BASE, home)


def test_a_path_with_nul() -> None:
    """TOML can write NUL; no system call takes it."""
    with pytest.raises(InvalidSetting, match="contains a NUL character, which no path can"):
        to_path("a\0b", BASE, None)


def test_access_log() -> None:
    """Two words have a meaning; a file of such a name is still reached with './'."""
    assert to_access_log("off", BASE, None) is None
    assert to_access_log("-", BASE, None) == "-"
    assert to_access_log("log", BASE, None) == Path("/base/log")
    assert to_access_log("./off", BASE, None) == Path("/base/off")


READERS = [to_flag, to_listen, to_watch, to_seconds, to_count, to_bytes, to_url, to_cors, to_network]


@given(st.sampled_from(READERS), st.text())
def test_no_text_makes_another_error(reader: Callable[[str], Any], text: str) -> None:
    """Whatever is written, the answer is a value or InvalidSetting with a reason on one line."""
    try:
        reader(text)
    except InvalidSetting as invalid:
        assert "\n" not in invalid.reason  # noqa: PT017  # a value is as good an outcome as the error


@given(
    st.sampled_from(["http", "https", "HTTPS"]),
    st.from_regex(r"\A(\[::[1-9a-f]\]|[a-zA-Z0-9]{1,8}(\.[a-z]{1,5}){0,2})\Z"),
    st.none() | st.integers(1, 65535),
    st.sampled_from(["", "/", "/pypi", "/a/b/"]),
)
def test_url_and_origin_are_canonical(scheme: str, host: str, port: int | None, end: str) -> None:
    """Reading what was read changes nothing, and the URL is the origin with a slash."""
    text = f"{scheme}://{host}" + ("" if port is None else f":{port}")
    assert to_url(text + end) == f"{to_url(text)}{end[1:]}".rstrip("/") + "/"
    url = to_url(text)
    assert to_url(url) == url
    origin = to_cors(text)
    assert origin is not None
    assert to_cors(origin) == origin
    assert url == origin + "/"
