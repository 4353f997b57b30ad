"""Refusals as clients read them: JSON (RFC 9457), a page, plain text, and a reason phrase. Pure.

Which client shows what is in ``docs/refusals.md``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from simpleindex.core.text import replace_unprintable
from simpleindex.core.views import MAIN_VIEW
from simpleindex.web.pages.negotiation import media_weights
from simpleindex.web.pages.templates import html_page, read_template

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROBLEM: Final = read_template("problem.html")

_LONGEST_PHRASE: Final = 300
"""Characters of a reason phrase. Proxies bound the whole head, nginx at 4 KiB."""


class ProblemForm(Enum):
    """The forms of a refusal; a value is its Content-Type."""

    JSON = "application/problem+json"
    HTML = "text/html; charset=utf-8"
    TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a request is refused.

    Attributes:
        status: HTTP status code.
        sentence: What is wrong and what to do, fit for the client.
        facts: Extension members of the JSON form, in order (RFC 9457 section 3.2).
        project: The project that the request names, for a link to its explanation; None if it names none.
        view: In which view.
        near: Names that were probably meant instead, as far as the reader may know them.
        is_of_file: Whether the request names a file of the project, so that its page may have another that was meant.
    """

    status: int
    sentence: str
    facts: tuple[tuple[str, str | int], ...] = ()
    project: str | None = None
    view: str = MAIN_VIEW
    near: tuple[str, ...] = ()
    is_of_file: bool = False

    @property
    def title(self) -> str:
        """The status in words; where the type is ``about:blank`` it is nothing else (RFC 9457 section 4.2.1)."""
        return HTTPStatus(self.status).phrase


def choose_problem_form(accept: str | None) -> ProblemForm:
    """Choose the form in which a client reads a refusal; there is always one, for a 406 would hide the reason.

    Args:
        accept: The Accept header, several joined by commas; None if there is none.
    """
    weights = media_weights(accept or "")
    json_weight = max(
        (weight for name, weight in weights.items() if name.endswith(("/json", "+json"))), default=0
    )
    html_weight = max(weights.get("text/html", 0), weights.get("application/xhtml+xml", 0))
    text_weight = max(weights.get("text/plain", 0), weights.get("text/*", 0))
    anything = 1 if not weights else max(weights.get("*/*", 0), weights.get("application/*", 0))
    if html_weight > json_weight:
        return ProblemForm.HTML
    if json_weight:
        return ProblemForm.JSON
    return ProblemForm.JSON if anything > text_weight else ProblemForm.TEXT


def render_problem(problem: Problem, form: ProblemForm, root: str) -> bytes:
    """Render a refusal.

    Args:
        problem: Which.
        form: How.
        root: The URL of the index's root, relative to that of the request.
    """
    if form is ProblemForm.JSON:
        return _problem_json(problem)
    if form is ProblemForm.HTML:
        return _problem_html(problem, root)
    return f"{problem.sentence}\n".encode("utf-8", "backslashreplace")


def sentence_as_phrase(sentence: str) -> bytes:
    """Return a sentence as a reason phrase: one line of printable ASCII, of which pip, twine and poetry show all."""
    line = " ".join(sentence.split())
    line = "".join(character if " " <= character <= "~" else "?" for character in line)
    if len(line) > _LONGEST_PHRASE:
        line = f"{line[: _LONGEST_PHRASE - 3].rstrip()}..."
    return line.encode("ascii")


def _problem_json(problem: Problem) -> bytes:
    members: Mapping[str, str | int] = {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.sentence,
        **dict(problem.facts),
    }
    # Readable where a client shows it as it is; surrogates, which UTF-8 cannot hold, are escaped.
    has_surrogates = any("\ud800" <= character <= "\udfff" for character in problem.sentence)
    return f"{json.dumps(members, ensure_ascii=has_surrogates)}\n".encode("utf-8", "replace")


def _problem_html(problem: Problem, root: str) -> bytes:
    links = [f'<a href="{escape(root)}">All projects</a>']
    if problem.project is not None:
        query = "" if problem.view == MAIN_VIEW else f"?view={quote(problem.view)}"
        links.append(f'<a href="{escape(root)}-/why/{quote(problem.project)}{query}">Why?</a>')
    title = escape(problem.title)
    body = _PROBLEM.substitute(title=title, sentence=_shown(problem.sentence), links="".join(links))
    return html_page(title, body).encode("utf-8", "replace")


def _shown(text: str) -> str:
    return escape(replace_unprintable(text))
