"""Restore a backup: collected beside its targets, and moved into place when all of it is there. Blocking."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from shlex import quote
from typing import TYPE_CHECKING, Final

from simpleindex.backup.elsewhere import moved_paths, options_elsewhere, options_file
from simpleindex.backup.errors import CannotBackUp, CannotRestore, FileVanished
from simpleindex.backup.file_copies import copy_file, link_file, read_digest
from simpleindex.backup.manifest import ItemKind
from simpleindex.backup.places import HOOKS, SOURCES, STATE, is_of_packages
from simpleindex.backup.tree import REPLACED, RESTORING
from simpleindex.core.text import printable
from simpleindex.publishing.local.staging import STAGING
from simpleindex.records.state_lock import STATE_LOCK
from simpleindex.system.errors import trouble_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from simpleindex.backup.checking import Steps
    from simpleindex.backup.manifest import BackupItem, ItemOwner, Manifest
    from simpleindex.backup.plan import RestorePlan, RestoreRoot, RestoreStep

OPTIONS_FILE: Final = "simpleindex.toml"
"""The configuration file that is written below the directory of ``--to``."""

_OTHER_PORTS: Final = {"https": 9443, "http": 9080}
"""Where a server can listen that is started beside the one of the backup."""


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """A restore.

    Attributes:
        backup: The directory of the backup.
        plan: What goes where.
        replaces: Whether what is there is moved aside; else it is left alone, and nothing is restored.
        links: Whether package files are hard links to those of the backup, for a look at it.
    """

    backup: str
    manifest: Manifest
    plan: RestorePlan
    replaces: bool = False
    links: bool = False


def things_in_the_way(plan: RestorePlan) -> list[str]:
    """Return the paths that lie where something is to be restored."""
    there = [os.path.join(root.path, name) for root in plan.roots for name in _in_the_way(plan, root)]
    if plan.below and os.path.lexists(path := os.path.join(plan.below, OPTIONS_FILE)):
        there.append(path)
    return there


def _in_the_way(plan: RestorePlan, root: RestoreRoot) -> Iterator[str]:
    try:
        names = os.listdir(root.path)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise CannotRestore(f"{printable(root.path)} is no directory; move it away.") from None
    items = {step.path: step.item for step in plan.steps if step.root == root.path} if root.is_shared else {}
    for name in sorted(names):
        is_own = name in {RESTORING, STATE_LOCK, STAGING} or name.startswith(REPLACED)
        if is_own or (root.is_shared and name not in root.names):
            continue
        if name not in items or not _is_unchanged(os.path.join(root.path, name), items[name]):
            yield name


def _is_unchanged(path: str, item: BackupItem) -> bool:
    """Tell whether a file of the configuration is there with the bytes that the backup has of it."""
    try:
        read = read_digest(path)
    except (FileVanished, OSError):
        return False
    return (read.size, read.sha256) == (item.size, item.sha256)


def missing_files(request: RestoreRequest) -> list[str]:
    """Return a sentence about each stored file that is not there, or has another size."""
    faults = []
    for item in request.manifest.stored_files():
        path = os.path.join(request.backup, item.stored_path)
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            faults.append(f"{printable(path)} is not there.")
            continue
        if not stat.S_ISREG(status.st_mode) or status.st_size != item.size:
            faults.append(f"{printable(path)} is not the file of the manifest.")
    return faults


def restore_backup(request: RestoreRequest, steps: Steps) -> list[str]:
    """Restore a backup; return sentences about the outcome.

    Raises:
        CannotRestore: It cannot be restored; nothing has changed, unless the sentence says so.
        KeyboardInterrupt: It was stopped; nothing has changed.
    """
    return _Restore(request, steps).run()


class _Restore:
    def __init__(self, request: RestoreRequest, steps: Steps) -> None:
        self._request = request
        self._plan = request.plan
        self._steps = steps
        self._made: list[str] = []
        self._notes: list[str] = []
        self._is_foreign = False

    def run(self) -> list[str]:
        if not self._request.replaces and (there := things_in_the_way(self._plan)):
            more = f" and {len(there) - 1:,} more" if len(there) > 1 else ""
            raise CannotRestore(
                f"{printable(there[0])}{more} would be replaced; move it away, give --to DIR, or --force to have it moved aside."
            )
        try:
            self._collect()
        except (OSError, FileVanished, CannotBackUp) as error:
            self._discard()
            if isinstance(error, OSError):
                raise CannotRestore(trouble_of(error, self._plan.roots[0].path).for_operator()) from None
            raise CannotRestore(f"{error} The backup is not whole; choose another one.") from None
        except BaseException:
            self._discard()
            raise
        try:
            for root in self._plan.roots:
                self._put_in_place(root)
        except (OSError, KeyboardInterrupt) as error:
            sentence = (
                trouble_of(error, self._plan.roots[0].path).for_operator()
                if isinstance(error, OSError)
                else "It was stopped."
            )
            raise CannotRestore(
                f"{sentence} Part of the backup is in place; restore it again with --force."
            ) from None
        self._write_options()
        self._tell_of_postgresql()
        if self._is_foreign:
            self._notes.append(
                "All files belong to you now, because only root can give them to their owners."
            )
        return self._notes

    def _collect(self) -> None:
        self._steps.expect(sum(step.item.kind is ItemKind.FILE for step in self._plan.steps))
        for root in self._plan.roots:
            self._make_directory(root.path)
            staging = os.path.join(root.path, RESTORING)
            with suppress(FileNotFoundError):
                shutil.rmtree(staging)
            os.mkdir(staging, 0o700)
        for step in self._plan.steps:
            target = os.path.join(step.root, RESTORING, step.path)
            if step.item.kind is ItemKind.DIRECTORY:
                if step.path:
                    os.makedirs(target, 0o700, exist_ok=True)
            elif step.item.kind is ItemKind.LINK:
                os.symlink(step.item.target, target)
                self._give(target, step.item.owner)
            else:
                os.makedirs(os.path.dirname(target), 0o700, exist_ok=True)
                self._restore_file(step, target)
                self._steps.advance()
        for step in reversed(self._plan.steps):
            # A directory's times are those of before only when nothing more comes into it.
            if step.item.kind is ItemKind.DIRECTORY and step.path:
                self._finish(os.path.join(step.root, RESTORING, step.path), step)

    def _make_directory(self, path: str) -> None:
        """Make a root that is missing, and those above it."""
        missing = []
        while not os.path.isdir(path):
            missing.append(path)
            path = os.path.dirname(path)
        for made in reversed(missing):
            os.mkdir(made, 0o755)
            self._made.append(made)

    def _restore_file(self, step: RestoreStep, target: str) -> None:
        item, source = step.item, os.path.join(self._request.backup, step.item.stored_path)
        if self._request.links and is_of_packages(item.part) and link_file(source, target):
            return
        copied = copy_file(source, target)
        if (copied.size, copied.sha256) != (item.size, item.sha256):
            raise CannotBackUp(f"{printable(source)} has not the size and digest of the manifest.")
        if item.part in (SOURCES, HOOKS) and self._plan.below:
            self._rewrite(target)
        self._finish(target, step)

    def _rewrite(self, path: str) -> None:
        with open(path, "r+", encoding="utf-8", errors="surrogateescape") as stream:
            text = moved_paths(stream.read(), self._request.manifest, self._plan)
            stream.seek(0)
            stream.truncate()
            stream.write(text)

    def _finish(self, path: str, step: RestoreStep) -> None:
        """Give a file or directory its owner, mode and times."""
        self._give(path, step.item.owner)
        os.chmod(path, step.item.mode)
        os.utime(path, ns=(step.item.mtime_ns, step.item.mtime_ns))

    def _give(self, path: str, owner: ItemOwner) -> None:
        uid, gid = _ids(owner)
        status = os.lstat(path)
        if (status.st_uid, status.st_gid) == (uid, gid):
            return
        if os.geteuid() == 0:
            os.chown(path, uid, gid, follow_symlinks=False)
        else:
            self._is_foreign = True

    def _put_in_place(self, root: RestoreRoot) -> None:
        staging = os.path.join(root.path, RESTORING)
        if there := list(_in_the_way(self._plan, root)):
            self._move_aside(root.path, there)
        for name in sorted(os.listdir(staging)):
            os.rename(os.path.join(staging, name), os.path.join(root.path, name))
        os.rmdir(staging)
        for step in self._plan.steps:
            if step.root == root.path and not step.path:
                self._finish(root.path, step)

    def _move_aside(self, directory: str, names: Iterable[str]) -> None:
        aside = self._free_name(directory)
        os.mkdir(aside, 0o700)
        for name in names:
            os.rename(os.path.join(directory, name), os.path.join(aside, name))
        self._notes.append(f"What was there is in {printable(aside)}; remove it when you do not need it.")

    def _free_name(self, directory: str) -> str:
        number = 1
        while os.path.lexists(path := os.path.join(directory, f"{REPLACED}{number}")):
            number += 1
        return path

    def _write_options(self) -> None:
        """Write a configuration file with which a server can be started below the directory of ``--to``."""
        if not self._plan.below:
            return
        path = os.path.join(self._plan.below, OPTIONS_FILE)
        options = options_elsewhere(self._request.manifest, self._plan)
        if os.path.lexists(path):
            self._move_aside(self._plan.below, [OPTIONS_FILE])
        write_options(path, options)
        ports = "".join(f" --{name} {port}" for name, port in _OTHER_PORTS.items() if name in options)
        self._notes.append(
            f"Start it there{', on other ports,' if ports else ''} with: "
            f"twistd -n --pidfile= simpleindex --config {quote(path)}{ports}"
        )

    def _tell_of_postgresql(self) -> None:
        manifest = self._request.manifest
        state = manifest.part(STATE)
        if (
            state is not None
            and state.is_stored
            and not self._plan.below
            and (urls := manifest.options.get("records"))
        ):
            self._notes.append(
                f"The records were in PostgreSQL. If they are lost there: simpleindex records copy sqlite:{state.path} {urls[-1]}"
            )

    def _discard(self) -> None:
        for root in self._plan.roots:
            shutil.rmtree(os.path.join(root.path, RESTORING), ignore_errors=True)
        for path in reversed(self._made):
            with suppress(OSError):
                os.rmdir(path)


def write_options(path: str, options: Mapping[str, tuple[str, ...]]) -> None:
    """Write a configuration file, readable by its owner alone."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8", errors="surrogateescape") as stream:
        stream.write(options_file(options))


@lru_cache(1000)
def _ids(owner: ItemOwner) -> tuple[int, int]:
    """Return the numbers of an owner on this machine, where names may have other ones."""
    try:
        uid = pwd.getpwnam(owner.user).pw_uid if owner.user else owner.uid
    except KeyError:
        uid = owner.uid
    try:
        gid = grp.getgrnam(owner.group).gr_gid if owner.group else owner.gid
    except KeyError:
        gid = owner.gid
    return uid, gid
