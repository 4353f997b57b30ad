"""The metadata of sdists, which lie inside them: an examining process reads them."""

from __future__ import annotations

import time
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Final

from simpleindex.archives.errors import BrokenArchive
from simpleindex.archives.examination.protocol import member_texts, value_of
from simpleindex.core.errors import InvalidFilename
from simpleindex.core.metadata import sdist_metadata_paths

if TYPE_CHECKING:
    from typing import IO

    from simpleindex.archives.examination.protocol import Examiner
    from simpleindex.core.source import Body
    from simpleindex.system.threads import Threads

LARGEST: Final = 16 * 1024 * 1024
"""Bytes of an sdist; of a larger one only the name is indexed. PKG-INFO can lie anywhere in it."""

_CHUNK: Final = 1024 * 1024


class SdistMetadata:
    """Reads the PKG-INFO of sdists.

    Attributes:
        seconds: The time that examinations have taken so far.
    """

    def __init__(self, examiner: Examiner, threads: Threads) -> None:
        self._examiner = examiner
        self._threads = threads
        self.seconds = 0.0

    async def read(self, body: Body, filename: str) -> bytes | None:
        """Return the metadata of an sdist; None if it has none that can be read."""
        if body.size is None or body.size > LARGEST:
            return None
        with TemporaryFile() as file:
            for offset in range(0, body.size, _CHUNK):
                file.write(await body.read(offset, min(_CHUNK, body.size - offset)))
            file.flush()
            return await self._threads.run(self.read_file, file, body.size, filename)

    def read_file(self, file: IO[bytes], size: int, filename: str) -> bytes | None:
        """Return the metadata of an sdist in an open file; None if it has none that can be read. Blocking."""
        if size > LARGEST:
            return None
        started = time.monotonic()
        paths = sdist_metadata_paths(filename)
        try:
            (outcome,) = self._examiner.examine([member_texts(file.fileno(), size, filename, paths)])
            texts = value_of(outcome)
        except (BrokenArchive, InvalidFilename, OSError):
            return None
        finally:
            self.seconds += time.monotonic() - started
        return next((each.text.encode() for each in texts.values() if each is not None), None)
