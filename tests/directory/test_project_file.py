"""``simpleindex.toml``: wholly understood or wholly refused, so that no yank vanishes by accident."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.core.files import File
from simpleindex.core.model import Status
from simpleindex.core.names import Kind
from simpleindex.directory.project_file import (
    NO_PROJECT_FILE,
    InvalidProjectFile,
    ProjectFile,
    parse_project_file,
)
from tests.fixtures.tables import for_each


def file(version: str = "1.0", filename: str | None = None) -> File:
    """A listed file of some version."""
    return File(filename or f"acme-{version}.zip", version, Kind.SDIST, 1, "00", 0)


def refusal(data: bytes) -> str:
    """Parse what must be refused; return the sentence."""
    with pytest.raises(InvalidProjectFile) as caught:
        parse_project_file(data)
    return str(caught.value)


def test_everything_that_can_be_said() -> None:
    """Status, reason, a yanked version and a yanked file."""
    parsed = parse_project_file(
        b"""
        status = "deprecated"
        reason = "use acme-core"
        [yanked]
        "1.0" = "broken on Python 3.13"
        "acme-1.1.zip" = true
        """
    )
    assert (parsed.status, parsed.reason) == (Status.DEPRECATED, "use acme-core")
    assert parsed.yank_of(file("1.0")) == "broken on Python 3.13"
    assert parsed.yank_of(file("1.1")) == ""
    assert parsed.yank_of(file("1.1", "acme-1.1.tar.gz")) is None


def test_a_file_that_says_nothing_is_still_a_file() -> None:
    """Comments alone change nothing, but make the directory a project; no reason is none."""
    parsed = parse_project_file(b"# to be decided\nreason = ''\n")
    assert parsed == ProjectFile() == NO_PROJECT_FILE
    assert parsed is not NO_PROJECT_FILE


@pytest.mark.parametrize(
    ("key", "version"),
    [
        ("1.0", "1.0"),
        ("v1.0", "1.0"),
        ("1.0.0", "1.0"),
        ("1", "1.0.0"),
        ("1.0-RC1", "1.0rc1"),
        ("1.0+A", "1.0+a"),
    ],
)
def test_a_yank_names_a_version_in_any_spelling(key: str, version: str) -> None:
    """PEP 440: 1.0, v1.0 and 1.0.0 are one version; a yank must not miss it for a zero."""
    assert parse_project_file(f'[yanked]\n"{key}" = "bad"'.encode()).yank_of(file(version)) == "bad"


@pytest.mark.parametrize(
    ("key", "version"), [("1.0", "1.0.1"), ("1.0", "1.0+a"), ("1.0", "1.0rc1"), ("1.0", "1!1.0")]
)
def test_a_yank_names_no_other_version(key: str, version: str) -> None:
    """A neighbour is not yanked with it."""
    assert parse_project_file(f'[yanked]\n"{key}" = true'.encode()).yank_of(file(version)) is None


def test_a_file_s_own_reason_comes_before_its_version_s() -> None:
    """The more exact statement wins."""
    parsed = parse_project_file(b'[yanked]\n"1.0" = "all"\n"acme-1.0.zip" = "this one"')
    assert parsed.yank_of(file()) == "this one"
    assert parsed.yank_of(file(filename="acme-1.0.tgz")) == "all"


@for_each(
    ("data", "sentence"),
    [
        (b"", "is empty"),
        (b" \r\n\t", "is empty"),
        (b"status = '\xff'", "not UTF-8"),
        (b"status =", "not valid TOML"),
        (b"\0" * 100, "line 1 has a NUL byte"),
        (b"reason = 1" + b"0" * 5000, "not valid TOML"),
        (b"reason = " + b"[" * 60_000, "nested too deeply"),
        (b"yank = {}", "has the unknown key 'yank' (did you mean 'yanked'?)"),
        (b"zzz = 1", "has the unknown key 'zzz' (known: status, reason, yanked"),
        (b'"a\\nb" = 1', r"has the unknown key 'a\nb'"),
        (b"reason = 1", "reason that is not a string"),
        (b"status = 'quarantine'", "has the status 'quarantine' (did you mean 'quarantined'?)"),
        (b"status = ''", "(known: active, archived, deprecated, quarantined"),
        (b"status = 1", "status that is not a string"),
        (b"status = 0x" + b"f" * 60_000, "status that is not a string"),
        (b"status = {" + b"a." * 60 + b"a = 1}", "status that is not a string"),
        (b"status = {" + b"a." * 30_000 + b"a = 1}", "a dotted key has 65 dots, and at most 64 are read"),
        (b"yanked = ['1.0']", "'yanked' that is not a table"),
        (b"[yanked]\n'one' = true", "yanks 'one', which is neither a version nor"),
        (b"[yanked]\n'" + b"1" * 5000 + b"' = true", "which is neither a version nor"),
        (b"[yanked]\n1.0 = 'bad'", "put the version in quotes"),
        (b"[yanked]\n'1.0' = false", "neither a reason in quotes nor true"),
        (b"[yanked]\n'1.0' = [0x" + b"f" * 60_000 + b"]", "neither a reason in quotes nor true"),
    ],
)
def test_what_is_not_understood_is_refused(data: bytes, sentence: str) -> None:
    """One short sentence, on one line, whatever the file holds."""
    message = refusal(data)
    assert message.startswith("simpleindex.toml ")
    assert sentence in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            b"yankd = 1\nstatus = 'quarantine'",
            "has the unknown key 'yankd' (did you mean 'yanked'?), and has the status 'quarantine' (did you mean 'quarantined'?)",
        ),
        (
            b"reason = 1\n[yanked]\n'one' = true\n'1.0' = 1",
            (
                "has a reason that is not a string, and yanks 'one', which is neither a version nor a distribution's file name, "
                "and yanks '1.0' with what is neither a reason in quotes nor true"
            ),
        ),
        (
            b"[yanked]\n" + b"".join(b"'1.%d' = 1\n" % number for number in range(9)),
            ", and ".join(
                f"yanks '1.{number}' with what is neither a reason in quotes nor true" for number in range(5)
            )
            + ", and has 4 more mistakes",
        ),
    ],
)
def test_every_mistake_is_named(data: bytes, expected: str) -> None:
    """All mistakes are named at once: nobody starts the index once for each."""
    assert refusal(data) == f"simpleindex.toml {expected}"


@pytest.mark.parametrize("data", [b"status = '%s'", b"%s = 1", b"[yanked]\n'%s' = true"])
def test_a_long_text_is_cut_in_the_sentence(data: bytes) -> None:
    """The sentence goes to a log and to clients; 60 KiB of somebody's key do not."""
    assert len(refusal(data % (b"x" * 60_000))) < 500


@given(
    st.one_of(
        st.binary(), st.text().map(str.encode), st.text("abstu ='\"[]{}.,#\n10", max_size=40).map(str.encode)
    )
)
def test_any_bytes_parse_or_are_refused(data: bytes) -> None:
    """Nothing but InvalidProjectFile is ever raised."""
    try:
        assert isinstance(parse_project_file(data), ProjectFile)
    except InvalidProjectFile as error:
        assert str(error)  # noqa: PT017  (either outcome is right)
