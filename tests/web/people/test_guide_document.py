"""Guides as HTML: their links, sections and tables."""

from __future__ import annotations

from functools import cache
from urllib.parse import urldefrag, urljoin

from simpleindex.system.guides import document, read_documents
from simpleindex.web.people.guide_document import Section, arranged, guide_document
from tests.fixtures.people_site import Document
from tests.fixtures.tables import for_each
from tests.test_documents import slugs


@cache
def page(topic: str) -> Document:
    """Return the page of a guide."""
    text = document(topic)
    assert text is not None, topic
    return Document(f"<main>{guide_document(text).html}</main>")


def anchors(topic: str) -> list[str]:
    """Return what fragments of links to a guide can name."""
    return [each.attributes["id"] for each in page(topic).elements if "id" in each.attributes]


@for_each("topic", read_documents())
def test_headings_have_the_anchors_that_code_hosts_give_them(topic: str) -> None:
    """So a link in a file leads to a section on a code host, and on the index."""
    assert anchors(topic) == slugs(read_documents()[topic])


@for_each("topic", read_documents())
def test_every_link_leads_to_a_guide_and_a_section(topic: str) -> None:
    broken = []
    for link in page(topic).all("a"):
        target, fragment = urldefrag(
            urljoin(f"https://index.example/-/docs/{topic}", link.attributes["href"])
        )
        other = target.removeprefix("https://index.example/-/docs/")
        if other == target and "index.example" not in target:
            continue
        if document(other) is None or (fragment and fragment not in anchors(other.removesuffix(".md"))):
            broken.append(link.attributes["href"])
    assert not broken


@for_each("topic", read_documents())
def test_the_list_of_sections_leads_to_them(topic: str) -> None:
    """Of a guide that is long; others have none."""
    sections = guide_document(read_documents()[topic]).sections
    headings = [each.attributes["id"] for each in page(topic).all("h2")]
    assert [section.anchor for section in sections] == (headings if len(headings) >= 5 else [])


def test_anchors_of_both_versions_of_the_renderer() -> None:
    """On the heading, or on the empty link in it."""
    for heading in (
        '<h2 id="user-content-a-b">A <code>b</code><a href="#user-content-a-b" rel="nofollow"></a></h2>',
        '<h2><a href="#a-b" id="user-content-a-b" rel="nofollow"></a>A <code>b</code></h2>',
    ):
        guide = arranged(heading * 5)
        assert guide.sections == (Section("a-b", "A b"),) * 5
        assert guide.html.startswith(
            '<h2 id="a-b">A <code class="short">b</code><a class="anchor" href="#a-b"'
        )


def test_tables_scroll_by_themselves() -> None:
    """With a finger, and with the keys of somebody who has no mouse; the page stays where it is."""
    guide = guide_document("|a|b|\n|-|-|\n|1|`--acme-name`|\n")
    assert '<div class="wide" tabindex="0"><table>' in guide.html
    assert guide.html.rstrip().endswith("</table></div>")
    assert '<code class="short">--acme-name</code>' in guide.html


@for_each("topic", read_documents())
def test_the_language_of_a_program_is_not_that_of_speech(topic: str) -> None:
    assert [each for each in page(topic).elements if "lang" in each.attributes] == []
