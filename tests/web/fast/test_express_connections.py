"""The express lane in each phase of a connection, with clients that read late or never, and over TLS."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from OpenSSL import SSL
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase

from simpleindex.web.fast.tls import FastTLS
from simpleindex.web.http import limits
from simpleindex.web.http.backpressure import Phase
from tests.fixtures.connection import SocketTransport, answers
from tests.fixtures.site import FAR
from tests.fixtures.two_lanes import CURL_LINES, PATHS, Pair, get, undated
from tests.web.http.test_backpressure import Contexts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.fixtures.site import SiteFixture


class ConnectionTests(SynchronousTestCase):
    """The express lane in each phase of a connection."""

    def setUp(self) -> None:
        self.pair = Pair()
        self.pair.warm()

    def wait(self, seconds: float) -> None:
        for side in (self.pair.ordinary, self.pair.express):
            side.index.clock.advance(seconds)

    def big(self, size: int) -> bytes:
        """Make /big/ a page of more than so many bytes, and render it; return a request for it."""
        project = self.pair.source.pages["acme"]
        files = tuple(
            replace(project.files[0], filename=f"big-{number}.tar.gz", version=str(number))
            for number in range(size // 300 + 1)
        )
        self.pair.source.add("big-1.0.tar.gz")
        self.pair.source.put(replace(self.pair.source.pages["big"], files=files))
        (answer,) = answers(self.pair.send(get(b"/big/", CURL_LINES)))
        self.assertGreater(len(answer.body), size)
        return get(b"/big/", CURL_LINES)

    def test_alarms(self) -> None:
        """The first request may take 20 s to come; each answer begins 75 idle seconds."""
        self.wait(limits.HEAD_SECONDS - 1)
        for _ in range(3):
            self.pair.send(get())
            self.assertIs(Phase.IDLE, self.pair.express.transport.channel.phase)
            self.wait(limits.IDLE_SECONDS - 1)
            self.pair.compared()
        self.wait(1)
        self.pair.compared()
        self.assertTrue(self.pair.express.transport.gone)
        self.assertEqual(3, len(self.pair.passed))

    def test_header_deadline_after_express(self) -> None:
        """Half a request behind an express answer has its 20 s."""
        self.pair.send(get(), get()[:20])
        self.wait(limits.HEAD_SECONDS - 1)
        self.pair.compared()
        self.wait(1)
        self.assertEqual(408, answers(self.pair.compared())[0].status)

    def test_empty_line_before(self) -> None:
        """The one empty line that Twisted forgives."""
        self.pair.send(get(), b"\r\n", get(), b"\r\n" + get(), get() + b"\r\n", get())
        self.pair.send(b"\r\n\r\n", get())

    def test_draining(self) -> None:
        """At the end idle connections close, and the last answer says so."""
        self.pair.send(get())
        for side in (self.pair.ordinary, self.pair.express):
            side.transport.channel.phase = Phase.HEAD
            side.index.site.drain()
            side.transport.channel.phase = Phase.IDLE
        (answer,) = answers(self.pair.send(get()))
        self.assertEqual(b"close", answer.headers[b"connection"])
        self.assertTrue(self.pair.express.transport.gone)
        self.assertEqual(1, len(self.pair.passed))

    def test_drain_during_large_answer(self) -> None:
        """A large page that is on its way arrives whole though the server ends."""
        request = self.big(300_000)
        for side in (self.pair.ordinary, self.pair.express):
            side.send(request)
            side.index.site.drain()
        (answer,) = answers(self.pair.compared())
        self.assertEqual(200, answer.status)
        self.assertTrue(self.pair.express.transport.gone)

    def test_many_sizes(self) -> None:
        """Pages around the size of a slice, and far beyond, taken slowly, with a request behind."""
        for size in (20_000, 60_000, 64_000, 66_000, 130_000, 300_000):
            self.pair.connect()
            request = self.big(size)
            self.pair.send(request, request, get(), request + request + request)
        self.assertTrue(self.pair.passed)

    def test_never_reads(self) -> None:
        """1,500 requests one per segment, of a client that never reads: as much is held as the ordinary lane holds."""
        request = self.big(40_000)
        self.pair.connect()
        left = [1500, 1500]
        sides = (self.pair.ordinary, self.pair.express)
        for number, side in enumerate(sides):
            while left[number] and side.transport.reading:
                side.send(request)
                left[number] -= 1
        self.assertEqual(left[0], left[1])
        self.assertLess(sides[1].transport.most, 3 * limits.SLICE_BYTES)
        self.pair.compared()
        self.assertTrue(sides[1].transport.reading)
        self.pair.send(request)

    def test_cannot_stop_the_client(self) -> None:
        """Data that still comes while the transport is full, as it does over TLS, is not answered before there is room."""
        request = self.big(40_000)
        self.pair.connect()
        for _ in range(100):
            for side in (self.pair.ordinary, self.pair.express):
                side.send(request)
        self.assertLess(self.pair.express.transport.most, 4 * limits.SLICE_BYTES)
        self.assertEqual(100, len(answers(self.pair.compared())))

    def test_client_takes_nothing(self) -> None:
        """A full transport has 60 s to empty."""
        request = self.big(40_000)
        self.pair.connect()
        for side in (self.pair.ordinary, self.pair.express):
            for _ in range(3):
                side.send(request)
            side.index.clock.advance(limits.WRITE_SECONDS - 1)
            self.assertFalse(side.transport.aborted)
            side.index.clock.advance(1)
            self.assertTrue(side.transport.aborted)
            side.index.clock.advance(0)
        self.pair.compared()

    def test_client_leaves(self) -> None:
        """Nothing is left of a connection that is gone."""
        self.pair.send(get())
        for side in (self.pair.ordinary, self.pair.express):
            side.transport.leave()
        self.pair.compared()
        self.assertEqual([], self.pair.express.index.clock.getDelayedCalls())
        self.assertEqual(0, len(self.pair.express.index.site.connections))

    def test_without_log(self) -> None:
        """Without an access log nothing is told."""
        self.pair.express.index.site.request_over = None
        self.pair.express.send(get())
        self.assertEqual(1, len(self.pair.passed))
        self.assertEqual([], self.pair.express.log)


class TlsTests(SynchronousTestCase):
    """The same through Twisted's TLS, which hands on each record by itself and cannot be paused in between."""

    contexts = Contexts()

    def setUp(self) -> None:
        self.pair = Pair()
        self.pair.warm()
        sides = (self.pair.ordinary, self.pair.express)
        self.ends = [TlsEnd(side.index, self.contexts) for side in sides]

    def exchange(self, *records: bytes) -> bytes:
        """Send these records to both, take everything, compare it, and return it."""
        expected, got = (undated(end.exchange(records)) for end in self.ends)
        self.assertEqual(expected, got)
        self.assertEqual(self.pair.ordinary.log, self.pair.express.log)
        return got

    def test_one_by_one(self) -> None:
        """A request in a record."""
        for path in PATHS:
            self.exchange(get(path), get(path, CURL_LINES))
        self.assertEqual(2 * len(PATHS), len(self.pair.passed))

    def test_cut(self) -> None:
        """Requests over several records, and several in one."""
        data = get() + get(b"/", CURL_LINES)
        self.exchange(data[:100], data[100:], data + data, get())
        self.assertEqual(1, len(self.pair.passed))

    def test_never_reads(self) -> None:
        """1,500 requests, one per record, of a client that reads late: all are answered, in order, by little memory."""
        for side in (self.pair.ordinary, self.pair.express):
            side.index.site.request_over = None
        request = get(b"/acme/", CURL_LINES)
        came = self.exchange(*[request, get(b"/", CURL_LINES)] * 750)
        found = answers(came)
        self.assertEqual(1500, len(found))
        self.assertEqual(
            2, len({answer.body for answer in found[::2]} | {answer.body for answer in found[1::2]})
        )
        for end in self.ends:
            self.assertLess(end.transport.most, 6 * limits.SLICE_BYTES)


class TlsEnd:
    """A client's end of a TLS connection to a site."""

    def __init__(self, index: SiteFixture, contexts: Contexts) -> None:
        clock: Any = index.clock
        self._clock = index.clock
        factory = TLSMemoryBIOFactory(contexts, False, index.site, clock)
        factory.protocol = FastTLS
        self._tls: Any = factory.buildProtocol(FAR)
        self.transport = SocketTransport(index.clock, self._tls, FAR)
        self._tls.makeConnection(self.transport)
        self._client = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
        self._client.set_connect_state()
        for _ in range(2):
            with contextlib.suppress(SSL.WantReadError):
                self._client.do_handshake()
            self._deliver()
            self._client.bio_write(self.transport.take())

    def exchange(self, records: Iterable[bytes]) -> bytes:
        """Send records, all before anything is read; return what comes."""
        for record in records:
            self._client.send(record)
        self._deliver()
        self._clock.advance(0)
        plain = bytearray()
        while wire := self.transport.take():
            self._client.bio_write(wire)
            with contextlib.suppress(SSL.WantReadError):
                while True:
                    plain += self._client.recv(limits.SLICE_BYTES)
            self._clock.advance(0)
        return bytes(plain)

    def _deliver(self) -> None:
        with contextlib.suppress(SSL.WantReadError):
            while True:
                self._tls.dataReceived(self._client.bio_read(limits.SLICE_BYTES))
