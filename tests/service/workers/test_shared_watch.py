"""A directory that the supervisor watches for all workers, whose processes exist in memory only."""

from __future__ import annotations

import errno
import os
import select
import struct
from typing import TYPE_CHECKING, Any, Self

import pytest
from twisted.internet.defer import CancelledError, Deferred, execute
from twisted.internet.task import Clock

from simpleindex.directory.layout.package_directory import PackageDirectory
from simpleindex.directory.watch.directory_events import (
    MOST_IN_ONE,
    MOST_NAMES,
    DirectoryEvents,
    decode_events,
    encode_events,
)
from simpleindex.directory.watch.inotify_events import IN_Q_OVERFLOW
from simpleindex.directory.watch.interface import WatchUnavailable
from simpleindex.service.workers.event_queue import queue_view
from simpleindex.service.workers.messages import MOST_BYTES, Message, decode, encode
from simpleindex.service.workers.shared_watch import SharedWatch
from simpleindex.service.workers.supervised_watch import SupervisedWatch
from tests.fixtures.distributions import add_wheel
from tests.fixtures.inotify import ManualReaders
from tests.fixtures.log import logged_failures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

EVERYTHING = DirectoryEvents(everything=True)
OVERFLOW = struct.pack("iIII", -1, IN_Q_OVERFLOW, 0, 0)


class Live:
    """A live directory that notes what it hears."""

    def __init__(self) -> None:
        self.polling = False
        self.heard: list[str] = []
        self.names: set[str] = set()

    def names_heard(self, entries: Mapping[str, bool], files: Mapping[str, set[bytes]]) -> None:
        self.names |= {*entries, *(os.fsdecode(each) for found in files.values() for each in found)}

    def root_changed(self) -> None:
        self.heard.append("root")

    def directories_changed(self, names: frozenset[str]) -> None:
        self.heard += sorted(names)

    def everything_changed(self) -> None:
        self.heard.append("everything")

    def watch_failed(self, reason: str) -> None:
        self.polling = True
        self.heard.append(reason)

    def watch_is_back(self) -> None:
        self.polling = False
        self.heard.append("back")

    def taken(self) -> list[str]:
        """What was heard since the last time."""
        taken, self.heard = self.heard, []
        return taken


class Worker:
    """A worker's process: what is sent to it, and to the supervisor, arrives at once unless it is held up or lost."""

    def __init__(self, number: int, shared: SharedWatch) -> None:
        self.number = number
        self.live = Live()
        self.loses = self.is_slow = False
        self.sent: list[Message] = []
        self._shared: Any = shared
        self.held: list[Message] | None = None
        queue = queue_view(shared.queue.descriptors)
        self.watch = SupervisedWatch("local", "/packages", self.live, self._to_supervisor, queue)  # type: ignore[arg-type]

    def send(self, message: Message) -> None:
        passed = decode(encode(message).rstrip())
        assert passed is not None
        self.sent.append(passed)
        if not self.loses:
            self.watch.received(passed)

    def _to_supervisor(self, message: Message) -> None:
        if self.held is not None:
            self.held.append(message)
        elif message.kind == "catch-up":
            self._shared.catch_up(self)
        elif message.kind == "watch":
            self._shared.requested(self, again=bool(message.number))
        elif not self.is_slow:
            self._shared.received(self, message.number)

    def go_on(self) -> None:
        """Receive what was held up."""
        self.is_slow = False
        events = [each for each in self.sent if each.kind == "events"]
        self._shared.received(self, events[-1].number)

    def pass_on(self) -> None:
        """Let what this worker has sent arrive."""
        held, self.held = self.held or [], None
        for each in held:
            self._to_supervisor(each)

    def page(self) -> list[str] | None:
        """What a page finds out before it is made; None while it waits."""
        reported = self.watch.drain()
        return self.live.taken() if reported is None or reported.called else None

    def begin(self) -> list[bool]:
        """Start, and return a list with an entry once it may read the directory."""
        self.watch.start()
        begun: list[bool] = []
        Deferred.fromCoroutine(self.watch.begun()).addCallback(lambda _: begun.append(True))
        return begun


class Reactor(ManualReaders, Clock):
    """One whose clock is set by hand."""

    def __init__(self) -> None:
        ManualReaders.__init__(self)
        Clock.__init__(self)


class World:
    """A supervisor's watch of a directory with one project."""

    def __init__(self, root: Path) -> None:
        self.root = root
        add_wheel(root, "acme")
        self.reactor = Reactor()
        self.threads: list[Callable[[], object]] | None = None
        self.shared = SharedWatch("local", str(root), PackageDirectory(str(root)), self.reactor, self.run)
        self.readers = self.reactor.readers

    def run(self, function: Callable[[], Any]) -> Deferred[Any]:
        """Run at once, or later where threads are held up."""
        if self.threads is None:
            return execute(function)
        done: Deferred[Any] = Deferred()
        self.threads.append(lambda: execute(function).chainDeferred(done))
        return done

    def turn(self) -> None:
        """Let the reactor run."""
        for _ in range(4):
            for each in [*self.readers]:
                each.doRead()
            self.reactor.advance(0)

    def worker(self, number: int = 1) -> Worker:
        """A worker that hears of changes."""
        worker = Worker(number, self.shared)
        begun = worker.begin()
        self.turn()
        assert begun == [True]
        return worker


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Worlds whose watches end with the test."""
    worlds: list[World] = []

    def make(root: Path = tmp_path / "root") -> World:
        worlds.append(World(root))
        return worlds[-1]

    yield make
    for each in worlds:
        each.shared.close()


@pytest.fixture
def world(made: Callable[..., World]) -> World:
    world = made()
    world.shared.start()
    return world


def test_every_worker_hears_of_each_change_of_a_directory_that_is_watched_once(world: World) -> None:
    workers = [world.worker(1), world.worker(2)]
    add_wheel(world.root, "acme", "2.0")
    world.turn()
    for each in workers:
        assert set(each.live.taken()) == {"acme"}
        assert "acme-2.0" in each.live.names.pop()
    add_wheel(world.root, "fresh")
    (world.root / "no project !").mkdir()
    (world.root / "notes.txt").touch()
    world.turn()
    add_wheel(world.root, "fresh", "2.0")
    for each in workers:
        assert {"root", "fresh"} <= set(each.live.taken())
    world.turn()
    assert [set(each.live.taken()) for each in workers] == [{"fresh"}] * 2
    assert len(world.readers) == 1
    world.shared.ended(workers[0])  # type: ignore[arg-type]
    workers[1].watch.stop()
    add_wheel(world.root, "acme", "3.0")
    world.turn()
    assert [each.live.taken() for each in workers] == [[], []]
    assert workers[1].watch.drain() is None, "it was stopped"
    workers[1].watch.watch(["acme"])
    world.shared.close()
    assert world.readers == []


def test_a_worker_reads_only_once_all_is_watched(made: Callable[..., World]) -> None:
    """What changes while it is not listened to is read, and what changes later is heard of."""
    world = made()
    world.threads = []
    world.shared.start()
    worker = Worker(1, world.shared)
    gone = Worker(2, world.shared)
    begun, _ = worker.begin(), gone.begin()
    world.turn()
    world.shared.ended(gone)  # type: ignore[arg-type]
    assert begun == []
    world.threads.pop()()
    world.turn()
    assert begun == [True]
    assert gone.sent == []
    add_wheel(world.root, "acme", "2.0")
    world.turn()
    assert set(worker.live.taken()) == {"acme"}


def test_a_link_that_leads_nowhere_is_watched_once_it_leads_to_a_project(world: World) -> None:
    worker = world.worker()
    (world.root / "linked").symlink_to("target")
    world.turn()
    (world.root / "target").mkdir()
    world.turn()
    worker.live.taken()
    add_wheel(world.root, "linked", directory="target")
    world.turn()
    assert "linked" in worker.live.taken()


def test_after_lost_events_everything_is_looked_at_and_what_came_meanwhile_is_watched(world: World) -> None:
    worker = world.worker()
    add_wheel(world.root, "fresh")
    world.shared.everything_changed()
    world.turn()
    assert "everything" in worker.live.taken()


def test_a_report_that_is_lost_or_not_received_leads_to_a_look_at_everything(world: World) -> None:
    worker = world.worker()
    worker.is_slow = True
    for version in ("2.0", "3.0", "4.0"):
        add_wheel(world.root, "acme", version)
        world.turn()
    assert set(worker.live.taken()) == {"acme"}
    kinds = [each.kind for each in worker.sent]
    assert kinds == ["watching", "events", "reported"], "one report is under way at a time"
    worker.go_on()
    assert set(worker.live.taken()) == {"acme"}
    worker.loses = True
    add_wheel(world.root, "acme", "5.0")
    world.turn()
    world.shared.received(worker, 77)  # type: ignore[arg-type]
    world.shared.repeat_lost()
    assert worker.live.taken() == []
    worker.loses = False
    world.shared.repeat_lost()
    world.turn()
    assert worker.live.taken() == ["everything"]
    world.shared.repeat_lost()
    world.shared.repeat_lost()
    world.turn()
    assert worker.live.taken() == []


def test_workers_poll_where_nothing_can_be_watched_and_watch_again_when_the_root_is_back(
    world: World,
) -> None:
    worker, other = world.worker(1), world.worker(2)
    moved = world.root.rename(world.root.with_name("moved"))
    world.turn()
    for each in (worker, other):
        assert each.live.polling
        assert each.live.taken()[-1] == f"{world.root} was moved, deleted or unmounted."
    late = Worker(3, world.shared)
    assert late.begin() == [True]
    assert late.live.polling
    with pytest.raises(WatchUnavailable):
        worker.watch.start()
    assert worker.live.taken() == [], "it polls already"
    moved.rename(world.root)
    for each in (worker, other):
        with pytest.raises(WatchUnavailable):
            each.watch.start()
    world.turn()
    for each in (worker, other):
        assert each.live.taken()[0] == "back"
        each.watch.start()
    add_wheel(world.root, "acme", "2.0")
    world.turn()
    assert set(worker.live.taken()) == {"acme"}


def test_another_directory_in_the_place_of_the_root_is_watched(
    made: Callable[..., World], tmp_path: Path
) -> None:
    for each in ("one", "two"):
        add_wheel(tmp_path / each, "acme")
    current = tmp_path / "current"
    current.symlink_to("one")
    world = made(current)
    world.shared.start()
    worker = world.worker()
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").rename(current)
    worker.watch.stop()
    with pytest.raises(WatchUnavailable):
        worker.watch.start()
    world.turn()
    assert worker.live.taken() == ["back"]
    add_wheel(tmp_path / "two", "acme", "2.0")
    world.turn()
    assert set(worker.live.taken()) == {"acme"}


def test_a_root_that_vanishes_while_it_is_listed_is_not_watched(
    made: Callable[..., World], tmp_path: Path
) -> None:
    world = made()
    world.threads = []
    world.shared.start()
    world.shared.start()
    worker = Worker(1, world.shared)
    begun = worker.begin()
    (tmp_path / "root").rename(tmp_path / "moved")
    for each in world.threads:
        each()
    world.turn()
    assert begun == [True]
    assert worker.live.taken() == ["The root of the index cannot be read (No such file or directory)."]


def test_where_a_survey_fails_for_any_reason_workers_poll(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else would let their pages go on."""

    def survey() -> None:
        raise MemoryError("no memory")

    worker = world.worker()
    failures = logged_failures()
    monkeypatch.setattr(PackageDirectory, "survey", lambda _: survey())
    world.shared.everything_changed()
    page = worker.watch.drain()
    world.turn()
    assert page is None or page.called
    assert worker.live.polling
    assert worker.live.taken() == ["The root of the index cannot be read (no memory)."]
    assert [type(each.value) for each in failures] == [MemoryError]


def test_a_root_that_cannot_be_watched_is_reported(made: Callable[..., World], tmp_path: Path) -> None:
    world = made()
    (tmp_path / "root").rename(tmp_path / "moved")
    world.shared.start()
    worker = Worker(1, world.shared)
    assert worker.begin() == [True]
    assert worker.live.polling
    world.shared.everything_changed()


def test_a_gap_between_reports_leads_to_a_look_at_everything(world: World) -> None:
    worker = world.worker()
    worker.send(Message("events", encode_events(DirectoryEvents(root=True), MOST_BYTES), "local", 5))
    assert worker.live.taken() == ["everything"]
    worker.watch.received(Message("other", detail="local"))


def test_events_are_sent_in_parts_in_bounded_messages() -> None:
    names = [f"p{number}" for number in range(MOST_IN_ONE + 5)]
    events = DirectoryEvents(
        root=True,
        directories=frozenset(names),
        entries=dict.fromkeys(names, True),
        files={each: {b"\xff.whl"} for each in names},
    )
    first, rest = events.split()
    assert decode_events(encode_events(first, MOST_BYTES)) == first
    assert (len(first.directories), len(rest.entries), len(rest.files), rest.root) == (
        MOST_IN_ONE,
        5,
        5,
        True,
    )
    assert first.joined(rest) == events
    assert rest.split()[1].is_empty
    assert encode_events(first, 1000) == encode_events(EVERYTHING, 1000)
    many = DirectoryEvents(directories=frozenset(map(str, range(MOST_NAMES + 1))))
    assert DirectoryEvents().joined(many) == events.joined(EVERYTHING) == EVERYTHING


# -- what a page waits for -------------------------------------------------------------------------------------------


def test_a_page_right_after_a_change_is_not_made_before_the_worker_has_heard_of_it(world: World) -> None:
    """As in one process, which reads its own queue then: the supervisor need not have had its turn."""
    workers = [world.worker(1), world.worker(2)]
    for version in ("2.0", "3.0"):
        add_wheel(world.root, "acme", version)
        for each in workers:
            assert each.page() == ["acme"]
            assert each.watch.drain() is None
    world.turn()
    for each in workers:
        assert each.page() == []


def test_a_page_waits_for_what_the_supervisor_has_taken_and_not_reported(world: World) -> None:
    worker = world.worker()
    worker.held = []
    add_wheel(world.root, "acme", "2.0")
    (reader,) = world.readers
    reader.doRead()
    first = worker.watch.drain()
    assert first is not None
    # The supervisor's own report comes before it has heard of the request, and something else has happened since.
    world.reactor.advance(0)
    add_wheel(world.root, "fresh")
    second = worker.watch.drain()
    assert second is not None
    assert not first.called
    assert not second.called
    worker.pass_on()
    world.turn()
    assert first.called
    assert second.called
    assert {"acme", "fresh", "root"} <= set(worker.live.taken())


def test_a_page_waits_until_every_report_has_come(world: World) -> None:
    """Of many names, and behind one that has not been received."""
    worker = world.worker()
    worker.is_slow = True
    add_wheel(world.root, "acme", "2.0")
    world.turn()
    for number in range(MOST_IN_ONE + 10):
        (world.root / f"p{number}").mkdir()
    page = worker.watch.drain()
    assert page is not None
    assert not page.called
    worker.go_on()
    assert page.called
    assert len([each for each in worker.sent if each.kind == "events"]) == 3


def test_noise_makes_a_page_ask_once(world: World) -> None:
    """Of a temporary name nothing is reported."""
    worker = world.worker()
    (world.root / "acme" / ".partial").touch()
    world.turn()
    worker.live.taken()
    (world.root / "acme" / ".partial").unlink()
    sent = len(worker.sent)
    for _ in range(3):
        assert worker.page() == []
    assert [each.kind for each in worker.sent[sent:]] == ["reported"]


def test_a_page_waits_while_everything_is_watched_anew(world: World) -> None:
    """After an overflow of the queue, of which nothing is left that a worker would see."""
    worker = world.worker()
    world.threads = []
    (reader,) = world.readers
    reader._owner.hear(OVERFLOW)  # type: ignore[attr-defined]
    assert len(world.readers) == 1
    assert world.readers != [reader]
    page = worker.watch.drain()
    assert page is not None
    world.turn()
    assert not page.called
    for each in world.threads:
        each()
    world.turn()
    assert page.called
    assert worker.live.taken() == ["everything"]
    add_wheel(world.root, "acme", "2.0")
    assert worker.page() == ["acme"], "the new queue is seen"


def test_a_page_waits_no_longer_where_nothing_is_watched_any_more(world: World) -> None:
    worker = world.worker()
    moved = world.root.rename(world.root.with_name("moved"))
    page = worker.watch.drain()
    assert page is not None
    assert page.called
    assert worker.live.polling
    world.shared.catch_up(worker)  # type: ignore[arg-type]
    assert worker.watch.drain() is None
    moved.rename(world.root)


def test_a_page_that_waited_too_long_goes_on(world: World) -> None:
    worker = world.worker()
    worker.held = []
    add_wheel(world.root, "acme", "2.0")
    page = worker.watch.drain()
    assert page is not None
    page.addErrback(lambda failure: failure.trap(CancelledError))
    page.cancel()
    worker.pass_on()
    assert worker.page() == ["acme"]


@pytest.mark.parametrize("answer", ["watching", "unwatched"])
def test_every_page_goes_on_when_a_new_watch_begins_or_none_is_to_be_had(world: World, answer: str) -> None:
    """Also one that came after the request of another: what was requested before is not answered any more."""
    worker = world.worker()
    worker.held = []
    add_wheel(world.root, "acme", "2.0")
    pages = [worker.watch.drain(), worker.watch.drain()]
    worker.send(Message(answer, "Nothing is watched.", "local"))
    assert [each is not None and each.called for each in pages] == [True, True]
    assert [each.kind for each in worker.held if each.kind == "catch-up"] == ["catch-up"]


def refuse(number: int) -> Callable[..., Any]:
    """A system call that always fails with this error."""

    def call(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize(
    ("call", "number"),
    [
        ("select.epoll", None),
        ("select.epoll", errno.EMFILE),
        ("os.memfd_create", None),
        ("os.memfd_create", errno.EACCES),
        ("os.memfd_create", errno.EPERM),
        ("os.ftruncate", errno.EPERM),
        ("mmap.mmap", errno.ENOMEM),
    ],
)
def test_where_the_queue_cannot_be_shown_pages_wait_for_nothing(
    made: Callable[..., World], monkeypatch: pytest.MonkeyPatch, call: str, number: int | None
) -> None:
    """Reports come by themselves; of what the system granted before it refused, nothing is kept."""
    # Those of other tests may go meanwhile.
    descriptors = {*os.listdir("/proc/self/fd")}
    if number is None:
        monkeypatch.delattr(call)
    else:
        monkeypatch.setattr(call, refuse(number))
    world = made()
    assert {*os.listdir("/proc/self/fd")} <= descriptors
    world.shared.start()
    worker = world.worker()
    add_wheel(world.root, "acme", "2.0")
    assert worker.page() == []
    world.turn()
    assert set(worker.live.taken()) == {"acme"}


def test_where_no_more_queues_can_be_shown_pages_wait_for_what_was_taken(
    made: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit is reached (fs.epoll.max_user_watches): that ends no watch, and no page waits for good."""

    class Full:
        """Shows none."""

        def __init__(self) -> None:
            self._epoll = epoll()
            self.fileno = self._epoll.fileno
            self.register = refuse(errno.ENOSPC)

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            self._epoll.close()

    epoll = select.epoll
    monkeypatch.setattr("select.epoll", Full)
    world = made()
    world.shared.start()
    worker = world.worker()
    add_wheel(world.root, "acme", "2.0")
    assert worker.page() == []
    world.readers[0].doRead()
    assert set(worker.page() or ()) == {"acme"}
