"""An upstream whose files are not given from here: whoever wants one is sent to where the upstream has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpleindex.core.source import Elsewhere

if TYPE_CHECKING:
    from simpleindex.core.model import Project, ProjectList
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Located


class RedirectingSource:
    """A source that lists what another one lists, and gives no bytes.

    Args:
        listed: What is offered, and where each file of it is.
    """

    def __init__(self, listed: Located) -> None:
        self._listed = listed

    async def projects(self) -> ProjectList:
        """Every project of the other."""
        return await self._listed.projects()

    async def project(self, name: ProjectName) -> Project:
        """One project of the other."""
        return await self._listed.project(name)

    def projects_now(self) -> ProjectList | None:
        """As :meth:`projects`, if it can be told at once."""
        return self._listed.projects_now()

    def project_now(self, name: ProjectName) -> Project | None:
        """As :meth:`project`, if it can be told at once."""
        return self._listed.project_now(name)

    async def file(self, name: ProjectName, filename: str) -> Elsewhere:
        """Where a file is that is listed, or its sidecar."""
        return Elsewhere(await self._listed.location(name, filename))
