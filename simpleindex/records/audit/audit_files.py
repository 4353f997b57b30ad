"""The files of the audit: the current one, and those that were rotated away, compressed or not. Blocking."""

from __future__ import annotations

import bz2
import glob
import gzip
import lzma
import os
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_OPENERS: Final[dict[str, Callable[[str], object]]] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
"""How files are opened that logrotate has compressed."""


def audit_files(path: str) -> list[str]:
    """Return the current file and all that were rotated away from it (``audit.jsonl.1``, ``audit.jsonl-20261101.gz``), oldest first.

    Args:
        path: The current file; left out if it is not there.
    """
    dated = []
    for each in glob.glob(f"{glob.escape(path)}*"):
        with suppress(FileNotFoundError):
            dated.append((each == path, os.stat(each).st_mtime_ns, each))
    return [each for *_, each in sorted(dated)]


def open_audit_file(path: str) -> BinaryIO:
    """Open one of the files, and decompress it as its name says.

    Raises:
        OSError: It cannot be read.
    """
    opener = _OPENERS.get(os.path.splitext(path)[1], lambda each: open(each, "rb"))  # noqa: SIM115
    return cast("BinaryIO", opener(path))


def audit_lines(path: str, since: float = 0.0, *, current: bool = True) -> Iterator[bytes]:
    """Go through all lines, oldest first.

    Args:
        path: The current file.
        since: Files that were last written before this time, seconds since 1970, are passed over.
        current: Whether to read the current file too.

    Raises:
        OSError: A file cannot be read, or is damaged.
    """
    for each in audit_files(path):
        if each == path and not current:
            continue
        with suppress(FileNotFoundError):  # It was rotated away meanwhile.
            if os.stat(each).st_mtime < since:
                continue
            try:
                with open_audit_file(each) as file:
                    yield from file
            except (EOFError, lzma.LZMAError) as error:
                raise OSError(0, f"{each} is damaged ({error})") from None
