"""Which form of a page each client gets."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simpleindex.web.pages.negotiation import (
    Encoding,
    NotAcceptable,
    Representation,
    choose_encoding,
    choose_representation,
)
from tests.fixtures.tables import for_each

JSON, V1_HTML, HTML = Representation.JSON, Representation.V1_HTML, Representation.HTML
GZIP, ZSTD, IDENTITY = Encoding.GZIP, Encoding.ZSTD, Encoding.IDENTITY

V1 = "application/vnd.pypi.simple.v1"
LATEST = "application/vnd.pypi.simple.latest"

CLIENTS = {
    "pip": (f"{V1}+json, {V1}+html; q=0.1, text/html; q=0.01", JSON),
    "uv": (f"{V1}+json, {V1}+html;q=0.2, text/html;q=0.01", JSON),
    "poetry": (f"{V1}+json, */*;q=0.1", JSON),
    "uv find-links": ("text/html", HTML),
    "hatch, twine, flit, curl": ("*/*", HTML),
    "urllib": (None, HTML),
    "Firefox": ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", HTML),
    "Chrome": (
        (
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
            "application/signed-exchange;v=b3;q=0.7"
        ),
        HTML,
    ),
    "old Java": ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", HTML),
}


def chosen(accept: str | None, query_format: str | None = None) -> Representation | None:
    """What is chosen, None for a 406."""
    try:
        return choose_representation(accept, query_format)
    except NotAcceptable:
        return None


@for_each("client", CLIENTS)
def test_each_client_gets_what_it_reads_best(client: str) -> None:
    """The header that each client really sends."""
    accept, expected = CLIENTS[client]
    assert choose_representation(accept, None) is expected


@pytest.mark.parametrize(
    "accept", [None, "", " ", "*/*", "*/*;q=0.1", "application/json, */*", "text/*, */*"]
)
def test_row_06_a_wildcard_gets_text_html(accept: str | None) -> None:
    """Hatch, old tools and browsers would not find anything in JSON (N8)."""
    assert choose_representation(accept, None) is HTML


def test_row_07_content_types_are_exact() -> None:
    """Compared by uv to the letter; JSON carries no parameter (N10, N11)."""
    assert [representation.value for representation in Representation] == [
        "application/vnd.pypi.simple.v1+json",
        "application/vnd.pypi.simple.v1+html; charset=utf-8",
        "text/html; charset=utf-8",
    ]
    assert [representation.media_type for representation in Representation] == [
        f"{V1}+json",
        f"{V1}+html",
        "text/html",
    ]


@pytest.mark.parametrize(
    "accept", [f"{V1}+json", f"{LATEST}+json", f"{V1}+json;q=0.001", "Application/VND.pypi.simple.V1+JSON"]
)
def test_row_08_json_is_offered(accept: str) -> None:
    """JSON for clients that name it, by any weight and in any case (N1, N2)."""
    assert choose_representation(accept, None) is JSON


@for_each(
    ("accept", "expected"),
    [
        # N2
        (f"{LATEST}+html", V1_HTML),
        (f"{LATEST}+json;q=0.2, text/html;q=0.1", JSON),
        (f"{V1}+json;q=0, {LATEST}+json", JSON),
        # N3: weights, not order
        (f"text/html;q=0.5, {V1}+json;q=0.6", JSON),
        (f"{V1}+json;q=0.5, text/html;q=0.501", HTML),
        (f"{V1}+json;q=0.999, {V1}+html", V1_HTML),
        (f"{V1}+json;q=0.1, {V1}+json;q=0.9, text/html;q=0.5", JSON),
        # N3: zero excludes, and the more specific range decides
        ("*/*, text/html;q=0", V1_HTML),
        (f"*/*, text/html;q=0, {V1}+html;q=0.000", JSON),
        ("*/*;q=0.5, text/*;q=0", V1_HTML),
        (f"application/*;q=0, {V1}+json;q=0.1, */*;q=0.05", JSON),
        ("text/*;q=0.1, */*", V1_HTML),
        # N8: at equal weights the named before the covered, the named by what they can say
        (f"{V1}+json, text/html", JSON),
        (f"text/html, {V1}+html", V1_HTML),
        (f"*/*, {V1}+html", V1_HTML),
        (f"*/*, {V1}+json, text/html", JSON),
        ("application/*", V1_HTML),
        ("text/*", HTML),
        ("application/*, text/*", HTML),
        # Parameters other than q say nothing
        (f"{V1}+json;charset=utf-8;level=1", JSON),
        (f'{V1}+json;note="a, b; q=0";q=0.5, text/html;q=0.4', JSON),
        (f'{V1}+json ; note="quote\\", text/html" ; Q=0.3 ; x=y', JSON),
        # Malformed members are passed over
        (f"{V1}+json;q=high, text/html;q=0.1", HTML),
        (f"{V1}+json;q=1.001, text/html;q=0.1", HTML),
        (f"{V1}+json;q=0.1234, text/html;q=0.1", HTML),
        (f"{V1}+json;q=-1, text/html;q=0.1", HTML),
        (f"{V1}+json;q, text/html;q=0.1", HTML),
        (f"{V1} +json, text/html;q=0.1", HTML),
        (f",, ,;;,=,/,/x,x/,;q=1,{V1}+json,", JSON),
        (f'{V1}+json, text/html;note="never closed, */*', JSON),
        ("no slash anywhere", HTML),
        # N9: not even an exclusion of everything is refused
        ("*/*;q=0", HTML),
        ("text/html;q=0", HTML),
        (f"application/json, {V1}+json;q=0", HTML),
    ],
)
def test_choice_by_accept(accept: str, expected: Representation) -> None:
    """The rules one by one; N8's choice for named types is SRA's, not PyPI's."""
    assert choose_representation(accept, None) is expected


@pytest.mark.parametrize(
    "accept",
    ["application/json", "image/*", "text/plain, text/xml;q=0.5", "application/vnd.pypi.simple.v2+json"],
)
def test_a_client_without_any_of_our_types_is_told_them(accept: str) -> None:
    """406 with the list, and only here, since it ends uv's resolution (N9)."""
    with pytest.raises(NotAcceptable) as caught:
        choose_representation(accept, None)
    assert caught.value.supported == (f"{V1}+json", f"{V1}+html", "text/html")
    assert str(caught.value).endswith(f"ask for one of {V1}+json, {V1}+html, text/html.")


@for_each(
    ("query_format", "expected"),
    [
        (f"{V1}+json", JSON),
        (f"{V1} json", JSON),
        (f"{LATEST} html", V1_HTML),
        ("TEXT/HTML", HTML),
        # Not exactly one of our types: as if it were not there
        ("", V1_HTML),
        ("json", V1_HTML),
        ("*/*", V1_HTML),
        (f"{V1}+json, text/html", V1_HTML),
        (f"{V1}+json;q=1", V1_HTML),
        ("application/json", V1_HTML),
    ],
)
def test_format_beats_accept_if_it_is_one_of_our_types(query_format: str, expected: Representation) -> None:
    """``?format=`` (N6): one content type, a space read as the plus it was."""
    assert choose_representation(f"{V1}+html", query_format) is expected


def test_format_serves_a_client_that_accept_would_refuse() -> None:
    """And an unsupported one leaves the refusal as it is (N6)."""
    assert chosen("image/png", f"{V1}+json") is JSON
    assert chosen("image/png", "image/png") is None


RANGES = [
    f"{V1}+json",
    f"{V1}+html",
    "text/html",
    f"{LATEST}+json",
    "application/*",
    "text/*",
    "*/*",
    "image/png",
]
WEIGHTS = ["", ";q=1", ";q=1.000", ";q=0.5", ";q=0.50", ";q=0", " ; q=0.001", ";level=1;q=0.7"]
MEMBERS = st.lists(st.builds(str.__add__, st.sampled_from(RANGES), st.sampled_from(WEIGHTS)), max_size=8)


@given(members=MEMBERS, data=st.data())
def test_order_case_and_spaces_mean_nothing(members: list[str], data: st.DataObject) -> None:
    """Two headers that say the same are answered the same (N3)."""
    shuffled = data.draw(st.permutations(members))
    assert chosen(" ,\t".join(shuffled).upper()) is chosen(",".join(members))


@given(members=MEMBERS)
def test_nothing_excluded_is_chosen_while_something_else_is_accepted(members: list[str]) -> None:
    """Whatever is chosen beside an accepted JSON is not what the client excluded (N3)."""
    members = [member for member in members if not member.startswith(("text/html", "*/*", "text/*"))]
    assert chosen(",".join([*members, f"{V1}+json;q=0.9", "text/html;q=0"])) is not HTML


@given(members=MEMBERS)
def test_a_wildcard_is_never_refused(members: list[str]) -> None:
    """Neither is any of our types (N9)."""
    for mention in ("*/*", "text/*;q=0", f"{LATEST}+html"):
        assert chosen(",".join([*members, mention])) is not None


@given(accept=st.none() | st.text(), query_format=st.none() | st.text())
@example(accept='"\\', query_format="\x00")
@example(accept=";", query_format="+")
def test_any_text_has_an_answer(accept: str | None, query_format: str | None) -> None:
    """Never another error than NotAcceptable."""
    assert chosen(accept, query_format) in {None, *Representation}


@given(text=st.text(alphabet='ab/*;=q01.", \\\t', max_size=60))
def test_any_header_like_text_has_an_answer(text: str) -> None:
    """The same with the characters that mean something."""
    assert chosen(text) in {None, *Representation}
    assert choose_encoding(text, (ZSTD, GZIP)) in Encoding


@for_each(
    "piece",
    [
        ",",
        "a/b,",
        '"',
        '\\"',
        '"\\',
        "a/b;q=0,",
        "a/b;",
        ";q",
        '",',
        '"a/b;,',
        " ",
        "a",
        "*/*;q=0;",
        'a/b;c="\\"",',
    ],
)
def test_hostile_headers_are_read_in_linear_time(piece: str) -> None:
    """A mebibyte of what makes careless patterns backtrack; it would take minutes if any part were quadratic."""
    header = piece * (2**20 // len(piece))
    assert chosen(header) in {None, *Representation}
    assert choose_encoding(header, (ZSTD, GZIP)) is IDENTITY


def test_only_so_many_members_and_parameters_are_read() -> None:
    """The work for one header is bounded, far beyond what any client sends."""
    assert chosen("a/b," * 63 + "text/html") is HTML
    assert chosen("a/b," * 64 + "text/html") is None
    assert chosen(f"{V1}+json{';a=b' * 64};q=0.1, text/html;q=0.2") is JSON


@for_each(
    ("accept_encoding", "expected"),
    [
        # T13: what the clients send
        ("gzip, deflate", GZIP),
        ("gzip, deflate, zstd", ZSTD),
        ("gzip, deflate, br, zstd", ZSTD),
        ("identity", IDENTITY),
        ("Identity", IDENTITY),
        (None, IDENTITY),
        # RFC 9110 12.5.3
        ("", IDENTITY),
        ("br", IDENTITY),
        ("*", ZSTD),
        ("*;q=0.5, gzip", GZIP),
        ("zstd;q=0, *", GZIP),
        ("GZIP", GZIP),
        ("gzip;q=0", IDENTITY),
        ("gzip;q=0.001", GZIP),
        ("zstd;q=0.5, gzip;q=0.6", GZIP),
        ("zstd;q=0.6, gzip;q=0.6", ZSTD),
        ("gzip;q=0.5, identity", IDENTITY),
        ("gzip, identity", GZIP),
        ("gzip;q=0.5, *;q=0.8, zstd;q=0", IDENTITY),
        ("gzip;q=zero", IDENTITY),
        ("gzip;level=9", GZIP),
        # Never a refusal
        ("identity;q=0", IDENTITY),
        ("*;q=0", IDENTITY),
        ("identity;q=0, br", IDENTITY),
        ("identity;q=0, gzip;q=0.1", GZIP),
    ],
)
def test_choice_by_accept_encoding(accept_encoding: str | None, expected: Encoding) -> None:
    """The best weight, then the server's order; identity when nothing fits."""
    assert choose_encoding(accept_encoding, (ZSTD, GZIP)) is expected
    assert choose_encoding(accept_encoding, (ZSTD, GZIP, IDENTITY)) is expected


def test_encodings_are_named_as_headers_name_them() -> None:
    """The values go into Content-Encoding."""
    assert {encoding.value for encoding in Encoding} == {"identity", "gzip", "zstd"}


def test_the_order_offered_decides_between_equal_weights() -> None:
    """The server's preference is a parameter."""
    assert choose_encoding("zstd, gzip", (GZIP, ZSTD)) is GZIP


@given(
    weights=st.dictionaries(st.sampled_from(["gzip", "zstd", "identity", "*", "br"]), st.integers(0, 1000)),
    offered=st.sampled_from(
        [order for count in range(3) for order in itertools.permutations((GZIP, ZSTD), count)]
    ),
)
def test_no_better_encoding_than_the_chosen(weights: dict[str, int], offered: tuple[Encoding, ...]) -> None:
    """Only what is offered, never what is excluded, and nothing offered weighs more (RFC 9110 12.5.3)."""
    choice = choose_encoding(
        ", ".join(f"{name};q={weight / 1000:.3f}" for name, weight in weights.items()), offered
    )
    weight_of = {
        encoding: weights.get(encoding.value, weights.get("*", 0)) for encoding in (*offered, IDENTITY)
    }
    assert choice in weight_of
    assert weight_of[choice] == max(weight_of.values())
    assert choice is IDENTITY or weight_of[choice] > 0
