"""From an option's text to its value: one function per kind of value, with no knowledge of where the text came from.

All raise :class:`InvalidSetting`, whose reason continues a sentence that begins with the text.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network
from pathlib import Path
from typing import Final, Literal
from urllib.parse import parse_qs, urlsplit

from simpleindex.config.bucket_location import SCHEME, BucketLocation, parse_location
from simpleindex.core.errors import InvalidSetting
from simpleindex.core.text import did_you_mean, parse_duration, parse_size

Network = IPv4Network | IPv6Network
AccessLog = Path | Literal["-"] | None

_TRUE: Final = ("1", "true", "yes", "on")
_FALSE: Final = ("0", "false", "no", "off")

# The name of the endpoint's type, as plugins register it, then its arguments.
_ENDPOINT: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*:.+")

# Scheme, host, port, rest (RFC 3986 section 3.2, without user information).
_ORIGIN: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9+.-]*)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)(?::([0-9]{1,5}))?(.*)",
    re.DOTALL,
)
# Segments as RFC 3986 section 3.3 has them; no empty one, which proxies and clients count in different ways.
_URL_PATH: Final = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})+)*/?")

_SECRETS_OF_LIBPQ: Final = {
    "password",
    "sslpassword",
    "oauth_client_secret",
    "scram_client_key",
    "scram_server_key",
}
"""Parameters whose values are secrets ("Parameter Key Words" in libpq's documentation)."""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_SHORTEST_POLL: Final = 0.05  # seconds; a sweep of 10,000 directories takes that long (docs/measurements.md)
_LONGEST_POLL: Final = 86_400.0  # seconds; epoll refuses timeouts that do not fit an int of milliseconds


class WatchMode(StrEnum):
    """How changes in the directory are noticed."""

    AUTO = "auto"
    INOTIFY = "inotify"
    POLL = "poll"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where to listen.

    Attributes:
        text: A port in decimal, or an endpoint string; whether Twisted knows such an endpoint is seen when it is bound.
        port: The bare port (0 for any free one), to listen on at all addresses; None for an endpoint.
    """

    text: str
    port: int | None = None


def to_flag(text: str) -> bool:
    """Read yes or no in the customary words."""
    word = text.lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    words = (*_TRUE, *_FALSE)
    raise InvalidSetting(f"is none of {', '.join(words)}{did_you_mean(text, words)}")


def to_path(text: str, base: Path, home: str | None) -> Path:
    """Make a path absolute.

    ``..`` stays, for its meaning depends on links.

    Args:
        text: The path; ``~`` and ``~user`` at its start are expanded.
        base: What it is relative to.
        home: What ``~`` stands for, or None if there is no home directory.
    """
    if "\0" in text:
        raise InvalidSetting("contains a NUL character, which no path can")
    if text.startswith("~"):
        user, _, rest = text.partition("/")
        place = home if user == "~" else os.path.expanduser(user)
        if place is None or place == user:
            raise InvalidSetting("begins with a home directory that is not known; write the whole path")
        text = os.path.join(place, rest)
    return Path(base, text)


def to_access_log(text: str, base: Path, home: str | None) -> AccessLog:
    """Read a file's path, ``-`` for standard output, or ``off`` (None)."""
    if text == "off":
        return None
    return "-" if text == "-" else to_path(text, base, home)


def to_listen(text: str) -> ListenAddress:
    """Read a port or the look of an endpoint string."""
    if text.isascii() and text.isdecimal():
        port = int(text[:6])
        if len(text) > 5 or port > 65_535:
            raise InvalidSetting("is not a port; ports go from 0 to 65535")
        return ListenAddress(str(port), port)
    if not text.isprintable() or not _ENDPOINT.fullmatch(text):
        raise InvalidSetting("is neither a port nor an endpoint such as 'tcp:443:interface=192.0.2.1'")
    return ListenAddress(text)


def to_watch(text: str) -> WatchMode:
    """Read how to watch."""
    try:
        return WatchMode(text)
    except ValueError:
        words = [mode.value for mode in WatchMode]
        raise InvalidSetting(f"is none of {', '.join(words)}{did_you_mean(text, words)}") from None


def to_package_place(text: str, base: Path, home: str | None) -> Path | BucketLocation:
    """Read where packages are: a path, or a bucket (``s3://bucket/prefix``); arguments as for :func:`to_path`."""
    return parse_location(text) if text.startswith(SCHEME) else to_path(text, base, home)


def to_lifetime(text: str) -> int:
    """Read for how long a URL is good, in seconds: from a minute to the week that S3 allows."""
    seconds = parse_duration(text)
    if seconds is None or not 60 <= seconds <= 604_800:
        raise InvalidSetting("is not a duration from 1m to 7d")
    return seconds


def to_token_memory(text: str) -> int:
    """Read how many seconds tokens count without the database: as few as two looks at it take, at most a minute."""
    seconds = parse_duration(text)
    if seconds is None or not 2 <= seconds <= 60:
        raise InvalidSetting("is not a duration from 2s to 60s")
    return seconds


def to_seconds(text: str) -> float:
    """Read an interval in seconds."""
    try:
        seconds = float(text)
    except ValueError:
        raise InvalidSetting("is not a number of seconds") from None
    # Written so that nan, of which every comparison is false, is refused.
    if not _SHORTEST_POLL <= seconds <= _LONGEST_POLL:
        raise InvalidSetting(f"is not a number of seconds from {_SHORTEST_POLL:g} to {_LONGEST_POLL:g}")
    return seconds


def to_count(text: str) -> int:
    """Read a whole number, 0 or more."""
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise InvalidSetting("is not a whole number from 0 to 999999999")
    return int(text)


def to_records(text: str) -> str:
    """Read the URL of a PostgreSQL database; a password in it is refused, because lists of processes show it."""
    if not text.startswith(("postgresql://", "postgres://")):
        raise InvalidSetting("is not a URL like 'postgresql://db.example.org/simpleindex'")
    try:
        urlsplit(text)
    except ValueError:
        raise InvalidSetting("is not a URL like 'postgresql://db.example.org/simpleindex'") from None
    # As libpq reads it: the login ends with the first @ before any slash, and no # begins a fragment.
    authority, slash, path = text.partition("://")[2].partition("/")
    login, at, hosts = authority.partition("@")
    if not at:
        login, hosts = "", authority
    behind = hosts + slash + path
    if ":" in login or _SECRETS_OF_LIBPQ & parse_qs(behind.partition("?")[2]).keys():
        raise InvalidSetting(
            "holds a password, which lists of processes show; write it into a file that libpq reads: ?passfile=/etc/simpleindex/pgpass"
        )
    if "@" in behind:
        # With a slash in a password libpq takes what is before it for a host and its port, and all else for the database.
        raise InvalidSetting(
            "has an '@' that ends no user name; write a password into a file that libpq reads (?passfile=/etc/simpleindex/pgpass), "
            "and an '@' in a name as %40"
        )
    for host in hosts.partition("?")[0].split(","):
        _, colon, port = host.rpartition("]")[2].partition(":")
        if colon and not (port.isascii() and port.isdecimal() and len(port) < 6 and 0 < int(port) < 65_536):
            raise InvalidSetting("has a port that is none; ports go from 1 to 65535")
    return text


def to_workers(text: str) -> int:
    """Read a number of processes; 0 for ``auto``."""
    if text == "auto":
        return 0
    if not (text.isascii() and text.isdecimal() and len(text) < 4 and int(text) > 0):
        raise InvalidSetting("is neither a whole number from 1 to 999 nor 'auto'")
    return int(text)


def to_days(text: str) -> int:
    """Read a time in whole days."""
    seconds = parse_duration(text, "dw")
    if not seconds:
        raise InvalidSetting("is not a time such as 400d or 52w")
    return seconds // 86_400


def to_bytes(text: str) -> int:
    """Read a number of bytes; K, M and G are powers of 1024."""
    size = parse_size(text)
    if size is None:
        raise InvalidSetting("is not a number of bytes such as 67108864 or '64M' (K, M, G or T)")
    return size


def to_url(text: str) -> str:
    """Read the URL under which clients reach the index's root; it comes back as ``scheme://host[:port]/[path/]``."""
    scheme, origin, rest = _split_origin(text, "is not a URL like 'https://packages.example.com/'")
    if scheme not in _DEFAULT_PORTS:
        raise InvalidSetting("does not begin with http:// or https://")
    if "?" in rest or "#" in rest:
        raise InvalidSetting(f"has a query or a fragment; write {origin + '/'!r}")
    if not _URL_PATH.fullmatch(rest) or {".", ".."} & {*rest.split("/")}:
        raise InvalidSetting("has a path that is not written like '/pypi/'")
    if rest.rstrip("/").endswith("/simple"):
        raise InvalidSetting(
            f"is the list of projects; write the index's root, {(origin + rest).rstrip('/')[:-6]!r}"
        )
    return f"{origin}{rest.rstrip('/')}/"


def to_title(text: str) -> str:
    """Read the name of an index: one line that can be printed."""
    if not text.isprintable() or not text.strip():
        raise InvalidSetting("is not a name of printable characters on one line")
    return text.strip()


def to_cors(text: str) -> str | None:
    """Read an origin as browsers send it (RFC 6454 section 6.2), ``*``, or ``off`` (None)."""
    if text in ("*", "off"):
        return None if text == "off" else text
    unlike = (
        f"is neither an origin like 'https://app.example.com' nor '*' nor 'off'{did_you_mean(text, ['off'])}"
    )
    _, origin, rest = _split_origin(text, unlike)
    if rest:
        raise InvalidSetting(f"goes on after the host and port, where an origin ends; write {origin!r}")
    return origin


def to_network(text: str) -> Network:
    """Read an address or a network; IPv4 in IPv6 becomes IPv4, as peers' addresses do when they connect."""
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise InvalidSetting("is not an address or a network such as '192.0.2.0/24' or '::1'") from None
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is None or network.prefixlen < 96:
        return network
    return IPv4Network((int(mapped), network.prefixlen - 96))


def to_scraper(text: str) -> Network | None:
    """Read an address or a network, or ``off`` (None)."""
    return None if text == "off" else to_network(text)


def _split_origin(text: str, unlike: str) -> tuple[str, str, str]:
    """Return the scheme, the origin in its canonical spelling, and what follows it."""
    if "@" in text:
        raise InvalidSetting("holds an '@'; a user name and a password have no place here")
    if not text.isascii():
        raise InvalidSetting("is not ASCII; write an international name in its xn-- form")
    matched = _ORIGIN.fullmatch(text)
    # After an authority only these can follow (RFC 3986 section 3.2).
    if matched is None or (matched[4] and matched[4][0] not in "/?#"):
        raise InvalidSetting(unlike)
    scheme, host = matched[1].lower(), matched[2].lower()
    if host.startswith("["):
        try:
            host = f"[{IPv6Address(host[1:-1])}]"
        except ValueError:
            raise InvalidSetting("has an IPv6 address that is none") from None
    port = _DEFAULT_PORTS.get(scheme) if matched[3] is None else int(matched[3])
    if port is not None and not 0 < port < 65_536:
        raise InvalidSetting("has a port that is none; ports go from 1 to 65535")
    explicit = "" if port == _DEFAULT_PORTS.get(scheme) else f":{port}"
    return scheme, f"{scheme}://{host}{explicit}", matched[4]
