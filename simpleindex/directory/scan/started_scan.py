"""A project that has been looked at, and of which files are yet to be read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.core.names import ProjectName
    from simpleindex.directory.layout.directory_listings import DirectoryEntry, ProjectListing
    from simpleindex.directory.scan.few_changes import FewChanges
    from simpleindex.directory.scan.scanned_files import ScannedFile
    from simpleindex.directory.scan.snapshot import ProjectSnapshot


@dataclass(slots=True)
class StartedScan:
    """A project that has been looked at, and of which files are yet to be read.

    Attributes:
        name: Which.
        directories: Raw names of its directories, the normalized one first.
        look: What lies there.
        previous: What was known of it.
        unread: Files to be read.
        known: What is known of every file without that, by path; None of those to be read.
        remembered: What was known of them before.
        few: What is not as it was, where that is little; then the files above are only these.
        pending: As :class:`ProjectSnapshot` has it; so are the other two.
        unverified: See there.
        doubtful: See there.
        trusts_links: Whether a changed number of links explains a changed ctime.
    """

    name: ProjectName
    directories: tuple[str, ...]
    look: ProjectListing
    previous: ProjectSnapshot
    unread: list[DirectoryEntry] = field(default_factory=list)
    known: dict[str, ScannedFile | None] = field(default_factory=dict)
    remembered: Mapping[str, ScannedFile] = field(default_factory=dict)
    few: FewChanges | None = None
    pending: bool = False
    unverified: bool = False
    doubtful: bool = False
    trusts_links: bool = True
