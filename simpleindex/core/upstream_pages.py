"""Listings of other indexes, understood: JSON and HTML of every age, and nothing of theirs that a client could not bear.

Only what is understood passes. What an upstream does not state is not guessed, what it states wrongly is as if it were not
stated, and a file that cannot be what it seems is withheld, with the reason.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from simpleindex.core.errors import InvalidProjectName, InvalidUpstreamPage
from simpleindex.core.flat import FLAT_PAGE
from simpleindex.core.metadata import shown
from simpleindex.core.model import Project, Status, Withheld, file_order
from simpleindex.core.names import distribution_suffix, parse_project_name
from simpleindex.core.upstream_files import LONGEST_FILENAME, Entry, filename_of, judged_files, text_of
from simpleindex.core.upstream_html import Page, read_html
from simpleindex.core.upstream_urls import absolute_url, basename

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from simpleindex.core.names import ProjectName

MOST_VALUES: Final = 4_000_000
"""Values in a JSON page. A file has some 12, a project in the root page 3; a tiny one costs 72 bytes of memory."""

_JSON: Final = frozenset({"application/vnd.pypi.simple.v1+json", "application/json"})
_HTML: Final = frozenset({"application/vnd.pypi.simple.v1+html", "text/html", "application/xhtml+xml"})

# Those in which pages are written. Python has other codecs, some of which are none of text, or warn.
_CHARSET: Final = re.compile(
    r"charset\s*=\s*\"?(utf-8|us-ascii|iso-8859-(?:[1-9]|1[013-6])|windows-125[0-8])(?![\w-])",
    re.IGNORECASE | re.ASCII,
)


def parse_project(
    content_type: str,
    body: bytes,
    url: str,
    name: ProjectName,
    *,
    source: str = "upstream",
) -> Project:
    """Understand a project's page.

    Args:
        content_type: The header.
        body: All of the page, decoded.
        url: Where it came from in the end, after redirects.
        name: Whose page it should be.
        source: What the upstream is called.

    Raises:
        InvalidUpstreamPage: It is no listing of this project.
    """
    if _is_json(content_type):
        page = _read_json(body)
        _require_name(page, name)
        entries, status = _json_entries(page), _json_status(page)
    else:
        entries, metas, url = _html_entries(content_type, body, url)
        status = metas.get("project-status"), metas.get("project-status-reason")
    files, withheld = judged_files(entries, url, name, source)
    marker = _status(status[0])
    if marker is Status.QUARANTINED:
        withheld += [
            Withheld(
                file.filename,
                f"{file.filename} is not offered: the project {name} is quarantined.",
                "status",
                source,
            )
            for file in files
        ]
        files = []
    return Project(
        name=name,
        files=tuple(sorted(files, key=file_order)),
        withheld=tuple(sorted(withheld, key=lambda item: (item.filename, item.reason))),
        status=marker,
        status_reason=text_of(status[1]) or None,
    )


def parse_flat(content_type: str, body: bytes, url: str, *, source: str = "upstream") -> Project:
    """Understand a page with the files of many projects, as for pip's ``--find-links``.

    The arguments are those of :func:`parse_project`.

    Returns:
        The page as if it were that of the project :data:`~simpleindex.core.flat.FLAT_PAGE`; what is no file of any is left out.

    Raises:
        InvalidUpstreamPage: It is no such page. One without files must say that it is an index, for any other page of a web
            server (an error, a login) would be an empty one.
    """
    if _is_json(content_type):
        entries = _json_entries(_read_json(body))
    else:
        entries, _, url = _html_entries(content_type, body, url)
    files, _ = judged_files(entries, url, None, source)
    return Project(FLAT_PAGE, tuple(sorted(files, key=file_order)))


def parse_projects(content_type: str, body: bytes, url: str) -> tuple[ProjectName, ...]:
    """Understand the page of all projects; the arguments are those of :func:`parse_project`.

    Raises:
        InvalidUpstreamPage: It is no list of projects.
    """
    if _is_json(content_type):
        page = _read_json(body)
        projects = page.get("projects")
        if not isinstance(projects, list):
            raise InvalidUpstreamPage("is JSON, but has no list of projects")
        return _names(each.get("name") for each in projects if isinstance(each, dict))
    html = _read_html(content_type, body)
    base = _base(html, url)
    if not html.anchors and not html.says_index:
        raise InvalidUpstreamPage("is HTML, but has no links and does not say that it is an index")
    here = urlsplit(base).path
    found = []
    for anchor in html.anchors:
        target = absolute_url(base, anchor.href)
        # Directory listings link to their parents, and to themselves in other orders.
        if target is not None and not here.startswith(urlsplit(target).path):
            found.append(basename(target.partition("?")[0].rstrip("/")) or anchor.text)
    return _names(found)


def is_html(content_type: str) -> bool:
    """Whether a page of this type is read as HTML, whose end could be missing without being missed."""
    return content_type.partition(";")[0].strip().lower() in _HTML


# -- what it is ---------------------------------------------------------------------------------------------------------


def _is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in _JSON | _HTML:
        raise InvalidUpstreamPage(
            f"has the type {shown(media_type)}, not one of an index" if media_type else "states no type"
        )
    return media_type in _JSON


def _read_json(body: bytes) -> dict[str, Any]:
    if body.count(b",") + body.count(b"[") + body.count(b"{") > MOST_VALUES:
        raise InvalidUpstreamPage(f"has more than {MOST_VALUES:,} values")
    try:
        page = json.loads(body.decode("utf-8-sig"))
    # A ValueError is also Python's word for a number of more than 4,300 digits.
    except (ValueError, RecursionError):
        raise InvalidUpstreamPage("is no JSON") from None
    if not isinstance(page, dict):
        raise InvalidUpstreamPage("is JSON, but no object")
    meta = page.get("meta")
    _require_version(meta.get("api-version") if isinstance(meta, dict) else None)
    return page


def _read_html(content_type: str, body: bytes) -> Page:
    charset = _CHARSET.search(content_type)
    page = read_html(body.decode(charset[1] if charset else "utf-8", "replace"))
    _require_version(page.metas.get("repository-version"))
    return page


def _require_version(version: object) -> None:
    """A client must fail at a major version that it does not know (PEP 629)."""
    if isinstance(version, str) and re.match(r"\s*\d", version) and not re.match(r"\s*1(\D|\Z)", version):
        raise InvalidUpstreamPage(f"is of version {shown(version)} of the protocol, not 1")


def _require_name(page: Entry, name: ProjectName) -> None:
    stated = page.get("name")
    try:
        if not isinstance(stated, str) or parse_project_name(stated) == name:
            return
    except InvalidProjectName:
        pass
    raise InvalidUpstreamPage(f"is that of {shown(str(stated))}, not of {name}")


def _base(page: Page, url: str) -> str:
    return (absolute_url(url, page.base) if page.base else None) or url


# -- entries: both forms in the shape of JSON's ---------------------------------------------------------------------------


def _json_entries(page: Entry) -> list[Entry]:
    files = page.get("files")
    if not isinstance(files, list):
        raise InvalidUpstreamPage("is JSON, but has no list of files")
    return [entry for entry in files if isinstance(entry, dict)]


def _json_status(page: Entry) -> tuple[Any, Any]:
    marker, meta = page.get("project-status"), page.get("meta")
    if isinstance(marker, dict):
        return marker.get("status"), marker.get("reason")
    if isinstance(meta, dict):
        # So in the example of the specification (SPEC J8).
        return meta.get("project-status"), meta.get("project-status-reason")
    return None, None


def _html_entries(content_type: str, body: bytes, url: str) -> tuple[list[Entry], Mapping[str, str], str]:
    """The files of a page, what it says of itself, and what their URLs are relative to."""
    page = _read_html(content_type, body)
    base = _base(page, url)
    entries = [_html_entry(anchor.href, anchor.attributes, base) for anchor in page.anchors]
    if not page.says_index and not any(distribution_suffix(filename_of(entry)) for entry in entries):
        raise InvalidUpstreamPage("is HTML, but lists no files and does not say that it is an index")
    return entries, page.metas, base


def _html_entry(href: str, attributes: Mapping[str, str], base: str) -> Entry:
    place, _, fragment = href.partition("#")
    hashes = dict(part.split("=", 1) for part in fragment.split("&") if "=" in part)
    metadata = attributes.get("data-core-metadata", attributes.get("data-dist-info-metadata", ""))
    size = attributes.get("data-size", "")
    url = absolute_url(base, place)
    return {
        # Not the text, which directory listings cut short; pip too takes the URL's.
        "filename": basename(url) if url else unquote(place.partition("?")[0].rpartition("/")[2]),
        # Resolved once: for a directory's listing that is half of the work.
        "url": url or place,
        "hashes": hashes,
        "requires-python": attributes.get("data-requires-python"),
        "core-metadata": dict([metadata.split("=", 1)]) if "=" in metadata else None,
        "yanked": attributes.get("data-yanked"),
        "provenance": attributes.get("data-provenance"),
        "size": int(size) if len(size) < 20 and size.isascii() and size.isdecimal() else None,
        "upload-time": attributes.get("data-upload-time"),
    }


# -- names ----------------------------------------------------------------------------------------------------------------


def _status(value: object) -> Status:
    try:
        return Status(value)
    except ValueError:
        return Status.ACTIVE


def _names(texts: Iterable[object]) -> tuple[ProjectName, ...]:
    names = set()
    for text in texts:
        if isinstance(text, str) and len(text) <= LONGEST_FILENAME:
            try:
                names.add(parse_project_name(text))
            except InvalidProjectName:
                continue
    return tuple(sorted(names))
