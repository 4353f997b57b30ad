"""The keys of a bucket as directories of projects with files, and what differs between two listings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from simpleindex.system.stamp import Stamp

if TYPE_CHECKING:
    from collections.abc import Iterable

_INODE_BYTES: Final = 7
"""Of a fingerprint that stands for a file number; SQLite's integers have eight, with a sign."""


@dataclass(frozen=True, slots=True)
class ObjectState:
    """An object as a listing shows it.

    Attributes:
        key: Below the prefix.
        etag: What the store calls its content, with its quotes.
        size: Bytes.
        modified_ns: When it was put, nanoseconds since 1970.
    """

    key: str
    etag: str
    size: int
    modified_ns: int

    @property
    def stamp(self) -> Stamp:
        """Its state; equal for equal content, put at the same time.

        Its ctime is 0: a store's state is exact, so no further change could leave the same one.
        """
        return Stamp(_fingerprint(self.etag), self.size, self.modified_ns, 0, 1)


Directory = Mapping[str, ObjectState]
"""The objects of one project's directory, by file name."""


@dataclass(frozen=True)
class KeyTree:
    """All objects below a prefix.

    Attributes:
        directories: The objects in each first-level directory, by its raw name.
        loose: Objects directly below the prefix, by file name.
        deeper: How many objects lie deeper, by first-level directory; they are not served.
    """

    directories: Mapping[str, Directory] = field(default_factory=dict)
    loose: Directory = field(default_factory=dict)
    deeper: Mapping[str, int] = field(default_factory=dict)

    def file(self, path: str) -> ObjectState | None:
        """Return the object of a path, ``project/file`` or ``file``."""
        raw, separator, filename = path.partition("/")
        return self.directories.get(raw, {}).get(filename) if separator else self.loose.get(raw)

    def with_directory(self, raw: str, files: Directory, deeper: int) -> KeyTree:
        """Return the tree with other objects in one directory."""
        directories = {**self.directories, raw: files}
        if not files and not deeper:
            del directories[raw]
        counts = {**self.deeper, raw: deeper}
        if not deeper:
            del counts[raw]
        tree = replace(self, directories=directories, deeper=counts)
        if (raw in directories) == (raw in self.directories):
            # The same names: their fingerprint takes long for a large bucket.
            tree.__dict__["root_stamp"] = self.root_stamp
        return tree

    @cached_property
    def root_stamp(self) -> Stamp:
        """The state of the root: another whenever a directory or a loose file came or went."""
        names = "\0".join([*sorted(self.directories), "", *sorted(self.loose)])
        return Stamp(_fingerprint(names), len(self.directories), 0, 0, 1)

    def directory_stamp(self, raw: str) -> Stamp | None:
        """Return the state of a directory: another whenever one of its objects is; None if there is none."""
        files = self.directories.get(raw)
        if files is None:
            return None
        return Stamp(
            _fingerprint("\0".join(f"{name}\0{each.etag}" for name, each in sorted(files.items()))),
            len(files),
            0,
            0,
            1,
        )


def tree_of(objects: Iterable[ObjectState]) -> KeyTree:
    """Return the tree of a listing."""
    directories: dict[str, dict[str, ObjectState]] = {}
    loose: dict[str, ObjectState] = {}
    deeper: dict[str, int] = {}
    for each in objects:
        raw, separator, filename = each.key.partition("/")
        if not separator:
            loose[raw] = each
        elif "/" in filename:
            directories.setdefault(raw, {})
            deeper[raw] = deeper.get(raw, 0) + 1
        else:
            # A key that ends with a slash is how consoles make a directory.
            files = directories.setdefault(raw, {})
            if filename:
                files[filename] = each
    return KeyTree(directories, loose, deeper)


def changed_directories(before: KeyTree, now: KeyTree) -> frozenset[str]:
    """Return the raw names of the directories whose objects differ."""
    names = {*before.directories, *now.directories}
    return frozenset(name for name in names if before.directories.get(name) != now.directories.get(name))


def _fingerprint(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogateescape"), digest_size=_INODE_BYTES).digest())
