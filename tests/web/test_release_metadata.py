"""Core metadata as pages show them: lenient, and bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.web.release_metadata import (
    NO_METADATA,
    Person,
    ReleaseMetadata,
    is_web_address,
    parse_release_metadata,
)


def parsed(*lines: str) -> ReleaseMetadata:
    return parse_release_metadata("\n".join((*lines, "", "")).encode())


@pytest.mark.parametrize(
    ("lines", "people"),
    [
        (["Author-email: Ann <a@x.org>, b@x.org"], [Person("Ann", "a@x.org"), Person("", "b@x.org")]),
        (["Author: Ann", "Author-email: a@x.org"], [Person("Ann", "a@x.org")]),
        (["Author: Ann"], [Person("Ann", "")]),
        (["Author: Ann", "Author-email: Ann <a@x.org>"], [Person("Ann", "a@x.org")]),
        (["Maintainer: Bob", "Author: UNKNOWN"], [Person("Bob", "")]),
    ],
)
def test_people(lines: list[str], people: list[Person]) -> None:
    assert list(parsed(*lines).people) == people


def test_addresses_of_the_web_alone_become_links() -> None:
    metadata = parsed(
        *(
            "Project-URL: Docs, https://docs.org/",
            "Project-URL: Bad, javascript:alert(1)",
            "Project-URL: nothing",
        ),
        *("Home-page: http://home.org", "Download-URL: file:///etc/passwd"),
    )
    assert metadata.urls == (("Docs", "https://docs.org/"), ("Homepage", "http://home.org"))
    assert not is_web_address("https://[x")


@pytest.mark.parametrize(
    ("marker", "rest", "extra"),
    [
        ("extra == 'x'", "", "x"),
        ("'x' == extra", "", "x"),
        ("(extra == 'x')", "", "x"),
        ("python_version<'3' and (extra == \"x\")", "python_version<'3'", "x"),
        (
            "os_name == 'nt' and extra=='x' and python_version>='3'",
            "os_name == 'nt' and python_version>='3'",
            "x",
        ),
        (
            "(os_name == 'nt' or python_version < '3') and extra == 'x'",
            "(os_name == 'nt' or python_version < '3')",
            "x",
        ),
        # What needs more than one sentence is shown as it is written.
        ("extra == 'x' or extra == 'y'", None, ""),
        ("os_name == 'nt' or extra == 'x'", None, ""),
        ("os_name == 'nt' or python_version < '3' and extra == 'x'", None, ""),
        ("(os_name == 'nt' and extra == 'x') or python_version < '3'", None, ""),
        ("extra == 'x' and extra == 'y'", None, ""),
        ("extra == 'x' and (os_name == 'nt' or extra == 'y')", None, ""),
        ("extra != 'x'", None, ""),
    ],
)
def test_the_extra_that_needs_a_requirement(marker: str, rest: str | None, extra: str) -> None:
    text = f"a>=1; {marker}"
    (requirement,) = parsed(f"Requires-Dist: {text}").requirements
    shown = text if rest is None else f"a>=1; {rest}" if rest else "a>=1"
    assert (requirement.text, requirement.extra) == (shown, extra)


def test_requirements_by_their_extra() -> None:
    metadata = parsed(
        *("Requires-Dist: a>=1; python_version < '3.9'", "Requires-Dist: b; extra == 'x'"),
        *(
            "Requires-Dist: c; python_version < '4' and extra == 'x'",
            "Requires-Dist: d; extra == 'x' and os_name == 'nt'",
        ),
        *("Requires-Dist: (nonsense", "Requires-Dist: -bad-"),
        "Requires-Dist: e @ https://host/e-1.0.zip ; extra == 'x'",
    )
    assert [(each.text, each.project, each.extra) for each in metadata.requirements] == [
        ("a>=1; python_version < '3.9'", "a", ""),
        ("b", "b", "x"),
        ("c; python_version < '4'", "c", "x"),
        ("d; os_name == 'nt'", "d", "x"),
        ("(nonsense", None, ""),
        ("-bad-", None, ""),
        ("e @ https://host/e-1.0.zip", None, "x"),
    ]


@pytest.mark.parametrize(
    ("data", "description"),
    [
        (b"Name: a\n\nText\n", "Text"),
        (b"Name: a\nDescription: First\n        second\n        |third\n\nbody", "First\nsecond\nthird"),
        (b"Name: a\nDescription: UNKNOWN\n\nBody", "Body"),
    ],
)
def test_descriptions_of_every_age(data: bytes, description: str) -> None:
    assert parse_release_metadata(data).description.replace("|", "") == description


@pytest.mark.parametrize(
    ("text", "keywords"),
    [
        ("", ()),
        ("one", ("one",)),
        ("one two  one", ("one", "two")),
        ("machine learning, data science,", ("machine learning", "data science")),
        ("one;two three", ("one", "two three")),
        ("a,b;c", ("a", "b;c")),
        (", ,", ()),
    ],
)
def test_keywords(text: str, keywords: tuple[str, ...]) -> None:
    assert parsed(f"Keywords: {text}").keywords == keywords


def test_other_fields() -> None:
    metadata = parsed(
        *(
            "Summary: One",
            "License: MIT",
            "Keywords: a, b c",
            "Classifier: X :: Y",
            "Provides-Extra: x",
            "Requires-Python: >=3",
        )
    )
    assert metadata.license == "MIT"
    assert metadata.keywords == ("a", "b c")
    assert (metadata.classifiers, metadata.extras, metadata.requires_python) == (("X :: Y",), ("x",), ">=3")
    assert parsed("License-Expression: BSD", "License: x").license == "BSD"


def test_endless_headers_have_no_metadata() -> None:
    assert parse_release_metadata(b"A: b\n" * 600_000) == NO_METADATA


@given(st.binary(max_size=300))
def test_any_bytes_are_parsed(data: bytes) -> None:
    assert isinstance(parse_release_metadata(b"Requires-Dist: " + data), ReleaseMetadata)


def test_people_are_bounded() -> None:
    """A field holds a hundred addresses; 500 of such fields took a second to be shown."""
    lines = [f"Author-email: {', '.join(f'a{row}.{each}@x.org' for each in range(90))}" for row in range(500)]
    assert len(parsed(*lines).people) == 500
