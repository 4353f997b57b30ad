"""Opened bytes: the old ones to the end, or an error; never a mixture."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from simpleindex.core.errors import Changed
from simpleindex.system import bodies
from simpleindex.system.bodies import BytesBody, FileBody

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = bytes(range(256)) * 4
MODIFIED_NS = 1_700_000_000_123_456_789


def is_open(descriptor: int) -> bool:
    """Whether it has not been closed."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


class FileBodyTests(SynchronousTestCase):
    """A file, with what can happen to it while it is read."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.write_bytes(DATA)
        os.utime(self.path, ns=(MODIFIED_NS, MODIFIED_NS))
        self.threads: list[tuple[Callable[[], bytes], Deferred[bytes]]] = []

    def open(self, *, threads_wait: bool = False) -> FileBody:
        """Open it; with ``threads_wait`` a thread's work is done only by :meth:`work`."""
        descriptor = os.open(self.path, os.O_RDONLY)
        self.descriptor = descriptor

        async def run_in_thread(function: Callable[..., bytes], *arguments: Any) -> bytes:
            if not threads_wait:
                return function(*arguments)
            done: Deferred[bytes] = Deferred()
            self.threads.append((lambda: function(*arguments), done))
            return await done

        body = FileBody(descriptor, "acme-1.0.zip", "00", run_in_thread)
        self.addCleanup(body.close)
        return body

    def work(self) -> None:
        """Let a thread do its work."""
        function, done = self.threads.pop(0)
        done.callback(function())

    def read(self, body: FileBody, offset: int, length: int) -> bytes:
        """Read what needs no waiting."""
        return self.successResultOf(Deferred.fromCoroutine(body.read(offset, length)))

    def assert_changed(self, body: FileBody, offset: int = 0, length: int = 10) -> None:
        """Reading breaks off, and names the file."""
        failure = self.failureResultOf(Deferred.fromCoroutine(body.read(offset, length)), Changed)
        assert failure.value.filename == "acme-1.0.zip"

    def without_nowait(self) -> None:
        """As where the system cannot tell what is in memory."""
        self.patch(bodies, "_NOWAIT", None)

    def nowait(self, answer: Callable[[list[bytearray]], int]) -> None:
        """Have the system say what is in memory."""
        self.patch(os, "preadv", lambda _descriptor, buffers, _offset, _flags: answer(buffers))

    def test_what_it_says_of_itself(self) -> None:
        """Size and time come from the open file."""
        body = self.open()
        assert (body.sha256, body.size, body.modified_ns) == ("00", len(DATA), MODIFIED_NS)

    def test_any_range_within_the_size(self) -> None:
        """From memory, and from a thread."""
        for prepare in (lambda: None, self.without_nowait):
            prepare()
            body = self.open()
            for offset, length in ((0, len(DATA)), (0, 1), (1000, 24), (512, 0), (len(DATA), 0)):
                assert self.read(body, offset, length) == DATA[offset : offset + length]

    def test_what_is_not_in_memory_comes_from_a_thread(self) -> None:
        """The first bytes may be there and the rest not; the reactor never waits for the disk."""

        def some(buffers: list[bytearray]) -> int:
            buffers[0][:100] = DATA[:100]
            return 100

        def none(_buffers: list[bytearray]) -> int:
            raise BlockingIOError

        for answer, rest in ((some, 924), (none, 1024)):
            self.nowait(answer)
            body = self.open(threads_wait=True)
            reading = Deferred.fromCoroutine(body.read(0, len(DATA)))
            self.assertNoResult(reading)
            assert len(self.threads[0][0]()) == rest
            self.work()
            assert self.successResultOf(reading) == DATA

    def test_the_kernel_sends_what_is_in_memory(self) -> None:
        """From the file itself, as much as the socket takes; and a lost one takes nothing."""
        body = self.open()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours, theirs:
            assert body.send_to(ours.fileno(), 100, 500) == 500
            assert theirs.recv(1000) == DATA[100:600]
            while body.send_to(ours.fileno(), 0, len(DATA)):
                pass
            assert body.send_to(ours.fileno(), 0, len(DATA)) == 0
            theirs.close()
            assert body.send_to(ours.fileno(), 0, len(DATA)) == 0

    def test_where_it_is_looked(self) -> None:
        """At the beginning, at the end, and once in all that is read at a time."""
        looked_at: list[int] = []

        def look(_descriptor: int, _buffers: object, offset: int, _flags: int) -> int:
            looked_at.append(offset)
            return 1

        self.patch(os, "preadv", look)
        self.patch(os, "sendfile", lambda *_: 1)
        assert self.open().send_to(0, 5, 2 * bodies._READAHEAD) == 1
        assert looked_at == [5, 5 + bodies._READAHEAD, 4 + 2 * bodies._READAHEAD]

    def test_the_kernel_does_not_send_the_rest(self) -> None:
        """What would let the reactor wait for a disk, what cannot be told, what is closed, gone or unreadable."""

        def none(_buffers: list[bytearray]) -> int:
            raise BlockingIOError

        def broken(*_arguments: int) -> int:
            raise OSError(errno.EIO, "")

        self.patch(os, "sendfile", broken)
        assert self.open().send_to(0, 0, 10) is None
        self.patch(os, "sendfile", lambda *_: 0)
        assert self.open().send_to(0, 0, 10) is None
        self.patch(os, "sendfile", lambda *_: 10)
        body = self.open()
        body.close()
        assert body.send_to(0, 0, 10) is None
        assert BytesBody(DATA, "00", None).send_to(0, 0, 10) is None
        for answer in (none, lambda _: 0):
            self.nowait(answer)
            assert self.open().send_to(0, 0, 10) is None
        self.without_nowait()
        assert self.open().send_to(0, 0, 10) is None

    def test_the_kernel_does_not_send_what_changed(self) -> None:
        """That is not told by None, for then it would be read."""
        body = self.open()
        self.path.write_bytes(b"x" * len(DATA))
        with self.assertRaises(Changed):
            body.send_to(0, 0, 10)

    def test_a_disk_that_gives_little_at_a_time(self) -> None:
        """A short read is not the end."""
        self.without_nowait()
        pread = os.pread
        self.patch(
            os, "pread", lambda descriptor, length, offset: pread(descriptor, min(length, 100), offset)
        )
        assert self.read(self.open(), 10, 1000) == DATA[10:1010]

    def test_a_file_renamed_over_keeps_its_old_bytes(self) -> None:
        """Also one deleted: what was opened is there until it is closed."""
        body = self.open()
        other = Path(self.mktemp())
        other.write_bytes(b"n" * len(DATA))
        other.rename(self.path)
        assert self.read(body, 0, len(DATA)) == DATA
        self.path.unlink()
        assert self.read(body, 500, 10) == DATA[500:510]

    def test_a_file_overwritten_in_place_breaks_off(self) -> None:
        """Same size, other bytes, between two chunks."""
        body = self.open()
        assert self.read(body, 0, 10) == DATA[:10]
        with self.path.open("r+b") as file:
            file.write(b"n" * len(DATA))
        self.assert_changed(body)

    def test_an_overwrite_whose_time_is_set_back_breaks_off(self) -> None:
        """The kernel's own time of change cannot be set."""
        body = self.open()
        with self.path.open("r+b") as file:
            file.write(b"n" * len(DATA))
        os.utime(self.path, ns=(MODIFIED_NS, MODIFIED_NS))
        self.assert_changed(body)

    def test_a_write_while_a_thread_reads_breaks_off(self) -> None:
        """The state is compared after the bytes were read, and before they are handed out."""
        self.without_nowait()
        body = self.open(threads_wait=True)
        reading = Deferred.fromCoroutine(body.read(0, 10))
        with self.path.open("ab") as file:
            file.write(b"more")
        self.work()
        self.failureResultOf(reading, Changed)

    def test_a_file_that_was_cut_breaks_off(self) -> None:
        """Whether the wanted bytes are gone or still there."""
        body = self.open()
        os.truncate(self.path, 100)
        self.assert_changed(body, 200)
        self.assert_changed(body, 0)

    def test_a_chmod_breaks_off(self) -> None:
        """It cannot be told from a write whose time was set back, so it is not trusted."""
        body = self.open()
        self.path.chmod(0o600)
        self.assert_changed(body)

    def test_a_hard_link_more_or_less_goes_on(self) -> None:
        """Backups make and remove them; the number of links explains the changed ctime."""
        body = self.open()
        link = Path(self.mktemp())
        os.link(self.path, link)
        assert self.read(body, 0, 10) == DATA[:10]
        self.path.unlink()
        link.unlink()
        assert self.read(body, 0, 10) == DATA[:10]

    def test_a_file_written_to_after_a_hard_link_breaks_off(self) -> None:
        """The link explains the ctime, and not a changed mtime."""
        body = self.open()
        os.link(self.path, self.mktemp())
        with self.path.open("r+b") as file:
            file.write(b"n")
        self.assert_changed(body)

    def test_closing_gives_the_file_back_once(self) -> None:
        """The number may at once be another file's, which a second close must not close."""
        body = self.open()
        body.close()
        assert not is_open(self.descriptor)
        another = os.open(self.path, os.O_RDONLY)
        self.addCleanup(os.close, another)
        assert another == self.descriptor
        body.close()
        assert is_open(another)

    def test_a_closed_body_reads_nothing_of_another_file(self) -> None:
        """Neither does it close it: the number is no longer ours."""
        for prepare in (lambda: None, self.without_nowait):
            prepare()
            body = self.open()
            body.close()
            another = os.open(self.path, os.O_RDONLY)
            assert another == self.descriptor
            self.assert_changed(body)
            assert is_open(another)
            os.close(another)

    def test_closing_waits_for_the_thread(self) -> None:
        """A client that leaves in the middle: the thread's descriptor stays its own until it is done."""
        self.without_nowait()
        body = self.open(threads_wait=True)
        reading = Deferred.fromCoroutine(body.read(0, 10))
        body.close()
        body.close()
        assert is_open(self.descriptor)
        self.work()
        self.failureResultOf(reading, Changed)
        assert not is_open(self.descriptor)

    def test_a_failing_disk_is_told_and_the_file_still_closes(self) -> None:
        """The error is the caller's to judge."""
        self.without_nowait()
        body = self.open(threads_wait=True)
        reading = Deferred.fromCoroutine(body.read(0, 10))
        self.threads.pop()[1].errback(OSError("broken disk"))
        self.failureResultOf(reading, OSError)
        assert is_open(self.descriptor)
        body.close()
        assert not is_open(self.descriptor)


class BytesBodyTests(SynchronousTestCase):
    """Bytes in memory."""

    def test_ranges(self) -> None:
        """The same interface as a file's."""
        body = BytesBody(DATA, "00", None)
        assert (body.sha256, body.size, body.modified_ns) == ("00", len(DATA), None)
        assert self.successResultOf(Deferred.fromCoroutine(body.read(5, 7))) == DATA[5:12]
        body.close()
        body.close()


def test_memory_is_asked_where_the_system_can_tell() -> None:
    """On Linux most reads need no thread."""
    if not hasattr(os, "RWF_NOWAIT"):
        pytest.skip("this system cannot tell what is in memory")
    assert os.RWF_NOWAIT == bodies._NOWAIT
