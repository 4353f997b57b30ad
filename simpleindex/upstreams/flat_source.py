"""A source over a flat page, which has the files of many projects, as for pip's ``--find-links``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import NotHere
from simpleindex.core.model import Project, ProjectList
from simpleindex.core.names import listed_file
from simpleindex.upstreams.pages.flat import FLAT_PAGE_NAME, split

if TYPE_CHECKING:
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Body, Elsewhere, Located
    from simpleindex.system.threads import Threads

_WORTH_A_THREAD: Final = 1_000
"""Files; a larger page takes more than a few milliseconds to split."""


class FlatPageUpstream:
    """Offers the projects of a flat page.

    Args:
        source: Offers the page as its project :data:`~simpleindex.upstreams.pages.flat.FLAT_PAGE_NAME`, and its files as that project's.
        threads: For work that takes long.
    """

    def __init__(self, source: Located, threads: Threads) -> None:
        self._source = source
        self._threads = threads
        self._page: Project | None = None
        self._parts: dict[ProjectName, Project] = {}
        self._list = ProjectList()

    async def projects(self) -> ProjectList:
        """Return the projects with a file on the page."""
        await self._take(await self._source.project(FLAT_PAGE_NAME))
        return self._list

    async def project(self, name: ProjectName) -> Project:
        """Return one of them."""
        await self._take(await self._source.project(FLAT_PAGE_NAME))
        return self._part(name)

    async def file(self, name: ProjectName, filename: str) -> Body | Elsewhere:
        """Open a file of one of them, or its metadata."""
        await self._require(name, filename)
        return await self._source.file(FLAT_PAGE_NAME, filename)

    async def location(self, name: ProjectName, filename: str) -> str:
        """Return the upstream's URL of such a file."""
        await self._require(name, filename)
        return await self._source.location(FLAT_PAGE_NAME, filename)

    async def _require(self, name: ProjectName, filename: str) -> None:
        distribution = listed_file(filename)
        if (await self.project(name)).file(distribution) is None:
            raise NotHere(f"file {filename}")

    def _part(self, name: ProjectName) -> Project:
        if name not in self._parts:
            raise NotHere(f"project {name}")
        return self._parts[name]

    async def _take(self, page: Project) -> None:
        if page is self._page:
            return
        if len(page.files) > _WORTH_A_THREAD:
            parts = await self._threads.run(split, page, self._parts)
        else:
            parts = split(page, self._parts)
        # Also if a newer page was taken meanwhile: each request gets what the source answered.
        self._page, self._parts = page, parts
        names = tuple(parts)
        if (names, page.stale) != (self._list.names, self._list.stale):
            self._list = ProjectList(names, stale=page.stale)
