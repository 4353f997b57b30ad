"""Parse request targets into routes, and make relative URLs between them; pure (docs/operations.md, docs/protocol.md)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote_to_bytes

from simpleindex.core.errors import InvalidProjectName, NotHere
from simpleindex.core.names import ProjectName, parse_project_name
from simpleindex.core.views import MAIN_VIEW
from simpleindex.web.routing.old_urls import PACKAGES, new_path
from simpleindex.web.routing.routes import (
    TRIAL,
    AcmeRoute,
    FileRoute,
    OwnPageRoute,
    ProjectRoute,
    PypiJsonRoute,
    RedirectRoute,
    ReleaseRoute,
    RootRoute,
    Route,
    SiteFileRoute,
    UploadRoute,
)

if TYPE_CHECKING:
    from collections.abc import Collection

# The customary prefix of an index; the same pages lie under it and at the root.
_PREFIX: Final = "simple"


_UPLOAD: Final = "legacy"


_PYPI: Final = "pypi"


_PYPI_JSON: Final = "json"


_OWN: Final = "-"


_WELL_KNOWN: Final = ".well-known"


_INDEX_PAGE: Final = "index.html"


_SITE_FILES: Final = frozenset({"favicon.ico", "robots.txt"})


_OF_WEBSITES: Final = (".ico", ".png", ".txt", ".xml", ".html", ".htm", ".php", ".webmanifest")
"""Ends of names that browsers, crawlers and scanners ask any host for; without a slash behind them they are no projects."""


_LINKED_PAGES: Final = ("why", "ca.pem", "view")
"""Pages below ``/-/`` to which listings link, by one relative URL that holds under every prefix."""


# RFC 3986 sections 3.1 and 3.2: an authority ends where the path or the query begins.
_AUTHORITY: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?]*")


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """Split a request target into path and query; an absolute-form one (RFC 9112 section 3.2.2) loses its authority."""
    authority = None if target.startswith(b"/") else _AUTHORITY.match(target)
    path, _, query = target[authority.end() if authority else 0 :].partition(b"?")
    return (path or b"/") if authority else path, query


def way_to_root(target: bytes) -> str:
    """Return the URL of the index's root relative to a request's, so that it holds below any prefix of a proxy."""
    return "../" * max(split_target(target)[0].count(b"/") - 1, 0) or "./"


def relative_location(target: bytes, location: str) -> str:
    """Return a place of the index relative to the URL of a request (RFC 3986 section 4.2).

    It holds below any prefix that a proxy takes away, and can name no other host. A redirect is never needed behind a
    doubled slash, where clients count the levels in different ways.

    Args:
        target: The request's target.
        location: Path and query below the index's root, with its first slash.
    """
    here = split_target(target)[0].decode("latin-1").split("/")[1:-1]
    target_levels = location[1:].split("/")
    shared = 0
    # The last part of a path is no level.
    while shared < min(len(here), len(target_levels) - 1) and here[shared] == target_levels[shared]:
        shared += 1
    return ("../" * (len(here) - shared) or "./") + "/".join(target_levels[shared:])


def requoted(raw: bytes) -> str:
    """Quote what may not stand in a path or query (RFC 3986 section 3.4), and leave what is quoted as it is."""
    return quote(raw, safe="/?:@!$&'()*+,;=%")


def route(target: bytes, views: Collection[str] = ()) -> Route:
    """Decide what a request target means.

    Args:
        target: As it came.
        views: The names of the views; that of the index at the root may be among them.

    Raises:
        NotHere: It can mean nothing: a name that no project can have, an escaped slash, a climbing path.
    """
    path, query = split_target(target)
    segments = _segments(path)
    if "" in segments[:-1]:
        return _behind_doubled_slashes(segments, views)
    first, prefix = segments[0], ""
    if first == _OWN and len(segments) > 1:
        return _own_route(segments[1:], query, views)
    if first == _UPLOAD and segments[1:] in ([], [""]):
        return UploadRoute()
    if first == _WELL_KNOWN:
        if len(segments) == 3 and segments[1] == "acme-challenge":
            return AcmeRoute(segments[2])
        raise NotHere("page")
    view = MAIN_VIEW
    if first in views and first != MAIN_VIEW:
        view, prefix, segments = first, f"/{first}", segments[1:]
        if not segments:
            return _redirect(f"{prefix}/", query)
    if not prefix and len(segments) == 1 and first in _SITE_FILES:
        return SiteFileRoute(first)
    if segments[0] == _PREFIX:
        segments, prefix = segments[1:], f"{prefix}/{_PREFIX}"
        if not segments:
            return _redirect(f"{prefix}/", query)
    elif segments[0] == _UPLOAD:
        raise NotHere("page")
    if segments[:2] == [_OWN, "view"] and prefix:
        return _own_route(segments[1:], b"", views)
    if segments[0] == _OWN and prefix and segments[1:2] and segments[1] in _LINKED_PAGES:
        return _redirect(
            f"/{'/'.join(map(quote, segments))}", query if view == MAIN_VIEW else f"view={view}".encode()
        )
    return _index_route(segments, prefix, query, view, views)


def _own_route(segments: list[str], query: bytes, views: Collection[str]) -> Route:
    """Read a URL below ``/-/``."""
    if segments[0] == "view" and segments[1:] and segments[1] in {*views, MAIN_VIEW}:
        return _redirect(f"/{segments[1]}/" if segments[1] != MAIN_VIEW else "/", query)
    if segments[0] == TRIAL:
        return _trial_route(segments[1:], views)
    return OwnPageRoute("/".join(segments))


def _index_route(segments: list[str], prefix: str, query: bytes, view: str, views: Collection[str]) -> Route:
    is_simple = prefix.endswith(f"/{_PREFIX}")
    if segments == [""]:
        return RootRoute(view, is_simple)
    if segments == [_INDEX_PAGE]:
        return _redirect(f"{prefix}/", query)
    if len(segments) == 1 and segments[0].lower().endswith(_OF_WEBSITES):
        raise NotHere("page")
    try:
        name = parse_project_name(segments[0])
    except InvalidProjectName:
        raise NotHere("page") from None
    rest = segments[1:]
    if name == _PYPI and _PYPI_JSON in rest[1:] and not is_simple:
        return _pypi_json(rest, prefix, query, view)
    if len(rest) == 2 and rest[0] and not rest[1] and not is_simple:
        return ReleaseRoute(name, rest[0], view)
    if len(rest) > 1 or (rest and rest != [""] and not rest[0]):
        return _old_url(segments, prefix, query, view, views)
    filename = rest[0] if rest else ""
    if name == PACKAGES and filename and not is_simple and new_path(segments, ()) is not None:
        return _old_url(segments, prefix, query, view, views)
    if not rest or name != segments[0] or filename == _INDEX_PAGE:
        if filename == _INDEX_PAGE:
            filename = ""
        if is_reserved_name(name, view, views) and not is_simple:
            # "/Simple/" means a project whose own URL is taken.
            prefix = f"{prefix}/{_PREFIX}"
        return _redirect(f"{prefix}/{name}/{quote(filename)}", query)
    return FileRoute(name, filename, view) if filename else ProjectRoute(name, view, is_simple)


def _pypi_json(rest: list[str], prefix: str, query: bytes, view: str) -> Route:
    """Return the document of PyPI's JSON API that a URL below ``/pypi/`` has; PyPI takes it with a final slash too.

    Raises:
        NotHere: It has none.
    """
    match rest:
        case [project, "json"] | [project, "json", ""]:
            version = None
        case [project, version, "json"] | [project, version, "json", ""] if version:
            pass
        case _:
            raise NotHere("page")
    try:
        name = parse_project_name(project)
    except InvalidProjectName:
        raise NotHere("page") from None
    if name != project:
        path = "/".join(map(quote, (_PYPI, name, *rest[1:])))
        return _redirect(f"{prefix}/{path}", query)
    return PypiJsonRoute(name, version, view)


def _old_url(segments: list[str], prefix: str, query: bytes, view: str, views: Collection[str]) -> Route:
    """Return where a URL of another server leads to.

    Raises:
        NotHere: It is none.
    """
    path = None if prefix.endswith(f"/{_PREFIX}") else new_path(segments, views if view == MAIN_VIEW else ())
    if path is None:
        raise NotHere("page")
    return _redirect(f"{prefix}{path}", query)


def is_reserved_name(name: ProjectName, view: str, views: Collection[str]) -> bool:
    """Whether a project's URL without the customary prefix means something else."""
    return name in (_PREFIX, _UPLOAD) or (view == MAIN_VIEW and name in views and name != MAIN_VIEW)


def _behind_doubled_slashes(segments: list[str], views: Collection[str]) -> Route:
    """Read a listing or a file whose URL was put together with a slash too many, as ``proxy_pass`` and index URLs are.

    Only what is right without the slashes too: it is answered as it is, because its links hold there, and not redirected.
    """
    *levels, last = segments
    path = "/".join(["", *(quote(each, safe="") for each in levels if each), quote(last, safe="")])
    target_route = route(path.encode(), views)
    if not isinstance(target_route, RootRoute | ProjectRoute | FileRoute):
        raise NotHere("page")
    return target_route


def _trial_route(segments: list[str], views: Collection[str]) -> Route:
    """Read a listing or a file below the prefix of trials; their links are relative, so they hold there.

    Raises:
        NotHere: It is something else.
    """
    target_route = route("/".join(["", *(quote(each, safe="") for each in segments)]).encode(), views)
    if isinstance(target_route, FileRoute):
        return replace(target_route, is_trial=True)
    if not isinstance(target_route, RootRoute | ProjectRoute):
        raise NotHere("page")
    return target_route


def is_below_view(target: bytes, views: Collection[str]) -> bool:
    """Return whether a request target lies below the prefix of one of these views."""
    try:
        first = next(filter(None, _segments(split_target(target)[0])), "")
        return first in (set(views) - {MAIN_VIEW})
    except NotHere:
        return False


def _redirect(path: str, query: bytes) -> RedirectRoute:
    return RedirectRoute(path + (f"?{requoted(query)}" if query else ""))


def _segments(path: bytes) -> list[str]:
    """Decode a path's segments, each exactly once (docs/protocol.md, "URLs and redirects")."""
    if not path.startswith(b"/"):
        raise NotHere("page")
    return [_decode(segment) for segment in path[1:].split(b"/")]


def _decode(segment: bytes) -> str:
    try:
        text = unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise NotHere("page") from None
    if text in (".", "..") or "/" in text or "\\" in text or "\0" in text:
        raise NotHere("page")
    return text
