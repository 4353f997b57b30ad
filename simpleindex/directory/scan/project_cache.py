"""Whole projects in the digest cache: one whose files are unchanged since the last start is not assembled again.

Nearly all of an index is like that, and to put each project together again from the facts about its files is most of a warm
start. Only the plain case is kept: one directory, every file of it listed, no rules. All else is put together anew.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from simpleindex.core.model import stored_files
from simpleindex.core.serialization import serialize
from simpleindex.core.views import LOCAL
from simpleindex.directory.scan.digest_cache import CachedProject

if TYPE_CHECKING:
    from simpleindex.directory.layout.listings import ProjectListing
    from simpleindex.directory.scan.digest_cache import DigestCache
    from simpleindex.directory.scan.scanned_files import ScannedFiles


def state_of(look: ProjectListing, source: str = LOCAL) -> bytes | None:
    """Return a digest of all stamps in a listing; None if it holds more than files that can be served.

    Args:
        look: What was seen.
        source: What the root is called, which is part of what is kept of it.
    """
    if look.project_file is not None or look.project_file_trouble or not look.entries:
        return None
    rows: list[tuple[object, ...]] = [] if source == LOCAL else [(source,)]
    for entry in (*look.entries, *(look.side_files or {}).values()):
        if entry.trouble or entry.stamp is None:
            return None
        rows.append((entry.path, *entry.stamp))
    return blake2b(serialize(sorted(rows)), digest_size=16).digest()


def keep(digests: DigestCache, directory: str, state: bytes, known: ScannedFiles) -> None:
    """Have this recalled when the project is in this state; none of its files may be withheld, or young."""
    digests.keep_resting(directory, state, CachedProject(known.packed, *stored_files(known.files)))
