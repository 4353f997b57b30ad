"""The interface of what is imported from: another server over HTTP, or its files on this machine. Blocking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from simpleindex.core.files import File
    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName
    from simpleindex.migration.people import ImportedPeople


class FileContent(Protocol):
    """The content of a file, read once from its beginning to its end.

    Attributes:
        modified_ns: When the source says that it was modified, nanoseconds since 1970; None if it does not say.
        descriptor: Of a file on this machine; None if it comes from elsewhere.
    """

    modified_ns: int | None
    descriptor: int | None

    def read(self) -> bytes:
        """Return the next bytes; empty at the end.

        Raises:
            NotImported: They cannot be read.
        """
        ...

    def close(self) -> None:
        """End reading."""
        ...


class ImportSource(Protocol):
    """Another index server, or what it left on a disk; used by several threads at once.

    Attributes:
        label: What notes and messages call it; holds no secret.
        is_local: Whether its files are on this machine.
    """

    label: str
    is_local: bool

    def projects(self) -> Sequence[ProjectName]:
        """Return the names of its projects, sorted.

        Raises:
            InvalidImportSource: They cannot be listed.
        """
        ...

    def project(self, name: ProjectName) -> Project:
        """Return a project, with what the source states of its files and nothing else.

        Raises:
            NotImported: It cannot be read.
        """
        ...

    def open(self, name: ProjectName, file: File) -> FileContent:
        """Open a file of a project that was read before.

        Raises:
            NotImported: It cannot be read.
        """
        ...

    def sha256(self, name: ProjectName, file: File) -> str | None:
        """Return the digest of a file whose digest is not stated; None if the file would have to be fetched for that.

        Raises:
            NotImported: It cannot be read.
        """
        ...

    def beside(self, name: ProjectName, file: File) -> Mapping[str, bytes]:
        """Return signatures and provenance beside a file, by suffix."""
        ...

    def people(self) -> ImportedPeople:
        """Return its users and rights, as far as they can be read.

        Raises:
            InvalidImportSource: The file that has them cannot be read.
        """
        ...
