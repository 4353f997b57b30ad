"""entry_points.txt is read as configparser reads it, in one pass."""

from __future__ import annotations

import configparser
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simpleindex.core import bounds
from simpleindex.core.errors import BrokenArchive
from simpleindex.store.entry_points import read_entry_points


class Reference(configparser.RawConfigParser):
    """The standard library's reader, with case-sensitive names."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def as_the_library_reads(text: str) -> dict[str, dict[str, str]] | None:
    """What configparser reads; None for what it refuses."""
    parser = Reference(delimiters=("=",), strict=False, default_section="")
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    return {group: dict(parser.items(group)) for group in parser.sections()}


LINES = st.lists(
    st.text("ab[]=#; \t:.", max_size=8) | st.sampled_from(("[a]", "[b]", "x = y:z", "  more", "", "#", "\r")),
    max_size=8,
)


@given(LINES)
@example(["[a]", "x = y", "", "  z", ""])
@example(["[a]", "  x = y", " z = y", "   w"])
@example(["[a]", "x = y", "; comment", "  z"])
@example(["[a] b] c"])
@example(["[]"])
@example(["x = y"])
@example(["[a]", " = y"])
def test_it_is_what_configparser_reads(lines: list[str]) -> None:
    """Also what is refused is the same."""
    text = "\n".join(lines)
    try:
        found = {group: dict(entries) for group, entries in read_entry_points(text).items()}
    except BrokenArchive:
        assert as_the_library_reads(text) is None
    else:
        assert found == as_the_library_reads(text)


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line, and their number."""
    with pytest.raises(BrokenArchive, match=r"a line of its entry_points\.txt has 4,098 characters"):
        read_entry_points("[a]\nx" + " " * 4095 + "=y")
    monkeypatch.setattr(bounds, "ENTRY_POINTS_LINES", replace(bounds.ENTRY_POINTS_LINES, most=3))
    with pytest.raises(BrokenArchive, match=r"its entry_points\.txt has 4 lines, and at most 3 are read"):
        read_entry_points("[a]\n\n\n")
