"""Texts that people read and write."""

from __future__ import annotations

import pytest

from simpleindex.core.text import (
    decimal_size,
    did_you_mean,
    duration,
    exact_size,
    human_size,
    one_of,
    parse_duration,
    parse_size,
    plural,
    replace_unprintable,
)
from tests.fixtures.tables import for_each


@for_each(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("12h", 43_200),
        ("7d", 604_800),
        ("2w", 1_209_600),
        ("0h", 0),
        ("5", None),
        ("m", None),
        ("-5m", None),
        ("5m ", None),
        ("5y", None),
        ("1234567s", None),
        ("999999w", None),
        ("\u0665m", None),
    ],
)
def test_durations_are_read(text: str, seconds: int | None) -> None:
    """A number and a unit, within the calendar."""
    assert parse_duration(text) == seconds


def test_an_option_may_take_fewer_units() -> None:
    """Tokens do not expire in seconds."""
    assert parse_duration("5s", "hdw") is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(86_400, "1 day"), (172_800, "2 days"), (5400, "90 minutes"), (3600, "1 hour"), (61, "61 seconds")],
)
def test_durations_are_written(seconds: float, text: str) -> None:
    """In the largest unit of which they are a multiple."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("64M", 64 << 20),
        ("1t", 1 << 40),
        ("5k", 5120),
        ("M", None),
        ("1.5G", None),
        ("9999999T", None),
    ],
)
def test_sizes_are_read(text: str, size: int | None) -> None:
    """In powers of 1024."""
    assert parse_size(text) == size


def test_sizes_are_written() -> None:
    """For reports, for files of settings, and for pages."""
    assert [human_size(size) for size in (12, 1536, 5 << 40)] == ["12 bytes", "1.5 KiB", "5.0 TiB"]
    assert [exact_size(size) for size in (0, 1000, 64 << 20, 1 << 30)] == ["0", "1000", "64M", "1G"]
    assert [decimal_size(size) for size in (999, 4_520_000)] == ["999 B", "4.52 MB"]


def test_plurals() -> None:
    """None is many."""
    assert [plural(number, "file") for number in (0, 1, 2000)] == ["0 files", "1 file", "2,000 files"]
    assert plural(2, "directory") == "2 directories"


def test_unprintable_characters_are_replaced() -> None:
    """A text of others cannot move the reader's cursor."""
    assert replace_unprintable("a\x1b[2J\nb\u202e") == "a?[2J?b?"


def test_what_was_meant_ends_a_sentence() -> None:
    """It can be appended as it is."""
    assert did_you_mean("pol", ["poll", "off"]) == "; did you mean 'poll'?"
    assert did_you_mean("zzz", ["poll", "off"]) == ""
    assert did_you_mean("zzz", ["poll", "off"], ".") == "."
    assert one_of("zzz", ["poll", "off"]) == " (known: poll, off)"
    assert one_of("zzz", []) == ""
