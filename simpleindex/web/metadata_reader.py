"""Read the core metadata of a release from the first of its files that has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simpleindex.core.metadata import sdist_metadata_paths
from simpleindex.core.names import Kind
from simpleindex.core.source import Elsewhere

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simpleindex.archives.distribution_reader import DistributionReader
    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Source

_LARGEST: Final = 4 * 1024 * 1024
"""Bytes of metadata that are read for a page; those of the public index's projects have some hundred KiB at most. Of larger ones
the end of the description is missing, of which less is shown."""


def in_order_of_metadata(files: Iterable[File]) -> list[File]:
    """Return files in the order in which their metadata are tried: those with a sidecar first, then wheels."""
    return sorted(files, key=lambda file: (file.metadata is None, file.kind is not Kind.WHEEL, file.filename))


@dataclass(frozen=True)
class MetadataReader:
    """Reads the metadata of files."""

    reader: DistributionReader

    async def read(self, source: Source, name: ProjectName, file: File) -> bytes | None:
        """Return METADATA from beside a wheel, or PKG-INFO from within an sdist; None if neither is there.

        Args:
            source: The part of the index that the reader may read.
            name: The project.
            file: One of its files.

        Raises:
            BrokenArchive: The sdist cannot be read.
            SimpleIndexError: The file is not here, or not now, or the reader may not read it.
        """
        if file.metadata is not None:
            body = await source.file(name, f"{file.filename}.metadata")
            if isinstance(body, Elsewhere):
                return None
            try:
                return None if body.size is None else await body.read(0, min(body.size, _LARGEST))
            finally:
                body.close()
        if file.kind is Kind.WHEEL:
            return None
        texts = await self.reader.texts(source, name, file, sdist_metadata_paths(file.filename))
        found = next((each for each in texts.values() if each is not None), None)
        return None if found is None else found.text.encode()
