"""The paths of one archive, as a tool that unpacks it will see them: each once, none leading out."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from simpleindex.archives.errors import BrokenArchive
from simpleindex.core import bounds
from simpleindex.core.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DRIVE: Final = re.compile(r"[A-Za-z]:")
_KEY_SIZE: Final = 16
"""Bytes."""


def plain_path(raw: bytes) -> str:
    """Return a member's path without what does not matter in it: ``./``, doubled and trailing slashes.

    Raises:
        BrokenArchive: Unpacked, it would lie outside, or differently on different systems.
    """
    if excess := bounds.PATH.excess(len(raw)):
        raise BrokenArchive(excess)
    try:
        path = raw.decode()
    except UnicodeDecodeError:
        raise BrokenArchive(f"the name of its member {shown_path(raw)} is not UTF-8") from None
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if path.startswith("/") or _DRIVE.match(path) or ".." in parts or not parts:
        raise BrokenArchive(f"its member {shown(path)} leads out of the archive")
    if "\\" in path or _CONTROL.search(path):
        raise BrokenArchive(f"its member {shown(path)} has a backslash or a control character in its name")
    if excess := bounds.PATH_PARTS.excess(len(parts)):
        raise BrokenArchive(excess)
    for part in parts:
        if excess := bounds.PATH_PART.excess(len(part.encode())):
            raise BrokenArchive(excess)
    return "/".join(parts)


def shown_path(raw: bytes) -> str:
    """Quote a member's path for a sentence."""
    return shown(raw.decode("utf-8", "backslashreplace"))


class Paths:
    """Every path of an archive, kept as a digest, with a word of the reader's about each file.

    Attributes:
        tops: The first parts of the paths, of which no more than two are kept.
    """

    def __init__(self) -> None:
        self.tops: set[str] = set()
        self._files: dict[bytes, bytes] = {}
        self._directories: set[bytes] = set()
        self._links: set[bytes] = set()
        self._last_parent = ""

    def __len__(self) -> int:
        """How many files there are, links among them."""
        return len(self._files)

    def add(self, path: str, *, is_directory: bool = False, is_link: bool = False) -> None:
        """Note a member.

        Args:
            path: As :func:`plain_path` returns it.
            is_directory: Directories may come several times.
            is_link: Nothing may lie beneath a link.

        Raises:
            BrokenArchive: It is there already, as another kind of member or as a file; or there are too many.
        """
        if len(self.tops) < 2:
            self.tops.add(path.partition("/")[0])
        parent = path.rpartition("/")[0]
        if parent != self._last_parent:
            self._add_directories(parent)
            self._last_parent = parent
        key = _key(path)
        if is_directory:
            self._add_directory(key, [path])
            return
        if key in self._files:
            raise BrokenArchive(f"its member {shown(path)} is there twice")
        if key in self._directories:
            raise BrokenArchive(f"its member {shown(path)} is both a file and a directory")
        if excess := bounds.MEMBERS.excess(len(self._files) + 1):
            raise BrokenArchive(excess)
        self._files[key] = b""
        if is_link:
            self._links.add(key)

    def note(self, path: str, word: bytes) -> None:
        """Keep a word about a file that was added."""
        self._files[_key(path)] = word

    def word(self, path: str) -> bytes | None:
        """Return the word about a file, or None if there is no such file."""
        return self._files.get(_key(path))

    def is_link(self, path: str) -> bool:
        """Whether this is a symbolic link."""
        return bool(self._links) and _key(path) in self._links

    def leads_through_link(self, parts: Sequence[str]) -> bool:
        """Whether a path, whose parts these are, has a symbolic link before its last part."""
        return any(key in self._links for key in _keys(parts[:-1]))

    def _add_directories(self, path: str) -> None:
        # Most members lie in a directory that is known.
        if not path or _key(path) in self._directories:
            return
        parts = path.split("/")
        for number, key in enumerate(_keys(parts), 1):
            if key not in self._directories:
                self._add_directory(key, parts[:number])

    def _add_directory(self, key: bytes, parts: Sequence[str]) -> None:
        if key in self._files:
            raise BrokenArchive(f"its member {shown('/'.join(parts))} is both a file and a directory")
        if key in self._directories:
            return
        if excess := bounds.DIRECTORIES.excess(len(self._directories) + 1):
            raise BrokenArchive(excess)
        self._directories.add(key)


def _keys(parts: Sequence[str]) -> Iterator[bytes]:
    """Go through the keys of a path's beginnings, the shortest first; linear in the path, of which each byte is digested once."""
    digest, separator = blake2b(digest_size=_KEY_SIZE), b""
    for part in parts:
        digest.update(separator + part.encode())
        separator = b"/"
        yield digest.copy().digest()


def _key(path: str) -> bytes:
    # Not Python's own hash, of which others with the same value can be made at will.
    return blake2b(path.encode(), digest_size=_KEY_SIZE).digest()
