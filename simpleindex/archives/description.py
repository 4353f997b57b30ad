"""Render descriptions of projects to HTML that is safe to show: Markdown, reStructuredText and plain text.

In examining processes, with limits: elements that are nested 100,000 deep, or replacements within replacements, take for ever.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

import nh3

if TYPE_CHECKING:
    from collections.abc import Callable

# In what nh3 writes, a value is in double quotes and may hold a bare ">".
_IMAGE: Final = re.compile(r"<img\b((?:[^<>\"]|\"[^\"]*+\"?+)*+)>")
_ALT: Final = re.compile(r"\balt=\"([^\"]*)\"")

_TAGS: Final = frozenset(
    {
        *(
            "a",
            "abbr",
            "b",
            "blockquote",
            "br",
            "caption",
            "cite",
            "code",
            "dd",
            "del",
            "details",
            "div",
            "dl",
            "dt",
            "em",
        ),
        *(
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "hr",
            "i",
            "kbd",
            "li",
            "ol",
            "p",
            "pre",
            "span",
            "strong",
            "sub",
            "summary",
        ),
        *("sup", "table", "tbody", "td", "th", "thead", "tr", "tt", "ul", "var"),
    }
)
_ATTRIBUTES: Final = {
    "a": {"href", "title"},
    "ol": {"start"},
    "td": {"colspan", "rowspan"},
    "span": {"class"},
}
_SCHEMES: Final = ("http://", "https://", "mailto:")
_EMPTY_ANCHOR: Final = re.compile(r"<a(?: rel=\"[^\"]*\")?></a>")
_IMAGE_CLASS: Final = "image"

_CLASSES: Final = frozenset({_IMAGE_CLASS})


@dataclass(frozen=True, slots=True)
class RenderedDescription:
    """A description as HTML.

    Attributes:
        html: Sanitized: no scripts, styles, forms, images, or ids.
        has_images: Whether there were images, which are replaced by their texts.
    """

    html: str
    has_images: bool


def render_description(text: str, content_type: str) -> RenderedDescription:
    """Render a description.

    Args:
        text: The description, of a bounded size.
        content_type: Its content type; reStructuredText if there is none (PyPUG "core-metadata").
    """
    try:
        html = _renderer(content_type)(text)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  (docutils 0.22 raises KeyError for a replacement within a replacement that is nowhere)
        html = None
    if html is None:
        html = _renderer("text/plain")(text) or f"<pre>{escape(text)}</pre>"
    replaced, count = _IMAGE.subn(_image_text, html)
    return RenderedDescription(_EMPTY_ANCHOR.sub("", _sanitize(replaced)), count > 0)


def render_notice(text: str) -> str:
    """Render a notice of the operator, in Markdown."""
    return _sanitize(_IMAGE.sub(_image_text, _renderer("text/markdown")(text) or ""))


def _renderer(content_type: str) -> Callable[[str], str | None]:
    """Return the function that renders a content type.

    Its library is imported only now: with docutils a start would take 40 ms longer, of 500.
    """
    match content_type.partition(";")[0].strip().lower():
        case "text/markdown":
            from readme_renderer import markdown  # noqa: PLC0415

            return markdown.render
        case "text/plain":
            from readme_renderer import txt  # noqa: PLC0415

            return txt.render
    from readme_renderer import rst  # noqa: PLC0415

    return rst.render


def _sanitize(html: str) -> str:
    return nh3.clean(
        html,
        tags=set(_TAGS),
        attributes=_ATTRIBUTES,
        attribute_filter=_filter_attribute,
        link_rel="nofollow noopener noreferrer",
        url_schemes={"http", "https", "mailto"},
    )


def _filter_attribute(_tag: str, name: str, value: str) -> str | None:
    """Keep links to elsewhere; one within the description or beside it would lead into the index."""
    if name == "href":
        return value if value.lower().startswith(_SCHEMES) else None
    if name == "lang":
        return None  # Of a block of code it is that of the program, which a screen reader would try to speak.
    return value if name != "class" or value in _CLASSES else None


def _image_text(match: re.Match[str]) -> str:
    alt = _ALT.search(match[1])
    # The value is escaped already.
    return f'<span class="{_IMAGE_CLASS}">{alt[1] if alt and alt[1] else "image"}</span>'
