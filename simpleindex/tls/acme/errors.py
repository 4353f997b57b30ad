"""Errors of requests to an ACME authority."""

from __future__ import annotations

import os
from datetime import timedelta  # noqa: TC003 (a field's type)
from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import SimpleIndexError

if TYPE_CHECKING:
    from pathlib import Path


_LONGEST: Final = 300
"""Characters of an authority's text in a sentence."""


LONGEST_SENTENCE: Final = 1000
"""Characters of a sentence that is remembered."""


def one_line(text: object, longest: int = _LONGEST) -> str:
    """Return an authority's text as one line for logs and terminals, of so many characters; empty if it is no text."""
    if not isinstance(text, str):
        return ""
    start = text[: 4 * longest]
    shown = "".join(character if character.isprintable() else " " for character in start)
    return " ".join(shown.split())[:longest]


class AcmeFailed(SimpleIndexError):
    """A request for a certificate failed.

    Attributes:
        sentence: What is wrong and what to do, for the operator.
        retry_after: The wait that the authority requests before the next try, or None.
    """

    template = "{sentence}"
    sentence: str
    retry_after: timedelta | None = None


class ChallengeFailed(AcmeFailed, init=False):
    """The authority could not validate a name or an address.

    Attributes:
        found: What was to be validated in which way, and what the authority found.
        is_name_unknown: Whether the DNS has no usable answer for the name (RFC 8555 section 6.7, ``dns``).
    """

    def __init__(self, name: str, kind: str, detail: str, *, is_name_unknown: bool = False) -> None:
        name, kind = one_line(name), one_line(kind)
        port = 80 if kind == "http-01" else 443  # RFC 8555 section 8.3, RFC 8737 section 3
        self.found = f"{name} by {kind}: {detail}"
        self.is_name_unknown = is_name_unknown
        super().__init__(
            f"The authority could not validate {self.found} Let {name} lead to this server, and port {port} be open from outside."
        )


class IssuedUnusable(AcmeFailed):
    """A certificate was issued and cannot be used; authorities limit how many they issue for the same names."""


def cannot_write(error: OSError, directory: str | Path) -> str:
    """Return the sentence about a file of ACME that cannot be written.

    Args:
        error: What the system answered.
        directory: Where the file lies, if the error does not name it.
    """
    reason = os.strerror(error.errno) if error.errno else str(error)
    path = error.filename2 or error.filename or directory  # of a rename the second is the one that is missed
    return (
        f"{path} cannot be written ({reason}): let the service write there, and see that the disk has room."
    )
