"""Draw a badge: an image with two texts, such as a project's name and its latest release."""

from __future__ import annotations

from typing import Final
from xml.sax.saxutils import escape

CONTENT_TYPE: Final = "image/svg+xml"

_NARROW: Final = frozenset("filjrtI.,:;!|'()[]-1 ")
_WIDE: Final = frozenset("mwMW@%")
_PADDING: Final = 6

_BADGE: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{label}: {text}">'
    "<title>{label}: {text}</title>"
    '<rect width="{width}" height="20" rx="3" fill="#454d57"/>'
    '<path d="M{left} 0h{inner}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-{inner}z" fill="#1a5fb4"/>'
    '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
    '<text x="{label_x}" y="14" textLength="{label_width}">{label}</text>'
    '<text x="{text_x}" y="14" textLength="{text_width}">{text}</text></g></svg>\n'
)


def draw_badge(label: str, text: str) -> bytes:
    """Return a badge as an SVG image; a client that has other fonts stretches the texts to fit."""
    label_width, text_width = _width(label), _width(text)
    left = label_width + 2 * _PADDING
    right = text_width + 2 * _PADDING
    return _BADGE.format(
        width=left + right,
        left=left,
        inner=right - 3,
        label_x=left / 2,
        text_x=left + right / 2,
        label_width=label_width,
        text_width=text_width,
        label=escape(label, {'"': "&quot;"}),
        text=escape(text, {'"': "&quot;"}),
    ).encode()


def _width(text: str) -> int:
    """Return about how many pixels a text takes in Verdana of 11 pixels."""
    return round(sum(4 if each in _NARROW else 11 if each in _WIDE else 7 for each in text))
