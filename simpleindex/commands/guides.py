"""``simpleindex docs [TOPIC]``: print a guide, or the list of guides."""

from __future__ import annotations

import sys

from simpleindex.core.text import did_you_mean
from simpleindex.system.guides import document, list_of_topics, read_documents


def docs(words: list[str]) -> int:
    """Print the guide of a topic, or all topics; return the exit status."""
    if not words:
        print(list_of_topics(), end="")
        return 0
    text = document(words[0])
    if text is None:
        hint = did_you_mean(words[0], read_documents(), ".")
        print(
            f"simpleindex: There is no guide {words[0]!r}{hint} simpleindex docs lists them.", file=sys.stderr
        )
        return 2
    print(text, end="")
    return 0
