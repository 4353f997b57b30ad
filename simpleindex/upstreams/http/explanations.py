"""An upstream's own reason for a refusal, made safe to quote: short, printable, without markup and secrets."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from simpleindex.upstreams.pages.urls import BasicCredentials

MOST_BYTES: Final = 8 * 1024
"""Bytes of a body that are read for an explanation."""

_LONGEST: Final = 300  # characters
_MARKUP: Final = re.compile(r"<[A-Za-z!/?]")
_LOGIN: Final = re.compile(r"//[^\s/@]*@")

_PROBLEM: Final = "application/problem+json"
_PLAIN: Final = "text/plain"


def is_telling(content_type: str) -> bool:
    """Return whether a refusal of this type has a sentence: a problem (RFC 9457) or plain text."""
    return _media_type(content_type) in {_PROBLEM, _PLAIN}


def explanation_of(content_type: str, body: bytes, credentials: BasicCredentials | None) -> str:
    """Return the sentence of a refusal, without its end; empty if there is none that can be passed on.

    Args:
        content_type: The header.
        body: Decoded.
        credentials: Those that were sent; a text that repeats them is not passed on.
    """
    text = _detail(body) if _media_type(content_type) == _PROBLEM else body.decode("utf-8", "replace")
    if _MARKUP.search(text):
        return ""
    secrets = () if credentials is None else (credentials.password, credentials.header().decode().split()[-1])
    if any(secret and secret in text for secret in secrets):
        return ""
    # Links may be signed, or have a login in them.
    text = _LOGIN.sub("//", text).replace('"', "'")
    words = "".join(character if character.isprintable() else " " for character in text).split()
    line = " ".join(map(_without_query, words)).rstrip(".")
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _detail(body: bytes) -> str:
    """Return the detail of a problem (RFC 9457), or else its title."""
    try:
        problem = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(problem, dict):
        return ""
    texts = (problem.get("detail"), problem.get("title"))
    return next((text for text in texts if isinstance(text, str) and text.strip()), "")


def _without_query(word: str) -> str:
    """Cut a URL's query off; by hand, for a pattern would look for it from each "://" of a hostile text."""
    scheme, separator, rest = word.partition("://")
    return f"{scheme}{separator}{rest.partition('?')[0]}" if separator else word
