"""Files that came, changed and went, in a line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.core.files import File
from simpleindex.core.model import Project
from simpleindex.core.names import Kind, ProjectName
from simpleindex.directory.live.listing_changes import file_changes

ACME = ProjectName("acme")


def listed(files: dict[str, str] | None) -> Project | None:
    """A project with files of these names and digests."""
    if files is None:
        return None
    made = tuple(File(name, "1.0", Kind.SDIST, 1, 64 * digest, 0) for name, digest in files.items())
    return Project(ACME, made)


def described(before: dict[str, str] | None, after: dict[str, str] | None) -> str | None:
    """The line of a change."""
    changes = file_changes(listed(before), listed(after))
    return None if changes is None else changes.sentence(ACME)


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        (None, {"a.zip": "1"}, "acme: a.zip appeared."),
        ({"a.zip": "1"}, None, "acme: a.zip vanished."),
        ({"a.zip": "1"}, {"a.zip": "2"}, "acme: a.zip changed."),
        ({"a.zip": "1"}, {"a.zip": "1"}, None),
        (None, None, None),
        (None, {}, None),
        (
            {"a.zip": "1", "b.zip": "1", "c.zip": "1"},
            {"b.zip": "2", "c.zip": "1", "d.zip": "1"},
            "acme: a.zip vanished; b.zip changed; d.zip appeared.",
        ),
        ({}, {f"{n}.zip": "1" for n in range(5)}, "acme: 0.zip, 1.zip, 2.zip and 2 more appeared."),
    ],
)
def test_one_line(before: dict[str, str] | None, after: dict[str, str] | None, line: str | None) -> None:
    """Each kind of change with its files; none without changes."""
    assert described(before, after) == line


contents = st.none() | st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from("12"))


@given(contents, contents)
def test_a_line_if_and_only_if_something_changed(
    before: dict[str, str] | None, after: dict[str, str] | None
) -> None:
    """And always a single one."""
    line = described(before, after)
    assert (line is None) == ((before or {}) == (after or {}))
    assert line is None or "\n" not in line


def test_a_large_project_costs_no_comparison() -> None:
    """Names are compared all the same."""
    before = {f"{number}.zip": "1" for number in range(501)}
    assert described(before, {**before, "0.zip": "2"}) is None
    assert described(before, {**before, "x.zip": "2"}) == "acme: x.zip appeared."
