"""Names of projects and of distribution files: what parses, to what, and that nothing else gets in."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simpleindex.core.errors import InvalidFilename, InvalidProjectName
from simpleindex.core.names import (
    SDIST_SUFFIXES,
    WHEEL_SUFFIX,
    DistributionName,
    Kind,
    ProjectName,
    distribution_suffix,
    parse_distribution_name,
    parse_project_name,
)
from tests.fixtures.tables import for_each

ACME = ProjectName("acme")

_ALNUM = "abzABZ059"
PROJECT_TEXTS = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,12}[A-Za-z0-9])?", fullmatch=True)
PARTS = st.text(st.sampled_from(f"{_ALNUM}-_.!+ /\\\0\né²\udcff"), max_size=12)
SUFFIXES = st.sampled_from((WHEEL_SUFFIX, *SDIST_SUFFIXES, ".egg", ""))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("acme", "acme"),
        ("Acme.Widget__X", "acme-widget-x"),
        ("a-_.b", "a-b"),
        ("0", "0"),
        ("A" * 255, "a" * 255),
        ("acme-1.0-py3-none-any.whl", "acme-1-0-py3-none-any-whl"),
    ],
)
def test_a_project_name_is_normalized(text: str, name: str) -> None:
    """PEP 503: lower case, and one hyphen for every run of separators."""
    assert parse_project_name(text) == name


@for_each(
    "text",
    [
        *("", "-", ".", "..", "_a", "a_", "a-", "-a", "a b", "a/b", "a\\b", "a\n", "\na", "a\0", "a%2Fb"),
        *("caf\xe9", "\uff41cme", "acme\udcff", "\u212aelvin", "\u017fix", "a\u2010b", "\u0661", "-" * 5000),
    ],
)
def test_no_other_text_is_a_project_name(text: str) -> None:
    """Climbing names, controls and look-alikes are refused; the error keeps the text for its sentence."""
    with pytest.raises(InvalidProjectName) as caught:
        parse_project_name(text)
    assert caught.value.text == text
    assert repr(text) in str(caught.value)


@given(PROJECT_TEXTS)
def test_normalisation_is_idempotent(text: str) -> None:
    """A normalized name is its own normal form."""
    name = parse_project_name(text)
    assert parse_project_name(name) == name


@for_each(
    ("filename", "suffix"),
    [
        ("acme-1.0-py3-none-any.whl", ".whl"),
        *((f"acme-1.0{suffix}", suffix) for suffix in SDIST_SUFFIXES),
        *((name, None) for name in ("acme-1.0.egg", "acme-1.0.WHL", "acme-1.0.tar.gz.asc", "acme.exe", "")),
    ],
)
def test_the_suffix_makes_the_distribution(filename: str, suffix: str | None) -> None:
    """Wheels and sdists in their formats; no eggs, no side files, and suffixes only in lower case."""
    assert distribution_suffix(filename) == suffix


@for_each(
    ("filename", "project", "expected"),
    [
        ("acme-1.0-py3-none-any.whl", None, ("acme", "1.0", Kind.WHEEL)),
        ("Acme_Widget-1.0+abc-2fix-py2.py3-none-any.whl", None, ("acme-widget", "1.0+abc", Kind.WHEEL)),
        ("acme-1!2.0.dev1-py3-none-any.whl", "acme", ("acme", "1!2.0.dev1", Kind.WHEEL)),
        ("acme-V1.0-RC1.tar.gz", "acme", ("acme", "1.0rc1", Kind.SDIST)),
        ("acme-widget-2.tar.bz2", None, ("acme-widget", "2", Kind.SDIST)),
        ("acme-widget-2.zip", "acme-widget", ("acme-widget", "2", Kind.SDIST)),
        # Only the project tells where such a legacy name is to be cut.
        ("acme-1-1.tar.gz", "acme", ("acme", "1.post1", Kind.SDIST)),
        ("acme-1-1.tar.gz", "acme-1", ("acme-1", "1", Kind.SDIST)),
        ("acme-1-1.tar.gz", None, ("acme", "1.post1", Kind.SDIST)),
    ],
)
def test_a_distribution_name_is_read(
    filename: str, project: ProjectName | None, expected: tuple[str, str, Kind]
) -> None:
    """Project and version come out in normal form, the file name as it is."""
    name, version, kind = expected
    assert parse_distribution_name(filename, project) == DistributionName(
        filename, ProjectName(name), version, kind
    )


@for_each(
    ("filename", "project", "reason"),
    [
        ("acme-1.0.egg", None, "no suffix of a wheel or an sdist"),
        ("acme-1.0\xb2.tar.gz", None, "which no distribution's has"),
        ("acme-1.0.tar.gz\n.zip", None, "which no distribution's has"),
        ("acme 1.0-1.0.zip", None, "which no distribution's has"),
        ("acme-1.0-py3-none-\udcff.whl", None, "which no distribution's has"),
        ("acme-1.0-py3-none-a/../b.whl", None, "slash"),
        ("../acme-1.0.zip", None, "slash"),
        ("acme-1.0.whl", None, "not a wheel's"),
        ("acme-1.0-py3-none.whl", None, "not a wheel's"),
        ("_acme-1.0-py3-none-any.whl", None, "not a wheel's"),
        ("acme-one-py3-none-any.whl", None, "not a wheel's"),
        ("acme-1.0-x-py3-none-any.whl", None, "not a wheel's"),
        (
            f"acme-{'1' * 5000}-py3-none-any.whl",
            None,
            "its file name has 5,022 characters, and at most 255 are read",
        ),
        ("acme.tar.gz", None, "not an sdist's (name-version.tar.gz)"),
        ("acme-one.tar.gz", "acme", "not an sdist's"),
        ("-1.0.tar.gz", None, "not an sdist's"),
        (f"acme-{'1' * 5000}.zip", "acme", "its file name has 5,009 characters, and at most 255 are read"),
        ("acme-1.0-py3-none-any.whl", "other", "states the project acme, not other"),
        ("acme-1.0.zip", "other", "states the project acme, not other"),
    ],
)
def test_a_wrong_distribution_name_is_refused(
    filename: str, project: ProjectName | None, reason: str
) -> None:
    """One sentence per mistake; the error keeps the name."""
    with pytest.raises(InvalidFilename) as caught:
        parse_distribution_name(filename, project)
    assert reason in caught.value.reason
    assert repr(filename) in str(caught.value)


@given(
    st.one_of(st.text(), st.builds("-".join, st.lists(PARTS, max_size=6))),
    SUFFIXES,
    st.sampled_from((None, ACME, ProjectName("a-b"))),
)
@example("acme-" + "9" * 4301, ".tar", ACME)
@example("acme-1-" + "9" * 4301 + "-py3-none-any", ".whl", None)
def test_any_text_parses_or_is_refused(stem: str, suffix: str, project: ProjectName | None) -> None:
    """Nothing but InvalidFilename is ever raised, and what parses is a plain name of the project asked for."""
    try:
        parsed = parse_distribution_name(stem + suffix, project)
    except InvalidFilename:
        return
    assert parsed.filename == stem + suffix
    assert parsed.filename.isascii()
    assert "/" not in parsed.filename
    assert parsed.project == parse_project_name(parsed.project)
    assert project in (None, parsed.project)


@for_each(
    ("version", "normal"),
    [
        *(("1.0-beta2", "1.0b2"), ("1.0-beta-2", "1.0b2"), ("1.0-rc1", "1.0rc1"), ("1.0-alpha", "1.0a0")),
        *(
            ("1.0-dev3", "1.0.dev3"),
            ("1.0-dev-r1234", None),
            ("1.0-post", "1.0.post0"),
            ("1.0-pre.1", "1.0rc1"),
        ),
        *(("1.0-r1234", "1.0.post1234"), ("1.0-1", "1.0.post1"), ("2004-1", "2004.post1")),
        *(("v1.0-RC-1-post-2-dev-3", "1.0rc1.post2.dev3"), ("1!1.0-b1+local-x.1", "1!1.0b1+local.x.1")),
        *(("1.0-1-1", None), ("1.0-py2.7", None), ("dev", None)),
    ],
)
@for_each("name", ["acme", "acme-widget", "Acme_Widget.x", "acme2", "3-acme", "lo-v2-py3"])
@for_each("suffix", [".tar.gz", ".zip", ".tar.bz2"])
def test_hyphens_in_the_version_of_a_legacy_sdist(
    version: str, normal: str | None, name: str, suffix: str
) -> None:
    """The name alone is split where pip splits it that looks for this project; what pip takes for none's is none's."""
    filename, project = f"{name}-{version}{suffix}", parse_project_name(name)
    for known in (None, project):
        if normal is None:
            with suppress(InvalidFilename):
                assert parse_distribution_name(filename, known).project != project
        else:
            assert parse_distribution_name(filename, known) == DistributionName(
                filename, project, normal, Kind.SDIST
            )


@given(
    PROJECT_TEXTS,
    st.sampled_from(("1", "1.0", "1-1", "1.0-beta-2", "1.0-r5", "2.0rc1", "1!1.0+a.b")),
    SUFFIXES,
)
def test_a_name_read_alone_reads_the_same_in_its_project(name: str, version: str, suffix: str) -> None:
    """A file lying in the root is the same distribution as in the directory of the project that its name states."""
    filename = f"{name}-{version}{suffix}"
    try:
        alone = parse_distribution_name(filename)
    except InvalidFilename:
        return
    assert parse_distribution_name(filename, alone.project) == alone


def test_a_version_that_is_too_long_in_its_normal_form() -> None:
    """Nobody could ask for it: a version in a URL or a command is bounded, and a file's is its normal form."""
    stated = f"10{'.1' * 120}c1-1dev"
    with pytest.raises(InvalidFilename, match="the version has 256 characters"):
        parse_distribution_name(f"a-{stated}.zip")
    assert len(parse_distribution_name(f"a-{stated[1:]}.zip").version) == 255


def test_a_wheel_for_too_many_platforms() -> None:
    """Each combination of its tags would be made: 40 in each part are 64,000, in 0.1 s."""
    many = ".".join("a" * 40)
    with pytest.raises(InvalidFilename, match="has 64,000 members, and at most 1,000 are read"):
        parse_distribution_name(f"x-1-{many}-{many}-{many}.whl")
    assert parse_distribution_name("x-1-py2.py3-none-any.whl").version == "1"


@pytest.mark.parametrize(
    "copy",
    [
        "acme-1.0-py3-none-any (1).whl",
        "acme-1.0-py3-none-any(1).whl",
        "acme-1.0-py3-none-any (12).whl",
        "acme-1.0-py3-none-any - Copy.whl",
        "acme-1.0-py3-none-any - Copy (2).whl",
        "acme-1.0-py3-none-any copy.whl",
        "acme-1.0-py3-none-any copy 2.whl",
        "acme-1.0-py3-none-any (copy).whl",
    ],
)
def test_a_copy_of_a_browser_or_desktop_is_called_one(copy: str) -> None:
    """With what it is a copy of, and what to do."""
    with pytest.raises(InvalidFilename) as caught:
        parse_distribution_name(copy)
    assert caught.value.reason == (
        "it looks like a browser's or desktop's copy of 'acme-1.0-py3-none-any.whl'; rename it, or remove it"
    )
