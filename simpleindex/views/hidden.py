"""The local directories of a view, beside others that the view does not show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import NotHere, NotShown
from simpleindex.core.model import ProjectList
from simpleindex.core.source import ForwardingSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Body, Elsewhere, Source

_NOTHING: Final = ProjectList()


class LocalViewSource(ForwardingSource):
    """The shown local directories of a view.

    A project that only a hidden directory has is "not shown", and not "not here": its name may be requested from no upstream.

    Args:
        shown: The directories that are shown.
        hidden: The other directories; they are read for a project that ``shown`` does not have.
    """

    def __init__(self, shown: Source, hidden: Sequence[Source]) -> None:
        super().__init__(shown)
        self._hidden = tuple(hidden)

    async def project(self, name: ProjectName) -> Project:
        """Return a project that is shown.

        Raises:
            NotShown: A hidden directory has it, or takes its name.
            NotHere: No directory has it.
        """
        try:
            return await self._source.project(name)
        except NotShown:
            raise
        except NotHere as unknown:
            for source in self._hidden:
                try:
                    await source.project(name)
                except NotShown:
                    raise
                except NotHere:
                    continue
                raise NotShown(f"project {name}") from None
            raise unknown from None


class EmptySource:
    """A source without projects."""

    async def projects(self) -> ProjectList:
        """Return an empty list."""
        return _NOTHING

    async def project(self, name: ProjectName) -> Project:
        """Raise NotHere."""
        raise NotHere(f"project {name}")

    async def file(self, name: ProjectName, filename: str) -> Body | Elsewhere:
        """Raise NotHere."""
        del name
        raise NotHere(f"file {filename}")
