"""The guides in ``simpleindex/docs``, by topic, as ``/-/docs/`` and ``simpleindex docs`` show them. Blocking."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

_SUFFIX = ".md"

_GROUPS: Final = {
    "Start": ("try-it", "directory", "clients", "options", "troubleshooting", "changelog"),
    "People and uploads": ("publishing", "uploads", "access", "pages", "events", "downloads"),
    "Other indexes": ("upstreams", "rules", "names", "other-servers", "refusals", "json-api", "moving-in"),
    "Operation": (
        *("operations", "https", "doctor", "backup", "metrics"),
        *("workers", "records", "nodes", "bucket"),
    ),
}
"""What a reader is here for, and the guides about it in the order in which they are of use."""
_CODE: Final = "How it is built"
_DECISIONS: Final = "Decisions"


@cache
def read_documents() -> dict[str, str]:
    """Return the text of every guide by its topic, such as ``clients`` or ``decisions/http2``, in the order of topics."""
    from importlib.resources import files  # noqa: PLC0415  (3 ms of every start, for guides that few ask for)

    return dict(sorted(_read(files("simpleindex").joinpath("docs"), "").items()))


def document(topic: str) -> str | None:
    """Return a guide's text, or None if there is no such topic; the suffix ``.md`` may be given."""
    return read_documents().get(topic.removesuffix(_SUFFIX))


def title(text: str) -> str:
    """Return a guide's title, which is its first line."""
    return text.partition("\n")[0].removeprefix("# ")


def grouped_topics() -> dict[str, dict[str, str]]:
    """Return the titles of all guides by group and topic; what no reader is here for is about the code."""
    titles = {topic: title(text) for topic, text in read_documents().items()}
    named = {group: {topic: titles.pop(topic) for topic in topics} for group, topics in _GROUPS.items()}
    decisions = {topic: words for topic, words in titles.items() if "/" in topic}
    code = {topic: words for topic, words in titles.items() if "/" not in topic}
    return {**named, _CODE: code, _DECISIONS: decisions}


def list_of_topics() -> str:
    """Return a line for each guide, in groups: its topic and its title."""
    return "\n".join(f"{group}:\n{_lines(topics)}" for group, topics in grouped_topics().items())


def _lines(topics: dict[str, str]) -> str:
    width = max(map(len, topics), default=0)
    return "".join(f"  {topic:{width}}  {words}\n" for topic, words in topics.items())


def _read(directory: Traversable, prefix: str) -> dict[str, str]:
    documents: dict[str, str] = {}
    for entry in directory.iterdir():
        if entry.name.endswith(_SUFFIX):
            documents[prefix + entry.name.removesuffix(_SUFFIX)] = entry.read_text("utf-8")
        elif entry.is_dir():
            documents |= _read(entry, f"{prefix}{entry.name}/")
    return documents
