"""Small records on the disk, packed with a checksum: one that is cut, damaged or of another format is as good as absent."""

from __future__ import annotations

import hashlib
import os
from io import FileIO
from typing import Any, Final

from simpleindex.core.serialization import deserialize, serialize

_SUM: Final = 16


def pack(parts: tuple[Any, ...]) -> bytes:
    """Return a record of these parts, of which the first names the format."""
    packed = serialize(parts)
    return _sum(packed) + packed


def read_record(path: str) -> tuple[Any, ...] | None:
    """Return the parts of the record in a file; None if it is absent, damaged, or no regular file."""
    try:
        with FileIO(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)) as file:
            data = file.readall()
    except OSError:
        return None
    checksum, packed = data[:_SUM], data[_SUM:]
    if checksum != _sum(packed):
        return None
    try:
        parts = deserialize(packed)
    except (EOFError, ValueError, TypeError):
        return None
    return parts if isinstance(parts, tuple) and parts else None


def _sum(packed: bytes) -> bytes:
    return hashlib.blake2b(packed, digest_size=_SUM).digest()
