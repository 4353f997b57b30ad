"""``simpleindex docs [TOPIC]``: print a guide, or the list of guides."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from typing import Final

from simpleindex.commands.arguments import Parser
from simpleindex.core.text import did_you_mean
from simpleindex.system.guides import document, list_of_topics, read_documents

_STARTS_A_LINE: Final = re.compile(r" {4}|\| |\||#+ |<!--|```| *(?:[-*]|\d+\.) +")
"""Code, rows of tables, headings, comments, fences and items of lists; every other line goes on with the one before."""
_STANDS_ALONE: Final = re.compile(r" {4}|<!--| *```|$")
"""What is never wrapped."""


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
    print(wrapped(text, shutil.get_terminal_size().columns) if sys.stdout.isatty() else text, end="")
    return 0


def wrapped(text: str, width: int) -> str:
    """Return a guide for a terminal, which would break its long lines within words.

    Args:
        text: Markdown.
        width: Of the terminal, in characters.
    """
    lines: list[str] = []
    paragraph = ""
    is_code = False
    for line in [*text.splitlines(), ""]:
        goes_on = bool(paragraph and line) and not (is_code or _STARTS_A_LINE.match(line))
        if goes_on:
            paragraph += f" {line.lstrip()}"
            continue
        if paragraph:
            lines.append(_wrapped_paragraph(paragraph, width))
            paragraph = ""
        is_code ^= line.lstrip().startswith("```")
        if is_code or _STANDS_ALONE.match(line):
            lines.append(line)
        else:
            paragraph = line
    return "\n".join(lines)


def _wrapped_paragraph(paragraph: str, width: int) -> str:
    start = _STARTS_A_LINE.match(paragraph)
    return textwrap.fill(
        paragraph,
        width,
        subsequent_indent=" " * (len(start[0]) if start else 0),
        break_long_words=False,
        break_on_hyphens=False,
    )
