"""A distribution file as it is listed, and the order of a project's files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from packaging.version import Version

if TYPE_CHECKING:
    from simpleindex.core.names import Kind


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A core-metadata sidecar (PEP 658): the wheel's METADATA, byte for byte.

    Attributes:
        sha256: Lower-case hex digest of those bytes.
        size: Their number; 0 for an upstream's, which states none.
    """

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class File:
    """One distribution file as it is listed.

    Attributes:
        filename: The bare name, which is also the last segment of its URL.
        version: Its release, in PEP 440's normal form.
        kind: Wheel or sdist.
        size: Bytes; None where an upstream does state it and it was not fetched yet.
        sha256: Lower-case hex digest of the file; None as for the size. It is never guessed.
        uploaded_ns: Upload time, nanoseconds since 1970 UTC (for a local file its modification time); None if unknown.
        requires_python: The metadata's Requires-Python if it parses as a specifier set, else None (docs/protocol.md).
        metadata: The sidecar, if one can be served.
        yanked: None when not yanked, else the reason, which may be empty (PEP 592).
        signatures: Suffixes of the signature files that lie beside it, of :data:`names.SIGNATURE_SUFFIXES`.
        provenance: Whether a provenance file lies beside it (PEP 740).
        other_hash: Another hash that an upstream states, by its name, where it does not state sha256.
        provenance_url: Where an upstream has its provenance, absolute; it is passed on as it is (docs/protocol.md).
        url: Where clients get it, absolute, if not from us.
        dated_by: Where the upload time comes from if no source states it: :data:`LAST_MODIFIED` or :data:`FIRST_SEEN`.
        source: The name of the source that has it.
    """

    filename: str
    version: str
    kind: Kind
    size: int | None
    sha256: str | None
    uploaded_ns: int | None
    requires_python: str | None = None
    metadata: Sidecar | None = None
    yanked: str | None = None
    signatures: tuple[str, ...] = ()
    provenance: bool = False
    other_hash: tuple[str, str] | None = None
    provenance_url: str | None = None
    url: str | None = None
    dated_by: str | None = None
    source: str = "local"


class StoredFiles(NamedTuple):
    """Files as plain values, for a record on disk.

    Attributes:
        data: All of them; equal files have equal data.
        number: How many.
        size: The sum of their sizes, bytes.
    """

    data: bytes
    number: int
    size: int


LAST_MODIFIED: Final = "last-modified"
"""The upload time is the Last-Modified of the server that has the file."""

FIRST_SEEN: Final = "first-seen"
"""The upload time is when the file was first seen here."""


def file_order(file: File) -> tuple[Version, str]:
    """Return the sort key of a project's files: version, then name; total, so that pages do not depend on the order of input."""
    return Version(file.version), file.filename
