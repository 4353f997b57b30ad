"""Where the files of a release's licences are shown (PEP 639). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpleindex.core.names import Kind, distribution_suffix
from simpleindex.web.people.filters import has_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simpleindex.core.files import File
    from simpleindex.web.release_metadata import ReleaseMetadata


def license_links(metadata: ReleaseMetadata, files: Sequence[File]) -> tuple[tuple[str, str], ...]:
    """Return the licences' paths, each with the rest of the address below ``/-/inside/<project>/`` where it is shown, if it has one.

    Args:
        metadata: What names them.
        files: The distribution that the metadata come from, if there is one.
    """
    if not files:
        return ()
    filename = files[0].filename
    directory = ""
    if files[0].kind is not Kind.WHEEL:
        directory = f"{filename}/{filename.removesuffix(distribution_suffix(filename) or '')}/"
    elif metadata.has_license_directory:
        directory = f"{filename}/{'-'.join(filename.split('-')[:2])}.dist-info/licenses/"
    return tuple(
        (path, _place(directory, path) if directory else filename) for path in metadata.license_files
    )


def _place(directory: str, path: str) -> str:
    # A path that leads out of the distribution would lead elsewhere in a browser.
    return f"{directory}{path}" if has_address(path) else ""
