"""What a start does with the state directory: it is locked against other servers and restores, records are checked, broken uploads removed."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import CannotStore
from simpleindex.records.state_lock import StateLock
from simpleindex.system.errors import trouble_of
from simpleindex.system.log import log_each, logger

if TYPE_CHECKING:
    from simpleindex.config.settings import Settings
    from simpleindex.service.composition.index import ComposedIndex

_log: Final = logger(__name__)


def state_lock(settings: Settings) -> StateLock:
    """Return the lock of a server; nodes agree in their database which of them requests certificates."""
    state = str(settings.state)
    if settings.acme is None or settings.records is not None:
        return StateLock(state)
    from simpleindex.tls.certificate_files import ACME_DIRECTORY  # noqa: PLC0415  (only with --acme)

    return StateLock(state, str(settings.certs / ACME_DIRECTORY))


def look_for_others(settings: Settings) -> None:
    """Refuse to start beside such a server before keys and certificates are made, which would lie among its own.

    Raises:
        RefusedStart: There is one.
    """
    with suppress(OSError):
        state_lock(settings).look()


def claim_state(lock: StateLock) -> None:
    """Refuse to start beside another server that uses the state directory, or requests certificates into the same one.

    Raises:
        RefusedStart: There is one.
    """
    # On some network file systems nothing can be locked.
    with suppress(OSError):
        lock.claim()


def begin_state(index: ComposedIndex, settings: Settings, lock: StateLock) -> None:
    """Keep backups from being restored into the state directory meanwhile, and check the records there.

    Raises:
        RefusedStart: A backup is being restored there, or the records were lost.
    """
    # A server that only reads may not write there; it loses nothing but this protection.
    with suppress(OSError):
        lock.share()
    if settings.records is not None:
        from simpleindex.records.start_check import begin_shared_records  # noqa: PLC0415  (reading needs none)

        # Also without logins: other nodes announce changes of a bucket, and new certificates.
        begin_shared_records(index.runtime.records)
        return
    if not settings.has_logins and settings.sources is None:
        return
    from simpleindex.records.start_check import initialize_records  # noqa: PLC0415  (the same)

    state = str(settings.state)
    try:
        initialize_records(state, anew=settings.new_records)
    except (OSError, sqlite3.Error) as error:
        # Requests that need them are answered with 503 until they can be opened.
        _log.error("{trouble}", trouble=trouble_of(error, state).for_operator())


def recover_uploads(index: ComposedIndex) -> None:
    """Clean up after uploads that an earlier process did not finish."""
    assert index.http.recover is not None  # made where there are logins
    try:
        log_each(_log, index.http.recover())
    except CannotStore as error:
        _log.error("Nothing can be uploaded: {error}", error=error)
