"""A whole service over a bucket in memory: its start, a store that goes away, promises that are broken, and other nodes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from moto import mock_aws
from twisted.internet.defer import Deferred

from simpleindex.access.logins.hashes import hash_password
from simpleindex.bucket.locks import LockFiles
from simpleindex.bucket.object_store import ObjectStore
from simpleindex.core.errors import NotAllowed, RefusedStart, Unavailable
from simpleindex.core.names import ProjectName
from simpleindex.records.postgresql.hook_positions import SharedHookPositions
from simpleindex.service.composition import bucket as module
from simpleindex.service.composition.bucket import FIRST_LISTING_SECONDS, ServedBucket
from simpleindex.service.regular_work import RULES_INTERVAL
from tests.fixtures.bucket import BUCKET
from tests.fixtures.distributions import wheel_bytes, wheel_name
from tests.fixtures.service import ServiceFixture, service_fixture
from tests.fixtures.site import JSON

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simpleindex.hooks.hooks import Hooks
    from simpleindex.service.service import IndexService
    from tests.fixtures.postgresql import PostgreSQL

LOCATION = f"s3://{BUCKET}/py"
POLL_SECONDS = 30


def away(*_: object, **__: object) -> Any:
    """What every call of a store does that is away."""
    raise TimeoutError(110, "the store cannot be reached")


class BucketServiceFixture(ServiceFixture):
    """Services of one bucket."""

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self.client = boto3.client("s3", region_name="us-east-1")
        self.client.create_bucket(Bucket=BUCKET)
        self.put("acme")
        users = place / "users"
        users.write_text(f"alice:{hash_password('secret')}\n")
        self.command_line["path"] = LOCATION
        self.users = {"users": str(users)}

    def put(self, name: str) -> None:
        """Put a wheel of a project, as another program does."""
        self.client.put_object(Bucket=BUCKET, Key=f"py/{name}/{wheel_name(name)}", Body=wheel_bytes(name))

    def statuses(self, *names: str) -> list[int]:
        """Request pages of projects."""
        return [self.ask(f"/simple/{name}/").status for name in names]


def served(service: IndexService) -> ServedBucket:
    """The bucket of a service."""
    return cast("ServedBucket", service.index.sources.directories[0])


@pytest.fixture
def fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BucketServiceFixture]:
    """One project in the bucket."""
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with mock_aws():
        monkeypatch.setattr("tests.fixtures.service.ServiceFixture", BucketServiceFixture)
        yield from service_fixture(tmp_path, monkeypatch)  # type: ignore[misc]


def test_it_is_served(fixture: BucketServiceFixture) -> None:
    """From the start on; what others put is found by the next listing."""
    fixture.start()
    assert f"Listing {LOCATION} every 30 seconds." in fixture.said
    assert fixture.statuses("acme", "later") == [200, 404]
    fixture.put("later")
    fixture.reactor.advance(POLL_SECONDS)
    fixture.reactor.advance(0)
    assert fixture.statuses("acme", "later") == [200, 200]
    report = json.loads(fixture.ask("/-/status").body)
    assert report["projects"] == 2
    metrics = fixture.ask("/-/metrics", ("Host", "localhost")).body.decode()
    assert 'simpleindex_store_duration_seconds_count{operation="ListObjectsV2"}' in metrics
    fixture.reactor.pump([1.0] * 15)
    audit = (fixture.resolve().state / "audit.jsonl").read_text()
    assert f'"event": "file-added", "project": "later", "filename": "{wheel_name("later")}"' in audit


def test_a_store_that_goes_away_at_the_start(
    fixture: BucketServiceFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is "not here" until it was listed once, whatever other nodes announce."""
    with monkeypatch.context() as patch:
        patch.setattr(ObjectStore, "list", away)
        service = fixture.start()
        fixture.reactor.advance(FIRST_LISTING_SECONDS)
        announce(service, "acme")
        announce(service, "", "")
        assert fixture.statuses("acme", "missing") == [503, 503]
        assert fixture.ask("/-/ready").status == 503
    fixture.reactor.advance(FIRST_LISTING_SECONDS)
    fixture.reactor.advance(0)
    assert fixture.statuses("acme", "missing") == [200, 404]
    assert f"{LOCATION} is listed again." in fixture.said


def test_a_store_that_goes_away_later(fixture: BucketServiceFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known pages are served on, files are not, and the status says so; no name is "not here"."""
    fixture.start()
    with monkeypatch.context() as patch:
        patch.setattr(ObjectStore, "list", away)
        patch.setattr(ObjectStore, "read", away)
        fixture.reactor.advance(POLL_SECONDS)
        fixture.reactor.advance(0)
        assert fixture.statuses("acme", "unknown") == [200, 503]
        assert fixture.ask(f"/acme/{wheel_name('acme')}").status == 503
        assert fixture.ask("/acme/acme-2.0.tar.gz").status == 503
        report = json.loads(fixture.ask("/-/status").body)
        assert report["stale"] is True
        assert any("cannot be listed (the store cannot be reached)" in line for line in fixture.said)
        assert fixture.ask("/-/ready").status == 200
    fixture.reactor.advance(POLL_SECONDS)
    fixture.reactor.advance(0)
    assert json.loads(fixture.ask("/-/status").body)["stale"] is False


def announce(service: IndexService, name: str, place: str = LOCATION) -> None:
    """Report a change of another node, as the database does."""
    (listener,) = service.index.runtime.records.listeners
    assert listener is not None
    listener(place, name)
    cast("Any", service.index.runtime.reactor).advance(0)


def test_own_changes_are_announced(fixture: BucketServiceFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the database, for the other nodes."""
    service = fixture.start()
    announced: list[tuple[str, str]] = []
    monkeypatch.setattr(
        service.index.runtime.records, "announce", lambda *change: announced.append(change), raising=False
    )
    Deferred.fromCoroutine(served(service).live.changed_here(ProjectName("acme")))
    fixture.reactor.advance(0)
    assert announced == [(LOCATION, "acme")]


def test_changes_of_other_nodes(fixture: BucketServiceFixture) -> None:
    """Are listed when they are announced; others' buckets and strange names are passed over."""
    service = fixture.start()
    fixture.put("fresh")
    announce(service, "fresh", "s3://elsewhere")
    announce(service, "no name")
    assert fixture.statuses("fresh") == [404]
    announce(service, "fresh")
    assert fixture.statuses("fresh") == [200]
    fixture.put("missed")
    announce(service, "", "")
    assert fixture.statuses("missed") == [200]


def test_a_store_that_breaks_a_promise(
    fixture: BucketServiceFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is read-only, and the log says which."""
    monkeypatch.setattr(module, "broken_promise", lambda _: "does not list an object that was just put")
    bucket = served(fixture.start(**fixture.users))
    sentence = (
        f"The store of {LOCATION} does not list an object that was just put, so this index is read-only."
    )
    assert sentence in fixture.said
    with pytest.raises(NotAllowed, match="read-only"):
        bucket.require_writable()
    assert fixture.statuses("acme") == [200]


def test_a_store_that_cannot_be_tried_yet(
    fixture: BucketServiceFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading goes on, changes wait; the next listing tries again."""
    with monkeypatch.context() as patch:
        patch.setattr(ObjectStore, "create", away)
        bucket = served(fixture.start(**fixture.users))
        with pytest.raises(Unavailable, match="cannot be written to now"):
            bucket.require_writable()
        assert fixture.statuses("acme") == [200]
        fixture.reactor.advance(POLL_SECONDS)
        assert sum("cannot be written to now" in each for each in fixture.said) == 1
    fixture.reactor.advance(POLL_SECONDS)
    fixture.reactor.advance(0)
    assert f"{LOCATION} can be written to again." in fixture.said
    bucket.require_writable()


def test_before_it_was_tried(fixture: BucketServiceFixture) -> None:
    """A change is refused for now."""
    bucket = served(fixture.make(**fixture.users))
    with pytest.raises(Unavailable, match="is not tried yet"):
        bucket.require_writable()


def test_facts_are_shared_with_records_in_postgresql(fixture: BucketServiceFixture) -> None:
    """Otherwise nodes share nothing but the bucket."""
    settings = fixture.resolve()
    assert module._shared_facts(settings, LOCATION) is None
    facts = module._shared_facts(replace(settings, records="postgresql://127.0.0.1:1/none"), LOCATION)
    assert facts is not None
    assert facts.all() == {}


def test_locks_are_shared_with_records_in_postgresql(fixture: BucketServiceFixture) -> None:
    """Otherwise by the processes of one machine."""
    settings = fixture.resolve()
    assert isinstance(module._locks(settings, LOCATION), LockFiles)
    locks = module._locks(replace(settings, records="postgresql://127.0.0.1:1/none"), LOCATION)
    with pytest.raises(Unavailable, match="cannot be used now"), locks.held("acme"):
        pytest.fail("nobody holds a lock of a server that is away")
    locks.close()


def test_uploads_that_a_crash_left(fixture: BucketServiceFixture) -> None:
    """In the local directory: they are removed at the start."""
    first = served(fixture.make())
    first.staging.make().abandon()
    assert first.recover() == ["Removed 1 unfinished upload."]
    assert first.recover() == []


def test_a_bucket_that_cannot_be_used(fixture: BucketServiceFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends the start with a sentence."""
    with pytest.raises(RefusedStart, match="there is no bucket 'missing'"):
        fixture.make(path="s3://missing/py")
    monkeypatch.setattr(ObjectStore, "require_bucket", away)
    with pytest.raises(RefusedStart, match="the store cannot be reached; start again"):
        fixture.make(path=LOCATION)


def test_a_node(fixture: BucketServiceFixture, postgresql: PostgreSQL, tmp_path: Path) -> None:
    """With records in PostgreSQL its projects have serials, its hooks read the audit of all nodes, and its workers one cache."""
    hooks = tmp_path / "hooks.toml"
    hooks.write_text('[[hook]]\nname = "log"\nrun = "/bin/true"\n')
    service = fixture.start(records=postgresql.create_database(), hooks=str(hooks), workers="2")
    (project,) = fixture.ask("/simple/", ("Accept", JSON)).json["projects"]
    assert project["_last-serial"] == fixture.ask("/pypi/acme/json").json["last_serial"] > 0
    fixture.reactor.advance(RULES_INTERVAL)
    assert isinstance(hooks_of(service)._context.positions, SharedHookPositions)
    assert not (fixture.resolve().state / "hooks.json").exists()
    assert not fixture.failures


def hooks_of(service: IndexService) -> Hooks:
    """The hooks of a service."""
    assert service.index.hooks is not None
    return service.index.hooks
