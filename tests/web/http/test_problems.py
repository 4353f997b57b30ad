"""Refusals in every form: each client gets the one that it reads, and no text breaks any."""

from __future__ import annotations

import json
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from simpleindex.web.http.problems import (
    Problem,
    ProblemForm,
    choose_problem_form,
    render_problem,
    sentence_as_phrase,
)
from tests.fixtures.tables import for_each

JSON, HTML, TEXT = ProblemForm.JSON, ProblemForm.HTML, ProblemForm.TEXT

# What clients send, to the letter, where they are refused.
ACCEPTS = {
    "pip, a page": (
        "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01",
        JSON,
    ),
    "uv, a page": (
        "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01",
        JSON,
    ),
    "uv, an upload": ("application/json;q=0.9, text/plain;q=0.8, text/html;q=0.7", JSON),
    "poetry, a page": ("application/vnd.pypi.simple.v1+json, */*;q=0.1", JSON),
    "micropip": ("application/vnd.pypi.simple.v1+json, */*;q=0.01", JSON),
    "pip and poetry, a file; twine, hatch, flit, curl": ("*/*", JSON),
    "setuptools; uv, a file": (None, JSON),
    "empty": ("", JSON),
    "problems": ("application/problem+json", JSON),
    "any application": ("application/*", JSON),
    "nonsense": ("???", JSON),
    "Firefox": ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", HTML),
    "Chrome": (
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
        HTML,
    ),
    "Lynx": ("text/html, text/plain, text/sgml, text/css, application/xhtml+xml, */*;q=0.01", HTML),
    "pip before 20": ("text/html", HTML),
    "text": ("text/plain", TEXT),
    "any text": ("text/*", TEXT),
    "text before all": ("text/plain, */*;q=0.5", TEXT),
    "JSON before HTML": ("text/html;q=0.5, application/json", JSON),
    "as much": ("text/html, application/json", JSON),
    "nothing of ours": ("image/png", TEXT),
    "not JSON": ("application/json;q=0, */*;q=0", TEXT),
}


@for_each(("accept", "form"), ACCEPTS.values(), ids=ACCEPTS)
def test_form(accept: str | None, form: ProblemForm) -> None:
    """JSON for who takes it or anything, a page for who prefers HTML, else text."""
    assert choose_problem_form(accept) is form


@given(st.text() | st.none())
def test_there_is_always_a_form(accept: str | None) -> None:
    """A 406 instead of a reason would hide the reason."""
    assert choose_problem_form(accept) in ProblemForm


@given(st.text(max_size=1000))
def test_reason_phrase(sentence: str) -> None:
    """It is one line of printable ASCII with a bound, whatever it quotes (RFC 9112 section 4)."""
    phrase = sentence_as_phrase(sentence).decode("ascii")
    assert len(phrase) <= 300
    assert phrase == "" or phrase.isprintable()
    if sentence.isascii() and sentence.isprintable() and len(sentence) <= 300:
        assert phrase == " ".join(sentence.split())


@given(
    st.text(max_size=300), st.text(min_size=1, max_size=50), st.sampled_from([400, 404, 413, 424, 429, 503])
)
def test_json(sentence: str, fact: str, status: int) -> None:
    """The members of RFC 9457, and ours, whatever they hold."""
    body = render_problem(Problem(status, sentence, (("filename", fact),)), JSON, "./")
    found = json.loads(body.decode())
    assert found.pop("title")
    clean = all(not "\ud800" <= each <= "\udfff" for each in sentence + fact)
    expected = {"type": "about:blank", "status": status, "detail": sentence, "filename": fact}
    assert found == expected or not clean
    assert body.count(b"\n") == 1


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str | None] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "a":
            self.links.append(dict(attrs).get("href"))

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text(max_size=300))
def test_html(sentence: str) -> None:
    """The sentence is text, never markup, and there is a way back."""
    page = _Page(render_problem(Problem(404, sentence), HTML, "../").decode())
    assert page.links == ["../"]
    assert page.tags == _Page(render_problem(Problem(404, "x"), HTML, "../").decode()).tags
    if sentence.isprintable() and all(not "\ud800" <= each <= "\udfff" for each in sentence):
        assert sentence in page.text


def test_html_of_a_project() -> None:
    """It leads to the explanation too, of the same view."""
    page = _Page(render_problem(Problem(404, "No.", project="acme"), HTML, "../../").decode())
    assert page.links == ["../../", "../../-/why/acme"]
    page = _Page(render_problem(Problem(404, "No.", project="acme", view="stable"), HTML, "../").decode())
    assert page.links == ["../", "../-/why/acme?view=stable"]


def test_a_long_reason_phrase_is_cut() -> None:
    """With dots where something is missing."""
    assert sentence_as_phrase("x" * 299) == b"x" * 299
    assert sentence_as_phrase("x" * 301) == b"x" * 297 + b"..."
