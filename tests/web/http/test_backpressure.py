"""Answers on a connection: no faster than they are taken, and what happens when they are not; the end of a connection."""

from __future__ import annotations

import datetime as dt
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IPushProducer
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

from simpleindex.service.fast_lane import tls_protocol
from simpleindex.web.http import limits
from simpleindex.web.http.sending import PlainSending
from tests.fixtures.connection import FULL, ConnectionFixture, LinesTestCase, SocketTransport, answers, get

KiB = 1024
MiB = 1024 * KiB


@implementer(IPushProducer)
class Source:
    """A producer that gives 64 KiB pieces whenever it may."""

    def __init__(self, request: Any, pieces: int) -> None:
        self.request = request
        self.pieces = pieces
        self.paused = False

    def start(self) -> Source:
        self.request.setHeader(b"Content-Length", b"%d" % (self.pieces * FULL))
        self.request.registerProducer(self, True)
        self.resumeProducing()
        return self

    def resumeProducing(self) -> None:
        self.paused = False
        while self.pieces and not self.paused:
            self.pieces -= 1
            self.request.write(bytes(FULL))
        if not self.pieces:
            self.request.unregisterProducer()
            self.request.finish()

    def pauseProducing(self) -> None:
        self.paused = True

    def stopProducing(self) -> None:
        self.pauseProducing()


class WireTestCase(LinesTestCase):
    """A wire with one connection."""

    def setUp(self) -> None:
        super().setUp()
        self.wire = ConnectionFixture()
        self.transport = self.wire.connect()

    def buffered(self) -> int:
        """Bytes that the channel itself keeps for this connection."""
        channel: Any = self.transport.protocol
        return len(channel._buffer) + sum(map(len, channel._dataBuffer))


class BackPressureTests(WireTestCase):
    """Memory stays flat, whatever is asked for and not taken."""

    def test_row_1500_requests_never_read(self) -> None:
        """1,500 pipelined requests that are never read hold two slices of answers, and one read of requests."""
        self.wire.pages.bodies[b"/"] = b"x" * 50_000
        requests = get() * 1500
        while requests and self.transport.reading:
            self.wire.send(self.transport, requests[:FULL])
            requests = requests[FULL:]
        self.assertFalse(self.transport.reading)
        self.assertLess(self.transport.most + self.buffered(), 4 * FULL)
        taken = self.transport.take()
        while requests:
            self.assertTrue(self.transport.reading)
            self.wire.send(self.transport, requests[:FULL])
            requests = requests[FULL:]
            taken += self.transport.take()
        self.assertEqual(1500, len(answers(taken)))
        self.assertLess(self.transport.most, 2 * FULL + KiB)

    def test_requests_one_by_one(self) -> None:
        """The same when each request is a packet of its own, as long as the client is allowed to send."""
        self.wire.pages.bodies[b"/"] = b"x" * 5000
        sent = 0
        while self.transport.reading:
            self.wire.send(self.transport, get())
            sent += 1
        self.assertLess(sent, 20)
        self.assertLess(self.transport.most, 2 * FULL)
        self.assertEqual(sent, len(answers(self.transport.take())))
        self.assertTrue(self.transport.reading)

    def test_large_answer(self) -> None:
        """A large prepared answer is given slice by slice, and the next answer follows it."""
        body = bytes(range(256)) * 20 * KiB
        self.wire.pages.bodies[b"/large"] = body
        self.wire.send(self.transport, get(b"/large") + get(b"/small"))
        self.assertLess(self.transport.most, 2 * FULL + KiB)
        large, small = answers(self.transport.take())
        self.assertTrue(large.body == body)
        self.assertEqual(b"/small", small.body)
        self.assertLess(self.transport.most, 2 * FULL + KiB)
        self.assertEqual(2, len(self.wire.logged))

    def test_large_chunk(self) -> None:
        """An answer of unknown length is cut as well, and its pieces stay in order."""
        self.wire.send(self.transport, get(b"/later"))
        request = self.wire.pages.seen[0]
        for piece in (b"a" * MiB, b"b", b"c" * MiB):
            request.write(piece)
        request.finish()
        self.assertLess(self.transport.most, 2 * FULL + KiB)
        taken = self.transport.take()
        self.assertTrue(
            taken.endswith(b"100000\r\n%b\r\n1\r\nb\r\n100000\r\n%b\r\n0\r\n\r\n" % (b"a" * MiB, b"c" * MiB))
        )

    def test_producer(self) -> None:
        """A producer is paused and resumed with the transport, and its request ends when all is taken."""
        self.wire.send(self.transport, get(b"/later"))
        source = Source(self.wire.pages.seen[0], 30).start()
        self.assertTrue(source.paused)
        self.wire.send(self.transport, get(b"/next"))
        first, second = answers(self.transport.take())
        self.assertEqual((30 * FULL, b"/next"), (len(first.body), second.body))
        self.assertLess(self.transport.most, 2 * FULL + KiB)

    def test_producer_for_a_full_transport(self) -> None:
        """A producer that comes when the transport is full already is told so: TLS would not repeat it."""
        self.wire.send(self.transport, get(b"/later"))
        request = self.wire.pages.seen[0]
        request.write(bytes(3 * FULL))
        source = Source(request, 3)
        request.registerProducer(source, True)
        self.assertTrue(source.paused)

    def test_requests_during_a_download(self) -> None:
        """What a client sends while an answer waits for it is kept up to a bound; Twisted's channel keeps all of it."""
        self.wire.send(self.transport, get(b"/later"))
        Source(self.wire.pages.seen[0], 30).start()
        requests = get(b"/next") * 10_000
        while requests and self.transport.reading:
            self.wire.send(self.transport, requests[:KiB])
            requests = requests[KiB:]
        self.assertFalse(self.transport.reading)
        self.assertLess(self.buffered(), 18 * KiB)

    def test_refusal_behind_a_full_transport(self) -> None:
        """A refusal waits its turn behind the answers that are not taken, and is delivered."""
        self.wire.pages.bodies[b"/"] = bytes(FULL - 200)
        self.wire.send(self.transport, get() + get(b"/", b"nonsense"))
        self.wire.send(self.transport, b"more")
        self.assertFalse(self.transport.reading)
        self.assertEqual([200, 400], [answer.status for answer in answers(self.transport.take())])
        self.assertTrue(self.transport.reading)
        self.wire.wait(limits.DISCARD_SILENCE_SECONDS)
        self.assertTrue(self.transport.disconnecting)

    def test_refusal_of_what_had_come(self) -> None:
        """A refusal for a transport that is full already waits as long as answers do, whatever else comes."""
        channel: Any = self.transport.protocol
        self.wire.send(self.transport, get())
        channel.pauseProducing()
        self.wire.send(self.transport, b"nonsense\r\n\r\n")
        self.wire.send(self.transport, b"more")
        self.wire.wait(59)
        self.assertFalse(self.transport.aborted)
        channel.resumeProducing()
        self.assertEqual([200, 400], [answer.status for answer in answers(self.transport.take())])
        self.assertTrue(self.transport.reading)


class QuickReader(SocketTransport):
    """A client that takes everything at once, as one on the same machine does.

    Attributes:
        row: How many slices left at once, one after another, before each that waited for its turn.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.row = [0]

    def write_at_once(self, data: bytes) -> None:
        self.row[-1] += 1
        self.held += data

    def write(self, data: bytes) -> None:
        super().write(data)
        if len(data) == limits.SLICE_BYTES:
            self.row.append(0)


class SendingAtOnce(PlainSending):
    """Hands slices to a client that takes them at once."""

    def write(self, transport: Any, data: bytes) -> None:
        transport.write_at_once(data)


class TurnTests(WireTestCase):
    """Nobody who takes everything at once keeps the reactor to himself."""

    def test_large_answer(self) -> None:
        """A few slices leave at once, then one waits until others have had their turn."""
        size = 20 * limits.SLICE_BYTES + 5
        self.wire.pages.bodies[b"/"] = bytes(size)
        self.wire.site.sending = SendingAtOnce()
        protocol = self.wire.site.buildProtocol(None)
        transport = QuickReader(self.wire.clock, protocol, IPv4Address("TCP", "192.0.2.9", 50009))
        protocol.makeConnection(transport)
        self.wire.send(transport, get())
        self.assertEqual([limits.SLICES_AT_ONCE, 0], transport.row)
        (answer,) = answers(transport.take())
        self.assertEqual(size, len(answer.body))
        self.assertEqual([limits.SLICES_AT_ONCE] * 5 + [0], transport.row)


class SlowReaderTests(WireTestCase):
    """Least progress for answers."""

    def setUp(self) -> None:
        super().setUp()
        self.wire.send(self.transport, get(b"/later"))

    def test_takes_nothing(self) -> None:
        """A full transport that does not empty within 60 s is closed at once, with one line in each log."""
        Source(self.wire.pages.seen[0], 30).start()
        self.wire.wait(59)
        self.assertFalse(self.transport.aborted)
        self.wire.wait(2)
        self.assertTrue(self.transport.gone)
        self.assertEqual(["192.0.2.7 took nothing for 60 seconds; closed the connection."], self.lines)
        self.assertEqual([(b"/later", 200)], self.wire.logged)
        self.assertEqual([], self.wire.clock.getDelayedCalls())

    def test_takes_next_to_nothing(self) -> None:
        """A byte a minute, or 500 a second, does not save it."""
        for size in (1, 500):
            self.setUp()
            Source(self.wire.pages.seen[0], 30).start()
            for _ in range(62):
                self.transport.take(size)
                self.wire.wait(1)
            self.assertTrue(self.transport.aborted)

    def test_takes_slowly(self) -> None:
        """10 KB a second gets all of a file, from a producer or one large write."""
        for by_producer in (True, False):
            self.setUp()
            request = self.wire.pages.seen[0]
            if by_producer:
                Source(request, 30).start()
            else:
                request.write(bytes(30 * FULL))
                request.finish()
            taken = 0
            while self.transport.held:
                taken += len(self.transport.take(10_000))
                self.wire.wait(1)
            self.assertGreater(taken, 30 * FULL)
            self.assertTrue(self.transport.reading)

    def test_writing_on(self) -> None:
        """A resource that goes on writing to a full transport does not put the end off."""
        request = self.wire.pages.seen[0]
        for _ in range(62):
            request.write(bytes(40 * KiB))
            self.wire.wait(1)
        self.assertTrue(self.transport.aborted)

    def test_unix_socket(self) -> None:
        """The line names no address where there is none."""
        self.transport = self.wire.connect(UNIXAddress("/run/index.sock"))
        self.wire.send(self.transport, get(b"/later"))
        self.wire.pages.seen[-1].write(bytes(3 * FULL))
        self.wire.wait(61)
        self.assertEqual(["A client took nothing for 60 seconds; closed the connection."], self.lines)

    def test_late_pause(self) -> None:
        """A transport that is full only after the answer (TLS gathers small writes) is watched as well, and then idle again."""
        self.wire.pages.seen[0].finish()
        channel: Any = self.transport.protocol
        channel.pauseProducing()
        self.assertFalse(self.transport.reading)
        self.wire.wait(59)
        channel.resumeProducing()
        self.assertTrue(self.transport.reading)
        self.wire.wait(74)
        self.assertFalse(self.transport.disconnecting)
        self.wire.wait(1)
        self.assertTrue(self.transport.disconnecting)

    def test_old_alarm(self) -> None:
        """An alarm that was set before an answer began does nothing to it."""
        self.wire.wait(300)
        self.wire.pages.seen[0].finish()
        self.assertTrue(self.transport.reading)
        self.assertEqual([], self.lines)


class EndTests(WireTestCase):
    """How a connection ends."""

    def test_last_answer_is_delivered(self) -> None:
        """A closing connection keeps what was answered until it is taken."""
        self.wire.pages.bodies[b"/"] = bytes(5 * FULL)
        self.wire.send(self.transport, get(b"/", b"Connection: close") + get())
        self.wire.wait(30)
        (answer,) = answers(self.transport.take())
        self.assertEqual((5 * FULL, b"close"), (len(answer.body), answer.headers[b"connection"]))
        self.assertTrue(self.transport.gone)
        self.assertEqual([], self.wire.clock.getDelayedCalls())

    def test_nobody_takes_the_rest(self) -> None:
        """A closing connection is given 60 s, then it is cut."""
        self.wire.pages.bodies[b"/"] = bytes(FULL // 2)
        self.wire.send(self.transport, get(b"/", b"Connection: close"))
        self.wire.wait(59)
        self.assertFalse(self.transport.aborted)
        self.wire.wait(1)
        self.assertTrue(self.transport.aborted)

    def test_resource_breaks_off(self) -> None:
        """A resource that breaks off its answer closes the connection; what it does afterwards goes nowhere."""
        self.wire.send(self.transport, get(b"/later") + get(b"/next"))
        request = self.wire.pages.seen[0]
        request.setHeader(b"Content-Length", b"1000000")
        request.write(bytes(3 * FULL))
        request.loseConnection()
        request.loseConnection()
        request.write(b"late")
        request.finish()
        taken = self.transport.take()
        self.assertLess(len(taken), 2 * FULL + KiB)
        self.assertTrue(self.transport.gone)
        self.assertEqual(1, len(self.wire.pages.seen))

    def test_resource_breaks_off_early(self) -> None:
        """The same when the transport is not full: what the client sent behind it is no request, and time runs."""
        self.wire.send(self.transport, get(b"/later") + get(b"/next"))
        request = self.wire.pages.seen[0]
        request.write(b"half")
        request.loseConnection()
        request.finish()
        self.assertEqual(1, len(self.wire.pages.seen))
        self.wire.wait(60)
        self.assertTrue(self.transport.aborted)

    def test_late_calls(self) -> None:
        """A transport's word, a refusal or a byte after the end changes nothing."""
        channel: Any = self.transport.protocol
        self.wire.send(self.transport, get(b"/later"))
        self.wire.pages.seen[0].write(bytes(3 * FULL))
        channel.loseConnection()
        channel.resumeProducing()
        channel.refuse(400, "Too late.")
        channel.dataReceived(b"late")
        self.transport.take()
        self.assertTrue(self.transport.gone)

    def test_abort_from_within(self) -> None:
        """A resource that ends everything at once ends also what its client sent together with its request."""
        self.wire.pages.meanwhile = self.wire.site.abort_all
        self.wire.send(self.transport, get(b"/later") + get())
        self.wire.wait(1)
        self.assertTrue(self.transport.gone)
        self.assertEqual([(b"/later", 499)], self.wire.logged)


class DrainTests(WireTestCase):
    """SIGTERM."""

    def test_nobody_there(self) -> None:
        """Without connections it is done at once."""
        self.transport.leave()
        self.successResultOf(self.wire.site.drain())

    def test_idle(self) -> None:
        """Connections without a request are closed at once, new ones not taken."""
        idle = self.wire.connect()
        self.wire.send(idle, get())
        idle.take()
        drained = self.wire.site.drain()
        self.assertTrue(idle.disconnecting)
        self.assertTrue(self.transport.disconnecting)
        idle.take()
        self.assertNoResult(drained)
        self.transport.take()
        self.successResultOf(drained)
        self.assertTrue(self.wire.connect().aborted)

    def test_busy(self) -> None:
        """A request that has begun gets its answer, which says that it is the last."""
        half = self.wire.connect()
        self.wire.send(self.transport, get(b"/later") + get(b"/next"))
        self.wire.send(half, get()[:-2])
        drained = self.wire.site.drain()
        self.wire.pages.bodies[b"/"] = b"last"
        self.wire.send(half, b"\r\n")
        (answer,) = answers(half.take())
        self.assertEqual((b"last", b"close"), (answer.body, answer.headers[b"connection"]))
        self.assertNoResult(drained)
        self.wire.pages.seen[0].setHeader(b"Content-Length", b"0")
        self.wire.pages.seen[0].finish()
        (answer,) = answers(self.transport.take())
        self.assertEqual(b"close", answer.headers[b"connection"])
        self.successResultOf(drained)

    def test_answer_under_way(self) -> None:
        """An answer whose head has gone already is delivered whole before the connection closes."""
        self.wire.send(self.transport, get(b"/later"))
        Source(self.wire.pages.seen[0], 10).start()
        drained = self.wire.site.drain()
        (answer,) = answers(self.transport.take())
        self.assertEqual(10 * FULL, len(answer.body))
        self.successResultOf(drained)

    def test_time_is_over(self) -> None:
        """What the caller does not wait for is cut off."""
        self.wire.send(self.transport, get(b"/later"))
        drained = self.wire.site.drain()
        drained.addErrback(lambda _: self.wire.site.abort_all())
        drained.cancel()
        self.assertTrue(self.transport.aborted)
        self.wire.wait(1)
        self.assertEqual(0, len(self.wire.site.connections))


@implementer(IOpenSSLServerConnectionCreator)
class Contexts:
    """TLS with a certificate of its own."""

    def __init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "example.org")])
        start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start.replace(year=2126))
        self.context = SSL.Context(SSL.TLS_SERVER_METHOD)
        self.context.use_privatekey(key)
        self.context.use_certificate(builder.sign(key, hashes.SHA256()))

    def serverConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        return SSL.Connection(self.context, None)


class TlsTests(WireTestCase):
    """The same through Twisted's TLS, which has buffers and a mind of its own."""

    contexts = Contexts()
    kind: type[TLSMemoryBIOProtocol] = BufferingTLSTransport

    def setUp(self) -> None:
        super().setUp()
        self.transport.leave()
        peer = IPv4Address("TCP", "192.0.2.8", 50001)
        clock: Any = self.wire.clock
        factory = TLSMemoryBIOFactory(self.contexts, False, self.wire.site, clock)
        factory.protocol = self.kind
        self.tls: Any = factory.buildProtocol(peer)
        self.transport = SocketTransport(clock, self.tls, peer)
        self.tls.makeConnection(self.transport)
        self.client = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
        self.client.set_connect_state()

    def shake_hands(self) -> None:
        for _ in range(2):
            try:
                self.client.do_handshake()
            except SSL.WantReadError:
                self.client_sends()
                self.client.bio_write(self.transport.take())
        self.client_sends()

    def client_sends(self) -> None:
        while True:
            try:
                self.tls.dataReceived(self.client.bio_read(FULL))
            except SSL.WantReadError:
                return

    def send_requests(self, data: bytes) -> None:
        for start in range(0, len(data), 8 * KiB):
            self.client.send(data[start : start + 8 * KiB])
        self.client_sends()
        self.wire.clock.advance(0)

    def read(self, size: int | None = None) -> bytes:
        """Take so many bytes off the wire, or all that comes, and decrypt them."""
        plain = bytearray()
        while wire := self.transport.take(size):
            self.client.bio_write(wire)
            try:
                while True:
                    plain += self.client.recv(FULL)
            except (SSL.WantReadError, SSL.ZeroReturnError):
                pass
            if size is not None:
                break
            self.wire.clock.advance(0)
        return bytes(plain)

    def test_silent_handshake(self) -> None:
        """A handshake that does not end is cut after 20 s, however its bytes trickle in."""
        try:
            self.client.do_handshake()
        except SSL.WantReadError:
            hello = self.client.bio_read(FULL)
        for second in range(20):
            self.assertFalse(self.transport.aborted)
            self.tls.dataReceived(hello[second : second + 1])
            self.wire.wait(1)
        self.wire.wait(1)
        self.assertTrue(self.transport.gone)
        self.assertEqual(0, len(self.wire.site.connections))

    def test_row_1500_requests_never_read(self) -> None:
        """1,500 pipelined requests that are never read: memory flat, and all answers in order once they are."""
        self.shake_hands()
        for body in (b"x" * 100, b"x" * 50_000):
            self.wire.pages.bodies[b"/"] = body
            requests = get() * 1500
            taken = b""
            while requests:
                self.send_requests(requests[:FULL])
                requests = requests[FULL:]
                self.assertEqual(0, len(self.tls._appSendBuffer))
                self.assertLess(self.transport.most + self.buffered_below(), 6 * FULL)
                taken += self.read()
            self.assertEqual(1500, len(answers(taken)))

    def buffered_below(self) -> int:
        channel: Any = self.tls.wrappedProtocol
        return len(channel._buffer) + sum(map(len, (*channel._dataBuffer, *self.tls._aggregator._buffer)))

    def test_slow_reader(self) -> None:
        """10 KB a second of a large answer lives; a byte a minute dies."""
        self.shake_hands()
        self.wire.pages.bodies[b"/"] = bytes(MiB)
        self.send_requests(get())
        taken = 0
        while taken < MiB:
            taken += len(self.read(10_000))
            self.wire.wait(1)
        self.assertFalse(self.transport.aborted)
        self.send_requests(get())
        self.wire.wait(61)
        self.assertTrue(self.transport.aborted)

    def test_end_without_the_clients_word(self) -> None:
        """A connection closes after our close_notify; the client's, which a pool never sends, is not waited for."""
        self.shake_hands()
        self.send_requests(get(b"/a", b"Connection: close"))
        self.assertEqual([b"/a"], [answer.body for answer in answers(self.read())])
        self.assertTrue(self.client.get_shutdown() & SSL.RECEIVED_SHUTDOWN)
        self.assertTrue(self.transport.gone)
        self.assertFalse(self.transport.aborted)

    def test_drain(self) -> None:
        """An idle connection does not hold up the end."""
        self.shake_hands()
        drained = self.wire.site.drain()
        self.read()
        self.successResultOf(drained)

    def test_one_too_many(self) -> None:
        """A connection beyond the bound is closed before any handshake."""
        self.wire.site.connections.bound = 1
        tls: Any = self.tls.factory.buildProtocol(None)
        transport = SocketTransport(self.wire.clock, tls, IPv4Address("TCP", "192.0.2.8", 50002))
        tls.makeConnection(transport)
        self.wire.clock.advance(0)
        self.assertTrue(transport.gone)
        self.assertEqual(1, len(self.wire.site.connections))


class FastTlsTests(TlsTests):
    """The same through the fast lane's, if it is there."""

    kind = tls_protocol()[0]
