"""What the client has already and which part it wants (RFC 9110 sections 13 and 14)."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simpleindex.web.conditional import (
    ByteRange,
    UnsatisfiableRange,
    WholeFile,
    content_range,
    if_range_matches,
    not_modified,
    parse_range,
    precondition_failed,
)
from tests.fixtures.tables import for_each

ETAG = '"5f70bf18a086007016e948b04aed3b82"'
MODIFIED = 784_111_777
IMF_FIXDATE = "Sun, 06 Nov 1994 08:49:37 GMT"
DATES = [IMF_FIXDATE, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
NO_DATES = [
    "",
    "yesterday",
    "Sun, 31 Feb 1994 08:49:37 GMT",
    "Sun, 06 Nov 99994 08:49:37 GMT",
    "Sun, 06 Nov 1994 25:49:37 GMT",
    f"Sun, 06 Nov {'9' * 30} 08:49:37 GMT",
    f"Sun, 06 Nov {'9' * 5000} 08:49:37 GMT",
    f"Sun, 06 Nov 1994 08:49:37 +{'9' * 30}",
    "Sun, 06 Nov 1994 08:49:37 +9900",
    "784111777",
]


# If-None-Match and If-Modified-Since


@for_each(
    "header",
    [
        f'"a",{ETAG}',
        f'"a", "b" , {ETAG}\t, "c"',
        f'W/"a", W/{ETAG}',
        f" ,, {ETAG} ,",
        f'"with, comma", {ETAG}',
        f'"x\\", {ETAG}',
        f'"", {ETAG}',
        f"unquoted, {ETAG}",
        f'"never closed, {ETAG}',
    ],
)
def test_row_23_a_list_with_our_etag_is_not_modified(header: str) -> None:
    """Proxies, and pip behind caches, send several (T9)."""
    assert not_modified(header, None, ETAG, None)


@pytest.mark.parametrize("header", [ETAG, f"W/{ETAG}", f" {ETAG} ", "*", " * "])
def test_a_single_etag_and_any(header: str) -> None:
    """The weak comparison ignores W/ on either side; ``*`` is whatever there is (RFC 9110 13.1.2)."""
    assert not_modified(header, None, ETAG, None)
    assert not_modified(header, None, f"W/{ETAG}", None)


@for_each(
    "header",
    [
        "",
        '"other"',
        ETAG.strip('"'),
        f"w/{ETAG}",
        f"{ETAG}junk",
        f"junk{ETAG}",
        f'"a" {ETAG}',
        f'"a{ETAG[1:]}',
        '"*"',
        "**",
        f'"a, {ETAG[1:-1]}, b"',
    ],
)
def test_what_is_not_our_etag_is_modified(header: str) -> None:
    """What cannot be read errs on the side of sending."""
    assert not not_modified(header, None, ETAG, None)


def test_an_etag_with_a_comma_is_found_and_not_split() -> None:
    """Commas inside the quotes belong to the tag (RFC 9110 8.8.3)."""
    assert not_modified('"a,b", "c"', None, '"a,b"', None)
    assert not not_modified('"a,b", "c"', None, '"b"', None)


def test_if_none_match_beats_if_modified_since() -> None:
    """Even when it is garbage: the date is left unread (T9)."""
    assert not not_modified('"other"', IMF_FIXDATE, ETAG, MODIFIED)
    assert not not_modified("garbage", IMF_FIXDATE, ETAG, MODIFIED)
    assert not_modified(ETAG, IMF_FIXDATE, ETAG, MODIFIED + 1)


@pytest.mark.parametrize("date", DATES)
def test_if_modified_since_in_all_three_forms(date: str) -> None:
    """To the second, in UTC whatever this machine's zone (RFC 9110 5.6.7, 13.1.3)."""
    assert not_modified(None, date, ETAG, MODIFIED)
    assert not_modified(None, date, ETAG, MODIFIED - 1)
    assert not not_modified(None, date, ETAG, MODIFIED + 1)
    assert not not_modified(None, date, ETAG, None)


@for_each("date", [None, *NO_DATES])
def test_no_date_is_ignored(date: str | None) -> None:
    """Garbage, impossible days and endless numbers count as absent."""
    assert not not_modified(None, date, ETAG, 0)
    assert not precondition_failed(None, date, ETAG, 2**40)


# If-Match and If-Unmodified-Since


@for_each(
    ("if_match", "etag", "failed"),
    [
        (None, ETAG, False),
        ("*", ETAG, False),
        (ETAG, ETAG, False),
        (f'"a", {ETAG}', ETAG, False),
        (f"W/{ETAG}", ETAG, True),
        (f"W/{ETAG}", f"W/{ETAG}", True),
        (ETAG, f"W/{ETAG}", True),
        ('"other"', ETAG, True),
        ("garbage", ETAG, True),
    ],
)
def test_if_match_compares_strongly(if_match: str | None, etag: str, failed: bool) -> None:
    """RFC 9110 13.1.1: a weak tag on either side matches nothing."""
    assert precondition_failed(if_match, None, etag, None) is failed


@pytest.mark.parametrize("date", DATES)
def test_if_unmodified_since(date: str) -> None:
    """Fails only for what is newer, and never without a time of our own (RFC 9110 13.1.4)."""
    assert not precondition_failed(None, date, ETAG, MODIFIED)
    assert precondition_failed(None, date, ETAG, MODIFIED + 1)
    assert not precondition_failed(None, date, ETAG, None)


def test_if_match_beats_if_unmodified_since() -> None:
    """A matching tag lets a newer file pass (RFC 9110 13.1.4)."""
    assert not precondition_failed(ETAG, IMF_FIXDATE, ETAG, MODIFIED + 1)
    assert precondition_failed('"other"', IMF_FIXDATE, ETAG, MODIFIED)


# If-Range


@pytest.mark.parametrize("if_range", [ETAG, f" {ETAG} ", *DATES])
def test_row_30_if_range_matches_what_we_sent(if_range: str) -> None:
    """A broken download resumes in pip with the ETag or the date that it got (T27, T28)."""
    assert if_range_matches(if_range, ETAG, MODIFIED)


@for_each(
    ("if_range", "etag", "modified"),
    [
        ('"other"', ETAG, MODIFIED),
        (f"W/{ETAG}", ETAG, MODIFIED),
        (f"W/{ETAG}", f"W/{ETAG}", MODIFIED),
        (ETAG, f"W/{ETAG}", MODIFIED),
        (f'{ETAG}, "other"', ETAG, MODIFIED),
        (ETAG.strip('"'), ETAG, MODIFIED),
        ("*", ETAG, MODIFIED),
        (IMF_FIXDATE, ETAG, MODIFIED - 1),
        (IMF_FIXDATE, ETAG, MODIFIED + 1),
        (IMF_FIXDATE, ETAG, None),
        *((garbage, ETAG, MODIFIED) for garbage in NO_DATES),
        *((garbage, ETAG, None) for garbage in NO_DATES),
    ],
)
def test_row_30_if_range_without_a_match_gets_the_whole(
    if_range: str, etag: str, modified: int | None
) -> None:
    """A file that changed must not be spliced: strong tag or very same date, nothing else (T28)."""
    assert not if_range_matches(if_range, etag, modified)


# Range


@pytest.mark.parametrize(
    ("header", "size", "expected", "stated"),
    [
        ("bytes=-10000", 500, ByteRange(0, 500), "bytes 0-499/500"),
        ("bytes=-10000", 10_000, ByteRange(0, 10_000), "bytes 0-9999/10000"),
        ("bytes=-10000", 10_001, ByteRange(1, 10_001), "bytes 1-10000/10001"),
        ("bytes=-1", 1, ByteRange(0, 1), "bytes 0-0/1"),
        (f"bytes=-{'7' * 5000}", 500, ByteRange(0, 500), "bytes 0-499/500"),
    ],
)
def test_row_29_a_suffix_longer_than_the_file_is_all_of_it(
    header: str, size: int, expected: ByteRange, stated: str
) -> None:
    """How poetry begins; anything else costs it six tries (T29)."""
    assert parse_range(header, size) == expected
    assert content_range(expected, size) == stated


@for_each(
    ("header", "expected", "stated"),
    [
        ("bytes=0-0", ByteRange(0, 1), "bytes 0-0/100"),
        ("bytes=0-99", ByteRange(0, 100), "bytes 0-99/100"),
        ("bytes=10-19", ByteRange(10, 20), "bytes 10-19/100"),
        ("bytes=40-", ByteRange(40, 100), "bytes 40-99/100"),
        ("bytes=99-", ByteRange(99, 100), "bytes 99-99/100"),
        ("bytes=90-100", ByteRange(90, 100), "bytes 90-99/100"),
        (f"bytes=90-{'9' * 5000}", ByteRange(90, 100), "bytes 90-99/100"),
        (f"bytes={'0' * 5000}7-008", ByteRange(7, 9), "bytes 7-8/100"),
        ("Bytes=1-2", ByteRange(1, 3), "bytes 1-2/100"),
        (" bytes= 1-2\t", ByteRange(1, 3), "bytes 1-2/100"),
        ("bytes=,1-2 , ,", ByteRange(1, 3), "bytes 1-2/100"),
    ],
)
def test_a_range_is_the_part_it_says(header: str, expected: ByteRange, stated: str) -> None:
    """So uv reads an archive's directory, so pip resumes; Content-Range must be exact (T25-T27)."""
    assert parse_range(header, 100) == expected
    assert content_range(expected, 100) == stated


@for_each(
    ("header", "size"),
    [
        ("bytes=100-", 100),
        ("bytes=100-100", 100),
        ("bytes=101-200", 100),
        (f"bytes={'9' * 5000}-", 100),
        (f"bytes={'9' * 5000}-{'9' * 5000}", 2**63 - 1),
        ("bytes=-0", 100),
        ("bytes=-000", 0),
        ("bytes=0-", 0),
        ("bytes=0-0", 0),
    ],
)
def test_what_lies_beyond_the_end_is_unsatisfiable(header: str, size: int) -> None:
    """416 with the real length, so that the client can ask again (T30)."""
    assert parse_range(header, size) == UnsatisfiableRange()
    assert content_range(UnsatisfiableRange(), size) == f"bytes */{size}"


@for_each(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=,",
        "bytes=a-b",
        "bytes=1",
        "bytes=1-2-3",
        "bytes=--1",
        "bytes=+1-2",
        "bytes=0x1-2",
        "bytes=1_0-20",
        "bytes=\u0661-\u0662",
        "bytes=1 -2",
        "bytes=1- 2",
        "bytes =1-2",
        "bytes 1-2",
        "bytes=1-2\n",
        "bytes=5-4",
        f"bytes={'9' * 5000}-1",
        "bytes=0-1,3-4",
        "bytes=0-0,-1",
        "bytes=" + "0-," * 5000,
        "items=0-1",
        "=0-1",
    ],
)
def test_what_is_not_one_range_of_bytes_gets_the_whole(header: str | None) -> None:
    """Several ranges may be refused by 200, and the rest must be ignored (T30, RFC 9110 14.2)."""
    assert parse_range(header, 100) == WholeFile()


def test_any_part_of_an_empty_file_is_the_whole() -> None:
    """No Content-Range can state an empty part."""
    assert parse_range("bytes=-5", 0) == WholeFile()


SIZES = st.integers(0, 40) | st.integers(0, 2**63 - 1)
NUMBERS = st.integers(0, 45).map(str) | st.integers(0, 2**70).map(str) | st.just("") | st.just("9" * 5000)
RANGES = st.builds("bytes={}-{}".format, NUMBERS, NUMBERS)


@given(header=RANGES | st.text(alphabet="bytes=-, 0123456789", max_size=20) | st.text(), size=SIZES)
@example(header="bytes=-1", size=0)
def test_any_range_against_any_size_is_inside_the_file_or_refused(header: str, size: int) -> None:
    """A slice that is not empty and not outside, or a clean refusal."""
    match parse_range(header, size):
        case ByteRange(start, stop):
            assert 0 <= start < stop <= size
        case UnsatisfiableRange():
            assert content_range(UnsatisfiableRange(), size).endswith(f"/{size}")
        case other:
            assert other == WholeFile()


@given(first=st.none() | st.integers(0, 30), last=st.none() | st.integers(0, 30), size=st.integers(1, 25))
def test_a_part_holds_exactly_the_bytes_asked_for(first: int | None, last: int | None, size: int) -> None:
    """Against the RFC's words, byte by byte (RFC 9110 14.1.2)."""
    header = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    if first is None:
        wanted = list(range(size))[-last:] if last else []
    else:
        wanted = [
            position for position in range(size) if first <= position <= (size if last is None else last)
        ]
    expected = ByteRange(wanted[0], wanted[-1] + 1) if wanted else UnsatisfiableRange()
    invalid = first is last is None or (first is not None and last is not None and last < first)
    assert parse_range(header, size) == (WholeFile() if invalid else expected)


# Everything


OPAQUE = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters='"\x7f'), max_size=12
)
TAGS = st.builds('{}"{}"'.format, st.sampled_from(["", "W/"]), OPAQUE)
SEPARATORS = st.sampled_from([",", ", ", " ,\t", ",,"])


@given(before=st.lists(TAGS), after=st.lists(TAGS), ours=TAGS, separator=SEPARATORS)
def test_a_list_with_ours_in_it_matches(
    before: list[str], after: list[str], ours: str, separator: str
) -> None:
    """Wherever it stands and whatever stands beside it."""
    header = separator.join([*before, ours, *after])
    assert not_modified(header, None, ours, None)
    assert precondition_failed(header, None, ours, None) is ours.startswith("W/")


@given(tags=st.lists(TAGS, min_size=1), ours=TAGS, separator=SEPARATORS)
def test_a_list_matches_by_its_members_alone(tags: list[str], ours: str, separator: str) -> None:
    """A list without ours never matches, though ours may be inside another tag."""
    members = {tag.removeprefix("W/") for tag in tags}
    assert not_modified(separator.join(tags), None, ours, None) is (ours.removeprefix("W/") in members)


@given(modified=st.integers(0, 2**35))
def test_a_date_that_we_sent_is_known_again(modified: int) -> None:
    """From 1970 beyond 2106, to the second."""
    date = formatdate(modified, usegmt=True)
    assert if_range_matches(date, ETAG, modified)
    assert not_modified(None, date, ETAG, modified)
    assert not not_modified(None, date, ETAG, modified + 1)
    assert not precondition_failed(None, date, ETAG, modified)


DATE_WORDS = st.sampled_from(
    [*" ".join(DATES).split(), "8.49", "-0000", "+9999", "-", ":", ",", "+", "10000", "9" * 30, "9" * 5000]
)
TEXTS = (
    st.none()
    | st.text()
    | st.lists(DATE_WORDS, max_size=7).map(" ".join)
    | st.text(alphabet='W/", *a\\', max_size=30)
)


@given(one=TEXTS, other=TEXTS, etag=TAGS, modified=st.none() | st.integers(0, 2**40))
@example(one=None, other="Mon, 01 Jan 0001 00:00:00 +2359", etag=ETAG, modified=0)
@example(one=None, other="Fri, 31 Dec 9999 23:59:59 -2359", etag=ETAG, modified=0)
def test_any_text_has_an_answer(one: str | None, other: str | None, etag: str, modified: int | None) -> None:
    """No header raises."""
    assert not_modified(one, other, etag, modified) in {True, False}
    assert precondition_failed(one, other, etag, modified) in {True, False}
    assert if_range_matches(other or "", etag, modified) in {True, False}


@for_each("piece", ['"', ",", '",', '","', 'W/"', ' ,"', " ", "*", '""', '"a" ', "1:", "-", "1 "])
def test_hostile_headers_are_read_in_linear_time(piece: str) -> None:
    """A mebibyte of what makes careless patterns backtrack; it would take minutes if any part were quadratic."""
    header = piece * (2**20 // len(piece))
    assert not not_modified(header, None, ETAG, None)
    assert not not_modified(None, header, ETAG, MODIFIED)
    assert not if_range_matches(header, ETAG, MODIFIED)


@pytest.mark.parametrize("piece", ["9", "0", ",", " ", "-", "0-,", "9-9"])
def test_hostile_ranges_are_read_in_linear_time(piece: str) -> None:
    """The same for Range."""
    header = f"bytes={piece * (2**20 // len(piece))}-"
    assert parse_range(header, 100) in {WholeFile(), UnsatisfiableRange(), ByteRange(0, 100)}
