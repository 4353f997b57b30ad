"""``simpleindex cache``: the files that are cached from upstreams, on this machine. A server may run meanwhile."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from simpleindex.commands.arguments import Parser, table
from simpleindex.commands.cache.cache_listing import CacheContents, CachedEntry, minute_of_past
from simpleindex.commands.cache.pins import pin, unpin
from simpleindex.commands.cache.warm import add_warm
from simpleindex.commands.cache.why import cache_why
from simpleindex.commands.server_options import add_server_options
from simpleindex.core.errors import RefusedStart
from simpleindex.core.patterns import ALL
from simpleindex.core.text import human_size, parse_duration, plural

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence


_HEADINGS: Final = ("FILE", "SIZE", "LAST USED", "PINNED", "UPSTREAM")
_PIN: Final = (
    "Keep the cached files of a release for good, under --state: the cache does not remove them for room, deleting the cache does "
    "not touch them, and the index offers them when their upstream no longer does (but not when it quarantines the project)."
)


def cache(words: list[str]) -> int:
    """Run a command on the cache; return the exit status."""
    arguments = _parser().parse_args(words)
    status: int = arguments.run(arguments)
    return status


def _parser() -> Parser:
    parser = Parser(
        prog="simpleindex cache",
        description="Look at the files that are cached from the upstreams of the sources file, and change them. The server "
        "may run meanwhile, and notices what is removed.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(
        name: str, summary: str, run: Callable[[argparse.Namespace], int], description: str = ""
    ) -> Parser:
        command: Parser = commands.add_parser(
            name, help=summary, description=description or f"{summary[0].upper()}{summary[1:]}."
        )
        command.set_defaults(run=run)
        return command

    listing = add("ls", "list the cached files", _list)
    prune = add("prune", "remove cached files", _prune, "Remove cached files; a request fetches them again.")
    for command in (listing, prune):
        command.add_argument(
            "pattern", metavar="PATTERN", nargs="?", default=ALL, help="of these projects, with * and ?"
        )
    listing.add_argument("--json", action="store_true", help="as JSON, for programs")
    prune.add_argument(
        "--older-than", metavar="TIME", default="30d", help="not used for: 12h, 30d, 8w, 0d [default: 30d]"
    )
    prune.add_argument("--dry-run", action="store_true", help="only print which files")
    explain = add("why", "print where a file is, and what its upstreams list of it", cache_why)
    explain.add_argument("filename", metavar="FILE", help="its name")
    for command in (
        keep := add("pin", "keep a release for good", pin, _PIN),
        release := add("unpin", "revert a pin", unpin, "Revert a pin; the cache may still have the files."),
    ):
        command.add_argument("release", metavar="NAME[==VERSION]", help="a release, or all of a project")
    for command in (listing, prune, explain, keep, release):
        add_server_options(command, "sources", "cache", "state", "config")
    add_warm(commands)
    return parser


def _list(arguments: argparse.Namespace) -> int:
    contents = CacheContents(arguments)
    entries = [*contents.entries(arguments.pattern)]
    if arguments.json:
        print(json.dumps([_as_json(entry) for entry in entries], indent=2))
        return 0
    if not entries:
        print(f"There are no such files in {contents.directory}.")
        return 0
    rows = [_HEADINGS, *(_row(entry) for entry in entries)]
    width = max(len(row[1]) for row in rows)
    print("\n".join(table([(name, size.rjust(width), *rest) for name, size, *rest in rows])))
    print(f"{plural(len(entries), 'file')}, {human_size(_size(entries))}.")
    return 0


def _prune(arguments: argparse.Namespace) -> int:
    contents, before = (
        CacheContents(arguments),
        time.time() - _seconds(arguments.older_than),
    )
    entries = [
        entry
        for entry in contents.entries(arguments.pattern)
        if entry.cached.used_at <= before and not entry.is_pinned
    ]
    for entry in entries:
        if not arguments.dry_run:
            contents.cache.files.remove(entry.key)
        print(
            f"{'Would remove' if arguments.dry_run else 'Removed'} {entry.file.filename}, last used {minute_of_past(entry.cached.used_at)}."
        )
    print(f"{plural(len(entries), 'file')}, {human_size(_size(entries))}.")
    return 0


def _as_json(entry: CachedEntry) -> dict[str, object]:
    return {
        "upstream": entry.upstream,
        "project": entry.project,
        "version": entry.file.version,
        "filename": entry.file.filename,
        "sha256": entry.cached.sha256,
        "size": entry.cached.size,
        "fetched": _iso(entry.cached.fetched_at),
        "last_used": _iso(entry.cached.used_at),
        "pinned": entry.is_pinned,
    }


def _row(entry: CachedEntry) -> tuple[str, str, str, str, str]:
    pinned = "yes" if entry.is_pinned else "-"
    return (
        entry.file.filename,
        human_size(entry.cached.size),
        minute_of_past(entry.cached.used_at),
        pinned,
        entry.upstream,
    )


def _seconds(text: str) -> float:
    seconds = parse_duration(text, "hdw")
    if seconds is None:
        raise RefusedStart(f"--older-than: {text!r} is no time such as 12h, 30d or 8w")
    return float(seconds)


def _size(entries: Sequence[CachedEntry]) -> int:
    return sum(entry.cached.size for entry in entries)


def _iso(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
