"""Decode text files that people wrote: encodings, byte order marks, line ends.

Editors of Windows begin UTF-8 files with a byte order mark, and PowerShell's ``>`` writes UTF-16. pip takes both, and a comment
that names the encoding (pip's documentation, "Requirements File Format", encoding; PEP 263). TOML is UTF-8 only.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

from simpleindex.core.errors import SimpleIndexError

_MARKS: Final = (
    # The longer ones first: that of UTF-32 begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CODING: Final = re.compile(rb"[ \t\f]*#.*?coding[:=][ \t]*([-\w.]{1,40})")


def decode_utf8(content: bytes) -> str:
    """Return the text of a file that has to be UTF-8, without the mark at its beginning.

    Raises:
        InvalidText: It is not; the sentence has the line, and the encoding that it seems to have.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)):
        raise InvalidText("is UTF-16 or UTF-32 text; save it as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The error counts from behind the mark.
        line = content.removeprefix(codecs.BOM_UTF8).count(b"\n", 0, error.start) + 1
        raise InvalidText(f"is not UTF-8 text: line {line} has other bytes; save it as UTF-8") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InvalidText(f"is not a text: line {line} has a NUL byte; save it as UTF-8")
    return text


def decode_requirements(content: bytes) -> str:
    """Return the text of a file of requirements, as pip reads it.

    Raises:
        InvalidText: It has no encoding that it could have.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return _decoded(content, encoding)
    for line in content.split(b"\n", 2)[:2]:
        if named := _CODING.match(line):
            return _decoded(content, named[1].decode("ascii", "replace"))
    return decode_utf8(content)


def _decoded(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except LookupError:
        raise InvalidText(f"names the encoding {encoding!r}, which there is not; save it as UTF-8") from None
    except ValueError:
        raise InvalidText(
            f"is not the {encoding.removesuffix('-sig').upper()} text that it says it is"
        ) from None


class InvalidText(SimpleIndexError):
    """A file that is to be a text and is none, or one in an encoding that cannot be read.

    Attributes:
        reason: What is wrong, as a sentence without its subject.
    """

    template = "The file {reason}"
    reason: str
