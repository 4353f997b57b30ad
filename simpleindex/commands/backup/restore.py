"""``simpleindex restore BACKUP``: restore a backup, or prove that it can be restored."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from simpleindex.backup.checking import Steps
from simpleindex.backup.destination import BackupDestination, read_manifest
from simpleindex.backup.manifest import InvalidManifest, ItemKind
from simpleindex.backup.places import STATE
from simpleindex.backup.plan import is_backup_name, plan_restore
from simpleindex.backup.proof import prove_backup
from simpleindex.backup.restoring import RestoreRequest, missing_files, restore_backup, things_in_the_way
from simpleindex.commands.arguments import Parser, complain
from simpleindex.commands.progress import INTERRUPTED, Progress
from simpleindex.core.errors import RefusedStart
from simpleindex.core.names import distribution_suffix
from simpleindex.core.text import decimal_size, one_of, plural, printable
from simpleindex.records.state_lock import without_servers
from simpleindex.system.errors import trouble_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from simpleindex.backup.manifest import Manifest

_MOST_SHOWN: Final = 5
"""Paths that are printed; of others only the number."""


def restore(words: list[str]) -> int:
    """Restore or prove a backup; return the exit status: 1 if the backup is not whole."""
    _refuse_deleted_file(words)
    arguments = _parse(words)
    path = _backup_path(arguments.backup)
    try:
        with BackupDestination(os.path.dirname(path)).reading():
            if arguments.verify:
                return _prove(path)
            return _restore(path, arguments)
    except KeyboardInterrupt:
        complain("Nothing was restored.")
        return INTERRUPTED
    except OSError as error:
        raise RefusedStart(trouble_of(error, path).for_operator()) from None
    except InvalidManifest as error:
        raise RefusedStart(f"The manifest of {printable(path)} {error}.") from None


def _refuse_deleted_file(words: list[str]) -> None:
    """Refuse what restore meant before: to take a deleted file out of the trash.

    Raises:
        RefusedStart: The words are a project and a file.
    """
    plain = [word for word in words if not word.startswith("-")]
    if len(plain) > 1 and distribution_suffix(plain[1]):
        raise RefusedStart(
            f"restore brings back backups. To take a deleted file out of the trash: simpleindex undelete {plain[0]} {plain[1]}"
        )


def _parse(words: list[str]) -> argparse.Namespace:
    parser = Parser(
        prog="simpleindex restore",
        description="Restore a backup to its places, or prove that it can be restored.",
    )
    parser.add_argument(
        "backup", metavar="BACKUP", help="the directory of one backup; of a directory of backups, the newest"
    )
    parser.add_argument("--to", metavar="DIR", help="restore everything below this directory, to look at it")
    parser.add_argument(
        "--part",
        metavar="NAME",
        action="append",
        default=[],
        help="only this part, such as packages, state or users, as --dry-run lists them; may be repeated",
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be restored where")
    parser.add_argument("--force", action="store_true", help="move aside what is there")
    parser.add_argument(
        "--verify",
        action="store_true",
        help="prove it: read every file, and start a server from it, with nothing but what is in it",
    )
    arguments = parser.parse_args(words)
    if arguments.verify and (arguments.to or arguments.part or arguments.dry_run or arguments.force):
        parser.error(
            "--verify proves the whole backup, and takes none of --to, --part, --dry-run and --force"
        )
    return arguments


def _backup_path(given: str) -> str:
    """Return the directory of the backup that is meant.

    Raises:
        RefusedStart: There is none.
    """
    path = os.path.abspath(given)
    if not os.path.isdir(path):
        raise RefusedStart(f"There is no directory {printable(path)}.")
    if is_backup_name(os.path.basename(path)):
        return path
    names = BackupDestination(path).names()
    if names:
        print(f"The newest of {plural(len(names), 'backup')} is {names[-1]}.")
        return os.path.join(path, names[-1])
    return path


def _restore(path: str, arguments: argparse.Namespace) -> int:
    manifest = _chosen(read_manifest(path), arguments.part)
    below = os.path.abspath(arguments.to) if arguments.to else ""
    request = RestoreRequest(path, manifest, plan_restore(manifest, below.rstrip("/")), arguments.force)
    _refuse_missing(request)
    if arguments.dry_run:
        return _print_plan(request)
    state = manifest.part(STATE)
    with ExitStack() as stack:
        if state is not None and state.is_stored:
            stack.enter_context(without_servers(request.plan.target(state.path)))
        with Progress(sys.stderr, "files") as progress:
            notes = restore_backup(request, Steps(progress.expect, progress.advance))
    print(f"Restored {_summary(request)} of {manifest.made} from {printable(path)}.")
    for note in notes:
        print(note)
    return _print_absent(request)


def _chosen(manifest: Manifest, names: Sequence[str]) -> Manifest:
    """Return what is restored: all of a manifest, or the parts of these names.

    Raises:
        RefusedStart: A name is that of no part.
    """
    parts = [part.name for part in manifest.parts]
    for name in names:
        if name not in parts:
            raise RefusedStart(f"--part: the backup has no part {name!r}{one_of(name, parts)}.")
    return manifest.only(names) if names else manifest


def _refuse_missing(request: RestoreRequest) -> None:
    if faults := missing_files(request):
        raise RefusedStart(f"{faults[0]} The backup is not whole; choose another one.")


def _summary(request: RestoreRequest) -> str:
    files = [step.item for step in request.plan.steps if step.item.kind is ItemKind.FILE]
    return f"{plural(len(files), 'file')} ({decimal_size(sum(item.size for item in files))})"


def _print_plan(request: RestoreRequest) -> int:
    print(
        f"The backup of {request.manifest.host} at {request.manifest.made} would restore {_summary(request)}:"
    )
    for part in request.manifest.parts:
        items = [item for item in request.manifest.items if item.part == part.name]
        if not items:
            continue
        where = (
            "stay where they are" if not part.is_stored else f"to {printable(request.plan.target(part.path))}"
        )
        files = sum(item.kind is ItemKind.FILE for item in items)
        print(f"  {part.name}: {plural(files, 'file')} {where}")
    there = things_in_the_way(request.plan)
    for path in there[:_MOST_SHOWN]:
        print(f"{printable(path)} is in the way; --force moves it aside.")
    _print_more(there)
    return 0


def _print_more(paths: list[str]) -> None:
    if len(paths) > _MOST_SHOWN:
        print(f"So {'is' if len(paths) == _MOST_SHOWN + 1 else 'are'} {len(paths) - _MOST_SHOWN:,} more.")


def _print_absent(request: RestoreRequest) -> int:
    """Print which packages that the backup only refers to are not where they were."""
    paths = {part.name: part.path for part in request.manifest.parts}
    absent = [
        path
        for item in request.manifest.referenced_files()
        if not _has_size(path := os.path.join(paths[item.part], item.path), item.size)
    ]
    for path in absent[:_MOST_SHOWN]:
        print(f"{printable(path)} is not there as it was; the backup has only its digest.")
    _print_more(absent)
    return 1 if absent else 0


def _has_size(path: str, size: int) -> bool:
    try:
        return os.stat(path).st_size == size
    except OSError:
        return False


def _prove(path: str) -> int:
    with Progress(sys.stderr, "files") as progress:

        def tell(sentence: str) -> None:
            progress.end()
            print(sentence, flush=True)

        proof = prove_backup(path, read_manifest(path), Steps(progress.expect, progress.advance), tell)
    for sentence in proof.faults:
        print(sentence)
    print("The backup can be restored." if not proof.faults else "The backup is NOT good.")
    return 1 if proof.faults else 0
