"""``simpleindex cache``: what is kept of other indexes, on this machine. A server may run meanwhile."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packaging.version import InvalidVersion, Version

from simpleindex.commands.arguments import Parser, complain, who
from simpleindex.commands.judging import reasons_against
from simpleindex.commands.warm import add_warm
from simpleindex.config.settings import resolve
from simpleindex.core.errors import InvalidFilename, InvalidProjectName, InvalidSources, RefusedStart
from simpleindex.core.names import parse_distribution_name, parse_project_name
from simpleindex.core.patterns import ALL, InvalidPattern, matcher, parse_pattern
from simpleindex.core.sizes import human_size
from simpleindex.records.audit import Audit
from simpleindex.system.followed_file import read_text_file
from simpleindex.system.log import log_to
from simpleindex.upstreams.cache.cache import UpstreamCache
from simpleindex.upstreams.cache.file_keys import UpstreamFileKey
from simpleindex.upstreams.cache.pins import Pins
from simpleindex.upstreams.modes import Mode
from simpleindex.upstreams.pages.enrich import enriched, with_modification_times
from simpleindex.upstreams.pages.flat import FLAT_PAGE, project_of
from simpleindex.views.sources_file import parse_sources

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from simpleindex.core.model import File
    from simpleindex.core.names import ProjectName
    from simpleindex.upstreams.cache.cached_files import CachedFile
    from simpleindex.upstreams.cache.cached_listings import CachedListing
    from simpleindex.upstreams.settings import UpstreamSettings

_DURATION: Final = re.compile(r"([0-9]{1,5})([hdw])\Z")
_UNITS: Final = {"h": 3600, "d": 86_400, "w": 7 * 86_400}
_HEADINGS: Final = ("FILE", "SIZE", "LAST USED", "PINNED", "UPSTREAM")
_PIN: Final = (
    "Keep the files of a release that are held now for good, under --state: no room is made at their cost, deleting the cache does "
    "not touch them, and they stay on offer when their index has them no more (but not when it quarantines the project)."
)


@dataclass(frozen=True, slots=True)
class CachedEntry:
    """A file that is kept.

    Attributes:
        upstream: The name of the upstream that lists it.
        project: Its project.
        file: As it is listed there.
        key: What it is found by.
        held: Where it is.
        is_pinned: Whether it is kept for good.
    """

    upstream: str
    project: ProjectName
    file: File
    key: UpstreamFileKey
    held: CachedFile
    is_pinned: bool


def cache(words: list[str]) -> int:
    """Run the command; returns the exit status.

    Raises:
        RefusedStart: It cannot be obeyed.
    """
    given = _parser().parse_args(words)
    with log_to(complain):
        status: int = given.run(given)
    return status


def _parser() -> Parser:
    parser = Parser(
        prog="simpleindex cache",
        description="What is kept of the indexes of the sources file. The server may run meanwhile, and notices what is removed.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    listing = commands.add_parser(
        "ls", help="list the files that are kept", description="List the files that are kept."
    )
    listing.add_argument(
        "pattern", metavar="PATTERN", nargs="?", default=ALL, help="of these projects, with * and ?"
    )
    listing.add_argument("--json", action="store_true", help="as JSON, for programs")
    listing.set_defaults(run=_list)
    prune = commands.add_parser(
        "prune",
        help="remove files",
        description="Remove files, which are fetched again when they are asked for.",
    )
    prune.add_argument(
        "pattern", metavar="PATTERN", nargs="?", default=ALL, help="of these projects, with * and ?"
    )
    prune.add_argument(
        "--older-than",
        metavar="TIME",
        default="30d",
        help="that nobody used for so long: 12h, 30d, 8w, 0d [default: 30d]",
    )
    prune.add_argument("--dry-run", action="store_true", help="only say which")
    prune.set_defaults(run=_prune)
    why = commands.add_parser(
        "why",
        help="say everything about one file",
        description="Say where a file is, and what its upstream says of it.",
    )
    why.add_argument("filename", metavar="FILE", help="its name")
    why.set_defaults(run=_why)
    pin = commands.add_parser("pin", help="keep a release for good", description=_PIN)
    unpin = commands.add_parser(
        "unpin", help="take that back", description="Let go of what was pinned; the cache may still have it."
    )
    for each, run in ((pin, _pin), (unpin, _unpin)):
        each.add_argument("release", metavar="NAME[==VERSION]", help="a release, or all of a project")
        each.set_defaults(run=run)
    for each in (listing, prune, why, pin, unpin):
        for name in ("sources", "cache", "state", "config"):
            metavar = "FILE" if name in ("sources", "config") else "DIR"
            each.add_argument(f"--{name}", metavar=metavar, help=f"as the server's --{name}")
    add_warm(commands)
    return parser


class CacheContents:
    """What the cache has of the upstreams of a sources file."""

    def __init__(self, given: argparse.Namespace) -> None:
        options = {
            name: value for name in ("sources", "cache", "state", "config") if (value := getattr(given, name))
        }
        settings = resolve(options, os.environ, Path.cwd(), root_may_be_gone=True)
        self.settings = settings
        if settings.sources is None:
            raise RefusedStart(
                "no sources file was named, and without one there are no upstreams; give --sources FILE"
            )
        try:
            self.upstreams: Sequence[UpstreamSettings] = parse_sources(
                read_text_file(str(settings.sources))
            ).upstreams
        except OSError as error:
            raise RefusedStart(f"{settings.sources} cannot be read: {error.strerror}") from None
        except InvalidSources as error:
            raise RefusedStart(f"{settings.sources}: {error}") from None
        self.directory = settings.cache
        self.cache = UpstreamCache(str(settings.cache))
        self.pins = Pins(str(settings.state))
        self.audit = Audit(str(settings.state))

    def entries(self, pattern: str = ALL) -> Iterator[CachedEntry]:
        """The files that are held, by upstream, project and version."""
        try:
            wanted = matcher((parse_pattern(pattern),))
        except InvalidPattern as error:
            raise RefusedStart(str(error)) from None
        for upstream, name in (
            (each, name)
            for each in self.upstreams
            for name in ((FLAT_PAGE,) if each.flat else self.cache.cached_names(each.identity))
        ):
            if wanted.find(name) is None and name != FLAT_PAGE:
                continue
            kept = self.cache.listing(upstream.identity, name)
            pinned = self.pinned(upstream.identity, name)
            for file in () if kept is None else kept.project.files:
                file_facts = None if kept is None else kept.file_facts.get(file.filename)
                sha256 = file.sha256 or (file_facts and file_facts.sha256)
                key = UpstreamFileKey(upstream.identity, name, file.filename)
                held = self.cache.files.find(key) if sha256 else None
                if held is not None and held.sha256 != sha256:
                    continue
                project = project_of(file) if name == FLAT_PAGE else name
                if sha256 and held is not None and wanted.find(project) is not None:
                    is_pinned = file.filename in (
                        self.pinned(upstream.identity, project) if upstream.flat else pinned
                    )
                    yield CachedEntry(upstream.name, project, file, key, held, is_pinned)

    def pinned(self, index: str, name: ProjectName) -> frozenset[str]:
        """The file names of a project that are pinned."""
        kept = self.pins.listing(index, name)
        return frozenset() if kept is None else frozenset(file.filename for file in kept.project.files)

    def record(self, event: str, name: ProjectName, filenames: Sequence[str], upstream: str) -> None:
        """Note in the audit what was done."""
        for filename in filenames:
            self.audit.record(event, who=who(), project=name, filename=filename, detail=upstream)
        self.audit.close()


def _pin(given: argparse.Namespace) -> int:
    kept, name, is_meant = CacheContents(given), *_release(given.release)
    status = 1
    for upstream in kept.upstreams:
        listing = kept.cache.listing(upstream.identity, FLAT_PAGE if upstream.flat else name)
        files = [file for file in ([] if listing is None else listing.project.files) if is_meant(file)]
        if upstream.flat:
            files = [file for file in files if project_of(file) == name]
        if listing is None or not files:
            continue
        try:
            pinned = kept.pins.pin(upstream.identity, listing, files, kept.cache)
        except OSError as error:
            raise RefusedStart(f"it cannot be kept under --state: {error.strerror}") from None
        kept.record("pinned", name, pinned, upstream.name)
        for filename in pinned:
            print(f"Pinned {filename} of {upstream.name}.")
        left = len(files) - len(pinned)
        if left:
            print(f"{left:,} more of {upstream.name} are not held; simpleindex cache warm fetches them.")
        status = 0 if pinned else status
    if status:
        print(
            f"Nothing of {given.release} is held in {kept.directory}; simpleindex cache warm, or an installation, fetches it."
        )
    return status


def _unpin(given: argparse.Namespace) -> int:
    kept, name, is_meant = CacheContents(given), *_release(given.release)
    status = 1
    for upstream in kept.upstreams:
        gone = kept.pins.unpin(upstream.identity, name, is_meant)
        kept.record("unpinned", name, gone, upstream.name)
        for filename in gone:
            print(f"{filename} of {upstream.name} is not pinned any more.")
            status = 0
    if status:
        print(f"Nothing of {given.release} was pinned.")
    return status


def _release(text: str) -> tuple[ProjectName, Callable[[File], bool]]:
    name, equals, version = text.partition("==")
    try:
        project = parse_project_name(name.strip())
        wanted = str(Version(version)) if equals else None
    except (InvalidProjectName, InvalidVersion):
        raise RefusedStart(f"{text!r} is neither a project nor a release such as litellm==1.2.3") from None
    return project, lambda file: wanted is None or file.version == wanted


def _list(given: argparse.Namespace) -> int:
    kept = CacheContents(given)
    entries = [*kept.entries(given.pattern)]
    if given.json:
        print(json.dumps([_as_json(entry) for entry in entries], indent=2))
        return 0
    if not entries:
        print(f"Nothing of it is kept in {kept.directory}.")
        return 0
    rows = [_HEADINGS, *(_row(entry) for entry in entries)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, size, used, pinned, upstream in rows:
        print(
            f"{name:{widths[0]}}  {size:>{widths[1]}}  {used:{widths[2]}}  {pinned:{widths[3]}}  {upstream}"
        )
    print(f"{_count(entries)}, {human_size(_size(entries))}.")
    return 0


def _prune(given: argparse.Namespace) -> int:
    kept, before = CacheContents(given), time.time() - _seconds(given.older_than)
    entries = [
        entry for entry in kept.entries(given.pattern) if entry.held.used_at <= before and not entry.is_pinned
    ]
    for entry in entries:
        if not given.dry_run:
            kept.cache.files.remove(entry.key)
        print(
            f"{'Would remove' if given.dry_run else 'Removed'} {entry.file.filename}, last used {_minute(entry.held.used_at)}."
        )
    print(f"{_count(entries)}, {human_size(_size(entries))}.")
    return 0


def _why(given: argparse.Namespace) -> int:
    try:
        name = parse_distribution_name(given.filename).project
    except InvalidFilename as error:
        raise RefusedStart(str(error)) from None
    kept = CacheContents(given)
    lines: list[str] = []
    for upstream in kept.upstreams:
        listing = kept.cache.listing(upstream.identity, FLAT_PAGE if upstream.flat else name)
        if listing is None:
            lines.append(f"{upstream.name}: nothing is kept of {name}.")
            continue
        what = "its page" if upstream.flat else name
        lines.append(f"{upstream.name}: it was asked for {what} on {_minute(listing.fetched_at)}.")
        file = next((file for file in listing.project.files if file.filename == given.filename), None)
        if file is None:
            lines.append(f"  It had no {given.filename} then.")
            continue
        if given.filename in kept.pinned(upstream.identity, name):
            lines.append("  It is pinned: kept for good under --state.")
        file_facts = listing.file_facts.get(file.filename)
        sha256 = file.sha256 or (file_facts and file_facts.sha256)
        stated = (
            (file.sha256 and f"sha256 {file.sha256}")
            or (file.other_hash and " ".join(file.other_hash))
            or "no hash"
        )
        lines.append(f"  It has it at {file.url}, and states {stated}.")
        key = UpstreamFileKey(upstream.identity, listing.project.name, file.filename)
        held = kept.cache.files.find(key) if sha256 else None
        if held is not None and held.sha256 != sha256:
            held = None
        if held is None:
            lines.append(f"  It is not kept here: {_why_not_kept(kept, upstream, listing, file)}.")
            continue
        proven = (
            "proven since the machine started"
            if held.is_verified
            else "to be hashed before it is served again"
        )
        lines += [
            f"  It is kept at {held.path}: {held.size:,} bytes, sha256 {sha256}, {proven}.",
            f"  It was fetched on {_minute(held.fetched_at)}, and used last on {_minute(held.used_at)}.",
        ]
    print("\n".join(lines))
    return 0


def _why_not_kept(kept: CacheContents, upstream: UpstreamSettings, listing: CachedListing, file: File) -> str:
    """Say, as a clause, why a file is not kept; what a rule withholds is never fetched."""
    if upstream.mode is not Mode.CACHE:
        return f"clients get it from {upstream.name} itself, whose mode is {upstream.mode.value}"
    project = enriched(
        with_modification_times(listing.project, listing.file_facts, listing.modified),
        listing.file_facts,
        {},
        0,
    )
    project = replace(project, name=project_of(file) if upstream.flat else project.name)
    against = reasons_against(kept.settings, upstream.name, project, {file.filename})
    fault = listing.faults.get(file.filename)
    if against:
        return f"nobody gets it now. {against[0].rstrip('.')}"
    if fault is not None:
        return f"nobody gets it now. {fault.reason.rstrip('.')}"
    return "it is fetched when a client asks for it"


def _as_json(entry: CachedEntry) -> dict[str, object]:
    return {
        "upstream": entry.upstream,
        "project": entry.project,
        "version": entry.file.version,
        "filename": entry.file.filename,
        "sha256": entry.held.sha256,
        "size": entry.held.size,
        "fetched": _iso(entry.held.fetched_at),
        "last_used": _iso(entry.held.used_at),
        "pinned": entry.is_pinned,
    }


def _row(entry: CachedEntry) -> tuple[str, str, str, str, str]:
    pinned = "yes" if entry.is_pinned else "-"
    return (
        entry.file.filename,
        human_size(entry.held.size),
        _minute(entry.held.used_at),
        pinned,
        entry.upstream,
    )


def _seconds(text: str) -> float:
    match = _DURATION.match(text)
    if match is None:
        raise RefusedStart(f"--older-than: {text!r} is no time such as 12h, 30d or 8w")
    return float(int(match[1]) * _UNITS[match[2]])


def _size(entries: Sequence[CachedEntry]) -> int:
    return sum(entry.held.size for entry in entries)


def _count(entries: Sequence[CachedEntry]) -> str:
    number = len(entries)
    return f"{number:,} file{'' if number == 1 else 's'}"


def _minute(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def _iso(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
