"""Changes of small objects that many writers change: the ledger, the project file. Blocking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simpleindex.bucket.store_errors import ConditionFailed, MissingObject
from simpleindex.core.errors import CannotStore
from simpleindex.core.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.bucket.object_store import ObjectStore

_TRIES: Final = 20
"""How often one is read and put again while others change it."""


def change_small_object(store: ObjectStore, key: str, change: Callable[[bytes | None], bytes | None]) -> bool:
    """Put an object in the place of the content that was read, and read it again otherwise; return whether it changed.

    Args:
        store: The store.
        key: Of the object.
        change: Takes the content, or None without an object, and returns the new one; None for no change.

    Raises:
        CannotStore: Others change it all the time.
        OSError: The store cannot be used.
    """
    for _ in range(_TRIES):
        before, etag = _read(store, key)
        after = change(before)
        if after is None or after == before:
            return False
        try:
            store.put_text(key, after, etag)
        except ConditionFailed:
            continue
        return True
    raise CannotStore(f"{key} is being changed by other writers; try again later.", fault=Fault.BUSY)


def _read(store: ObjectStore, key: str) -> tuple[bytes | None, str | None]:
    try:
        return store.read(key)
    except MissingObject:
        return None, None
