"""Writers of one project that the store's conditions do not keep apart, on one machine and on several nodes."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from simpleindex.bucket.locks import LONGEST_PUT, LockFiles, lock_change, lock_upload
from simpleindex.core.errors import CannotStore, NotAllowed
from simpleindex.core.faults import Fault
from simpleindex.core.names import PROVENANCE_SUFFIX, ProjectName, parse_distribution_name
from simpleindex.publishing.errors import AlreadyExists
from simpleindex.publishing.upload.archive_checks import UploadChecks
from simpleindex.records.opening import open_records
from tests.fixtures.bucket import ACME
from tests.fixtures.deferreds import error, result
from tests.fixtures.distributions import sdist_bytes, wheel_bytes, wheel_name
from tests.fixtures.name_claims import ClaimsFixture, Killed, RecordedClaim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    from simpleindex.bucket.locks import Locks
    from tests.fixtures.bucket import BucketNode

    OpenLocks = Callable[..., Locks]

WHEEL, SPELLED = wheel_name(), "acme-1.0.0-py3-none-any.whl"
DATA, OTHER_DATA = wheel_bytes(), wheel_bytes(files={"more.py": b"x"})
SOON = 0.01
"""Seconds after which a writer gives up."""


@pytest.fixture(params=["files", "postgresql"])
def open_locks(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenLocks]:
    """Opens the same locks once more, as another process does, with a patience."""
    opened: list[Locks] = []
    url = ""
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql").create_database()

    def open_once_more(patience: float = SOON, place: str = "s3://packages") -> Locks:
        if url:
            from simpleindex.records.postgresql.locks import AdvisoryLocks

            opened.append(AdvisoryLocks(url, place, patience))
        else:
            opened.append(LockFiles(str(tmp_path / "locks"), patience))
        return opened[-1]

    yield open_once_more
    for each in opened:
        each.close()


@pytest.fixture
def nodes(new_node: Callable[..., BucketNode], open_locks: OpenLocks) -> tuple[BucketNode, BucketNode]:
    """Two that serve one empty bucket."""
    one, two = (new_node(name, locks=open_locks()).begin() for name in ("one", "two"))
    return one, two


def meanwhile(node: BucketNode, monkeypatch: pytest.MonkeyPatch, work: Callable[[], None]) -> None:
    """Do something just before the file of a node's next upload comes."""
    create = node.store.create

    def overtaken(*arguments: Any) -> None:
        monkeypatch.setattr(node.store, "create", create)
        work()
        create(*arguments)

    monkeypatch.setattr(node.store, "create", overtaken)


def busy(outcome: BaseException | None) -> bool:
    """Whether a client is to try again later."""
    return isinstance(outcome, CannotStore) and outcome.fault is Fault.BUSY


def test_two_spellings_at_once(nodes: tuple[BucketNode, BucketNode], monkeypatch: pytest.MonkeyPatch) -> None:
    """The second writer waits for the first, and finds its file; other distributions and projects need not wait."""
    one, two = nodes
    spelled = wheel_bytes("acme", "1.0.0")

    def work() -> None:
        assert busy(error(two.upload(spelled, SPELLED)))
        assert busy(error(two.upload(OTHER_DATA, WHEEL)))
        assert result(two.upload(sdist_bytes(), "acme-1.0.tar.gz")).created
        assert result(two.upload(wheel_bytes("acme", "2.0"), wheel_name("acme", "2.0"))).created
        assert result(two.upload(wheel_bytes("other"), wheel_name("other"))).created

    meanwhile(one, monkeypatch, work)
    assert result(one.upload(DATA, WHEEL)).created
    assert isinstance(error(two.upload(spelled, SPELLED)), AlreadyExists)


def test_two_attested_files_at_once(
    nodes: tuple[BucketNode, BucketNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that wins has its own provenance."""
    one, two = nodes
    for node, provenance in ((one, b"[1]"), (two, b"[2]")):
        node.publishing._checks = UploadChecks(node.examiner, lambda *_, provenance=provenance: provenance)
    meanwhile(
        one,
        monkeypatch,
        lambda: (
            None if busy(error(two.upload(OTHER_DATA, WHEEL, attestations="[]"))) else pytest.fail("both")
        ),
    )
    assert result(one.upload(DATA, WHEEL, attestations="[]")).created
    assert isinstance(error(two.upload(OTHER_DATA, WHEEL, attestations="[]")), AlreadyExists)
    assert one.store.read(f"acme/{WHEEL}{PROVENANCE_SUFFIX}")[0] == b"[1]"


def test_changes_during_an_upload(
    nodes: tuple[BucketNode, BucketNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They wait, and uploads wait for them."""
    one, two = nodes
    result(one.upload(DATA, WHEEL))
    two.list_again()

    def work() -> None:
        assert busy(error(two.publishing.delete(ACME, WHEEL, by="alice")))
        assert busy(error(two.publishing.yank(ACME, "1.0", "")))

    meanwhile(one, monkeypatch, work)
    assert result(one.upload(sdist_bytes(), "acme-1.0.tar.gz")).created
    with lock_change(two.writer._locks, ACME):
        assert busy(error(one.upload(DATA, WHEEL)))
    assert result(two.publishing.delete(ACME, WHEEL, by="alice"))


def test_many_at_once(open_locks: OpenLocks) -> None:
    """Of several processes: one is inside at a time, and all come in."""
    opened = [open_locks(60) for _ in range(3)]
    name = parse_distribution_name(WHEEL)
    inside = threading.Lock()

    def enter(number: int) -> bool:
        locks = opened[number % 3]
        with lock_change(locks, ACME) if number % 2 else lock_upload(locks, name):
            was_free = inside.acquire(blocking=False)
            inside.release()
            return was_free

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(enter, range(24)))


def test_several_buckets(open_locks: OpenLocks, request: pytest.FixtureRequest) -> None:
    """Of one database have locks of their own; so have projects."""
    here, there = open_locks(), open_locks(place="s3://other")
    with lock_change(here, ACME), lock_change(here, ProjectName("other")):
        if isinstance(here, LockFiles):
            return
        with lock_change(there, ACME):
            pass


def test_an_upload_that_waits_too_long(new_node: Callable[..., BucketNode], open_locks: OpenLocks) -> None:
    """It takes no name: the next upload may become its owner."""
    claim = RecordedClaim()
    node = new_node("node", locks=open_locks()).begin()
    with lock_change(open_locks(), ACME):
        refusal = error(node.upload(DATA, WHEEL, claim=claim))
    assert isinstance(refusal, CannotStore)
    assert claim.calls == []
    result(node.upload(DATA, WHEEL, claim=claim))
    assert claim.calls == ["made", "settled"]


@pytest.fixture
def claims(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ClaimsFixture]:
    """Records that the nodes share, where their locks are."""
    url = None
    if request.node.callspec.params["open_locks"] == "postgresql":
        url = request.getfixturevalue("postgresql").create_database()
    records = open_records(str(tmp_path / "state"), url)
    records.prepare()
    yield ClaimsFixture(records)
    records.close()


SDIST = "acme-1.0.tar.gz"


def kill(node: BucketNode, claims: ClaimsFixture, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin an upload of alice's that is killed when a step has been made, or in the midst of it."""
    create = node.store.create

    def killed(*arguments: Any) -> None:
        if step == "put":
            create(*arguments)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(node.store, "create", killed)
        sending = node.upload(DATA, WHEEL, claim=claims.of("alice"))
        with pytest.raises(Killed):
            result(sending)


def test_an_upload_that_is_killed_before_its_put(
    nodes: tuple[BucketNode, BucketNode], claims: ClaimsFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next who publishes the name, to any node, owns it, once the file cannot come late any more."""
    one, two = nodes
    kill(one, claims, "claim", monkeypatch)
    assert claims.owner() == ("alice", None)
    assert busy(error(two.upload(DATA, WHEEL, claim=claims.of("bob"))))
    assert claims.owner() == ("alice", None)
    claims.now += LONGEST_PUT
    late = claims.of("alice")
    assert result(two.upload(DATA, WHEEL, claim=claims.of("bob"))).created
    assert claims.owner() == ("bob", "bob")
    assert isinstance(error(one.upload(sdist_bytes(), SDIST, claim=late)), NotAllowed)


def test_an_upload_that_is_killed_after_its_put(
    nodes: tuple[BucketNode, BucketNode], claims: ClaimsFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is there, so the name is taken."""
    one, two = nodes
    kill(one, claims, "put", monkeypatch)
    assert claims.owner() == ("alice", None)
    assert isinstance(error(two.upload(sdist_bytes(), SDIST, claim=claims.of("bob"))), NotAllowed)
    assert result(two.upload(sdist_bytes(), SDIST, claim=claims.of("alice"))).created
    assert claims.owner() == ("alice", "alice")


def test_an_upload_that_is_sent_again(
    nodes: tuple[BucketNode, BucketNode], claims: ClaimsFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a kill behind its put: it settles the claim, so that the name stays its user's without files as well."""
    one, two = nodes
    kill(one, claims, "put", monkeypatch)
    assert not result(two.upload(DATA, WHEEL, claim=claims.of("alice"))).created
    assert claims.owner() == ("alice", "alice")
    result(two.publishing.delete(ACME, WHEEL, by="alice"))
    with pytest.raises(NotAllowed):
        claims.of("bob")


def end_locks(request: pytest.FixtureRequest, place: Path) -> None:
    """Let go of all locks while they are held, as with a restart of PostgreSQL, or with files that somebody removes."""
    if request.node.callspec.params["open_locks"] == "files":
        shutil.rmtree(place / "locks")
        return
    import psycopg

    with psycopg.connect(
        request.getfixturevalue("postgresql").url("postgres"), autocommit=True
    ) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND granted"
        )


def test_an_upload_that_loses_its_lock(
    nodes: tuple[BucketNode, BucketNode],
    claims: ClaimsFixture,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    """Its file does not come into the project of another user, who took the name meanwhile; a provenance makes no project."""
    one, two = nodes
    one.publishing._checks = UploadChecks(one.examiner, lambda *_: b"[1]")

    def work() -> None:
        end_locks(request, tmp_path)
        assert busy(error(two.upload(sdist_bytes(), SDIST, claim=claims.of("bob"))))
        claims.now += LONGEST_PUT
        assert result(two.upload(sdist_bytes(), SDIST, claim=claims.of("bob"))).created

    meanwhile(one, monkeypatch, work)
    assert busy(error(one.upload(DATA, WHEEL, attestations="[]", claim=claims.of("alice"))))
    assert claims.owner() == ("bob", "bob")
    assert not [key for key in two.keys_below() if WHEEL in key]
    two.list_again()
    assert [*two.files()] == [SDIST]
    with pytest.raises(NotAllowed):
        claims.of("alice")


def test_an_upload_whose_name_another_running_one_has_claimed(
    nodes: tuple[BucketNode, BucketNode], claims: ClaimsFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for the other one; a further upload of that user need not."""
    one, two = nodes

    def work() -> None:
        assert busy(error(two.upload(sdist_bytes(), SDIST, claim=claims.of("bob"))))
        assert result(two.upload(sdist_bytes(), SDIST, claim=claims.of("alice"))).created

    meanwhile(one, monkeypatch, work)
    assert result(one.upload(DATA, WHEEL, claim=claims.of("alice"))).created
    assert claims.owner() == ("alice", "alice")
