"""Check that the files of a backup have the sizes and digests of its manifest, and report progress. Blocking."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simpleindex.backup.errors import FileVanished
from simpleindex.backup.file_copies import read_digest
from simpleindex.core.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.backup.manifest import BackupItem, Manifest


@dataclass(frozen=True, slots=True)
class Steps:
    """Functions that show the progress of long work: how many files there are, and that one is done."""

    expect: Callable[[int], object]
    advance: Callable[[], object]


class CheckedBackup:
    """A backup of which every file is read.

    Args:
        path: The directory of the backup.
        manifest: Its manifest.
        advance: Called after each file.

    Attributes:
        damaged: The files that are not as in the manifest.
        faults: A sentence about each of them.
        files: How many files were read.

    Raises:
        OSError: A file cannot be read.
    """

    def __init__(self, path: str, manifest: Manifest, advance: Callable[[], object]) -> None:
        self.damaged: list[BackupItem] = []
        self.faults: list[str] = []
        self.files = 0
        for item in manifest.stored_files():
            file = os.path.join(path, item.stored_path)
            if fault := _fault(file, item):
                self.damaged.append(item)
                self.faults.append(fault)
            self.files += 1
            advance()


def _fault(file: str, item: BackupItem) -> str | None:
    try:
        read = read_digest(file)
    except FileVanished:
        return f"{printable(file)} is not there."
    if (read.size, read.sha256) != (item.size, item.sha256):
        return f"{printable(file)} has not the size and digest of the manifest."
    return None
