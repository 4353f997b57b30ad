"""Plain values (numbers, text, bytes, tuples, lists, dicts) as bytes, and back."""

from __future__ import annotations

# Only bytes that this program has written are read back; a checksum proves those that come from the disk.
import marshal
from typing import Any, Final

_VERSION: Final = 2
"""Of marshal's format: later ones write references, by which equal values can have different bytes."""


def serialize(value: Any) -> bytes:
    """Return a value as bytes; equal values give equal bytes."""
    return marshal.dumps(value, _VERSION)


def deserialize(data: bytes) -> Any:
    """Return the value from the bytes that :func:`serialize` made of it.

    Raises:
        ValueError, TypeError, EOFError: It made no such bytes.
    """
    return marshal.loads(data)  # noqa: S302  (see the import)
