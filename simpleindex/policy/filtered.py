"""A source behind rules: files that rules withhold are neither listed nor sent."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from simpleindex.core.caches import SizedCache
from simpleindex.core.errors import NotAllowed, NotHere, NotShown
from simpleindex.core.model import MISSING, Project
from simpleindex.core.names import listed_file
from simpleindex.core.source import Elsewhere, lifetime_of, revision_of
from simpleindex.policy.errors import FileWithheld
from simpleindex.policy.judgement import Denial
from simpleindex.policy.rules import DenialMode
from simpleindex.system.clocks import wall_clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.core.model import ProjectList
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import AnswerLifetime, Body, Source
    from simpleindex.policy.judgement import Policy
    from simpleindex.system.threads import Threads

    _Judgement = tuple[Project | Denial, Policy, Project]

_MOST_BYTES: Final = 32 * 1024 * 1024
"""Of judgements that are kept, about."""

_ENTRY: Final = 1_000
_WITHHELD: Final = 1_000
"""Bytes that a withheld file takes, about: most of it is the sentence."""

_WORTH_A_THREAD: Final = 1_000
"""Files of a project; above it judging them takes more than a few milliseconds."""

_NAMES_WORTH_A_THREAD: Final = 5_000


class FilteredSource:
    """One source, judged.

    A project that rules deny is not requested from the source. Each source of a union is judged by itself, so that what
    a rule withholds of one is not taken from the next instead.

    Args:
        source: The source.
        name: The source's name.
        policy: Gives the rules now; the same object as long as they are the same.
        clock: The reactor.
        threads: Judge large projects and lists.
        is_own: Whether it is local: a denied project is then "not shown" and never "not here", so that its name is
            requested from no upstream.
    """

    def __init__(
        self,
        source: Source,
        name: str,
        policy: Callable[[], Policy],
        clock: Any,
        threads: Threads,
        *,
        is_own: bool = False,
    ) -> None:
        self._is_own = is_own
        self._source = source
        self._name = name
        self._policy = policy
        self._now = wall_clock(clock)
        self._threads = threads
        self._judged: SizedCache[ProjectName, _Judgement] = SizedCache(_MOST_BYTES, _weight)
        self._list: tuple[ProjectList, Policy, ProjectList] | None = None

    async def projects(self) -> ProjectList:
        """Return the projects of which some file may be offered."""
        listed, policy = await self._source.projects(), self._policy()
        known = self._known_list(listed, policy)
        if known is not None:
            return known
        if len(listed.names) > _NAMES_WORTH_A_THREAD:
            kept: ProjectList = await self._threads.run(self._without_denied, listed, policy)
        else:
            kept = self._without_denied(listed, policy)
        self._list = listed, policy, kept
        return kept

    async def project(self, name: ProjectName) -> Project:
        """Return a project with the files that the rules let through.

        Raises:
            NotHere: The source has not got it, or a rule says that this is the answer.
            NotAllowed: A rule says so.
        """
        policy = self._policy()
        denial = self._denial(name, policy)
        if denial is not None:
            if self._is_own:
                await self._source.project(name)
            return self._denied(name, denial, policy)
        project = await self._source.project(name)
        # The rules may have changed meanwhile.
        policy = self._policy()
        known = self._known(project, policy)
        if known is not None:
            return known
        if len(project.files) > _WORTH_A_THREAD:
            judged: Project = await self._threads.run(policy.judge, project, self._name, self._now())
        else:
            judged = policy.judge(project, self._name, self._now())
        return self._keep(name, project, policy, judged)

    def lifetime(self, name: ProjectName) -> AnswerLifetime | None:
        """Return how long the source's answer and the judgement of it stay as they are; None for a denied project."""
        policy = self._policy()
        lifetime = None if self._denial(name, policy) else lifetime_of(self._source, name)
        if lifetime is None:
            return None
        ends = [each.until for each in policy.allowances if each.name == name]
        kept = self._judged.get(name)
        if kept is not None and kept[1] is policy and kept[2].valid_until is not None:
            ends.append(kept[2].valid_until)
        return replace(lifetime, until=min([lifetime.until, *ends]))

    def revision(self) -> object:
        """Return the rules, and what the source depends on."""
        return self._policy(), revision_of(self._source)

    async def file(self, name: ProjectName, filename: str) -> Body | Elsewhere:
        """Open a file that is offered, or a side file of one.

        Raises:
            FileWithheld: A rule withholds it.
        """
        denial = self._denial(name, self._policy())
        if denial is not None:
            if self._is_own:
                await self._source.project(name)
            # Not the file's name, which may be made up: one line of the log is enough for a project.
            raise FileWithheld(
                denial.sentence, filename=name, rule=denial.rule, source=self._name, visible_from=None
            )
        project = await self.project(name)
        self._refuse(project, name, filename)
        body = await self._source.file(name, filename)
        # The source may have another listing by now, of which it took the file.
        try:
            again = await self.project(name)
            if again is not project:
                self._refuse(again, name, filename)
        except BaseException:
            if not isinstance(body, Elsewhere):
                body.close()
            raise
        return body

    def _refuse(self, project: Project, name: ProjectName, filename: str) -> None:
        """Refuse a file that is not offered."""
        distribution = listed_file(filename)
        for item in project.withheld:
            # The upstream itself answers for a file that it lists and did not have: it may have it by now.
            if item.filename == distribution and item.public and item.rule != MISSING:
                raise FileWithheld(
                    item.reason,
                    filename=filename,
                    rule=item.rule,
                    source=item.source,
                    visible_from=item.visible_from,
                )
        if self._policy().concerns(name, self._name) and project.file(distribution) is None:
            # The source may have listed it since, and it is not judged yet.
            raise NotHere(f"file {filename}")

    def denies(self, name: ProjectName) -> bool:
        """Return whether a rule denies a whole project."""
        return self._denial(name, self._policy()) is not None

    def _denial(self, name: ProjectName, policy: Policy) -> Denial | None:
        kept = self._judged.get(name)
        if kept is not None and kept[1] is policy and not policy.allowances:
            # Nothing but the end of an allowance would change that.
            return kept[0] if isinstance(kept[0], Denial) else None
        return policy.denial(name, self._name, self._now())

    def _denied(self, name: ProjectName, denial: Denial, policy: Policy) -> Project:
        if denial.mode is DenialMode.REFUSED:
            raise NotAllowed(denial.sentence)
        if denial.mode is DenialMode.NOT_HERE:
            raise (NotShown if self._is_own else NotHere)(f"project {name}")
        kept = self._judged.get(name)
        if kept is not None and kept[0] == denial:
            return kept[2]
        return self._keep(name, denial, policy, Project(name, denied=denial.sentence))

    def _known(self, project: Project, policy: Policy) -> Project | None:
        kept = self._judged.get(project.name)
        if kept is None or kept[0] is not project or kept[1] is not policy:
            return None if policy.concerns(project.name, self._name) else project
        judged = kept[2]
        if judged.valid_until is not None and judged.valid_until <= self._now():
            return None
        return judged

    def _keep(self, name: ProjectName, of: Project | Denial, policy: Policy, judged: Project) -> Project:
        before = self._judged.get(name)
        if before is not None and before[2] == judged:
            # Pages that were made of it stay good.
            judged = before[2]
        self._judged.put(name, (of, policy, judged))
        return judged

    def _without_denied(self, listed: ProjectList, policy: Policy) -> ProjectList:
        now = self._now()
        names = tuple([name for name in listed.names if policy.denial(name, self._name, now) is None])
        if len(names) == len(listed.names) and listed.serials is None:
            return listed
        ends = [each.until for each in policy.allowances if each.until > now]
        until = min([*ends, *([] if listed.valid_until is None else [listed.valid_until])], default=None)
        # A project that a rule lets out again has not changed, so a mirror would miss it by its serial.
        return replace(listed, names=names, valid_until=until, serials=None)

    def _known_list(self, listed: ProjectList, policy: Policy) -> ProjectList | None:
        if self._list is None or self._list[0] is not listed or self._list[1] is not policy:
            return None
        kept = self._list[2]
        return None if kept.valid_until is not None and kept.valid_until <= self._now() else kept


def _weight(judgement: _Judgement) -> int:
    """Return the bytes that a judgement takes, about; even the largest is kept, for a while, alone."""
    judged = judgement[2]
    return min(_MOST_BYTES, _ENTRY + judged.memory + _WITHHELD * len(judged.withheld))
