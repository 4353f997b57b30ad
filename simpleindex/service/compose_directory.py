"""One's own directories, each put together and kept in step: that of ``--path``, and those of the sources file.

A part of the composition root (:mod:`simpleindex.service.compose`).
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from simpleindex.archives.examination.pool import core_count
from simpleindex.core import severity
from simpleindex.core.errors import RefusedStart, WatchUnavailable
from simpleindex.core.views import LOCAL
from simpleindex.directory.layout.package_directory import PackageDirectory
from simpleindex.directory.live.live_directory import LiveDirectory
from simpleindex.directory.scan.digest_cache import DigestCache
from simpleindex.directory.scan.scanner import Scanner
from simpleindex.directory.source import LocalSource
from simpleindex.directory.watch.inotify import InotifyWatch
from simpleindex.directory.watch.interface import NoWatch
from simpleindex.directory.watch.method import choose, network_filesystem
from simpleindex.service.places import excluded_paths, mountinfo

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from twisted.python.failure import Failure

    from simpleindex.archives.examination.requests import Examiner
    from simpleindex.config.settings import Settings
    from simpleindex.directory.live.private_names import NameRecord


class OwnDirectory:
    """A directory of packages.

    Args:
        path: Where.
        name: What it is called among the sources.
        settings: Say what is excluded, where digests are remembered, and how to notice changes.
        reactor: Runs everything.
        in_read_thread: Calls a short blocking function in a thread.
        in_digest_thread: Calls one that reads whole files.
        in_look_thread: Calls one that reads small ones.
        examiner: Examines files.
        say: Takes a sentence for the operator.
        failed: Told of what should never happen.
        record: Remembers names of projects for good; None where no other index is asked.

    Attributes:
        name: As given.
        path: As given.
        choice: How changes are learnt of; as far as can be said before trying, until it was tried.
        directory: The bytes.
        digests: The memory of what was read.
        live: The shelves, kept in step.
        source: Answers for it.
    """

    def __init__(
        self,
        path: str,
        name: str,
        settings: Settings,
        reactor: Any,
        *,
        in_read_thread: Callable[..., Awaitable[Any]],
        in_digest_thread: Callable[..., Awaitable[Any]],
        in_look_thread: Callable[..., Awaitable[Any]],
        examiner: Examiner,
        say: Callable[[str], None],
        failed: Callable[[Failure], None],
        record: NameRecord | None = None,
    ) -> None:
        self.name = name
        self.path = path
        self._settings = settings
        self._reactor = reactor
        self._examiner = examiner
        self._in_read_thread = in_read_thread
        self._failed = failed
        self._say = say if name == LOCAL else lambda sentence: say(severity.prefixed(name, sentence))
        self._watch: InotifyWatch | None = None
        self._sweeps = 0
        self.directory = PackageDirectory(path, excluded_paths(settings))
        filesystem = network_filesystem(self.directory.root, mountinfo())
        self.choice = choose(settings.watch.value, interval=settings.poll_interval, filesystem=filesystem)
        self.digests = DigestCache(str(settings.cache), self.directory.root, self._say)
        self.live = LiveDirectory(
            Scanner(
                self.directory,
                self.digests,
                time.time_ns,
                name,
                patient=self.choice.method == "poll",
                examiner=examiner,
            ),
            reactor,
            in_read_thread=in_read_thread,
            in_digest_thread=in_digest_thread,
            in_look_thread=in_look_thread,
            log=self._say,
            failed=failed,
            # One more, for what lies between two visits to a process.
            workers=core_count() + 1,
            record=record,
        )
        self.live.follows_root = settings.follow_root
        self.source = LocalSource(
            self.live, self.directory, in_read_thread, slow_opens=filesystem is not None
        )

    def watch(self) -> None:
        """Begin to notice changes, and say how."""
        if self.choice.method == "inotify":
            watch = InotifyWatch(self._reactor, self.path, self.live)
            try:
                watch.start()
                self._watch = watch
            except WatchUnavailable as error:
                interval = self._settings.poll_interval
                self.choice = choose(self._settings.watch.value, interval=interval, unavailable=str(error))
        self.live.polling = self.choice.method == "poll"
        self._say(self.choice.sentence)

    def begin(self) -> Deferred[None]:
        """Read it for the first time; fires when all of it is known."""
        preparing = Deferred.fromCoroutine(self._prepare())
        preparing.addErrback(self._failed)
        return self.live.begin(self._watch or NoWatch())

    async def _prepare(self) -> None:
        await self._in_read_thread(self._prepare_for_files)

    def _prepare_for_files(self) -> None:
        """Have a process begun where files will have to be examined: while it begins, the directory is listed."""
        if self.digests.remembers_anything():
            return
        with suppress(OSError), os.scandir(self.path) as entries:
            if any(not entry.name.startswith(".") for entry in entries):
                self._examiner.prepare()

    def sweep(self) -> Deferred[None]:
        """Look for changes that made no event."""
        self._sweeps += 1
        return Deferred.fromCoroutine(self.live.sweep(self._sweeps))

    def forget_others(self) -> None:
        """Forget what was remembered of files that are there no more; blocking."""
        self.digests.forget_others(
            path for shelf in tuple(self.live.shelves.values()) for path in shelf.known
        )

    def stop(self) -> None:
        """Stop reading and watching."""
        self.live.stop()
        if self._watch is not None:
            self._watch.stop()


def refuse_overlap(directories: Sequence[OwnDirectory], where: str) -> None:
    """Refuse directories that lie in one another: their projects would be each other's files.

    Args:
        directories: All of one's own.
        where: What names them, for the sentence.

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
