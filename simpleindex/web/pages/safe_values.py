"""Texts and times of listings in the form that every client can read, whatever a file or an upstream says."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from simpleindex.core.files import File

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# uv's times end on 9999-12-30, and a client's conversion to local time must not leave the calendar either.
_LAST_US: Final = (datetime(9999, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1) - 1

# Control characters, which HTML can hold not even as references, and lone surrogates, which UTF-8 cannot hold. Tabs
# and line breaks may stay.
_NO_TEXT: Final = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff"
_UNWRITABLE: Final = re.compile(f"[{_NO_TEXT}]")
_UNSAFE_IN_HTML: Final = re.compile(f"[&<>\"'\t\n\r{_NO_TEXT}]")
# Line breaks too, so that an anchor stays on one line (docs/protocol.md, "HTML pages") whatever a reason contains.
_REFERENCES: Final = {character: f"&#{ord(character)};" for character in "'\t\n\r"} | {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
}


def upload_time_text(file: File) -> str | None:
    """Return the time in PEP 700's form, with six digits of a second or none (docs/protocol.md), kept within a calendar that clients can read."""
    if file.uploaded_ns is None:
        return None
    time = _EPOCH + timedelta(microseconds=min(max(file.uploaded_ns // 1000, 0), _LAST_US))
    return time.isoformat().removesuffix("+00:00") + "Z"


def writable(text: str) -> str:
    """Return a text with a sign in place of characters that JSON and UTF-8 cannot hold."""
    return _UNWRITABLE.sub("\ufffd", text)


def escape(text: str) -> str:
    """Return a text as it stands in HTML, in a text or an attribute."""
    return _UNSAFE_IN_HTML.sub(lambda match: _REFERENCES.get(match[0], "\ufffd"), text)
