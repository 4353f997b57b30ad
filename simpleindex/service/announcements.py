"""The order of the lines in the log at the start; most are written by the part that they are about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpleindex.config.options import DEFAULT_TITLE
from simpleindex.core.text import plural
from simpleindex.service.directory_report import catalogue_lines, install_lines, live_report
from simpleindex.service.ports.listening import where
from simpleindex.system.extras import missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from twisted.internet.interfaces import IListeningPort

    from simpleindex.config.settings import Settings
    from simpleindex.service.composition.directory import ServedDirectory
    from simpleindex.service.composition.index import ComposedIndex


def listening_lines(
    index: ComposedIndex, settings: Settings, ports: Iterable[tuple[str, IListeningPort]]
) -> Iterator[str]:
    """Return lines about ports, upstreams, hooks and certificates."""
    if settings.defaulted_http:
        yield "Neither --https nor --http is given: listening on this machine only, without TLS."
    for option, port in ports:
        redirects = " (redirects to HTTPS)" if option == "http" and settings.redirect_http else ""
        yield f"Serving {settings.bucket or settings.path} on {where(port)} for {option}{redirects}."
    if index.search is None and (settings.notice or settings.title != DEFAULT_TITLE):
        yield f"--title and --notice are shown on the pages for people: {missing('jinja2', 'pages')}"
    if index.sources.upstreams is not None:
        yield from index.sources.upstreams.lines()
    if index.hooks is not None:
        yield index.hooks.line()
    if index.security is not None:
        yield from index.security.lines()
    if index.acme is not None:
        yield from index.acme.lines(settings)


def client_lines(index: ComposedIndex, settings: Settings, base_url: str, *, examines: bool) -> Iterator[str]:
    """Return lines about uploads, and about clients that install.

    Args:
        index: The index.
        settings: The settings in force.
        base_url: The URL of the index.
        examines: Whether files can be examined; without that there are no uploads.
    """
    if index.logins is not None and examines:
        who = f"the rules of {settings.access}" if settings.access else "everybody who can log in"
        users = index.logins.users
        count = "" if users is None else f"; {settings.users} has {plural(len(users().hashes), 'user')}"
        yield f"Uploads are taken at {base_url}legacy/ by {who}{count}."
    yield from installation_lines(index, base_url)


def installation_lines(index: ComposedIndex, base_url: str) -> Iterator[str]:
    """Return lines about how to install from the index."""
    security = index.security
    if security is None:
        yield from install_lines(base_url, None, None)
    elif index.acme is not None and index.acme.is_awaited and security.ca_path is not None:
        # What follows is about to change: nobody should give the private CA to clients elsewhere.
        yield f"Until the certificate is there: pip install --cert {security.ca_path} --index-url {base_url}simple/ PACKAGE"
    else:
        yield from install_lines(base_url, security.ca_path, security.ca_fingerprint)


def log_catalogue(directory: ServedDirectory) -> None:
    """Log what a directory serves and what not, once it has been read."""
    report = live_report(directory.live, directory.choice.method)
    passed_over = {str(item) for item in report.passed_over}
    for line in catalogue_lines(report, directory.path):
        # Withheld files have been named as they were found.
        if not line.startswith("Withheld: "):
            write = directory.log.warn if line in passed_over else directory.log.info
            write("{line}", line=line)
