"""Who may see how often something was downloaded, and who may see by whom; and what pages need to show it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simpleindex.access.errors import Unauthenticated
from simpleindex.access.identity import Action
from simpleindex.core.errors import NotAllowed

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.access.identity import Identity
    from simpleindex.config.settings import Settings
    from simpleindex.core.names import ProjectName
    from simpleindex.records.downloads.database import DownloadsDatabase
    from simpleindex.system.threads import Threads
    from simpleindex.web.admission import Admission


class DownloadRights:
    """Decides who sees downloads.

    Numbers of a project that anyone may read are for everybody. Numbers of all other projects, and users and addresses of every
    project, are for those with the right ``audit``.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    def may_see_counts(self, reader: Identity, name: ProjectName) -> bool:
        """Tell whether a reader of a project may see how often it was downloaded."""
        is_public = self._admission.access.is_public(name)
        return is_public or self._admission.decide(reader, Action.AUDIT, name).allowed

    def require_counts(self, reader: Identity, name: ProjectName | None) -> None:
        """Refuse a reader who may not see how often a project was downloaded; None for all projects together.

        Raises:
            Unauthenticated: The reader did not log in.
            NotAllowed: The rights do not allow it.
        """
        if name is None:
            if not self._admission.access.everything_public:
                self._require_everywhere(reader)
        elif not self.may_see_counts(reader, name):
            self._admission.require(reader, Action.AUDIT, name)

    def require_people(self, reader: Identity, name: ProjectName | None) -> None:
        """Refuse a reader who may not see who downloads a project; arguments and errors are those of :meth:`require_counts`."""
        if name is None:
            self._require_everywhere(reader)
        else:
            self._admission.require(reader, Action.AUDIT, name)

    def _require_everywhere(self, reader: Identity) -> None:
        if not self._admission.access.may_everywhere(reader, Action.AUDIT):
            text = "The downloads of all projects together are for those who may audit every project; name a project."
            raise NotAllowed(text) if reader.authenticated else Unauthenticated(text)


@dataclass(frozen=True)
class ReadableDownloads:
    """The counts of downloads, as pages read them.

    Attributes:
        rights: Decides who sees what.
        threads: Threads for questions, of which some take long.
        current: Returns the settings in force.
        now: Returns the time, seconds since 1970.
    """

    rights: DownloadRights
    database: DownloadsDatabase
    threads: Threads
    current: Callable[[], Settings]
    now: Callable[[], float] = time.time
