"""Everything of a file system is written to the disk by one call."""

from __future__ import annotations

import ctypes
import errno
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.system.atomic import sync_file_system

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def libc(monkeypatch: pytest.MonkeyPatch, **functions: Callable[..., int]) -> None:
    """Have a library of C with no more than these functions."""
    library: Any = SimpleNamespace(**functions)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: library)


def test_the_directory_s_file_system_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bool] = []

    def syncfs(descriptor: int) -> int:
        synced.append(os.path.samestat(os.fstat(descriptor), os.stat(tmp_path)))
        return 0

    libc(monkeypatch, syncfs=syncfs)
    sync_file_system(str(tmp_path))
    assert synced == [True]


def test_an_error_of_the_disk_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    libc(monkeypatch, syncfs=lambda _: -1)
    monkeypatch.setattr(ctypes, "get_errno", lambda: errno.EIO)
    with pytest.raises(OSError, match="Input/output error") as caught:
        sync_file_system(str(tmp_path))
    assert caught.value.filename == str(tmp_path)


def test_systems_without_the_call_sync_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(os, "sync", lambda: calls.append("sync"))
    libc(monkeypatch)
    sync_file_system(str(tmp_path))
    assert calls == ["sync"]
