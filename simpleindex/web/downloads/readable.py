"""What pages about downloads are made of: the counts, who may see them, and the threads that read them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.config.settings import Settings
    from simpleindex.records.downloads.database import DownloadsDatabase
    from simpleindex.system.threads import Threads
    from simpleindex.web.downloads.rights import DownloadRights


@dataclass(frozen=True)
class ReadableDownloads:
    """The counts of downloads, as pages read them.

    Attributes:
        rights: Decides who sees what.
        database: The counts.
        threads: Threads for questions, of which some take long.
        current: Returns the settings in force.
        now: Returns the time, seconds since 1970.
    """

    rights: DownloadRights
    database: DownloadsDatabase
    threads: Threads
    current: Callable[[], Settings]
    now: Callable[[], float] = time.time
