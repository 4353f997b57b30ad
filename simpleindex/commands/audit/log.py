"""``simpleindex log [NAME [VERSION]]``: what happened on the index, and who did it, from the audit."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from simpleindex.commands.arguments import (
    Parser,
    add_path_options,
    command_paths,
    project_argument,
    require_readable_state,
    whole_number,
)
from simpleindex.core.audit_entry import EVENTS, matching_events
from simpleindex.core.errors import RefusedStart
from simpleindex.core.text import one_of, past_moment, plural, replace_unprintable
from simpleindex.records.audit.audit import AUDIT_FILENAME
from simpleindex.records.audit.audit_files import audit_files, audit_lines
from simpleindex.records.audit.audit_questions import AuditQuestion, matching_entries
from simpleindex.records.audit.audit_tail import AuditTail
from simpleindex.records.opening import open_shared_audit
from simpleindex.system.errors import trouble_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator

    from simpleindex.commands.arguments import CommandPaths
    from simpleindex.records.postgresql.audit import SharedAudit

_ENTRIES_SHOWN: Final = 50

_LOOK_SECONDS: Final = 0.5
"""Between two looks for new entries."""

_COLUMNS: Final = (19, 17, 16, 15)
"""Widths of the time, the event, the user and the address: those of most entries; a longer text moves the rest of its line."""


@dataclass(frozen=True, slots=True)
class AuditOutput:
    """How entries are printed.

    Attributes:
        limit: At most so many of those that are there already, the newest; 0 for all.
        json: Whether as JSON, an object a line.
        follow: Whether to wait for further ones.
    """

    limit: int
    json: bool
    follow: bool


def log(words: list[str]) -> int:
    """Print entries of the audit; return 0."""
    arguments = _parser().parse_args(words)
    question = _question(arguments, time.time())
    where = command_paths(arguments)
    limit = arguments.limit if arguments.limit is not None else 0 if arguments.json else _ENTRIES_SHOWN
    output = AuditOutput(max(limit, 0), arguments.json, arguments.follow)
    try:
        if where.records is None:
            _print_of_this_node(where, question, output)
        else:
            _print_of_all_nodes(where.records, question, output)
    except KeyboardInterrupt:
        print()
    return 0


def _print_of_this_node(where: CommandPaths, question: AuditQuestion, output: AuditOutput) -> None:
    require_readable_state(where.state)
    path = os.path.join(str(where.state), AUDIT_FILENAME)
    try:
        print_entries(path, question, output, lambda: time.sleep(_LOOK_SECONDS))
    except BrokenPipeError:
        raise  # The reader of the output has read enough.
    except OSError as error:
        raise RefusedStart(trouble_of(error, path).for_operator()) from None


def _print_of_all_nodes(url: str, question: AuditQuestion, output: AuditOutput) -> None:
    with closing(open_shared_audit(url)) as shared:
        try:
            print_shared_entries(shared, question, output, lambda: time.sleep(_LOOK_SECONDS))
        except BrokenPipeError:
            raise  # The same.
        except OSError as error:
            raise RefusedStart(
                f"{trouble_of(error, shared.place).for_operator()} The audit of one node is in audit.jsonl in its state directory."
            ) from None


def _parser() -> Parser:
    parser = Parser(
        prog="simpleindex log",
        description="Show what happened on the index, and who did it: uploads, yanks, deletions, tokens, failed logins.",
        epilog=f"Events: {', '.join(EVENTS)}. The entries are read from audit.jsonl in the state directory, and from the files "
        "that were rotated away from it; with --records in PostgreSQL those of all nodes, from there.",
    )
    parser.add_argument("name", metavar="NAME", nargs="?", help="about this project only")
    parser.add_argument("version", metavar="VERSION", nargs="?", help="about this version of it only")
    parser.add_argument("--user", metavar="USER", help="by this user, also with commands; or token:ID")
    parser.add_argument(
        "--event",
        metavar="EVENT",
        action="append",
        help="events of this kind, or a pattern: 'token-*'; may be repeated",
    )
    parser.add_argument(
        "--since", metavar="TIME", help="since a time such as 2h or 30d ago, or since a date or time (UTC)"
    )
    parser.add_argument("--until", metavar="TIME", help="before such a time")
    parser.add_argument(
        "--limit",
        metavar="N",
        type=whole_number(0),
        help=f"print the newest N entries, 0 for all [default: {_ENTRIES_SHOWN}; --json: 0]",
    )
    parser.add_argument(
        "--follow", "-f", action="store_true", help="go on with new entries as they come, until ^C"
    )
    parser.add_argument("--json", action="store_true", help="as JSON, one object a line, for programs")
    add_path_options(parser)
    return parser


def _question(arguments: argparse.Namespace, now: float) -> AuditQuestion:
    return AuditQuestion(
        _moment("since", arguments.since, now),
        _moment("until", arguments.until, now),
        None if arguments.name is None else project_argument(arguments.name),
        arguments.version,
        arguments.user,
        None if arguments.event is None else _events(arguments.event),
    )


def _moment(option: str, text: str | None, now: float) -> float | None:
    moment = None if text is None else past_moment(text, now)
    if text is not None and moment is None:
        raise RefusedStart(
            f"--{option}: {text!r} is neither a time such as 2h or 30d, nor a date such as 2026-11-01, nor one with a time"
        )
    return moment


def _events(patterns: Iterable[str]) -> frozenset[str]:
    events: set[str] = set()
    for pattern in patterns:
        matching = matching_events(pattern)
        if not matching:
            raise RefusedStart(f"--event: there is no event {pattern!r}{one_of(pattern, EVENTS)}")
        events |= matching
    return frozenset(events)


def print_entries(
    path: str, question: AuditQuestion, output: AuditOutput, wait: Callable[[], object]
) -> None:
    """Print the entries that are looked for.

    Args:
        path: The audit.
        question: Which entries.
        output: How they are printed.
        wait: Waits a little for further ones.

    Raises:
        OSError: The audit cannot be read.
    """
    if not audit_files(path) and not output.follow:
        raise RefusedStart(
            f"{path} is not there: no server has written an audit to this state directory. Name the server's configuration with "
            "SIMPLEINDEX_CONFIG=FILE or --config FILE, or its state directory with --state DIR."
        )
    if not output.follow:
        _print_matching(audit_lines(path, question.since or 0.0), question, output)
        return
    with closing(AuditTail(path)) as tail:
        rotated = audit_lines(path, question.since or 0.0, current=False)
        _print_matching(chain(rotated, _lines_so_far(tail)), question, output)
        while True:
            wait()
            for entry in matching_entries(_lines_so_far(tail), question):
                _print_entry(entry, output)


def print_shared_entries(
    shared: SharedAudit, question: AuditQuestion, output: AuditOutput, wait: Callable[[], object]
) -> None:
    """Print the entries of all nodes that are looked for; arguments as for :func:`print_entries`.

    Raises:
        OSError: They cannot be read.
    """
    last = shared.end()
    _print_matching(shared.lines(question, last), question, output)
    while output.follow:
        wait()
        lines = shared.lines_after(last)
        for entry in matching_entries((line for _, line in lines), question):
            _print_entry(entry, output)
        last = lines[-1][0] if lines else last


def _print_matching(lines: Iterable[bytes], question: AuditQuestion, output: AuditOutput) -> None:
    entries: deque[dict[str, Any]] = deque(maxlen=output.limit or None)
    number = 0
    for entry in matching_entries(lines, question):
        number += 1
        entries.append(entry)
    if not output.json:
        _print_head(number, len(entries), follow=output.follow)
    for entry in entries:
        _print_entry(entry, output)


def _lines_so_far(tail: AuditTail) -> Iterator[bytes]:
    while lines := tail.read():
        yield from (line.text for line in lines)


def _print_head(number: int, shown: int, *, follow: bool) -> None:
    if not number and not follow:
        print("No entry of the audit matches.")
        return
    if number > shown:
        print(f"... {plural(number - shown, 'earlier entry')}: --limit 0 shows all.")
    print(_in_columns(("TIME (UTC)", "EVENT", "USER", "FROM"), "WHAT"))


def _print_entry(entry: dict[str, Any], output: AuditOutput) -> None:
    print(json.dumps(entry) if output.json else entry_line(entry), flush=output.follow)


def entry_line(entry: dict[str, Any]) -> str:
    """Return an entry of the audit as a line for a terminal."""
    shown = {key: replace_unprintable(value) for key, value in entry.items()}
    who = shown.get("who") or (f"token:{shown['token']}" if "token" in shown else "-")
    what = [shown.get("filename") or " ".join(filter(None, (shown.get("project"), shown.get("version"))))]
    if "token" in shown and not who.startswith("token:"):
        what.append(f"token {shown['token']}")
    what.append(shown.get("detail", ""))
    when = shown["time"][:19].replace("T", " ")
    return _in_columns(
        (when, shown["event"], who, shown.get("address") or "-"), ": ".join(filter(None, what))
    )


def _in_columns(cells: tuple[str, ...], rest: str) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, _COLUMNS, strict=True))
    return f"{'  '.join(padded)}  {rest}".rstrip()
