"""Several sources as one: the local one, and behind it upstreams, in order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from cachetools import LRUCache

from simpleindex.core.errors import NotAllowed, NotHere, NotShown, SimpleIndexError
from simpleindex.core.model import Project, Status, Strategy
from simpleindex.core.names import listed_file
from simpleindex.core.stepping import Started
from simpleindex.core.views import LOCAL
from simpleindex.views.explain import SourceNote, what_is_there
from simpleindex.views.name_rules import EVERYTHING, merge, merge_lists, owner_of, why_not_upstream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from simpleindex.core.model import ProjectList
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Body, Elsewhere, Source
    from simpleindex.system.threads import Threads
    from simpleindex.views.name_rules import NameRules, Scope
    from simpleindex.views.standing_answers import StandingAnswers

_WORTH_A_THREAD: Final = 5_000
"""Names of an upstream; above it sorting and judging them takes more than a few milliseconds."""

_MOST_MERGED: Final = 1_000
"""Projects whose unions are kept."""


@dataclass(frozen=True, slots=True)
class UpstreamMember:
    """An upstream in a union.

    Attributes:
        scope: The names that are requested from it.
        is_listed: Whether its projects are on the list of projects. The public index has 700,000, a page of 70 MB and as
            much memory, which no installer reads: so only if the caller wants it.
        denies: Returns whether a rule denies a whole project, so that it is not requested.
    """

    source: Source
    scope: Scope = EVERYTHING
    is_listed: bool = False
    name: str = "upstream"
    denies: Callable[[ProjectName], bool] = lambda _: False


@dataclass(frozen=True, slots=True)
class LocalMember:
    """The local source in a union.

    Attributes:
        hides: Returns whether a name that the source does not have is left out of lists, as far as is known without waiting.
        notes: Returns the answers of its parts for a project, for explanations; None if it has no parts.
    """

    source: Source
    name: str = LOCAL
    hides: Callable[[ProjectName], bool] = lambda _: False
    notes: Callable[[ProjectName], Awaitable[Sequence[SourceNote]]] | None = None


class UnionSource:
    """A local source, and upstreams for the names that it has not got.

    An error of a source is the answer: no later source is requested (docs/protocol.md). The
    local source is always the first, also for names that may be requested from upstreams.

    Args:
        local: The local source.
        upstreams: The upstreams, in order.
        rules: The names that are requested from upstreams, and how answers are combined.
        was_used: Returns whether a name was ever a project here; its Unavailable is the answer too.
        threads: Merge long lists; ``was_used`` and ``hides`` are called there too.
        standing: Remembers answers of upstreams; None to ask every source with each request.
    """

    def __init__(
        self,
        local: LocalMember,
        upstreams: Sequence[UpstreamMember],
        rules: NameRules,
        *,
        was_used: Callable[[ProjectName], bool],
        threads: Threads,
        standing: StandingAnswers | None = None,
    ) -> None:
        self._standing = standing
        self._local = local.source
        self._hides = local.hides
        self._name = local.name
        self._local_notes = local.notes
        self._upstreams = tuple(upstreams)
        self._rules = rules
        self._was_used = was_used
        self._threads = threads
        self._merged: LRUCache[ProjectName, tuple[tuple[Project, ...], Project]] = LRUCache(_MOST_MERGED)
        self._list: tuple[tuple[ProjectList, ...], ProjectList] | None = None

    def take(self, rules: NameRules, scopes: Mapping[str, Scope]) -> None:
        """Judge names by other rules from now on.

        Args:
            rules: The new rules.
            scopes: The names that are requested from each upstream, by its name.
        """
        self._rules = rules
        self._upstreams = tuple(
            replace(member, scope=scopes.get(member.name, member.scope)) for member in self._upstreams
        )
        self._list = None
        if self._standing is not None:
            self._standing.forget()

    def standing_uses(self) -> dict[str, int]:
        """Return how often an upstream's answer was used again without a question to it, by the upstream's name."""
        standing = self._standing
        return {} if standing is None else {each.name: standing.uses(each.source) for each in self._upstreams}

    async def projects(self) -> ProjectList:
        """Return the local projects, and those of the upstreams whose projects are listed."""
        rules = self._rules
        parts = [await self._local.projects()]
        parts += [await member.source.projects() for member in self._listed()]
        known = self._known_list(parts)
        if known is not None:
            return known
        arguments = parts[0], [*zip(parts[1:], [member.scope for member in self._listed()], strict=True)]
        if sum(len(part.names) for part in parts[1:]) > _WORTH_A_THREAD:
            made: ProjectList = await self._threads.run(merge_lists, *arguments, self._is_own)
        else:
            made = merge_lists(*arguments, self._is_own)
        if rules is self._rules:
            self._list = tuple(parts), made
        return made

    async def project(self, name: ProjectName) -> Project:
        """Return a project, from the source that owns it, or merged from all that have it."""
        standing = None if self._standing is None else self._standing.get(name)
        if standing is not None:
            return standing[1]
        parts = await self._ask_at_once(name)
        return parts[0][1] if len(parts) == 1 else self._union(tuple([project for _, project in parts]))

    async def file(self, name: ProjectName, filename: str) -> Body | Elsewhere:
        """Open a file, from the source that the project's page has it from."""
        standing = None if self._standing is None else self._standing.get(name)
        parts = await self._ask_at_once(name) if standing is None else [standing]
        if len(parts) == 1:
            return await parts[0][0].file(name, filename)
        projects = [project for _, project in parts]
        if any(project.status is Status.QUARANTINED for project in projects):
            raise NotAllowed(f"The project {name} is quarantined; no file of it is offered.")
        position = owner_of(listed_file(filename), projects)
        if position is None:
            raise NotHere(f"file {filename}")
        return await parts[position][0].file(name, filename)

    def may_offer(self, name: ProjectName) -> bool:
        """Return whether some upstream may be requested for a name, by what the operator has configured; none is by this.

        What this index has or had under the name is no part of it: the answer is for readers who may not know that.
        """
        if why_not_upstream(name, self._rules, is_local=False, was_used=False) is not None:
            return False
        return any(member.scope.has(name) and not member.denies(name) for member in self._upstreams)

    async def words(self, name: ProjectName) -> tuple[SourceNote, ...]:
        """Return each source's answer for a project, or why it is not requested; for explanations."""
        end = None
        is_local = False
        outcome: Project | SimpleIndexError
        try:
            outcome = await self._local.project(name)
        except SimpleIndexError as error:
            outcome, is_local = error, isinstance(error, NotShown)
        else:
            is_local = True
            if self._is_the_owner(name):
                end = f"{self._name} comes first, and has it"
        notes = [SourceNote(self._name, what_is_there(outcome))]
        if self._local_notes is not None:
            notes = [*await self._local_notes(name)]
        if not isinstance(outcome, Project | NotHere):
            return tuple(notes)
        hindrance = self._why_not(name, is_local=is_local)
        for member in self._upstreams:
            if hindrance is not None:
                sentence = f"is not requested. {hindrance}"
            elif not member.scope.has(name):
                sentence = "is not requested for this name, by its `projects` or `exclude`."
            elif end is not None:
                sentence = f"is not requested: {end}."
            else:
                try:
                    sentence = what_is_there(await member.source.project(name))
                    if self._rules.strategy is not Strategy.MERGE:
                        end = f"{member.name} comes first, and has it"
                except NotHere as error:
                    sentence = what_is_there(error)
                except SimpleIndexError as error:
                    sentence, end = what_is_there(error), f"{member.name} comes first, and cannot tell"
            notes.append(SourceNote(member.name, sentence))
        return tuple(notes)

    async def _ask_at_once(self, name: ProjectName) -> list[tuple[Source, Project]]:
        """Return the same as :meth:`_ask`; what came from an upstream without waiting is kept while it stands."""
        if self._standing is None:
            return await self._ask(name)
        started = Started(self._ask(name))
        if not started.is_finished:
            return await started.rest()
        if len(started.value) == 1:
            self._keep_standing(name, self._standing, *started.value)
        return started.value

    def _keep_standing(
        self, name: ProjectName, standing: StandingAnswers, answer: tuple[Source, Project]
    ) -> None:
        upstreams = [member.source for member in self._upstreams if member.scope.has(name)]
        if answer[0] not in upstreams:
            return
        if self._rules.strategy is not Strategy.MERGE:
            upstreams = upstreams[: upstreams.index(answer[0]) + 1]
        standing.keep(name, answer, upstreams)

    async def _ask(self, name: ProjectName) -> list[tuple[Source, Project]]:
        """Return the sources that have a project, with their parts; several only where parts are merged."""
        parts: list[tuple[Source, Project]] = []
        is_local = False
        absence = NotHere(f"project {name}")
        try:
            parts.append((self._local, await self._local.project(name)))
        except NotHere as unknown:
            is_local, absence = isinstance(unknown, NotShown), unknown
        else:
            is_local = True
            if self._is_the_owner(name):
                return parts
        has_waited = False
        for member in self._members_for(name, is_local=is_local):
            try:
                started = Started(member.source.project(name))
                if started.is_finished:
                    parts.append((member.source, started.value))
                else:
                    has_waited = True
                    parts.append((member.source, await started.rest()))
            except NotHere as unknown:
                absence = _stronger(absence, unknown)
                continue
            if self._rules.strategy is not Strategy.MERGE:
                break
        if has_waited and not is_local and parts:
            return await self._unless_local_meanwhile(name, parts)
        if not parts:
            raise absence
        return parts

    async def _unless_local_meanwhile(
        self, name: ProjectName, parts: list[tuple[Source, Project]]
    ) -> list[tuple[Source, Project]]:
        """Prefer the local project if it was published while upstreams were requested."""
        try:
            own = self._local, await self._local.project(name)
        except NotShown:
            if self._why_not(name, is_local=True) is not None:
                raise
            return parts
        except NotHere:
            return parts
        return [own] if self._is_the_owner(name) else [own, *parts]

    def _is_the_owner(self, name: ProjectName) -> bool:
        """Whether a project that exists here is nobody else's business."""
        if self._rules.strategy is not Strategy.MERGE:
            return True
        return why_not_upstream(name, self._rules, is_local=True, was_used=True) is not None

    def _members_for(self, name: ProjectName, *, is_local: bool) -> list[UpstreamMember]:
        members = [member for member in self._upstreams if member.scope.has(name)]
        if not members or self._why_not(name, is_local=is_local) is not None:
            return []
        return members

    def _why_not(self, name: ProjectName, *, is_local: bool) -> str | None:
        return why_not_upstream(name, self._rules, is_local=is_local, was_used=self._was_used(name))

    def _is_own(self, name: ProjectName) -> bool:
        return self._why_not(name, is_local=self._hides(name)) is not None

    def _listed(self) -> list[UpstreamMember]:
        if self._rules.strategy is Strategy.ISOLATED:
            return []
        return [member for member in self._upstreams if member.is_listed]

    def _known_list(self, parts: list[ProjectList]) -> ProjectList | None:
        if len(parts) == 1:
            return parts[0]
        if self._list is None or not _are_same(self._list[0], parts):
            return None
        return self._list[1]

    def _union(self, parts: tuple[Project, ...]) -> Project:
        """Merge parts; the same object as long as the parts are the same, so that pages made of it stay valid."""
        if len(parts) == 1:
            return parts[0]
        name = parts[0].name
        kept = self._merged.get(name)
        if kept is None or not _are_same(kept[0], parts):
            kept = self._merged[name] = parts, merge(parts)
        return kept[1]


def _stronger(absence: NotHere, other: NotHere) -> NotHere:
    """Return the stronger of two absences: that of the source to which the name belongs."""
    return other if isinstance(other, NotShown) and not isinstance(absence, NotShown) else absence


def _are_same(kept: Sequence[object], parts: Sequence[object]) -> bool:
    return len(kept) == len(parts) and all(one is other for one, other in zip(kept, parts, strict=True))
