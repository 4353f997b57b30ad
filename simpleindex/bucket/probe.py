"""Whether a store keeps the promises that writers need, found out at the start in a scratch prefix. Blocking."""

from __future__ import annotations

import io
import secrets
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from simpleindex.bucket.store_errors import ConditionFailed
from simpleindex.core.names import OWN_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.bucket.object_store import ObjectStore

SCRATCH: Final = f"{OWN_PREFIX}-probe"


def broken_promise(store: ObjectStore) -> str | None:
    """Return which promise a store breaks, as the end of "the store ..."; None if it can be written to.

    Raises:
        OSError: The store cannot be reached now.
    """
    key = f"{SCRATCH}/{secrets.token_hex(8)}"
    try:
        return _probe(store, key)
    except PermissionError:
        return "lets these credentials read only"
    finally:
        with suppress(OSError):
            store.delete(key)


def _probe(store: ObjectStore, key: str) -> str | None:
    _create(store, key, b"one")
    if _succeeds(lambda: _create(store, key, b"two")):
        return "lets a second writer replace an object that was to be new (If-None-Match)"
    before, _ = store.state(key)
    store.put_text(key, b"three", before.etag)
    if _succeeds(lambda: store.put_text(key, b"four", before.etag)):
        return "lets a writer replace an object that has changed since it was read (If-Match)"
    if key not in {each.key for each in store.list(key)}:
        return "does not list an object that was just put"
    content, _ = store.read(key)
    if content != b"three":
        return "returns other bytes than were put"
    if _succeeds(lambda: store.create_in_parts(key, io.BytesIO(b"five"))):
        return "lets a file in parts replace one that was to be new (conditional completion)"
    return None


def _create(store: ObjectStore, key: str, data: bytes) -> None:
    store.create(key, io.BytesIO(data), len(data), sha256(data).hexdigest(), {})


def _succeeds(put: Callable[[], None]) -> bool:
    try:
        put()
    except ConditionFailed:
        return False
    return True
