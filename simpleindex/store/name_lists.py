"""The lists that rules name: files of names, and directories of security advisories that somebody keeps up to date."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

from simpleindex.core.advisories import Advisories, parse_advisory
from simpleindex.core.deny_list import parse_deny_list
from simpleindex.core.errors import InvalidAdvisory, InvalidSources
from simpleindex.store.directory import Stamp, printable
from simpleindex.store.followed_file import FollowedFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simpleindex.core.advisories import Advisory
    from simpleindex.core.policy import NamesList

_SUFFIX: Final = ".json"
_LARGEST: Final = 16 << 20
"""Bytes of one advisory; the largest of the public ones has half a megabyte."""

_MOST_NAMED: Final = 5
"""Broken advisories that are named; a directory of other things must not bury the log."""


class NameLists:
    """All lists that rules name.

    Args:
        directory: Relative paths are from here: where the sources file lies.
        log: Takes a sentence for the operator.
        seconds: A clock that only goes on.
        now_ns: The time as files have it, nanoseconds since 1970.
    """

    def __init__(
        self,
        directory: str,
        log: Callable[[str], None],
        seconds: Callable[[], float] = time.monotonic,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._directory = directory
        self._log = log
        self._seconds = seconds
        self._now_ns = now_ns
        self._advisories: dict[str, AdvisoryDirectory] = {}

    def open(self, key: str) -> Callable[[], NamesList]:
        """Read a list for the first time.

        Args:
            key: ``deny-names:FILE`` or ``advisories:DIRECTORY``.

        Returns:
            What gives it as it is now.

        Raises:
            InvalidSources: It cannot be used.
        """
        kind, _, path = key.partition(":")
        path = os.path.join(self._directory, path)
        try:
            if kind == "advisories":
                if path not in self._advisories:
                    advisories = AdvisoryDirectory(path, self._log)
                    advisories.refresh()
                    self._advisories[path] = advisories
                return self._advisories[path].current
            names = FollowedFile(
                path,
                kind,
                parse_deny_list,
                taken=lambda _: None,
                log=self._log,
                seconds=self._seconds,
                now_ns=self._now_ns,
            )
            names.open()
        except OSError as error:
            raise InvalidSources(
                f"has {kind} = {printable(path)!r}, which cannot be read: {error.strerror}"
            ) from None
        except InvalidSources as error:
            raise InvalidSources(f"has {kind} = {printable(path)!r}, which {error.reason}") from None
        return names.current

    def refresh(self) -> None:
        """Look at the directories of advisories again. Blocking, for tens of milliseconds where there are 20,000."""
        for advisories in self._advisories.values():
            try:
                advisories.refresh()
            except OSError as error:
                advisories.complain(error)


class AdvisoryDirectory:
    """The advisories in a directory and those below it, in the OSV format, one in each ``.json`` file.

    One that cannot be understood is said once; what it said before stays.

    Args:
        path: The directory.
        log: Takes a sentence for the operator.
    """

    def __init__(self, path: str, log: Callable[[str], None]) -> None:
        self._path = path
        self._log = log
        self._known: dict[str, tuple[Stamp, tuple[Advisory, ...]]] = {}
        self._current = Advisories(())
        self._trouble: str | None = None

    def current(self) -> Advisories:
        """What they said when they were last looked at; the same object as long as they said the same."""
        return self._current

    def refresh(self) -> None:
        """Read what changed.

        Raises:
            OSError: The directory cannot be read; what was known stays.
        """
        known: dict[str, tuple[Stamp, tuple[Advisory, ...]]] = {}
        broken: list[str] = []
        has_changed = False
        for path, stamp in _files(self._path):
            before = self._known.get(path)
            if before is not None and before[0] == stamp:
                known[path] = before
                continue
            try:
                known[path] = stamp, parse_advisory(_read(path))
                has_changed = True
            except (OSError, InvalidAdvisory) as error:
                if before is not None:
                    # Read again only when it changes again.
                    known[path] = stamp, before[1]
                else:
                    known[path] = stamp, ()
                reason = error.strerror if isinstance(error, OSError) else error
                broken.append(f"{printable(path)}: {reason}")
        if has_changed or known.keys() != self._known.keys():
            self._current = Advisories(each for _, found in known.values() for each in found)
        self._known = known
        self._trouble = None
        for line in broken[:_MOST_NAMED]:
            self._log(f"Not obeyed: {line}.")
        if len(broken) > _MOST_NAMED:
            self._log(f"{len(broken) - _MOST_NAMED:,} more files in {printable(self._path)} are not obeyed.")

    def complain(self, error: OSError) -> None:
        """Say that the directory cannot be read, once until it can."""
        reason = error.strerror or str(error)
        if reason != self._trouble:
            self._trouble = reason
            self._log(
                f"The advisories in {printable(self._path)} cannot be read again ({reason}): what they said before stays in force."
            )


def _files(path: str) -> Iterator[tuple[str, Stamp]]:
    directories = [path]
    while directories:
        with os.scandir(directories.pop()) as entries:
            for entry in sorted(entries, key=lambda each: each.name):
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    directories.append(entry.path)
                elif entry.name.endswith(_SUFFIX) and entry.is_file():
                    try:
                        yield entry.path, Stamp.of(entry.stat())
                    except FileNotFoundError:
                        continue


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise InvalidAdvisory(f"has more than {_LARGEST >> 20} MiB")
    return content
