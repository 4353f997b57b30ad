"""Keys under which cached files are kept, and the paths of the cache.

A digest that an index states is verified, never used as an address: a listing could state the digest of a file that another index,
or another project, offers to other readers. So a cached file is stored under the index, project and name that it came from. A digest
is an address only if it was computed here for that very file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol
from urllib.parse import quote

from simpleindex.core.names import METADATA_SUFFIX

_LONGEST_NAME: Final = 200
"""Bytes of a file's name that leave room for the suffixes of what lies beside it; file systems take 255."""


class FileKey(Protocol):
    """The key of a cached file."""

    @property
    def path(self) -> str:
        """The file's path, relative to the root of the cache."""
        ...

    @property
    def owner(self) -> tuple[str, ...]:
        """What the record beside it must name."""
        ...

    @property
    def filename(self) -> str:
        """The file's name at its index."""
        ...

    @property
    def computed_sha256(self) -> str | None:
        """The digest by which it is addressed, computed here; None if it is not addressed by a digest."""
        ...

    def metadata(self, sha256: str) -> FileKey:
        """Return the key of a wheel's metadata, whose digest was computed here."""
        ...


@dataclass(frozen=True, slots=True)
class UpstreamFileKey:
    """The key of a file that an index has in a project.

    Attributes:
        index: What identifies the index: its URL, and the name of its credentials.
        filename: The file's name; that of a wheel's metadata ends in ``.metadata``.
    """

    index: str
    project: str
    filename: str

    @property
    def path(self) -> str:
        """The file's path: in a directory for each index and project, so that a person finds it."""
        parts = _short(self.project), _short(self.filename)
        return "/".join(("given", index_directory(self.index, digits=16), *parts))

    @property
    def owner(self) -> tuple[str, ...]:
        """All of the key: names in paths may be shortened."""
        return self.index, self.project, self.filename

    @property
    def computed_sha256(self) -> None:
        """None."""

    def metadata(self, sha256: str) -> UpstreamFileKey:  # noqa: ARG002
        """Return the key of the metadata of this wheel."""
        return UpstreamFileKey(self.index, self.project, self.filename + METADATA_SUFFIX)


@dataclass(frozen=True, slots=True)
class DigestKey:
    """The key of a file whose record names the digest that was computed here.

    Attributes:
        sha256: Lower-case hex.
    """

    sha256: str
    filename: str = ""

    @property
    def path(self) -> str:
        """The file's path."""
        return f"files/{self.sha256[:2]}/{self.sha256}"

    @property
    def owner(self) -> tuple[str, ...]:
        """The digest."""
        return (self.sha256,)

    @property
    def computed_sha256(self) -> str:
        """The digest."""
        return self.sha256

    def metadata(self, sha256: str) -> DigestKey:
        """Return the key of metadata."""
        return DigestKey(sha256)


@lru_cache(maxsize=256)
def index_directory(index: str, digits: int = 8) -> str:
    """Return a directory's name for an index: readable, and another one for each."""
    digest = hashlib.sha256(index.encode()).hexdigest()[:digits]
    stem = quote(index.split("://", 1)[-1], safe="")[:80].lstrip(".")
    return f"{stem}-{digest}"


def _short(name: str) -> str:
    # No project's and no file's name begins with a point, but for the page of many projects, which is short.
    return name if len(name.encode()) <= _LONGEST_NAME else "." + hashlib.sha256(name.encode()).hexdigest()
