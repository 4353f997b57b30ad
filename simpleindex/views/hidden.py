"""A view's own directories: what it shows, and what it knows of and does not show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import NotHere, NotShown
from simpleindex.core.model import ProjectList

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Body, Elsewhere, Source

_NOTHING: Final = ProjectList()


class LocalViewSource:
    """A source beside others that are one's own too, and are not shown here.

    A project that only those have is none of a stranger's either, so that it is told apart from one that nobody has.

    Args:
        shown: What is shown.
        hidden: What is not; each is asked for what ``shown`` has not got.
    """

    def __init__(self, shown: Source, hidden: Sequence[Source]) -> None:
        self._shown = shown
        self._hidden = tuple(hidden)

    async def projects(self) -> ProjectList:
        """Those that are shown."""
        return await self._shown.projects()

    async def project(self, name: ProjectName) -> Project:
        """One that is shown.

        Raises:
            NotShown: It is one's own, and another directory has it, or takes its name.
            NotHere: None has it.
        """
        try:
            return await self._shown.project(name)
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

    async def file(self, name: ProjectName, filename: str) -> Body | Elsewhere:
        """A file that is shown."""
        return await self._shown.file(name, filename)


class EmptySource:
    """A directory that has nothing."""

    async def projects(self) -> ProjectList:
        """None."""
        return _NOTHING

    async def project(self, name: ProjectName) -> Project:
        """Not here."""
        raise NotHere(f"project {name}")

    async def file(self, name: ProjectName, filename: str) -> Body | Elsewhere:
        """Not here."""
        del name
        raise NotHere(f"file {filename}")
