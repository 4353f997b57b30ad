"""Notice that the directory changed, and tell where to look again; never what changed, for events lie and looking does not.

Twisted's own inotify closes itself when a watched directory is deleted and swallows an overflow of the queue, so this uses
inotify-simple with its descriptor in the reactor. The flags are those of inotify(7), spelled out here so that the module can be
imported where there is no inotify.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer

from simpleindex.directory.watch.interface import WatchUnavailable

try:
    import inotify_simple
except ImportError:  # required on Linux only
    inotify_simple = None

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from twisted.internet.interfaces import IReactorFDSet
    from twisted.python.failure import Failure

IN_ATTRIB = 0x4
IN_CLOSE_WRITE = 0x8
IN_MOVED_FROM = 0x40
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE = 0x200
IN_DELETE_SELF = 0x400
IN_MOVE_SELF = 0x800
IN_UNMOUNT = 0x2000
IN_Q_OVERFLOW = 0x4000
IN_IGNORED = 0x8000
IN_ONLYDIR = 0x1000000
IN_ISDIR = 0x40000000

# A name of a directory's own now means another file, or none.
_RENAMED = IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE
# An entry of the root that was not there before.
_APPEARED = IN_CREATE | IN_MOVED_TO
# Something had the name that goes with the event.
_NAMED = _RENAMED | IN_CLOSE_WRITE
# The watched directory no longer is where it was.
_SELF_GONE = IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED
# No IN_MODIFY: it comes with every write of a copy that is not finished. No IN_EXCL_UNLINK: a file linked to its final name whose
# first name is removed while it is still open would never report its end.
_MASK = _RENAMED | IN_ATTRIB | IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR

# Such a directory cannot be listed either: the root reports when it appears or its permissions change.
_UNREACHABLE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP, errno.ENAMETOOLONG})

_READ_BYTES = 256 * 1024  # some 5,000 events, sorted in about 10 ms
_EVENT = struct.Struct(
    "iIII"
)  # inotify(7): wd, mask, cookie, and the length of the name that follows with its padding
_DOT = ord(".")
_LARGEST_EVENT_BYTES = 16 + 256  # inotify(7): the header, and NAME_MAX with its terminating zero


class ChangeListener(Protocol):
    """Receives changes; called in the reactor's thread, so every method must be cheap."""

    def names_heard(self, entries: Mapping[str, bool], files: Mapping[str, set[bytes]]) -> None:
        """Take note of names that events told of, told before where to look again; any of it may be gone by now.

        Args:
            entries: Whether it is a directory, by the raw name of what was made or moved into the root.
            files: Names that something had in a first-level directory, by the directory's raw name.
        """
        ...

    def root_changed(self) -> None:
        """Entries in the root appeared, vanished or changed: survey it, and check that it is still the same."""
        ...

    def directories_changed(self, names: frozenset[str]) -> None:
        """Look again at these first-level directories (raw names), of which some may be gone."""
        ...

    def everything_changed(self) -> None:
        """Events were lost: list all again."""
        ...

    def watch_failed(self, reason: str) -> None:
        """No event will come any more, for the reason in this sentence: poll, or try :meth:`InotifyWatch.start` again."""
        ...


@dataclass(frozen=True, slots=True)
class _Changes:
    """What one batch of events comes to."""

    root: bool = False
    root_gone: bool = False
    overflow: bool = False
    directories: frozenset[str] = frozenset()
    entries: Mapping[str, bool] = field(default_factory=dict)
    files: Mapping[str, set[bytes]] = field(default_factory=dict)


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
        self._owner = owner
        self._root = root
        self._root_wd: int = inotify.add_watch(root, _MASK)
        self._wds: dict[str, int] = {}
        # Links make several names of one directory, and a directory has one watch.
        self._names: dict[int, tuple[str, ...]] = {}

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
        """Take one buffer of waiting events; with none waiting that is one system call."""
        count = self._inotify.readinto(self._buffer)
        return bytes(self._buffer[:count]) if count else b""

    def add(self, name: str) -> bool:
        """Watch a first-level directory, if there is one that can be reached; return whether it is watched only now.

        Raises:
            OSError: There are no more watches to be had, or something unforeseen.
        """
        if name in self._wds:
            return False
        try:
            wd = self._inotify.add_watch(os.path.join(self._root, name), _MASK)
        except OSError as error:
            if error.errno in _UNREACHABLE:
                return False
            raise
        # A link to the root itself is no project, and forgetting it must not end the root's watch.
        if wd == self._root_wd:
            return False
        self._wds[name] = wd
        self._names[wd] = (*self._names.get(wd, ()), name)
        return True

    def close(self) -> None:
        """Give back the descriptor and with it all watches."""
        self._inotify.close()

    def sort(self, data: bytes) -> _Changes:
        """Sum up events, and end the watches of names that they say mean another directory now."""
        root = root_gone = False
        directories: set[str] = set()
        entries: dict[str, bool] = {}
        named: dict[int, set[bytes]] = {}
        files: dict[str, set[bytes]] = {}
        end = 0
        # Not by inotify_simple's parse_events, which takes as long as all the rest when thousands of files arrive: the names
        # of what lies in a project's directory are not decoded here.
        while end < len(data):
            wd, mask, _, length = _EVENT.unpack_from(data, end)
            begin, end = end + _EVENT.size, end + _EVENT.size + length
            if mask & IN_Q_OVERFLOW:
                return _Changes(overflow=True)
            # Temporary names make noise, but what is written under one may have a second name by the time it is complete.
            is_hidden = length and data[begin] == _DOT
            if wd != self._root_wd:
                if mask & _NAMED:
                    named.setdefault(wd, set()).add(data[begin:end])
                if is_hidden and not mask & IN_CLOSE_WRITE:
                    continue
                directories.update(self._names.get(wd, ()))
                if mask & _SELF_GONE:
                    _add_names(files, self._names.get(wd, ()), named.pop(wd, set()))
                    if self._drop(wd):
                        root = True
                continue
            name = os.fsdecode(data[begin:end].rstrip(b"\0"))
            if name and mask & _APPEARED:
                entries[name] = bool(mask & IN_ISDIR)
            if is_hidden and not mask & IN_CLOSE_WRITE:
                continue
            if name and mask & _RENAMED:
                root = True
                wd = self._wds.get(name, -1)
                _add_names(files, self._names.get(wd, ()), named.pop(wd, set()))
                directories.update(self._drop(wd))
                if mask & IN_ISDIR:
                    directories.add(name)
            elif name and mask & IN_ISDIR:
                directories.add(name)
            else:
                root = True
                root_gone = root_gone or bool(mask & _SELF_GONE)
        for wd, raw_names in named.items():
            _add_names(files, self._names.get(wd, ()), raw_names)
        return _Changes(root, root_gone, False, frozenset(directories), entries, files)

    def _drop(self, wd: int) -> tuple[str, ...]:
        """End a watch, since it would follow its directory to another name; return the names it had here."""
        names = self._names.pop(wd, ())
        for name in names:
            del self._wds[name]
        if names:
            with contextlib.suppress(OSError):  # the kernel ended it already
                self._inotify.rm_watch(wd)
        return names


def _add_names(
    files: dict[str, set[bytes]], directories: Iterable[str], padded_names: Iterable[bytes]
) -> None:
    """Add names from events, which zeros may follow, to those of each directory."""
    for directory in directories:
        files.setdefault(directory, set()).update(name.rstrip(b"\0") for name in padded_names)


class InotifyWatch:
    """Watches the root and the first-level directories it is given; everything happens in the reactor's thread.

    Not noticed, as inotify has no event for it: truncate(2) by path, writing through a hard link or a link's target in a directory
    that is not watched, another file system mounted over a directory, a link's path changing beyond its first step.

    Args:
        reactor: Where the descriptor waits for events.
        root: Absolute path of the served directory.
        listener: Called with changes.
    """

    def __init__(self, reactor: IReactorFDSet, root: str, listener: ChangeListener) -> None:
        self._reactor = reactor
        self._root = root
        self._listener = listener
        self._instance: _Instance | None = None
        # Names whose directory is gone stay: it may be back before its owner has missed it.
        self._wanted: set[str] = set()

    def start(self) -> None:
        """Watch the root, and the names that were watched before a stop or a failure.

        Raises:
            WatchUnavailable: There are no events to be had.
        """
        self._instance = _open(self._root, self, self._wanted)
        self._reactor.addReader(self._instance)

    def stop(self) -> None:
        """End all watches; may be called more than once."""
        instance, self._instance = self._instance, None
        if instance is not None:
            self._reactor.removeReader(instance)
            instance.close()

    def watch(self, names: Iterable[str]) -> None:
        """Watch these first-level directories (raw names), to be called before they are first listed.

        It is for good: when another directory takes a name, or comes after a while without one, that is watched before it is
        told of.
        """
        added = frozenset(names)
        self._wanted |= added
        if self._instance is not None:
            self._add(self._instance, added)

    def drain(self) -> None:
        """Read every event that waits now and tell of it, without blocking."""
        if self._instance is None:
            return
        data = chunk = self._instance.read()
        if not data:
            return  # As for nearly every request.
        # A chunk with room left emptied the queue; asking until nothing comes might never end while files pour in.
        while len(chunk) > _READ_BYTES - _LARGEST_EVENT_BYTES:
            chunk = self._instance.read()
            data += chunk
        self.hear(data)

    def hear(self, data: bytes) -> None:
        """Tell once what these events come to."""
        if self._instance is None or not data:
            return
        changes = self._instance.sort(data)
        if changes.overflow:
            self._start_over()
            return
        # Another entry of the root may be what a link among the others led to.
        due = frozenset(self._wanted) if changes.root else changes.directories & self._wanted
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
        if self._instance is not None:
            self.stop()
            self._listener.watch_failed(reason)


def _open(root: str, owner: InotifyWatch, names: Iterable[str]) -> _Instance:
    if inotify_simple is None:
        raise WatchUnavailable("Events of the file system need Linux and the package inotify-simple.")
    try:
        inotify = inotify_simple.INotify(nonblocking=True)
    except AttributeError:  # a C library without inotify
        raise WatchUnavailable("This platform has no inotify.") from None
    except OSError as error:
        raise WatchUnavailable(_why(error, root)) from None
    try:
        instance = _Instance(inotify, root, owner)
        for name in sorted(names):
            instance.add(name)
    except OSError as error:
        inotify.close()
        raise WatchUnavailable(_why(error, root)) from None
    return instance


def _why(error: OSError, what: str) -> str:
    """Why no watch can be had, and how to change that: inotify(7), "/proc interfaces"."""
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
