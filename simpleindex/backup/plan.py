"""The plan of a restore: what goes where, which directories are replaced; and the order of backups. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from simpleindex.backup.manifest import BackupItem, InvalidManifest, ItemKind
from simpleindex.core.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simpleindex.backup.manifest import Manifest

_NAME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ")

_SKEW_SECONDS: Final = 60
"""So much may two clocks differ."""


@dataclass(frozen=True, slots=True)
class RestoreRoot:
    """A directory into which a restore writes.

    Attributes:
        path: Its absolute path.
        is_shared: Whether it may hold other things too, as the directory of a configuration file does.
        names: What the restore puts into it.
    """

    path: str
    is_shared: bool
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RestoreStep:
    """What a restore does with one item.

    Attributes:
        root: The path of its root.
        path: Its path in that; empty for the root itself.
    """

    item: BackupItem
    root: str
    path: str


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What a restore does.

    Attributes:
        roots: The directories that it writes into.
        steps: One for each item; a directory comes before what is in it, and links come last.
        below: The directory below which everything is put; empty for the places of the manifest.
    """

    roots: tuple[RestoreRoot, ...]
    steps: tuple[RestoreStep, ...]
    below: str

    def target(self, path: str) -> str:
        """Return where something with this path on the machine of the server is put."""
        return f"{self.below}{path}"


def is_backup_name(name: str) -> bool:
    """Tell whether a directory's name is that of a complete backup."""
    return _NAME.fullmatch(name) is not None


def backup_name(made: float) -> str:
    """Return the name of a backup that was made at this time, in seconds since 1970."""
    return datetime.fromtimestamp(int(made), UTC).strftime("%Y-%m-%dT%H-%M-%SZ")


def oldest_first(names: Iterable[str], now: float) -> list[str]:
    """Return the names that are those of backups, in the order of their time.

    Those of the future come first: the clock was wrong when they were made, and they must not pass for the newest.
    """
    present = backup_name(now + _SKEW_SECONDS)
    return sorted(filter(is_backup_name, names), key=lambda name: (name <= present, name))


def plan_restore(manifest: Manifest, below: str = "") -> RestorePlan:
    """Return the plan for a manifest.

    Args:
        manifest: A valid one.
        below: The directory below which everything is put; empty for the places of the manifest.

    Raises:
        InvalidManifest: Two parts of it do not fit together.
    """
    stored = [part for part in manifest.parts if part.is_stored]
    tops = {f"{below}{part.path}": part.is_file for part in stored}
    own = [path for path, is_file in tops.items() if not is_file and not _is_below_any(path, tops)]
    shared = dict.fromkeys(
        path.rpartition("/")[0] or "/"
        for path, is_file in tops.items()
        if is_file and not _is_below_any(path, own)
    )
    roots = {**dict.fromkeys(own, False), **{path: True for path in shared if path not in own}}
    part_paths = {part.name: f"{below}{part.path}" for part in stored}
    part_files = {part.name for part in stored if part.is_file}
    steps = []
    for item in manifest.items:
        if item.part not in part_paths:
            continue
        top = part_paths[item.part]
        target = top if item.part in part_files or not item.path else f"{top}/{item.path}"
        root = _root_of(target, roots)
        steps.append(RestoreStep(item, root, target[len(root) :].lstrip("/")))
    _refuse_clashes(steps)
    steps.sort(
        key=lambda step: (
            step.item.kind is ItemKind.LINK,
            step.item.kind is ItemKind.FILE,
            step.path.count("/"),
        )
    )
    names: dict[str, dict[str, None]] = {root: {} for root in roots}
    for step in steps:
        if step.path:
            names[step.root][step.path.partition("/")[0]] = None
    return RestorePlan(
        tuple(RestoreRoot(root, is_shared, tuple(names[root])) for root, is_shared in roots.items()),
        tuple(steps),
        below,
    )


def _is_below_any(path: str, others: Iterable[str]) -> bool:
    return any(path != other and path.startswith(f"{other.rstrip('/')}/") for other in others)


def _root_of(target: str, roots: Iterable[str]) -> str:
    """Return the innermost root that a target lies in."""
    around = [root for root in roots if target == root or target.startswith(f"{root.rstrip('/')}/")]
    return max(around, key=len)


def _refuse_clashes(steps: Iterable[RestoreStep]) -> None:
    """Refuse two items at one place, and items below what is no directory: a part may lie in another one."""
    kinds: dict[tuple[str, str], ItemKind] = {}
    for step in steps:
        place = step.root, step.path
        if (
            kinds.setdefault(place, step.item.kind) is not ItemKind.DIRECTORY
            and kinds[place] is not step.item.kind
        ):
            raise InvalidManifest(f"has two items at {shown(step.path)}")
    seen = set()
    for step in steps:
        if step.item.kind is not ItemKind.DIRECTORY:
            if (step.root, step.path) in seen:
                raise InvalidManifest(f"has two items at {shown(step.path)}")
            seen.add((step.root, step.path))
        path = step.path
        while path:
            path = path.rpartition("/")[0]
            if kinds.get((step.root, path), ItemKind.DIRECTORY) is not ItemKind.DIRECTORY:
                raise InvalidManifest(f"has an item {shown(step.path)} below one that is no directory")
