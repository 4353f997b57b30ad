"""An upstream, remembered: how often it is asked, what is served while it is away, and what never is."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from simpleindex.core.errors import Changed, NotAllowed, NotHere, SimpleIndexError, Unavailable
from simpleindex.core.model import Project, Status
from simpleindex.core.names import ProjectName
from simpleindex.upstreams.cache.cache_space import DiskBudget
from simpleindex.upstreams.cached import ListingAnswers
from simpleindex.upstreams.errors import FileRefused, UpstreamFailed, WrongFile
from tests.fixtures.cached_upstream import (
    ACME,
    DATA,
    METADATA,
    SIDECAR,
    WHEEL,
    CachedUpstreamFixture,
    UploadTimes,
    failure,
    read,
)
from tests.fixtures.deferreds import error, pending, result
from tests.fixtures.depth import number_of
from tests.fixtures.distributions import sdist_bytes, sdist_name, wheel_bytes, wheel_name
from tests.fixtures.memory_upstream import HOST
from tests.fixtures.stepping import at_once

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def world(tmp_path: Path) -> Iterator[CachedUpstreamFixture]:
    """An upstream that has the wheel, and nothing is ever failed unexpectedly."""
    world = CachedUpstreamFixture(tmp_path / "cache")
    world.upstream.add(WHEEL, DATA, metadata=METADATA)
    yield world
    assert world.failures == []


# -- listings -----------------------------------------------------------------------------------------------------------


def test_a_listing_is_asked_for_once_while_it_is_fresh(world: CachedUpstreamFixture) -> None:
    """The same object is answered, also at once; then it is asked again, by what it is known by."""
    project = world.project()
    (file,) = project.files
    assert (file.filename, file.url, file.sha256) == (WHEEL, None, hashlib.sha256(DATA).hexdigest())
    assert world.project() is at_once(world.source.project(ACME)) is project
    assert world.listings_asked() == 1
    world.clock.advance(601)
    assert world.project() is project
    assert world.upstream.asked[-1][2] == world.upstream.pages[ACME].validators
    assert world.listings_asked() == 2
    assert at_once(world.source.project(ACME)) is project


def test_a_listing_that_changed_is_another_object(world: CachedUpstreamFixture) -> None:
    """And one that only came again is not."""
    project = world.project()
    world.upstream.put(world.upstream.pages[ACME].project)
    world.clock.advance(601)
    assert world.project() is project
    world.upstream.add(sdist_name(), sdist_bytes())
    world.clock.advance(601)
    changed = world.project()
    assert [file.filename for file in changed.files] == [WHEEL, sdist_name()]
    assert changed is not project


@pytest.mark.parametrize(
    ("said", "expected"), [(None, 600), (0.0, 10), (30.0, 30), (1e9, 600), (float("inf"), 600)]
)
def test_how_long_a_listing_is_fresh(
    world: CachedUpstreamFixture, said: float | None, expected: float
) -> None:
    """As long as the upstream says, within bounds."""
    world.upstream.put(world.upstream.pages[ACME].project, said)
    world.project()
    world.clock.advance(expected - 1)
    assert at_once(world.source.project(ACME)) is not None
    world.clock.advance(2)


def test_after_a_restart_a_listing_is_as_fresh_as_it_was(world: CachedUpstreamFixture) -> None:
    """It is kept on the disk, with what it can be asked again by."""
    project = world.project()
    world.restart()
    assert world.project() == project
    assert world.listings_asked() == 1
    world.clock.advance(601)
    world.restart()
    assert world.project() == project
    assert world.upstream.asked[-1][2] is not None


def test_a_clock_that_was_put_back_makes_nothing_fresh(world: CachedUpstreamFixture) -> None:
    """A listing from the future is asked for again."""
    world.project()
    world.clock.rightNow -= 1e6
    world.restart()
    world.project()
    assert world.listings_asked() == 2


def test_a_clock_that_is_put_back_while_the_server_runs(
    world: CachedUpstreamFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listing is fresh as long as ever, and is stored with the time that is right now."""
    wall = 2e9
    monkeypatch.setattr(time, "monotonic", world.clock.seconds)
    monkeypatch.setattr(time, "time", lambda: wall)
    world.clock.rightNow = 5.0
    world.restart()
    world.project()
    wall -= 3e8
    world.project()
    assert world.listings_asked() == 1
    world.clock.advance(601)
    world.project()
    assert world.listings_asked() == 2
    # It was stored in what is the future now.
    world.restart()
    world.project()
    assert world.listings_asked() == 3
    world.upstream.add(sdist_name(), sdist_bytes())
    world.clock.advance(601)
    world.project()
    wall += 599
    world.restart()
    world.project()
    assert world.listings_asked() == 4
    wall += 2
    world.restart()
    world.project()
    assert world.listings_asked() == 5


def test_a_thousand_askers_are_one_question(world: CachedUpstreamFixture) -> None:
    """Of whom some leave; the work goes on for the others, and to its end if all leave."""
    world.upstream.gate = Deferred()
    asking = [world.ask() for _ in range(1000)]
    for one in asking[:500]:
        one.addErrback(lambda _: None)
        one.cancel()
    world.upstream.gate.callback(None)
    answers = {id(result(one)) for one in asking[500:]}
    assert (len(answers), world.listings_asked()) == (1, 1)
    world.clock.advance(601)
    world.upstream.gate = Deferred()
    leaver = world.ask()
    leaver.addErrback(lambda _: None)
    leaver.cancel()
    world.upstream.gate.callback(None)
    assert at_once(world.source.project(ACME)) is not None


def test_absence_is_remembered_briefly(world: CachedUpstreamFixture) -> None:
    """Also at once, so that an index behind this one can be asked at once."""
    other = ProjectName("other")
    assert isinstance(error(world.ask(other)), NotHere)
    assert isinstance(error(world.ask(other)), NotHere)
    assert world.source.answers == ListingAnswers(fresh=1, requested=1)
    with pytest.raises(NotHere):
        at_once(world.source.project(other))
    assert world.listings_asked() == 1
    world.clock.advance(61)
    world.upstream.put(Project(other))
    assert result(world.ask(other)).files == ()


def test_what_is_gone_is_gone(world: CachedUpstreamFixture) -> None:
    """Also after a restart: the listing that was kept is not served for it."""
    world.project()
    world.clock.advance(601)
    del world.upstream.pages[ACME]
    assert isinstance(error(world.ask()), NotHere)
    world.restart()
    world.upstream.error = UpstreamFailed("pypi", "it is down")
    assert error(world.ask()) is world.upstream.error


def test_an_upstream_that_is_away_is_not_missed(world: CachedUpstreamFixture) -> None:
    """What it said is served, marked as old, said once, and it is left alone for a while."""
    project = world.project()
    world.clock.advance(601)
    world.upstream.error = UpstreamFailed("pypi", "it is down")
    stale = world.project()
    assert (stale.stale, stale.files) == (True, project.files)
    assert world.project() is stale
    assert world.source.answers == ListingAnswers(fresh=0, requested=1, stale=2)
    assert world.listings_asked() == 2
    assert [line for line in world.lines if "down" in line] == world.lines
    world.clock.advance(11)
    assert world.project().stale
    assert (world.listings_asked(), len(world.lines)) == (3, 1)
    world.clock.advance(11)
    world.upstream.error = None
    assert world.project() is project
    assert world.lines[1:] == ["The upstream index pypi answers again."]


def test_what_was_never_seen_cannot_be_told(world: CachedUpstreamFixture) -> None:
    """Never "not here"."""
    world.upstream.error = UpstreamFailed("pypi", "it is down")
    assert error(world.ask()) is world.upstream.error
    assert error(world.open()) is world.upstream.error
    assert error(world.source.projects()) is world.upstream.error
    world.upstream.error = None
    assert world.project().files


def test_an_upstream_that_takes_too_long_is_waited_for_once(world: CachedUpstreamFixture) -> None:
    """Other projects that are known are answered without asking; those that are not, are asked for."""
    for version in ("1.0", "2.0"):
        world.upstream.add(wheel_name("other", version), b"x")
    for name in (ACME, ProjectName("other")):
        result(world.ask(name))
    world.clock.advance(601)
    world.upstream.error = UpstreamFailed("pypi", "it took too long", timed_out=True)
    assert world.project().stale
    asked = world.listings_asked()
    assert result(world.ask(ProjectName("other"))).stale
    assert world.listings_asked() == asked


def test_an_upstream_that_thinks_is_not_waited_for_where_something_is_known(
    world: CachedUpstreamFixture,
) -> None:
    """When it has thought, its answer is taken."""
    world.project()
    world.clock.advance(601)
    world.upstream.gate = Deferred()
    asking = world.ask()
    world.clock.advance(4)
    assert pending(asking)
    world.clock.advance(2)
    assert result(asking).stale
    world.upstream.gate.callback(None)
    assert at_once(world.source.project(ACME)) is not None


@pytest.mark.parametrize("lie", ["unchanged", "another"])
def test_an_answer_that_cannot_be_is_none(world: CachedUpstreamFixture, lie: str) -> None:
    """That nothing changed of what was never asked for; and another project's listing."""
    listing = world.upstream.pages[ACME]
    if lie == "unchanged":
        world.upstream.pages[ACME] = replace(listing, validators=None)  # type: ignore[arg-type]
        world.upstream.project = lambda *_: _none()  # type: ignore[method-assign]
    else:
        world.upstream.pages[ACME] = replace(listing, project=Project(ProjectName("other")))
    assert isinstance(error(world.ask()), UpstreamFailed)


async def _none() -> None:
    return None


def test_the_list_of_projects(world: CachedUpstreamFixture) -> None:
    """Fresh for an hour, the same object while nothing changes, stale while the upstream is away."""
    listed = result(world.source.projects())
    assert listed.names == ("acme",)
    assert at_once(world.source.projects()) is result(world.source.projects()) is listed
    world.clock.advance(3601)
    assert result(world.source.projects()) is listed
    world.clock.advance(3601)
    world.upstream.error = UpstreamFailed("pypi", "it is down")
    assert result(world.source.projects()).stale


def test_memory_is_bounded(world: CachedUpstreamFixture) -> None:
    """What is dropped from memory is read from the disk, without asking."""
    world.memory = 1
    world.restart()
    project = world.project()
    again = world.project()
    assert again == project
    assert again is not project
    assert world.bytes() == DATA
    assert world.listings_asked() == 1


# -- files --------------------------------------------------------------------------------------------------------------


def test_a_file_is_fetched_once(world: CachedUpstreamFixture) -> None:
    """Then it is in the cache, also after a restart and while the upstream is away."""
    assert world.bytes() == DATA
    assert world.bytes() == DATA
    assert world.upstream.opens() == [0]
    world.restart()
    world.upstream.error = UpstreamFailed("pypi", "it is down")
    body = result(world.open())
    assert body.accepts_ranges
    assert body.is_immutable
    assert (body.sha256, body.modified_ns) == (hashlib.sha256(DATA).hexdigest(), 1_700_000_000_000_000_000)
    assert result(body.read(5, 10)) == DATA[5:15]
    assert read(body) == DATA


def test_a_cached_file_is_opened_without_a_thread(world: CachedUpstreamFixture) -> None:
    """As one of a directory is; once an hour a thread notes on the disk that it is used, and a change is seen at once."""
    assert world.bytes() == DATA
    calls = world.threads.count
    assert world.bytes() == DATA
    assert world.threads.count == calls
    path = world.root / "upstream" / world.context.key(ACME, WHEEL).path
    facts = path.with_name(f"{path.name}.facts")
    os.utime(facts, (0, 0))
    world.clock.advance(3601)
    world.project()
    calls = world.threads.count
    assert world.bytes() == DATA
    assert (world.threads.count, facts.stat().st_mtime > 0) == (calls + 1, True)
    path.write_bytes(DATA[:-1] + b"?")
    world.upstream.error = UpstreamFailed("pypi", "it is down")
    assert failure(world.open())


def test_a_file_is_sent_while_it_is_fetched(world: CachedUpstreamFixture) -> None:
    """Several clients share the fetch; who leaves does not stop it; nobody has the last byte before it is proven."""
    world.upstream.gates = []
    world.upstream.pieces = (100,)
    opening = [world.open() for _ in range(3)]
    bodies = [result(one) for one in opening]
    assert not bodies[0].accepts_ranges
    first, end = Deferred.fromCoroutine(bodies[0].read(0, 100)), len(DATA)
    last = Deferred.fromCoroutine(bodies[1].read(0, end))
    almost = Deferred.fromCoroutine(bodies[1].read(0, end - 1))
    leaver = Deferred.fromCoroutine(bodies[2].read(0, end))
    leaver.addErrback(lambda _: None)
    leaver.cancel()
    bodies[2].close()
    assert pending(first)
    world.upstream.gates.pop().callback(None)
    assert result(first) == DATA[:100]
    assert pending(last)
    bodies[0].close()
    for _ in range(len(DATA) // 100):
        assert pending(almost)
        world.upstream.gates.pop().callback(None)
    assert result(almost) == DATA[:-1]
    assert pending(last)
    world.upstream.gates.pop().callback(None)
    assert result(last) == DATA
    bodies[1].close()
    world.upstream.gates = None
    assert world.bytes() == DATA
    assert world.upstream.opens() == [0]
    assert all(stream.is_closed for stream in world.upstream.streams)
    with pytest.raises(Changed):
        result(bodies[1].read(0, 1))


def test_a_fetch_that_nobody_waits_for_goes_on(world: CachedUpstreamFixture) -> None:
    """The client that left will request it again."""
    world.upstream.gates = []
    opening = world.open()
    world.upstream.gates[0].callback(None)
    result(opening).close()
    world.upstream.gates.pop().callback(None)
    while world.upstream.gates and not world.upstream.gates[-1].called:
        world.upstream.gates.pop().callback(None)
    world.upstream.gates = None
    assert world.bytes() == DATA
    assert world.upstream.opens() == [0]


@pytest.mark.parametrize("bare", [False, True], ids=["stated", "bare"])
@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
@pytest.mark.parametrize("says_size", [True, False], ids=["sized", "unsized"])
def test_breaks_at_every_point(tmp_path: Path, bare: bool, ranges: bool, says_size: bool) -> None:
    """A fetch goes on from where it broke off, or, where that proves nothing, from the beginning."""
    for point in range(1, len(DATA) // 200 + 1):
        world = CachedUpstreamFixture(tmp_path / f"{point}")
        world.upstream.add(WHEEL, DATA, bare=bare)
        world.upstream.pieces = (200,)
        world.upstream.ranges, world.upstream.says_size = ranges, says_size
        world.upstream.breaks = [point]
        asking = world.open()
        world.clock.advance(1)
        assert read(result(asking)) == DATA
        assert world.upstream.opens() == [0, 0 if bare else point * 200]
        assert world.project().files[0].sha256 == hashlib.sha256(DATA).hexdigest()


@pytest.mark.parametrize(("tag", "offset"), [('"a"', 200), ('W/"a"', 0), (None, 0)])
def test_without_a_digest_a_fetch_goes_on_only_where_the_file_is_the_same(
    world: CachedUpstreamFixture, tag: str | None, offset: int
) -> None:
    """By the upstream's strong tag; else two files could become one."""
    world.upstream.add(WHEEL, DATA, bare=True)
    world.upstream.pieces, world.upstream.breaks, world.upstream.etag = (200,), [1], tag
    opening = world.open()
    world.clock.advance(1)
    assert read(result(opening)) == DATA
    assert world.upstream.opens() == [0, offset]


@pytest.mark.parametrize("tag", ['"a"', None])
def test_two_files_never_become_one(world: CachedUpstreamFixture, tag: str | None) -> None:
    """A file that was replaced while it was fetched, where nobody states a digest."""
    world.upstream.add(WHEEL, DATA, bare=True)
    world.upstream.pieces, world.upstream.breaks, world.upstream.etag = (200,), [1], tag
    reading = Deferred.fromCoroutine(_in_pieces(world, [2**30]))
    world.upstream.files[f"{HOST}acme/{WHEEL}"] = b"?" * len(DATA)
    world.upstream.etag = tag and '"b"'
    world.clock.advance(1)
    assert result(reading) == (b"", False)
    assert "other bytes" in world.lines[0]


def test_what_breaks_off_behind_the_last_byte_is_whole(world: CachedUpstreamFixture) -> None:
    """There is nothing more to ask for, and servers say so with an error."""
    world.upstream.pieces, world.upstream.breaks = (len(DATA),), [1]
    world.upstream.says_size = False
    assert world.bytes() == DATA
    assert world.upstream.opens() == [0]


def test_a_fetch_that_breaks_again_and_again_has_failed(world: CachedUpstreamFixture) -> None:
    """After a bounded number of times; the next client begins anew."""
    world.upstream.pieces = (10,)
    world.upstream.breaks = [1] * 100
    body = result(world.open())
    reading = Deferred.fromCoroutine(body.read(0, len(DATA)))
    for _ in range(10):
        world.clock.advance(5)
    assert isinstance(error(reading), UpstreamFailed)
    body.close()
    assert world.upstream.opens() == [0, 10, 20, 30, 40]
    world.upstream.breaks = []
    assert world.bytes() == DATA


@pytest.mark.parametrize(
    "wrong",
    [DATA[:-1] + b"?", b"?" + DATA[1:], DATA[:-1], DATA + b"?", b"", DATA * 2],
    ids=["last byte", "first byte", "short", "long", "empty", "twice"],
)
@pytest.mark.parametrize("says_size", [True, False], ids=["sized", "unsized"])
def test_another_file_than_the_listed_one_reaches_nobody(
    world: CachedUpstreamFixture, wrong: bytes, says_size: bool
) -> None:
    """Nobody gets its last byte; it is said, thrown away, and not fetched again at once; the listing is doubted."""
    world.upstream.files[f"{HOST}acme/{WHEEL}"] = wrong
    world.upstream.says_size = says_size
    world.upstream.pieces = (50,)
    assert _patiently(world)[1] is False
    # One that ends too soon may be whole the next time.
    is_known_as_wrong = any("thrown away" in line for line in world.lines)
    if is_known_as_wrong:
        assert isinstance(error(world.open()), WrongFile)
    assert not [path for path in (world.root / "upstream" / "given").rglob("*") if path.is_file()]
    assert is_known_as_wrong or "cannot be fetched. The upstream index pypi" in world.lines[0]
    assert not is_known_as_wrong or (world.listings_asked(), len(world.upstream.opens())) == (2, 1)
    world.upstream.files[f"{HOST}acme/{WHEEL}"] = DATA
    world.clock.advance(40)
    assert world.bytes() == DATA
    assert not [*(world.root / "upstream" / "new").iterdir()]


def _patiently(world: CachedUpstreamFixture) -> tuple[bytes, bool]:
    """What a client has of the wheel in the end, and whether it thinks that this is all."""
    reading = Deferred.fromCoroutine(_in_pieces(world, [2**30]))
    for _ in range(20):
        world.clock.advance(1 if pending(reading) else 0)
    found: tuple[bytes, bool] = result(reading)
    return found


@pytest.mark.parametrize(
    ("algorithm", "digest", "is_right"),
    [
        ("md5", hashlib.md5(DATA).hexdigest(), True),
        ("sha512", hashlib.sha512(DATA).hexdigest().upper(), True),
        ("sha512", "00" * 64, False),
        ("md5", "00" * 16, False),
        ("crc-what", "00", True),
        ("shake_128", "00", True),
    ],
)
def test_another_hash_counts_where_there_is_no_better_one(
    world: CachedUpstreamFixture, algorithm: str, digest: str, is_right: bool
) -> None:
    """As far as it can be computed."""
    world.upstream.add(WHEEL, DATA, bare=True, other_hash=(algorithm, digest))
    if is_right:
        assert world.bytes() == DATA
    else:
        assert isinstance(failure(world.open()), WrongFile)


def test_what_an_upstream_leaves_out_is_added_once_it_is_known(world: CachedUpstreamFixture) -> None:
    """Size, digest, metadata, Requires-Python; it stays known, also without the wheel."""
    world.upstream.add(WHEEL, DATA, bare=True)
    before = world.project().files[0]
    assert (before.size, before.sha256, before.metadata, before.requires_python) == (None, None, None, None)
    assert isinstance(error(world.open(SIDECAR)), NotHere)
    assert world.bytes() == DATA
    after = world.project().files[0]
    assert (after.size, after.sha256) == (len(DATA), hashlib.sha256(DATA).hexdigest())
    assert after.requires_python == ">=3.9"
    assert world.bytes(SIDECAR) == METADATA
    assert at_once(world.source.project(ACME)) is world.project()
    world.restart()
    assert world.project().files[0] == after
    assert world.bytes() == DATA
    assert world.bytes(SIDECAR) == METADATA
    assert world.upstream.opens() == [0]
    shutil.rmtree(world.root / "upstream" / "given")
    world.restart()
    assert world.bytes(SIDECAR) == METADATA
    assert world.upstream.opens() == [0, 0]


def test_what_was_learnt_of_a_file_does_not_outlive_it(world: CachedUpstreamFixture) -> None:
    """A file that an upstream without digests replaced is refused once, and then believed."""
    world.upstream.add(WHEEL, DATA, bare=True)
    assert world.bytes() == DATA
    shutil.rmtree(world.root / "upstream" / "given")
    world.restart()
    other = wheel_bytes("acme", "1.0", "Requires-Python: >=3.12")
    world.upstream.files[f"{HOST}acme/{WHEEL}"] = other
    assert isinstance(failure(world.open()), WrongFile)
    world.clock.advance(11)
    assert world.bytes() == other
    assert world.project().files[0].requires_python == ">=3.12"


def test_a_file_that_the_upstream_has_not_got(world: CachedUpstreamFixture) -> None:
    """It is not here, and the listing that has it is asked for again."""
    del world.upstream.files[f"{HOST}acme/{WHEEL}"]
    assert isinstance(error(world.open()), NotHere)
    assert world.listings_asked() == 2
    assert isinstance(error(world.open("acme-9.0.tar.gz")), NotHere)
    assert isinstance(error(world.open(f"{WHEEL}.asc")), NotHere)


def test_a_quarantined_project_has_no_files(world: CachedUpstreamFixture) -> None:
    """Whatever an upstream lists beside that."""
    listing = world.upstream.pages[ACME].project
    world.upstream.put(replace(listing, status=Status.QUARANTINED))
    assert world.project().files == ()
    assert isinstance(error(world.open()), NotAllowed)


def test_metadata_come_from_the_upstream_where_it_states_them(world: CachedUpstreamFixture) -> None:
    """Once, proven, and without the wheel."""
    assert world.bytes(SIDECAR) == METADATA
    world.restart()
    assert world.bytes(SIDECAR) == METADATA
    assert len(world.upstream.opens()) == 1
    assert all(what[1].endswith(".metadata") for what in world.upstream.asked if what[0] == "open")


@pytest.mark.parametrize("wrong", [METADATA + b"?", b"", b"x" * 20_000_000], ids=["other", "empty", "huge"])
def test_wrong_metadata_reach_nobody(world: CachedUpstreamFixture, wrong: bytes) -> None:
    """It is said, and those of the wheel are served."""
    world.upstream.files[f"{HOST}acme/{SIDECAR}"] = wrong
    world.upstream.pieces = (1_000_000,)
    assert world.bytes(SIDECAR) == METADATA
    assert "thrown away" in world.lines[-1]


def test_a_file_of_unknown_size_is_waited_for_within_bounds(world: CachedUpstreamFixture) -> None:
    """A response needs its length; a client waits only so long."""
    world.upstream.add(WHEEL, DATA, bare=True)
    world.upstream.says_size = False
    world.upstream.gates = []
    opening = world.open()
    world.clock.advance(11)
    assert isinstance(error(opening), Unavailable)
    gates, world.upstream.gates = world.upstream.gates, None
    gates[0].callback(None)
    assert world.bytes() == DATA
    assert world.upstream.opens() == [0]


@pytest.mark.parametrize("data", [b"not a wheel", b""])
def test_a_wheel_that_is_none_is_passed_on(world: CachedUpstreamFixture, data: bytes) -> None:
    """It is what the upstream says that it is; no more is said of it."""
    world.upstream.add(WHEEL, data)
    assert world.bytes() == data
    assert world.project().files[0].metadata is None


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    """It is said once; everything is served all the same."""
    (tmp_path / "cache").write_text("in the way")
    world = CachedUpstreamFixture(tmp_path / "cache")
    world.upstream.add(WHEEL, DATA, bare=True)
    assert world.bytes() == DATA
    assert world.bytes() == DATA
    assert world.project().files[0].size == len(DATA)
    assert len(world.lines) == 1
    assert "cannot be written" in world.lines[0]


def test_a_file_that_is_too_large_to_be_kept_is_passed_on(tmp_path: Path) -> None:
    """Nothing else has to go for it."""
    world = CachedUpstreamFixture(tmp_path / "cache", DiskBudget(budget=len(DATA) - 1, floor=0))
    world.upstream.add(WHEEL, DATA)
    assert world.bytes() == DATA
    assert world.bytes() == DATA
    assert world.upstream.opens() == [0, 0]


def test_an_endless_file_ends(tmp_path: Path) -> None:
    """Where nobody says how long it is."""
    world = CachedUpstreamFixture(tmp_path / "cache", DiskBudget(floor=0, largest=1500))
    world.upstream.add(WHEEL, b"x" * 5000, bare=True)
    world.upstream.says_size = False
    assert isinstance(failure(world.open()), WrongFile)


def test_a_file_is_refused_that_is_listed_with_more_bytes_than_any_may_have(tmp_path: Path) -> None:
    """Before anything is removed or requested for it, whatever an upstream states."""
    world = CachedUpstreamFixture(tmp_path / "cache")
    world.upstream.add(WHEEL, DATA)
    assert world.bytes() == DATA
    world.upstream.add(other := wheel_name("acme", "2.0"), DATA, size=(1 << 53) - 1)
    world.clock.advance(100_000)
    refused = failure(world.open(other))
    assert "(largest-file in [cache])" in str(refused)
    assert world.bytes() == DATA
    assert world.upstream.opens() == [0]


def test_stopping_gives_up_what_is_fetched(world: CachedUpstreamFixture) -> None:
    """No client is left waiting, and nothing lies about."""
    world.upstream.gates, world.upstream.pieces = [], (100,)
    body = result(world.open())
    reading = Deferred.fromCoroutine(body.read(0, len(DATA)))
    world.source.stop()
    world.upstream.gates[0].callback(None)
    assert isinstance(error(reading), UpstreamFailed)
    assert not [*(world.root / "upstream" / "new").iterdir()]


@settings(deadline=None, max_examples=number_of(150))
@given(
    pieces=st.lists(st.integers(1, 700), min_size=1, max_size=8),
    reads=st.lists(st.integers(1, 900), min_size=1, max_size=8),
    breaks=st.lists(st.integers(1, 6), max_size=3),
    ranges=st.booleans(),
    bare=st.booleans(),
    flip=st.none() | st.integers(0, len(DATA) - 1),
    leaves=st.booleans(),
)
def test_whatever_happens_a_client_has_the_right_file_or_not_all_of_one(
    *,
    pieces: list[int],
    reads: list[int],
    breaks: list[int],
    ranges: bool,
    bare: bool,
    flip: int | None,
    leaves: bool,
) -> None:
    """However it is cut, read, broken off or changed under way."""
    with TemporaryDirectory() as root:
        world = CachedUpstreamFixture(Path(root))
        world.upstream.add(WHEEL, DATA, bare=bare)
        world.upstream.pieces, world.upstream.breaks, world.upstream.ranges = pieces, list(breaks), ranges
        if flip is not None and not bare:
            changed = bytearray(DATA)
            changed[flip] ^= 1
            world.upstream.files[f"{HOST}acme/{WHEEL}"] = bytes(changed)
        got = [Deferred.fromCoroutine(_in_pieces(world, reads)) for _ in range(2)]
        if leaves:
            got.pop().addErrback(lambda _: None).cancel()
        for _ in range(12):
            world.clock.advance(5)
        for one in got:
            data, whole = result(one)
            assert not whole or data == DATA
            assert whole or flip is not None or len(breaks) > 4
        assert world.failures == []


async def _in_pieces(world: CachedUpstreamFixture, sizes: list[int]) -> tuple[bytes, bool]:
    """What a client has in the end, and whether it thinks that this is all."""
    try:
        body = await world.source.file(ACME, WHEEL)
    except SimpleIndexError:
        return b"", False
    assert body.size is not None
    data, turn = b"", 0
    try:
        while len(data) < body.size:
            data += await body.read(len(data), min(sizes[turn % len(sizes)], body.size - len(data)))
            turn += 1
    except SimpleIndexError:
        return data, False
    finally:
        body.close()
    return data, True


def test_a_file_without_a_date_is_as_old_as_its_first_sight(tmp_path: Path) -> None:
    """Also after a restart and without the cache; and says so. The upstream's own date is never asked about."""
    world = CachedUpstreamFixture(tmp_path / "cache")
    world.seen = seen = UploadTimes()
    world.restart()
    dated, undated = (wheel_name("acme", version) for version in ("2.0", "3.0"))
    world.upstream.add(dated, b"dated")
    world.upstream.add(undated, b"undated", uploaded_ns=None)
    began = int(world.clock.seconds() * 1e9)
    file = {each.filename: each for each in world.project().files}
    assert (file[undated].uploaded_ns, file[undated].dated_by) == (began, "first-seen")
    assert file[dated].dated_by is None
    assert set().union(*seen.asked) == {undated}
    world.clock.advance(10_000)
    shutil.rmtree(tmp_path / "cache")
    world.restart()
    file = {each.filename: each for each in world.project().files}
    assert file[undated].uploaded_ns == began
    # Other bytes are another file.
    world.upstream.add(undated, b"replaced", uploaded_ns=None)
    world.clock.advance(10_000)
    file = {each.filename: each for each in world.project().files}
    assert file[undated].uploaded_ns == int(world.clock.seconds() * 1e9)


def test_a_file_says_when_it_was_modified(tmp_path: Path) -> None:
    """Which is better than when it was seen, and is kept with what else it taught; a date that is none says nothing."""
    world = CachedUpstreamFixture(tmp_path)
    world.seen = UploadTimes()
    world.restart()
    world.upstream.pages.clear()
    world.upstream.add(WHEEL, DATA, uploaded_ns=None)
    world.upstream.last_modified = "Sun, 06 Nov 1994 08:49:37 GMT"
    assert world.bytes() == DATA
    (file,) = world.project().files
    assert (file.uploaded_ns, file.dated_by) == (784_111_777_000_000_000, "last-modified")
    world.restart()
    (file,) = world.project().files
    assert (file.uploaded_ns, file.dated_by) == (784_111_777_000_000_000, "last-modified")
    shutil.rmtree(tmp_path)
    world.restart()
    world.upstream.last_modified = "yesterday"
    assert world.bytes() == DATA
    (file,) = world.project().files
    assert file.dated_by == "first-seen"


# -- links that expire --------------------------------------------------------------------------------------------------


def sign(world: CachedUpstreamFixture, number: int, **facts: Any) -> str:
    """List the wheel under another signed URL, and take away what was at the one before."""
    world.upstream.files.clear()
    file = world.upstream.add(WHEEL, DATA, **facts)
    assert file.url is not None
    url = f"{file.url}?X-Amz-Expires=60&X-Amz-Signature={number}"
    world.upstream.files = {url: DATA}
    world.upstream.put(Project(ACME, (replace(file, url=url),)))
    return url


@pytest.mark.parametrize("bare", [True, False])
def test_a_link_that_has_expired(world: CachedUpstreamFixture, *, bare: bool) -> None:
    """The listing is asked for once more, and its new link is tried; several clients cause one question."""
    sign(world, 1, bare=bare)
    world.project()
    url = sign(world, 2, bare=bare)
    bodies = [world.open() for _ in range(3)]
    assert [read(result(body)) for body in bodies] == [DATA] * 3
    assert world.listings_asked() == 2
    assert world.upstream.opens() == [0, 0]
    assert world.upstream.asked[-1][1] == url


@pytest.mark.parametrize("error", [NotHere("file x"), FileRefused("pypi", "no.")])
def test_a_file_that_is_gone(world: CachedUpstreamFixture, error: Exception) -> None:
    """One more question for the listing does not help, so the client gets what the upstream says."""
    world.project()
    world.upstream.refused = error
    with pytest.raises(type(error)):
        result(world.open())
    assert world.listings_asked() == 2
    assert world.upstream.opens() == [0]


def test_what_was_learnt_outlives_a_signature(world: CachedUpstreamFixture) -> None:
    """A file without a stated hash is not fetched again because its link is another one."""
    sign(world, 1, bare=True)
    assert world.bytes() == DATA
    sign(world, 2, bare=True)
    world.clock.advance(601)
    assert world.project().files[0].sha256 == hashlib.sha256(DATA).hexdigest()
    assert world.bytes() == DATA
    assert world.upstream.opens() == [0]


def test_facts_that_got_lost_are_read_from_the_cached_file(tmp_path: Path) -> None:
    """The listing's record may be gone while the file is not."""
    world = CachedUpstreamFixture(tmp_path / "cache")
    world.upstream.add(WHEEL, DATA, size=None)
    assert world.bytes() == DATA
    shutil.rmtree(world.root / "upstream" / "listings")
    world.restart()
    assert world.project().files[0].size is None
    assert world.bytes() == DATA
    (file,) = world.project().files
    assert (file.size, file.metadata is not None) == (len(DATA), True)
    assert world.upstream.opens() == [0]


def test_a_project_that_is_gone_has_no_new_link(world: CachedUpstreamFixture) -> None:
    """The client hears what the upstream says of the file."""
    world.project()
    del world.upstream.pages[ACME]
    world.upstream.files.clear()
    assert str(error(world.open())) == str(NotHere(f"file {HOST}acme/{WHEEL}"))


def test_what_a_file_of_an_older_listing_showed_is_not_said_of_a_newer_one(
    world: CachedUpstreamFixture,
) -> None:
    """The listing changed while the file came."""
    other = wheel_bytes("acme", "1.0", "Summary: other")
    world.upstream.gates, world.upstream.pieces = [], (100,)
    world.upstream.add(WHEEL, DATA, bare=True)
    opening = world.open()
    world.upstream.gates.pop().callback(None)
    world.upstream.add(WHEEL, other)
    world.clock.advance(601)
    world.project()
    gates, world.upstream.gates = world.upstream.gates, None
    for gate in gates:
        gate.callback(None)
    assert read(result(opening)) == DATA
    (file,) = world.project().files
    assert (file.size, file.sha256) == (len(other), hashlib.sha256(other).hexdigest())
