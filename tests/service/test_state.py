"""What a start does with the state directory where the disk, or the records, cannot be used."""

from __future__ import annotations

import sqlite3
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.config.resolution import resolve
from simpleindex.core.errors import CannotStore, RefusedStart
from simpleindex.records import start_check
from simpleindex.records.state_lock import StateLock
from simpleindex.service.state import begin_state, claim_state, recover_uploads, state_lock

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fixtures.log import CapturedLog


def begin(place: Path, **given: object) -> None:
    """Begin with users, whose tokens are records."""
    (place / "packages").mkdir()
    (place / "users").write_text("")
    given = {"path": "packages", "users": "users", "http": ("tcp:0:interface=127.0.0.1",), **given}
    settings = resolve(given, {"STATE_DIRECTORY": str(place / "state")}, place)
    index: Any = SimpleNamespace(runtime=SimpleNamespace(records="the records"))
    lock = StateLock(str(place / "state"))
    try:
        begin_state(index, settings, lock)
    finally:
        lock.release()


def test_only_servers_that_request_certificates_refuse_each_other_over_certs(tmp_path: Path) -> None:
    """Nodes may share them: they agree in their database."""
    (tmp_path / "packages").mkdir()
    (tmp_path / "certs" / "simpleindex-acme").mkdir(parents=True)

    def lock(name: str, **given: object) -> StateLock:
        (tmp_path / name).mkdir()
        given = {"path": "packages", "https": ("443",), **given}
        return state_lock(resolve(given, {"STATE_DIRECTORY": str(tmp_path / name)}, tmp_path))

    acme: dict[str, object] = {"acme": "none", "acme-name": ("a.example.org",)}
    claim_state(lock("first", **acme))
    claim_state(lock("plain"))
    claim_state(lock("node", **acme, records="postgresql://db.example/index"))
    with pytest.raises(RefusedStart, match="another server requests certificates into"):
        claim_state(lock("second", **acme))


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied"), sqlite3.OperationalError("busy")]
)
def test_records_that_cannot_be_opened_hold_up_no_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: CapturedLog, error: Exception
) -> None:
    """Pages that need none of them are served."""

    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(start_check, "initialize_records", refuse)
    begin(tmp_path)
    assert len(log.lines) == 1


def test_shared_records_are_begun_on_their_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[object] = []
    monkeypatch.setattr(start_check, "begin_shared_records", begun.append)
    begin(tmp_path, records="postgresql://db.example/index")
    assert begun == ["the records"]


def test_uploads_that_cannot_be_cleaned_up_are_logged(log: CapturedLog) -> None:
    def recover() -> list[str]:
        raise CannotStore("the disk is full")

    index: Any = SimpleNamespace(http=SimpleNamespace(recover=recover))
    recover_uploads(index)
    assert log.lines == ["Nothing can be uploaded: the disk is full"]
