"""An explanation as JSON, as a page for people, and as text for terminals."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any, Final

from simpleindex.core.text import day_and_time, replace_unprintable, timestamp
from simpleindex.core.views import MAIN_VIEW
from simpleindex.views.explain import Answer
from simpleindex.web.pages.templates import html_page, read_template

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simpleindex.views.explain import Explanation, FileNote


_EXPLANATION: Final = read_template("explanation.html")

_SKIPPED: Final = "is not requested"
"""The beginning of the sentences of sources that were skipped."""

_WIDEST: Final = 20
"""Characters of the column of sources; after longer lists of names the sentence follows at once."""


def why_json(explanation: Explanation) -> bytes:
    """Return all of it for machines; missing facts are left out."""
    page: dict[str, Any] = {"name": explanation.name}
    if explanation.version is not None:
        page["version"] = explanation.version
    page |= {
        "view": explanation.view,
        "answer": explanation.answer.value,
        "summary": explanation.summary,
        "sources": [{"source": note.source, "says": note.sentence} for note in explanation.words],
        "files": [*map(_file_json, explanation.files)],
    }
    if explanation.more:
        page["more"] = explanation.more
    return json.dumps(page, separators=(",", ":")).encode()


def _file_json(file: FileNote) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "filename": file.filename,
        "version": file.version,
        "source": file.source,
        "offered": file.is_offered,
        "rule": file.rule,
        "says": file.sentence,
        "visible-from": None if file.visible_from is None else timestamp(file.visible_from),
    }
    return {key: value for key, value in entry.items() if value not in (None, "")}


def why_text(explanation: Explanation) -> str:
    """Return all of it for a terminal."""
    return "".join(f"{replace_unprintable(line)}\n" for line in _lines(explanation))


def _lines(explanation: Explanation) -> Iterator[str]:
    yield explanation.summary
    if explanation.view != MAIN_VIEW:
        yield f"This is so in the view {explanation.view}."
    if sources := source_lines(explanation):
        yield ""
        width = min(_WIDEST, max(len(name) for name, _ in sources))
        for name, sentence in sources:
            yield f"  {name:{width}}  {sentence}"
    for is_offered, title in ((False, "Withheld:"), (True, "Offered:")):
        files = [file for file in explanation.files if file.is_offered is is_offered]
        if files:
            yield ""
            yield title
        for file in files:
            yield f"  {file.filename} ({file.source})"
            if file.sentence:
                yield f"      {file.sentence}"
            if more := further_facts(file):
                yield f"      {more}"
    if rest := rest_line(explanation):
        yield ""
        yield rest


def source_lines(explanation: Explanation) -> list[tuple[str, str]]:
    """Return sources with their sentences, for people.

    Sources that were skipped for the same reason are one line, and the summary is not repeated.
    """
    names: dict[tuple[str, int], list[str]] = {}
    for number, note in enumerate(explanation.words):
        is_skipped = note.sentence.startswith(_SKIPPED)
        names.setdefault((note.sentence, -1 if is_skipped else number), []).append(note.source)
    return [
        (", ".join(sources), _sentence(sentence, len(sources), explanation.summary))
        for (sentence, _), sources in names.items()
    ]


def _sentence(sentence: str, count: int, summary: str) -> str:
    if count > 1:
        return f"are{sentence.removeprefix('is')}"
    if not summary:
        return sentence
    return "answers so." if sentence == summary else sentence.replace(f": {summary}", ", as above.")


def rest_line(explanation: Explanation) -> str:
    """Return the sentence about files that are left out; empty if none are."""
    return f"{explanation.more:,} more files: ask about a version." if explanation.more else ""


def why_html(explanation: Explanation, root: str) -> bytes:
    """Render all of it for a browser.

    Args:
        explanation: The facts.
        root: The URL of the index's root, relative to the page's.
    """
    what = " ".join(filter(None, (explanation.name, explanation.version)))
    where = "" if explanation.view == MAIN_VIEW else f" in the view {explanation.view}"
    sources = "".join(
        f"<section>\n<h2>{_text(name)}</h2>\n<p>{_text(sentence)}</p>\n</section>\n"
        for name, sentence in source_lines(explanation)
    )
    parts = []
    for is_offered, title in ((False, "Withheld"), (True, "Offered")):
        items = "".join(_item(file) for file in explanation.files if file.is_offered is is_offered)
        if items:
            parts.append(f"<section>\n<h2>{title}</h2>\n<ul>\n{items}</ul>\n</section>\n")
    body = _EXPLANATION.substitute(
        subject=_text(what),
        answer=f"{_text(explanation.answer.value.capitalize())}{_text(where)}",
        css_class="status good" if explanation.answer is Answer.OFFERED else "status",
        summary=_text(explanation.summary),
        sources=sources,
        files="".join(parts),
        rest=rest_line(explanation),
        project_url=_page_of(explanation, root),
        projects_url=_list_of(explanation, root),
    )
    return html_page(f"Why {_text(what)}", body).encode()


def _page_of(explanation: Explanation, root: str) -> str:
    """Return the URL of the project's own page, under the prefix that every project has."""
    return f"{_list_of(explanation, root)}{explanation.name}/"


def _list_of(explanation: Explanation, root: str) -> str:
    view = "" if explanation.view == MAIN_VIEW else f"{explanation.view}/"
    return f"{root}{view}simple/"


def _item(file: FileNote) -> str:
    lines = "".join(f"<p>{_text(note)}</p>\n" for note in (file.sentence, further_facts(file)) if note)
    return (
        f"<li>\n<b>{_text(file.filename)}</b><span>{_text(file.source)}</span><span></span>\n{lines}</li>\n"
    )


def further_facts(file: FileNote) -> str:
    """Return the facts that the sentence does not state already."""
    when = "" if file.visible_from is None else day_and_time(file.visible_from)
    facts = (("", _cause(file)), ("visible from ", when))
    return "; ".join(f"{what}{value}" for what, value in facts if value and value not in file.sentence)


def _cause(file: FileNote) -> str:
    """Return the rule in plain words, unless the sentence names it."""
    return "" if file.rule and file.rule in file.sentence else file.cause


def _text(text: str) -> str:
    return escape(replace_unprintable(text))
