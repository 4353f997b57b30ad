"""``simpleindex who NAME [VERSION|FILE]``: who downloaded it, when, and from where."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from simpleindex.commands.arguments import table
from simpleindex.commands.audit.download_questions import UNWRITTEN, Questioner, question_parser
from simpleindex.commands.server_options import server_settings
from simpleindex.core.text import plural, replace_unprintable
from simpleindex.records.downloads.downloaders import WhoQuestion, downloaders
from simpleindex.records.downloads.report import parse_question
from simpleindex.web.downloads.pages import WHO_SINCE
from simpleindex.web.routing.routes import WHO_PAGE

if TYPE_CHECKING:
    import argparse

    from simpleindex.core.names import ProjectName
    from simpleindex.records.downloads.database import DownloadsDatabase

_ROWS_SHOWN: Final = 50

_BEGINNING: Final = "1970-01-01"

_SOURCES: Final = {
    "downloads": "as kept by --keep-addresses",
    "access log": "from the access log",
    "counts": "from the daily counts",
}


def who(words: list[str]) -> int:
    """Print who downloaded something; return 0."""
    parser = question_parser(
        "simpleindex who",
        "Show who downloaded a project, a version or a file, when, and from where: as kept by --keep-addresses, else from the access log "
        "and its rotated files, else from the daily counts.",
        "since a time such as 30d or 8w ago, or since a date [default: all that is kept]",
    )
    parser.add_argument("name", metavar="NAME", help="the project")
    parser.add_argument(
        "subject", metavar="VERSION|FILE", nargs="?", help="a version of it, or a file [default: all]"
    )
    parser.add_argument(
        "--access-log", metavar="FILE", help="the access log [default: the server's, by its --config]"
    )
    arguments = parser.parse_args(words)
    texts = {
        "since": arguments.since or WHO_SINCE,
        "limit": arguments.limit or ("0" if arguments.json else str(_ROWS_SHOWN)),
    }

    def local(database: DownloadsDatabase, project: ProjectName | None) -> dict[str, Any]:
        assert project is not None  # the parser requires it
        bounds = parse_question(project, arguments.subject, texts, time.time())
        question = WhoQuestion(project, arguments.subject, bounds.since, bounds.limit)
        return downloaders(database, _access_log(arguments), question)

    has_log = arguments.index_url is None and _access_log(arguments) is not None
    answer = Questioner(arguments, WHO_PAGE, arguments.name, arguments.subject, texts, has_log).ask(local)
    print(json.dumps(answer, indent=2) if arguments.json else "\n".join(answer_lines(answer)))
    return 0


def _access_log(arguments: argparse.Namespace) -> str | None:
    if arguments.access_log is not None:
        return str(Path(os.path.expanduser(arguments.access_log)).absolute())
    log = server_settings(arguments, root_may_be_gone=True).access_log
    return None if log is None or log == "-" else str(log)


def answer_lines(answer: dict[str, Any]) -> list[str]:
    """Return an answer as lines for a terminal."""
    rows, source, counted = answer["downloads"], answer["source"], answer["counted"]
    since = f" since {answer['since']}" if answer["since"] > _BEGINNING else ""
    subject = f"{answer['project']} {answer['subject'] or ''}".rstrip() + since
    if not rows:
        return [f"No download of {subject} is known: neither counts nor the access log have one. {UNWRITTEN}"]
    number = sum(row.get("count", 1) for row in rows)
    what = (
        plural(number, "request") + " for" if source == "access log" else plural(number, "download") + " of"
    )
    lines = [f"{what} {subject}, {_SOURCES[source]}, the newest first:", ""]
    heads = ("DAY", "DOWNLOADS") if source == "counts" else ("TIME", "ADDRESS")
    lines += table([(heads[0], "USER", "TOKEN", heads[1], "CLIENT", "FILE"), *map(_cells, rows)])
    notes = [answer["note"]] if answer["note"] else []
    if number < counted and not (source == "downloads" and answer["note"]):
        notes.append(
            f"{plural(counted, 'download')} were counted; --limit 0 shows all that is known of them."
        )
    return [*lines, *(["", *notes] if notes else [])]


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    file = f"{row['file']} (a part)" if row.get("part") else row["file"]
    first, fourth = ("day", "count") if "day" in row else ("time", "address")
    texts = (row[first], row["user"], row["token"], str(row[fourth] or "-"), row["client"], file)
    return tuple(replace_unprintable(text or "-") for text in texts)
