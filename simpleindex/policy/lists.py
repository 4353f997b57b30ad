"""Deny lists and directories of security advisories that rules name, followed while the server runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from simpleindex.core.errors import InvalidSources
from simpleindex.core.text import printable
from simpleindex.policy.advisories import AdvisoryDirectory
from simpleindex.policy.deny_list import InvalidNameList, parse_deny_list
from simpleindex.policy.osv import InvalidAdvisory
from simpleindex.system.clocks import SYSTEM_CLOCKS
from simpleindex.system.followed_file import FileKind, FollowedFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.core.names import ProjectName
    from simpleindex.policy.osv import Advisory
    from simpleindex.policy.rules import NamesList
    from simpleindex.system.clocks import Clocks


class NameLists:
    """The lists that rules name.

    Args:
        directory: Relative paths start here: where the sources file lies.
        clocks: The clocks.
    """

    def __init__(
        self,
        directory: str,
        clocks: Clocks = SYSTEM_CLOCKS,
    ) -> None:
        self._directory = directory
        self._clocks = clocks
        self._advisories: dict[str, AdvisoryDirectory] = {}
        self._refused: dict[str, InvalidSources] = {}
        self._requested: set[str] | None = None

    def open(self, key: str) -> Callable[[], NamesList]:
        """Read a list for the first time; blocking.

        After the first :meth:`refresh` a directory of advisories is read only there, because that takes seconds: until then it is
        refused, and a later call returns it.

        Args:
            key: ``deny-names:FILE`` or ``advisories:DIRECTORY``.

        Returns:
            A function that returns the current content.

        Raises:
            InvalidSources: It cannot be used.
        """
        kind, _, path = key.partition(":")
        path = os.path.join(self._directory, path)
        if kind == "advisories":
            return self._directory_of(path).current
        names = FollowedFile(path, FileKind(kind, parse_deny_list), clocks=self._clocks)
        try:
            names.open()
        except (OSError, InvalidNameList) as error:
            raise _unusable(kind, path, error) from None
        return names.current

    def advisories_about(self, name: ProjectName, version: str) -> tuple[Advisory, ...]:
        """Return what all advisories say about a version, whichever rule names them."""
        found = (
            advisory
            for directory in tuple(self._advisories.values())
            for advisory in directory.current().about(name, version)
        )
        return tuple({advisory.id: advisory for advisory in found}.values())

    @property
    def advisories_modified(self) -> float | None:
        """When the newest advisory was written, seconds since 1970; None where no rule names any."""
        return max((each.modified for each in tuple(self._advisories.values())), default=None)

    def refresh(self) -> None:
        """Look at the directories of advisories again; blocking, and not for the reactor's thread."""
        requested, self._requested = self._requested or set(), set()
        for advisories in self._advisories.values():
            advisories.refresh()
        for path in requested:
            try:
                self._advisories[path] = self._opened(path)
            except InvalidSources as error:
                self._refused[path] = error

    def _directory_of(self, path: str) -> AdvisoryDirectory:
        if path in self._advisories:
            return self._advisories[path]
        if self._requested is None:
            self._advisories[path] = self._opened(path)
            return self._advisories[path]
        self._requested.add(path)
        raise self._refused.pop(path, None) or InvalidSources(
            f"has advisories = {printable(path)!r}, which are read first"
        )

    def _opened(self, path: str) -> AdvisoryDirectory:
        advisories = AdvisoryDirectory(path, self._clocks)
        try:
            advisories.open()
        except (OSError, InvalidAdvisory) as error:
            raise _unusable("advisories", path, error) from None
        return advisories


def _unusable(kind: str, path: str, error: OSError | InvalidAdvisory | InvalidNameList) -> InvalidSources:
    reason = f"cannot be read: {error.strerror or error}" if isinstance(error, OSError) else error.reason
    return InvalidSources(f"has {kind} = {printable(path)!r}, which {reason}")
