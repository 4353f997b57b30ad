"""The guides in ``simpleindex/docs``, by topic, as ``/-/docs/`` and ``simpleindex docs`` show them. Blocking."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

_SUFFIX = ".md"


@cache
def read_documents() -> dict[str, str]:
    """Return the text of every guide by its topic, such as ``clients`` or ``decisions/http2``, in the order of topics."""
    return dict(sorted(_read(files("simpleindex").joinpath("docs"), "").items()))


def document(topic: str) -> str | None:
    """Return a guide's text, or None if there is no such topic; the suffix ``.md`` may be given."""
    return read_documents().get(topic.removesuffix(_SUFFIX))


def title(text: str) -> str:
    """Return a guide's title, which is its first line."""
    return text.partition("\n")[0].removeprefix("# ")


def list_of_topics() -> str:
    """Return a line for each guide: its topic and its title."""
    documents = read_documents()
    width = max(map(len, documents), default=0)
    return "".join(f"{topic:{width}}  {title(text)}\n" for topic, text in documents.items())


def _read(directory: Traversable, prefix: str) -> dict[str, str]:
    documents: dict[str, str] = {}
    for entry in directory.iterdir():
        if entry.name.endswith(_SUFFIX):
            documents[prefix + entry.name.removesuffix(_SUFFIX)] = entry.read_text("utf-8")
        elif entry.is_dir():
            documents |= _read(entry, f"{prefix}{entry.name}/")
    return documents
