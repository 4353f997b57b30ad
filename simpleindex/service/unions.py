"""The sources of a view, put together: one's own directories that it shows, and what it asks behind them.

A part of the composition root (:mod:`simpleindex.service.compose`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simpleindex.core.errors import NotShown, SimpleIndexError
from simpleindex.core.model import Strategy
from simpleindex.core.patterns import ALL
from simpleindex.core.views import LOCAL
from simpleindex.views.explain import SourceNote, what_is_there
from simpleindex.views.hidden import EmptySource, LocalViewSource
from simpleindex.views.name_rules import NameRules
from simpleindex.views.union import LocalMember, UnionSource, UpstreamMember

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Source
    from simpleindex.core.views import ViewSettings
    from simpleindex.views.sources_file import Sources


def union_of(
    said: Sources,
    view: ViewSettings,
    own: Mapping[str, Source],
    members: Mapping[str, UpstreamMember],
    *,
    was_used: Callable[[ProjectName], bool],
    in_thread: Callable[..., Awaitable[Any]],
    bare: Mapping[str, Source] | None = None,
    claims: Callable[[ProjectName], bool] = lambda _: False,
) -> UnionSource:
    """One view: the own directories that it shows, and the upstreams that it asks.

    Args:
        said: What holds for all views.
        view: Which.
        own: One's own directories, with rules in front.
        members: The upstreams.
        was_used: As in :class:`simpleindex.views.union.UnionSource`.
        in_thread: The same.
        bare: The own directories without rules, for what is hidden: no rule makes a name anybody else's.
        claims: Whether a name is a directory's of this index, or may be, by what is in memory.
    """
    shown = [UpstreamMember(own[name], is_listed=True, name=name) for name in view.sources if name in own]
    first: Source = shown[0].source if shown else EmptySource()
    # They are one's own all, so that a view without upstreams shows them all the same.
    strategy = Strategy.MERGE if view.strategy is Strategy.MERGE else Strategy.FIRST_INDEX
    together = UnionSource(
        LocalMember(first, shown[0].name if shown else LOCAL),
        shown[1:],
        NameRules(strategy, allow_upstream=(ALL,)),
        was_used=lambda _: False,
        in_thread=in_thread,
    )
    hidden = {name: source for name, source in (bare or own).items() if name not in view.sources}
    hiding = LocalViewSource(together if shown[1:] else first, [*hidden.values()])

    async def own_words(name: ProjectName) -> tuple[SourceNote, ...]:
        said = await together.words(name) if shown else ()
        return (*said, *[SourceNote(other, await _hidden(source, name)) for other, source in hidden.items()])

    return UnionSource(
        LocalMember(hiding, hides=claims, notes=own_words),
        [members[name] for name in view.sources if name in members],
        NameRules(view.strategy, said.own, said.allow_upstream),
        was_used=was_used,
        in_thread=in_thread,
    )


async def _hidden(source: Source, name: ProjectName) -> str:
    """What a directory that a view does not show says of a project."""
    try:
        await source.project(name)
    except SimpleIndexError as error:
        return what_is_there(error)
    return what_is_there(NotShown(name))
