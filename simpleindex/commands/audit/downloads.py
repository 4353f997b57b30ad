"""``simpleindex downloads [NAME [VERSION]]``: how often files were downloaded, by version, day, client, user or file."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from simpleindex.commands.arguments import table
from simpleindex.commands.audit.download_questions import UNWRITTEN, Questioner, question_parser
from simpleindex.core.text import plural, replace_unprintable
from simpleindex.records.downloads.counting import COLUMNS, Grouping
from simpleindex.records.downloads.report import DEFAULT_SINCE, download_report, parse_question

if TYPE_CHECKING:
    import argparse

    from simpleindex.core.names import ProjectName
    from simpleindex.records.downloads.database import DownloadsDatabase

_ROWS_SHOWN: Final = 50


def downloads(words: list[str]) -> int:
    """Print counts of downloads; return 0."""
    parser = question_parser(
        "simpleindex downloads",
        "Show how often files were downloaded: whole, by pip, uv or another client.",
        f"since a time such as 30d or 8w ago, or since a date [default: {DEFAULT_SINCE}]",
    )
    parser.add_argument("name", metavar="NAME", nargs="?", help="the project [default: all]")
    parser.add_argument("version", metavar="VERSION", nargs="?", help="of it [default: all]")
    parser.add_argument(
        "--by",
        metavar="WHAT",
        choices=[by.value for by in Grouping],
        help=f"count by {', '.join(by.value for by in Grouping)} [default: project; version with NAME, file with VERSION]",
    )
    arguments = parser.parse_args(words)
    texts = _texts(arguments)

    def local(database: DownloadsDatabase, project: ProjectName | None) -> dict[str, Any]:
        return download_report(database, parse_question(project, arguments.version, texts, time.time()))

    report = Questioner(arguments, "downloads", arguments.name, arguments.version, texts).ask(local)
    print(json.dumps(report, indent=2) if arguments.json else "\n".join(download_lines(report)))
    return 0


def _texts(arguments: argparse.Namespace) -> dict[str, str]:
    """Return the options as a question has them."""
    limit = arguments.limit or ("0" if arguments.json else str(_ROWS_SHOWN))
    since = {} if arguments.since is None else {"since": arguments.since}
    by = {} if arguments.by is None else {"by": arguments.by}
    return {"limit": limit, **since, **by}


def download_lines(report: dict[str, Any]) -> list[str]:
    """Return a report as lines for a terminal."""
    subject = " ".join(each for each in (report["project"], report["version"]) if each)
    total, since = report["total"], report["since"]
    of_subject = f" of {subject}" if subject else ""
    if not total:
        return [f"No download{of_subject} was counted since {since}. {UNWRITTEN}"]
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
