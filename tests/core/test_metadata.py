"""Reading core metadata: three values, judged; nothing else of the file matters."""

from __future__ import annotations

import email
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from simpleindex.core.errors import InvalidMetadata
from simpleindex.core.metadata import (
    CoreMetadata,
    Details,
    is_sdist_metadata,
    read_details,
    read_metadata,
    states,
)
from simpleindex.core.names import DistributionName, Kind, parse_distribution_name
from simpleindex.core.text import shown
from tests.fixtures.distributions import metadata_text
from tests.fixtures.tables import for_each

ACME = parse_distribution_name("acme-1.0-py3-none-any.whl")


def requires_python(value: bytes) -> str | None:
    """What is read from this value of Requires-Python."""
    return read_metadata(
        b"Name: acme\nVersion: 1.0\nRequires-Python:" + value + b"\n\n", ACME
    ).requires_python


def test_the_three_values_are_read() -> None:
    """An ordinary METADATA."""
    data = metadata_text("Acme", "1.0.0", "Requires-Python: >=3.9", body="Name: other\nVersion: 9\n")
    assert read_metadata(data, ACME) == CoreMetadata("Acme", "1.0.0", ">=3.9")


@for_each(
    "data",
    [
        b"Metadata-Version: 2.6\nName: acme\nVersion: 1.0\n",
        b"Metadata-Version: 97.3\nName: acme\nVersion: 1.0\nImport-Whatever: yes\n\n",
        b"Name: acme\nVersion: 1.0",
        b"name:acme\r\nVERSION:\t1.0 \r\n\r\nName: other",
        b"Name: acme\rVersion: 1.0\r\rName: other",
        b"Summary: \xff\xfe latin\nName: acme\nVersion: 1.0\n\n\xff\xfe",
        b"Description: one\n        Name: other\n\tVersion: 2\nName: acme\nVersion: 1.0\n",
        b"Name: acme\nName: other\nVersion: 1.0\nVersion: 2.0\n",
        b"Name:\n acme\nVersion:\n 1.0\n",
        b"X-Name: other\nName: acme\nVersion: v1.0.0\n",
    ],
    ids=[
        "2.6",
        "unknown",
        "no-end",
        "crlf",
        "cr",
        "encoding",
        "folded",
        "twice",
        "folded-name",
        "other-header",
    ],
)
def test_what_is_tolerated(data: bytes) -> None:
    """Unknown versions, line ends, bad encodings elsewhere, folding and duplicates (the first wins) do no harm."""
    assert read_metadata(data, ACME).name == "acme"


@for_each(
    ("data", "sentence"),
    [
        (b"", "its metadata have no Name"),
        (b"\nName: acme\nVersion: 1.0\n", "its metadata have no Name"),
        (b"Version: 1.0\n\nName: acme\n", "its metadata have no Name"),
        (b"Name: acme\n\nVersion: 1.0", "its metadata have no Version"),
        (b"Name: acme\nthis is no header\nVersion: 1.0", "its metadata have no Version"),
        (b"\xef\xbb\xbfName: acme\nVersion: 1.0", "its metadata have no Name"),
        (b"Name: other\nVersion: 1.0\n", "its metadata say 'other' '1.0', its name says acme 1.0"),
        (b"Name: acme\nVersion: 1.1\n", "its metadata say 'acme' '1.1', its name says acme 1.0"),
        (b"Name: acme\nVersion: new\n", "its metadata say 'acme' 'new', its name says acme 1.0"),
        (b"Name: ac\xffme\nVersion: 1.0\n", "its metadata say 'ac\\\\xffme' '1.0', its name says acme 1.0"),
        (b"Name: acme\n x\nVersion: 1.0\n", "its metadata say 'acme x' '1.0', its name says acme 1.0"),
        (b"Name: \nVersion: 1.0\n", "its metadata say '' '1.0', its name says acme 1.0"),
        (
            b"Name: acme\nVersion: " + b"1" * 5000,
            f"its metadata say 'acme' '{'1' * 80}...', its name says acme 1.0",
        ),
    ],
)
def test_what_is_refused(data: bytes, sentence: str) -> None:
    """Metadata of nobody or of another project, with a sentence of one short line."""
    with pytest.raises(InvalidMetadata) as caught:
        read_metadata(data, ACME)
    assert str(caught.value) == sentence


@for_each(
    ("value", "expected"),
    [
        (b" >=3.9", ">=3.9"),
        (b" >=3.9, \r\n\t<4 ", ">=3.9, <4"),
        (b"~=3.9,!=3.9.1", "~=3.9,!=3.9.1"),
        (b" ===3.9", "===3.9"),
        (b"", None),
        (b" UNKNOWN", None),
        (b" >=3.6.*", None),
        (b" >=3.9 <4", None),
        (b" ===<script>alert(1)</script>", None),
        (b' >=3"><script>', None),
        (b" >=3\xd9\xa3", None),
        (b" >=3\x0b\x0c,<4\x00", None),
        (b" >=3" + b",>=3" * 1000, None),
        (b" >=" + b"1" * 5000, None),
    ],
)
def test_row_16_requires_python_passes_only_if_it_parses(value: bytes, expected: str | None) -> None:
    """An unparsable value makes uv drop the file and pip ignore the constraint."""
    assert requires_python(value) == expected


@given(st.binary())
@example(b" ===\xc3\xa9")
def test_row_16_no_value_leaks_a_line_or_markup(value: bytes) -> None:
    """Whatever stands there: nothing, or a specifier set on one line."""
    read = requires_python(value)
    if read is not None:
        SpecifierSet(read)
        assert read.isprintable()
        assert read == " ".join(read.split())
        assert not set(read) & set("\"'&;")


HEADER_BYTES = st.lists(
    st.sampled_from(
        [
            b"Name",
            b"Version",
            b"Requires-Python",
            b":",
            b" ",
            b"\t",
            b"\r",
            b"\n",
            b"\r\n",
            b"acme",
            b"1.0",
            b"\xff",
            b">=3",
        ]
    ),
    max_size=25,
).map(b"".join)


@given(HEADER_BYTES)
@example(b"\r\nName:acme")
@example(b"Name:acme\r\n\r\nVersion:1.0")
@example(b"Name:acme\n\rVersion:1.0")
def test_row_15_it_agrees_with_the_parser_of_pip(data: bytes) -> None:
    """Where we read a Name and Version, pip's e-mail parser reads the same ones and the same Requires-Python."""
    message = email.message_from_bytes(data)
    theirs = [" ".join(str(message[key] or "").split()) for key in ("Name", "Version", "Requires-Python")]
    try:
        read = read_metadata(data, ACME)
    except InvalidMetadata:
        assert theirs[:2] != ["acme", "1.0"]
    else:
        assert theirs[:2] == [read.name, read.version]
        assert read.requires_python in {None, theirs[2]}


@given(st.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """No other error leaves, whatever the bytes, and its sentence fits on one line."""
    sentence = ""
    try:
        read_metadata(data, ACME)
    except InvalidMetadata as error:
        sentence = str(error)
    assert sentence.isprintable()


HEAD = b"Name: acme\nVersion: 1.0\n"


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"\n" + b"x" * (16 << 20),
        HEAD + b"\n" + b"A:\n" * (5 << 20),
        HEAD + b"Description: x" + b"\n        line" * 100_000 + b"\n\n" + b"x" * (2 << 20),
        (HEAD + b"A: " + b"a" * (2 << 20))[: 2 << 20],
    ],
    ids=["body", "many-lines", "folded", "headers-only"],
)
def test_huge_metadata_are_read_in_a_moment(data: bytes) -> None:
    """The body is not looked at (time of this thread only; generous for slow machines)."""
    began = time.thread_time()
    assert read_metadata(data, ACME).version == "1.0"
    assert time.thread_time() - began < 2


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"A:\n" * (5 << 20),
        HEAD + b"Description: x" + b"\n " * (8 << 20),
        HEAD + b"A" * (16 << 20),
        (HEAD + b"A:" + b"a" * (2 << 20))[: (2 << 20) - 23] + b"\nRequires-Python: >=3.12\n\n",
        (HEAD + b"A:" + b"a" * (2 << 20))[: (2 << 20) - 5] + b"\nRequires-Python: >=3.12\n\n",
    ],
    ids=["headers", "folded", "one-line", "cut-in-a-value", "cut-in-a-name"],
)
def test_endless_headers_are_refused(data: bytes) -> None:
    """Rather than to read a part of them, or of one value."""
    with pytest.raises(InvalidMetadata) as caught:
        read_metadata(data, ACME)
    assert str(caught.value) == "its metadata have more than 2 MiB of headers"


@pytest.mark.parametrize(
    ("project", "version", "same"),
    [
        ("acme", "1.0", True),
        ("ACME", "1", True),
        ("acme", "1.0.0", True),
        ("acme", "1.0.post1", False),
        ("acme", "", False),
        ("", "1.0", False),
        ("acme-", "1.0", False),
        ("acme", "1" * 5000, False),
    ],
)
def test_names_are_compared_normalized_and_versions_by_pep_440(
    project: str, version: str, same: bool
) -> None:
    """Spelling does not matter, meaning does."""
    assert states(project, version, ACME) is same


def test_local_versions_are_compared_by_pep_440() -> None:
    """A local version in a file name may be written with underscores."""
    name = parse_distribution_name("a_b-1.0+x_1-py3-none-any.whl")
    assert states("A.B", "1.0+x.1", name)
    assert not states("A.B", "1.0", name)


@for_each(
    ("path", "is_it"),
    [
        (b"acme-1.0/PKG-INFO", True),
        (b"./acme-1.0/PKG-INFO", True),
        (b"acme-1.0/acme.egg-info/PKG-INFO", False),
        (b"PKG-INFO", False),
        (b"./PKG-INFO", False),
        (b"././PKG-INFO", False),
        (b"../PKG-INFO", False),
        (b"/PKG-INFO", False),
        (b"acme-1.0/PKG-INFO/", False),
        (b"acme-1.0/xPKG-INFO", False),
        (b"", False),
    ],
)
def test_an_sdists_metadata_is_the_pkg_info_in_its_top_directory(path: bytes, is_it: bool) -> None:
    """Deeper ones (egg-info) are others."""
    assert is_sdist_metadata(path) is is_it


def test_what_is_shown_is_short_and_printable() -> None:
    """Texts from archives go into log lines and the status page."""
    assert shown("a\nb\x1b[2J\u2028") == r"'a\nb\x1b[2J\u2028'"
    assert len(shown("x" * 10**6)) < 100


def test_kind_does_not_matter() -> None:
    """PKG-INFO is read like METADATA."""
    name = DistributionName("acme-1.0.tar.gz", ACME.project, "1.0", Kind.SDIST)
    assert read_metadata(metadata_text("acme", "1.0"), name).requires_python is None


@pytest.mark.parametrize(
    ("data", "details"),
    [
        (b"Name: acme\nVersion: 1.0\n", Details(None, ())),
        (
            b"metadata-VERSION: 2.4\r\nLicense-File: LICENSE\r\nX: y\r\nLicense-File:  a/\xc3\xbc\r\n b\r\n\r\nLicense-File: c\n",
            Details("2.4", ("LICENSE", "a/\u00fc b")),
        ),
        (b"License-File: \xff\nMetadata-Version: 1\nMetadata-Version: 2\n", Details("1", ("\\xff",))),
    ],
)
def test_details_are_read_for_uploads(data: bytes, details: Details) -> None:
    """From the headers alone, in their order."""
    assert read_details(data) == details


def test_details_of_endless_headers_are_not_read() -> None:
    """As with the three values."""
    with pytest.raises(InvalidMetadata, match="more than 2 MiB of headers"):
        read_details(b"X: y\n" * (1 << 20))
