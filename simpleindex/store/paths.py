"""The paths of one archive, as whoever unpacks it will see them: each once, none leading out."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final

from simpleindex.core.errors import BrokenArchive
from simpleindex.core.metadata import shown

MAXIMUM_MEMBERS: Final = 100_000
"""The largest packages known have some 40,000 files; each costs about 200 bytes of memory while it is judged."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE: Final = re.compile(r"[A-Za-z]:")


def plain_path(raw: bytes) -> str:
    """Return a member's path without what does not matter in it: ``./``, doubled and trailing slashes.

    Raises:
        BrokenArchive: Unpacked, it would lie outside, or differently on different systems.
    """
    try:
        path = raw.decode()
    except UnicodeDecodeError:
        raise BrokenArchive(f"the name of its member {shown_path(raw)} is not UTF-8") from None
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if path.startswith("/") or _DRIVE.match(path) or ".." in parts or not parts:
        raise BrokenArchive(f"its member {shown(path)} leads out of the archive")
    if "\\" in path or _CONTROL.search(path):
        raise BrokenArchive(f"its member {shown(path)} has a backslash or a control character in its name")
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
            self._add_directory(key, path)
            return
        if key in self._files:
            raise BrokenArchive(f"its member {shown(path)} is there twice")
        if key in self._directories:
            raise BrokenArchive(f"its member {shown(path)} is both a file and a directory")
        if len(self._files) >= MAXIMUM_MEMBERS:
            raise BrokenArchive(f"it has more than {MAXIMUM_MEMBERS} members")
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

    def _add_directories(self, path: str) -> None:
        while path:
            key = _key(path)
            if key in self._directories:
                return
            self._add_directory(key, path)
            path = path.rpartition("/")[0]

    def _add_directory(self, key: bytes, path: str) -> None:
        if key in self._files:
            raise BrokenArchive(f"its member {shown(path)} is both a file and a directory")
        if len(self._directories) >= MAXIMUM_MEMBERS:
            raise BrokenArchive(f"it has more than {MAXIMUM_MEMBERS} directories")
        self._directories.add(key)


def _key(path: str) -> bytes:
    # Not Python's own hash, of which others with the same value can be made at will.
    return blake2b(path.encode(), digest_size=16).digest()
