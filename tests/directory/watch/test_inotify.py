"""What inotify says of every way in which files come, change and go, and what is reported of it."""

from __future__ import annotations

import errno
import os
import runpy
import shutil
import struct
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from simpleindex.directory.watch import inotify as watch
from simpleindex.directory.watch import inotify_events as events
from simpleindex.directory.watch.inotify import InotifyWatch
from simpleindex.directory.watch.interface import WatchUnavailable
from tests.fixtures.depth import number_of
from tests.fixtures.inotify import ManualReaders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

inotify_simple = pytest.importorskip("inotify_simple")

OVERFLOW = struct.pack("iIII", -1, events.IN_Q_OVERFLOW, 0, 0)


class Heard:
    """Remembers what was reported, in that order; the root is a dot."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.entries: dict[str, bool] = {}
        self.files: dict[str, set[bytes]] = {}

    def names_heard(self, entries: Mapping[str, bool], files: Mapping[str, set[bytes]]) -> None:
        self.entries |= entries
        for directory, names in files.items():
            self.files.setdefault(directory, set()).update(names)

    def root_changed(self) -> None:
        self.calls.append(".")

    def directories_changed(self, names: frozenset[str]) -> None:
        self.calls.append(set(names))

    def everything_changed(self) -> None:
        self.calls.append("everything")

    def watch_failed(self, reason: str) -> None:
        self.calls.append(f"failed: {reason}")

    def take(self) -> list[Any]:
        """What was reported since the last time."""
        calls, self.calls = self.calls, []
        return calls


class Site:
    """A root with the watched directories "acme" and "other", and a directory beside it that nobody watches."""

    def __init__(self, base: Path) -> None:
        self.root = base / "root"
        self.outside = base / "outside"
        self.acme = self.root / "acme"
        self.other = self.root / "other"
        for directory in (self.root, self.outside, self.acme, self.other):
            directory.mkdir()
        self.file = self.acme / "acme-1.0.whl"
        self.file.write_bytes(b"old")
        self.beside = self.outside / "acme-2.0.whl"
        self.beside.write_bytes(b"new")
        self.loose = self.root / "loose.whl"
        self.loose.touch()
        self.reactor = ManualReaders()
        self.heard = Heard()
        self.watch = InotifyWatch(self.reactor, str(self.root), self.heard)
        self.watch.start()
        self.watch.watch(["acme", "other"])

    def reported(self) -> list[Any]:
        """What is reported now."""
        self.watch.drain()
        return self.heard.take()

    def reported_after(self, action: Callable[[], object]) -> list[Any]:
        """What is reported because of this, and of nothing that happened before."""
        self.reported()
        action()
        return self.reported()

    def watches(self) -> int:
        """How many watches the kernel keeps for us (proc_pid_fdinfo(5))."""
        descriptor = self.reactor.readers[0].fileno()
        return Path(f"/proc/self/fdinfo/{descriptor}").read_text().count("inotify wd:")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site whose watch has started."""
    made = Site(tmp_path)
    yield made
    made.watch.stop()


def refuse(number: int) -> Callable[..., int]:
    """A system call that always fails with this error."""

    def call(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    return call


def copy_like_rsync(site: Site) -> None:
    """To a temporary name beside it, then its time, then its name."""
    temporary = site.acme / ".acme-2.0.whl.Xy12Zq"
    temporary.write_bytes(b"new")
    os.utime(temporary, (1, 1))
    temporary.rename(site.acme / "acme-2.0.whl")


def link_a_file_without_name(site: Site) -> None:
    """Written without a name, it comes with its first one."""
    descriptor = os.open(site.acme, os.O_TMPFILE | os.O_WRONLY)
    os.write(descriptor, b"new")
    # Only with a directory's descriptor does Python follow the link in /proc (linkat instead of link).
    os.link(f"/proc/self/fd/{descriptor}", site.acme / "acme-2.0.whl", src_dir_fd=descriptor)
    os.close(descriptor)


def write_in_place(file: Path, mode: str, action: Callable[[IO[bytes]], object]) -> None:
    """Change an existing file through a descriptor."""
    with file.open(mode) as opened:
        action(opened)


IN_A_DIRECTORY: dict[str, Callable[[Site], object]] = {
    "created": lambda site: (site.acme / "acme-2.0.whl").write_bytes(b"new"),
    "moved in": lambda site: site.beside.rename(site.acme / "acme-2.0.whl"),
    "hard-linked": lambda site: os.link(site.beside, site.acme / "acme-2.0.whl"),
    "linked": lambda site: (site.acme / "acme-2.0.whl").symlink_to(site.file),
    "rsynced": copy_like_rsync,
    "linked from no name": link_a_file_without_name,
    "overwritten": lambda site: write_in_place(site.file, "r+b", lambda file: file.write(b"new")),
    "appended to": lambda site: write_in_place(site.file, "ab", lambda file: file.write(b"new")),
    "truncated": lambda site: write_in_place(site.file, "r+b", lambda file: file.truncate(1)),
    "replaced": lambda site: site.beside.replace(site.file),
    "touched": lambda site: os.utime(site.file, (1, 1)),
    "made unreadable": lambda site: site.file.chmod(0),
    "unlinked": lambda site: site.file.unlink(),
    "moved out": lambda site: site.file.rename(site.outside / "x"),
    "renamed": lambda site: site.file.rename(site.acme / "acme-3.0.whl"),
    "simpleindex.toml": lambda site: (site.acme / "simpleindex.toml").write_text(""),
    "the directory's own mode": lambda site: site.acme.chmod(0o700),
    "a directory within": lambda site: (site.acme / "acme-2.0.whl").mkdir(),
}


@pytest.mark.parametrize("happen", IN_A_DIRECTORY.values(), ids=IN_A_DIRECTORY.keys())
def test_each_way_a_directory_changes_is_reported_once(site: Site, happen: Callable[[Site], object]) -> None:
    """However a file comes, changes or goes, its directory and only that is to be looked at, and once."""
    happen(site)
    assert site.reported() == [{"acme"}]
    assert site.reported() == []


def test_moving_between_projects_reports_both(site: Site) -> None:
    """The directory that a file leaves changes as much as the one it enters."""
    site.file.rename(site.other / "acme-1.0.whl")
    assert site.reported() == [{"acme", "other"}]


def test_what_changes_nothing_is_not_reported(site: Site) -> None:
    """Reading, writing on without an end, and the whole life of a temporary name other than its end."""
    temporary = site.acme / ".acme-2.0.whl.Xy12Zq"
    temporary.mkdir()
    temporary.rmdir()
    (site.root / ".hidden").mkdir()
    site.file.read_bytes()
    list(site.acme.iterdir())
    assert site.reported() == []


def test_a_file_is_reported_when_begun_and_again_when_finished(site: Site) -> None:
    """Between creation and close there is silence, however much is written."""
    with (site.acme / "acme-2.0.whl").open("wb", buffering=0) as file:
        assert site.reported() == [{"acme"}]
        file.write(b"half")
        assert site.reported() == []
        file.write(b"whole")
    assert site.reported() == [{"acme"}]


@pytest.mark.parametrize("temporary", ["acme-2.0.whl.tmp", ".acme-2.0.whl.tmp"])
def test_a_file_finished_under_a_name_it_lost_is_reported(site: Site, temporary: str) -> None:
    """A writer may link the final name and remove the first before its last bytes are flushed."""
    with (site.acme / temporary).open("wb") as file:
        os.link(file.name, site.acme / "acme-2.0.whl")
        Path(file.name).unlink()
        assert site.reported() == [{"acme"}]
        file.write(b"new")
    assert site.reported() == [{"acme"}]


IN_THE_ROOT: dict[str, tuple[Callable[[Site], object], list[object]]] = {
    "directory made": (lambda site: (site.root / "new").mkdir(), [{"new"}]),
    "directory moved in with files": (lambda site: site.outside.rename(site.root / "new"), [{"new"}]),
    # A name that is new to the survey, as that of a file would be.
    "directory linked": (lambda site: (site.root / "new").symlink_to(site.outside), []),
    "loose file": (lambda site: (site.root / "loose-1.0.whl").write_bytes(b"new"), []),
    "loose file touched": (lambda site: os.utime(site.loose, (1, 1)), []),
    "loose file gone": (lambda site: site.loose.unlink(), []),
    "the root's own mode": (lambda site: site.root.chmod(0o700), []),
}


@pytest.mark.parametrize(("happen", "directories"), IN_THE_ROOT.values(), ids=IN_THE_ROOT.keys())
def test_each_way_the_root_changes_is_reported_once(
    site: Site, happen: Callable[[Site], object], directories: list[object]
) -> None:
    """The root is to be surveyed again, and a directory that came with files in it looked at."""
    happen(site)
    assert site.reported() == [".", *directories]
    assert site.reported() == []


def test_permissions_of_a_directory_that_could_not_be_watched_are_reported(site: Site) -> None:
    """A directory made readable is news although it had no watch, and gets one."""
    locked = site.root / "locked"
    locked.mkdir(0)
    assert site.reported() == [".", {"locked"}]
    with patch.object(watch, "_add_watch", refuse(errno.EACCES)):  # for root, too
        site.watch.watch(["locked"])
    assert site.reported_after(lambda: locked.chmod(0o755)) == [{"locked"}]
    assert site.reported_after((locked / "x.whl").touch) == [{"locked"}]


def test_removal_of_a_watched_directory_leaves_the_others_watched(site: Site) -> None:
    """``rm -r`` of a project, then a file in another; and the project is heard again when it is back."""
    assert site.reported_after(lambda: shutil.rmtree(site.acme)) == [".", {"acme"}]
    assert site.reported_after((site.other / "x.whl").touch) == [{"other"}]
    assert site.reported_after(site.acme.mkdir) == [".", {"acme"}]
    assert site.reported_after((site.acme / "new.whl").touch) == [{"acme"}]


def test_a_renamed_directory_is_heard_under_its_new_name_only(site: Site) -> None:
    """The kernel's watch follows the directory; what happens in it must not be reported of the old name."""
    moved = site.root / "moved"
    assert site.reported_after(lambda: site.acme.rename(moved)) == [".", {"acme", "moved"}]
    assert site.reported_after((moved / "x.whl").touch) == []
    site.watch.watch(["moved"])
    assert site.reported_after((moved / "y.whl").touch) == [{"moved"}]
    assert site.watches() == 3
    assert site.reported_after(lambda: moved.rename(site.outside / "acme")) == [".", {"moved"}]
    assert site.watches() == 2
    assert site.reported_after((site.outside / "acme" / "z.whl").touch) == []


def test_a_directory_watched_under_its_new_name_before_its_move_is_heard(site: Site) -> None:
    """A survey sees the new name first, and the same watch then has two names until the events are read."""
    site.acme.rename(site.root / "moved")
    site.watch.watch(["moved"])
    assert site.reported() == [".", {"acme", "moved"}]
    assert site.reported_after((site.root / "moved" / "x.whl").touch) == [{"moved"}]


@pytest.mark.parametrize("survey", [["acme"], []])
def test_a_directory_replaced_by_another_is_heard_as_it_is_now(site: Site, survey: list[str]) -> None:
    """Also when a survey between the replacement and its events asks for the name again."""
    site.acme.rename(site.outside / "acme")
    site.acme.mkdir()
    site.watch.watch(survey)
    assert site.reported() == [".", {"acme"}]
    assert site.watches() == 3
    assert site.reported_after((site.acme / "x.whl").touch) == [{"acme"}]
    assert site.reported_after((site.outside / "acme" / "y.whl").touch) == []


def test_directories_that_change_places_are_heard_as_they_are_now(site: Site) -> None:
    """Two watched directories swap their names, by way of a temporary one."""
    site.acme.rename(site.root / ".swap")
    site.other.rename(site.acme)
    (site.root / ".swap").rename(site.other)
    assert site.reported() == [".", {"acme", "other"}]
    assert site.reported_after((site.acme / "new.whl").touch) == [{"acme"}]
    assert site.reported_after((site.other / "x.whl").touch) == [{"other"}]


def test_a_linked_directory_is_heard_under_all_its_names(site: Site) -> None:
    """A link and its target share one watch; when one of them goes, the other keeps it."""
    link = site.root / "link"
    assert site.reported_after(lambda: link.symlink_to("acme")) == ["."]
    site.watch.watch(["link"])
    assert site.reported_after((site.acme / "new.whl").touch) == [{"acme", "link"}]
    assert site.reported_after(link.unlink) == [".", {"acme", "link"}]
    assert site.reported_after(site.file.unlink) == [{"acme"}]


@pytest.mark.parametrize("target", ["acme", "../outside"])
@pytest.mark.parametrize("vanish", [shutil.rmtree, lambda path: path.rename(path.with_name("elsewhere"))])
def test_the_target_of_a_link_may_vanish_and_return(
    site: Site, vanish: Callable[[Path], object], target: str
) -> None:
    """When it lies elsewhere only its own watch reports it; when it is back, the next event of the root finds it."""
    (site.root / "link").symlink_to(target)
    site.reported()
    site.watch.watch(["link"])
    directory = site.root / target
    reported = site.reported_after(lambda: vanish(directory))
    assert reported[0] == "."
    assert "link" in reported[1]
    directory.mkdir()
    (site.root / "loose-2.0.whl").touch()
    assert "link" in site.reported()[1]
    assert "link" in site.reported_after((directory / "x.whl").touch)[0]


def test_a_link_turned_to_another_directory_is_watched_there(site: Site) -> None:
    """The customary way to publish a new tree at once: rename a new link over the old one."""
    (site.root / "link").symlink_to(site.outside)
    (site.root / ".link").symlink_to("other")
    site.reported()
    site.watch.watch(["link"])
    assert site.reported_after(lambda: (site.root / ".link").replace(site.root / "link")) == [".", {"link"}]
    assert site.reported_after((site.outside / "x.whl").touch) == []
    assert site.reported_after((site.other / "x.whl").touch) == [{"link", "other"}]


def test_a_link_to_the_root_is_not_mistaken_for_a_project(site: Site) -> None:
    """When it goes, the root's own watch stays."""
    link = site.root / "loop"
    link.symlink_to(".")
    site.watch.watch(["loop"])
    assert site.reported() == ["."]
    assert site.reported_after(link.unlink) == ["."]
    assert site.reported_after((site.root / "new").mkdir) == [".", {"new"}]


def test_names_that_cannot_be_watched_are_passed_over(site: Site) -> None:
    """Vanished, not a directory, a circle of links, too long: the names after them are watched all the same."""
    (site.root / "circle").symlink_to("circle")
    (site.root / "plain").touch()
    (site.root / "new").mkdir()
    site.reported()
    site.watch.watch(["gone", "circle", "plain", "x" * 300, "acme", "new"])
    assert site.watches() == 4
    assert site.reported_after((site.root / "new" / "x.whl").touch) == [{"new"}]


def test_names_outside_utf_8_are_reported_as_they_came(site: Site) -> None:
    """Raw names are those of os.fsdecode, so they open what they name."""
    name = os.fsdecode(b"caf\xe9")
    (site.root / name).mkdir()
    assert site.reported() == [".", {name}]
    site.watch.watch([name])
    assert site.reported_after((site.root / name / "x.whl").touch) == [{name}]


@pytest.mark.parametrize("vanish", [shutil.rmtree, lambda root: root.rename(root.with_name("moved"))])
def test_a_root_that_goes_is_reported_and_ends_the_watch(
    site: Site, vanish: Callable[[Path], object]
) -> None:
    """Its watch would say nothing of what comes in its place; when it is back, the watch can start again."""
    reported = site.reported_after(lambda: vanish(site.root))
    assert reported[0] == "."
    assert reported[-1] == f"failed: {site.root} was moved, deleted or unmounted."
    assert site.reactor.readers == []
    site.root.mkdir()
    assert site.reported() == []
    site.watch.start()
    assert site.reported_after((site.root / "new").mkdir) == [".", {"new"}]


def test_who_hears_it_may_stop_the_watch_meanwhile(site: Site) -> None:
    """A root that is gone is a reason to stop, and then the end of the watch is no news."""
    shutil.rmtree(site.root)
    with patch.object(site.heard, "root_changed", site.watch.stop):
        assert site.reported() == [{"acme", "other"}]


def test_a_burst_is_reported_in_few_calls_and_read_in_bounded_turns(site: Site) -> None:
    """Five thousand files: a turn of the reactor takes one buffer, and reports once."""
    for number in range(5000):
        (site.acme / f"acme-1.0+{number:0150}.whl").touch()
    reader = site.reactor.readers[0]
    reader.doRead()
    assert site.heard.take() == [{"acme"}]
    turns = 0
    while True:
        reader.doRead()
        if not site.heard.take():
            break
        turns += 1
    assert 1 < turns < 20


def test_draining_reads_more_than_one_buffer_and_reports_once(site: Site) -> None:
    """The very next answer must include a copy that ended before the request, however much came before it."""
    for number in range(2000):
        (site.acme / f"acme-1.0+{number:0150}.whl").touch()
    (site.other / "last.whl").touch()
    assert site.reported() == [{"acme", "other"}]


def test_a_full_queue_makes_everything_be_looked_at(site: Site) -> None:
    """The real limit of the kernel; a directory may have been replaced unheard, so all watches are renewed."""
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 50_000:
        pytest.skip("it would take too long to fill the queue")
    first, second = site.acme / "a.whl", site.acme / "b.whl"
    first.touch()
    second.touch()
    for _ in range(limit // 2 + 1):  # each event unlike the one before, else the kernel joins them
        os.utime(first)
        os.utime(second)
    site.acme.rename(site.root / "unheard")
    site.acme.mkdir()
    assert site.reported() == ["everything"]
    assert len(site.reactor.readers) == 1
    assert site.watches() == 1  # of very many, none is renewed in the same turn
    site.watch.watch(["acme", "other"])
    assert site.reported_after((site.acme / "new.whl").touch) == [{"acme"}]
    assert site.reported_after((site.root / "unheard" / "x").touch) == []


def test_after_an_overflow_without_another_instance_polling_begins(site: Site) -> None:
    """What was lost is looked at nevertheless."""
    shutil.rmtree(site.root)
    site.watch.hear(OVERFLOW)
    assert site.heard.take() == [
        f"failed: {site.root} cannot be watched: No such file or directory.",
        "everything",
    ]
    assert site.reactor.readers == []


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (
            errno.ENOSPC,
            (
                "The limit of watched directories is reached (fs.inotify.max_user_watches): raise it with"
                " sysctl fs.inotify.max_user_watches=1048576, and in /etc/sysctl.d/ to keep it."
            ),
        ),
        (
            errno.EMFILE,
            (
                "The limit of open files or of inotify instances is reached (fs.inotify.max_user_instances): raise it with"
                " sysctl fs.inotify.max_user_instances=1024, and in /etc/sysctl.d/ to keep it."
            ),
        ),
        (errno.EIO, "{name} cannot be watched: Input/output error."),
    ],
)
def test_limits_are_said_once_with_their_remedy(
    site: Site, monkeypatch: pytest.MonkeyPatch, number: int, sentence: str
) -> None:
    """A half-watched tree would miss changes in silence, so the watch ends and gives back what it holds."""
    monkeypatch.setattr(watch, "_add_watch", refuse(number))
    site.watch.watch(["new", "newer"])
    site.watch.watch(["newest"])
    site.file.touch()
    assert site.reported() == [f"failed: {sentence.format(name='new')}"]
    assert site.reactor.readers == []
    with pytest.raises(WatchUnavailable) as caught:
        site.watch.start()
    assert str(caught.value) == caught.value.reason == sentence.format(name=site.root)
    assert site.reactor.readers == []


def test_very_many_watches_are_given_back_by_a_thread(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system takes its time for that; requests do not wait."""
    threads: list[threading.Thread] = []

    def begin(thread: threading.Thread) -> None:
        threads.append(thread)

    monkeypatch.setattr(threading.Thread, "start", begin)
    monkeypatch.setattr(watch, "_add_watch", refuse(errno.ENOSPC))
    descriptor = site.reactor.readers[0].fileno()
    site.watch.watch(["new"])
    os.fstat(descriptor)
    assert len(site.heard.take()) == 1
    threads[0].run()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_without_a_thread_watches_are_given_back_at_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit of processes is reached: the watch has ended all the same, and that is reported."""

    def begin(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", begin)
    monkeypatch.setattr(watch, "_add_watch", refuse(errno.ENOSPC))
    descriptor = site.reactor.readers[0].fileno()
    site.watch.watch(["new"])
    assert len(site.heard.take()) == 1
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


@pytest.mark.parametrize(
    ("package", "sentence"),
    [
        (None, "Events of the file system need Linux and the package inotify-simple."),
        (object(), "This platform has no inotify."),
    ],
)
def test_without_inotify_the_watch_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: object, sentence: str
) -> None:
    """Neither without the package nor with a C library that has no such call."""
    monkeypatch.setattr(watch, "inotify_simple", package)
    with pytest.raises(WatchUnavailable, match=sentence):
        InotifyWatch(ManualReaders(), str(tmp_path), Heard()).start()


def test_no_more_instances(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of instances is met when the watch starts."""
    monkeypatch.setattr(inotify_simple, "INotify", refuse(errno.EMFILE))
    with pytest.raises(WatchUnavailable, match="max_user_instances"):
        InotifyWatch(ManualReaders(), str(tmp_path), Heard()).start()


def test_it_can_be_imported_where_the_package_is_not() -> None:
    """Elsewhere than on Linux the store works by polling."""
    with patch.dict(sys.modules, {"inotify_simple": None}):
        assert runpy.run_path(watch.__file__)["inotify_simple"] is None


def test_the_flags_are_those_of_the_kernel() -> None:
    """They are spelled out here, so they are compared with the package's."""
    for name, value in vars(events).items():
        if name.startswith("IN_"):
            assert inotify_simple.flags[name.removeprefix("IN_")] == value


def test_stopping_is_final_and_may_be_repeated(site: Site) -> None:
    """After it nothing is reported, nothing is watched and no descriptor is left."""
    descriptor = site.reactor.readers[0].fileno()
    site.file.touch()
    site.watch.stop()
    site.watch.stop()
    site.watch.watch(["acme"])
    site.watch.hear(OVERFLOW)
    assert site.reported() == []
    assert site.reactor.readers == []
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_what_the_reactor_reads_from_is_what_it_expects(site: Site) -> None:
    """The descriptor and its name in the log."""
    reader = site.reactor.readers[0]
    assert verifyObject(IReadDescriptor, reader)
    assert reader.logPrefix() == "inotify"


@pytest.fixture
def reactor() -> Iterator[EPollReactor]:
    """A real reactor that is turned by hand."""
    made = EPollReactor()
    yield made
    for reader in made.removeAll():
        reader.connectionLost(Failure(ConnectionError("end")))
    made._poller.close()


def test_a_real_reactor_survives_starting_over_and_ending_while_it_reads(
    tmp_path: Path, reactor: EPollReactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reactor gives up whatever changes its descriptor in the middle of a read."""
    heard = Heard()
    watched = InotifyWatch(reactor, str(tmp_path), heard)
    watched.start()
    reactor.iterate(0)
    assert heard.take() == []

    monkeypatch.setattr(watch._Instance, "read", lambda _: OVERFLOW)
    (tmp_path / "a").touch()
    reactor.iterate(0)
    monkeypatch.undo()
    assert heard.take() == ["everything"]

    (tmp_path / "b").touch()
    reactor.iterate(0)
    assert heard.take() == ["."]

    tmp_path.rename(tmp_path.with_name("moved"))
    reactor.iterate(0)
    assert heard.take() == [".", f"failed: {tmp_path} was moved, deleted or unmounted."]
    reactor.iterate(0)
    assert heard.take() == []


class TestErrorsInReporting:
    """An exception in the one who hears it makes the reactor drop the descriptor: the watch must not die in silence."""

    def test_is_reported_as_failure(self, site: Site) -> None:
        """Polling takes over."""
        site.reactor.readers[0].connectionLost(Failure(ZeroDivisionError("division by zero")))
        assert site.reported() == [
            f"failed: Waiting for changes of {site.root} ended with an error: division by zero."
        ]
        assert site.reactor.readers == []

    def test_of_an_instance_that_is_gone_matters_no_more(self, site: Site) -> None:
        """The watch has another one already."""
        former = site.reactor.readers[0]
        site.watch.stop()
        site.watch.start()
        former.connectionLost(Failure(ZeroDivisionError()))
        assert site.reported_after((site.root / "new").mkdir) == [".", {"new"}]


Content = dict[str, dict[str, tuple[int, int, int]]]


class AnyOrderOfEvents(RuleBasedStateMachine):
    """Whatever happens, an owner that only looks where a report says ends with a true picture."""

    directories = st.sampled_from(["a", "b", "c", "link", "far"])
    files = st.sampled_from(["x.whl", "y.whl", "simpleindex.toml"])

    @initialize()
    def begin(self) -> None:
        """An owner without knowledge, an empty root, a link within it and one that leads out of it."""
        self.base = Path(tempfile.mkdtemp())
        self.root = self.base / "root"
        self.root.mkdir()
        (self.base / "outside").mkdir()
        (self.root / "link").symlink_to("a")
        (self.root / "far").symlink_to("../outside")
        self.heard = Heard()
        self.watch = InotifyWatch(ManualReaders(), str(self.root), self.heard)
        self.watch.start()
        self.count = 0
        self.picture: Content = {}
        self.surveyed: set[str] = set()
        self.to_survey = True
        self.to_list: set[str] = set()

    def teardown(self) -> None:
        """Leave nothing."""
        self.watch.stop()
        shutil.rmtree(self.base)

    def content(self) -> Content:
        """What there is: for each first-level directory its visible files and what a stat says of them."""
        return {
            directory.name: {
                file.name: (file.stat().st_size, file.stat().st_mtime_ns, file.stat().st_ino)
                for file in directory.iterdir()
                if not file.name.startswith(".")
            }
            for directory in self.root.iterdir()
            if not directory.name.startswith(".") and os.path.isdir(directory)
        }

    @rule()
    def hear(self) -> None:
        """Hear what is reported, and remember it for later."""
        self.watch.drain()
        for call in self.heard.take():
            self.to_survey |= call in (".", "everything")
            self.to_list |= call if isinstance(call, set) else set()
            self.to_list |= self.surveyed | self.picture.keys() if call == "everything" else set()

    @rule()
    def survey(self) -> None:
        """See which directories there are; list those that are new."""
        if self.to_survey:
            present = set(self.content())
            self.to_list |= present ^ self.surveyed
            self.surveyed, self.to_survey = present, False

    @rule()
    def list(self) -> None:
        """List the directories that were reported, each watched before."""
        self.watch.watch(self.to_list & self.surveyed)
        content = self.content()
        for name in self.to_list:
            self.picture.pop(name, None)
            if name in content:
                self.picture[name] = content[name]
        self.to_list = set()

    @rule()
    def settle(self) -> None:
        """When nothing more happens, the picture is true."""
        self.hear()
        self.survey()
        self.list()
        assert self.picture == self.content()

    @rule(directory=directories, file=files)
    def write(self, directory: str, file: str) -> None:
        """Create or overwrite, each time with another size."""
        self.count += 1
        self.attempt(lambda: (self.root / directory / file).write_bytes(b"x" * self.count))

    @rule(directory=directories, file=files)
    def write_aside_and_rename(self, directory: str, file: str) -> None:
        """As rsync does."""
        temporary = self.root / directory / f".{file}.Xy12"
        self.attempt(lambda: temporary.write_bytes(b"") and None)
        self.attempt(lambda: temporary.rename(self.root / directory / file))

    @rule(directory=directories, file=files)
    def touch(self, directory: str, file: str) -> None:
        """Change nothing but the time."""
        self.count += 1
        self.attempt(lambda: os.utime(self.root / directory / file, ns=(self.count, self.count)))

    @rule(directory=directories, file=files)
    def unlink(self, directory: str, file: str) -> None:
        """Remove a file."""
        self.attempt((self.root / directory / file).unlink)

    @rule(directory=directories)
    def make(self, directory: str) -> None:
        """Make a directory."""
        self.attempt((self.root / directory).mkdir)

    @rule(directory=directories)
    def remove(self, directory: str) -> None:
        """Remove a directory with its content, or a link."""
        path = self.root / directory
        self.attempt(path.unlink if path.is_symlink() else lambda: shutil.rmtree(path))

    @rule(old=directories, new=directories)
    def rename(self, old: str, new: str) -> None:
        """Rename a directory or a link, perhaps over another."""
        self.attempt(lambda: (self.root / old).rename(self.root / new))

    @rule(new=directories)
    def move_in(self, new: str) -> None:
        """A directory comes with a file in it."""
        source = self.base / "source"
        source.mkdir(exist_ok=True)
        self.count += 1
        (source / "x.whl").write_bytes(b"x" * self.count)
        self.attempt(lambda: source.rename(self.root / new))

    @rule(old=directories)
    def move_out(self, old: str) -> None:
        """A directory goes elsewhere, and is changed there."""
        self.count += 1
        target = self.base / f"gone-{self.count}"
        self.attempt(lambda: (self.root / old).rename(target))
        self.attempt((target / "z.whl").touch)

    @rule(to=directories, name=directories)
    def link(self, to: str, name: str) -> None:
        """Set a link, or turn one elsewhere."""
        temporary = self.root / ".link"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(to)
        self.attempt(lambda: temporary.rename(self.root / name))

    @rule()
    def overflow(self) -> None:
        """The queue is lost."""
        self.watch.hear(OVERFLOW)

    @staticmethod
    def attempt(action: Callable[[], Any]) -> None:
        """Do it, if it can be done now."""
        try:
            action()
        except OSError:
            return


TestAnyOrderOfEvents = AnyOrderOfEvents.TestCase
TestAnyOrderOfEvents.settings = settings(
    max_examples=number_of(60), stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
