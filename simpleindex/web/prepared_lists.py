"""Lists of very many projects, rendered piece by piece into files that are sent as downloads are.

In memory a list of 700,000 projects takes 40 MB in each form, in every worker. A file lies once in the system's cache of files.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from simpleindex.core.caches import SizedCache
from simpleindex.system.prepared_files import PreparedFile, shared_file, unnamed_file
from simpleindex.system.single_flight import SingleFlight
from simpleindex.web.http.response import Content
from simpleindex.web.listing_forms import RenderedListing
from simpleindex.web.pages.negotiation import piecewise_compressor

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    from simpleindex.core.model import ProjectList
    from simpleindex.system.threads import Threads
    from simpleindex.web.listing_forms import ListingForm

    Key = tuple[str, Hashable, ListingForm]
    Pieces = Callable[[], Iterable[bytes]]

_KEPT: Final = 16
"""Lists that a process keeps open: one for each form, view and group of readers."""


class PreparedLists:
    """Lists of projects in files, each made once for all clients, and for all workers that have the same names.

    Args:
        threads: Make the files, and read what of them is not in memory.
        directory: Where the files are, each named by its tag; None for temporary files without a name.

    Attributes:
        threads: The same.
        renderings: How many lists were made.
    """

    def __init__(self, threads: Threads, directory: str | None) -> None:
        self.threads = threads
        self._directory = directory
        self._makings = SingleFlight()
        self._kept: SizedCache[Key, tuple[RenderedListing, PreparedFile]]
        self._kept = SizedCache(_KEPT, lambda _: 1, lambda kept: kept[1].close())
        self._generation = 0
        self.renderings = 0
        self._without_file: ProjectList | None = None

    def forget(self) -> None:
        """Make every list again, as the facts that they show have changed."""
        self._kept.clear()
        self._generation += 1

    async def listing(self, key: Key, listed: ProjectList, pieces: Pieces) -> RenderedListing | None:
        """Return a list as it is now; None if no file can be written, which is not tried again for this list.

        Args:
            key: The view, which readers' list it is, and the form.
            listed: The projects.
            pieces: Renders the list, piece by piece; called in a thread, and perhaps twice.
        """
        while listed is not self._without_file:
            kept = self._kept.get(key)
            if kept is not None and kept[0].subject is listed and kept[1].is_unchanged():
                return kept[0]
            await self._makings.run(
                (key, id(listed), self._generation), lambda: self._make(key, listed, pieces)
            )
        return None

    async def _make(self, key: Key, listed: ProjectList, pieces: Pieces) -> None:
        generation = self._generation
        self.renderings += 1
        try:
            tag, file = await self.threads.run(self._written, key[2], pieces)
        except OSError:
            self._without_file = listed
            return
        if generation != self._generation:
            file.close()
            return
        rendered = RenderedListing(listed, b"", f'"{tag}"', lambda: self._content(file))
        self._kept.put(key, (rendered, file))

    def _content(self, file: PreparedFile) -> Content:
        body = file.body(self.threads.run)
        return Content(body, 0, file.length, by_kernel=True)

    def _written(self, form: ListingForm, pieces: Pieces) -> tuple[str, PreparedFile]:
        """Return the list's tag and file, which another worker may have written; blocking.

        Raises:
            OSError: It can be written nowhere.
        """
        tag = form.tag(pieces())
        with suppress(OSError):
            if self._directory is not None:
                return tag, shared_file(self._directory, tag, _encoded(form, pieces))
        return tag, unnamed_file(_encoded(form, pieces))


def _encoded(form: ListingForm, pieces: Pieces) -> Iterator[bytes]:
    compressor = piecewise_compressor(form.encoding)
    if compressor is None:
        yield from pieces()
        return
    for piece in pieces():
        yield compressor.compress(piece)
    yield compressor.flush()
