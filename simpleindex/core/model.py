"""Projects, lists of projects and what is withheld, as frozen values: sources give them, pages show them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from simpleindex.core.packed import PackedFiles

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence

    from simpleindex.core.files import File, StoredFiles
    from simpleindex.core.names import ProjectName


class Status(Enum):
    """A project's status marker (PEP 792); values are compared exactly by clients."""

    ACTIVE = "active"
    ARCHIVED = "archived"
    DEPRECATED = "deprecated"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Withheld:
    """A file that is there and is not offered.

    Attributes:
        reason: Why, as a sentence.
        rule: Which kind of rule withheld it: ``name``, ``archive``, ``metadata``, ``duplicate``, ``status``, ...
        source: Which source withheld it.
        visible_from: When it becomes visible by the passing of time alone, seconds since 1970; None if it does not.
        public: Whether everybody who may read the project may read the reason too. What was found out about a file may name what
            it contains, so that is for the operator.
    """

    filename: str
    reason: str
    rule: str
    source: str = "local"
    visible_from: float | None = None
    public: bool = False


@dataclass(frozen=True, slots=True)
class Project:
    """A source's answer to "this project?"; frozen, so that a page made from it can be kept with it.

    It keeps its files in little memory, and unpacks them when they are read.

    Attributes:
        name: Normalized.
        files: The files that are offered, sorted by :func:`file_order`. Empty when the project is quarantined.
        withheld: What is there and not offered.
        status: PEP 792.
        status_reason: Free text or None.
        valid_until: When this answer stops being true by the passing of time alone, seconds since 1970.
        stale: Whether the source did not answer and this is its last good answer.
        denied: Why a rule offers nothing of it, whatever it may have, as a sentence; None if none does.
    """

    name: ProjectName
    files: Sequence[File] = ()
    withheld: tuple[Withheld, ...] = ()
    status: Status = Status.ACTIVE
    status_reason: str | None = None
    valid_until: float | None = None
    stale: bool = False
    denied: str | None = None

    def __post_init__(self) -> None:
        if type(self.files) is not PackedFiles:
            object.__setattr__(self, "files", PackedFiles(self.files))

    @property
    def size(self) -> int:
        """The sum of the files' sizes, bytes."""
        return _packed(self.files).size

    @property
    def memory(self) -> int:
        """The bytes that the files take in memory, about."""
        return len(_packed(self.files).data)

    def file(self, filename: str) -> File | None:
        """Return the file of this name, without unpacking the others; None if there is none."""
        return file_named(self.files, filename)

    @property
    def versions(self) -> tuple[str, ...]:
        """Every version that has a file, once, oldest first (PEP 700)."""
        return tuple(dict.fromkeys(file.version for file in self.files))


def stored_files(files: Sequence[File]) -> StoredFiles:
    """Return the files of a project as plain values, for a record on disk."""
    return _packed(files).stored


def filenames_of(files: Sequence[File]) -> list[str]:
    """Return the names of the files of a project, in their order, without unpacking the files."""
    return _packed(files).filenames


def file_named(files: Sequence[File], filename: str) -> File | None:
    """Return the file of a project of this name, without unpacking the others; None if there is none."""
    return _packed(files).named(filename)


def files_of_version(files: Sequence[File], version: str) -> tuple[File, ...]:
    """Return the files of a project that are of a version, however it is written, without unpacking the others."""
    return _packed(files).of_version(version)


def replaced_files(files: Sequence[File], removed: Collection[str], added: Iterable[File]) -> Sequence[File]:
    """Return the files of a project, without those of some names, and with others in their places of the order."""
    return _packed(files).replaced(removed, added)


def _packed(files: Sequence[File]) -> PackedFiles:
    return files if isinstance(files, PackedFiles) else PackedFiles(files)


def restored_files(stored: StoredFiles) -> Sequence[File]:
    """Return the files from the values that :func:`stored_files` made of them."""
    return PackedFiles.restored(stored)


@dataclass(frozen=True, slots=True)
class ProjectList:
    """A source's answer to "which projects?".

    Attributes:
        names: Normalized, sorted.
        valid_until: As in :class:`Project`.
        stale: As in :class:`Project`.
        view: Which readers see this list, where not all see the same; None for everybody. A page rendered for one view is not sent
            to readers of another.
        serials: A number for each project (others may be in it too) that rises with every change of what is listed of it,
            for mirrors; None where there is none, as for other indexes.
    """

    names: tuple[ProjectName, ...] = ()
    valid_until: float | None = None
    stale: bool = False
    view: Hashable = field(default=None, compare=False)
    serials: Mapping[ProjectName, int] | None = field(default=None, compare=False)


class Strategy(Enum):
    """How several indexes are made one, by the names that uv and PEP 766 have for it."""

    FIRST_INDEX = "first-index"
    """The first that has a project owns it, entirely."""

    MERGE = "merge"
    """The union of their files by name, of which the first counts: a publisher of any of them can add a version."""

    ISOLATED = "isolated"
    """No upstream is requested."""


MISSING: Final = "upstream"
"""The rule that withholds files which their upstream lists and does not give."""
