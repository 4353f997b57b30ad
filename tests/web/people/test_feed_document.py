"""Atom feeds, as RFC 4287 wants them."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from simpleindex.core.names import ProjectName
from simpleindex.search.release_events import Event
from simpleindex.web.people.feed_document import Feed, write_feed

ATOM = "{http://www.w3.org/2005/Atom}"
NEW = Event(ProjectName("acme"), "1!2.0", is_yank=False, time_ns=86_400 * 10**9, text="Rockets & <traps>")
YANKED = Event(ProjectName("acme"), "1!2.0", is_yank=True, time_ns=2 * 86_400 * 10**9, text="")


def parsed(
    *events: Event, url: str = "https://index.example/-/feed.xml", title: str = "Packages"
) -> ET.Element:
    """A feed of these events."""
    return ET.fromstring(
        write_feed(Feed(title, url, "https://index.example/", "https://index.example/acme/", events))
    )


def texts(element: ET.Element) -> dict[str, str | None]:
    """The texts of an element's children, by name."""
    return {child.tag.removeprefix(ATOM): child.text for child in element if len(child) == 0 and child.text}


def test_a_feed() -> None:
    feed = parsed(YANKED, NEW)
    assert feed.tag == f"{ATOM}feed"
    assert texts(feed)["title"] == "Packages"
    assert texts(feed)["updated"] == "1970-01-03T00:00:00Z"
    assert {link.attrib["rel"]: link.attrib["href"] for link in feed.findall(f"{ATOM}link")} == {
        "self": "https://index.example/-/feed.xml",
        "alternate": "https://index.example/acme/",
    }
    assert feed.find(f"{ATOM}author/{ATOM}name") is not None


def test_entries() -> None:
    yanked, new = parsed(YANKED, NEW).findall(f"{ATOM}entry")
    assert texts(new)["title"] == "acme 1!2.0"
    assert texts(new)["summary"] == "Rockets & <traps>"
    assert texts(new)["updated"] == texts(new)["published"] == "1970-01-02T00:00:00Z"
    link = new.find(f"{ATOM}link")
    assert link is not None
    assert link.attrib["href"] == "https://index.example/acme/1%212.0/"
    assert texts(yanked)["title"] == "acme 1!2.0 was yanked"
    assert "summary" not in texts(yanked)


def test_ids_are_stable() -> None:
    """A reader's program knows by them what it has shown: they depend on nothing but the release."""
    yanked, new = (texts(entry)["id"] for entry in parsed(YANKED, NEW).findall(f"{ATOM}entry"))
    assert new == "urn:uuid:f0e79eb3-8bab-5ad5-9b01-d13312cba8a0"
    assert yanked != new
    other = parsed(NEW, url="https://other.example/acme/feed.xml")
    assert texts(other.findall(f"{ATOM}entry")[0])["id"] == new
    assert texts(other)["id"] != texts(parsed(NEW))["id"]


def test_an_empty_feed_is_one() -> None:
    assert texts(parsed())["updated"] == "1970-01-01T00:00:00Z"


@given(st.text(max_size=50), st.text(max_size=50))
def test_whatever_stands_in_it_is_text(text: str, title: str) -> None:
    event = Event(ProjectName("acme"), "1.0", is_yank=True, time_ns=0, text=text)
    feed = parsed(event, title=title)
    entry = feed.findall(f"{ATOM}entry")[0]
    assert {child.tag.removeprefix(ATOM) for child in entry} <= {
        *("id", "title", "updated", "published", "link", "summary")
    }
