"""A file that arrives from another server: compare it with what is stated of it, and decide what is done with it. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simpleindex.migration.errors import ImportStopped, NotImported
from simpleindex.migration.plan import size_refusal

if TYPE_CHECKING:
    from threading import Event

    from simpleindex.access.identity import UploadRules
    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName
    from simpleindex.publishing.local.staging import StagedUpload
    from simpleindex.publishing.upload.form import FileDigests


@dataclass(frozen=True, slots=True)
class ImportedFile:
    """A file that was imported.

    Attributes:
        sha256: Its digest.
        size: Bytes.
        created: Whether it is new in the directory.
    """

    project: ProjectName
    filename: str
    sha256: str
    size: int
    created: bool


@dataclass(frozen=True, slots=True)
class ArrivedFile:
    """A file that has arrived and is as it should be, and is not in the directory yet.

    Attributes:
        file: The file, as the source lists it.
        draft: Where it is.
        digests: Its digests.
        is_new: Whether no file of that name is in the directory.
    """

    file: File
    draft: StagedUpload
    digests: FileDigests
    is_new: bool


class Arrival:
    """Collects the bytes of a file, and compares them with what the source states.

    Attributes:
        size: Bytes that have arrived.
    """

    def __init__(self, file: File, rules: UploadRules, stopping: Event) -> None:
        stated = stated_digest(file)
        self._stated = None if stated is None else stated[1]
        self._hash = hashlib.new("sha256" if stated is None else stated[0], usedforsecurity=False)
        self._file = file
        self._rules = rules
        self._stopping = stopping
        self.size = 0

    def add(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            NotImported: They are too many.
            ImportStopped: The import is to end.
        """
        if self._stopping.is_set():
            raise ImportStopped
        self._hash.update(data)
        self.size += len(data)
        if excess := size_refusal(self.size, self._rules):
            raise NotImported(excess)
        if self._file.size is not None and self.size > self._file.size:
            raise NotImported(f"more than the {self._file.size:,} bytes arrive that are stated")

    def end(self) -> None:
        """Compare all that arrived with what is stated.

        Raises:
            NotImported: It is something else.
        """
        if self._file.size is not None and self.size != self._file.size:
            raise NotImported(f"{self.size:,} bytes arrived, and {self._file.size:,} are stated")
        if self._stated is not None and self._hash.hexdigest() != self._stated:
            raise NotImported(
                f"its {self._hash.name} is {self._hash.hexdigest()}, and {self._stated} is stated"
            )


def stated_digest(file: File) -> tuple[str, str] | None:
    """Return the algorithm and the value of the digest that the source states; None if it states none."""
    if file.sha256 is not None:
        return "sha256", file.sha256
    return file.other_hash
