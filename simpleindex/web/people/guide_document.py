"""A guide as HTML: anchors as on code hosts, a list of its sections, and tables that scroll by themselves. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from re import Match

# The example files are in the package, and not served.
_EXAMPLE: Final = re.compile(r"\[([^\]\[]+)\]\((?:\.\./)+(deploy/[^)(]+)\)")

_PREFIX: Final = "user-content-"
"""What ``readme_renderer`` puts before anchors, which on its other pages could be those of strangers."""
_HEADING: Final = re.compile(r"<h([1-6])[^>]*>(.*?)</h\1>")
_ID: Final = re.compile(r' id="([^"]*)"')
_EMPTY_LINK: Final = re.compile(r"<a [^<>]*></a>")
_TAG: Final = re.compile(r"<[^<>]*>")
# An option that is broken at its hyphens is hard to read; what is longer than a line of a phone has to break.
_SHORT_CODE: Final = re.compile(r"<code>([^\s<>]{1,30})</code>")

# That of a program, which a screen reader would try to speak.
_LANGUAGE: Final = re.compile(r'<pre lang="[^"]*">')

_MANY_SECTIONS: Final = 5
"""From here on a guide shows a list of its sections: those with fewer are shorter than three screens of a laptop."""


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a guide.

    Attributes:
        anchor: The fragment of links to it.
        heading: HTML.
    """

    anchor: str
    heading: str


@dataclass(frozen=True, slots=True)
class GuideDocument:
    """A guide as a page shows it.

    Attributes:
        html: The guide.
        sections: What the list of sections names; empty for short guides.
    """

    html: str
    sections: tuple[Section, ...]


def guide_document(text: str) -> GuideDocument:
    """Return a guide as a page shows it.

    Args:
        text: Markdown, of the package's own; links between guides are relative, and lead from page to page as they are.
    """
    from readme_renderer import markdown  # noqa: PLC0415  (only people read guides)

    return arranged(markdown.render(_EXAMPLE.sub(r"\1 (`\2` in the package)", text)) or "")


def arranged(html: str) -> GuideDocument:
    """Return what ``readme_renderer`` made of a guide, with its sections and with tables that scroll."""
    html = _LANGUAGE.sub("<pre>", html.replace(_PREFIX, ""))
    headings = [heading for heading in _HEADING.finditer(html) if heading[1] == "2"]
    sections = tuple(Section(_anchor(each), _TAG.sub("", each[2]).strip()) for each in headings)
    html = _HEADING.sub(_linked_heading, html)
    html = _SHORT_CODE.sub(r'<code class="short">\1</code>', html)
    # A box that scrolls is reached with the keyboard only if it can be focused.
    html = html.replace("<table>", '<div class="wide" tabindex="0"><table>')
    html = html.replace("</table>", "</table></div>")
    return GuideDocument(html, sections if len(sections) >= _MANY_SECTIONS else ())


def _anchor(heading: Match[str]) -> str:
    # On the heading itself or on the empty link in it, according to the version of the renderer.
    found = _ID.search(heading[0])
    return found[1] if found else ""


def _linked_heading(heading: Match[str]) -> str:
    level, anchor, content = heading[1], _anchor(heading), _EMPTY_LINK.sub("", heading[2])
    if level == "1" or not anchor:
        return f"<h{level}>{content}</h{level}>"
    link = f'<a class="anchor" href="#{anchor}" aria-label="Link to this section"></a>'
    return f'<h{level} id="{anchor}">{content}{link}</h{level}>'
