"""Admission of readers and writers: who they are, what they may do, and which answers are the same for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from simpleindex.access.errors import Unauthenticated
from simpleindex.access.guarded import GuardedSource, VisibleLists
from simpleindex.access.identity import ANYONE, Action, Identity
from simpleindex.access.rights import Access, default_access
from simpleindex.core.errors import NotAllowed
from simpleindex.core.views import MAIN_VIEW
from simpleindex.web.routing.routes import FileRoute, ProjectRoute, PypiJsonRoute, ReleaseRoute, RootRoute

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from simpleindex.access.rights import Decision
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Source
    from simpleindex.web.http.response import RequestInfo
    from simpleindex.web.routing.routes import Route


_NOBODY: Final = ":"
"""Owns what was put into the directory by hand; no user's name has a colon."""


class Owners(Protocol):
    """The owners of projects: who published each of them first."""

    def owner(self, name: ProjectName, *, is_settled: bool = False) -> str | None:
        """Return the owner of one project, or None; with ``is_settled`` only one who has published a file of it."""
        ...

    def owners(self) -> Mapping[ProjectName, str]:
        """Return all of them; the same object as long as nothing changed."""
        ...


class Identification(Protocol):
    """Identifies clients."""

    async def identify(self, authorization: str | None, address: str, secure: bool) -> Identity:
        """Return the identity behind the credentials of a request.

        Raises:
            Unauthenticated: They are wrong.
            TooManyFailures: Too many have been wrong.
            InsecureCredentials: Anybody could read them on their way.
        """
        ...


class Admission:
    """Lets readers and writers in.

    Args:
        views: The whole source of each view.
        access: Returns the rights now.
        identification: Judges credentials; None where nobody can log in; credentials are ignored then.
        owners: Returns who published a project first.

    Attributes:
        public: The source of each view as an anonymous reader sees it.
    """

    def __init__(
        self,
        views: Mapping[str, Source],
        access: Callable[[], Access],
        identification: Identification | None,
        owners: Owners,
    ) -> None:
        self._views = views
        self._access = access
        self._identification = identification
        self._owners = owners
        self._lists = {view: VisibleLists(owners.owners) for view in views}
        self.public: Mapping[str, Source] = {view: self.reading(ANYONE, view) for view in views}

    @property
    def access(self) -> Access:
        """The rights now."""
        return self._access()

    @property
    def can_log_in(self) -> bool:
        """Whether anybody can log in."""
        return self._identification is not None

    async def identify(self, request: RequestInfo) -> Identity:
        """Return who sent a request.

        Raises:
            Unauthenticated: The credentials are wrong.
            TooManyFailures: Too many have been wrong.
            InsecureCredentials: Anybody could read them on their way.
        """
        if self._identification is None:
            return ANYONE
        identity = await self._identification.identify(
            request.header("authorization"), request.address, request.is_secure
        )
        if request.record is not None:
            request.record.identity = identity
        return identity

    async def enter(self, request: RequestInfo) -> Identity:
        """Return who sent a request; refuse anonymous clients of a private index.

        Raises:
            SimpleIndexError: As :meth:`identify` and :meth:`refuse_entry`.
        """
        reader = await self.identify(request)
        self.refuse_entry(reader)
        return reader

    def reading(self, reader: Identity, view: str = MAIN_VIEW) -> Source:
        """Return the source of a view as a reader sees it."""
        source = self._views[view]
        if self._identification is None:
            return source
        return GuardedSource(source, reader, self._access, self._owners.owner, self._lists[view])

    def readable(self, reader: Identity, names: Sequence[ProjectName]) -> Sequence[ProjectName]:
        """Return those of some projects that a reader may read, wherever they lie."""
        if self._identification is None:
            return names
        access = self._access()
        return access.readable(reader, names, self._owners.owners() if access.uses_owners else {})

    def refuse_entry(self, reader: Identity) -> None:
        """Refuse anonymous clients of a private index.

        Raises:
            Unauthenticated: The index is private, and the client did not log in.
        """
        if self.access.private and not reader.authenticated:
            raise Unauthenticated("This index is private: log in to read it.")

    def is_shared(self, target: Route | None, reader: Identity) -> bool:
        """Return whether an answer is the same for everybody, so that any cache may keep it.

        Args:
            target: The meaning of the request's target; None if no page can have that URL.
            reader: The identity of the client.
        """
        access = self.access
        if access.everything_public:
            return True
        match target:
            case RootRoute():
                return not access.private and not reader.authenticated
            case ProjectRoute(name) | ReleaseRoute(name) | FileRoute(name) | PypiJsonRoute(name):
                return access.is_public(name)
        return not access.private

    def decide(
        self, identity: Identity, action: Action, name: ProjectName, *, exists: bool = False
    ) -> Decision:
        """Decide whether an identity may do something.

        Args:
            identity: The user or token.
            action: The action.
            name: The project.
            exists: Whether the project exists for sure: then nobody becomes its owner by being the first to upload.
        """
        # An upload that was killed before it stored its file keeps nobody else from the name.
        owner = self._owners.owner(name, is_settled=action is Action.UPLOAD and not exists)
        return self._decide_by_owner(identity, action, name, owner, exists=exists)

    def _decide_by_owner(
        self, identity: Identity, action: Action, name: ProjectName, owner: str | None, *, exists: bool
    ) -> Decision:
        return self.access.decide(identity, action, name, _NOBODY if owner is None and exists else owner)

    def require(self, identity: Identity, action: Action, name: ProjectName, *, exists: bool = False) -> None:
        """Refuse an identity that may not do something; the arguments are those of :meth:`decide`.

        Raises:
            Unauthenticated: It is the identity of an anonymous client.
            NotAllowed: The rights do not allow it.
        """
        _require(self.decide(identity, action, name, exists=exists), identity)

    def require_upload(
        self, identity: Identity, name: ProjectName, owner: str | None, *, exists: bool
    ) -> None:
        """Refuse an identity that may not upload to a project of this owner; raises what :meth:`require` does."""
        _require(self._decide_by_owner(identity, Action.UPLOAD, name, owner, exists=exists), identity)


def _require(decision: Decision, identity: Identity) -> None:
    if not decision.allowed:
        raise NotAllowed(decision.why) if identity.authenticated else Unauthenticated(decision.why)


def open_admission(views: Mapping[str, Source]) -> Admission:
    """Return the admission of an index without logins: everybody reads everything."""
    return Admission(views, lambda: _OPEN, None, NoOwners())


_OPEN: Final = default_access()


class NoOwners:
    """Nobody owns anything."""

    def owner(self, name: ProjectName, *, is_settled: bool = False) -> str | None:
        """Nobody."""

    def owners(self) -> Mapping[ProjectName, str]:
        """Nobody."""
        return {}
