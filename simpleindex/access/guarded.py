"""A source as one reader may see it, without the projects that the reader may not read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from cachetools import LRUCache

from simpleindex.access.errors import Unauthenticated
from simpleindex.access.identity import ANYONE, Action
from simpleindex.core.errors import NotAllowed, NotHere, SimpleIndexError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from simpleindex.access.identity import Identity
    from simpleindex.access.rights import Access
    from simpleindex.core.model import Project, ProjectList
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Body, Elsewhere, Source

_MOST_LISTS: Final = 64
"""Lists of projects kept: one for each group of readers who see the same."""


_NOBODY: Final[Mapping[ProjectName, str]] = {}
"""One object, so that lists are the same as long as nothing changes also where no rule speaks of owners."""


class GuardedSource:
    """A source as one reader sees it.

    What may not be read is refused only where it exists, so that "not here" stays true for every other name; that names
    can be guessed in this way is the price of pip's behaviour: it sends a password only after a 401 (docs/protocol.md).

    Args:
        source: The whole source.
        reader: The reader.
        access: Returns the current access rules.
        owner: Returns the owner of a project, or None.
        lists: The lists of readers with the same rights.
    """

    def __init__(
        self,
        source: Source,
        reader: Identity,
        access: Callable[[], Access],
        owner: Callable[[ProjectName], str | None],
        lists: VisibleLists,
    ) -> None:
        self._source = source
        self._reader = reader
        self._access = access
        self._owner = owner
        self._lists = lists

    async def projects(self) -> ProjectList:
        """Return the projects that the reader may read."""
        self._enter()
        return self._lists.seen(await self._source.projects(), self._reader, self._access())

    async def project(self, name: ProjectName) -> Project:
        """Return a project, if the reader may read it."""
        self._enter()
        why = self._hindrance(name)
        if why is None:
            return await self._source.project(name)
        raise await self._refusal(name, why)

    async def file(self, name: ProjectName, filename: str) -> Body | Elsewhere:
        """Open a file, if the reader may read its project."""
        self._enter()
        why = self._hindrance(name)
        if why is None:
            return await self._source.file(name, filename)
        raise await self._refusal(name, why)

    def _enter(self) -> None:
        if self._access().private and not self._reader.authenticated:
            raise Unauthenticated("This index is private: log in to read it.")

    def _hindrance(self, name: ProjectName) -> str | None:
        access = self._access()
        if access.is_public(name):
            return None
        decision = access.decide(self._reader, Action.READ, name, self._owner(name))
        return None if decision.allowed else decision.why

    async def _refusal(self, name: ProjectName, why: str) -> SimpleIndexError:
        try:
            await self._source.project(name)
        except NotHere as unknown:
            return unknown
        except SimpleIndexError:
            # The reason is not for a client that may not read the project.
            pass
        return NotAllowed(why) if self._reader.authenticated else Unauthenticated(why)


class VisibleLists:
    """The lists of projects that groups of readers see, each made once for each state of the index.

    Args:
        owners: Returns all owners by project; a new object after every change.
    """

    def __init__(self, owners: Callable[[], Mapping[ProjectName, str]]) -> None:
        self._owners = owners
        self._kept: LRUCache[Hashable, tuple[ProjectList, Access, Mapping[ProjectName, str], ProjectList]]
        self._kept = LRUCache(_MOST_LISTS)
        self._was_restricted = False
        self._without_serials: tuple[ProjectList, ProjectList] | None = None

    def seen(self, listed: ProjectList, reader: Identity, access: Access) -> ProjectList:
        """Return the part of a list that a reader sees; the same object as long as nothing changes, so that pages stay valid."""
        if access.everything_public:
            return self._for_everybody(listed)
        self._was_restricted = True
        group = access.reader_class(reader)
        owners = self._owners() if access.uses_owners else _NOBODY
        kept = self._kept.get(group)
        if kept is not None and kept[0] is listed and kept[1] is access and kept[2] is owners:
            return kept[3]
        names = access.readable(reader, listed.names, owners)
        # The list of anonymous readers belongs to no view; no project has a tuple as its name.
        view = None if group == access.reader_class(ANYONE) else ("readers", group)
        # A project that becomes readable has not changed, so a mirror would miss it by its serial.
        seen = replace(listed, names=names, view=view, serials=None)
        self._kept[group] = (listed, access, owners, seen)
        return seen

    def _for_everybody(self, listed: ProjectList) -> ProjectList:
        """Return a list without serials where some projects may have been hidden before; a restart raises all serials."""
        if not self._was_restricted or listed.serials is None:
            return listed
        if self._without_serials is None or self._without_serials[0] is not listed:
            self._without_serials = listed, replace(listed, serials=None)
        return self._without_serials[1]
