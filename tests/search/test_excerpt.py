"""Excerpts: the words around a match as their author wrote them, whatever that author wrote."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.search.excerpt import cut_excerpt
from simpleindex.search.folding import collapse, fold, fold_letters

LONG = f"{'before it ' * 40}the Needle of a haystack{' after it' * 40}"
TURNING = "\u202e\u2066\u200f\u061c"
LETTERS = st.text(
    st.sampled_from("aAbß\u0130\ufb01e\u0301é\u0345\u1e9e Ω한日\U0001f680\u00a8\ufdfa"), max_size=700
)


@pytest.mark.parametrize(
    ("line", "terms", "excerpt"),
    [
        ("A Needle here", ["needle"], ("A ", "Needle", " here")),
        ("needle", ["needle"], ("", "needle", "")),
        ("no match", ["needle"], ()),
        ("", ["needle"], ()),
        ("any", [], ()),
        ("Ein Café, zwei Cafe\u0301s", ["cafe"], ("Ein ", "Café", ", zwei ", "Cafe\u0301", "s")),
        ("die Straße", ["strasse"], ("die ", "Straße", "")),
        ("die Straße", ["as"], ("die Str", "aß", "e")),
        ("\u0130stanbul \ufb01nds it", ["istanbul", "finds"], ("", "\u0130stanbul", " ", "\ufb01nds", " it")),
        ("결과 한국어", ["한국"], ("결과 ", "한국", "어")),
        ("结构化日志库", ["日志"], ("结构化", "日志", "库")),
        ("a\U0001f680Needle\U0001f680b", ["needle"], ("a\U0001f680", "Needle", "\U0001f680b")),
        ("abcabc", ["abc", "bca"], ("", "abcabc", "")),
        ("one", ["one", ""], ("", "one", "")),
        ("aaaa", ["aa"], ("", "aaaa", "")),
        ("one two, then two one", ["two", "one"], ("", "one", " ", "two", ", then ", "two", " ", "one", "")),
        (f"a{TURNING}b\x07 need{TURNING}le", [f"need{TURNING}le"], ("ab ", "needle", "")),
    ],
)
def test_pieces(line: str, terms: list[str], excerpt: tuple[str, ...]) -> None:
    assert cut_excerpt([line], [*map(fold, terms)]) == excerpt


def test_a_long_text_is_cut_between_words() -> None:
    before, match, after = cut_excerpt([LONG], ["needle"])
    assert before.startswith("\N{HORIZONTAL ELLIPSIS}")
    assert before.endswith(" it before it the ")
    assert match == "Needle"
    assert after.startswith(" of a haystack after it ")
    assert after.endswith(" after\N{HORIZONTAL ELLIPSIS}")
    assert 120 < len(before + match + after) <= 162


def test_where_most_terms_stand_together_comes_first() -> None:
    text = f"login to see it. {'word ' * 60}Of a session, the login is kept."
    assert cut_excerpt([text], ["session", "login"])[1::2] == ("session", "login")
    assert cut_excerpt(["login", text], ["session", "login"])[1::2] == ("session", "login")


def test_an_address_says_less_than_a_sentence() -> None:
    """Descriptions begin with the badges of their projects."""
    text = f"[![tests](https://ci.example/tests.yaml)](https://x.example/) {'word ' * 60}It writes YAML."
    assert cut_excerpt([text], ["yaml"])[1::2] == ("YAML",)
    assert cut_excerpt([text[:60]], ["yaml"])[1::2] == ("yaml",)


def test_an_excerpt_is_of_one_line() -> None:
    assert cut_excerpt(["the first", "second one"], ["first second"]) == ()
    assert cut_excerpt(["nothing", "the second", "second again"], ["second"]) == ("the ", "second", "")


def test_a_term_longer_than_an_excerpt_is_shown_whole() -> None:
    term = "word " * 39 + "word"
    assert cut_excerpt([f"{'x' * 300} {term} {'y' * 300}"], [term])[1] == term


@pytest.mark.parametrize(
    "text",
    [
        "x" * 500_000,
        "\u0591" * 16_000,
        "a\u0301" * 8_000,
        "\U0001f468\u200d" * 8_000,
        "\ufdfa" * 16_000,
        "ß" * 16_000,
    ],
)
def test_texts_without_spaces(text: str) -> None:
    """And with marks, whose order takes time by the square of their number."""
    for line in (f"{text}needle{text}", f"{text}éneedle {text}"):
        excerpt = cut_excerpt([line], ["needle"])
        assert excerpt[1] == "needle"
        assert sum(map(len, excerpt)) <= 162


@given(LETTERS, LETTERS)
def test_what_a_character_becomes_has_one_length_everywhere(before: str, after: str) -> None:
    assert len(fold_letters(before + after)) == len(fold_letters(before)) + len(fold_letters(after))
    assert fold(before) == collapse(fold_letters(before))


def test_every_character_has_one_length_everywhere() -> None:
    letters = [chr(code) for code in range(sys.maxunicode + 1)]
    parts = ["".join(letters[at : at + 500]) for at in range(0, len(letters), 500)]
    for part in parts:
        assert len(fold_letters(part)) == sum(len(fold_letters(each)) for each in part)


@given(LETTERS, st.data())
def test_whatever_matches_is_shown(text: str, data: st.DataObject) -> None:
    """A term that is somewhere in the text as it is compared is somewhere in the excerpt."""
    line = collapse(text)
    folded = fold_letters(line)
    if not folded.strip():
        return
    start = data.draw(st.integers(0, len(folded) - 1))
    term = folded[start : start + data.draw(st.integers(1, 30))]
    excerpt = cut_excerpt([line], [term])
    assert len(excerpt) % 2 == 1
    assert all(excerpt[1::2])
    whole = "".join(excerpt)
    assert whole.strip("\N{HORIZONTAL ELLIPSIS}") in line
    assert len(whole) <= 162 + len(term)
    assert any(term in fold_letters(piece) for piece in excerpt[1::2])
