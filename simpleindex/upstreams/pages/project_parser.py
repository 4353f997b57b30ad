"""Parse project pages of upstream indexes: JSON and HTML of every age.

Only what is understood passes. Nothing that an upstream does not state is guessed, a malformed value counts as absent, and an invalid
file is withheld, with the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from simpleindex.core import bounds
from simpleindex.core.errors import InvalidProjectName
from simpleindex.core.files import file_order
from simpleindex.core.model import Project, Status, Withheld
from simpleindex.core.names import distribution_suffix, parse_project_name
from simpleindex.core.text import shown
from simpleindex.upstreams.errors import InvalidUpstreamPage
from simpleindex.upstreams.pages.entries import (
    Entry,
    filename_of,
    is_verifiable,
    judged_files,
    printable_text,
)
from simpleindex.upstreams.pages.flat import FLAT_PAGE_NAME
from simpleindex.upstreams.pages.links import why_left_out, withheld_links
from simpleindex.upstreams.pages.page_formats import base_of, is_json, read_html_page, read_json_page
from simpleindex.upstreams.pages.urls import absolute_url, basename

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.core.names import ProjectName
    from simpleindex.upstreams.pages.html import Anchor


def parse_project(
    content_type: str,
    body: bytes,
    url: str,
    name: ProjectName,
    *,
    source: str = "upstream",
) -> Project:
    """Parse a project's page.

    Args:
        content_type: The header.
        body: The page, decoded.
        url: Its final URL, after redirects.
        name: The project.
        source: The name of the upstream.

    Raises:
        InvalidUpstreamPage: It is no listing of this project.
    """
    links: list[tuple[str, str]] = []
    if is_json(content_type):
        page = read_json_page(body)
        _require_name(page, name)
        entries, status = _json_entries(page), _json_status(page)
    else:
        entries, links, metas, url = _html_entries(content_type, body, url)
        status = metas.get("project-status"), metas.get("project-status-reason")
    files, withheld = judged_files(entries, url, name, source)
    withheld += withheld_links(links, source)
    marker = _status(status[0])
    if marker is Status.QUARANTINED:
        withheld += [_quarantined(file.filename, name, source) for file in files]
        files = []
    return Project(
        name=name,
        files=tuple(sorted(files, key=file_order)),
        withheld=tuple(sorted(withheld, key=lambda item: (item.filename, item.reason))),
        status=marker,
        status_reason=printable_text(status[1]) or None,
    )


def _quarantined(filename: str, name: ProjectName, source: str) -> Withheld:
    reason = f"{filename} is not offered: the project {name} is quarantined."
    return Withheld(filename, reason, "status", source)


def parse_flat(content_type: str, body: bytes, url: str, *, source: str = "upstream") -> Project:
    """Parse a flat page, which has the files of many projects, as for pip's ``--find-links``.

    The arguments are those of :func:`parse_project`.

    Returns:
        The page as that of the project :data:`~simpleindex.upstreams.pages.flat.FLAT_PAGE_NAME`; files of no project are left out.

    Raises:
        InvalidUpstreamPage: It is no such page. One without files must say that it is an index, for any other page of a web
            server (an error, a login) would be an empty one.
    """
    links: list[tuple[str, str]] = []
    if is_json(content_type):
        entries = _json_entries(read_json_page(body))
    else:
        entries, links, _, url = _html_entries(content_type, body, url)
    files, withheld = judged_files(entries, url, None, source)
    withheld += withheld_links(links, source)
    return Project(FLAT_PAGE_NAME, tuple(sorted(files, key=file_order)), tuple(withheld))


def _require_name(page: Entry, name: ProjectName) -> None:
    stated = page.get("name")
    try:
        if not isinstance(stated, str) or parse_project_name(stated) == name:
            return
    except InvalidProjectName:
        pass
    raise InvalidUpstreamPage(f"is that of {shown(str(stated))}, not of {name}")


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
        # As in the example of the specification (docs/protocol.md, "JSON pages").
        return meta.get("project-status"), meta.get("project-status-reason")
    return None, None


def _html_entries(
    content_type: str, body: bytes, url: str
) -> tuple[list[Entry], list[tuple[str, str]], Mapping[str, str], str]:
    """Return the entries of a page, its links that are left out, its meta tags, and the base of its URLs."""
    page = read_html_page(content_type, body)
    base = base_of(page, url)
    entries: list[Entry] = []
    links: list[tuple[str, str]] = []
    for anchor in page.anchors:
        place, _, fragment = anchor.href.partition("#")
        # Resolved once: for a directory's listing that is half of the work.
        target = absolute_url(base, place)
        entry = _html_entry(anchor, target, place, fragment)
        if distribution_suffix(filename_of(entry)):
            entries.append(entry)
        elif (left_out := why_left_out(anchor, target)) is not None:
            links.append(left_out)
    if not page.says_index and not entries and not links:
        raise InvalidUpstreamPage("is HTML, but lists no files and does not say that it is an index")
    return entries, links, page.metas, base


def _html_entry(anchor: Anchor, url: str | None, place: str, fragment: str) -> Entry:
    attributes = anchor.attributes
    if bounds.FRAGMENT.excess(len(fragment)):
        fragment = ""
    hashes = dict(part.split("=", 1) for part in fragment.split("&") if "=" in part)
    metadata = attributes.get("data-core-metadata", attributes.get("data-dist-info-metadata", ""))
    size = attributes.get("data-size", "")
    # Not the text, which directory listings cut short; pip too takes the URL's.
    filename = basename(url) if url else unquote(place.partition("?")[0].rpartition("/")[2])
    if url and not filename and is_verifiable(hashes):
        # pip takes the name before a slash at the end; without a hash it could be that of a directory.
        filename = basename(url.partition("?")[0].rstrip("/"))
    return {
        "filename": filename,
        "url": url or place,
        "hashes": hashes,
        "requires-python": attributes.get("data-requires-python"),
        "core-metadata": dict([metadata.split("=", 1)]) if "=" in metadata else None,
        "yanked": attributes.get("data-yanked"),
        "provenance": attributes.get("data-provenance"),
        "size": int(size) if len(size) < 20 and size.isascii() and size.isdecimal() else None,
        "upload-time": attributes.get("data-upload-time"),
    }


def _status(value: object) -> Status:
    try:
        return Status(value)
    except ValueError:
        return Status.ACTIVE
