"""The facts that reading an archive shows, as values; ``archives/inspect.py`` reads them, which a server rarely imports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simpleindex.core.files import Sidecar


@dataclass(frozen=True, slots=True)
class MemberSpan:
    """Where a member's data lie in the file.

    Attributes:
        offset: Of the data themselves, after the local header; bytes.
        stored_size: As it lies there; bytes.
        method: 0 stored, 8 deflated.
    """

    offset: int
    stored_size: int
    method: int


@dataclass(frozen=True, slots=True)
class ArchiveInfo:
    """The facts that reading an archive showed.

    Attributes:
        version: What its file name says, in PEP 440's normal form; that it can be given again without parsing the name is
            a third of a warm start.
        sha256: Lower-case hex digest of the file.
        requires_python: As :class:`~simpleindex.core.metadata.CoreMetadata` has it.
        sidecar: A wheel's METADATA; None for an sdist (docs/protocol.md, "Metadata beside a wheel").
        place: Where in the wheel those bytes lie; None exactly when ``sidecar`` is.
    """

    version: str
    sha256: str
    requires_python: str | None
    sidecar: Sidecar | None
    place: MemberSpan | None
