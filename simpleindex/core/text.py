"""Texts that people read and write: durations, sizes, plurals, printable text, "did you mean", dates."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from simpleindex.core import bounds

if TYPE_CHECKING:
    from collections.abc import Iterable

_DURATION: Final = re.compile(r"([0-9]{1,6})([smhdw])", re.ASCII)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
# 1,900 years; the calendar ends in 9999.
_LONGEST_DURATION: Final = 99_999 * _SECONDS["w"]

_SIZE: Final = re.compile(r"([0-9]{1,15})([KMGT]?)", re.IGNORECASE | re.ASCII)
_SHIFTS: Final = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}


def parse_duration(text: str, units: str = "smhdw") -> int | None:
    """Return the seconds of a duration such as ``30m``, or None if the text is none in these units."""
    matched = _DURATION.fullmatch(text)
    if matched is None or matched[2] not in units:
        return None
    seconds = int(matched[1]) * _SECONDS[matched[2]]
    return seconds if seconds <= _LONGEST_DURATION else None


def past_moment(text: str, now: float) -> float | None:
    """Return the moment that a text means, seconds since 1970: a time before now such as ``30d``, a date, or a time (ISO 8601).

    Args:
        text: The text; a date or time without a zone is UTC. None is returned if it is neither.
        now: Seconds since 1970.
    """
    seconds = parse_duration(text)
    if seconds is not None:
        return max(now - seconds, 0.0)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return max((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp(), 0.0)


def duration(seconds: float) -> str:
    """Format a duration in the largest unit in which it is a whole number."""
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= length and not seconds % length:
            return plural(int(seconds // length), unit)
    return f"{seconds:,.0f} seconds"


def parse_size(value: object) -> int | None:
    """Return the bytes of a size such as ``64M`` (powers of 1024) or of a whole number, or None if it is neither or too large."""
    matched = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if matched is not None:
        value = int(matched[1]) << _SHIFTS[matched[2].upper()]
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    # No file system has more; a number in a file may have more digits than Python writes out.
    return value if 0 <= value < 1 << 63 else None


def exact_size(size: int) -> str:
    """Format a number of bytes as options and files take it: 64M, or the bare number."""
    for unit in ("G", "M", "K"):
        if size and not size % (1 << _SHIFTS[unit]):
            return f"{size >> _SHIFTS[unit]}{unit}"
    return str(size)


def decimal_size(size: int) -> str:
    """Format a number of bytes as pages show it: three significant digits in decimal units, as in "4.52 MB"."""
    if size < 1000:
        return f"{size} B"
    number = size / 1000
    for unit in ("kB", "MB", "GB"):
        if number < 999.5:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:,.0f} TB"


def plural(number: int, noun: str) -> str:
    """Format a number with its noun: 1 file, 2,000 files, 3 directories."""
    if number == 1:
        return f"1 {noun}"
    if noun.endswith("ry"):
        noun = f"{noun[:-1]}ie"
    return f"{number:,} {noun}s"


def replace_unprintable(text: str) -> str:
    """Return the text with a question mark for each character that could move a cursor or end a line."""
    return "".join(character if character.isprintable() else "?" for character in text)


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice that was probably meant, in whatever case the word was written, or None."""
    lowered = {choice.lower(): choice for choice in choices}
    # Matching takes time by the product of the lengths.
    close = get_close_matches(word[:100].lower(), lowered, n=1)
    return lowered[close[0]] if close else None


def did_you_mean(word: str, choices: Iterable[str], otherwise: str = "") -> str:
    """Return the end of a sentence that names the choice probably meant, or another end where there is none."""
    meant = nearest(word, choices)
    return otherwise if meant is None else f"; did you mean {meant!r}?"


def one_of(word: str, choices: Iterable[str]) -> str:
    """Return the end of a sentence that names the choice probably meant, or else all of them."""
    choices = list(choices)
    return did_you_mean(word, choices, f" (known: {', '.join(choices)})" if choices else "")


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


_LAST: Final = (datetime(9999, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds()


def day_and_time(seconds: float) -> str:
    """Return a moment for people, to the minute, rounded up: at that minute it has come.

    Args:
        seconds: Since 1970.
    """
    return f"{_moment(-(-seconds // 60) * 60):%Y-%m-%d %H:%M} UTC"


def timestamp(seconds: float) -> str:
    """Return a moment for machines (RFC 3339), to the second, rounded up."""
    return f"{_moment(-(-seconds // 1)):%Y-%m-%dT%H:%M:%SZ}"


def _moment(seconds: float) -> datetime:
    return _EPOCH + timedelta(seconds=min(max(seconds, 0.0), _LAST))


def http_date(date: str | None) -> int | None:
    """Read an HTTP-date in any of its three forms (RFC 9110 5.6.7), or return None."""
    if bounds.HTTP_DATE.excess(len(date or "")):
        return None
    try:
        moment = parsedate_to_datetime(date or "")
    except (ValueError, OverflowError):
        return None
    # asctime's form names no zone; HTTP's dates are all UTC.
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def human_size(size: int) -> str:
    """Return a number of bytes in the largest unit that keeps a digit before the point."""
    value = float(size)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def printable(name: str) -> str:
    """Return a file name as it may stand in a log or a report, whatever bytes it has."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in name)


_LONGEST_SHOWN: Final = 80


def shown(text: str) -> str:
    """Quote a text from an archive for a sentence: short, printable, on one line."""
    return ascii(text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}...")
