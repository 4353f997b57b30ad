"""What a listing states about a file that is to be fetched, and how a received file is compared with it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.upstreams.cache.file_keys import FileKey


@dataclass(frozen=True, slots=True)
class ExpectedFile:
    """A file as its listing states it.

    Attributes:
        key: Its key in the cache.
        url: Where the upstream has it.
        size: Bytes that it must have; None if that is not known.
        sha256: Lower-case hex digest, if it is stated.
        other_hash: Another stated hash: its name and the digest.
        listed_size: Bytes that the listing states, which may be wrong.
    """

    key: FileKey
    url: str
    size: int | None
    sha256: str | None
    other_hash: tuple[str, str] | None = None
    listed_size: int | None = None

    @property
    def filename(self) -> str:
        """Its name."""
        return self.key.filename

    @property
    def is_verifiable(self) -> bool:
        """Whether the listing states a hash by which the file can be verified."""
        return self.sha256 is not None or (self.other_hash is not None and is_known_hash(self.other_hash[0]))

    def difference(self, size: int, sha256: str, hexdigest: Callable[[str], str]) -> str | None:
        """Return how a received file differs from the listing, as a clause; None if it does not.

        Args:
            size: Bytes that were received.
            sha256: Their digest.
            hexdigest: Returns another digest of them, by the name of the hash.
        """
        if self.size is not None and size != self.size and not self.is_verifiable:
            return f"it has {size} bytes, not {self.size}"
        if self.sha256 is not None and sha256 != self.sha256:
            return f"its sha256 is {sha256}, not {self.sha256}"
        if self.sha256 is None and self.other_hash is not None and self.is_verifiable:
            algorithm, stated = self.other_hash
            received = hexdigest(algorithm)
            if received.lower() != stated.lower():
                return f"its {algorithm} is {received}, not {stated}"
        return None


def is_known_hash(algorithm: str) -> bool:
    """Return whether a file can be verified by a hash of this name."""
    return algorithm in hashlib.algorithms_guaranteed and not algorithm.startswith("shake")


def most_bytes(size: int) -> int:
    """Return how many bytes a file may have whose stated size is wrong; more need not be received to be refused."""
    return max(2 * size, size + 1_048_576)


def is_page(beginning: bytes) -> bool:
    """Return whether bytes begin a page of HTML: some servers send one, with status 200, for a file that is missing."""
    return beginning.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"
