"""``simpleindex import``: bring files, yanks and users of another index server into a directory of packages."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Final

from simpleindex.access.access_file import parse_access
from simpleindex.access.logins.hashes import verify
from simpleindex.access.logins.htpasswd import parse_users, with_password
from simpleindex.access.logins.users_file import change_users_file
from simpleindex.access.rights import Access
from simpleindex.archives.examination.pool import open_examination
from simpleindex.commands.arguments import Parser, command_user
from simpleindex.commands.migration.import_run import ImportRun
from simpleindex.commands.migration.import_sources import HTTP_KINDS, PATH_KINDS, open_source, read_people
from simpleindex.commands.progress import INTERRUPTED
from simpleindex.commands.server_options import add_server_options, open_directory, server_settings
from simpleindex.core.errors import CannotStore, RefusedStart
from simpleindex.core.patterns import InvalidPattern, matcher, parse_pattern
from simpleindex.core.text import printable
from simpleindex.core.views import LOCAL
from simpleindex.directory.scan.digest_cache import DigestCache
from simpleindex.migration.importer import Importer, ImportTarget
from simpleindex.migration.people import access_proposal, judge_users, without
from simpleindex.migration.report import ImportReport, UsersReport, import_lines, report_json
from simpleindex.publishing.local.project_file_writer import ProjectFileWriter
from simpleindex.publishing.local.writer import Writer
from simpleindex.records.audit.audit import Audit
from simpleindex.service.places import further_directories
from simpleindex.system.followed_file import read_named_file

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from simpleindex.config.settings import Settings
    from simpleindex.core.names import ProjectName
    from simpleindex.migration.interface import ImportSource
    from simpleindex.migration.people import ImportedPeople
    from simpleindex.migration.plan import ProjectPlan

_MOST_SHOWN: Final = 5
"""Names of projects in a sentence."""

_DESCRIPTION: Final = (
    "Import the packages of another index server: each file is fetched, compared with the digest that is stated, examined as an "
    "upload is, and put into the directory with its upload time and yank; a running server offers it at once. What is here already "
    "is skipped, so that the same command goes on where it was stopped. What cannot be imported is reported. Exit status 1: "
    "something was not imported."
)


def import_index(words: list[str]) -> int:
    """Import from another index server; return the exit status."""
    given = _parse(words)
    _refuse_bad_report(given.json)
    try:
        patterns = tuple(map(parse_pattern, given.project))
        report, status = _import(given, patterns)
    except KeyboardInterrupt:
        print("Stopped; the same command goes on where it was.", file=sys.stderr)
        return INTERRUPTED
    except InvalidPattern as error:
        raise RefusedStart(f"--project: {error}") from None
    if given.json != "-":
        print("\n".join(import_lines(report)))
    if given.json is not None:
        _write_json(report, given.json)
    return status


def _parse(words: list[str]) -> argparse.Namespace:
    parser = Parser(prog="simpleindex import", description=_DESCRIPTION)
    parser.add_argument(
        "--from",
        required=True,
        metavar="URL|PATH|s3://BUCKET/PREFIX",
        dest="source",
        help="the other server's URL, or its files on this machine",
    )
    parser.add_argument(
        "--kind",
        metavar="KIND",
        choices=(*HTTP_KINDS, *PATH_KINDS),
        help=f"what that is, where it is not recognized by itself: {', '.join((*HTTP_KINDS, *PATH_KINDS))}",
    )
    parser.add_argument(
        "--to",
        default=LOCAL,
        metavar="SOURCE",
        help="into which of your directories [default: local, which is --path]",
    )
    parser.add_argument(
        "--project",
        metavar="GLOB",
        action="append",
        default=[],
        help="only projects of these names; may be repeated",
    )
    parser.add_argument("--index", metavar="USER/NAME", help="of a devpi server's export: which index")
    _add_access_to_source(parser)
    parser.add_argument("--dry-run", action="store_true", help="only print what would be imported")
    parser.add_argument(
        "--json", metavar="FILE", help="write the report to this file as JSON; - prints it instead"
    )
    add_server_options(parser, "path", "users", "access", "state", "cache", "config", "sources")
    return parser.parse_args(words)


def _add_access_to_source(parser: Parser) -> None:
    """Add the options that say how the other server is reached, and where its users are."""
    parser.add_argument(
        "--users-from",
        metavar="FILE",
        help="take users from the other server's htpasswd file, or the access dump of a pypicloud (JSON)",
    )
    parser.add_argument("--login-file", metavar="FILE", help="holds user:password for the other server")
    parser.add_argument("--cert", metavar="FILE", help="trust these CA certificates instead of the system's")
    parser.add_argument(
        "--hosts",
        metavar="PATTERN",
        action="append",
        default=[],
        help="another host, also with a private address, that the server's links may lead to; may be repeated",
    )


def _import(given: argparse.Namespace, patterns: tuple[str, ...]) -> tuple[ImportReport, int]:
    settings = server_settings(given)
    target = _target(settings, given.to)
    access = Access() if settings.access is None else read_named_file(settings.access, parse_access)
    stopping = Event()
    source = open_source(given, stopping)
    names, people = _chosen(source, patterns), read_people(source, given.users_from)
    # Before the files, which take long: a users file that cannot be changed is reported at once.
    users = _bring_users(people, settings, is_dry=given.dry_run)
    examination, audit = open_examination(), Audit(str(settings.state))
    importer = Importer(source, target, examination, access, command_user(), stopping)
    run = ImportRun(importer, stopping, audit, given.to)
    target.digests.open()
    try:
        plans = run.plan(names)
        if run.stopped_with is None and not given.dry_run:
            _require_space(importer, plans)
            run.bring(plans)
        elif run.stopped_with is None and source.is_local:
            plans = run.check(plans)
    finally:
        examination.stop()
        target.digests.close()
        audit.close()
    report = ImportReport(
        source.label,
        plans,
        run.imported,
        [*(each for plan in plans for each in plan.refused), *run.refused],
        users,
        access_proposal(people, source.label),
        [*people.notes, *run.notes],
        given.dry_run,
    )
    return report, run.stopped_with or int(bool(report.refused))


def _chosen(source: ImportSource, patterns: tuple[str, ...]) -> Sequence[ProjectName]:
    """Return the names of the projects that are imported.

    Raises:
        RefusedStart: There are none.
        InvalidImportSource: They cannot be listed.
    """
    names = source.projects()
    if not names:
        raise RefusedStart(f"There are no packages in {printable(source.label)}; look at --from.")
    chosen = matcher(patterns or ("*",))
    found = [name for name in names if chosen.find(name) is not None]
    if not found:
        some = ", ".join(names[:_MOST_SHOWN]) + (", ..." if len(names) > _MOST_SHOWN else "")
        raise RefusedStart(
            f"--project: no project of {printable(source.label)} has such a name; it has {some}."
        )
    return found


def _target(settings: Settings, name: str) -> ImportTarget:
    directories = {LOCAL: settings.require_directory("simpleindex import"), **further_directories(settings)}
    directory = open_directory(settings, directories, name)
    digests = DigestCache(str(settings.cache), directory.root)
    return ImportTarget(directory, Writer(directory), ProjectFileWriter(directory), digests)


def _require_space(importer: Importer, plans: Sequence[ProjectPlan]) -> None:
    try:
        importer.require_space(sum(plan.size for plan in plans))
    except CannotStore as error:
        raise RefusedStart(f"{error.for_operator()} Make space, or choose projects with --project.") from None


def _bring_users(people: ImportedPeople, settings: Settings, *, is_dry: bool) -> UsersReport:
    judged = without(judge_users(people.users), _is_empty, "the password is empty")
    if settings.users is None:
        return UsersReport(tuple(judged.usable), (), judged.unusable)
    path = str(settings.users)
    here: set[str] = set()

    def add(content: bytes) -> bytes | None:
        here.update(parse_users(content).hashes)
        changed = content
        for name, hash_ in judged.usable.items():
            if name not in here:
                changed = with_password(changed, name, hash_)
        return None if is_dry or changed == content else changed

    try:
        change_users_file(path, add)
    except OSError as error:
        raise RefusedStart(f"{path} cannot be changed: {error.strerror}.") from None
    added = tuple(name for name in judged.usable if name not in here)
    present = sorted(here & {*judged.usable, *judged.unusable})
    unusable = {name: reason for name, reason in judged.unusable.items() if name not in here}
    return UsersReport(added, tuple(present), unusable, path)


def _is_empty(hash_: str) -> bool:
    """Return whether a hash is that of an empty password, as devpi's root has at first; nobody can log in with that here."""
    return verify(hash_, b"")


def _refuse_bad_report(path: str | None) -> None:
    """Refuse a file for the report that cannot be written, before the import, which may take hours.

    Raises:
        RefusedStart: It cannot be written.
    """
    if path is None or path == "-":
        return
    try:
        fits = not stat.S_ISDIR(os.stat(path).st_mode) and os.access(path, os.W_OK)
    except FileNotFoundError:
        fits = os.access(os.path.dirname(path) or ".", os.W_OK)
    except OSError:
        fits = False
    if not fits:
        raise RefusedStart(
            f"--json: {path} cannot be written; name a file in a directory that is there and takes files"
        )


def _write_json(report: ImportReport, path: str) -> None:
    text = json.dumps(report_json(report), indent=2) + "\n"
    if path == "-":
        print(text, end="")
        return
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise RefusedStart(f"--json: {path} cannot be written: {error.strerror}") from None
