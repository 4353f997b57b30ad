"""A source that redirects clients to the upstream's files instead of serving them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpleindex.core.source import Elsewhere

if TYPE_CHECKING:
    from simpleindex.core.model import Project, ProjectList
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Located


class RedirectingSource:
    """A source that offers what another one offers, and redirects to its files.

    Args:
        listed: The other source.
    """

    def __init__(self, listed: Located) -> None:
        self._listed = listed

    async def projects(self) -> ProjectList:
        """Return every project of the other source."""
        return await self._listed.projects()

    async def project(self, name: ProjectName) -> Project:
        """Return one project of the other source."""
        return await self._listed.project(name)

    async def file(self, name: ProjectName, filename: str) -> Elsewhere:
        """Return a redirect to a listed file or its metadata."""
        return Elsewhere(await self._listed.location(name, filename))
