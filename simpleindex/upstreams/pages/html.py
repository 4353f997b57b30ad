"""Read an index's HTML: its anchors, its base and its meta tags.

Not the library's parser: that takes 16 seconds for 24 KB of unfinished tags, twice as much four times as long (tried with
Python 3.11.7), and this text is written by strangers. Here every character is looked at a bounded number of times.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import Final

from simpleindex.core import bounds
from simpleindex.upstreams.errors import InvalidUpstreamPage

# A "<" outside of quotes ends the attempt. Of any three attempts that reach one, at most two are within quotes there.
# A quote that never closes reaches to the end of the page, where no ">" is.
_TAG: Final = re.compile(r"""<(/?)([A-Za-z][A-Za-z0-9]*+)((?:[^<>"']++|"[^"]*+"?+|'[^']*+'?+)*+)>""")
_ATTRIBUTE: Final = re.compile(
    r"""([^\s"'<>/=]++)(?>(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'<>]++)))?)""", re.ASCII
)
_LONG_REFERENCE: Final = re.compile(f"&#[xX]?+[0-9a-fA-F]{{{bounds.CHARACTER_REFERENCE.most + 1},}}+;?+")
# What is in these is no markup.
_RAW: Final = {
    name: re.compile(f"</{name}[\\s>/]", re.IGNORECASE | re.ASCII)
    for name in ("script", "style", "textarea", "title", "template")
}
_META: Final = "pypi:"

# How the pages of indexes and directories that are older than the meta tag announce themselves.
_INDEX_WORDS: Final = re.compile(
    r"links for|index of|directory listing|simple index|package index", re.IGNORECASE
)
_WORDS_WITHIN: Final = 16 * 1024
_TAIL: Final = 1024


@dataclass(frozen=True, slots=True)
class Anchor:
    """A link.

    Attributes:
        href: Where it leads, as it is written.
        text: Its text up to the first tag in it.
        attributes: All of them, names in lower case; one without a value has an empty one.
    """

    href: str
    text: str
    attributes: dict[str, str]


@dataclass(slots=True)
class Page:
    """A page of HTML.

    Attributes:
        anchors: In their order.
        base: Of the first base tag; empty if there is none.
        metas: The content of each meta tag whose name begins with "pypi:", by the rest of the name.
        says_index: Whether it announces itself as an index or a directory.
    """

    anchors: list[Anchor] = field(default_factory=list)
    base: str = ""
    metas: dict[str, str] = field(default_factory=dict)
    says_index: bool = False


def read_html(text: str) -> Page:
    """Read a page, whatever it is.

    Raises:
        InvalidUpstreamPage: It exceeds a bound.
    """
    page = Page()
    position = 0
    while (start := text.find("<", position)) >= 0:
        if text.startswith("<!--", start):
            end = text.find("-->", start + 4)
            if end < 0:
                break
            position = end + 3
            continue
        match = _TAG.match(text, start)
        if match is None:
            position = start + 1
            continue
        position = match.end()
        closes, name = bool(match[1]), match[2].lower()
        if closes:
            continue
        if name in _RAW:
            end_tag = _RAW[name].search(text, position)
            if end_tag is None:
                break
            position = end_tag.start()
        elif name in {"a", "base", "meta"}:
            _take(page, name, _attributes(match[3]), text, position)
    page.says_index = "repository-version" in page.metas or bool(_INDEX_WORDS.search(text[:_WORDS_WITHIN]))
    return page


def _take(page: Page, name: str, attributes: dict[str, str], text: str, position: int) -> None:
    if name == "a" and "href" in attributes:
        if excess := bounds.PAGE_LINKS.excess(len(page.anchors) + 1):
            raise InvalidUpstreamPage(f"cannot be read: {excess}")
        end = text.find("<", position)
        inner = text[position : end if end >= 0 else len(text)]
        page.anchors.append(Anchor(attributes["href"], _unescaped(inner).strip(), attributes))
    elif name == "base":
        page.base = page.base or attributes.get("href", "")
    elif name == "meta":
        key = attributes.get("name", "").lower()
        if key.startswith(_META):
            page.metas.setdefault(key.removeprefix(_META), attributes.get("content", ""))
            if excess := bounds.PAGE_METAS.excess(len(page.metas)):
                raise InvalidUpstreamPage(f"cannot be read: {excess}")


def _attributes(text: str) -> dict[str, str]:
    attributes: dict[str, str] = {}
    for number, match in enumerate(_ATTRIBUTE.finditer(text), 1):
        if excess := bounds.TAG_ATTRIBUTES.excess(number):
            raise InvalidUpstreamPage(f"cannot be read: {excess}")
        # The first of two counts, as in every browser.
        attributes.setdefault(match[1].lower(), _unescaped(match[2] or match[3] or match[4] or ""))
    return attributes


def _unescaped(text: str) -> str:
    """Replace character references; one whose number is beyond all bounds is that of no character."""
    return html.unescape(_LONG_REFERENCE.sub("\ufffd", text) if "&#" in text else text)


def ends(page: bytes) -> bool:
    """Return whether a page has its last tag; one without may be cut short."""
    tail = page[-_TAIL:].lower()
    return b"</html>" in tail or b"</body>" in tail
