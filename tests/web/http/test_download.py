"""Sending a body: no faster than it is taken, never a mixture, and given back in every case."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from simpleindex.core.errors import Changed, Unavailable
from simpleindex.core.names import parse_project_name
from simpleindex.system.bodies import FileBody
from simpleindex.web.http.channel import IndexChannel
from simpleindex.web.http.download import CHUNK_SIZE, Download
from simpleindex.web.http.response import Content
from simpleindex.web.http.sending import PlainSending
from tests.fixtures.site import SiteFixture, Transport, read, request
from tests.fixtures.stub_source import StubBody

SIZE = 10 * CHUNK_SIZE + 77
DATA = bytes(range(251)) * (SIZE // 251 + 1)
DATA = DATA[:SIZE]
URL = "/acme/acme-1.0.zip"


class DownloadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.index = SiteFixture()
        self.body = self.index.source.add("acme-1.0.zip", DATA)

    def begin(self, *headers: tuple[str, str]) -> Transport:
        return self.index.begin("GET", URL, *headers)

    def assert_over(self, *, failures: int = 0) -> None:
        """Nothing is held any more, and nothing was told that should not have been."""
        self.assertEqual(self.body.closed, self.body.opened)
        self.assertEqual(len(self.index.failures), failures)

    def test_interface(self) -> None:
        """It is what Twisted calls a push producer."""
        download = Download(None, Content(StubBody(b""), 0, 0), lambda: None)  # type: ignore[arg-type]
        verifyObject(IPushProducer, download)

    def test_chunks(self) -> None:
        """It is read in order, in chunks of one size, once."""
        reply = read(self.begin())
        self.assertEqual(reply.body, DATA)
        offsets = range(0, SIZE, CHUNK_SIZE)
        self.assertEqual(self.body.reads, [(offset, min(CHUNK_SIZE, SIZE - offset)) for offset in offsets])
        self.assert_over()

    def test_a_small_file(self) -> None:
        """It leaves with its head in one call of the system, for which the reactor need not come round; so does a head alone."""
        self.index.source.add("acme-1.1.zip", DATA[:20_000])
        written: list[bytes] = []

        class Noting(PlainSending):
            def write(self, transport: Any, data: bytes) -> None:
                written.append(data)
                super().write(transport, data)

        self.index.site.sending = Noting()
        url = URL.replace("1.0", "1.1")
        for method, size in (("GET", 20_000), ("HEAD", 0)):
            self.index.begin(method, url)
            self.assertEqual([len(each.partition(b"\r\n\r\n")[2]) for each in written], [size])
            written.clear()

    def test_part(self) -> None:
        """Of a part nothing outside is read."""
        last = 100 + CHUNK_SIZE + 64
        reply = read(self.begin(("Range", f"bytes=100-{last}")))
        self.assertEqual(reply.body, DATA[100 : last + 1])
        self.assertEqual(self.body.reads, [(100, CHUNK_SIZE), (100 + CHUNK_SIZE, 65)])
        self.assert_over()

    def test_waits_for_a_full_transport(self) -> None:
        """A client that takes nothing makes us read and hold next to nothing; one that goes on gets everything."""
        transport = self.begin()
        self.assertLessEqual(len(self.body.reads), 2)
        before = len(self.body.reads)
        self.index.clock.advance(30)
        self.assertEqual(len(self.body.reads), before)
        taken = transport.take(CHUNK_SIZE)
        while piece := transport.take(50_000):
            taken += piece
            self.assertLessEqual(len(self.body.reads) * CHUNK_SIZE, len(taken) + 3 * CHUNK_SIZE)
        self.assertTrue(taken.endswith(DATA))
        self.assertLessEqual(transport.most, 3 * CHUNK_SIZE)
        self.assert_over()

    def test_pause_during_a_read(self) -> None:
        """A pause and a resume while a chunk is being read cost nothing and lose nothing."""
        self.body.is_slow = True
        transport = self.begin()
        channel = transport.channel
        self.body.go_on()
        for _ in range(3):
            channel.pauseProducing()
            channel.resumeProducing()
        taken = b""
        while self.body.waiting:
            self.body.go_on()
            taken += transport.take()
        self.assertTrue(taken.endswith(DATA))
        self.assert_over()

    def test_pause_before_the_end(self) -> None:
        """A client that takes the last chunk late gets it; the body is given back without waiting for that."""
        self.body = self.index.source.add("acme-2.0.zip", DATA[: CHUNK_SIZE + 1])
        transport = self.index.begin("GET", "/acme/acme-2.0.zip")
        self.assertEqual(read(transport).body, DATA[: CHUNK_SIZE + 1])
        self.assert_over()

    def test_next_request(self) -> None:
        """After a file the connection goes on with the next request."""
        transport = self.begin()
        transport.take()
        transport.protocol.dataReceived(request("GET", "/-/health"))
        self.assertEqual(read(transport).text, "alive\n")

    def test_slow_reads(self) -> None:
        """A disk that lets us wait holds up nothing but this answer."""
        self.body.is_slow = True
        transport = self.begin()
        taken = b""
        while self.body.waiting:
            self.assertEqual(self.index.get("/-/health").status, 200)
            self.body.go_on()
            taken += transport.take()
        self.assertTrue(taken.endswith(DATA))
        self.assert_over()

    def test_a_disk_that_never_answers(self) -> None:
        """A read that is left in its thread for ever holds up its own answer only: pages and other files go on."""
        path = Path(self.mktemp())
        path.write_bytes(DATA)
        descriptor, asked = os.open(path, os.O_RDONLY), list[Deferred[bytes]]()

        async def run_in_thread(*_arguments: object) -> bytes:
            asked.append(Deferred())
            return await asked[-1]

        def preadv(number: int, *arguments: Any) -> int:
            if number == descriptor:
                raise BlockingIOError
            return plain_preadv(number, *arguments)

        plain_preadv = os.preadv
        self.patch(os, "preadv", preadv)
        body = FileBody(descriptor, "acme-2.0.zip", "00", run_in_thread)
        self.index.source.add("acme-2.0.zip", DATA)
        stuck: Any = body
        stuck.opened = 0
        self.index.source.bodies[parse_project_name("acme"), "acme-2.0.zip"] = stuck
        transport = self.index.begin("GET", "/acme/acme-2.0.zip")
        self.index.clock.advance(0)
        self.assertEqual(len(asked), 1)
        for _ in range(3):
            self.assertEqual(self.index.get("/acme/").status, 200)
            self.assertEqual(self.index.get(URL).body, DATA)
        self.assertEqual(transport.held, b"")
        transport.leave()

    def test_changed_before_the_first_byte(self) -> None:
        """A file that is no longer what was listed is told of in words as long as nothing was sent."""
        self.body.changes_at = 0
        reply = read(self.begin())
        self.assertEqual(reply.status, 503)
        self.assertEqual(reply.headers["retry-after"], "1")
        self.assertEqual(reply.headers["cache-control"], "no-store")
        self.assertEqual(reply.headers["content-type"], "application/problem+json")
        self.assertEqual(reply.text, "acme-1.0.zip changed while it was being read.\n")
        self.assertFalse(reply.headers.keys() & {"etag", "last-modified", "accept-ranges"})
        self.assert_over()

    def test_changed_after_the_first_byte(self) -> None:
        """Later only a broken connection says that what came is not whole."""
        for error, failures in (
            (Changed("acme-1.0.zip"), 0),
            (Unavailable("The disk is gone."), 0),
            (OSError("never"), 1),
        ):
            self.index.failures.clear()
            self.body.error, self.body.changes_at = error, 3 * CHUNK_SIZE
            transport = self.begin()
            taken = transport.take()
            head, _, content = taken.partition(b"\r\n\r\n")
            self.assertIn(b"Content-Length: %d\r\n" % SIZE, head + b"\r\n")
            self.assertEqual(content, DATA[: 3 * CHUNK_SIZE])
            self.assertTrue(transport.gone)
            self.assert_over(failures=failures)

    def test_changed_while_paused(self) -> None:
        """The same when the change comes while the client takes nothing."""
        transport = self.begin()
        self.body.changes_at = 0
        taken = transport.take()
        self.assertTrue(transport.gone)
        self.assertLess(len(taken), SIZE)
        self.assert_over()

    def test_nothing_follows_a_broken_answer(self) -> None:
        """A request that was sent behind it is not answered where the rest of the file should be."""
        self.body.changes_at = 2 * CHUNK_SIZE
        transport = self.index.connect()
        transport.protocol.dataReceived(request("GET", URL) + request("GET", "/-/health"))
        self.assertNotIn(b"alive", transport.take())
        self.assertTrue(transport.gone)

    def test_client_leaves_before_the_first_byte(self) -> None:
        """The read is given up and the body given back."""
        self.body.is_slow = True
        transport = self.begin()
        transport.leave()
        self.assertEqual(transport.held, b"")
        self.assert_over()

    def test_client_leaves_during_a_read(self) -> None:
        """The same in the midst of the file."""
        self.body.is_slow = True
        transport = self.begin()
        self.body.go_on()
        transport.take()
        self.body.go_on()
        transport.take()
        transport.leave()
        self.assertEqual(len(self.body.reads), 3)
        self.assert_over()
        self.assertEqual(self.index.logged, [(URL.encode(), 200)])

    def test_client_leaves_while_paused(self) -> None:
        """A client that took a part and left is over: nothing is read for it, and it was not served whole."""
        transport = self.begin()
        self.assertIsNotNone(transport.producer)
        before = len(self.body.reads)
        finished: list[object] = []
        (asked,) = transport.channel.requests
        asked.notifyFinish().addBoth(finished.append)
        transport.leave()
        self.assertEqual(len(self.body.reads), before)
        self.assert_over()
        self.assertIsNotNone(finished[0], "an answer that was cut off counted as a whole one")
        self.assertEqual(self.index.logged, [(URL.encode(), 200)])

    def test_client_leaves_with_requests_waiting(self) -> None:
        """What a client asked for behind a file that it did not take is not worked for."""
        transport = self.index.connect()
        transport.protocol.dataReceived(request("GET", URL) + request("GET", "/acme/"))
        transport.leave()
        self.assertNotIn(("project", "acme"), self.index.source.asked)
        self.assert_over()

    def test_client_took_nothing_for_a_minute(self) -> None:
        """The channel's patience ends a download like a client that leaves."""
        transport = self.begin()
        self.index.clock.pump([1] * 62)
        self.assertTrue(transport.aborted)
        self.assertTrue(transport.gone)
        self.assert_over()

    def by_kernel(self, *, takes: int, known: range = range(SIZE)) -> tuple[Transport, list[tuple[int, int]]]:
        """Begin a download of a file that never changes, from a kernel that takes so much at a time, of a part."""
        sent: list[tuple[int, int]] = []

        def send_to(_socket: int, offset: int, length: int) -> int | None:
            if self.body.changes_at is not None and offset >= self.body.changes_at:
                raise Changed("acme-1.0.zip")
            if offset not in known or offset + length - 1 not in known:
                return None
            sent.append((offset, min(length, takes)))
            return min(length, takes)

        def send_file(channel: IndexChannel, body: StubBody, offset: int, length: int) -> int | None:
            size = None if channel.transport.held else body.send_to(7, offset, length)
            if size is not None:
                channel.transport.held += DATA[offset : offset + size]
                channel.transport.full = True
                channel.pauseProducing()
            return size

        self.patch(self.body, "send_to", send_to)
        self.patch(IndexChannel, "send_file", send_file)
        self.index.resource.files.immutable = True
        return self.begin(), sent

    def test_by_kernel(self) -> None:
        """After the head and the first chunk the kernel sends all of it, as it can take it, and it counts as sent."""
        finished: list[int] = []
        self.index.site.request_over = lambda request: finished.append(request.sentLength)
        transport, sent = self.by_kernel(takes=300_000)
        taken = transport.take()
        self.assertTrue(taken.endswith(b"\r\n\r\n" + DATA))
        self.assertEqual(self.body.reads, [(0, CHUNK_SIZE)])
        self.assertEqual([offset for offset, _ in sent], list(range(CHUNK_SIZE, SIZE, 300_000)))
        self.assertEqual(finished, [SIZE])
        self.assert_over()

    def test_by_kernel_where_it_can(self) -> None:
        """What is not in memory is read by us, in its place."""
        transport, sent = self.by_kernel(takes=CHUNK_SIZE, known=range(SIZE - 2 * CHUNK_SIZE, SIZE))
        self.assertTrue(transport.take().endswith(b"\r\n\r\n" + DATA))
        self.assertEqual(sum(size for _, size in sent) + sum(length for _, length in self.body.reads), SIZE)
        self.assertTrue(sent)
        self.assert_over()

    def test_by_kernel_a_part(self) -> None:
        """Of a range nothing outside is sent."""
        self.by_kernel(takes=SIZE)
        reply = read(self.begin(("Range", f"bytes=100-{SIZE - 100}")))
        self.assertEqual(reply.body, DATA[100 : SIZE - 99])

    def test_by_kernel_changed(self) -> None:
        """A change breaks the connection here too."""
        transport, _ = self.by_kernel(takes=CHUNK_SIZE)
        self.body.changes_at = 5 * CHUNK_SIZE
        taken = transport.take()
        self.assertTrue(taken.endswith(DATA[: 5 * CHUNK_SIZE]))
        self.assertTrue(transport.gone)
        self.assert_over()

    def test_by_kernel_and_the_client_leaves(self) -> None:
        """It is given up while it waits for room."""
        transport, sent = self.by_kernel(takes=CHUNK_SIZE)
        transport.take(2 * CHUNK_SIZE)
        before = len(sent)
        transport.leave()
        self.assertEqual(len(sent), before)
        self.assert_over()

    def test_by_kernel_only_what_never_changes(self) -> None:
        """Without --immutable-files every byte is read, and the file looked at, before it is sent."""
        self.by_kernel(takes=SIZE)
        self.index.resource.files.immutable = False
        reads = len(self.body.reads)
        self.assertEqual(read(self.begin()).body, DATA)
        self.assertEqual(len(self.body.reads) - reads, -(-SIZE // CHUNK_SIZE))

    def test_by_kernel_what_the_source_never_writes_into(self) -> None:
        """A file of the cache, for example."""
        self.by_kernel(takes=SIZE)
        self.index.resource.files.immutable = False
        self.body.is_immutable = True
        self.body.reads.clear()
        reply = read(self.begin())
        self.assertEqual(reply.body, DATA)
        self.assertEqual(reply.headers["cache-control"], "no-cache")
        self.assertEqual(self.body.reads, [(0, CHUNK_SIZE)])

    def test_head_reads_nothing(self) -> None:
        """HEAD opens, looks and gives back."""
        self.assertEqual(self.index.head(URL).headers["content-length"], str(SIZE))
        self.assertEqual(self.body.reads, [])
        self.assert_over()
