"""A new name belongs to the first who publishes it; an upload that was killed keeps it from nobody."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from simpleindex.core.errors import CannotStore, NotAllowed
from simpleindex.directory.layout.package_directory import PackageDirectory
from simpleindex.publishing.local import locked_project
from simpleindex.publishing.local.recovery import withdraw_left_claims
from simpleindex.publishing.local.staging import Staging
from simpleindex.publishing.local.writer import Writer
from simpleindex.records.opening import open_records
from tests.fixtures.bucket import ACME
from tests.fixtures.distributions import sdist_name, wheel_name
from tests.fixtures.name_claims import ClaimsFixture, Killed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simpleindex.publishing.upload.acceptance import FirstUpload

WHEEL, SDIST = wheel_name(), sdist_name()


@pytest.fixture(params=["sqlite", "postgresql"])
def claims(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ClaimsFixture]:
    """Over records of both kinds."""
    url = None
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql").create_database()
    records = open_records(str(tmp_path / "state"), url)
    records.prepare()
    yield ClaimsFixture(records)
    records.close()


class Place:
    """A root to upload into."""

    def __init__(self, root: Path, claims: ClaimsFixture) -> None:
        root.mkdir()
        self.root = root
        self.claims = claims
        self.writer = Writer(PackageDirectory(str(root), ()))

    def upload(self, user: str | None, filename: str = WHEEL) -> None:
        """Claim the name, store a file, and settle the claim."""
        claim = self.claims.of(user)
        self.commit(filename, claim)
        claim.settle()

    def commit(self, filename: str, claim: FirstUpload) -> None:
        """Store a file."""
        with self.writer.begin() as draft:
            draft.write(b"one")
            self.writer.commit(draft, ACME, filename, claim=claim)


@pytest.fixture
def place(tmp_path: Path, claims: ClaimsFixture) -> Place:
    """An empty root."""
    return Place(tmp_path / "root", claims)


def kill_at(module: object, function: str, monkeypatch: pytest.MonkeyPatch, place: Place, user: str) -> None:
    """Begin an upload that is killed where it calls a function."""

    def kill(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(module, function, kill)
        with pytest.raises(Killed):
            place.upload(user)


def test_it_is_killed_before_its_file_comes(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next who publishes the name owns it."""
    kill_at(os, "link", monkeypatch, place, "alice")
    assert place.claims.owner() == ("alice", None)
    place.upload("bob")
    assert place.claims.owner() == ("bob", "bob")
    with pytest.raises(NotAllowed):
        place.upload("alice", SDIST)


def fail_at_link(monkeypatch: pytest.MonkeyPatch, place: Place, filename: str = WHEEL) -> None:
    """Make an upload of alice's for whose file the disk has no room."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
        with pytest.raises(CannotStore):
            place.upload("alice", filename)


def test_it_fails_before_its_file_comes(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that come without a claim, as copies do, have no owner then."""
    fail_at_link(monkeypatch, place)
    assert place.claims.owner() == (None, None)
    with place.writer.begin() as draft:
        draft.write(b"copied")
        place.writer.commit(draft, ACME, SDIST)
    with pytest.raises(NotAllowed):
        place.upload("alice")


def test_it_fails_where_files_are(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their owner stays it, also where the claim was not settled."""
    kill_at(locked_project, "sync_directory", monkeypatch, place, "alice")
    fail_at_link(monkeypatch, place, SDIST)
    assert place.claims.owner() == ("alice", None)


def test_claims_that_are_left_at_a_start(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a killed upload without a file one is withdrawn; of one whose file came, or that is running, it stays."""
    directory, owners = PackageDirectory(str(place.root), ()), place.claims.owners

    def start() -> list[str]:
        return withdraw_left_claims(directory, owners.unsettled(), owners.withdraw)

    kill_at(os, "link", monkeypatch, place, "alice")
    with locked_project.locked_project(directory, Staging(directory), ACME):
        assert start() == []
    assert owners.unsettled() == {ACME: "alice"}
    assert start() == ["The claim of an unfinished upload to the project acme was withdrawn."]
    assert owners.unsettled() == {}
    assert not (place.root / ACME).exists()
    kill_at(locked_project, "sync_directory", monkeypatch, place, "alice")
    assert start() == []
    assert place.claims.owner() == ("alice", None)


def test_what_is_read_is_older(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a replica: who owns the name is decided where the claim was made."""
    late = place.claims.of("alice")
    place.upload("bob")
    (place.root / ACME / WHEEL).unlink()
    monkeypatch.setattr(place.claims.owners, "owner", lambda *_, **__: None)
    with pytest.raises(NotAllowed):
        place.commit(SDIST, late)


def test_it_is_killed_and_sent_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the same user, who owns it."""
    kill_at(os, "link", monkeypatch, place, "alice")
    place.upload("alice")
    assert place.claims.owner() == ("alice", "alice")


def test_it_is_killed_after_its_file_came(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is there, so the name is taken."""
    kill_at(locked_project, "sync_directory", monkeypatch, place, "alice")
    assert (place.root / ACME / WHEEL).exists()
    assert place.claims.owner() == ("alice", None)
    with pytest.raises(NotAllowed):
        place.upload("bob", SDIST)
    place.upload("alice", SDIST)
    assert place.claims.owner() == ("alice", "alice")


def test_a_file_came_by_hand_meanwhile(place: Place) -> None:
    """Nobody becomes its owner, also not the user who had claimed the name."""
    claim = place.claims.of("alice")
    (place.root / ACME).mkdir()
    (place.root / ACME / SDIST).write_bytes(b"by hand")
    with pytest.raises(NotAllowed):
        place.commit(WHEEL, claim)
    assert place.claims.owner() == (None, None)


def test_a_token_of_nobody(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it publishes has no owner, least of all one whose upload was killed."""
    kill_at(os, "link", monkeypatch, place, "alice")
    monkeypatch.setattr(place.claims._rights, "require_upload", lambda *_, **__: None)
    place.upload(None)
    assert place.claims.owner() == (None, None)
