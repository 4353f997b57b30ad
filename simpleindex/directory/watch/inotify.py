"""Report by inotify which directories changed; what changed in them is found by looking, because events may be lost.

Twisted's own inotify closes itself when a watched directory is deleted and swallows an overflow of the queue, so this uses
inotify-simple with its descriptor in the reactor.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from array import array
from fcntl import ioctl
from functools import cache
from termios import FIONREAD
from threading import Thread
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer

from simpleindex.directory.watch.inotify_events import LARGEST_EVENT_BYTES, MASK, Changes, WatchedNames
from simpleindex.directory.watch.interface import ChangeListener, HiddenQueue, QueueOwner, WatchUnavailable

try:
    import inotify_simple
except ImportError:  # required on Linux only
    inotify_simple = None

if TYPE_CHECKING:
    from collections.abc import Iterable, KeysView

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IReactorFDSet
    from twisted.python.failure import Failure

# Such a directory cannot be listed either: the root reports when it appears or its permissions change.
_UNREACHABLE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP, errno.ENAMETOOLONG})

_READ_BYTES = 256 * 1024  # some 5,000 events, sorted in about 10 ms


@implementer(IReadDescriptor)
class _Instance:
    """One inotify instance with its watches: what the reactor reads from.

    The reactor wants ``fileno()`` to stay the same for the life of an object, and a watch that starts over in the middle of
    ``doRead`` has another descriptor; so each instance is an object of its own.
    """

    def __init__(self, inotify: Any, root: str, owner: InotifyWatch) -> None:
        self._inotify = inotify
        self._fd: int = inotify.fileno()
        self._buffer = memoryview(bytearray(_READ_BYTES))
        self._waiting = array("i", [0])
        self._owner = owner
        self._root = root
        self._watched = WatchedNames(_add_watch(self._fd, root))

    def fileno(self) -> int:
        return self._fd

    def logPrefix(self) -> str:
        return "inotify"

    def doRead(self) -> None:
        # One buffer a turn: the rest of a burst waits until others had theirs.
        self._owner.hear(self.read())

    def connectionLost(self, reason: Failure) -> None:
        self._owner.lost(self, reason.getErrorMessage())

    def read(self) -> bytes:
        """Take one buffer of waiting events; with none waiting that is one system call.

        With every page. How many bytes wait (inotify(7)) is known after 0.3 us; to read where nothing waits takes 1.4 us.
        """
        ioctl(self._fd, FIONREAD, self._waiting)
        if not self._waiting[0]:
            return b""
        self._owner.shown.taking()
        count = self._inotify.readinto(self._buffer)
        return bytes(self._buffer[:count]) if count else b""

    def add(self, name: str) -> bool:
        """Watch a first-level directory, if there is one that can be reached; return whether it is watched only now.

        Raises:
            OSError: No more watches are available, or something unforeseen.
        """
        if name in self._watched.wds:
            return False
        try:
            wd = _add_watch(self._fd, f"{self._root}/{name}")
        except OSError as error:
            if error.errno in _UNREACHABLE:
                return False
            raise
        return self._watched.add(name, wd)

    @property
    def names(self) -> KeysView[str]:
        """The names that are watched."""
        return self._watched.wds.keys()

    def take_ended(self) -> set[str]:
        """Return the names of which a watch has ended since the last time."""
        ended, self._watched.ended = self._watched.ended, set()
        return ended

    def close(self) -> None:
        """Give back the descriptor and with it all watches."""
        self._inotify.close()

    def sum_up(self, data: bytes) -> Changes:
        """Sum up events, and end the watches of names that mean another directory now."""
        changes = self._watched.sum_up(data)
        for wd in changes.ended:
            with contextlib.suppress(OSError):  # the kernel ended it already
                self._inotify.rm_watch(wd)
        return changes


class InotifyWatch:
    """Watches the root and the first-level directories it is given; everything happens in the reactor's thread.

    Not noticed, as inotify has no event for it: truncate(2) by path, writing through a hard link or a link's target in a directory
    that is not watched, another file system mounted over a directory, a link's path changing beyond its first step.

    Args:
        reactor: Where the descriptor waits for events.
        root: Absolute path of the served directory.
        listener: Called with changes.
        shown: Shows the queue of events to other processes.

    Attributes:
        shown: See above.
    """

    def __init__(
        self,
        reactor: IReactorFDSet,
        root: str,
        listener: ChangeListener,
        shown: QueueOwner | None = None,
    ) -> None:
        self.shown = shown or HiddenQueue()
        self._reactor = reactor
        self._root = root
        self._listener = listener
        self._instance: _Instance | None = None
        # Those to be watched that are not. Names whose directory is gone stay: it may be back before its owner has missed it.
        self._unwatched: set[str] = set()

    def start(self) -> None:
        """Watch the root. The owner then looks at everything, and has each directory watched before that, a few at a time.

        Raises:
            WatchUnavailable: Events are not available.
        """
        self._instance = _open(self._root, self)
        self.shown.opened(self._instance.fileno())
        self._reactor.addReader(self._instance)

    def stop(self) -> None:
        """End all watches; may be called more than once."""
        if (instance := self._ended()) is not None:
            instance.close()

    def _ended(self) -> _Instance | None:
        """Stop listening; return the instance to be closed, if there is one."""
        instance, self._instance = self._instance, None
        if instance is not None:
            self.shown.taking()
            self._unwatched |= instance.take_ended()
            self._reactor.removeReader(instance)
        return instance

    def watch(self, names: Iterable[str]) -> None:
        """Watch these first-level directories (raw names), to be called before they are first listed; for nothing while stopped.

        It is until the next stop: when another directory takes a name, or comes after a while without one, that is watched before it
        is reported.
        """
        if self._instance is not None:
            # Not the difference of two sets: that visits all names that are watched, with each change.
            watched = self._instance.names
            added = frozenset(name for name in names if name not in watched)
            self._unwatched |= added
            self._add(self._instance, added)

    def drain(self) -> Deferred[None] | None:
        """Read and report every event that waits now, without blocking."""
        if self._instance is None:
            return None
        data = chunk = self._instance.read()
        if not data:
            return None  # As for nearly every request.
        # A chunk with room left emptied the queue; asking until nothing comes might never end while files pour in.
        while len(chunk) > _READ_BYTES - LARGEST_EVENT_BYTES:
            chunk = self._instance.read()
            data += chunk
        self.hear(data)
        return None

    async def begun(self) -> None:
        """Return: it has begun when it was started."""

    def hear(self, data: bytes) -> None:
        """Report the changes of these events, in one report."""
        if self._instance is None or not data:
            return
        changes = self._instance.sum_up(data)
        self._unwatched |= self._instance.take_ended()
        if changes.overflow:
            self._start_over()
            return
        # Another entry of the root may be what a link among the others led to.
        due = frozenset(self._unwatched) if changes.root else changes.directories & self._unwatched
        directories = changes.directories | self._add(self._instance, due)
        if changes.entries or changes.files:
            self._listener.names_heard(changes.entries, changes.files)
        if changes.root:
            self._listener.root_changed()
        if directories:
            self._listener.directories_changed(directories)
        if changes.root_gone:
            self._fail(f"{self._root} was moved, deleted or unmounted.")

    def lost(self, instance: _Instance, reason: str) -> None:
        """Fail: the reactor dropped the descriptor, because a listener raised an exception."""
        if instance is self._instance:
            self._fail(f"Waiting for changes of {self._root} ended with an error: {reason}.")

    def _add(self, instance: _Instance, names: frozenset[str]) -> set[str]:
        """Return those of the names that were not watched and now are."""
        fresh = set()
        for name in sorted(names):
            try:
                if instance.add(name):
                    fresh.add(name)
                    self._unwatched.discard(name)
            except OSError as error:
                self._fail(_why(error, name))
                break
        return fresh

    def _start_over(self) -> None:
        # Lost events may have moved directories, and then watches belong to wrong names. A fresh instance drops them all at once;
        # removing them one by one would queue an event for each, perhaps enough to overflow again.
        self.stop()
        try:
            self.start()
        except WatchUnavailable as error:
            self._listener.watch_failed(error.reason)
        self._listener.everything_changed()

    def _fail(self, reason: str) -> None:
        if (instance := self._ended()) is not None:
            self._listener.watch_failed(reason)
            try:
                # For 190,000 watches, as many as a user may have on many machines, it takes 0.1 s.
                Thread(target=instance.close, name="watches").start()
            except RuntimeError:  # no more threads
                instance.close()


def _open(root: str, owner: InotifyWatch) -> _Instance:
    if inotify_simple is None:
        raise WatchUnavailable("Events of the file system need Linux and the package inotify-simple.")
    try:
        inotify = inotify_simple.INotify(nonblocking=True)
    except AttributeError:  # a C library without inotify
        raise WatchUnavailable("This platform has no inotify.") from None
    except OSError as error:
        raise WatchUnavailable(_why(error, root)) from None
    try:
        return _Instance(inotify, root, owner)
    except OSError as error:
        inotify.close()
        raise WatchUnavailable(_why(error, root)) from None


@cache
def _add_watch_of_c() -> Any:
    return ctypes.PyDLL(None, use_errno=True).inotify_add_watch


def _add_watch(descriptor: int, path: str) -> int:
    """Add a watch, and keep the interpreter meanwhile.

    The package gives it away with each call. A turn that watches 128 directories then waits for every thread that computes: of the
    turns in a cold start of 100,000 projects on a busy machine, 367 to 447 took more than 8 ms that way, and 49 without (one run;
    with Python's own interval of 5 ms between threads).
    """
    while (wd := int(_add_watch_of_c()(descriptor, os.fsencode(path), MASK))) < 0:
        number = ctypes.get_errno()
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))
    return wd


def _why(error: OSError, what: str) -> str:
    """Why no watch can be added, and how to change that: inotify(7), "/proc interfaces"."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return (
            "The limit of open files or of inotify instances is reached (fs.inotify.max_user_instances): raise it with"
            " sysctl fs.inotify.max_user_instances=1024, and in /etc/sysctl.d/ to keep it."
        )
    if error.errno == errno.ENOSPC:
        return (
            "The limit of watched directories is reached (fs.inotify.max_user_watches): raise it with"
            " sysctl fs.inotify.max_user_watches=1048576, and in /etc/sysctl.d/ to keep it."
        )
    return f"{what} cannot be watched: {error.strerror}."
