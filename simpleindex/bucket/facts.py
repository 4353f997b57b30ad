"""What the examination of a distribution found, as metadata of its object, so that no other node need read it again."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from simpleindex.archives.examination.protocol import BadAnswer, archive_info

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.archives.archive_info import ArchiveInfo

SHA256: Final = "sha256"
"""The key of an object's digest."""

FACTS: Final = "simpleindex-facts"
"""The key of the facts."""

PUBLISHED: Final = "simpleindex-published"
"""The key of the mark of an object that a node published: other nodes do not take it for a change by hand."""

_MOST_BYTES: Final = 1500
"""Stores allow 2 KB of metadata for an object (Amazon S3 user guide, "User-defined object metadata")."""


def object_metadata(info: ArchiveInfo) -> Mapping[str, str]:
    """Return the metadata of a distribution's object."""
    facts = facts_text(info)
    return {SHA256: info.sha256, **({FACTS: facts} if len(facts) <= _MOST_BYTES else {})}


def publication_mark(location: str, key: str) -> Mapping[str, str]:
    """Return the metadata by which other nodes see who published an object.

    It is about the place, because copies of an object by other programs keep its metadata.

    Args:
        location: The bucket with its prefix.
        key: Below the prefix.
    """
    return {PUBLISHED: sha256(f"{location}/{key}".encode()).hexdigest()}


def is_published_by_node(metadata: Mapping[str, str], location: str, key: str) -> bool:
    """Return whether a node published an object; arguments as for :func:`publication_mark`."""
    return publication_mark(location, key).items() <= metadata.items()


def facts_text(info: ArchiveInfo) -> str:
    """Return the facts as text, from which :func:`facts_in` reads them."""
    sidecar, place = info.sidecar, info.place
    row = [
        info.version,
        info.sha256,
        info.requires_python,
        None if sidecar is None else [sidecar.sha256, sidecar.size],
        None if place is None else [place.offset, place.stored_size, place.method],
    ]
    return json.dumps(row)


def facts_in(metadata: Mapping[str, str]) -> ArchiveInfo | None:
    """Return the facts in an object's metadata; None if there are none, or if they are not of this program."""
    try:
        return archive_info(json.loads(metadata[FACTS]))
    except (KeyError, ValueError, RecursionError, BadAnswer):
        return None
