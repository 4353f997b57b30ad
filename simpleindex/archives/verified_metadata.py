"""What the examination of an upload finds; apart from it, because the server's process reads the answer and examines nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simpleindex.core.metadata import CoreMetadata


@dataclass(frozen=True, slots=True)
class VerifiedMetadata:
    """The metadata in an upload.

    Attributes:
        metadata: Name, version, Requires-Python.
        metadata_version: Of the format.
    """

    metadata: CoreMetadata
    metadata_version: str
