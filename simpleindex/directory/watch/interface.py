"""The interfaces between a live directory and what watches it for changes, and a watch that reports nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from simpleindex.core.errors import SimpleIndexError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from twisted.internet.defer import Deferred


class Watch(Protocol):
    """Reports changes; see :mod:`simpleindex.directory.watch.inotify`."""

    def start(self) -> None:
        """Begin, or begin again after a failure, with the root alone: the owner has each directory watched before it lists it again.

        Raises:
            WatchUnavailable: It cannot be done.
        """
        ...

    def stop(self) -> None:
        """End, until it is started again."""
        ...

    def watch(self, names: Iterable[str]) -> None:
        """Begin to watch these directories, before they are listed."""
        ...

    def drain(self) -> Deferred[None] | None:
        """Report now everything that has happened; where that cannot be done at once, return what fires when it is."""
        ...

    async def begun(self) -> None:
        """Return once changes are reported, or cannot be; before the root is listed."""
        ...


class NoWatch:
    """Reports nothing: changes are found by sweeps, or not at all."""

    def start(self) -> None:
        """There is nothing to do."""

    def stop(self) -> None:
        """There is nothing to do."""

    def watch(self, names: Iterable[str]) -> None:
        """There is nothing to do."""

    def drain(self) -> Deferred[None] | None:
        """There is nothing to report."""

    async def begun(self) -> None:
        """There is nothing to wait for."""


class QueueOwner(Protocol):
    """Shows a queue of events to other processes."""

    def opened(self, descriptor: int) -> None:
        """Take note of a queue's descriptor."""
        ...

    def taking(self) -> None:
        """Take note that events are about to be taken from the queue, or dropped with it."""
        ...


class HiddenQueue:
    """Shows the queue to nobody."""

    def opened(self, descriptor: int) -> None:
        """There is nothing to do."""

    def taking(self) -> None:
        """There is nothing to do."""


class WatchUnavailable(SimpleIndexError):
    """The file system's events are not available.

    Attributes:
        reason: Why, and what to do about it, as a sentence.
    """

    reason: str


class ChangeListener(Protocol):
    """Receives changes; called in the reactor's thread, so every method must be cheap."""

    def names_heard(self, entries: Mapping[str, bool], files: Mapping[str, set[bytes]]) -> None:
        """Take note of names in events; called before the other methods, and any of them may be gone by now.

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
