"""Write releases and yanks as an Atom feed (RFC 4287)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote
from uuid import UUID, uuid5
from xml.etree import ElementTree as ET

from simpleindex.core.text import timestamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simpleindex.search.release_events import Event

CONTENT_TYPE: Final = "application/atom+xml; charset=utf-8"

_ATOM: Final = "http://www.w3.org/2005/Atom"
_NAMESPACE: Final = UUID("5ad9f7bc-55ed-5a4e-9d6e-3a8d6d1c5b1f")
"""Of the ids of this program's feeds; a release has the same id in every feed, and at every address of its index."""

# XML can hold no other control characters, not even as references, and no lone surrogates.
_UNWRITABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed.

    Attributes:
        title: What it is about.
        url: Its URL.
        home: The URL of the index's root, or of the view's.
        page: The URL of the page that it is about.
        events: The newest first.
    """

    title: str
    url: str
    home: str
    page: str
    events: Sequence[Event]


def write_feed(feed: Feed) -> bytes:
    """Return a feed as an XML document."""
    ET.register_namespace("", _ATOM)
    root = ET.Element(f"{{{_ATOM}}}feed")
    newest = max((event.time_ns for event in feed.events), default=0)
    _add(root, "id", _id("feed", feed.url))
    _add(root, "title", feed.title)
    _add(root, "updated", timestamp(newest / 1e9))
    ET.SubElement(root, f"{{{_ATOM}}}link", rel="self", href=feed.url)
    ET.SubElement(root, f"{{{_ATOM}}}link", rel="alternate", type="text/html", href=feed.page)
    # Every entry, or else the feed itself, must have an author.
    _add(ET.SubElement(root, f"{{{_ATOM}}}author"), "name", feed.title)
    for event in feed.events:
        _add_entry(root, event, feed.home)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _add_entry(root: ET.Element, event: Event, home: str) -> None:
    entry = ET.SubElement(root, f"{{{_ATOM}}}entry")
    kind, what = ("yank", "was yanked") if event.is_yank else ("release", "")
    moment = timestamp(event.time_ns / 1e9)
    _add(entry, "id", _id(kind, event.project, event.version))
    _add(entry, "title", f"{event.project} {event.version} {what}".rstrip())
    _add(entry, "updated", moment)
    _add(entry, "published", moment)
    url = f"{home}{event.project}/{quote(event.version, safe='')}/"
    ET.SubElement(entry, f"{{{_ATOM}}}link", rel="alternate", type="text/html", href=url)
    if event.text:
        _add(entry, "summary", event.text)


def _add(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, f"{{{_ATOM}}}{name}").text = _UNWRITABLE.sub("\ufffd", text)


def _id(*parts: str) -> str:
    return uuid5(_NAMESPACE, "\n".join(parts)).urn
