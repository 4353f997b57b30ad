"""What a directory has in the cache: the catalogue is opened for a start, and written when much has changed; digests of deleted files go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simpleindex.system.collector import collector_paused
from simpleindex.system.log import logger

if TYPE_CHECKING:
    from simpleindex.directory.live.snapshot_table import SnapshotTable
    from simpleindex.directory.scan.catalogue import Catalogue, CatalogueFile
    from simpleindex.directory.scan.digest_cache import DigestCache

_log = logger(__name__)

_FEW: Final = 100
_PART: Final = 50
_FIRST: Final = 20
"""Projects from which on there is a catalogue: without one each start puts them together from their digests, 0.2 ms each."""


def open_catalogue(file: CatalogueFile, digests: DigestCache) -> Catalogue | None:
    """Open the catalogue of a directory for a start; None if none can be used. Blocking.

    Without digests of the directory's files everything is read again: by them the next start knows an unmounted disk, and what
    has them dropped, a new version's judgement of files, makes the catalogue as old.
    """
    return file.open() if digests.remembers_anything() else None


def keep_cache_up_to_date(
    snapshots: SnapshotTable, digests: DigestCache, file: CatalogueFile, now_ns: int
) -> None:
    """Bring what is cached of a directory into step with it, once all of it was read. Blocking.

    Where next to nothing has changed since the catalogue was written, all stays as it is: for each start to go through all files
    would cost more than that few projects are put together from their digests.
    """
    with collector_paused():
        _keep_up_to_date(snapshots, digests, file, now_ns)


def _keep_up_to_date(
    snapshots: SnapshotTable, digests: DigestCache, file: CatalogueFile, now_ns: int
) -> None:
    number, changed = len(snapshots.at_rest), snapshots.changed_since_catalogue
    if snapshots.has_catalogue:
        # A project that changed counts twice; of a directory of 50 projects no more than a hundred could ever change.
        is_large = changed > min(_FEW, number // 2) + number // _PART
    else:
        is_large = changed >= _FIRST
    if is_large or not snapshots.has_catalogue:
        digests.forget_others(path for _, snapshot in snapshots.items() for path in snapshot.known)
    if not is_large:
        return
    try:
        file.write(snapshots.at_rest_in_order(), now_ns=now_ns)
    except OSError as error:
        _log.warn(
            "The catalogue {path} cannot be written ({reason}); the next start will take longer. Make --cache a directory that "
            "this user can write.",
            path=file.path,
            reason=error.strerror,
        )
