"""How text is compared in searches: without case and accents, with single spaces, names as PEP 503 normalizes them."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_SEPARATORS: Final = re.compile(r"[-_.]+")
_SPACE: Final = re.compile(r"\s+")


_ACCENTS: Final = re.compile("[\u0300-\u036f]")


def fold(text: str) -> str:
    """Return text as it is compared: without case and accents, and with single spaces.

    SQLite takes no lone surrogates, and its texts end at NUL.
    """
    return collapse(fold_letters(text.replace("\0", " ")))


def fold_letters(text: str) -> str:
    """Return text without case and accents. What each character becomes has the same length wherever it stands."""
    if text.isascii():
        return text.lower()
    # An accent may be a character of its own or not, and full width is another way to write the same letters.
    encodable = text.encode("utf-8", "replace").decode()
    return _ACCENTS.sub("", unicodedata.normalize("NFKD", encodable.casefold())).casefold()


def collapse(text: str) -> str:
    """Return text with single spaces in the place of white space."""
    return _SPACE.sub(" ", text).strip()


def normalize(term: str) -> str:
    """Return a folded term as names of projects are normalized (PEP 503)."""
    return _SEPARATORS.sub("-", term)
