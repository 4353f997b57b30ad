"""Open an index server over HTTP for ``simpleindex import``: a devpi server, or any simple index."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from simpleindex import __version__
from simpleindex.commands.arguments import complain
from simpleindex.commands.reactor_thread import start_reactor
from simpleindex.core.addresses import is_loopback
from simpleindex.core.errors import InvalidSetting, RefusedStart, SimpleIndexError
from simpleindex.core.text import printable
from simpleindex.migration.devpi_pages import WITHOUT_PROJECTS, parse_indexes, read_answer
from simpleindex.migration.errors import InvalidImportSource
from simpleindex.migration.http_source import DevpiSource, PatientRunner, SimpleIndexSource, unreadable
from simpleindex.service.composition.upstream_secrets import parse_credentials
from simpleindex.system.followed_file import read_text_file
from simpleindex.system.threads import Threads
from simpleindex.upstreams.client import HttpUpstream
from simpleindex.upstreams.client_options import ClientOptions, UpstreamLimits
from simpleindex.upstreams.errors import InvalidUpstreamPage, UpstreamFailed
from simpleindex.upstreams.http.agent import OutgoingAgent, tls_policy
from simpleindex.upstreams.http.logins import FixedLogin
from simpleindex.upstreams.http.page_requests import ACCEPT, PageRequests
from simpleindex.upstreams.http.requests import UpstreamRequests
from simpleindex.upstreams.interface import Validators
from simpleindex.upstreams.pages.roots import parse_root
from simpleindex.upstreams.pages.urls import HostPolicy

if TYPE_CHECKING:
    import argparse
    from threading import Event

    from twisted.web.iweb import IAgent, IPolicyForHTTPS

    from simpleindex.migration.interface import ImportSource
    from simpleindex.upstreams.http.page_requests import UpstreamPage

_DEVPI_ACCEPT: Final = b"application/json, application/vnd.pypi.simple.v1+json;q=0.9, text/html;q=0.8"
_SIMPLE: Final = "simple/"
_DEVPI_SIMPLE: Final = "+simple/"

_LIMITS: Final = UpstreamLimits(idle=30.0, listing=120.0)
"""Nobody waits for a single page of an import."""


@dataclass(frozen=True)
class HttpConnection:
    """What all requests to the other server share.

    Attributes:
        login: The credentials for the server's own origin.
        hosts: Further hosts that its links may lead to.
    """

    agent: IAgent
    login: FixedLogin
    hosts: tuple[str, ...]
    reactor: Any
    threads: Threads

    def upstream(self, url: str) -> HttpUpstream:
        """Return a client of the simple index at a URL."""
        policy, options = HostPolicy(url, self.hosts), _options(url)
        return HttpUpstream(policy, self.agent, self.reactor, self.threads, options=options, login=self.login)

    async def page(self, url: str, accept: bytes = _DEVPI_ACCEPT) -> UpstreamPage:
        """Request a page.

        Raises:
            UpstreamFailed: There is none.
        """
        options = _options(url)
        requests = UpstreamRequests(
            HostPolicy(url, self.hosts), self.agent, self.reactor, self.login, options
        )
        page = await PageRequests(requests, self.reactor, options).get(
            url, Validators(), _LIMITS.projects_bytes, accept=accept
        )
        if page is None:
            raise requests.failed("it has no page there (404)")
        return page

    async def body(self, url: str) -> bytes:
        """Request a page's body; errors as for :meth:`page`."""
        return (await self.page(url)).body


def open_http_source(url: str, given: argparse.Namespace, stopping: Event) -> ImportSource:
    """Return the reader of the index server at a URL.

    Args:
        url: With a slash at its end.
        given: The options of the command.
        stopping: Set when the import is to end.

    Raises:
        RefusedStart: An option is not valid.
        InvalidImportSource: It is no index, or cannot be read.
    """
    login, policy = _login(given.login_file, url), _tls(given.cert)
    thread = start_reactor()
    threads = Threads(thread.reactor, "import", 2)
    threads.start()
    hosts = tuple(given.hosts)
    agent = OutgoingAgent(thread.reactor, HostPolicy(url, hosts), policy, os.environ)
    connection = HttpConnection(agent, login, hosts, thread.reactor, threads)
    return recognized(url, given.kind, connection, PatientRunner(thread.run, stopping.wait))


def recognized(url: str, kind: str | None, connection: HttpConnection, run: PatientRunner) -> ImportSource:
    """Return the reader of the index server at a URL: a devpi server says that it is one.

    Args:
        url: With a slash at its end.
        kind: ``devpi`` or ``simple``; None to find out.
        connection: Makes requests.
        run: Runs them.

    Raises:
        InvalidImportSource: It is no index, or cannot be read.
    """
    index = url.removesuffix(_DEVPI_SIMPLE)
    if kind != "simple" and (kind == "devpi" or _is_devpi(index, connection, run)):
        return DevpiSource(connection.upstream(f"{index}{_DEVPI_SIMPLE}"), run, index, connection.body)
    url = _simple_url(url, connection, run)
    return SimpleIndexSource(connection.upstream(url), run, url)


def _is_devpi(url: str, connection: HttpConnection, run: PatientRunner) -> bool:
    try:
        kind, result = read_answer(run.once(partial(connection.body, f"{url}{WITHOUT_PROJECTS}")))
    except UpstreamFailed:
        # The error is that of the simple index.
        return False
    if kind in ("list:userconfig", "userconfig"):
        indexes = parse_indexes(result if kind == "list:userconfig" else {"": result})
        names = ", ".join(f"{url}{printable(name).lstrip('/')}/" for name in indexes) or "none"
        raise InvalidImportSource(f"{url} is a devpi server with several indexes; name one of them: {names}.")
    return kind == "indexconfig"


def _simple_url(url: str, connection: HttpConnection, run: PatientRunner) -> str:
    """Return the URL of a server's simple index: the page below it that lists projects, or else the URL itself."""
    if url.endswith(_SIMPLE):
        return url
    below = f"{url}{_SIMPLE}"
    try:
        page: UpstreamPage = run.once(partial(connection.page, below, ACCEPT))
        if parse_root(page.content_type, page.body, page.url).names:
            return below
    except (UpstreamFailed, InvalidUpstreamPage) as error:
        if isinstance(error, UpstreamFailed) and "credentials" in error.reason:
            raise unreadable(below, error) from None
    return url


def _options(url: str) -> ClientOptions:
    name = urlsplit(url).hostname or url
    return ClientOptions(name, _LIMITS, lists=True, user_agent=f"simpleindex/{__version__}")


def _login(path: str | None, url: str) -> FixedLogin:
    if path is None:
        return FixedLogin()
    try:
        credentials = parse_credentials(read_text_file(path))
    except OSError as error:
        raise RefusedStart(f"--login-file: {path} cannot be read: {error.strerror}") from None
    except SimpleIndexError:
        raise RefusedStart(f"--login-file: {path} does not hold user:password") from None
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "http" and not (host == "localhost" or is_loopback(host)):
        complain(f"The password travels to {host} over plain HTTP, where others can read it.")
    return FixedLogin(credentials)


def _tls(path: str | None) -> IPolicyForHTTPS:
    try:
        return tls_policy(None if path is None else read_text_file(path))
    except OSError as error:
        raise RefusedStart(f"--cert: {path} cannot be read: {error.strerror}") from None
    except InvalidSetting as error:
        raise RefusedStart(f"--cert: {path} {error.reason}") from None
