"""Snapshots in step with the disk, whatever happens, in whatever order threads, events, clients and the clock have it."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from simpleindex.core.errors import BrokenProject, Unavailable
from simpleindex.core.model import Status
from simpleindex.core.names import ProjectName
from simpleindex.directory.live.live_directory import LONGEST_WAIT
from simpleindex.directory.live.root_guard import UNTIL_READ
from simpleindex.directory.scan import batches as batch_reading
from simpleindex.directory.watch.inotify import InotifyWatch
from simpleindex.directory.watch.interface import NoWatch, WatchUnavailable
from simpleindex.system.errors import own_trouble
from simpleindex.system.stamp import Stamp
from tests.fixtures.deferreds import error, facts, pending, result
from tests.fixtures.distributions import add_sdist, add_wheel, put, wheel_bytes, wheel_name
from tests.fixtures.inotify import ManualReaders
from tests.fixtures.live_directory import ACME, LONG_AFTER_NS, OTHER, LiveDirectoryFixture, frozen_stamp
from tests.fixtures.stepping import at_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

GONE = "Every project has vanished from the root of the index."
ELSEWHERE = "Another directory or file system lies where the root of the index was."
UNREADABLE = "The root of the index cannot be read (No such file or directory)."
BACK = "The root of the index is back."
FIRST_TIME = "The index is still being read for the first time."


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root of an index with two projects."""
    root = tmp_path / "root"
    add_wheel(root, "acme")
    add_wheel(root, "other")
    return root


@pytest.fixture
def world(root: Path) -> LiveDirectoryFixture:
    """That index, read once."""
    return LiveDirectoryFixture(root).begin()


@pytest.fixture
def small_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every second file of a project counts as large."""
    monkeypatch.setattr(batch_reading, "_BUDGET", 1)


def report(world: LiveDirectoryFixture, *names: str) -> None:
    """Let an event arrive."""
    world.live.directories_changed(frozenset(names))


def swap(root: Path, aside: str = "aside") -> Path:
    """Put the root aside, as an unmount does."""
    return root.rename(root.with_name(aside))


class TellingWatch(NoWatch):
    """Events wait until they are drained; remembers what it was asked to watch."""

    def __init__(self) -> None:
        self.events: list[Callable[[], object]] = []
        self.watched: list[str] = []

    def watch(self, names: Any) -> None:
        self.watched += names

    def drain(self) -> None:
        events, self.events = self.events, []
        for event in events:
            event()


# -- the first reading ----------------------------------------------------------------------------------------------


def test_what_lies_there_is_known_after_the_first_reading(root: Path) -> None:
    """Projects, their files and the list of them; the caller that began is called once it is complete."""
    world = LiveDirectoryFixture(root)
    done = world.live.begin(world.watch)
    assert result(done) is None
    assert world.live.complete
    assert world.names() == ["acme", "other"]
    assert world.files() == [wheel_name()]
    assert result(world.ask(ProjectName("nobody"))) is None
    assert world.lines == []


def test_whether_a_file_is_there(world: LiveDirectoryFixture) -> None:
    """By its name, also of a project that is not there."""
    assert world.live.has_file(ProjectName("acme"), wheel_name())
    assert not world.live.has_file(ProjectName("acme"), wheel_name(version="2.0"))
    assert not world.live.has_file(ProjectName("nobody"), wheel_name("nobody"))


def test_an_empty_root_is_complete_at_once(tmp_path: Path) -> None:
    """An index may begin with nothing, and then it knows that it has nothing."""
    world = LiveDirectoryFixture(tmp_path / "root").begin()
    assert world.live.complete
    assert world.names() == []
    assert result(world.ask()) is None


def test_every_directory_is_watched_before_it_is_listed(root: Path) -> None:
    """What arrives between listing and watching would never be reported."""
    add_wheel(root, "acme", "2.0", directory="Acme")
    watch = TellingWatch()
    world = LiveDirectoryFixture(root, watch=watch)
    world.reads.held = True
    world.begin()
    world.reads.deliver()
    assert sorted(watch.watched) == ["Acme", "acme", "other"]
    assert set(world.reads.names()) == {"read"}
    assert not any(call.has_run for call in world.reads.calls)


def test_directories_are_watched_before_they_are_listed_and_a_few_at_a_time(root: Path) -> None:
    """To watch them all at once would keep every client waiting, at the start of a large index."""
    for number in range(100):
        (root / f"p{number}").mkdir()
    watch = TellingWatch()
    world = LiveDirectoryFixture(root, watch=watch)
    world.begin()
    fresh = TellingWatch()
    world = LiveDirectoryFixture(root, watch=fresh)
    world.reads.held = True
    world.begin()
    world.reads.deliver()
    assert 0 < len(fresh.watched) < 100
    while world.reads.calls:
        watched = set(fresh.watched)
        world.reads.deliver()
        assert set(world.live.snapshots) <= watched
    assert sorted(fresh.watched) == sorted(watch.watched)
    assert len(set(fresh.watched)) >= 100


def test_until_the_first_catalogue_an_unknown_name_cannot_be_answered(root: Path) -> None:
    """404 would send a client to the public package of that name; a known one is read first and answered."""
    for number in range(100):
        add_wheel(root, f"p{number}")
    world = LiveDirectoryFixture(root)
    world.reads.held = True
    world.begin()
    unknown, known = world.ask(ProjectName("nobody")), world.ask(ProjectName("p99"))
    world.reads.deliver()
    assert facts(error(unknown)) == (FIRST_TIME, 2)
    assert pending(known)
    # Two batches run already, for which nobody waits; the third is for those that wait.
    world.reads.deliver(2)
    assert result(known).project.name == "p99"
    assert not world.live.complete
    world.reads.release()
    assert world.live.complete
    assert result(world.ask(ProjectName("nobody"))) is None


def test_the_list_waits_for_the_first_catalogue_but_not_for_ever(root: Path) -> None:
    """A list that lacks names would be a lie; after ten seconds a client hears that it cannot be answered yet."""
    world = LiveDirectoryFixture(root)
    world.reads.held = True
    world.begin()
    impatient = Deferred.fromCoroutine(world.live.project_list())
    world.clock.advance(9.9)
    patient = Deferred.fromCoroutine(world.live.project_list())
    assert pending(impatient)
    world.clock.advance(0.1)
    assert facts(error(impatient)) == (FIRST_TIME, 2)
    world.reads.release()
    assert result(patient).names == ("acme", "other")


def test_a_root_that_is_missing_at_first_is_taken_when_it_comes(tmp_path: Path) -> None:
    """Nothing is known of any name until then, and no request waits for it; even if it comes empty."""
    world = LiveDirectoryFixture(tmp_path / "root")
    world.root.rmdir()
    world.begin()
    assert facts(error(world.ask()))[1] == 30
    assert facts(error(world.live.project_list()))[0].startswith(UNREADABLE)
    world.root.mkdir()
    world.sweep()
    assert world.names() == []
    assert result(world.ask()) is None


def test_a_list_asked_for_while_the_root_comes(root: Path) -> None:
    """A request finds the root that was missing, and waits for what lies there to be read."""
    aside = swap(root)
    world = LiveDirectoryFixture(root)
    root.rmdir()
    world.live.polling = True
    world.begin()
    world.reads.held = True
    asked = Deferred.fromCoroutine(world.live.project_list())
    aside.rename(root)
    world.reads.release()
    assert result(asked).names == ("acme", "other")


# -- changes --------------------------------------------------------------------------------------------------------


def test_a_reported_change_is_in_the_next_answer(world: LiveDirectoryFixture, root: Path) -> None:
    """Files come, are replaced and go."""
    path = add_wheel(root, "acme", "2.0")
    report(world, "acme")
    assert world.files() == [wheel_name(), wheel_name(version="2.0")]
    before = world.project().files[1].sha256
    put(path, wheel_bytes("acme", "2.0", "Requires-Python: >=3.11"))
    report(world, "acme")
    assert world.project().files[1].sha256 != before
    path.unlink()
    report(world, "acme")
    assert world.files() == [wheel_name()]


def test_an_unchanged_project_stays_the_same_object(world: LiveDirectoryFixture, root: Path) -> None:
    """Pages made from it stay good, however often it is looked at."""
    before, names = world.project(), result(world.live.project_list())
    world.live.everything_changed()
    assert result(world.live.project_list()) is names
    add_wheel(root, "other", "2.0")
    world.live.everything_changed()
    assert world.project() is before
    # The list has the serials of projects, and so is another one.
    assert result(world.live.project_list()).names == names.names


def test_waiting_events_are_heard_before_an_answer(root: Path) -> None:
    """The reactor may not have come to them yet."""
    watch = TellingWatch()
    world = LiveDirectoryFixture(root, watch=watch).begin()
    add_wheel(root, "acme", "2.0")
    watch.events.append(lambda: report(world, "acme"))
    assert world.files() == [wheel_name(), wheel_name(version="2.0")]
    add_wheel(root, "new")
    watch.events.append(world.live.root_changed)
    assert world.names() == ["acme", "new", "other"]
    assert watch.watched[-1] == "new"


def test_a_change_during_a_look_is_looked_at_again(world: LiveDirectoryFixture, root: Path) -> None:
    """The look has read the old state; a request after the event gets the new one."""
    world.reads.held = True
    report(world, "acme")
    early = world.ask()
    world.reads.start()
    add_wheel(root, "acme", "2.0")
    report(world, "acme")
    late = world.ask()
    world.reads.deliver()
    assert len(result(early).project.files) == 1
    assert pending(late)
    world.reads.deliver()
    assert len(result(late).project.files) == 2


def test_a_project_is_removed_and_comes_back(root: Path) -> None:
    """Its directory is watched again when it is listed again."""
    watch = TellingWatch()
    world = LiveDirectoryFixture(root, watch=watch).begin()
    shutil.rmtree(root / "acme")
    report(world, "acme")
    world.live.root_changed()
    assert result(world.ask()) is None
    assert world.names() == ["other"]
    assert ACME not in world.live.snapshots
    watch.watched.clear()
    add_wheel(root, "acme", "2.0")
    world.live.root_changed()
    assert watch.watched == ["acme"]
    assert world.files() == [wheel_name(version="2.0")]
    assert world.names() == ["acme", "other"]


def test_a_project_whose_directory_is_emptied_and_filled(world: LiveDirectoryFixture, root: Path) -> None:
    """An empty directory is no project, and its name no listed one, until something lies in it."""
    (root / "acme" / wheel_name()).unlink()
    report(world, "acme")
    assert result(world.ask()) is None
    assert world.names() == ["other"]
    add_wheel(root, "acme")
    world.reads.held = True
    report(world, "acme")
    listing = Deferred.fromCoroutine(world.live.project_list())
    assert pending(listing)
    world.reads.release()
    assert result(listing).names == ("acme", "other")


def test_the_list_waits_for_new_projects_and_for_no_others(world: LiveDirectoryFixture, root: Path) -> None:
    """Who copies a project in and lists at once sees it; five thousand changed old ones hold up nobody."""
    add_wheel(root, "new")
    world.reads.held = True
    report(world, "acme")
    world.live.root_changed()
    listing = Deferred.fromCoroutine(world.live.project_list())
    world.reads.deliver(1)
    assert pending(listing)
    world.reads.deliver(1)
    assert world.reads.names() == ["read"]
    assert result(listing).names == ("acme", "new", "other")


def test_other_spellings_and_loose_files_are_one_project(world: LiveDirectoryFixture, root: Path) -> None:
    """Wherever its files lie; a loose one may be overwritten under its name."""
    add_wheel(root, "acme", "2.0", directory="ACME")
    loose = put(root / wheel_name(version="3.0"), wheel_bytes("acme", "3.0"))
    world.live.root_changed()
    assert [file.version for file in world.project().files] == ["1.0", "2.0", "3.0"]
    before = world.project().files[2].sha256
    loose.write_bytes(wheel_bytes("acme", "3.0", "Summary: other"))
    world.live.root_changed()
    assert world.project().files[2].sha256 != before
    add_wheel(root, "acme", "4.0", directory="ACME")
    report(world, "ACME", "not a name")
    assert [file.version for file in world.project().files] == ["1.0", "2.0", "3.0", "4.0"]
    loose.unlink()
    world.live.root_changed()
    assert [file.version for file in world.project().files] == ["1.0", "2.0", "4.0"]


def test_the_generation_rises_with_every_change(world: LiveDirectoryFixture, root: Path) -> None:
    """Two lists of one generation would be two truths; a change still being read has none yet."""
    add_wheel(root, "new1")
    add_wheel(root, "new2")
    world.reads.held = True
    world.live.root_changed()
    world.reads.deliver()
    assert len(world.reads.calls) == 2
    world.reads.deliver()
    half = world.live._list()
    seen = world.live.generation
    world.reads.release()
    whole = result(world.live.project_list())
    assert len(half.names) == len(whole.names) - 1
    assert world.live.generation > seen


def test_a_quarantined_project_is_not_listed(world: LiveDirectoryFixture, root: Path) -> None:
    """PEP 792, as PyPI does; its page is there."""
    (root / "acme" / "simpleindex.toml").write_text('status = "quarantined"')
    report(world, "acme")
    assert world.names() == ["other"]
    assert world.project().status is Status.QUARANTINED
    (root / "acme" / "simpleindex.toml").unlink()
    report(world, "acme")
    assert world.names() == ["acme", "other"]


def test_the_door_returns_with_the_present_state(world: LiveDirectoryFixture, root: Path) -> None:
    """Also of what nothing reported: a file, and a directory of another spelling."""
    add_wheel(root, "acme", "2.0")
    result(world.live.changed(ACME))
    assert len(world.files()) == 2
    add_wheel(root, "new-one", directory="New_One")
    result(world.live.changed(ProjectName("new-one")))
    assert world.files(ProjectName("new-one")) == [wheel_name("new-one")]
    shutil.rmtree(root / "New_One")
    result(world.live.changed(ProjectName("new-one")))
    assert result(world.ask(ProjectName("new-one"))) is None


def test_what_is_asked_anew_is_looked_at_anew_and_waits_no_longer(
    world: LiveDirectoryFixture, root: Path
) -> None:
    """A request that found the disk ahead of the snapshot gets what is there, or 503."""
    add_wheel(root, "acme", "2.0")
    assert len(result(world.live.rescanned(ACME)).project.files) == 2
    assert result(world.live.rescanned(ProjectName("nobody"))) is None
    world.reads.held = True
    waiting = Deferred.fromCoroutine(world.live.rescanned(ProjectName("nobody")))
    world.clock.advance(10)
    assert isinstance(error(waiting), Unavailable)


# -- large files ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_budget")
def test_a_new_project_with_large_files_waits_for_all_of_them(
    world: LiveDirectoryFixture, root: Path
) -> None:
    """Half a listing would be a lie, and to know nothing is no 404."""
    for version in ("1.0", "2.0", "3.0"):
        add_wheel(root, "new", version)
    world.long_reads.held = True
    world.live.root_changed()
    new = ProjectName("new")
    impatient = world.ask(new)
    world.clock.advance(5)
    patient = world.ask(new)
    world.clock.advance(5)
    assert facts(error(impatient))[1] == 2
    world.long_reads.deliver()
    assert pending(patient)
    world.long_reads.deliver()
    assert [file.version for file in result(patient).project.files] == ["1.0", "2.0", "3.0"]
    assert world.names() == ["acme", "new", "other"]


@pytest.mark.usefixtures("small_budget")
def test_a_large_file_that_arrives_is_waited_for_and_then_the_old_listing_given(
    world: LiveDirectoryFixture, root: Path
) -> None:
    """Copy and install at once finds it; when it takes longer than ten seconds, what was true stays true."""
    add_wheel(root, "acme", "2.0")
    add_wheel(root, "acme", "3.0")
    world.long_reads.held = True
    report(world, "acme")
    impatient = world.ask()
    world.clock.advance(9)
    patient = world.ask()
    world.clock.advance(1)
    listed = result(impatient).project
    assert 1 < len(listed.files) < 3
    world.long_reads.release()
    assert len(result(patient).project.files) == 3


@pytest.mark.usefixtures("small_budget")
def test_a_quick_look_overtakes_a_long_read_and_nothing_is_lost(
    world: LiveDirectoryFixture, root: Path
) -> None:
    """What the long read learnt is kept, what it did not see is looked at; no file is read twice."""
    for version in ("2.0", "3.0"):
        add_wheel(root, "acme", version)
    world.long_reads.held = True
    report(world, "acme")
    world.long_reads.start()
    (root / "acme" / wheel_name(version="1.0")).unlink()
    put(root / "acme" / "simpleindex.toml", b'status = "archived"')
    report(world, "acme")
    waiting = world.ask()
    world.long_reads.deliver()
    world.long_reads.release()
    project = result(waiting).project
    assert project.status is Status.ARCHIVED
    assert [file.version for file in project.files] == ["2.0", "3.0"]
    assert len(world.files()) == 2


@pytest.mark.usefixtures("small_budget")
@pytest.mark.parametrize("through_the_door", [False, True])
def test_a_look_that_a_long_read_overtakes_is_repeated_before_anybody_hears(
    world: LiveDirectoryFixture, root: Path, through_the_door: bool
) -> None:
    """The long read began before the change, and what the look saw of it is not what is published."""
    path = root / "acme" / wheel_name()
    os.link(path, root.with_name("backup"))
    world.long_reads.held = True
    report(world, "acme")
    world.reads.held = True
    world.long_reads.start()
    add_wheel(root, "acme", "2.0")
    if through_the_door:
        asked: Deferred[Any] = Deferred.fromCoroutine(world.live.rescanned(ACME))
        world.reads.deliver()
    else:
        report(world, "acme")
        asked = world.ask()
    world.reads.start()
    world.long_reads.deliver()
    world.long_reads.held = False
    world.reads.deliver()
    world.reads.release()
    assert [file.version for file in result(asked).project.files] == ["1.0", "2.0"]


@pytest.mark.usefixtures("small_budget")
def test_a_project_removed_during_its_long_read_stays_removed(
    world: LiveDirectoryFixture, root: Path
) -> None:
    """What was read of it has no place any more."""
    for version in ("2.0", "3.0"):
        add_wheel(root, "acme", version)
    world.long_reads.held = True
    report(world, "acme")
    world.long_reads.start()
    shutil.rmtree(root / "acme")
    report(world, "acme")
    world.live.root_changed()
    assert result(world.ask()) is None
    world.long_reads.release()
    assert result(world.ask()) is None
    assert ACME not in world.live.snapshots
    assert world.names() == ["other"]


@pytest.mark.usefixtures("small_budget")
@pytest.mark.parametrize("hold_survey", [False, True])
def test_a_root_that_vanishes_ends_the_wait_for_a_large_file(
    world: LiveDirectoryFixture, root: Path, hold_survey: bool
) -> None:
    """Nothing is read again and again that cannot be read."""
    for version in ("2.0", "3.0"):
        add_wheel(root, "acme", version)
    world.long_reads.held = True
    report(world, "acme")
    waiting = world.ask()
    swap(root)
    world.reads.held = hold_survey
    world.long_reads.release()
    world.reads.release()
    assert facts(error(waiting))[0].startswith(UNREADABLE)


@pytest.mark.usefixtures("small_budget")
def test_a_root_gone_only_while_a_large_file_was_read(world: LiveDirectoryFixture, root: Path) -> None:
    """Requests for the file wait until it is read again."""
    for version in ("2.0", "3.0"):
        add_wheel(root, "acme", version)
    world.long_reads.held = True
    report(world, "acme")
    waiting = world.ask()
    aside = swap(root)
    world.long_reads.start()
    aside.rename(root)
    world.reads.held = True
    world.long_reads.deliver()
    world.reads.deliver()
    assert pending(waiting)
    world.long_reads.release()
    world.reads.release()
    assert len(result(waiting).project.files) == 3


def test_a_changed_ctime_keeps_the_file_listed_until_it_is_verified(
    world: LiveDirectoryFixture, root: Path
) -> None:
    """Hard-link backups change it, which no event reports; the file is read again in the background and nobody waits."""
    project = world.project()
    path = root / "acme" / wheel_name()
    os.link(path, root.with_name("backup"))
    world.long_reads.held = True
    world.sweep(30)
    assert world.project() is project
    assert world.live.snapshots[ACME].unverified
    assert world.long_reads.names() == ["read"]
    world.long_reads.release()
    assert world.project() is project
    assert not world.live.snapshots[ACME].unverified


def test_a_link_does_not_hide_a_write_that_an_event_reported(world: LiveDirectoryFixture, root: Path) -> None:
    """Neither from the look that follows, nor from later ones without an event, until the file has been read again."""
    path = root / "acme" / wheel_name()
    before, times = world.project().files[0].sha256, path.stat()
    with path.open("r+b") as file:
        file.write(path.read_bytes()[:-1] + b"\1")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    os.link(path, root.with_name("link"))
    world.long_reads.held = True
    report(world, "acme")
    asked = [world.ask()]
    world.sweep(30)
    asked.append(world.ask())
    assert not any(each.called for each in asked)
    world.long_reads.release()
    for each in asked:
        assert before not in {file.sha256 for file in result(each).project.files}


def test_a_change_made_here_does_not_wait_until_files_in_doubt_are_read_again(
    world: LiveDirectoryFixture, root: Path
) -> None:
    """After a backup by hard links that may be all of a large project; the upload itself is read and listed."""
    os.link(root / "acme" / wheel_name(), root.with_name("backup"))
    add_wheel(root, "acme", "2.0")
    world.long_reads.held = True
    report(world, "acme")
    uploaded = Deferred.fromCoroutine(world.live.changed_here(ACME))
    assert uploaded.called
    page, other = world.ask(), Deferred.fromCoroutine(world.live.rescanned(ACME))
    assert not page.called
    assert not other.called
    world.long_reads.release()
    for each in (page, other):
        assert [file.version for file in result(each).project.files] == ["1.0", "2.0"]


# -- answers at once ------------------------------------------------------------------------------------------------


def test_what_is_settled_is_answered_at_once_and_nothing_else(
    world: LiveDirectoryFixture, root: Path
) -> None:
    """The express lane asks only this: None means that somebody must wait, or that there is nothing."""
    live = world.live
    assert at_once(live.up_to_date(ACME)) is live.snapshots[ACME]
    assert at_once(live.up_to_date(ProjectName("nobody"))) is None
    assert at_once(live.project_list()) is result(live.project_list())
    world.reads.held = True
    report(world, "acme")
    assert at_once(live.up_to_date(ACME)) is None
    assert at_once(live.up_to_date(OTHER)) is live.snapshots[OTHER]
    world.reads.release()
    assert at_once(live.up_to_date(ACME)) is live.snapshots[ACME]
    live.polling = True
    live.polling = False
    swap(root)
    world.sweep()
    with pytest.raises(Unavailable):
        at_once(live.up_to_date(ACME))


# -- waiting, leaving and failing -----------------------------------------------------------------------------------


def test_a_client_that_leaves_takes_nothing_with_it(world: LiveDirectoryFixture, root: Path) -> None:
    """Its question ends at once; the look goes on, and others that wait for it are answered."""
    add_wheel(root, "acme", "2.0")
    world.reads.held = True
    report(world, "acme")
    leaving, staying = world.ask(), world.ask()
    leaving.cancel()
    with pytest.raises(CancelledError):
        result(leaving)
    world.reads.release()
    assert len(result(staying).project.files) == 2
    assert not world.clock.getDelayedCalls()


def test_a_client_that_leaves_during_the_first_reading(root: Path) -> None:
    """The rest is read, and the caller that began is called."""
    world = LiveDirectoryFixture(root)
    world.reads.held = True
    done = world.live.begin(world.watch)
    leaving = Deferred.fromCoroutine(world.live.project_list())
    leaving.cancel()
    with pytest.raises(CancelledError):
        result(leaving)
    world.reads.release()
    result(done)
    assert world.names() == ["acme", "other"]


def test_a_new_name_that_cannot_be_looked_at_in_time_cannot_be_answered(
    world: LiveDirectoryFixture, root: Path
) -> None:
    """Something is there and has not been read: that is no 404, however long the disk takes."""
    new = ProjectName("new")
    add_wheel(root, "new")
    world.reads.held = True
    world.live.root_changed()
    waiting, known = world.ask(new), world.ask()
    world.clock.advance(10)
    assert isinstance(error(waiting), Unavailable)
    assert len(result(known).project.files) == 1
    world.reads.release()
    assert world.files(new) == [wheel_name("new")]


def test_an_exception_in_a_thread_costs_one_project_for_one_look(
    world: LiveDirectoryFixture, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is reported, the project cannot be answered, the others go on, and the next sweep tries again."""
    (root / "acme" / "simpleindex.toml").write_text('status = "archived"')
    report(world, "acme")
    look = world.directory.look

    def broken(directories: tuple[str, ...], loose: tuple[str, ...]) -> Any:
        if directories == ("acme",):
            raise ZeroDivisionError
        return look(directories, loose)

    monkeypatch.setattr(world.directory, "look", broken)
    world.live.everything_changed()
    assert facts(error(world.ask())) == ("The project acme could not be read; the log says more.", 30)
    assert world.files(OTHER) == [wheel_name("other")]
    assert world.names() == ["acme", "other"]
    assert [failure.type for failure in world.failures] == [ZeroDivisionError]
    world.failures.clear()
    monkeypatch.undo()
    # The last good project file outlives it.
    (root / "acme" / "simpleindex.toml").write_text("broken")
    world.sweep()
    assert world.project().status is Status.ARCHIVED


def test_an_exception_in_a_survey_is_reported(
    world: LiveDirectoryFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is known stays."""

    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(world.directory, "survey", broken)
    world.live.root_changed()
    assert [failure.type for failure in world.failures] == [ZeroDivisionError]
    assert world.names() == ["acme", "other"]


@pytest.mark.parametrize("polling", [False, True])
def test_a_first_survey_that_failed_is_tried_again(
    root: Path, polling: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the next sweep, whatever it failed with; a machine may be short of threads for a while."""
    world = LiveDirectoryFixture(root)
    world.live.polling = polling

    def broken() -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(world.directory, "survey", broken)
        world.begin()
        world.sweep()
    assert [failure.type for failure in world.failures] == [RuntimeError, RuntimeError]
    assert not world.live.complete
    world.failures.clear()
    world.sweep()
    assert world.live.complete
    assert world.names() == ["acme", "other"]


def test_a_directory_that_cannot_be_read_is_no_missing_project(
    world: LiveDirectoryFixture, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be answered, and it counts as there: the last other project may go without a false alarm."""
    listdir = os.listdir

    def refused(path: str) -> list[str]:
        if path.endswith("acme"):
            raise OSError(errno.EIO, "Input/output error")
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refused)
    report(world, "acme")
    sentence = "The directory acme cannot be read: Input/output error."
    assert facts(error(world.ask())) == (sentence, 30)
    assert world.taken_lines() == [f"acme cannot be answered for: {sentence}"]
    shutil.rmtree(root / "other")
    world.live.root_changed()
    report(world, "other")
    assert world.live.suspended is None
    assert result(world.ask(OTHER)) is None
    monkeypatch.undo()
    # No event reports that a disk is well again.
    world.sweep()
    assert world.files() == [wheel_name()]


def test_a_broken_project_file(world: LiveDirectoryFixture, root: Path) -> None:
    """Without a last good one the project cannot be answered, for a yank must not vanish; with one that stays in force."""
    toml = root / "acme" / "simpleindex.toml"
    toml.write_text("what = 1")
    report(world, "acme")
    assert "unknown key" in facts(error(world.ask()))[0]
    assert world.names() == ["acme", "other"]
    toml.write_text('status = "deprecated"')
    report(world, "acme")
    assert world.project().status is Status.DEPRECATED
    toml.write_text("what = 1")
    report(world, "acme")
    assert world.project().status is Status.DEPRECATED
    assert [item.rule for _, item in world.live.withheld()] == ["project-file"]


def test_stopping_cancels_what_is_scheduled(root: Path) -> None:
    """Nothing of it is left in the reactor."""
    world = LiveDirectoryFixture(root)
    world.just_after(root / "other" / wheel_name("other"))
    world.begin()
    assert world.clock.getDelayedCalls()
    world.live.stop()
    assert not world.clock.getDelayedCalls()


# -- the root vanishes ----------------------------------------------------------------------------------------------


def vanish(root: Path) -> None:
    """The path is gone."""
    swap(root)


def be_replaced(root: Path) -> None:
    """An empty directory of another inode, as an unmounted disk leaves it."""
    swap(root)
    root.mkdir()


def be_replaced_by_another_index(root: Path) -> None:
    """Another directory, which has projects of its own."""
    swap(root)
    add_wheel(root, "alien")


def be_emptied(root: Path) -> None:
    """The same directory, in which nothing is left."""
    aside = root.with_name("aside")
    aside.mkdir()
    for entry in list(root.iterdir()):
        entry.rename(aside / entry.name)


def restore(root: Path) -> None:
    """Undo any of these."""
    aside = root.with_name("aside")
    if (
        os.path.exists(root)
        and (aside / "acme").exists()
        and not (root / "alien").exists()
        and _emptied(root)
    ):
        for entry in list(aside.iterdir()):
            entry.rename(root / entry.name)
        aside.rmdir()
        return
    if root.exists():
        shutil.rmtree(root)
    aside.rename(root)


def _emptied(root: Path) -> bool:
    return root.with_name("inode").read_text() == str(root.stat().st_ino)


LOSSES = {
    "vanishes": (vanish, UNREADABLE),
    "is replaced": (be_replaced, ELSEWHERE),
    "is replaced by another index": (be_replaced_by_another_index, ELSEWHERE),
    "is emptied": (be_emptied, GONE),
}


@pytest.fixture(params=list(LOSSES.values()), ids=list(LOSSES))
def loss(request: pytest.FixtureRequest, root: Path) -> tuple[Callable[[Path], None], str]:
    """A way to lose the root, and the sentence that it is answered with."""
    root.with_name("inode").write_text(str(root.stat().st_ino))
    found: tuple[Callable[[Path], None], str] = request.param
    return found


UNTIL_BACK = "Nothing is answered until it is back, or until an operator has looked (SIGHUP)."


def unanswered(world: LiveDirectoryFixture, reason: str, until: str = UNTIL_BACK) -> bool:
    """Whether nothing at all is answered, for this reason."""
    sentence = f"{reason} {until}"
    questions = [
        world.ask(),
        world.ask(ProjectName("nobody")),
        Deferred.fromCoroutine(world.live.project_list()),
    ]
    return all(facts(error(question)) == (sentence, 30) for question in questions)


def notice(world: LiveDirectoryFixture) -> None:
    """Let it be noticed, by whatever notices it."""
    world.sweep()
    world.live.root_changed()


def _root_first(world: LiveDirectoryFixture) -> None:
    world.live.root_changed()
    report(world, "acme", "other")


def _directories_first(world: LiveDirectoryFixture) -> None:
    report(world, "acme", "other")
    world.live.root_changed()


def _sweep_from_now_on(world: LiveDirectoryFixture) -> None:
    world.live.polling = True
    Deferred.fromCoroutine(world.live.sweep(1))


EVENTS: dict[str, Callable[[LiveDirectoryFixture], object]] = {
    "root first": _root_first,
    "directories first": _directories_first,
    "watch failed": lambda world: world.live.watch_failed("Gone."),
    "overflow": lambda world: world.live.everything_changed(),
    "none but sweeps": _sweep_from_now_on,
}


@pytest.mark.parametrize("happen", EVENTS.values(), ids=EVENTS.keys())
@pytest.mark.parametrize("newest_first", [False, True])
def test_no_moment_of_a_lost_root_gives_a_404(
    root: Path,
    loss: tuple[Callable[[Path], None], str],
    happen: Callable[[LiveDirectoryFixture], object],
    newest_first: bool,
) -> None:
    """Whichever events come, and in whichever order threads end: at every step each known name waits or is known."""
    lose, reason = loss
    world = LiveDirectoryFixture(root).begin()
    asked = []
    world.reads.held = True
    report(world, "acme")
    world.reads.start()
    lose(root)
    happen(world)
    for step in range(100):
        # Where nothing reports changes, each question is a call more.
        if step < 10:
            asked += [world.ask(), world.ask(OTHER)]
        if world.reads.calls:
            world.reads.deliver(-1 if newest_first else 0)
    assert not world.reads.calls
    for question in asked:
        if isinstance(outcome := _outcome(question), Exception):
            assert isinstance(outcome, Unavailable)
        else:
            assert outcome is not None, "a known name was not found"
    world.reads.release()
    world.sweep()
    assert unanswered(world, reason)


def _outcome(question: Deferred[Any]) -> Any:
    try:
        return result(question)
    except Unavailable as raised:
        return raised


def test_a_lost_root_that_returns_is_answered_from_again(
    world: LiveDirectoryFixture, root: Path, loss: tuple[Callable[[Path], None], str]
) -> None:
    """It says so once each time, and files changed meanwhile are seen."""
    lose, reason = loss
    before = world.project()
    lose(root)
    notice(world)
    assert unanswered(world, reason)
    assert [line.startswith(reason) for line in world.taken_lines()] == [True]
    restore(root)
    add_wheel(root, "other", "2.0")
    world.sweep()
    assert world.live.suspended is None
    assert world.taken_lines() == [BACK]
    assert world.project() == before
    assert len(world.files(OTHER)) == 2
    assert world.names() == ["acme", "other"]


@pytest.mark.parametrize("polling", [False, True])
def test_a_lost_root_that_an_operator_accepts_is_taken_as_it_is(
    world: LiveDirectoryFixture, root: Path, loss: tuple[Callable[[Path], None], str], polling: bool
) -> None:
    """Then what is not there is not there; while it cannot be read, nothing can be answered all the same."""
    lose, reason = loss
    world.live.polling = polling
    lose(root)
    notice(world)
    assert unanswered(world, reason)
    world.live.accept()
    if reason is UNREADABLE:
        assert unanswered(world, reason)
        root.mkdir()
        world.sweep()
    assert world.live.suspended is None
    assert world.names() == (["alien"] if lose is be_replaced_by_another_index else [])
    assert result(world.ask()) is None
    add_wheel(root, "acme", "3.0")
    world.live.root_changed()
    assert world.files() == [wheel_name(version="3.0")]


def test_between_acceptance_and_the_new_catalogue_nothing_is_missing(
    world: LiveDirectoryFixture, root: Path
) -> None:
    """It is read as if for the first time."""
    be_replaced_by_another_index(root)
    world.sweep()
    world.reads.held = True
    world.live.accept()
    unknown = world.ask()
    assert pending(unknown)
    world.reads.deliver()
    assert isinstance(error(unknown), Unavailable)
    world.reads.release()
    assert world.names() == ["alien"]


def test_acceptance_in_good_times_only_looks_again(world: LiveDirectoryFixture, root: Path) -> None:
    """SIGHUP has other purposes too."""
    before = world.project()
    (root / "other" / wheel_name("other")).write_bytes(wheel_bytes("other", "1.0", "Summary: x"))
    sha256 = world.project(OTHER).files[0].sha256
    world.live.accept()
    assert world.live.complete
    assert world.project() is before
    assert world.project(OTHER).files[0].sha256 != sha256


def test_what_was_read_in_the_old_root_is_not_taken_for_the_new_one(
    world: LiveDirectoryFixture, root: Path
) -> None:
    """A long look may end after the root was lost, accepted and surveyed anew."""
    add_wheel(root, "acme", "2.0")
    world.reads.held = True
    report(world, "acme")
    report(world, "new")
    world.reads.start()
    world.reads.start(1)
    old_acme, old_new = world.reads.calls
    world.reads.calls.clear()
    world.reads.held = False
    be_replaced_by_another_index(root)
    world.sweep()
    world.live.accept()
    add_wheel(root, "acme", "9.0")
    world.live.root_changed()
    old_acme.deliver()
    old_new.deliver()
    assert world.files() == [wheel_name(version="9.0")]
    assert world.names() == ["acme", "alien"]
    assert world.live.suspended is None


def test_a_root_gone_only_while_it_was_looked_at(world: LiveDirectoryFixture, root: Path) -> None:
    """The wish is not lost although the survey finds everything as it was."""
    add_wheel(root, "acme", "2.0")
    world.reads.held = True
    report(world, "acme")
    aside = swap(root)
    world.reads.start()
    aside.rename(root)
    world.reads.release()
    assert len(world.files()) == 2


def test_a_new_name_is_not_missing_because_the_root_went(world: LiveDirectoryFixture, root: Path) -> None:
    """It was there when it was asked for, and it was never looked at."""
    new = ProjectName("new")
    add_wheel(root, "new")
    world.reads.held = True
    world.live.root_changed()
    waiting = world.ask(new)
    world.reads.deliver()
    swap(root)
    world.reads.release()
    assert isinstance(error(waiting), Unavailable)


def test_a_root_that_cannot_be_listed_is_not_back_because_a_project_can(
    world: LiveDirectoryFixture, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which names there are is not known then."""
    scandir = os.scandir

    def refused(path: str) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refused)
    world.live.root_changed()
    report(world, "acme")
    assert unanswered(world, "The root of the index cannot be read (Permission denied).", UNTIL_READ)
    (failure,) = world.failures
    assert own_trouble(failure.value) is not None
    world.failures.clear()
    monkeypatch.setattr(os, "scandir", scandir)
    world.sweep()
    assert world.names() == ["acme", "other"]


def test_an_index_without_projects_survives_a_lost_root(tmp_path: Path) -> None:
    """When the same empty directory is back, there is nothing to wait for."""
    world = LiveDirectoryFixture(tmp_path / "root").begin()
    aside = swap(world.root)
    world.sweep()
    assert unanswered(world, UNREADABLE)
    aside.rename(world.root)
    world.sweep()
    assert world.names() == []


def test_an_emptied_root_stays_suspect_when_it_goes_and_comes_back(root: Path) -> None:
    """Empty before and empty after is not the return of what was there."""
    world = LiveDirectoryFixture(root).begin()
    shutil.rmtree(root / "acme")
    shutil.rmtree(root / "other")
    report(world, "acme", "other")
    aside = swap(root)
    world.sweep()
    aside.rename(root)
    world.sweep()
    assert isinstance(error(world.ask()), Unavailable)


def test_the_last_files_vanish_from_directories_that_stay(world: LiveDirectoryFixture, root: Path) -> None:
    """A disk mounted deeper goes like this; what is found again is offered, of the rest nothing is known until all is."""
    (root / "other" / wheel_name("other")).unlink()
    report(world, "other")
    assert result(world.ask(OTHER)) is None
    (root / "acme" / wheel_name()).unlink()
    report(world, "acme")
    assert unanswered(world, GONE)
    world.sweep()
    assert unanswered(world, GONE)
    add_wheel(root, "acme", "2.0")
    report(world, "acme")
    assert world.files() == [wheel_name(version="2.0")]
    assert isinstance(error(world.ask(OTHER)), Unavailable)
    assert isinstance(error(world.ask(ProjectName("nobody"))), Unavailable)
    assert isinstance(error(Deferred.fromCoroutine(world.live.project_list())), Unavailable)
    add_wheel(root, "other")
    report(world, "other")
    assert world.names() == ["acme", "other"]
    assert result(world.ask(ProjectName("nobody"))) is None


def test_a_restored_backup_is_no_moment_without_its_other_names(
    world: LiveDirectoryFixture, root: Path
) -> None:
    """Directories come back one after the other; a name that is not back yet is not "not here"."""
    for name in ("acme", "other"):
        (root / name).rename(root.with_name(name))
    world.live.root_changed()
    report(world, "acme", "other")
    assert unanswered(world, GONE)
    add_wheel(root, "new")
    world.live.root_changed()
    assert world.files(ProjectName("new")) == [wheel_name("new")]
    assert isinstance(error(world.ask()), Unavailable)
    for name in ("acme", "other"):
        assert isinstance(error(world.ask(OTHER)), Unavailable)
        root.with_name(name).rename(root / name)
        world.live.root_changed()
    assert world.names() == ["acme", "new", "other"]


def test_an_empty_root_that_once_held_something_is_not_mounted_yet(tmp_path: Path) -> None:
    """At a start the cache knows; the disk that then comes is taken, and so is an operator's word."""
    root = tmp_path / "root"
    root.mkdir()
    world = LiveDirectoryFixture(root)
    world.digests.remembers_anything = lambda: True  # type: ignore[method-assign]
    done = world.live.begin(world.watch)
    assert unanswered(world, GONE)
    add_wheel(root, "acme")
    world.sweep()
    assert result(done) is None
    assert world.names() == ["acme"]


def test_an_empty_root_may_be_meant(tmp_path: Path) -> None:
    """After SIGHUP it is what it is, and the next start does not ask again."""
    root = tmp_path / "root"
    root.mkdir()
    forgotten: list[object] = []
    world = LiveDirectoryFixture(root)
    world.digests.remembers_anything = lambda: True  # type: ignore[method-assign]
    world.digests.forget_others = forgotten.append  # type: ignore[method-assign, assignment]
    done = world.live.begin(world.watch)
    assert world.live.suspended
    world.live.accept()
    assert result(done) is None
    assert result(world.ask()) is None
    assert forgotten == [()]


def test_not_here_is_known_and_not_believed(world: LiveDirectoryFixture, root: Path) -> None:
    """Mounting a disk over a directory makes no event; a name is compared with the disk before it is denied."""
    (root / "new").mkdir()
    assert result(world.ask(ProjectName("new"))) is None
    add_wheel(root, "new")
    assert world.files(ProjectName("new")) == [wheel_name("new")]


def test_where_events_report_changes_a_slow_sweep_finds_the_rest(
    world: LiveDirectoryFixture, root: Path
) -> None:
    """A file cut by its path makes no event that is watched for."""
    os.truncate(root / "acme" / wheel_name(), 10)
    Deferred.fromCoroutine(world.live.sweep(1))
    assert len(world.files()) == 1
    Deferred.fromCoroutine(world.live.sweep(30))
    assert world.files() == []


def test_a_file_that_arrives_while_the_root_is_being_suspended_is_found(
    world: LiveDirectoryFixture, root: Path
) -> None:
    """Its look began before and ended after; nothing else will report it again."""
    world.reads.held = True
    shutil.rmtree(root / "other")
    (root / "acme" / wheel_name()).unlink()
    report(world, "acme")
    world.reads.deliver()
    report(world, "other")
    add_wheel(root, "acme", "2.0")
    report(world, "acme")
    world.reads.start(1)
    world.reads.deliver(0)
    assert world.live.suspended
    world.reads.release()
    assert world.files() == [wheel_name(version="2.0")]


# -- polling --------------------------------------------------------------------------------------------------------


@pytest.fixture
def polled(world: LiveDirectoryFixture) -> LiveDirectoryFixture:
    """Nothing reports changes."""
    world.live.polling = True
    return world


def test_a_request_looks_first_where_nothing_reports_changes(
    polled: LiveDirectoryFixture, root: Path
) -> None:
    """A new file, a new project, a removed one, an edited project file."""
    add_wheel(root, "acme", "2.0")
    assert len(polled.files()) == 2
    add_wheel(root, "new", directory="New")
    assert polled.files(ProjectName("new")) == [wheel_name("new")]
    (root / "acme" / "simpleindex.toml").write_text('status = "archived"')
    assert polled.project().status is Status.ARCHIVED
    shutil.rmtree(root / "New")
    assert result(polled.ask(ProjectName("new"))) is None
    assert polled.names() == ["acme", "other"]
    add_wheel(root, "newer")
    assert polled.names() == ["acme", "newer", "other"]


def test_an_unchanged_project_costs_no_look(polled: LiveDirectoryFixture) -> None:
    """A request compares what is there with what was there; an unknown name leaves nothing behind."""
    before = polled.live.generation
    polled.files()
    polled.names()
    assert result(polled.ask(ProjectName("nobody"))) is None
    polled.sweep(10)
    assert polled.live.generation == before
    assert set(polled.live.snapshots) == {"acme", "other"}


@pytest.mark.parametrize("ends_first", [False, True])
def test_a_look_that_began_before_a_file_was_there(
    polled: LiveDirectoryFixture, root: Path, ends_first: bool
) -> None:
    """Nobody notes what came meanwhile, so a page or list that is requested then waits for a look that begins then."""
    new = ProjectName("new")
    for request in (
        lambda: polled.ask(new),
        lambda: Deferred.fromCoroutine(polled.live.project_list()),
    ):
        (root / new).mkdir()
        polled.reads.held = True
        polled.live.root_changed()
        polled.reads.deliver()  # the survey
        polled.reads.start()
        path = add_wheel(root, new)
        waiting = request()
        if ends_first:
            # Before the request has compared anything.
            polled.reads.deliver()
        polled.reads.release()
        found = result(waiting)
        assert new in getattr(found, "names", {new} if found else ())
        shutil.rmtree(path.parent)
        assert polled.names() == ["acme", "other"]


def test_a_request_looks_first_also_during_the_first_reading(root: Path) -> None:
    """Before the survey there is nothing to compare with, so it waits for that."""
    world = LiveDirectoryFixture(root)
    world.live.polling = True
    world.reads.held = True
    world.begin()
    waiting = world.ask()
    assert world.reads.names() == ["_survey_now"]
    world.reads.release()
    assert len(result(waiting).project.files) == 1


def test_a_write_in_place_is_found_by_every_tenth_sweep(polled: LiveDirectoryFixture, root: Path) -> None:
    """Its directory's mtime is as it was, and to compare every file costs much. A request for it notices at once."""

    def digest() -> str | None:
        project = polled.live.snapshots[ACME].project
        assert project is not None
        return project.files[0].sha256

    path = root / "acme" / wheel_name()
    before = digest()
    for count in (10, 20):
        path.write_bytes(wheel_bytes("acme", "1.0", f"Summary: written in place {count}"))
        for early in range(count - 9, count):
            polled.sweep(early)
            assert digest() == before
        polled.sweep(count)
        assert digest() != before
        before = digest()
    path.write_bytes(wheel_bytes("acme", "1.0", "Summary: written in place once more"))
    assert polled.project().files[0].sha256 != before


def test_a_withheld_file_is_looked_at_by_every_sweep(polled: LiveDirectoryFixture, root: Path) -> None:
    """It may be one that is still being written."""
    path = root / "acme" / wheel_name(version="2.0")
    data = wheel_bytes("acme", "2.0")
    path.write_bytes(data[:-9])
    polled.sweep(1)
    assert len(polled.files()) == 1
    with path.open("ab") as file:
        file.write(data[-9:])
    polled.sweep(2)
    assert [item.version for item in polled.live.snapshots[ACME].project.files] == ["1.0", "2.0"]  # type: ignore[union-attr]


def test_sweeps_find_what_nobody_asks_for(polled: LiveDirectoryFixture, root: Path) -> None:
    """New and gone projects, new files."""
    add_wheel(root, "new")
    add_wheel(root, "acme", "2.0")
    shutil.rmtree(root / "other")
    polled.sweep(1)
    projects = {
        name: len(snapshot.project.files)
        for name, snapshot in polled.live.snapshots.items()
        if snapshot.project
    }
    assert projects == {"acme": 2, "new": 1}


def test_what_changed_just_now_is_looked_at_by_every_sweep(polled: LiveDirectoryFixture, root: Path) -> None:
    """No second look is scheduled where sweeps do it."""
    path = add_wheel(root, "acme", "2.0")
    polled.just_after(path)
    polled.sweep(1)
    assert polled.live.snapshots[ACME].young
    assert not polled.clock.getDelayedCalls()
    before = polled.live.generation
    polled.sweep(2)
    assert polled.live.generation > before


def test_a_root_that_changed_just_now_is_not_trusted_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two loose files that arrive within one tick of its time leave one stamp, and the second must be found."""
    monkeypatch.setattr(Stamp, "of", frozen_stamp)
    root = tmp_path / "root"
    root.mkdir()
    put(root / wheel_name(), wheel_bytes())
    tick = 1_700_000_000_000_000_000
    os.utime(root, ns=(tick, tick))
    world = LiveDirectoryFixture(root)
    world.now_ns = tick + 1
    world.live.polling = True
    world.begin()
    assert len(world.files()) == 1
    put(root / wheel_name(version="2.0"), wheel_bytes("acme", "2.0"))
    os.utime(root, ns=(tick, tick))
    assert len(world.files()) == 2
    put(root / wheel_name("other"), wheel_bytes("other"))
    os.utime(root, ns=(tick, tick))
    assert world.names() == ["acme", "other"]


def test_a_sweep_of_a_lost_root_stops_there(polled: LiveDirectoryFixture, root: Path) -> None:
    """To look for every project where none can be is work for nothing."""
    swap(root)
    before = polled.live.generation
    polled.sweep(10)
    assert polled.live.generation == before + 1
    assert unanswered(polled, UNREADABLE)


def test_a_lost_root_is_noticed_by_a_request_where_nothing_reports_changes(
    polled: LiveDirectoryFixture, root: Path, loss: tuple[Callable[[Path], None], str]
) -> None:
    """And so is its return."""
    lose, reason = loss
    lose(root)
    assert unanswered(polled, reason)
    restore(root)
    assert polled.files() == [wheel_name()]
    assert polled.names() == ["acme", "other"]


def test_without_watch_and_sweep_only_the_door_is_open(world: LiveDirectoryFixture, root: Path) -> None:
    """--watch off: what was read first is answered, until something asks for a look."""
    add_wheel(root, "acme", "2.0")
    assert len(world.files()) == 1
    result(world.live.changed(ACME))
    assert len(world.files()) == 2


def test_a_failed_watch_is_replaced_by_sweeping(root: Path) -> None:
    """It says so, looks at everything it may have missed, and asks the watch nothing more."""
    watch = TellingWatch()
    world = LiveDirectoryFixture(root, watch=watch).begin()
    add_wheel(root, "acme", "2.0")
    watch.events.append(lambda: world.live.watch_failed("No more watches."))
    assert len(world.files()) == 2
    assert world.live.polling
    assert world.lines == ["No more watches. The directory is swept for changes instead."]
    watch.watched.clear()
    add_wheel(root, "new")
    assert world.names() == ["acme", "new", "other"]
    assert watch.watched == []


def test_a_watch_may_fail_while_it_is_given_directories(root: Path) -> None:
    """The survey that gave them goes on, and another follows."""

    class Limited(NoWatch):
        def watch(self, names: Any) -> None:
            live.watch_failed("No more watches.")

    world = LiveDirectoryFixture(root)
    live = world.live
    result(world.live.begin(Limited()))
    assert world.live.polling
    assert world.names() == ["acme", "other"]


# -- what is young --------------------------------------------------------------------------------------------------


def same_size_wheels() -> tuple[bytes, bytes]:
    """Two wheels that differ in nothing but their bytes."""
    by_size: dict[int, bytes] = {}
    for number in itertools.count():
        data = wheel_bytes("acme", "1.0", f"Summary: {number}")
        if (other := by_size.setdefault(len(data), data)) != data:
            return other, data
    raise AssertionError


def test_a_file_overwritten_within_one_tick_is_read_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same inode, size and times, other bytes: after 2.1 s the digest is that of what is there."""
    monkeypatch.setattr(Stamp, "of", frozen_stamp)
    tick = 1_700_000_000_000_000_000
    path = root / "acme" / wheel_name()
    first, second = same_size_wheels()
    path.write_bytes(first)
    for changed in (path, path.parent, root):
        os.utime(changed, ns=(tick, tick))
    world = LiveDirectoryFixture(root)
    world.now_ns = tick + 1_000_000
    world.begin()
    before = world.project()
    with path.open("r+b") as file:
        file.write(second)
    os.utime(path, ns=(tick, tick))
    world.now_ns = tick + 2_100_000_000
    world.clock.advance(2.1)
    assert world.project().files[0].sha256 != before.files[0].sha256
    assert not world.live.snapshots[ACME].young
    world.clock.advance(2.1)
    assert not world.clock.getDelayedCalls()


def test_second_looks_go_on_while_changes_do(root: Path) -> None:
    """One at a time for a project, and the last is 2.1 s after the last change."""
    path = root / "acme" / wheel_name()
    world = LiveDirectoryFixture(root)
    world.just_after(path)
    world.begin()
    report(world, "acme")
    assert len(world.clock.getDelayedCalls()) == 2
    world.clock.advance(2.1)
    assert len(world.clock.getDelayedCalls()) == 2
    world.now_ns += 2_100_000_000
    # The first of these may find nothing young but in what was kept so far; the second leaves no doubt.
    world.clock.advance(2.1)
    world.clock.advance(2.1)
    assert not world.clock.getDelayedCalls()
    assert world.files() == [wheel_name()]


# -- what is said ---------------------------------------------------------------------------------------------------


def test_files_that_come_change_and_go_are_logged(world: LiveDirectoryFixture, root: Path) -> None:
    """One line a project and batch, and nothing about what lay there at the start."""
    assert world.changes == []
    add_wheel(root, "acme", "2.0")
    add_wheel(root, "acme", "3.0")
    report(world, "acme")
    (root / "acme" / wheel_name(version="2.0")).write_bytes(
        wheel_bytes("acme", "2.0", "Summary: other bytes")
    )
    (root / "acme" / wheel_name(version="3.0")).unlink()
    report(world, "acme")
    add_wheel(root, "fresh")
    world.live.everything_changed()
    world.live.everything_changed()
    two, three = wheel_name(version="2.0"), wheel_name(version="3.0")
    assert world.changes == [
        f"acme: {two}, {three} appeared.",
        f"acme: {three} vanished; {two} changed.",
        f"fresh: {wheel_name('fresh')} appeared.",
    ]


def test_a_withheld_file_is_logged_once(world: LiveDirectoryFixture, root: Path) -> None:
    """However often it is looked at; and again when it was mended and broke anew."""
    path = root / "acme" / wheel_name(version="2.0")
    path.write_bytes(b"no zip")
    report(world, "acme")
    report(world, "acme")
    world.live.everything_changed()
    (line,) = world.taken_lines()
    assert line.startswith(f"acme/{path.name} is not served: ")
    path.write_bytes(wheel_bytes("acme", "2.0"))
    report(world, "acme")
    assert world.taken_lines() == []
    path.write_bytes(b"no zip")
    report(world, "acme")
    assert world.taken_lines() == [line]
    path.unlink()
    report(world, "acme")
    assert world.live._withheld_log._logged == {}


def test_a_half_written_file_is_logged_only_when_it_stays_so(world: LiveDirectoryFixture, root: Path) -> None:
    """A copy under way is no event for an operator; an abandoned one is."""
    path = root / "acme" / wheel_name(version="2.0")
    path.write_bytes(wheel_bytes("acme", "2.0")[:-9])
    world.just_after(path)
    report(world, "acme")
    assert world.taken_lines() == []
    assert [(name, item.filename) for name, item in world.live.withheld()] == [(ACME, path.name)]
    world.now_ns += 2_000_000_000
    world.clock.advance(2.1)
    (line,) = world.taken_lines()
    assert line.startswith(f"acme/{path.name} is not served: ")
    world.clock.advance(100)
    assert world.taken_lines() == []


def test_strays_in_the_root_are_logged_once(world: LiveDirectoryFixture, root: Path) -> None:
    """They have no project to be withheld in."""
    stray = root / "what-is-this.whl"
    stray.touch()
    world.live.root_changed()
    world.live.root_changed()
    (line,) = world.taken_lines()
    assert list(world.live.strays) == ["what-is-this.whl"]
    stray.unlink()
    world.live.root_changed()
    assert world.live.strays == {}
    stray.touch()
    world.live.root_changed()
    assert world.taken_lines() == [line]


# -- with the real watch --------------------------------------------------------------------------------------------


@pytest.fixture
def watched(root: Path) -> Iterator[LiveDirectoryFixture]:
    """A live directory to which the kernel reports."""
    world = LiveDirectoryFixture(root)
    watch = InotifyWatch(ManualReaders(), str(root), world.live)
    watch.start()
    world.watch = watch
    world.begin()
    yield world
    watch.stop()


def test_what_the_kernel_reports_is_in_the_very_next_answer(
    watched: LiveDirectoryFixture, root: Path
) -> None:
    """Copy, then install at once: wheels and sdists in old, new, renamed and re-created directories."""
    for number in range(20):
        add_wheel(root, "acme", f"2.{number}")
        assert len(watched.files()) == number + 2
    name = ProjectName("new")
    for number in range(20):
        add_sdist(root, "new", f"1.{number}")
        assert len(watched.files(name)) == 1
        assert watched.names() == ["acme", "new", "other"]
        add_wheel(root, "new", f"1.{number}")
        assert len(watched.files(name)) == 2
        shutil.rmtree(root / "new")
        assert result(watched.ask(name)) is None
        assert watched.names() == ["acme", "other"]
    (root / "acme").rename(root / "ACME")
    assert len(watched.files()) == 21
    (root / "ACME" / wheel_name()).unlink()
    assert len(watched.files()) == 20


def test_a_root_that_the_kernel_says_is_gone_is_swept_for(watched: LiveDirectoryFixture, root: Path) -> None:
    """Events end with it; its return is found all the same."""
    aside = swap(root)
    assert unanswered(watched, UNREADABLE)
    aside.rename(root)
    assert watched.files() == [wheel_name()]
    add_wheel(root, "acme", "2.0")
    assert len(watched.files()) == 2


def test_an_only_project_may_lose_its_last_file(tmp_path: Path) -> None:
    """Somebody who tries the index with one package deletes it: that is no unmounted disk, for its directory is there."""
    root = tmp_path / "root"
    wheel = add_wheel(root, "acme")
    world = LiveDirectoryFixture(root).begin()
    wheel.unlink()
    report(world, "acme")
    assert result(world.ask()) is None
    assert world.live.suspended is None
    (root / "acme").rmdir()
    world.live.root_changed()
    assert unanswered(world, GONE)


def test_the_kernel_reports_again_once_the_root_is_back(watched: LiveDirectoryFixture, root: Path) -> None:
    """The watch that went with the root is tried again with it; if it cannot be had, sweeping goes on."""
    aside = swap(root)
    watched.live.root_changed()
    assert unanswered(watched, UNREADABLE)
    assert watched.live.polling
    aside.rename(root)
    watched.sweep()
    assert not watched.live.polling
    add_wheel(root, "acme", "2.0")
    assert len(watched.files()) == 2


def test_where_the_watch_cannot_be_had_again_sweeping_goes_on(root: Path) -> None:
    """A limit that is still reached."""

    class Unlucky(NoWatch):
        def start(self) -> None:
            raise WatchUnavailable("No more watches.")

    world = LiveDirectoryFixture(root)
    result(world.live.begin(Unlucky()))
    world.live.watch_failed("No more watches.")
    aside = swap(root)
    world.sweep()
    aside.rename(root)
    world.sweep()
    assert world.live.polling
    assert world.files() == [wheel_name()]


def test_a_root_that_is_a_link_is_followed_anew_once_an_operator_says_so(tmp_path: Path) -> None:
    """Releases are switched by turning a link: another directory, so it is asked for; and then it is served and watched."""
    for release in ("one", "two"):
        add_wheel(tmp_path / release, "acme", "1.0", f"Summary: {release}")
    current = tmp_path / "current"
    current.symlink_to("one")
    world = LiveDirectoryFixture(current)
    watch = InotifyWatch(ManualReaders(), str(current), world.live)
    watch.start()
    world.watch = watch
    world.begin()
    before = world.project().files[0].sha256
    current.unlink()
    current.symlink_to("two")
    Deferred.fromCoroutine(world.live.sweep(1))
    assert unanswered(world, ELSEWHERE)
    world.live.accept()
    assert world.project().files[0].sha256 != before
    add_wheel(tmp_path / "two", "acme", "2.0")
    assert len(world.files()) == 2
    watch.stop()


@pytest.mark.parametrize("polling", [False, True])
def test_a_write_in_place_whose_time_is_set_back_is_waited_for(
    world: LiveDirectoryFixture, root: Path, polling: bool
) -> None:
    """Nothing but its ctime shows it: the very next answer has the digest of the new bytes."""
    one, two = same_size_wheels()
    path = put(root / "acme" / wheel_name(), one)
    os.utime(path, ns=(10**18, 10**18))
    report(world, "acme")
    before = world.project().files[0].sha256
    world.live.polling = polling
    with path.open("r+b") as file:
        file.write(two)
    os.utime(path, ns=(10**18, 10**18))
    if not polling:
        report(world, "acme")
    assert world.project().files[0].sha256 != before


def test_a_question_during_the_first_survey_is_not_answered_from_it(root: Path) -> None:
    """While polling: the survey may have listed the root before the file came that is asked for."""
    world = LiveDirectoryFixture(root)
    world.live.polling = True
    world.reads.held = True
    world.begin()
    world.reads.start()
    add_wheel(root, "late")
    asked = world.ask(ProjectName("late"))
    world.reads.release()
    assert result(asked).project.name == "late"


def test_the_list_does_not_wait_for_what_was_looked_at_meanwhile(world: LiveDirectoryFixture) -> None:
    """Two directories in which nothing lies yet, as an upload makes them; the second is looked at before the first."""
    world.reads.held = True
    world.live.directories_changed(frozenset({"first"}))
    world.live.directories_changed(frozenset({"second"}))
    asked = Deferred.fromCoroutine(world.live.project_list())
    assert world.reads.names() == ["read", "read"]
    world.reads.deliver(1)
    world.reads.deliver(0)
    world.reads.release()
    assert result(asked).names == ("acme", "other")


def test_a_project_file_that_is_just_being_made(world: LiveDirectoryFixture, root: Path) -> None:
    """An editor makes it before it writes it: that moment is answered with 503 and is no line of the log; if it stays, it is."""
    path = put(root / "acme" / "simpleindex.toml", b"")
    world.just_after(path)
    report(world, "acme")
    assert "is empty" in str(error(world.ask()))
    assert world.taken_lines() == []
    world.now_ns = LONG_AFTER_NS
    world.clock.advance(3)
    (line,) = world.taken_lines()
    assert line.startswith("acme cannot be answered for: acme/simpleindex.toml is empty")
    failure = error(world.ask())
    assert isinstance(failure, BrokenProject)
    assert (str(failure).split(" is ")[0], failure.retry_after) == ("acme/simpleindex.toml", None)


@pytest.mark.parametrize(
    "content", [b"[", b"yankd = 1", b"status = 'gone'", b"[yanked]\n'x' = true", b"\xff"]
)
def test_a_broken_project_file_is_lasting(world: LiveDirectoryFixture, root: Path, content: bytes) -> None:
    """It is named with its path, and nobody is invited to come again."""
    put(root / "acme" / "simpleindex.toml", content)
    world.now_ns = LONG_AFTER_NS
    report(world, "acme")
    failure = error(world.ask())
    assert isinstance(failure, BrokenProject)
    assert str(failure).startswith("acme/simpleindex.toml ")
    assert not str(failure).endswith("?.")
    assert failure.retry_after is None


def test_lacks_what_it_surely_has_not(world: LiveDirectoryFixture) -> None:
    """Never while only waiting would show; what lies there without an event counts too."""
    none, live = ProjectName("none"), world.live
    assert live.lacks(none)
    assert not live.lacks(ACME)
    for attribute, value in (("polling", True), ("stale", "It cannot be listed."), ("complete", False)):
        before = getattr(live, attribute)
        setattr(live, attribute, value)
        assert not live.lacks(none)
        setattr(live, attribute, before)
    world.reads.held = True
    report(world, "none")
    assert not live.lacks(none)
    world.reads.deliver()
    assert live.lacks(none)
    (world.root / "none").mkdir()
    assert not live.lacks(none)


def test_answers_wait_for_a_watch_that_reports_later(world: LiveDirectoryFixture) -> None:
    """That of a worker: another process reads the events."""

    class Distant(NoWatch):
        def __init__(self) -> None:
            self.reporting: list[Deferred[None]] = []

        def drain(self) -> Deferred[None] | None:
            self.reporting.append(Deferred())
            return self.reporting[-1]

    watch = world.watch = Distant()
    world.begin()
    project, names = world.ask(), Deferred.fromCoroutine(world.live.project_list())
    assert not world.live.lacks(ProjectName("none")), "only waiting would show"
    add_wheel(world.root, "acme", "2.0")
    world.live.directories_changed(frozenset({"acme"}))
    for each in watch.reporting:
        each.callback(None)
    assert wheel_name(version="2.0") in result(project).chosen
    assert list(result(names).names) == ["acme"]
    late = world.ask()
    world.clock.advance(LONGEST_WAIT)
    assert result(late) is not None
    # Until the report, and to read what it names, take no longer together.
    world.reads.held = True
    world.live.directories_changed(frozenset({"acme"}))
    slow = world.ask()
    world.clock.advance(LONGEST_WAIT - 1)
    watch.reporting[-1].callback(None)
    world.clock.advance(1)
    assert result(slow) is not None


def test_lacks_nothing_while_it_is_gone(world: LiveDirectoryFixture) -> None:
    """A root that is unmounted may have anything."""
    swap(world.root)
    world.live.root_changed()
    assert world.live.suspended
    assert not world.live.lacks(ProjectName("none"))
