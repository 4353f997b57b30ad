"""What of a changed sources file is in force at once, and what only when somebody says so."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.core.model import Strategy
from simpleindex.core.names import ProjectName
from simpleindex.upstreams.settings import UpstreamSettings
from simpleindex.views.name_rules import NameRules, Scope, why_not_upstream
from simpleindex.views.sources_file import Sources, effective_after_reload, effective_at_once, parse_sources

A = UpstreamSettings("a", "https://a.example/")
B = UpstreamSettings("b", "https://b.example/")
RUNNING = Sources(own=("acme-*",), allow_upstream=("acme-open",), upstreams=(A, B))
NAMES = ("acme-x", "acme-open", "zoo", "bar")
SOME = st.lists(st.sampled_from([*NAMES, "*", "a*", "acme-*"]), unique=True, max_size=3).map(tuple)
UPSTREAMS = st.builds(
    UpstreamSettings,
    st.sampled_from("abc"),
    st.just("https://a.example/"),
    projects=SOME,
    exclude=SOME,
    ttl=st.sampled_from([60.0, 300.0]),
)
ANY = st.builds(
    Sources,
    own=SOME,
    allow_upstream=SOME,
    upstreams=st.lists(UPSTREAMS, max_size=3, unique_by=lambda each: each.name).map(tuple),
)


def goes_out(sources: Sources, name: str) -> set[str]:
    """Which upstreams may be asked for a name that is not here."""
    rules = NameRules(sources.strategy, sources.own, sources.allow_upstream)
    project = ProjectName(name)
    if why_not_upstream(project, rules, is_local=False, was_used=False) is not None:
        return set()
    return {each.name for each in sources.upstreams if Scope(each.projects, each.exclude).has(project)}


@given(ANY, ANY)
def test_nothing_goes_out_that_did_not(now: Sources, running: Sources) -> None:
    """Whatever the file says, until an operator says so; and then as the file says, for what is running."""
    at_once = effective_at_once(now, running)
    asked = effective_after_reload(now, running)
    for name in NAMES:
        assert goes_out(at_once, name) <= goes_out(running, name)
        # What the file keeps in is kept in.
        both = {each.name for each in now.upstreams}
        assert goes_out(at_once, name) & both <= goes_out(replace(now, upstreams=running.upstreams), name)
        assert goes_out(asked, name) & both == goes_out(now, name) & {each.name for each in running.upstreams}
    assert [each.name for each in at_once.upstreams] == [each.name for each in running.upstreams]
    assert effective_at_once(running, running) == effective_after_reload(running, running) == running


@pytest.mark.parametrize(
    "now",
    [
        Sources(strategy=Strategy.MERGE),
        replace(RUNNING, strategy=Strategy.MERGE),
        replace(RUNNING, upstreams=(B, A)),
        replace(RUNNING, upstreams=(A,)),
        replace(RUNNING, upstreams=(replace(A, url="https://other.example/"), B)),
        parse_sources(b'[[view]]\nname = "v"\nsources = ["local"]\n'),
    ],
)
def test_what_takes_a_restart(now: Sources) -> None:
    """Upstreams, their order and what they are, views and the strategy: they stay as they run."""
    for made in (effective_at_once(now, RUNNING), effective_after_reload(now, RUNNING)):
        assert (made.strategy, made.views) == (RUNNING.strategy, RUNNING.views)
        assert [(each.name, each.url) for each in made.upstreams] == [
            (each.name, each.url) for each in RUNNING.upstreams
        ]
        assert made != now


def test_times_and_rules_are_taken_at_once() -> None:
    """They let no name out."""
    now = replace(RUNNING, upstreams=(replace(A, ttl=60.0), B))
    assert effective_at_once(now, RUNNING) == now
