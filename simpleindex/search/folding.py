"""How text is compared in searches: without case, with single spaces, names as PEP 503 normalizes them."""

from __future__ import annotations

import re
from typing import Final

_SEPARATORS: Final = re.compile(r"[-_.]+")
_SPACE: Final = re.compile(r"\s+")


def fold(text: str) -> str:
    """Return text as it is compared: without case, and with single spaces; SQLite takes no lone surrogates, and its texts end at NUL."""
    encodable = text.encode("utf-8", "replace").decode()
    return _SPACE.sub(" ", encodable.replace("\0", " ")).strip().casefold()


def normalize(term: str) -> str:
    """Return a folded term as names of projects are normalized (PEP 503)."""
    return _SEPARATORS.sub("-", term)
