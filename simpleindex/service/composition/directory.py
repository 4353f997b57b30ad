"""Composition of the served directories: that of ``--path``, and those of the sources file."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from twisted.internet.defer import Deferred

from simpleindex.core.errors import RefusedStart
from simpleindex.core.views import LOCAL
from simpleindex.directory.layout.package_directory import PackageDirectory
from simpleindex.directory.live.cache_upkeep import keep_cache_up_to_date, open_catalogue
from simpleindex.directory.live.live_directory import LiveDirectory
from simpleindex.directory.scan.batches import ScanThreads
from simpleindex.directory.scan.catalogue import CatalogueFile
from simpleindex.directory.scan.digest_cache import DigestCache
from simpleindex.directory.scan.scanner import Scanner
from simpleindex.directory.source import LocalSource
from simpleindex.directory.watch.inotify import InotifyWatch
from simpleindex.directory.watch.interface import NoWatch, WatchUnavailable
from simpleindex.directory.watch.method import choose_watch_method, network_filesystem
from simpleindex.service.places import excluded_paths, mountinfo
from simpleindex.system.log import logger
from simpleindex.system.threads import core_count

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simpleindex.directory.live.private_names import NameRecord
    from simpleindex.directory.watch.interface import Watch
    from simpleindex.service.audit.hand_changes import MadeByNodes
    from simpleindex.service.runtime import Runtime
    from simpleindex.system.operation_times import OperationTimes

_log = logger(__name__)

LiveKind = TypeVar("LiveKind", bound=LiveDirectory)


class ServedDirectory:
    """A directory of packages with everything that reads it and keeps it up to date.

    Args:
        path: The directory.
        name: Its name among the sources.
        runtime: What all parts share.
        used_names: Stores names of projects for good; None without upstreams.

    Attributes:
        name: Its name among the sources.
        choice: How changes are noticed.
        directory: Its listings and bytes.
        digests: The digest cache.
        catalogue_file: Where projects are cached that do not change.
        live: Its projects, kept up to date.
        source: Its projects as a source.
        log: Where it logs, with its name if it is a further directory.
        sweeps: The number of sweeps so far.
        supervised_watch: Reports changes where another process watches for this one; None otherwise.
        made_by_nodes: Which changes of a project's files other nodes made; None if no other one can.
    """

    supervised_watch: Watch | None = None
    made_by_nodes: MadeByNodes | None = None

    def __init__(self, path: str, name: str, runtime: Runtime, used_names: NameRecord | None) -> None:
        settings = runtime.settings
        self.name = name
        self.path = path
        self.sweeps = 0
        self._runtime = runtime
        self.log = logger(__name__, "" if name == LOCAL else name)
        self._watch: Watch | None = None
        self.directory = PackageDirectory(path, excluded_paths(settings))
        filesystem = network_filesystem(self.directory.root, mountinfo())
        self._is_remote = filesystem is not None
        self.choice = choose_watch_method(
            settings.watch.value, interval=settings.poll_interval, filesystem=filesystem
        )
        self.digests = DigestCache(str(settings.cache), self.directory.root, self.log)
        self.catalogue_file = CatalogueFile.of(str(settings.cache), self.directory.root, name)
        self.live = self._live(LiveDirectory, time.time_ns, used_names)
        self.live.follows_root = settings.follow_root
        self.source = LocalSource(
            self.live,
            self.directory,
            runtime.threads.reads.run,
            slow_opens=self._is_remote,
            name=name,
        )

    def _live(
        self, kind: type[LiveKind], now_ns: Callable[[], int], used_names: NameRecord | None
    ) -> LiveKind:
        threads = self._runtime.threads
        scanner = Scanner(
            self.directory,
            self.digests,
            now_ns,
            self.name,
            patient=self.choice.method == "poll",
            examiner=self._runtime.examination,
        )
        return kind(
            scanner,
            self._runtime.reactor,
            threads=ScanThreads(
                *(threads.reads.run, threads.digests.run, threads.examinations.run),
                lists_at_once=self._is_remote,
            ),
            log=self.log,
            # One more, for what lies between two visits to a process.
            workers=core_count() + 1,
            record=used_names,
        )

    def watch(self) -> None:
        """Start to notice changes, and log how."""
        if self.choice.method == "inotify":
            watch = self.supervised_watch or InotifyWatch(self._runtime.reactor, self.path, self.live)
            try:
                watch.start()
                self._watch = watch
            except WatchUnavailable as error:
                settings = self._runtime.settings
                interval = settings.poll_interval
                self.choice = choose_watch_method(
                    settings.watch.value, interval=interval, unavailable=str(error)
                )
        self.live.polling = self.choice.method == "poll"
        self.log.info("{sentence}", sentence=self.choice.sentence)

    def begin(self) -> Deferred[None]:
        """Start the first scan; the Deferred fires when it is complete."""
        preparing = self._runtime.threads.reads.run(self._prepare_for_files)
        preparing.addErrback(lambda failure: _log.failure("", failure))
        self.live.catalogue = open_catalogue(self.catalogue_file, self.digests)
        return self.live.begin(self._watch or NoWatch())

    def _prepare_for_files(self) -> None:
        """Start an examining process early if files will be examined, while the directory is listed."""
        if self.digests.remembers_anything():
            return
        with suppress(OSError), os.scandir(self.path) as entries:
            if any(not entry.name.startswith(".") for entry in entries):
                self._runtime.examination.prepare()

    def sweep(self) -> Deferred[None]:
        """Look for changes that made no event."""
        self.sweeps += 1
        return Deferred.fromCoroutine(self.live.sweep(self.sweeps))

    def keep_cache_up_to_date(self) -> None:
        """Bring what is cached of the directory into step with it; blocking."""
        keep_cache_up_to_date(self.live.snapshots, self.digests, self.catalogue_file, time.time_ns())

    async def make_room(self) -> None:
        """Do nothing: no copies of files are kept."""

    def measure(self, times: OperationTimes) -> None:
        """Measure nothing: there is no store but the disk."""

    def stop(self) -> None:
        """Stop reading and watching."""
        self.live.stop()
        if self._watch is not None:
            self._watch.stop()


def refuse_overlap(directories: Sequence[ServedDirectory], where: str) -> None:
    """Refuse directories that lie within one another, because the projects of one would be files of the other.

    Args:
        directories: All served directories.
        where: The sources file, for the sentence.

    Raises:
        RefusedStart: One cannot be listed, or lies within another, or is the same.
    """
    for each in directories:
        if not os.path.isdir(each.path):
            raise RefusedStart(f"{where}: the directory {each.name}, {each.path}, is not there.")
        for other in directories:
            inner, outer = (f"{one.directory.root.rstrip('/')}/" for one in (each, other))
            if each is not other and inner.startswith(outer):
                raise RefusedStart(
                    f"{where}: the directory {each.name}, {each.path}, lies within {other.path}, which is {other.name}; "
                    "give each a place of its own."
                )
