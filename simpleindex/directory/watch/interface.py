"""What a live directory asks of whoever tells it of changes, and the one who tells nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from simpleindex.core.errors import SimpleIndexError

if TYPE_CHECKING:
    from collections.abc import Iterable


class Watch(Protocol):
    """Who tells of changes; see :mod:`simpleindex.directory.watch.inotify`."""

    def start(self) -> None:
        """Begin, or begin again after a failure, with every directory watched before.

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

    def drain(self) -> None:
        """Tell now of everything that has happened."""
        ...


class NoWatch:
    """Nothing tells of changes: they are swept for, or not at all."""

    def start(self) -> None:
        """There is nothing to do."""

    def stop(self) -> None:
        """There is nothing to do."""

    def watch(self, names: Iterable[str]) -> None:
        """There is nothing to do."""

    def drain(self) -> None:
        """There is nothing to tell."""


class WatchUnavailable(SimpleIndexError):
    """The file system's events cannot be had.

    Attributes:
        reason: Why, and what to do about it, as a sentence.
    """

    reason: str
