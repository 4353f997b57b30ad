"""What of a sources file that was changed is in force at once, and what only when an operator says so.

A file that is being written looks whole at any moment. So whatever lets more names out waits for SIGHUP; and what would make
other objects (an upstream, a view) waits for a restart.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simpleindex.upstreams.settings import UpstreamSettings
    from simpleindex.views.sources_file import Sources


def closed(now: Sources, running: Sources) -> Sources:
    """What is in force as soon as the file says so: rules, times, and whatever keeps more names in the house.

    Args:
        now: What the file says.
        running: What is in force.
    """
    upstreams = tuple(
        each
        if (said := _named(now, each.name)) is None
        else replace(each, ttl=said.ttl, exclude=_all_of(each.exclude, said.exclude))
        for each in running.upstreams
    )
    return replace(
        running,
        rules=now.rules,
        own=_all_of(running.own, now.own),
        allow_upstream=tuple(name for name in running.allow_upstream if name in now.allow_upstream),
        upstreams=upstreams,
    )


def reloaded(now: Sources, running: Sources) -> Sources:
    """What is in force once an operator has said so; arguments as for :func:`closed`."""
    upstreams = tuple(
        each
        if (said := _named(now, each.name)) is None
        else replace(each, ttl=said.ttl, projects=said.projects, exclude=said.exclude)
        for each in running.upstreams
    )
    return replace(
        running, rules=now.rules, own=now.own, allow_upstream=now.allow_upstream, upstreams=upstreams
    )


def _named(sources: Sources, name: str) -> UpstreamSettings | None:
    return next((each for each in sources.upstreams if each.name == name), None)


def _all_of(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """The patterns of both; the first itself if it has them all."""
    return (*one, *(pattern for pattern in other if pattern not in one))
