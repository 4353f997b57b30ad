"""entry_points.txt is read only where configparser and importlib.metadata, hence installers, read the same."""

from __future__ import annotations

import configparser
from dataclasses import replace
from importlib.metadata import EntryPoints

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simpleindex.archives.entry_points import judge_reference, judge_script_name, read_entry_points
from simpleindex.archives.errors import BrokenArchive
from simpleindex.core import bounds
from tests.fixtures.tables import for_each

Groups = dict[str, dict[str, str]]


class Reference(configparser.RawConfigParser):
    """The standard library's reader, with case-sensitive names."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def as_configparser_reads(text: str) -> Groups:
    """The entries; an error where a name or group is there twice, as uv has it."""
    parser = Reference(delimiters=("=",), strict=True)
    parser.read_string(text.replace("\r\n", "\n").replace("\r", "\n"))
    return {group: dict(parser.items(group)) for group in parser.sections() if parser.items(group)}


def as_pip_reads(text: str) -> Groups:
    """The entries, as :mod:`importlib.metadata` finds them."""
    groups: Groups = {}
    for point in EntryPoints._from_text(text):  # type: ignore[attr-defined]
        groups.setdefault(point.group, {})[point.name] = point.value
    return groups


LINES = st.lists(
    st.text("ab[]=#; \t:.\x1c\u2028", max_size=8)
    | st.sampled_from(
        ("[a]", "[b]", "x = y:z", "y = z", "  more", "", "#", "; c = d", "[DEFAULT]", "\r", "\x0b")
    ),
    max_size=8,
)


@given(LINES)
@example(["[a]", "x = y", "", "  z", ""])
@example(["[a]", "  x = y", "    z = y"])
@example(["[a]", "  x = y", " z = y"])
@example(["[a]", "x = y", "; comment", "z = 1"])
@example(["; comment", "[a]", "x = y"])
@example(["[a] b] c", "x = y"])
@example(["[a]b]", "x = y"])
@example(["[a]", "x = y\u2028z = 1"])
@example(["[a]", "x = y", "[a]", "z = y"])
@example(["[a]", "x = y", "x = z"])
@example(["[DEFAULT]", "x = y", "[a]", "z = y"])
@example(["x = y"])
@example(["[a]", " = y"])
@example(["[a]", "x"])
def test_all_read_the_same(lines: list[str]) -> None:
    """What is taken is what either library reads in it."""
    text = "\n".join(lines)
    try:
        found = {group: dict(entries) for group, entries in read_entry_points(text).items() if entries}
    except BrokenArchive:
        return
    assert found == as_configparser_reads(text) == as_pip_reads(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n# only\n",
        "[console_scripts]\r\na = b:c\r\n",
        "[console_scripts]\n  a = b:c\n  d = e:f\n",
        "; before\n[a b]\n# comment\nx = any thing : [at] all % ;\n\n[c]\n",
        "[a]\nx=1\nX=2\n",
    ],
)
def test_what_tools_write_is_taken(text: str) -> None:
    """And read as both libraries do."""
    found = {group: dict(entries) for group, entries in read_entry_points(text).items() if entries}
    assert found == as_configparser_reads(text) == as_pip_reads(text)


@for_each(
    ("name", "good"),
    [
        *[
            (name, True)
            for name in ("acme", "a.b", "a-b", "1", "\u00e9", "A.exe", "pip", "python2", "python-x", "pypyx")
        ],
        *[(name, False) for name in ("a b", "a/b", "../a", "/a", "a\\b", ".", "..", "", "[a", "a]", "\t")],
        *[
            (name, False)
            for name in ("python", "pythonw", "python3", "Python3.13", "python3.13t", "pypy", "graalpy")
        ],
    ],
)
def test_names_of_scripts(name: str, good: bool) -> None:
    """They lie in the directory for scripts, and replace no interpreter."""
    if good:
        judge_script_name(name)
    else:
        with pytest.raises(BrokenArchive, match="its script"):
            judge_script_name(name)


@for_each(
    ("reference", "good"),
    [
        *[
            (text, True)
            for text in ("b:c", "b.c:d.e", "b:c[x]", "b:c [x]", "b:c [x, y]", "b:c [x-y]", "\u00e9:f", "_:_")
        ],
        *[
            (text, False)
            for text in ("b", "b:", ":c", "b:c:d", "b :c", "b: c", "b c", "b:c d", "b:c # x", "b:c()")
        ],
        *[
            (text, False)
            for text in ("b..c:d", ".b:c", "b:c.", "b:.c", "b-c:d", "b:c [x", "b:c []", "b:c [x ,y]", "")
        ],
        *[(text, False) for text in ("b:c [x.y]", "b:c [x, y-z]", "b:c [x,]", "= b:c", "b\n:c")],
    ],
)
def test_what_scripts_lead_to(reference: str, good: bool) -> None:
    """A function in a module, so that distlib, which pip uses, and uv make the same of it."""
    if good:
        judge_reference("a", reference)
    else:
        with pytest.raises(BrokenArchive, match="which is not module:function"):
            judge_reference("a", reference)


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line, and their number."""
    with pytest.raises(BrokenArchive, match=r"a line of its entry_points\.txt has 4,098 characters"):
        read_entry_points("[a]\nx" + " " * 4095 + "=y")
    monkeypatch.setattr(bounds, "ENTRY_POINTS_LINES", replace(bounds.ENTRY_POINTS_LINES, most=3))
    with pytest.raises(BrokenArchive, match=r"its entry_points\.txt has 4 lines, and at most 3 are read"):
        read_entry_points("[a]\n\n\n")
