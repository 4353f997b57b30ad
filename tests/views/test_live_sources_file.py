"""The rules as they are now: followed, with the lists and allowances that they depend on; what breaks stays in force."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from simpleindex.core.errors import InvalidSources, RefusedStart, Unavailable
from simpleindex.core.names import ProjectName
from simpleindex.policy.judgement import Allowance
from simpleindex.policy.lists import NameLists
from simpleindex.system.clocks import Clocks
from simpleindex.views.live_sources_file import LiveSourcesFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from simpleindex.views.sources_file import Sources
    from tests.fixtures.log import CapturedLog

ACME = ProjectName("acme")
DENY = '[[rule]]\naction = "deny"\nprojects = ["acme"]\n'


class SourcesFileFixture:
    """A sources file, and everything that it depends on; a second passes between two questions."""

    def __init__(self, path: Path, log: CapturedLog) -> None:
        self.path = path
        self.log = log
        self.given: tuple[Allowance, ...] | Exception = ()
        self.time = 0.0
        self.date = 1000.0
        clocks = Clocks(lambda: self.time, lambda: self.date + self.time, lambda: 1 << 62)
        self.lists = NameLists(str(path), clocks)
        self.policies = LiveSourcesFile(
            str(path / "sources.toml"),
            open_list=self.lists.open,
            allowances=self._allowances,
            clocks=clocks,
        )

    @property
    def lines(self) -> list[str]:
        return self.log.lines

    def _allowances(self, now: float) -> tuple[Allowance, ...]:
        if isinstance(self.given, Exception):
            raise self.given
        return tuple(each for each in self.given if each.until > now)

    def write(self, text: str, name: str = "sources.toml") -> None:
        """Write a file, in a state of its own."""
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        when = 1_000_000_000 + len(self.lines) + int(self.time)
        os.utime(path, (when, when))

    def denied(self, views: frozenset[str] = frozenset({"main"})) -> str | None:
        """Why acme is denied, a second later."""
        self.time += 1
        denial = self.policies.of_views(views)().denial(ACME, "pypi", 0.0)
        return None if denial is None else denial.sentence


@pytest.fixture
def world(tmp_path: Path, log: CapturedLog) -> SourcesFileFixture:
    """One of its own for each test, without rules."""
    world = SourcesFileFixture(tmp_path, log)
    world.write("# nothing yet\n")
    return world


def test_the_date_is_set_back(world: SourcesFileFixture) -> None:
    """What was judged by age while it was wrong is judged again; small corrections change nothing."""
    world.write('[[rule]]\nmin-age = "7d"\n')
    world.policies.open()
    before = world.policies.current()
    for correction, is_same in ((0, True), (-59, True), (86_400, True), (-86_400, False), (0, True)):
        world.date += correction
        world.time += 1
        policy = world.policies.current()
        assert (policy is before) is is_same
        before = policy


def test_read_again(world: SourcesFileFixture) -> None:
    """Rules are taken up as soon as they are there; what else changed waits, and both are said."""
    world.policies.open()
    assert world.denied() is None
    world.write(DENY)
    assert world.denied() == "acme is denied by the rule rule 1."
    assert world.lines == [f"The sources file {world.path / 'sources.toml'} was read again: 1 rule in force."]
    world.write(DENY + 'name = "n"\n[[upstream]]\nname = "a"\nurl = "https://index.example/"\n')
    assert world.denied() == "acme is denied by the rule n."
    assert (
        world.lines[-1] == "Its other changes take effect with SIGHUP, or with a restart where that says so."
    )
    world.policies.reload()
    assert (
        world.lines[-1] == f"Other changes in the sources file {world.path / 'sources.toml'} need a restart."
    )


UPSTREAM = '[[upstream]]\nname = "a"\nurl = "https://index.example/"\n'


def test_names_are_kept_in_at_once_and_let_out_when_asked_to(world: SourcesFileFixture) -> None:
    """More private names hold as soon as the file has them, fewer with SIGHUP: it may be half written."""
    taken: list[Sources] = []
    world.write('own = ["acme-*"]\nallow-upstream = ["acme-open"]\n' + UPSTREAM)
    world.policies.open()
    world.policies.changed = taken.append
    world.write('own = ["zoo"]\n' + UPSTREAM + 'projects = ["b*"]\nexclude = ["bad"]\nttl = "1h"\n')
    world.denied()
    (sources,) = taken
    assert (sources.own, sources.allow_upstream) == (("acme-*", "zoo"), ())
    (upstream,) = sources.upstreams
    assert (upstream.projects, upstream.exclude, upstream.ttl) == (("*",), ("bad",), 3600.0)
    assert world.policies.sources is sources
    assert "are as the file has them" in world.lines[-2]
    assert "take effect with SIGHUP" in world.lines[-1]
    world.policies.reload()
    assert (
        world.lines[-1]
        == "The index's own names, and the names and times of its upstreams, are as the file has them."
    )
    assert taken[1].own == ("zoo",)
    assert taken[1].upstreams[0].projects == ("b*",)
    said = len(world.lines)
    world.policies.reload()
    assert (len(taken), len(world.lines)) == (2, said)


def test_sighup_looks_at_once(world: SourcesFileFixture) -> None:
    """Also within the second in which nobody looks again; what cannot be read stays as it was."""
    world.write(UPSTREAM)
    world.policies.open()
    world.write('own = ["zoo"]\n' + UPSTREAM)
    world.policies.reload()
    assert world.policies.sources.own == ("zoo",)
    world.write("own = ")
    world.policies.reload()
    assert world.policies.sources.own == ("zoo",)
    assert "its last valid content stays in force" in world.lines[-1]


def test_what_breaks_stays_in_force(world: SourcesFileFixture) -> None:
    """A mistake opens nothing."""
    world.write(DENY)
    world.policies.open()
    for text in ("[[rule]]\n", DENY + 'deny-names = "none.txt"\n', "x = "):
        world.write(text)
        assert world.denied() == "acme is denied by the rule rule 1."
        assert "its last valid content stays in force" in world.lines[-1]
    (world.path / "sources.toml").unlink()
    assert world.denied() is not None


def test_the_same_object_as_long_as_nothing_changes(world: SourcesFileFixture) -> None:
    """Which is what tells whether judgements are still good."""
    world.write(DENY)
    world.policies.open()
    current = world.policies.of_views(frozenset({"main"}))
    first = current()
    world.time += 5
    assert current() is first
    world.given = (Allowance(ACME, None, 1010.0),)
    assert current() is first
    world.time += 1
    assert current() is not first
    assert world.denied() is None
    world.time += 10
    assert world.denied() is not None


def test_records_that_cannot_be_read(world: SourcesFileFixture) -> None:
    """What was allowed ends in its time, and nothing else is."""
    world.write(DENY)
    world.policies.open()
    world.given = (Allowance(ACME, None, 1e9),)
    assert world.denied() is None
    world.given = Unavailable("damaged")
    assert world.denied() is None
    other = SourcesFileFixture(world.path, world.log)
    other.given = world.given
    other.policies.open()
    assert other.denied() is not None


def test_views(world: SourcesFileFixture) -> None:
    """Each has its rules."""
    text = '[[view]]\nname = "stable"\nsources = ["local"]\n' + DENY + 'views = ["stable"]\n'
    world.write(text)
    world.policies.open()
    assert world.denied() is None
    assert world.denied(frozenset({"team", "stable"})) is not None


def test_deny_names(world: SourcesFileFixture) -> None:
    """The file is followed, relative to the sources file; a broken one stays as it was."""
    world.write('[[rule]]\nname = "bad"\ndeny-names = "lists/bad.txt"\n')
    world.write("other\n", "lists/bad.txt")
    world.policies.open()
    assert world.denied() is None
    world.write("acme  # really\n", "lists/bad.txt")
    assert world.denied() == "acme is denied by the rule bad: the list has it, really."
    world.write("a b\n", "lists/bad.txt")
    assert world.denied() is not None
    assert "is not valid now (The list has 'a b' on line 1, which is neither a name" in world.lines[-1]
    # It is the same list for rules that are written anew.
    world.write('[[rule]]\nname = "worse"\ndeny-names = "lists/bad.txt"\n')
    assert world.denied() == "acme is denied by the rule worse: the list has it, really."


def advise(world: SourcesFileFixture, name: str, *versions: str) -> None:
    """Write an advisory about versions of acme."""
    affected = [{"package": {"ecosystem": "PyPI", "name": "acme"}, "versions": versions}]
    world.write(json.dumps({"id": name.upper(), "affected": affected}), f"osv/{name}.json")


def test_advisories(world: SourcesFileFixture) -> None:
    """They are looked at by themselves, away from the reactor."""
    world.write('[[rule]]\nname = "osv"\nadvisories = "osv"\n')

    def about(version: str) -> str | None:
        world.lists.refresh()
        world.time += 1
        policy = world.policies.current()
        return policy.lists["advisories:osv"].version_reason(ACME, version)

    advise(world, "one", "1.0")
    world.policies.open()
    assert about("1.0") == "the advisory ONE is about 1.0"
    before = world.policies.current()
    assert about("2.0") is None
    assert world.policies.current() is before
    advise(world, "two", "2.0")
    assert about("2.0") == "the advisory TWO is about 2.0"
    (world.path / "osv").rename(world.path / "away")
    assert about("1.0") is not None


ADVISORIES = '[[rule]]\nname = "osv"\nadvisories = "osv"\n'


def test_advisories_that_a_rule_names_later(world: SourcesFileFixture) -> None:
    """They are read where that holds nobody up; what held before does so until they are."""
    world.write(DENY)
    world.policies.open()
    world.lists.refresh()
    advise(world, "one", "1.0")
    world.write(ADVISORIES)
    for _ in range(2):
        assert world.denied() == "acme is denied by the rule rule 1."
    (line,) = world.lines
    assert "which are read first): its last valid content stays in force." in line
    world.lists.refresh()
    assert world.denied() is None
    assert world.policies.current().lists["advisories:osv"].version_reason(ACME, "1.0") is not None
    assert world.lines[1:] == [
        f"Advisories read from {world.path}/osv: 1.",
        f"The sources file {world.path}/sources.toml was read again: 1 rule in force.",
    ]


def test_later_advisories_that_cannot_be_read(world: SourcesFileFixture) -> None:
    """It is said why, and they are tried again for as long as the rule names them."""
    world.write(DENY)
    world.policies.open()
    world.lists.refresh()
    world.write(ADVISORIES)
    assert world.denied() is not None
    world.lists.refresh()
    assert world.denied() is not None
    assert "osv', which cannot be read: No such file or directory" in world.lines[-1]
    advise(world, "one", "1.0")
    world.lists.refresh()
    assert world.denied() is None


def test_rules_about_what_does_not_run_yet(world: SourcesFileFixture) -> None:
    """A rule about an upstream or a view under a new name would hold for nothing: the old ones do, until a restart."""
    upstream = '[[upstream]]\nname = "{}"\nurl = "https://index.example/"\n'
    world.write(upstream.format("pypi") + DENY + 'sources = ["pypi"]\n')
    world.policies.open()
    assert world.denied() is not None
    view = '[[view]]\nname = "new"\nsources = ["local"]\n'
    for text, unknown in (
        (upstream.format("public") + DENY + 'sources = ["public"]\n', "public"),
        (upstream.format("pypi") + view + DENY + 'views = ["new"]\n', "new"),
    ):
        world.write(text)
        assert world.denied() is not None
        assert f"has the rule rule 1 about {unknown}, which needs a restart" in world.lines[-1]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[[rule]]\n", "sources.toml is not valid: it has nothing that rule 1 does"),
        ('[[rule]]\ndeny-names = "none.txt"\n', "which cannot be read: No such file or directory"),
        ('[[rule]]\ndeny-names = "bad.txt"\n', "bad.txt', which has 'a b' on line 1"),
        ('[[rule]]\nadvisories = "none"\n', "which cannot be read: No such file or directory"),
        ('[[rule]]\nadvisories = "."\n', "which has no .json file in it"),
    ],
)
def test_refused_starts(world: SourcesFileFixture, text: str, sentence: str) -> None:
    """Nothing is served without rules that were meant to be there."""
    world.write("a b\n", "bad.txt")
    world.write(text)
    with pytest.raises(RefusedStart) as caught:
        world.policies.open()
    assert sentence in str(caught.value)


def test_no_file(tmp_path: Path, log: CapturedLog) -> None:
    """Nor without the file."""
    with pytest.raises(RefusedStart, match="cannot be read"):
        SourcesFileFixture(tmp_path, log).policies.open()


def test_lists_are_opened_once(world: SourcesFileFixture) -> None:
    """Two rules that name one directory share what is known of it."""
    advise(world, "one", "1.0")
    opened: Callable[[], object] = world.lists.open("advisories:osv")
    assert world.lists.open("advisories:osv")() is opened()
    with pytest.raises(InvalidSources):
        world.lists.open("deny-names:osv")
