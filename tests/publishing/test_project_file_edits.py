"""Changing ``simpleindex.toml``: what somebody wrote stays, and what comes out always parses to what was meant."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.core.errors import InvalidSetting
from simpleindex.core.model import Status
from simpleindex.directory.project_file import (
    NO_PROJECT_FILE,
    InvalidProjectFile,
    parse_project_file,
    yank_key,
)
from simpleindex.publishing.project_file_edits import with_status, with_yank, without_yank
from tests.fixtures.tables import for_each

COMMENTED = b"""\
# Ask Alice before changing this.
status = "deprecated"   # since May
reason = 'use acme-core'

[yanked]
# The first one.
"1.0.0" = "broken"  # see the wiki
'acme-1.1.zip' = true
"""

FORMS = {
    "none": None,
    "a table": b'[yanked]\n"2.0" = "x"\n',
    "an empty table": b"[yanked]\n",
    "inline": b'yanked = {"2.0" = "x"}\n',
    "inline and empty": b"yanked = {}\nstatus = 'archived'\n",
    "dotted": b'yanked."2.0" = "x"\nyanked."3.0" = true\n',
    "dotted before another key": b'yanked."2.0" = "x"\nstatus = "archived"\n',
    "a number as a key": b"[yanked]\n2 = 'x'\n",
    "no line end": b'status = "archived"',
    "Windows' line ends": b'# a\r\nstatus = "archived"\r\n[yanked]\r\n"2.0" = "x"\r\n',
    "a comment alone": b"# to be decided\n",
    "two spellings": b'[yanked]\n"2.0" = "x"\n"2.0.0" = "y"\n',
    "a multi-line reason": b'reason = """\nlong\nreason"""\n[yanked]\n',
    "commented": COMMENTED,
}

ONE_SPELLING = [name for name in FORMS if name != "two spellings"]


def test_a_new_file_is_what_a_person_would_write() -> None:
    """The version as it was given, in quotes, since a bare 1.0 is something else in TOML."""
    assert with_yank(None, "1.0", "broken") == b'[yanked]\n"1.0" = "broken"\n'
    assert with_yank(None, "acme-1.0.zip", "") == b'[yanked]\n"acme-1.0.zip" = true\n'
    assert with_status(None, Status.ARCHIVED, "over") == b'status = "archived"\nreason = "over"\n'


def test_comments_and_spelling_are_kept() -> None:
    """Only the words that change change: 1.0 is what somebody wrote as 1.0.0."""
    assert with_yank(COMMENTED, "1.0", "worse") == COMMENTED.replace(b'"broken"', b'"worse"')
    assert with_status(COMMENTED, Status.ARCHIVED, "use acme-core") == COMMENTED.replace(
        b"deprecated", b"archived"
    )
    assert with_yank(COMMENTED, "2.0", "") == COMMENTED + b'"2.0" = true\n'
    assert without_yank(COMMENTED, "acme-1.1.zip") == COMMENTED.replace(b"'acme-1.1.zip' = true\n", b"")


def test_what_is_said_already_is_left_alone() -> None:
    """Byte for byte, also where tomlkit would write it otherwise."""
    assert with_yank(COMMENTED, "1", "broken") is COMMENTED
    assert without_yank(COMMENTED, "7") is COMMENTED
    assert with_status(COMMENTED, Status.DEPRECATED, "use acme-core") is COMMENTED
    assert without_yank(None, "1.0") is None
    assert with_status(None, Status.ACTIVE) is None


def test_nothing_left_to_say() -> None:
    """The file goes with its last word, unless somebody wrote a comment."""
    assert without_yank(with_yank(None, "1.0", "x"), "1.0.0") is None
    assert with_status(with_status(None, Status.QUARANTINED, "malware"), Status.ACTIVE) is None
    kept = without_yank(b"# why\n[yanked]\n'1.0' = true\n", "1.0")
    assert kept is not None
    assert b"# why" in kept
    assert parse_project_file(kept) == NO_PROJECT_FILE


def test_a_table_goes_with_its_last_yank_unless_a_comment_is_in_it() -> None:
    """What is left is not littered with empty tables."""
    assert without_yank(b'status = "archived"\n[yanked]\n"1.0" = "x"\n', "1.0") == b'status = "archived"\n'
    kept = without_yank(b'status = "archived"\n[yanked]\n# old ones\n"1.0" = "x"\n', "1.0")
    assert kept == b'status = "archived"\n[yanked]\n# old ones\n'


@pytest.mark.parametrize("data", [b"", b"status = ", b"statsu = 'archived'\n", b"\xff", b"yanked = 1\n"])
def test_a_broken_file_is_refused(data: bytes) -> None:
    """Whatever is in it was meant by somebody; nothing is guessed."""
    for change in (
        lambda: with_yank(data, "1.0", ""),
        lambda: without_yank(data, "1.0"),
        lambda: with_status(data, Status.ACTIVE),
    ):
        with pytest.raises(InvalidProjectFile):
            change()


@pytest.mark.parametrize("key", ["", "one", "acme-1.0.egg", "1.0\n2.0", "\ud800.zip", "acme-1.0.zip.asc"])
def test_what_is_neither_a_version_nor_a_file_is_refused(key: str) -> None:
    """In words that quote it safely."""
    with pytest.raises(InvalidSetting, match="neither a version nor"):
        with_yank(None, key, "")
    with pytest.raises(InvalidSetting, match="neither a version nor"):
        without_yank(None, key)


def test_what_toml_cannot_hold_is_refused() -> None:
    """A lone surrogate, and more than the reader of the file would take."""
    with pytest.raises(InvalidSetting, match="not a text"):
        with_yank(None, "1.0", "\ud800")
    with pytest.raises(InvalidProjectFile, match="larger than 64 KiB"):
        with_yank(None, "1.0", "x" * 70_000)


@for_each("form", ONE_SPELLING)
@for_each("key", ["1.0", "2.0", "acme-1.0.zip"])
def test_every_way_to_write_it_can_be_changed(form: str, key: str) -> None:
    """Tables, inline tables, dotted keys: yanked is yanked, and taken back is as before."""
    data = FORMS[form]
    yanked = with_yank(data, key, "because")
    assert parse_project_file(yanked).yanked[yank_key(key)] == "because"
    back = without_yank(yanked, key)
    before = {} if data is None else dict(parse_project_file(data).yanked)
    before.pop(yank_key(key), None)
    assert ({} if back is None else dict(parse_project_file(back).yanked)) == before
    archived = with_status(data, Status.ARCHIVED, "over")
    assert archived is not None
    assert parse_project_file(archived).status is Status.ARCHIVED
    for line in (data or b"").split(b"\n"):
        assert line.partition(b"#")[2] in yanked


def test_one_version_in_two_spellings() -> None:
    """Both go; where both stay, the last one counts and the change is refused rather than lost."""
    data = FORMS["two spellings"]
    assert without_yank(data, "2.0") is None
    with pytest.raises(InvalidProjectFile, match="by hand"):
        with_yank(data, "2.0", "z")


versions = st.sampled_from(["1.0", "1.0.0", "2!1", "1.0a1", "acme-1.0.zip", "acme-1.0-py3-none-any.whl"])
reasons = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
steps = st.one_of(
    st.tuples(st.just("yank"), versions, reasons),
    st.tuples(st.just("unyank"), versions),
    st.tuples(st.just("status"), st.sampled_from(Status), st.none() | reasons),
)


@given(
    form=st.sampled_from(ONE_SPELLING),
    changes=st.lists(steps, max_size=6),
)
def test_any_changes_in_any_order(form: str, changes: list[Any]) -> None:
    """After every step the file parses, and says what a plain model says; the head comment outlives them all."""
    data = FORMS[form]
    said = NO_PROJECT_FILE if data is None else parse_project_file(data)
    status, reason, yanked = said.status, said.reason, dict(said.yanked)
    for change in changes:
        match change:
            case ("yank", key, why):
                data = with_yank(data, key, why)
                yanked[yank_key(key)] = why
            case ("unyank", key):
                data = without_yank(data, key)
                yanked.pop(yank_key(key), None)
            case (_, status, why):
                data = with_status(data, status, why)
                reason = why or None
        said = NO_PROJECT_FILE if data is None else parse_project_file(data)
        assert (said.status, said.reason, said.yanked) == (status, reason, yanked)
    if form == "commented":
        assert b"# Ask Alice" in (data or b"")


def test_what_cannot_be_edited_is_left_to_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library that keeps comments may fail where the parser does not."""

    def fail(_: str) -> None:
        raise ValueError("no such thing")

    monkeypatch.setattr("tomlkit.parse", fail)
    with pytest.raises(InvalidProjectFile, match="change it by hand"):
        with_yank(b'status = "archived"\n', "1.0", "")
