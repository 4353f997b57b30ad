"""The filters of templates: dates, sizes and numbers as people read them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from markupsafe import Markup, escape

from simpleindex.core.text import decimal_size, plural, printable, timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

_CODE: Final = re.compile("`([^`]+)`")


def day(seconds: float | None) -> Markup:
    """Return a moment as its day, with the exact time for machines; a script says how long ago it was.

    Args:
        seconds: Since 1970; None for a moment that is not known, of which nothing is shown.
    """
    if seconds is None:
        return Markup()
    exact = timestamp(seconds)
    text = f"{exact[:10]} {exact[11:16]} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(exact, text, exact[:10])


def with_code(text: str) -> Markup:
    """Return a sentence; what stands between backticks, as in the log, is code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704  (escaped before)


def size(number: int | None) -> str:
    """Return a number of bytes with its unit; nothing for None."""
    return "" if number is None else decimal_size(number)


def segment(text: str) -> str:
    """Return a text as one segment of a URL's path."""
    return quote(text, safe="")


def path(text: str) -> str:
    """Return a path for a URL: its slashes stay."""
    return quote(text, safe="/")


def has_address(path: str) -> bool:
    """Tell whether a browser requests a page by the path of a member of an archive: it would go up at "..", and pass over "."."""
    return not {"", ".", ".."} & {*path.split("/")}


def address(text: str) -> str:
    """Return an e-mail address for a URL (RFC 6068): its at sign stays."""
    return quote(text, safe="@")


def count(number: int, noun: str) -> str:
    """Return a number with its noun: "1 file", "3 files"."""
    return plural(number, noun)


def number(value: int) -> str:
    """Return a number with a comma behind thousands."""
    return f"{value:,}"


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "day": day,
    "with_code": with_code,
    "size": size,
    "segment": segment,
    "path": path,
    "address": address,
    "count": count,
    "number": number,
    "printable": printable,
}
"""By the name that templates use."""
