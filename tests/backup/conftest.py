"""A server's files for tests of backups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simpleindex.backup import destination
from tests.fixtures.backup_world import BackupWorld

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BackupWorld:
    """The files of a server; nothing waits for the disk."""
    monkeypatch.setattr(destination, "sync_file_system", lambda _: None)
    monkeypatch.setattr(destination, "sync_directory", lambda _: None)
    return BackupWorld.made(tmp_path)
