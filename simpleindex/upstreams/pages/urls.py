"""URLs that an upstream states: make them absolute and plain, and decide which hosts they may lead to."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

from simpleindex.core.addresses import is_address, is_public
from simpleindex.core.errors import InvalidSetting

if TYPE_CHECKING:
    from collections.abc import Mapping

_PORTS: Final = {"http": 80, "https": 443}
# Characters; signed URLs of object stores have some 1,500.
LONGEST_URL: Final = 4096
_HOST: Final = re.compile(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?\.?|[0-9a-f.]*+:[0-9a-f:.]*+", re.ASCII)
_BARE_PERCENT: Final = re.compile("%(?![0-9A-Fa-f]{2})")
_KEPT: Final = re.compile("(/|@|%2F)|(?:(?!%2F)[^/@])+", re.IGNORECASE)
_PATH: Final = "/%:@!$&'()*+,;=~"
_QUERY: Final = _PATH + "?[]"

# What is in this form already; that of nearly every file, and taking it apart is half of the work for a large listing.
_PLAIN: Final = re.compile(
    r"https?://[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?:/[A-Za-z0-9_+~-][A-Za-z0-9._+~-]*+)++", re.ASCII
)

# A file beside its page, which is how directory listings name theirs.
_NAME: Final = re.compile("[A-Za-z0-9_+~-][A-Za-z0-9._+~-]*+", re.ASCII)

KNOWN_HOSTS: Final = {
    "pypi.org": ("files.pythonhosted.org",),
    "test.pypi.org": ("test-files.pythonhosted.org",),
}
"""The file hosts of public indexes, which need no configuration."""


@dataclass(frozen=True, slots=True)
class UrlOrigin:
    """The origin of a URL, for which credentials are (RFC 6454).

    Attributes:
        scheme: ``http`` or ``https``.
        host: In lower case, an IPv6 address without its brackets.
        port: Always given.
    """

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        """Return the host as `hosts` in a sources file names it: with its port unless that is 80 or 443."""
        where = f"[{self.host}]" if ":" in self.host else self.host
        return where if self.port in _PORTS.values() else f"{where}:{self.port}"


@dataclass(frozen=True, slots=True, repr=False)
class BasicCredentials:
    """A user and a password; their text is never shown, also not by ``repr``.

    Attributes:
        user: Without a colon (RFC 7617).
        password: Or a token.
    """

    user: str
    password: str

    def header(self) -> bytes:
        """Return the value of an Authorization header."""
        return b"Basic " + b64encode(f"{self.user}:{self.password}".encode())


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy.

    Attributes:
        host: Name or address.
        port: Always given.
        credentials: For the proxy itself, if it wants any.
    """

    host: str
    port: int
    credentials: BasicCredentials | None = None


def absolute_url(base: str, reference: str) -> str | None:
    """Resolve a reference (RFC 3986 section 5), without its fragment; None if it leads to nothing that can be fetched.

    The result is plain ASCII: http or https, a host, no credentials, all else quoted.
    """
    if len(reference) > LONGEST_URL:
        return None
    if _PLAIN.fullmatch(reference):
        return reference
    if _NAME.fullmatch(reference):
        url = base[: base.rfind("/") + 1] + reference
        if len(url) <= LONGEST_URL and _PLAIN.fullmatch(url):
            return url
    try:
        parts = urlsplit(urljoin(base, reference.strip()))
        port = parts.port
    except ValueError:
        return None
    host = parts.hostname or ""
    # A backslash is a slash to some parsers, so that they see another host.
    if parts.scheme not in _PORTS or "@" in parts.netloc or "\\" in parts.netloc or not _HOST.fullmatch(host):
        return None
    if port == 0:
        return None
    where = f"[{host}]" if ":" in host else host
    if port is not None and port != _PORTS[parts.scheme]:
        where = f"{where}:{port}"
    path, query = (
        _BARE_PERCENT.sub("%25", quote(text, safe=safe, errors="replace"))
        for text, safe in ((_without_dots(parts.path) or "/", _PATH), (parts.query, _QUERY))
    )
    return urlunsplit((parts.scheme, where, path, query, ""))


def _without_dots(path: str) -> str:
    """Remove dot segments (RFC 3986 section 5.2.4), which urljoin leaves in references that are absolute."""
    if "/." not in path:
        return path
    segments: list[str] = []
    for segment in path.split("/")[1:]:
        if segment == "..":
            del segments[-1:]
        elif segment != ".":
            segments.append(segment)
    if path.endswith(("/.", "/..")):
        segments.append("")
    return "/" + "/".join(segments)


def basename(url: str) -> str:
    """Return the last segment of a URL's path, decoded once."""
    return unquote(urlsplit(url).path.rpartition("/")[2], errors="replace")


def quoted_as_pip_does(url: str) -> str:
    """Quote the path of a URL as pip does, which decodes and quotes each part of it anew: a plus becomes ``%2B``."""
    parts = urlsplit(url)
    path = _KEPT.sub(lambda match: match[0].upper() if match[1] else quote(unquote(match[0])), parts.path)
    return urlunsplit(parts._replace(path=path))


def origin(url: str) -> UrlOrigin:
    """Return the origin of a URL that :func:`absolute_url` returned."""
    parts = urlsplit(url)
    return UrlOrigin(parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme])


def index_url(text: str) -> tuple[str, BasicCredentials | None]:
    """Read the URL of an index as an operator writes it.

    Returns:
        The URL with a slash at its end, and the credentials that stood in it.

    Raises:
        InvalidSetting: It is none; the text is not quoted, for it may hold a password.
    """
    try:
        parts = urlsplit(text.strip())
        credentials = _credentials(parts.username, parts.password)
        plain = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))
        url = absolute_url(plain, "")
    except ValueError:
        url = None
    if url is None:
        raise InvalidSetting("is no http or https URL of an index")
    if "?" not in url and not url.endswith("/"):
        url += "/"
    return url, credentials


def _credentials(user: str | None, password: str | None) -> BasicCredentials | None:
    if not user and not password:
        return None
    return BasicCredentials(unquote(user or ""), unquote(password or ""))


@dataclass(frozen=True, slots=True)
class HostPolicy:
    """The hosts that an upstream's links and redirects may lead to.

    A file may be anywhere on the public Internet, since its bytes are judged by their hash and nothing of ours is sent there.
    A listing may not, since nothing else verifies it. A private address is different from both: servers there may trust every client
    in their network.

    Attributes:
        url: The upstream's own, as :func:`index_url` returns it.
        hosts: Patterns of further hosts that its listings may be redirected to, and whose addresses may be private; each
            with a port after a colon, or for the usual ports.
        private: Whether any private address is allowed.
    """

    url: str
    hosts: tuple[str, ...] = ()
    private: bool = False

    def refuses_redirect(self, source: str, target: str | None, *, of_file: bool = False) -> str | None:
        """Return why a redirect is not followed; None if it is, to whatever address :meth:`may_be_private` allows."""
        if target is None:
            return "it redirects to what is no http or https URL, or has credentials in it"
        before, after = origin(source), origin(target)
        if before.scheme == "https" and after.scheme == "http":
            return "it redirects from https to http"
        if of_file:
            return None
        file_hosts = KNOWN_HOSTS.get(origin(self.url).host, ()) if after.scheme == "https" else ()
        if after.host not in {before.host, origin(self.url).host, *file_hosts} and not self._is_listed(after):
            return f"it redirects to {after}, which is not in its `hosts`"
        return None

    def refuses_link(self, url: str) -> str | None:
        """Return why clients are not sent to a file's URL; None if they may be.

        Servers in their network may trust them, as they may trust us, and others can see and hold back what comes without TLS.
        """
        where = origin(url)
        if origin(self.url).scheme == "https" and where.scheme == "http":
            return "its URL is http, and that of its index https"
        return self.refuses_file(url)

    def refuses_file(self, url: str) -> str | None:
        """Return why a file is not fetched from a URL; None if it may be, or if that depends on the host's address."""
        where = origin(url)
        if is_surely_private(where.host) and not self.may_be_private(where.host, where.port):
            return f"its URL leads to {where}, which has a private address and is not in its `hosts`"
        return None

    def may_be_private(self, host: str, port: int) -> bool:
        """Return whether a host may have a private address: the upstream itself, and hosts that the operator lists."""
        own, other = origin(self.url), UrlOrigin("", host.lower(), port)
        if self.private:
            return True
        if own.host == other.host and port in {own.port, *_also(own)}:
            return True
        return self._is_listed(other)

    def _is_listed(self, other: UrlOrigin) -> bool:
        return any(_matches(pattern.lower(), other) for pattern in self.hosts)


def _also(own: UrlOrigin) -> tuple[int, ...]:
    """Return further ports of an index, which may be moved to https."""
    return (443,) if (own.scheme, own.port) == ("http", 80) else ()


def _matches(pattern: str, other: UrlOrigin) -> bool:
    host, colon, port = pattern.rpartition(":")
    if colon and port.isdecimal() and (":" not in host or host.startswith("[")):
        return other.port == int(port) and fnmatchcase(other.host, host.strip("[]"))
    return other.port in _PORTS.values() and fnmatchcase(other.host, pattern.strip("[]"))


def is_surely_private(host: str) -> bool:
    """Return whether a host is private by its name alone; its address is looked up by the proxy."""
    if is_address(host):
        return not is_public(host)
    name = host.rstrip(".").lower()
    # The last label of no public name is a number; some resolvers read 0x7f.1 and 2130706433 as addresses.
    last = name.rpartition(".")[2]
    return (
        "." not in name
        or last[:1].isdecimal()
        or last in {"localhost", "local", "internal", "intranet", "lan", "home", "corp", "arpa"}
    )


def proxy_for(url: str, environment: Mapping[str, str]) -> Proxy | None:
    """Find the proxy for a URL in the customary variables; None if it is requested directly.

    Lower-case names come first. ``HTTP_PROXY`` in capitals is not read where this runs as a CGI program, for there a client
    sets it.

    Raises:
        InvalidSetting: The variable names no proxy of the kind that we know.
    """
    where = origin(url)
    if _is_exempt(where, _variable("no_proxy", environment)):
        return None
    text = _variable(f"{where.scheme}_proxy", environment) or _variable("all_proxy", environment)
    if not text:
        return None
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname or "", parts.port
        credentials = _credentials(parts.username, parts.password)
    except ValueError:
        host, parts, port, credentials = "", urlsplit(""), None, None
    if parts.scheme != "http" or not _HOST.fullmatch(host):
        raise InvalidSetting(f"of {where.scheme.upper()}_PROXY is not of the form http://host:port")
    return Proxy(host, port or 80, credentials)


def _variable(name: str, environment: Mapping[str, str]) -> str:
    if name in environment:
        return environment[name].strip()
    if name == "http_proxy" and "REQUEST_METHOD" in environment:
        return ""
    return environment.get(name.upper(), "").strip()


def _is_exempt(where: UrlOrigin, no_proxy: str) -> bool:
    """Return whether NO_PROXY names a host or a domain above it; ``*`` names all."""
    for part in no_proxy.lower().split(","):
        entry = part.strip()
        name, colon, port = entry.rpartition(":")
        if colon and port.isdecimal() and (":" not in name or name.startswith("[")):
            if where.port != int(port):
                continue
            entry = name
        entry = entry.strip("[]").removeprefix("*.").lstrip(".")
        if entry and (entry in {"*", where.host} or where.host.endswith(f".{entry}")):
            return True
    return False
