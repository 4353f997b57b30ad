"""The manifest of a backup: its parts, and every file with size, digest, owner and mode, as JSON. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from simpleindex.core.bounds import Bound
from simpleindex.core.errors import SimpleIndexError
from simpleindex.core.parsing.json_text import load_json
from simpleindex.core.text import shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

MANIFEST: Final = "manifest.json"

_FORMAT: Final = 1
"""Raised when an older release could no longer restore what is written."""

_VALUES: Final = Bound("the manifest", 100_000_000, "values")
"""A file has about 10; a large index has a million files."""

_PART: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class InvalidManifest(SimpleIndexError):
    """A manifest that cannot be restored from.

    Attributes:
        reason: What is wrong, as the end of a sentence.
    """

    reason: str


class PackagesMode(StrEnum):
    """How a backup keeps the packages."""

    LINK = "link"
    """By hard links where the file system allows, else by copies."""
    COPY = "copy"
    """By copies."""
    REFERENCE = "reference"
    """By name, size and digest alone."""
    NONE = "none"
    """Not at all."""


class ItemKind(StrEnum):
    """What an item of a backup is."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class ItemOwner:
    """The owner and group of an item: by name where the machine had one, and by number."""

    uid: int
    gid: int
    user: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class BackupPart:
    """A directory or a file of the server that a backup has.

    Attributes:
        name: Its directory in the backup: ``state``, ``packages``.
        path: Its absolute path on the machine of the server.
        is_file: Whether it is one file.
        is_stored: Whether its bytes are in the backup, and not only their digests.
    """

    name: str
    path: str
    is_file: bool = False
    is_stored: bool = True


@dataclass(frozen=True, slots=True)
class BackupItem:
    """A file, a directory or a symbolic link in a part of a backup.

    Attributes:
        part: The name of its part.
        path: Its path in it, with slashes; empty for the part's own directory, and the name of a part that is a file.
        kind: What it is.
        mtime_ns: When its bytes changed last.
        size: Bytes of a file.
        sha256: The digest of a file.
        target: Where a link leads.
    """

    part: str
    path: str
    kind: ItemKind
    mode: int
    mtime_ns: int
    owner: ItemOwner
    size: int = 0
    sha256: str = ""
    target: str = ""

    @property
    def stored_path(self) -> str:
        """Its path in the directory of the backup."""
        return f"{self.part}/{self.path}" if self.path else self.part


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup has.

    Attributes:
        program: The name and the version that made it.
        made: When it was begun, in UTC (ISO 8601).
        host: The name of the machine.
        packages: How it keeps the packages.
        options: The options of the server, as texts; every path is absolute.
        items: All files, directories and links; a directory comes before what is in it.
    """

    program: str
    made: str
    host: str
    packages: PackagesMode
    options: Mapping[str, tuple[str, ...]]
    parts: tuple[BackupPart, ...]
    items: tuple[BackupItem, ...]

    def part(self, name: str) -> BackupPart | None:
        """Return the part of that name."""
        return next((part for part in self.parts if part.name == name), None)

    def only(self, names: Collection[str]) -> Manifest:
        """Return a manifest that has nothing of other parts than these."""
        return replace(
            self,
            parts=tuple(
                replace(part, is_stored=part.is_stored and part.name in names) for part in self.parts
            ),
            items=tuple(item for item in self.items if item.part in names),
        )

    def stored_files(self) -> Iterator[BackupItem]:
        """Yield the files whose bytes are in the backup."""
        stored = {part.name for part in self.parts if part.is_stored}
        return (item for item in self.items if item.kind is ItemKind.FILE and item.part in stored)

    def referenced_files(self) -> Iterator[BackupItem]:
        """Yield the files of which the backup has only the digests."""
        stored = {part.name for part in self.parts if part.is_stored}
        return (item for item in self.items if item.kind is ItemKind.FILE and item.part not in stored)


def manifest_json(manifest: Manifest) -> str:
    """Return a manifest as JSON, with one line for each item."""
    head = {
        "format": _FORMAT,
        "program": manifest.program,
        "made": manifest.made,
        "host": manifest.host,
        "packages": manifest.packages.value,
        "options": {name: list(texts) for name, texts in manifest.options.items()},
        "parts": [
            {"name": part.name, "path": part.path, "is-file": part.is_file, "is-stored": part.is_stored}
            for part in manifest.parts
        ],
    }
    items = ",\n".join(json.dumps(_item_fields(item)) for item in manifest.items)
    return f'{json.dumps(head, indent=1)[:-2]},\n "items": [\n{items}\n]}}\n'


def _item_fields(item: BackupItem) -> dict[str, Any]:
    owner = item.owner
    fields: dict[str, Any] = {
        "part": item.part,
        "path": item.path,
        "kind": item.kind.value,
        "mode": f"{item.mode:04o}",
        "mtime-ns": item.mtime_ns,
        "owner": [owner.uid, owner.gid, owner.user, owner.group],
    }
    if item.kind is ItemKind.FILE:
        fields |= {"size": item.size, "sha256": item.sha256}
    elif item.kind is ItemKind.LINK:
        fields["target"] = item.target
    return fields


def parse_manifest(text: str) -> Manifest:
    """Parse and check a manifest; nothing in it leads out of its parts.

    Raises:
        InvalidManifest: It is not valid.
    """
    try:
        table = load_json(text, _VALUES)
    except ValueError as error:
        raise InvalidManifest(f"is no JSON: {error}") from None
    if not isinstance(table, dict) or not isinstance(table.get("format"), int):
        raise InvalidManifest("is no manifest of a backup")
    if table["format"] != _FORMAT:
        raise InvalidManifest(f"has the format {table['format']}, which a newer version of simpleindex wrote")
    try:
        manifest = _manifest(table)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidManifest(f"has a value that cannot be understood: {shown(str(error))}") from None
    _refuse_bad_parts(manifest)
    _refuse_bad_items(manifest)
    return manifest


def _manifest(table: dict[str, Any]) -> Manifest:
    return Manifest(
        program=_text(table["program"]),
        made=_text(table["made"]),
        host=_text(table["host"]),
        packages=PackagesMode(table["packages"]),
        options={name: tuple(map(_text, texts)) for name, texts in table["options"].items()},
        parts=tuple(
            BackupPart(
                _text(each["name"]), _text(each["path"]), bool(each["is-file"]), bool(each["is-stored"])
            )
            for each in table["parts"]
        ),
        items=tuple(map(_item, table["items"])),
    )


def _item(fields: dict[str, Any]) -> BackupItem:
    kind = ItemKind(fields["kind"])
    uid, gid, user, group = fields["owner"]
    return BackupItem(
        part=_text(fields["part"]),
        path=_text(fields["path"]),
        kind=kind,
        mode=int(fields["mode"], 8) & 0o7777,
        mtime_ns=int(fields["mtime-ns"]),
        owner=ItemOwner(int(uid), int(gid), _text(user), _text(group)),
        size=int(fields["size"]) if kind is ItemKind.FILE else 0,
        sha256=_text(fields["sha256"]) if kind is ItemKind.FILE else "",
        target=_text(fields["target"]) if kind is ItemKind.LINK else "",
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(f"{value!r} is no text")
    return value


def is_absolute(path: str) -> bool:
    """Tell whether a path is absolute and plain: without ``..``, ``.`` and empty parts."""
    return path.startswith("/") and is_inner(path[1:])


def is_inner(path: str) -> bool:
    """Tell whether a relative path is plain, so that it leads to something below where it begins."""
    return not {"", ".", ".."} & set(path.split("/"))


def _refuse_bad_parts(manifest: Manifest) -> None:
    names = set()
    for part in manifest.parts:
        if not _PART.fullmatch(part.name) or part.name in names:
            raise InvalidManifest(
                f"has a part with the name {shown(part.name)}, which is not valid or not unique"
            )
        if not is_absolute(part.path):
            raise InvalidManifest(f"has a part whose path {shown(part.path)} is not absolute and plain")
        names.add(part.name)


def _refuse_bad_items(manifest: Manifest) -> None:
    """Refuse items that lead out of their part, by ``..`` or through a link, and those that are there twice."""
    parts = {part.name: part for part in manifest.parts}
    seen: dict[tuple[str, str], ItemKind] = {}
    for item in manifest.items:
        where = shown(item.stored_path)
        part = parts.get(item.part)
        if part is None or (item.part, item.path) in seen:
            raise InvalidManifest(f"has an item {where} that belongs to no part, or is there twice")
        if part.is_file:
            is_good = item.kind is ItemKind.FILE and item.path == part.path.rpartition("/")[2]
        elif not item.path:
            is_good = item.kind is ItemKind.DIRECTORY
        else:
            above = seen.get((item.part, item.path.rpartition("/")[0]))
            is_good = is_inner(item.path) and above is ItemKind.DIRECTORY
        if not is_good:
            raise InvalidManifest(
                f"has an item {where} that leads out of its part or lies in no directory of it"
            )
        if item.kind is ItemKind.FILE and not (_SHA256.fullmatch(item.sha256) and item.size >= 0):
            raise InvalidManifest(f"has no valid size and digest of {where}")
        seen[item.part, item.path] = item.kind
