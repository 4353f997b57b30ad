"""Composition of a view: the directories that it shows, and the upstreams behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simpleindex.core.errors import NotShown, SimpleIndexError
from simpleindex.core.model import Strategy
from simpleindex.core.patterns import ALL
from simpleindex.core.views import LOCAL
from simpleindex.views.explain import SourceNote, what_is_there
from simpleindex.views.hidden import EmptySource, LocalViewSource
from simpleindex.views.name_rules import NameRules
from simpleindex.views.union import LocalMember, UnionSource, UpstreamMember

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Source
    from simpleindex.core.views import ViewSettings
    from simpleindex.system.threads import Threads
    from simpleindex.views.sources_file import Sources
    from simpleindex.views.standing_answers import StandingAnswers


@dataclass(frozen=True)
class ViewParts:
    """The parts that views are composed of.

    Attributes:
        directories: The served directories, with the view's rules applied.
        upstreams: The upstreams, with the view's rules applied.
        unfiltered: The served directories without rules, for hidden names: no rule gives a name to upstreams.
        was_used: As in :class:`simpleindex.views.union.UnionSource`.
        claims: Whether a name is a directory's of this index, or may be, by what is in memory.
        threads: Threads for short blocking calls.
        standing: Remembers answers of upstreams; None to ask every source with each request.
    """

    directories: Mapping[str, Source]
    upstreams: Mapping[str, UpstreamMember]
    unfiltered: Mapping[str, Source]
    was_used: Callable[[ProjectName], bool]
    claims: Callable[[ProjectName], bool]
    threads: Threads
    standing: StandingAnswers | None = None


def compose_view(sources: Sources, view: ViewSettings, parts: ViewParts) -> UnionSource:
    """Return the source of a view.

    Args:
        sources: The sources file, which holds what applies to all views.
        view: The view.
        parts: What it is composed of.
    """
    shown = [
        UpstreamMember(parts.directories[name], is_listed=True, name=name)
        for name in view.sources
        if name in parts.directories
    ]
    first: Source = shown[0].source if shown else EmptySource()
    # All of them are the index's own, so a view without upstreams shows them all the same.
    strategy = Strategy.MERGE if view.strategy is Strategy.MERGE else Strategy.FIRST_INDEX
    together = UnionSource(
        LocalMember(first, shown[0].name if shown else LOCAL),
        shown[1:],
        NameRules(strategy, allow_upstream=(ALL,)),
        was_used=lambda _: False,
        threads=parts.threads,
    )
    hidden = {name: source for name, source in parts.unfiltered.items() if name not in view.sources}
    hiding = LocalViewSource(together if shown[1:] else first, [*hidden.values()])

    async def explain_local(name: ProjectName) -> tuple[SourceNote, ...]:
        notes = await together.words(name) if shown else ()
        return (*notes, *[SourceNote(other, await _hidden(source, name)) for other, source in hidden.items()])

    return UnionSource(
        LocalMember(hiding, hides=parts.claims, notes=explain_local),
        [parts.upstreams[name] for name in view.sources if name in parts.upstreams],
        NameRules(view.strategy, sources.own, sources.allow_upstream),
        was_used=parts.was_used,
        threads=parts.threads,
        standing=parts.standing,
    )


async def _hidden(source: Source, name: ProjectName) -> str:
    """Explain a project of a directory that the view does not show."""
    try:
        await source.project(name)
    except SimpleIndexError as error:
        return what_is_there(error)
    return what_is_there(NotShown(name))
