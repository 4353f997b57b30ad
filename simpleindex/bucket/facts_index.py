"""Facts about all objects in a few objects of the bucket itself, so that a fresh node without PostgreSQL requests none of them. Blocking.

They are a cache for nodes: a row counts only for an object that has the state which the row names, and what is missing or
damaged is read from the objects themselves.
"""

from __future__ import annotations

import json
import threading
import zlib
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from simpleindex.bucket.small_objects import change_small_object
from simpleindex.bucket.store_errors import ConditionFailed
from simpleindex.core.errors import CannotStore
from simpleindex.core.names import OWN_PREFIX
from simpleindex.core.text import plural
from simpleindex.system.log import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from simpleindex.bucket.package_bucket import PackageBucket

    Row = tuple[str, str, str]

DIRECTORY: Final = f"{OWN_PREFIX}-facts"

_PARTS: Final = 16
"""Objects of the index; all files of a project are in one of them."""

_LEAST_NEW: Final = 100
"""Rows for which the index is not written again: to find them out takes a node less than a tenth of a second."""

_NEW_SHARE: Final = 10
"""While a node runs, the index is written again when one part in so many is new."""

_MOST_BYTES: Final = 16 * 1024 * 1024
"""Of a part: some 100,000 rows, so that an index may have more than a million."""

_LEVEL: Final = 1
"""Of compression: digests, which most of a row is, do not become shorter by a higher one."""

_log: Final = logger(__name__)


class FactsIndex:
    """Facts about objects, by path; usable from any thread.

    Args:
        bucket: The bucket.
        may_write: Whether the bucket takes changes of this node.
    """

    def __init__(self, bucket: PackageBucket, may_write: Callable[[], bool]) -> None:
        self._bucket = bucket
        self._may_write = may_write
        self._lock = threading.Lock()
        self._new: dict[str, Row] = {}
        self._due = _LEAST_NEW
        self._is_complete = False

    def all(self) -> Mapping[str, tuple[str, str]]:
        """Return the state and the facts of every object that the index has."""
        every: dict[str, tuple[str, str]] = {}
        for file in self._bucket.tree.directories.get(DIRECTORY, {}).values():
            if file.size > _MOST_BYTES:
                continue
            try:
                content, _ = self._bucket.store.read(file.key, file.etag)
            except (OSError, ConditionFailed):
                # Another node has just written it: what is missing is read from the objects.
                continue
            every.update((path, (state, facts)) for path, state, facts in _rows_in(content))
        return every

    def of(self, paths: Iterable[str]) -> Mapping[str, tuple[str, str]]:  # noqa: ARG002
        """Return nothing: the facts about single objects are read from their metadata."""
        return {}

    def remember(self, rows: Iterable[Row]) -> None:
        """Take over path, state and facts of objects, which are written when they are many."""
        with self._lock:
            self._new.update((row[0], row) for row in rows)
            is_due = len(self._new) >= self._due
        if is_due and self._is_complete:
            self.save()

    def forget(self, paths: Iterable[str]) -> None:
        """Do nothing: objects that are gone are left out when the index is written."""

    def save(self) -> None:
        """Write what is new, if it is more than a few rows; what cannot be written is found out again by others."""
        self._is_complete = True
        files = sum(map(len, self._bucket.tree.directories.values()))
        with self._lock:
            if len(self._new) < _LEAST_NEW:
                return
            new, self._new = self._new, {}
            self._due = max(_LEAST_NEW, files // _NEW_SHARE)
        if not self._may_write():
            return
        parts: dict[int, list[Row]] = {}
        for row in new.values():
            parts.setdefault(_part_of(row[0]), []).append(row)
        try:
            for part, rows in parts.items():
                change_small_object(
                    self._bucket.store, f"{DIRECTORY}/{part:x}", partial(self._with_rows, rows)
                )
        except (OSError, CannotStore) as error:
            _log.info(
                "Facts of {objects} cannot be written into {bucket} for other nodes: {cause}.",
                objects=plural(len(new), "object"),
                bucket=self._bucket.root,
                cause=getattr(error, "strerror", None) or error,
            )

    def close(self) -> None:
        """Do nothing: what is new is found out again."""

    def _with_rows(self, new: Iterable[Row], before: bytes | None) -> bytes | None:
        """Return a part of the index with new rows, and without those of objects that are gone; None if it would be too large."""
        rows = {row[0]: row for row in (*_rows_in(before or b""), *new)}
        tree = self._bucket.tree
        present = [row for path, row in sorted(rows.items()) if tree.file(path) is not None]
        content = zlib.compress(json.dumps(present, separators=(",", ":")).encode(), _LEVEL)
        return content if len(content) <= _MOST_BYTES else None


def _rows_in(content: bytes) -> list[Row]:
    """Return the rows of a part; none of one that is damaged, or expands beyond all measure."""
    try:
        decompressor = zlib.decompressobj()
        text = decompressor.decompress(content, 8 * _MOST_BYTES)
        if not decompressor.eof:
            return []
        return [(str(path), str(state), str(facts)) for path, state, facts in json.loads(text)]
    except (zlib.error, ValueError, TypeError, RecursionError):
        return []


def _part_of(path: str) -> int:
    """Return the number of the part that has the files of a directory."""
    return (
        blake2b(path.rpartition("/")[0].encode("utf-8", "surrogateescape"), digest_size=1).digest()[0]
        % _PARTS
    )
