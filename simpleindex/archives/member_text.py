"""Decode the text of a file in an archive: in the encoding that it states, in UTF-8, or in one that is guessed."""

from __future__ import annotations

import codecs
import encodings
import re
import warnings
from dataclasses import dataclass
from encodings.aliases import aliases
from typing import Final

from simpleindex.archives.examination.confinement import opening_allowed

UTF_8: Final = "utf_8"

_MARKS: Final = (
    # Its mark begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf_32"),
    (codecs.BOM_UTF32_BE, "utf_32"),
    (codecs.BOM_UTF16_LE, "utf_16"),
    (codecs.BOM_UTF16_BE, "utf_16"),
)

_PYTHON: Final = (".py", ".pyi", ".pyw", ".pyx", ".pxd")
_PEP_263: Final = re.compile(
    rb"(?:[ \t\f]*(?:#[^\r\n]*)?(?:\r\n|\r|\n))?[ \t\f]*#[^\r\n]*?coding[:=][ \t]*([-\w.]{1,40})"
)
"""In the first line, or in the second where the first is a comment or blank (as Python's tokenizer has it)."""

_STATED: Final = re.compile(rb"(?:coding|charset)[:=][ \t]*[\"']?([-\w.]{1,40})")
_STATED_WITHIN: Final = 1024
"""Bytes. As editors, XML, HTML and gettext have it."""

_READABLE: Final = re.compile(
    "ascii|utf_(?:7|8|8_sig|16|16_le|16_be|32|32_le|32_be)|latin_1|iso8859_[0-9]{1,2}|cp[0-9]{3,5}|koi8_[rtu]|mac_[a-z0-9]{2,9}"
    "|shift_jis(?:_2004|x0213)?|euc_(?:jp|jis_2004|jisx0213|kr)|iso2022_(?:jp(?:_[123]|_2004|_ext)?|kr)"
    "|gb2312|gbk|gb18030|big5|big5hkscs|hz|johab|tis_620|ptcp154|kz1048|hp_roman8|(?:raw_)?unicode_escape"
)
"""Modules of Python's codecs that read a text in one pass, and nothing else: those of domain names do not. What hides
code from readers, as UTF-7 and escapes do, is shown as Python runs it."""

_CONTROL: Final = re.compile("[\0-\x08\x0e-\x1a\x1c-\x1f\x7f]")
"""Control characters that text does not have, of which every picture, program and compressed file has some."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
"""Half a character: UTF-7 and escapes can state one, and no encoding of Unicode can write it again."""

_BEYOND_ASCII: Final = re.compile("[^\0-\x7f]")
_EXPECTED_SHARE: Final = 0.9
_KANA: Final = "[\u3041-\u3096\u30a1-\u30fa]"
_JAPANESE: Final = "[\u3000-\u30ff\u4e00-\u9fff\uff01-\uff5e]"
_GUESSES: Final = tuple(
    (encoding, re.compile(telling), re.compile(expected))
    for encoding, telling, expected in (
        ("shift_jis", _KANA, _JAPANESE),
        ("euc_jp", _KANA, _JAPANESE),
        ("cp1251", "[а-я]{3}", "[Ѐ-ӿ«»№–—“”„…©\xa0]"),  # noqa: RUF001
        ("koi8_r", "[а-я]{3}", "[Ѐ-ӿ©\xa0]"),  # noqa: RUF001
        ("gb18030", "[的是不在有一中文用]", "[\u3000-\u303f\u4e00-\u9fff\uff01-\uff5e“”…—]"),
    )
)
"""Encodings with what a text in them has somewhere, and what nearly all of it is beyond ASCII. Others would decode it too, to
characters of many kinds."""

_WESTERN: Final = "cp1252"
"""What is guessed of all else; text in Latin-1 is the same in it."""

_WESTERN_SHARE: Final = 0.3
"""Of the characters, at most so many are beyond ASCII; in French they are some 4 %."""


@dataclass(frozen=True, slots=True)
class MemberText:
    """The text of a file.

    Attributes:
        encoding: From which it was decoded, as Python names it: ``utf_8``.
        stated: The encoding that the file itself states; empty without any, and where nothing depends on it.
        basis: How the encoding was found: ``mark``, ``stated`` or ``guess``; empty for UTF-8.
    """

    text: str
    encoding: str = UTF_8
    stated: str = ""
    basis: str = ""


def decode_member(data: bytes, path: str) -> MemberText | None:
    """Decode a file; None if it is no text.

    Args:
        data: The file.
        path: Its path: Python reads what ends in .py in the encoding that it states (PEP 263), and nothing else.
    """
    for mark, marked in _MARKS:
        if data.startswith(mark):
            text = _decoded(data, marked)
            return None if text is None or "\0" in text else MemberText(text, marked, basis="mark")
    data = data.removeprefix(codecs.BOM_UTF8)
    if b"\0" in data:
        return None
    is_python = path.endswith(_PYTHON)
    stated = _stated(data, is_python=is_python)
    known = _codec(stated)
    # What UTF-8 can read is UTF-8: only Python insists.
    for encoding in (known, UTF_8) if is_python else (UTF_8, known):
        text = None if encoding is None else _decoded(data, encoding)
        if encoding is None or text is None or "\0" in text:
            continue
        if encoding != UTF_8:
            return MemberText(text, encoding, stated, "stated")
        return MemberText(text, stated=stated if is_python and known != UTF_8 else "")
    guessed = _guessed(data)
    return None if guessed is None else MemberText(*guessed, stated, "guess")


def _codec(stated: str) -> str | None:
    """Return the module of Python's that reads an encoding; None for one that is not read."""
    name = encodings.normalize_encoding(stated).lower()
    module: str = aliases.get(name, name)
    return module if _READABLE.fullmatch(module) else None


def _stated(data: bytes, *, is_python: bool) -> str:
    found = _PEP_263.match(data) if is_python else _STATED.search(data, 0, _STATED_WITHIN)
    return "" if found is None else found[1].decode("ascii")


def _guessed(data: bytes) -> tuple[str, str] | None:
    for encoding, telling, expected in _GUESSES:
        text = _decoded(data, encoding)
        if text is None or _CONTROL.search(text) or not telling.search(text):
            continue
        if len(expected.findall(text)) >= _EXPECTED_SHARE * len(_BEYOND_ASCII.findall(text)):
            return text, encoding
    text = _decoded(data, _WESTERN)
    if text is None or _CONTROL.search(text):
        return None
    return (text, _WESTERN) if len(_BEYOND_ASCII.findall(text)) <= _WESTERN_SHARE * len(text) else None


def _decoded(data: bytes, encoding: str) -> str | None:
    try:
        # What decodes it is loaded by the first text that needs it; such names lead to Python's own modules alone.
        with opening_allowed(), warnings.catch_warnings(action="ignore"):
            text, _ = codecs.lookup(encoding).decode(data)
        return text if text.isascii() else _SURROGATE.sub("\ufffd", text)
    except (LookupError, ValueError):
        return None
