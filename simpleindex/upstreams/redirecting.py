"""A source that redirects clients to the upstream's files instead of serving them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpleindex.core.source import Elsewhere, ForwardingSource

if TYPE_CHECKING:
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Located


class RedirectingSource(ForwardingSource):
    """A source that offers what another one offers, and redirects to its files."""

    def __init__(self, listed: Located) -> None:
        super().__init__(listed)
        self._listed = listed

    async def file(self, name: ProjectName, filename: str) -> Elsewhere:
        """Return a redirect to a listed file or its metadata."""
        return Elsewhere(await self._listed.location(name, filename))
