"""What is indexed of a distribution's metadata."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.core.errors import InvalidMetadata
from simpleindex.core.files import File
from simpleindex.core.names import Kind, ProjectName
from simpleindex.search.document import LONGEST_TEXT, Dependency, Document, document_of
from simpleindex.search.document_rows import pack_text, unpack_text
from tests.fixtures.distributions import metadata_text

ACME = ProjectName("acme")
FILE = File("acme-1.0-py3-none-any.whl", "1.0", Kind.WHEEL, 1, "0" * 64, 1, requires_python=">=3.9")


def document(*lines: str, body: str = "", name: str = "Acme") -> Document:
    """The document of these metadata."""
    return document_of(ACME, FILE, metadata_text(name, "1.0", *lines, body=body))


def test_facts_and_description() -> None:
    made = document(
        "Summary: Rockets  for\n  coyotes",
        "Keywords: rocket,trap",
        "Classifier: Topic :: Space",
        "Author: Jane Doe",
        "Author-email: Ann Roe <ann@example.com>",
        body="# Acme\n\nFlies FAST.",
    )
    assert made.title == "Acme"
    assert made.summary == "Rockets for coyotes"
    assert made.keywords == "rocket,trap"
    assert made.authors == "Jane Doe, Ann Roe, ann@example.com"
    assert made.text == "topic :: space # acme flies fast."
    assert made.written.split("\n") == ["rocket,trap", "# Acme Flies FAST.", "Topic :: Space"]
    assert made.requires_python == ">=3.9"


def test_the_description_of_old_metadata_is_a_header() -> None:
    assert document("Description: Acme", "        flies", "       |fast").text == "acme flies fast"


def test_unknown_is_nothing() -> None:
    """Old setuptools wrote it for what was not stated."""
    made = document("Summary: UNKNOWN", "Author: UNKNOWN")
    assert (made.summary, made.authors) == ("", "")


def test_a_title_of_another_project_is_not_shown() -> None:
    assert document(name="Other").title == "acme"


def test_dependencies() -> None:
    made = document(
        "Requires-Dist: Zope.Interface (>=5)",
        "Requires-Dist: numpy>=2; extra == 'fast'",
        "Requires-Dist: zope-interface<9",
        "Requires-Dist: no valid line!",
    )
    assert made.dependencies == (
        Dependency(ProjectName("zope-interface"), "Zope.Interface (>=5)"),
        Dependency(ProjectName("numpy"), "numpy>=2; extra == 'fast'"),
    )


def test_without_metadata_there_is_a_name() -> None:
    assert document_of(ACME, FILE, None) == Document(ACME, "acme", requires_python=">=3.9")


def test_a_long_description_is_cut() -> None:
    made = document(body="word " * LONGEST_TEXT)
    assert len(made.text) <= LONGEST_TEXT
    assert len(made.written) <= LONGEST_TEXT + 1


def test_endless_headers_are_refused() -> None:
    with pytest.raises(InvalidMetadata):
        document_of(ACME, FILE, b"X: y\n" * 600_000)


@given(st.binary(max_size=300))
def test_whatever_a_stranger_writes_can_be_indexed(data: bytes) -> None:
    """Every text of it fits SQLite."""
    made = document_of(ACME, FILE, b"Name: acme\n" + data)
    for text in (made.title, made.summary, made.keywords, made.authors, made.text):
        text.encode()
        assert "\0" not in made.text
    assert (
        unpack_text(pack_text(made.written, made.text), made.text)
        == made.written.encode("utf-8", "replace").decode()
    )
