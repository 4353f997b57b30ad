"""What can lie in a directory of packages, beside packages."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FAR_NS: Final = 5_000_000_000_000_000_000
"""A time in 2128, so far from any file's that nothing is young."""

OLD_NS: Final = 1_700_000_000_000_000_000
"""A modification time in 2023."""

_NOBODY: Final = 65534


def make_fifo(path: Path) -> None:
    """Opening it for reading blocks, unless one is careful."""
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    """It cannot be opened at all."""
    os.mknod(path, stat.S_IFSOCK | 0o666)


def make_device(path: Path) -> None:
    """Endless zeros."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root makes devices")


def make_directory(path: Path) -> None:
    """Somebody unpacked it under its archive's name."""
    path.mkdir()


SPECIAL: Final[dict[str, Callable[[Path], None]]] = {
    "FIFO": make_fifo,
    "socket": make_socket,
    "device": make_device,
    "directory": make_directory,
}


@contextmanager
def public_directory() -> Iterator[Path]:
    """A directory that every user can reach, as pytest's own are not."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Let permissions count: root's do not."""
    if os.geteuid() != 0:
        yield
        return
    os.setegid(_NOBODY)
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
