"""``simpleindex backup DEST``: back up packages, records, certificates and configuration while the server runs."""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from simpleindex.backup.checking import Steps
from simpleindex.backup.destination import BackupDestination
from simpleindex.backup.making import BackupRequest, make_backup
from simpleindex.backup.manifest import PackagesMode
from simpleindex.backup.places import scope_of
from simpleindex.commands.arguments import Parser, complain, whole_number
from simpleindex.commands.progress import INTERRUPTED, Progress
from simpleindex.commands.server_options import add_server_options, given_options, server_settings
from simpleindex.config.resolution import option_texts
from simpleindex.core.errors import RefusedStart
from simpleindex.core.text import decimal_size, plural, printable
from simpleindex.system.errors import trouble_of

if TYPE_CHECKING:
    import argparse

    from simpleindex.backup.making import BackupReport
    from simpleindex.backup.places import BackupScope
    from simpleindex.config.settings import Settings

_SERVER_OPTIONS: Final = ("config", "path", "state", "certs", "sources", "users", "access", "hooks")
_DIRECTORIES: Final = ("path", "state", "certs")


def backup(words: list[str]) -> int:
    """Make a backup; return the exit status."""
    arguments = _parse(words)
    settings = server_settings(arguments)
    destination, packages = BackupDestination(arguments.destination), PackagesMode(arguments.packages)
    scope = scope_of(settings, packages)
    _refuse_inside(destination.path, settings, scope)
    request = BackupRequest(
        scope,
        option_texts(given_options(arguments), os.environ, Path.cwd()),
        packages,
        # Old backups go only when the new one is certain.
        arguments.verify or arguments.keep is not None,
        datetime.now(UTC),
        settings.records,
    )
    begun = time.monotonic()
    try:
        with destination.writing():
            with Progress(sys.stderr, "files") as progress:
                report = make_backup(destination, request, Steps(progress.expect, progress.advance))
            report.notes += _notes_of_time(destination, report.path)
            removed = [] if arguments.keep is None else destination.remove_outdated(arguments.keep)
    except KeyboardInterrupt:
        complain("The unfinished backup is removed.")
        return INTERRUPTED
    except OSError as error:
        raise RefusedStart(trouble_of(error, destination.path).for_operator()) from None
    _print(report, request, time.monotonic() - begun)
    for name in removed:
        print(f"Removed {name}.")
    return 0


def _parse(words: list[str]) -> argparse.Namespace:
    parser = Parser(
        prog="simpleindex backup",
        description="Back up packages, records, certificates and configuration while the server runs.",
    )
    parser.add_argument(
        "destination",
        metavar="DEST",
        help="a directory of backups; each gets a directory there, named by its time",
    )
    parser.add_argument(
        "--packages",
        choices=[mode.value for mode in PackagesMode],
        default=PackagesMode.LINK.value,
        metavar="link|copy|reference|none",
        help="how to keep the packages: by hard links where the file system allows, else copies (link, the default); by copies; "
        "by names and digests alone; not at all",
    )
    parser.add_argument(
        "--verify", action="store_true", help="read all of it again before it counts as a backup"
    )
    parser.add_argument(
        "--keep",
        type=whole_number(1),
        metavar="N",
        help="then remove all backups but the newest N; only when the new one is verified",
    )
    server = parser.add_argument_group("the server's options")
    add_server_options(server, *_SERVER_OPTIONS)
    return parser.parse_args(words)


def _refuse_inside(destination: str, settings: Settings, scope: BackupScope) -> None:
    """Refuse a destination that would be served, would be part of the next backup, or may be deleted with the cache.

    Raises:
        RefusedStart: It lies in a directory of the server.
    """
    real = Path(os.path.realpath(destination))
    used = {f"the directory of --{name}": getattr(settings, name) for name in (*_DIRECTORIES, "cache")}
    used |= {f"{printable(part.path)}, which is backed up": part.path for part in scope.parts}
    for directory, path in used.items():
        if real.is_relative_to(os.path.realpath(path)):
            raise RefusedStart(
                f"{printable(destination)} lies in {directory}; name one beside it, best on the same file system."
            )


def _notes_of_time(destination: BackupDestination, made: str) -> list[str]:
    """Return a sentence about each backup that is dated after the one that was just made."""
    return [
        f"{name} in {printable(destination.path)} is dated in the future, so it counts as older than the others: "
        "the clock was wrong when it was made, or is wrong now."
        for name in destination.names()
        if name > os.path.basename(made)
    ]


def _print(report: BackupReport, request: BackupRequest, seconds: float) -> None:
    packages = [
        f"{number:,} {how}"
        for number, how in (
            (report.linked, "linked"),
            (report.copied, "copied"),
            (report.unchanged, "as in the backup before"),
            (report.referenced, "by reference"),
        )
        if number
    ]
    how = f" ({', '.join(packages)})" if packages else ""
    files = report.linked + report.copied + report.unchanged + report.referenced
    print(
        f"{printable(report.path)}: {plural(files, 'package file')}{how}, "
        f"{plural(report.others, 'file')} of state, certificates and configuration; {decimal_size(report.size)} "
        f"in {seconds:.1f} seconds.{' Verified.' if request.verifies else ''}"
    )
    if report.unlinked:
        print(
            f"{plural(report.unlinked, 'package file')} could not be linked; {printable(report.path)} is on another file system or mount."
        )
    for note in report.notes:
        complain(note)
