"""Parse fields of e-mail addresses that strangers write; pure."""

from __future__ import annotations

from email.utils import getaddresses
from typing import Final

_MOST_COMMENTS: Final = 50
"""Opening parentheses of one field. The standard library goes down one call for each, and fails from some 480 on; a field of a real
package has one or two."""


def parse_addresses(text: str) -> list[tuple[str, str]]:
    """Return the names and addresses of a field, either of which may be empty; the text as a name if it cannot be parsed."""
    return [(text, "")] if text.count("(") > _MOST_COMMENTS else getaddresses([text])
