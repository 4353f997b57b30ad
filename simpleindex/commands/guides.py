"""``simpleindex docs [TOPIC]``: print a guide, or the list of guides."""

from __future__ import annotations

import sys

from simpleindex.commands.arguments import Parser
from simpleindex.core.text import did_you_mean
from simpleindex.system.guides import document, list_of_topics, read_documents


def docs(words: list[str]) -> int:
    """Print the guide of a topic, or all topics; return the exit status."""
    parser = Parser(prog="simpleindex docs", description="Print a guide, or the list of guides.")
    parser.add_argument("topic", metavar="TOPIC", nargs="?", help="such as clients [default: list them]")
    topic = parser.parse_args(words).topic
    if topic is None:
        print(list_of_topics(), end="")
        return 0
    text = document(topic)
    if text is None:
        hint = did_you_mean(topic, read_documents(), ".")
        print(f"simpleindex: There is no guide {topic!r}{hint} simpleindex docs lists them.", file=sys.stderr)
        return 2
    print(text, end="")
    return 0
