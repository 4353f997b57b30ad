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
_CHECKBOX: Final = re.compile(r"<input\b((?:[^<>\"]|\"[^\"]*+\"?+)*+)>")
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
            "section",
            "span",
            "strong",
            "sub",
            "summary",
        ),
        *("sup", "table", "tbody", "td", "th", "thead", "tr", "tt", "ul", "var"),
    }
)
_ATTRIBUTES: Final = {
    "*": {"id"},
    "a": {"href", "title"},
    "div": {"class"},
    "ol": {"start"},
    "p": {"class"},
    "td": {"align", "colspan", "rowspan"},
    "th": {"align"},
    "span": {"class"},
}
_SCHEMES: Final = ("http://", "https://", "mailto:")
_PLACE: Final = re.compile(r"(?:user-content|fn|fnref)-[\w.-]{1,200}")
"""The ids that readme_renderer makes, of headings, targets and footnotes: no page has such ones of its own."""

_EMPTY_ANCHOR: Final = re.compile(r"<a(?: (?:href|rel|title)=\"[^\"]*\")*></a>")
_HEADING: Final = re.compile("(</?h)([1-5])(?=[ >])")
_ASIDE: Final = re.compile(r"<(/?)aside\b")
_IMAGE_CLASS: Final = "image"

_ADMONITIONS: Final = frozenset(
    {
        *("admonition", "admonition-title", "attention", "caution", "danger", "error"),
        *("hint", "important", "note", "tip", "warning"),
    }
)
# Of pygments, those that style.css has a colour for.
_TOKENS: Final = frozenset(
    {
        *("k", "kc", "kd", "kn", "kp", "kr", "kt", "ow", "nb", "bp", "nc", "nf", "fm", "nn", "nd", "nt"),
        *("s", "s1", "s2", "sa", "sb", "sd", "se", "sh", "si", "sx", "sr", "m", "mf", "mh", "mi", "mo"),
        *("c", "c1", "cm", "cp", "ch", "cs", "gd", "gi", "gp", "go"),
    }
)
_CLASSES: Final = _ADMONITIONS | _TOKENS | {_IMAGE_CLASS}


@dataclass(frozen=True, slots=True)
class RenderedDescription:
    """A description as HTML.

    Attributes:
        html: Sanitized: no scripts, styles, forms, images, or ids of pages. Its headings are below that of the page.
        has_images: Whether there were images, which are replaced by their texts.
    """

    html: str
    has_images: bool


def render_description(text: str, content_type: str) -> RenderedDescription:
    """Render a description.

    Args:
        text: The description, of a bounded size.
        content_type: Its content type; reStructuredText if there is none (PyPUG "core-metadata"), plain text if it is another.
    """
    try:
        html = _renderer(content_type)(text)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  (docutils 0.22 raises KeyError for a replacement within a replacement that is nowhere)
        html = None
    if html is None:
        html = _plain(text)
    replaced, count = _IMAGE.subn(_image_text, html)
    # Boxes of task lists are no fields to fill in, and an aside is what the page has beside the description.
    replaced = _ASIDE.sub(r"<\1div", _CHECKBOX.sub(_box, replaced))
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
        case "text/x-rst" | "":
            from readme_renderer import rst  # noqa: PLC0415

            return rst.render
    return _plain


def _plain(text: str) -> str:
    return f"<pre>{escape(text)}</pre>"


def _sanitize(html: str) -> str:
    places: set[str] = set()

    def keep(_tag: str, name: str, value: str) -> str | None:
        if name != "id":
            return _filter_attribute(name, value)
        if value in places or not _PLACE.fullmatch(value):
            return None
        places.add(value)
        return value

    clean = nh3.clean(
        html,
        tags=set(_TAGS),
        attributes=_ATTRIBUTES,
        attribute_filter=keep,
        link_rel="nofollow noopener noreferrer",
        url_schemes={"http", "https", "mailto"},
    )
    return _HEADING.sub(lambda found: f"{found[1]}{int(found[2]) + 1}", clean)


def _filter_attribute(name: str, value: str) -> str | None:
    """Keep links to elsewhere and within the description; one beside it would lead into the index."""
    match name:
        case "href":
            is_place = value.startswith("#") and _PLACE.fullmatch(value[1:])
            return value if is_place or value.lower().startswith(_SCHEMES) else None
        case "lang":
            return None  # Of a block of code it is that of the program, which a screen reader would try to speak.
        case "align":
            return value if value in ("left", "center", "right") else None
        case "class":
            return " ".join(each for each in value.split() if each in _CLASSES) or None
    return value


def _box(match: re.Match[str]) -> str:
    if 'type="checkbox"' not in match[1]:
        return ""
    return "\N{BALLOT BOX WITH CHECK}" if 'checked="' in match[1] else "\N{BALLOT BOX}"


def _image_text(match: re.Match[str]) -> str:
    alt = _ALT.search(match[1])
    # The value is escaped already.
    return f'<span class="{_IMAGE_CLASS}">{alt[1] if alt and alt[1] else "image"}</span>'
