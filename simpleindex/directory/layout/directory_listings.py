"""The content of the root and of a project's directories, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.core.names import ProjectName
    from simpleindex.directory.layout.unserved import Unserved
    from simpleindex.system.stamp import Stamp


class DirectoryEntry(NamedTuple):
    """A distribution file, or a side file of one, as it lies there.

    Attributes:
        path: Relative to the root, with slashes.
        rank: Preference among the places of one file name; 0 is the project's normalized directory.
        stamp: Its state, or None where that could not be read.
        trouble: Why it cannot be served, as a sentence; None if nothing speaks against it so far.
    """

    path: str
    filename: str
    rank: int
    stamp: Stamp | None
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class ProjectListing:
    """A project's places, looked at once.

    Attributes:
        entries: Distribution files.
        side_files: Signatures and provenance, by path.
        project_file: The bytes of ``simpleindex.toml``; None if there is none.
        project_file_trouble: Why it could not be read, as the end of a sentence.
        stamps: State of every directory looked at and of the project's file, by relative path.
        trouble: Why a directory could not be listed, as a sentence; then nothing is known of the project.
        has_ledger: Whether files of it were deleted once, so that its name stays its owner's.
        has_traces: Whether anything like a distribution lies there, whole or not, also where it is not served.
        unserved: What lies there and is passed over, one item for each cause.
    """

    entries: tuple[DirectoryEntry, ...] = ()
    side_files: Mapping[str, DirectoryEntry] | None = None
    project_file: bytes | None = None
    project_file_trouble: str | None = None
    stamps: Mapping[str, Stamp] | None = None
    trouble: str | None = None
    has_ledger: bool = False
    has_traces: bool = False
    unserved: tuple[Unserved, ...] = ()


@dataclass(frozen=True, slots=True)
class RootListing:
    """The root, looked at once.

    Attributes:
        identity: Device and inode of the root.
        directories: Raw directory names by project, the normalized one first.
        loose: Names of the distribution files directly in the root, by project.
        strays: File names directly in the root that have a distribution's suffix and do not parse, with the reason.
        reserved: Raw names of entries by the project whose name they take, though nothing of them is served: links that lead
            out of the root or to nothing, and files that are on their way or of other formats.
        traced: The projects of which files directly in the root are like distributions, served or not.
        unserved: What is passed over, one item for each cause.
    """

    identity: tuple[int, int]
    stamp: Stamp
    directories: Mapping[ProjectName, tuple[str, ...]]
    loose: Mapping[ProjectName, tuple[str, ...]]
    strays: Mapping[str, str]
    reserved: Mapping[ProjectName, str] = field(default_factory=dict)
    traced: frozenset[ProjectName] = frozenset()
    unserved: tuple[Unserved, ...] = ()
