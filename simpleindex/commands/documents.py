"""``simpleindex docs [TOPIC]``: print a guide, or the list of guides."""

from __future__ import annotations

import sys
from difflib import get_close_matches

from simpleindex.system.documents import document, list_of_topics, read_documents


def docs(words: list[str]) -> int:
    """Print the guide of a topic, or all topics; return the exit status."""
    if not words:
        print(list_of_topics(), end="")
        return 0
    text = document(words[0])
    if text is None:
        close = get_close_matches(words[0], read_documents(), 1)
        hint = f"; did you mean {close[0]}?" if close else "."
        print(
            f"simpleindex: There is no guide {words[0]!r}{hint} simpleindex docs lists them.", file=sys.stderr
        )
        return 2
    print(text, end="")
    return 0
