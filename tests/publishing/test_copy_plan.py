"""What is copied of a release, and what is noted of it."""

from __future__ import annotations

import json

import pytest

from simpleindex.core.files import File
from simpleindex.core.model import Project, Status, Withheld
from simpleindex.core.names import Kind, ProjectName
from simpleindex.publishing.copying.copy_plan import copy_note, noted_urls, parse_release, select_files
from simpleindex.publishing.errors import NotCopied

ACME = ProjectName("acme")
SDIST = File("acme-1.0.tar.gz", "1.0", Kind.SDIST, 1, "ab" * 32, None)
WHEEL = File("acme-1.0-py3-none-any.whl", "1.0", Kind.WHEEL, 1, "cd" * 32, None)
OTHER = File("acme-2.0.tar.gz", "2.0", Kind.SDIST, 1, "ef" * 32, None)
WITHHELD = Withheld("acme-3.0.tar.gz", "acme/acme-3.0.tar.gz is not served: it is broken.", "archive")
STRAY = Withheld("stray", "stray is none.", "name")
PROJECT = Project(ACME, (SDIST, WHEEL, OTHER), (WITHHELD, STRAY))


@pytest.mark.parametrize("text", ["acme==1.0", "Acme == 1.0.0", "acme==v1"])
def test_a_release(text: str) -> None:
    """In any of its spellings, of which the file names' one is made."""
    name, version = parse_release(text)
    assert name == ACME
    assert version in {"1.0", "1.0.0", "1"}


@pytest.mark.parametrize("text", ["acme", "acme==", "==1.0", "acme==x", "acme>=1.0", "-==1.0", ""])
def test_what_is_no_release(text: str) -> None:
    """It is said how one is written."""
    with pytest.raises(NotCopied, match="write NAME==VERSION"):
        parse_release(text)


@pytest.mark.parametrize(
    ("version", "only", "expected"),
    [
        ("1.0", (), (SDIST, WHEEL)),
        ("1.0.0", (), (SDIST, WHEEL)),
        ("1.0", (WHEEL.filename,), (WHEEL,)),
        ("2.0", (), (OTHER,)),
    ],
)
def test_what_is_meant(version: str, only: tuple[str, ...], expected: tuple[File, ...]) -> None:
    """All of a release, or the files that are named; versions are compared as such."""
    assert select_files(PROJECT, "staging", version, only) == expected


@pytest.mark.parametrize(
    ("project", "version", "only", "sentence"),
    [
        (PROJECT, "9.0", (), "staging has no acme 9.0; it has 1.0, 2.0."),
        (Project(ACME), "9.0", (), "staging has no acme 9.0."),
        (PROJECT, "1.0", ("x.zip",), "staging has no 'x.zip' of acme 1.0, which has acme-1.0.tar.gz, "),
        (PROJECT, "1.0", (OTHER.filename,), f"staging has no '{OTHER.filename}' of acme 1.0"),
        (
            PROJECT,
            "3.0",
            (),
            "staging withholds a file of it: acme/acme-3.0.tar.gz is not served: it is broken.",
        ),
        (PROJECT, "1.0", (WITHHELD.filename,), "staging withholds a file of it: "),
        (Project(ACME, status=Status.QUARANTINED), "1.0", (), "staging has quarantined acme"),
    ],
)
def test_what_cannot_be_had(project: Project, version: str, only: tuple[str, ...], sentence: str) -> None:
    """Each has its reason."""
    with pytest.raises(NotCopied) as caught:
        select_files(project, "staging", version, only)
    assert f"Nothing was copied: {sentence}" in str(caught.value)
    assert str(caught.value).endswith(".")
    assert ".." not in str(caught.value)


def test_a_note() -> None:
    """One line of JSON, without what is not known."""
    line = copy_note("a.zip", "ab", source="pypi", url="https://h/a.zip", who="command:me\n", now=1.5)
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "filename": "a.zip",
        "sha256": "ab",
        "from": "pypi",
        "url": "https://h/a.zip",
        "who": "command:me\n",
        "time": "1970-01-01T00:00:01+00:00",
    }
    assert b"url" not in copy_note("a.zip", "ab", source="staging", url=None, who="x", now=0)


def test_where_files_came_from() -> None:
    """By name and digest, the last word first; whatever else stands in a note is nothing."""
    lines = [
        copy_note("a.zip", "ab", source="pypi", url="https://h/1", who="x", now=0),
        copy_note("a.zip", "ab", source="pypi", url="https://h/2", who="x", now=0),
        copy_note("b.zip", "ab", source="staging", url=None, who="x", now=0),
        b'{"filename": 1, "sha256": "x", "url": "y"}\n',
        b"[" * 100_000 + b"\n",
        b"\xff no JSON\n[]\n5\n{}",
    ]
    assert noted_urls(b"".join(lines)) == {("a.zip", "ab"): "https://h/2"}
