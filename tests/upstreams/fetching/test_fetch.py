"""A fetch of one file: what ends it, and what its clients hear then."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from simpleindex.archives.archive_info import ArchiveInfo
from simpleindex.core.errors import Changed, Unavailable
from simpleindex.core.model import Project
from simpleindex.upstreams.cache.file_keys import DigestKey
from simpleindex.upstreams.cache.incoming import Incoming
from simpleindex.upstreams.errors import UpstreamFailed, WrongFile
from simpleindex.upstreams.fetching import partial_file
from simpleindex.upstreams.fetching.expected_file import ExpectedFile
from simpleindex.upstreams.fetching.fetch import open_in_thread
from simpleindex.upstreams.fetching.partial_file import PartialFile, PartialFileBody
from tests.fixtures.cached_upstream import ACME, DATA, WHEEL, CachedUpstreamFixture, failure, read
from tests.fixtures.deferreds import error, pending, result
from tests.fixtures.memory_upstream import HOST, MemoryStream, MemoryUpstream
from tests.fixtures.threads import InlineThreads, PausedThreads

if TYPE_CHECKING:
    from pathlib import Path

    from simpleindex.upstreams.interface import Validators

FACTS = ArchiveInfo("1.0", "0" * 64, None, None, None)


@pytest.fixture
def world(tmp_path: Path) -> CachedUpstreamFixture:
    """An upstream that has the wheel, without anything in the cache."""
    world = CachedUpstreamFixture(tmp_path / "cache")
    world.upstream.add(WHEEL, DATA)
    return world


def test_a_full_disk_is_an_error_of_this_index(
    world: CachedUpstreamFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client is told to come back, and the next one is served once there is room."""

    def full(self: Incoming, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Incoming, "write", full)
        said = failure(world.open())
    assert isinstance(said, Unavailable)
    assert str(said) == f"There is no room here for {WHEEL} now."
    assert world.bytes() == DATA


def test_a_file_that_vanishes_while_it_is_fetched_is_no_missing_file(world: CachedUpstreamFixture) -> None:
    """A part of it has been sent, so its client hears that the rest cannot be fetched."""
    world.upstream.pieces, world.upstream.breaks = (100,), [1]
    body = result(world.open())
    reading = Deferred.fromCoroutine(body.read(0, len(DATA)))
    del world.upstream.files[f"{HOST}acme/{WHEEL}"]
    world.clock.advance(1)
    assert f"{WHEEL} vanished while it was fetched" in str(error(reading))
    body.close()


def test_a_fetch_that_is_stopped_between_two_attempts_makes_no_other(world: CachedUpstreamFixture) -> None:
    """The end of the index does not wait for an upstream."""
    world.upstream.pieces, world.upstream.breaks = (100,), [1]
    body = result(world.open())
    reading = Deferred.fromCoroutine(body.read(0, len(DATA)))
    world.source.stop()
    world.clock.advance(1)
    assert "shutting down" in str(error(reading))
    assert world.upstream.opens() == [0]
    body.close()


def test_an_attempt_that_is_cancelled_by_anything_but_the_end_is_a_defect(
    world: CachedUpstreamFixture,
) -> None:
    """It is logged as one, and the client is answered all the same."""
    world.upstream.beginnings = []
    opening = world.open()
    world.upstream.beginnings[0].cancel()
    assert isinstance(error(opening), UpstreamFailed)
    assert [failed.type for failed in world.failures] == [CancelledError]


class SkippingUpstream(MemoryUpstream):
    """An upstream that leaves out the byte that is requested first."""

    async def open(
        self, url: str, offset: int = 0, validators: Validators | None = None, *, size: int | None = None
    ) -> MemoryStream:
        stream = await super().open(url, offset, validators, size=size)
        stream.offset += 1
        return stream


def test_another_part_than_requested_is_not_put_together(world: CachedUpstreamFixture) -> None:
    """Nothing of it is sent on."""
    pages = world.upstream.pages, world.upstream.files
    world.upstream = SkippingUpstream()
    world.upstream.pages, world.upstream.files = pages
    world.restart()
    assert "it sent another part of the file than was requested" in str(failure(world.open()))


def test_a_size_that_only_the_listing_states_is_binding(world: CachedUpstreamFixture) -> None:
    """Without any hash a file of another size is another file."""
    world.upstream.put(Project(ACME))
    world.upstream.add(WHEEL, DATA, sha256=None, size=len(DATA) + 1)
    said = failure(world.open())
    assert isinstance(said, WrongFile)
    assert f"it has {len(DATA)} bytes, not {len(DATA) + 1}" in str(said)


def test_a_file_of_another_size_differs() -> None:
    """Unless a hash decides."""
    key = DigestKey("0" * 64, WHEEL)
    unhashed = ExpectedFile(key, "https://example.org/", 5, None)
    assert unhashed.difference(4, "1" * 64, str) == "it has 4 bytes, not 5"
    assert unhashed.difference(5, "1" * 64, str) is None
    assert ExpectedFile(key, "https://example.org/", 5, "1" * 64).difference(4, "1" * 64, str) is None


def test_a_complete_file_is_kept_before_the_end(world: CachedUpstreamFixture) -> None:
    """The end of the service can wait until the cache has it; a wait that is given up disturbs nothing."""
    world.threads.held = True
    opening = world.open()
    while "keep" not in world.threads.names():
        world.threads.deliver()
    body = result(opening)
    waiting, impatient = world.source.keeping()[0], world.source.keeping()[0]
    impatient.addErrback(lambda failed: failed.trap(CancelledError))
    impatient.cancel()
    assert pending(waiting)
    assert len(world.source.keeping()) == 1
    world.threads.release()
    assert result(waiting) is None
    assert world.source.keeping() == []
    assert read(body) == DATA


@pytest.mark.parametrize("has", [True, False])
def test_a_request_that_leaves_while_a_file_is_opened_leaves_nothing_open(
    tmp_path: Path, *, has: bool
) -> None:
    """The thread cannot be called back, so what it opened is closed once it comes."""
    threads = PausedThreads(held=True)
    (tmp_path / "file").touch()
    opened: list[int] = []

    def open_file() -> tuple[int, ArchiveInfo] | None:
        opened.append(os.open(tmp_path / "file", os.O_RDONLY))
        return (opened[0], FACTS) if has else None

    opening = Deferred.fromCoroutine(open_in_thread(open_file, threads))
    opening.addErrback(lambda failed: failed.trap(CancelledError))
    opening.cancel()
    threads.deliver()
    if has:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(opened[0])
    else:
        os.close(opened[0])


class PartialFixture:
    """A file of ten bytes that has arrived, and its body."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(b"0123456789")
        self.path = path
        self.partial = PartialFile()
        self.partial.place(os.open(path, os.O_RDONLY))
        self.partial.begin(10)
        self.partial.complete(10)
        self.threads = InlineThreads()
        self.body = PartialFileBody(self.partial, WHEEL, None, None, self.threads)

    def read(self, offset: int, length: int) -> Any:
        """Read as a client does."""
        return result(self.body.read(offset, length))


@pytest.fixture
def partial(tmp_path: Path) -> PartialFixture:
    """A file that has arrived."""
    return PartialFixture(tmp_path / "partial")


def test_what_left_the_memory_is_read_in_a_thread(
    partial: PartialFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From where the memory's part ends."""
    monkeypatch.setattr(partial_file, "read_if_in_memory", lambda *_: b"23")
    assert partial.read(2, 5) == b"23456"
    assert partial.threads.calls == 1


def test_a_file_that_was_truncated_is_not_sent(partial: PartialFixture) -> None:
    """A client never gets less than it asked for."""
    os.truncate(partial.path, 4)
    with pytest.raises(Changed):
        partial.read(2, 5)


def test_a_body_is_closed_once(partial: PartialFixture) -> None:
    """Further closes take nothing from its other readers."""
    partial.body.close()
    partial.body.close()
    assert os.fstat(partial.partial.descriptor).st_size == 10
    with pytest.raises(Changed):
        partial.read(0, 1)
    assert partial.body.send_to(0, 0, 10) is None
    partial.partial.release()


@pytest.mark.parametrize(
    ("arrived", "sent"), [(0, None), (4, b"0123"), (9, b"012345678"), (10, b"012345678"), (-1, None)]
)
def test_the_kernel_sends_what_has_arrived(tmp_path: Path, arrived: int, sent: bytes | None) -> None:
    """Never the last byte before the whole is verified, and nothing of a file that failed."""
    partial = PartialFixture(tmp_path / "partial")
    partial.partial.is_whole = False
    partial.partial.advance(arrived)
    if arrived < 0:
        partial.partial.fail(Changed(WHEEL))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        taken = partial.body.send_to(ours.fileno(), 0, 10)
        assert (taken and theirs.recv(20)) == sent
    assert partial.body.is_immutable
