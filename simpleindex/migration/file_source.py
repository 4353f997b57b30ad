"""Files of another server, on this machine or in a bucket, found by project and file name. Blocking."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from simpleindex.migration.interface import ImportSource

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName
    from simpleindex.migration.local_files import LocalContent, TreeFile


class PackageFiles(Protocol):
    """The files of another server: a directory of this machine, or a bucket. Errors are those of :class:`ImportSource`."""

    def walk(self) -> Iterator[TreeFile]:
        """Yield every file."""
        ...

    def open(self, path: str) -> LocalContent:
        """Open a file."""
        ...

    def sha256(self, path: str) -> str:
        """Return the digest of a file, which is read for it."""
        ...

    def stated_sha256(self, path: str) -> str | None:
        """Return the digest that is noted of a file; None if there is none."""
        ...

    def beside(self, path: str) -> Mapping[str, bytes]:
        """Return what lies beside a file, by suffix."""
        ...


Files = TypeVar("Files", bound=PackageFiles)


class FileSource(ImportSource, Generic[Files]):
    """An import source that has its files itself."""

    is_local = True

    def __init__(self, directory: Files) -> None:
        self._directory = directory
        self._paths: dict[ProjectName, dict[str, str]] = defaultdict(dict)
        """The path of each file, by project and name."""

    def open(self, name: ProjectName, file: File) -> LocalContent:
        """Open a file."""
        return self._directory.open(self._paths[name][file.filename])

    def sha256(self, name: ProjectName, file: File) -> str:
        """Return the digest of a file."""
        return self._directory.sha256(self._paths[name][file.filename])

    def beside(self, name: ProjectName, file: File) -> Mapping[str, bytes]:
        """Return what lies beside a file, by suffix."""
        return self._directory.beside(self._paths[name][file.filename])
