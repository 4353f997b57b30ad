"""Serials: what a mirror that keeps the largest one must never miss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from simpleindex.access.access_file import parse_access
from simpleindex.access.guarded import VisibleLists
from simpleindex.access.identity import ANYONE
from simpleindex.access.rights import default_access
from simpleindex.core.model import ProjectList
from simpleindex.core.names import ProjectName
from simpleindex.directory.live.serials import Serials
from tests.fixtures.distributions import add_wheel
from tests.fixtures.live_directory import ACME, OTHER, LiveDirectoryFixture
from tests.fixtures.stepping import at_once

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [ProjectName(name) for name in ("a", "b", "c")]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("change"), st.sampled_from(NAMES)),
        st.tuples(st.just("wait"), st.integers(-10, 10**7)),
        st.tuples(st.just("mirror"), st.none()),
        st.tuples(st.just("restart"), st.none()),
    ),
    max_size=30,
)


@given(steps)
def test_a_mirror_misses_no_change(sequence: list[tuple[str, ProjectName | int | None]]) -> None:
    """Whatever changed since it looked last has a larger serial than any it saw, over restarts too."""
    clock = [1_700_000_000_000_000_000]

    def now() -> int:
        return clock[0]

    serials = Serials(now)
    changed: set[ProjectName] = set()
    largest = -1
    for step, what in (*sequence, ("mirror", None)):
        match step, what:
            case "wait", int():
                clock[0] += what
            case "change", str():
                serials.note(what)
                changed.add(what)
            case "restart", _:
                # A start takes longer than a tick, and finds what changed meanwhile.
                clock[0] += 10**9
                serials = Serials(now)
            case "mirror", _:
                every = serials.now()
                listed = {name: every[name] for name in NAMES}
                assert listed == {name: serials.of(name) for name in NAMES}
                assert {name for name, serial in listed.items() if serial > largest} >= changed
                largest = max(largest, *listed.values())
                changed.clear()


def test_every_change_of_what_is_listed_counts(tmp_path: Path) -> None:
    """Files that come and go and yanks raise a project's serial, and nobody else's; a look that finds nothing does not."""
    add_wheel(tmp_path, "acme")
    add_wheel(tmp_path, "other")
    world = LiveDirectoryFixture(tmp_path).begin()

    def serials() -> tuple[int, int]:
        listed = at_once(world.live.project_list())
        assert listed is not None
        assert listed.serials is not None
        return listed.serials[ACME], listed.serials[OTHER]

    def look() -> None:
        world.live.directories_changed(frozenset({"acme"}))

    before = serials()
    assert before[0] == before[1]
    look()
    assert serials() == before
    for change in (
        lambda: add_wheel(tmp_path, "acme", "2.0"),
        lambda: (tmp_path / "acme" / "simpleindex.toml").write_text('[yanked]\n"2.0" = "broken"\n'),
        (tmp_path / "acme" / "simpleindex.toml").unlink,
    ):
        change()
        look()
        after = serials()
        assert after[0] > max(before)
        assert after[1] == before[1]
        before = after


def test_no_serials_where_projects_may_be_hidden() -> None:
    """What becomes readable, or is let out by a rule, has no new serial: a mirror would never see it."""
    listed = ProjectList((ACME, OTHER), serials={ACME: 1, OTHER: 2})
    lists = VisibleLists(dict)
    everybody = default_access()
    hidden = parse_access(b'[[rule]]\nprojects = ["acme"]\nread = ["alice"]\n')
    assert everybody.everything_public
    assert lists.seen(listed, ANYONE, everybody) is listed
    assert lists.seen(listed, ANYONE, hidden).names == (OTHER,)
    assert lists.seen(listed, ANYONE, hidden).serials is None
    afterwards = lists.seen(listed, ANYONE, everybody)
    assert (afterwards.names, afterwards.serials) == (listed.names, None)
    assert lists.seen(listed, ANYONE, everybody) is afterwards
