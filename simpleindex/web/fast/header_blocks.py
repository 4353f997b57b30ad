"""Header blocks in the one way that every client writes them, read without Twisted; what is odd in the least is not read at all."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

# Fields that decide nothing but what the express lane judges. All others, known or not, are the ordinary lane's.
_FIELDS: Final = frozenset(
    {
        b"host",
        b"user-agent",
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"connection",
        b"cache-control",
        b"dnt",
        # A browser's that navigates.
        b"sec-fetch-dest",
        b"sec-fetch-mode",
        b"sec-fetch-site",
        b"sec-fetch-user",
        b"sec-ch-ua",
        b"sec-ch-ua-mobile",
        b"sec-ch-ua-platform",
        b"sec-gpc",
        b"upgrade-insecure-requests",
        b"priority",
    }
)

# RFC 9112 section 5: no space before the colon, no folding, no odd bytes.
_FIELD: Final = re.compile(rb"([A-Za-z-]+): ([!-~](?:[ -~]*[!-~])?)\Z")
_VALUE: Final = re.compile(rb"[!-~](?:[ -~]*[!-~])?\Z")

# As browsers and pip write them, and as uv does.
IF_NONE_MATCH: Final = (b"\r\nIf-None-Match: ", b"\r\nif-none-match: ")
REFERER: Final = (b"\r\nReferer: ", b"\r\nreferer: ")


class Fields(dict[bytes, bytes]):
    """Header fields by their names in lower case, each of which came once: as much of Twisted's class as the log needs."""

    def getRawHeaders(self, name: bytes, default: Sequence[bytes] | None = None) -> Sequence[bytes] | None:
        value = self.get(name.lower())
        return default if value is None else (value,)

    def text(self, name: str) -> str | None:
        """Return a field's value by its name in lower case, or None."""
        value = self.get(name.encode())
        return None if value is None else value.decode("ascii")

    def joined_by(self, **others: bytes | None) -> Fields | None:
        """Return these and others, of which those that are None are none; None if a value is odd.

        Args:
            others: By their names in lower case, with "_" for "-".
        """
        joined = Fields(self)
        for name, value in others.items():
            if value is not None:
                if _VALUE.match(value) is None:
                    return None
                joined[name.replace("_", "-").encode()] = value
        return joined


def read_block(block: bytes) -> Fields | None:
    """Return the fields of a whole header block; None if it is the ordinary lane's.

    Args:
        block: From the end of the request's first line to the empty line, both included.
    """
    fields = Fields()
    for line in block.split(b"\r\n")[1:-2]:
        match = _FIELD.match(line)
        if match is None or (name := match[1].lower()) not in _FIELDS or name in fields:
            return None
        fields[name] = match[2]
    if b"host" not in fields or fields.get(b"connection", b"keep-alive") != b"keep-alive":
        return None
    # What scripts request has forms that depend on settings, which may change before the block comes again.
    return fields if fields.get(b"sec-fetch-mode", b"navigate") == b"navigate" else None


def cut_out(block: bytes, names: Sequence[bytes]) -> tuple[bytes, bytes | None]:
    """Take a field out that differs from page to page, so that the rest is the same each time; return the rest, and its value.

    Args:
        block: The block.
        names: The ways in which the field's beginning is written.
    """
    for name in names:
        start = block.find(name)
        if start >= 0:
            end = block.find(b"\r\n", start + 2)
            return block[:start] + block[end:], block[start + len(name) : end]
    return block, None
