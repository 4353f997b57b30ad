"""``simpleindex downloads [NAME [VERSION]]``: how often files were downloaded, by version, day, client, user or file."""

from __future__ import annotations

import json
import sqlite3
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from simpleindex.commands.arguments import Parser, add_path_options, command_paths, table
from simpleindex.core.errors import InvalidProjectName, RefusedStart
from simpleindex.core.names import parse_project_name
from simpleindex.core.text import parse_duration, plural, replace_unprintable
from simpleindex.records.download_queries import COLUMNS, DownloadQuestion, Grouping, download_report
from simpleindex.records.downloads import SECONDS_OF_DAY, DownloadsDatabase, day_of
from simpleindex.system.errors import trouble_of

if TYPE_CHECKING:
    import argparse

_ROWS_SHOWN = 50


def downloads(words: list[str]) -> int:
    """Print counts of downloads; return 0.

    Raises:
        RefusedStart: The question is not valid, or the counts cannot be read.
    """
    arguments = _parser().parse_args(words)
    question = _question(arguments)
    database = DownloadsDatabase(str(command_paths(arguments).state))
    try:
        report = download_report(database, question)
    except (OSError, sqlite3.Error) as error:
        raise RefusedStart(trouble_of(error, database.path).for_operator()) from None
    print(json.dumps(report, indent=2) if arguments.json else "\n".join(report_lines(report)))
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="simpleindex downloads",
        description="Show how often files were downloaded: whole, by pip, uv or another client.",
        epilog="The server counts downloads unless it runs with --downloads off; the last seconds may be missing.",
    )
    parser.add_argument("name", metavar="NAME", nargs="?", help="the project [default: all]")
    parser.add_argument("version", metavar="VERSION", nargs="?", help="of it [default: all]")
    parser.add_argument(
        "--since",
        metavar="TIME",
        default="30d",
        help="since a time such as 30d or 8w ago, or since a date [default: 30d]",
    )
    parser.add_argument(
        "--by",
        choices=[by.value for by in Grouping],
        help="count by this [default: project; version with NAME, file with VERSION]",
    )
    parser.add_argument(
        "--limit",
        metavar="ROWS",
        type=int,
        help=f"print at most so many rows, 0 for all [default: {_ROWS_SHOWN}; --json: 0]",
    )
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")
    add_path_options(parser)
    return parser


def _question(arguments: argparse.Namespace) -> DownloadQuestion:
    try:
        name = None if arguments.name is None else parse_project_name(arguments.name)
    except InvalidProjectName as error:
        raise RefusedStart(f"{error}.") from None
    default = Grouping.PROJECT if name is None else Grouping.FILE if arguments.version else Grouping.VERSION
    limit = arguments.limit if arguments.limit is not None else 0 if arguments.json else _ROWS_SHOWN
    return DownloadQuestion(
        parse_since(arguments.since, time.time()),
        Grouping(arguments.by or default),
        name,
        arguments.version,
        max(limit, 0),
    )


def parse_since(text: str, now: float) -> int:
    """Return the first day that a text means, days since 1970, UTC: a time before now (``30d``), or a date.

    Raises:
        RefusedStart: It is neither.
    """
    seconds = parse_duration(text, "dw")
    if seconds is not None:
        return max(day_of(now - seconds), 0)
    try:
        return int(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()) // SECONDS_OF_DAY
    except ValueError:
        raise RefusedStart(
            f"--since: {text!r} is neither a time such as 30d or 8w nor a date such as 2026-11-01"
        ) from None


def report_lines(report: dict[str, Any]) -> list[str]:
    """Return a report as lines for a terminal."""
    subject = " ".join(each for each in (report["project"], report["version"]) if each)
    total, since = report["total"], report["since"]
    of_subject = f" of {subject}" if subject else ""
    if not total:
        return [f"No download{of_subject} was counted since {since}."]
    by = Grouping(report["by"])
    lines = [f"{plural(total, 'download')}{of_subject} since {since}, by {by}:", ""]
    columns = [column for column in COLUMNS[by] if by.value == column or report.get(column) is None]
    rows = [(*(column.upper() for column in columns), "DOWNLOADS", "")]
    for row in report["counts"]:
        names = tuple(replace_unprintable(row[column] or "-") for column in columns)
        rows.append((*names, f"{row['count']:,}".rjust(9), f"{row['count'] / total:4.0%}"))
    lines += table(rows)
    hidden = report["rows"] - len(report["counts"])
    if hidden > 0:
        lines.append(f"... and {plural(hidden, 'row')} more: --limit 0 shows all.")
    return lines
