"""Read TOML files within bounds, and the values of a sources file, or raise one sentence that says what is wrong and where.

:mod:`tomllib` compares each part of a dotted key with all before it, which is quadratic in the key; and it reads nested
arrays by recursion.

Each reader of a value takes it as it was read and the words for its place, and raises :class:`~simpleindex.core.errors.InvalidSources`
for anything else than what it is to be.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeVar

from simpleindex.core import bounds
from simpleindex.core.errors import InvalidSources
from simpleindex.core.parsing.text_files import InvalidText, decode_utf8
from simpleindex.core.patterns import InvalidPattern, parse_pattern
from simpleindex.core.text import one_of, parse_duration, parse_size, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from enum import Enum

    from simpleindex.core.errors import SimpleIndexError

MAXIMUM_SIZE: Final = 1 << 20
"""Bytes; a larger file is refused."""

_Choice = TypeVar("_Choice", bound="Enum")


def read_toml(content: bytes, error: Callable[[str], SimpleIndexError]) -> dict[str, Any]:
    """Return the tables of a TOML file (TOML 1.0, of which a mark at the beginning is no part, though editors write one).

    Args:
        content: The file's bytes.
        error: Makes the error to raise from what is wrong, a sentence without its subject.
    """
    import tomllib  # noqa: PLC0415  (4 ms of every start; most have no such file)

    if len(content) > MAXIMUM_SIZE:
        raise error(f"has more than {MAXIMUM_SIZE >> 20} MiB")
    try:
        text = decode_utf8(content)
        return load_toml(text)
    except InvalidText as invalid:
        raise error(invalid.reason) from None
    except tomllib.TOMLDecodeError as invalid:
        last = f"at line {len(text.splitlines())}, the end"
        raise error(f"is not valid TOML: {str(invalid).replace('at end of document', last)}") from None
    except ValueError as invalid:
        # Python's own words for a number that it does not read are about Python.
        reason = "it has a number that is too long" if "digits" in str(invalid) else str(invalid)
        raise error(f"is not valid TOML: {reason}") from None


def tables(table: Mapping[str, object], key: str) -> list[dict[str, object]]:
    """Return the tables that are written ``[[key]]``; empty if there are none."""
    found = table.get(key, [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise InvalidSources(f"has a {key!r} that is not a list of tables; write [[{key}]] above each")
    return found


def to_patterns(value: object, where: str) -> tuple[str, ...]:
    """Patterns of projects' names, normalized, each once."""
    try:
        return tuple(dict.fromkeys(parse_pattern(text) for text in to_texts(value, where)))
    except InvalidPattern as error:
        raise InvalidSources(
            f"has for {where} the project {shown(error.text)}, which {error.reason}"
        ) from None


def to_texts(value: object, where: str) -> list[str]:
    """Return a list of texts."""
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise InvalidSources(f"has what is not a list of texts for {where}")
    return value


def to_choice(value: object, kind: type[_Choice], where: str) -> _Choice:
    """One of an enumeration's values."""
    allowed = [each.value for each in kind]
    if value not in allowed:
        near = one_of(value, allowed) if isinstance(value, str) else f" (known: {', '.join(allowed)})"
        raise InvalidSources(f"has an unknown value of {where}{near}")
    return kind(value)


def to_duration(value: object, where: str) -> float:
    """Return a time such as ``5m`` in seconds; never 0."""
    seconds = parse_duration(value) if isinstance(value, str) else None
    if not seconds:
        raise InvalidSources(f'has a value of {where} that is no time such as "30s", "5m", "12h" or "7d"')
    return float(seconds)


def to_size(value: object, where: str) -> int:
    """Return a number of bytes, also with K, M, G or T (powers of 1024); never 0."""
    size = parse_size(value)
    if not size:
        raise InvalidSources(f'has a value of {where} that is no size such as "100M" or "20G"')
    return size


def to_boolean(value: object, where: str) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise InvalidSources(f"has a value of {where} that is neither true nor false")
    return value


def to_text(value: object, where: str) -> str:
    """Return a text that is not empty."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise InvalidSources(f"has what is no text for {where}")
    return value


def check_keys(table: Mapping[str, object], allowed: tuple[str, ...], where: str) -> None:
    """Refuse every key that is not allowed.

    Args:
        table: As it was read.
        allowed: The keys it may have.
        where: Of the table, with a space before it, for the sentence.

    Raises:
        InvalidSources: There is another one.
    """
    for key in table:
        if key not in allowed:
            raise InvalidSources(f"has the unknown key {shown(key)}{where}{one_of(key, allowed)}")


# Parts with a dot after each; a key has one part more. The same characters within a string cannot be told from a key here.
# One more than are read is enough to tell: the group remembers each part while it matches.
_DOTTED: Final = re.compile(
    r"""(?<![A-Za-z0-9_-])(?>(?:(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+)"""
    f"{{1,{bounds.TOML_KEY.most + 1}}})"
)


def load_toml(text: str) -> dict[str, Any]:
    """Read the tables of a file whose size was bounded before.

    Raises:
        ValueError: It is not valid TOML, is nested too deeply, has a number that is too long, or a key that exceeds a bound.
    """
    import tomllib  # noqa: PLC0415  (as above)

    for match in _DOTTED.finditer(text):
        if excess := bounds.TOML_KEY.excess(match[0].count(".")):
            raise ValueError(excess)
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
