"""What the JSON and the HTML of a listing have in common: rows in pieces, and what both say of a file; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import quote

from simpleindex.core.names import PROVENANCE_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from simpleindex.core.files import File
    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName

    Pause = Callable[[], object]

Item = TypeVar("Item")

API_VERSION: Final = "1.4"
"""The newest version of the standard (PEP 792). Never 1.2's keys (PEP 708 was rejected), nor 1.5 without PEP 752."""

PIECE: Final = 1_000
"""Projects of a list, or files of a project, that are rendered in one go; a very large page is rendered in a thread."""


def project_rows(
    names: Sequence[ProjectName], row: Callable[[ProjectName], str], pause: Pause
) -> Iterator[bytes]:
    """Yield the rows of a list of projects in pieces; normalized names need no escaping in JSON or HTML."""
    for piece in pieces(names, pause):
        yield "".join([row(name) for name in piece]).encode()


def is_one_piece(items: Sequence[object]) -> bool:
    """Tell whether the items are so few that they are rendered in one go."""
    return len(items) <= PIECE


def pieces(items: Sequence[Item], pause: Pause) -> Iterator[Sequence[Item]]:
    """Yield the items in pieces, between which other threads run."""
    for start in range(0, len(items), PIECE):
        if start:
            pause()
        yield items[start : start + PIECE]


def provenance_url(project: Project, file: File, base_url: str | None) -> str | None:
    """Return where the file's provenance is, or None if there is none or no secure URL for it (PEP 740)."""
    if file.provenance_url is not None:
        return file.provenance_url
    if not file.provenance or base_url is None or not base_url.startswith("https://"):
        return None
    # With the prefix, under which alone projects called "simple" or "legacy" can be reached.
    return f"{base_url}simple/{project.name}/{quote(file.filename, safe='')}{PROVENANCE_SUFFIX}"


def is_signed(file: File) -> bool:
    """Tell whether a file has the protocol's signature, the .asc beside it (PEP 503); a .sig is only relayed."""
    return ".asc" in file.signatures


def file_url(file: File) -> str:
    """Return the bare name of a file, which lies beside the page, or where an upstream has it."""
    return file.url or quote(file.filename, safe="")


def file_digest(file: File) -> tuple[str, str] | None:
    """Return the algorithm and the digest that pages show of a file, or None if none is known."""
    return file.other_hash if file.sha256 is None else ("sha256", file.sha256)
