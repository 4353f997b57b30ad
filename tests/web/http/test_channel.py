"""Requests on a connection: what is answered, what is refused, and how long it may take."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.interfaces import IProtocolNegotiationFactory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from simpleindex.access.identity import UploadRules
from simpleindex.web.http import limits
from simpleindex.web.http.channel import IndexChannel
from tests.fixtures.connection import Answer, ConnectionFixture, SocketTransport, answers, get

KiB = 1024


def post(body: bytes, *lines: bytes) -> bytes:
    """A request with a body."""
    return b"\r\n".join(
        (b"POST /up HTTP/1.1", b"Host: a", b"Content-Length: %d" % len(body), *lines, b"", body)
    )


def chunked(*chunks: bytes) -> bytes:
    """A request with a body of unknown length."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))
    return b"POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body


MALFORMED = {
    "no target": b"GET\r\n\r\n",
    "two empty lines": b"\r\n\r\n" + get(),
    "HTTP/2": b"GET / HTTP/2.0\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\nnonsense\r\nHost: a\r\n\r\n",
    "no colon at the end": b"GET / HTTP/1.1\r\nnonsense\r\n\r\n",
    "space in a name": b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "NUL in a value": b"GET / HTTP/1.1\r\nHost: a\0\r\n\r\n",
    "length and chunked": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "negative length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\nabc",
    "underscored length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1_0\r\n\r\n0123456789",
    "chunked twice": b"POST / HTTP/1.1\r\nHost: a\r\n"
    + 2 * b"Transfer-Encoding: chunked\r\n"
    + b"\r\n0\r\n\r\n",
    "no chunk size": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
}

OTHER_ENCODINGS = {
    f"{method.decode()} {coding.decode()}, {where}": method
    + b" / HTTP/1.1\r\n"
    + fields
    + b"\r\n0\r\n\r\n"
    + get()
    for method in (b"GET", b"POST")
    for coding in (b"identity", b"Identity", b"gzip, chunked", b"chunked, identity", b"xchunked", b"")
    for where, fields in {
        "last": b"Host: a\r\nTransfer-Encoding: " + coding + b"\r\n",
        "first": b"Transfer-Encoding: " + coding + b"\r\nHost: a\r\n",
        "before chunked": b"Host: a\r\nTransfer-Encoding: " + coding + b"\r\nTransfer-Encoding: chunked\r\n",
        "after chunked": b"Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: " + coding + b"\r\n",
        "before a length": b"Host: a\r\nTransfer-Encoding: " + coding + b"\r\nContent-Length: 5\r\n",
    }.items()
}

TOO_MUCH = {
    "request line": (414, get(b"/" + b"a" * (8 * KiB))),
    "request line without end": (414, b"GET /" + b"a" * (17 * KiB)),
    "header": (431, get(b"/", b"A: " + b"a" * (16 * KiB))),
    "header without end": (431, get()[:-2] + b"A: " + b"a" * (17 * KiB)),
    "all headers": (431, get(b"/", *[b"A: " + b"a" * KiB] * 16)),
    "many headers": (431, get(b"/", *[b"A: a"] * 100)),
    "many continued lines": (431, get(b"/", b"A: a", *[b" a"] * 99)),
    "body of a GET": (413, post(b"x" * (64 * KiB + 1)).replace(b"POST", b"GET", 1)),
    "body": (405, post(b"x" * (64 * KiB + 1))),
    "body of 10**30 bytes": (
        413,
        b"POST / HTTP/1.1\r\nContent-Length: 1" + b"0" * 30 + b"\r\nHost: a\r\n\r\n",
    ),
    "body of 10**5000 bytes": (
        413,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1" + b"0" * 5000 + b"\r\n\r\n",
    ),
    "body in chunks": (405, chunked(*[b"x" * 16 * KiB] * 4, b"x")),
    "body in chunks, with more": (405, chunked(b"x" * (64 * KiB + 1), b"x")),
    "body in chunks, then nonsense": (405, chunked(b"x" * (64 * KiB + 1))[:-5] + b"nonsense\r\n"),
}

WITHIN = {
    "request line": get(b"/" + b"a" * (8 * KiB - len("GET / HTTP/1.1"))),
    "all headers": get(b"/", b"A: " + b"a" * (16 * KiB - len("Host: example.org\r\nA: \r\n"))),
    "many headers": get(b"/", *[b"A: a"] * 99),
    "continued line": get(b"/", b"A: a", b" b"),
    "empty line before": b"\r\n" + get(),
    "body": post(b"x" * 64 * KiB),
    "body in chunks": chunked(*[b"x" * 16 * KiB] * 4),
    "empty body": post(b""),
    "HTTP/1.0": b"GET / HTTP/1.0\r\n\r\n",
}


def cuts(data: bytes) -> tuple[int | None, ...]:
    """Whole and byte by byte; large ones in larger pieces too odd to meet their lines' ends."""
    return (None, 1) if len(data) < 2 * KiB else (None, 997, 16 * KiB + 1)


class RequestsTests(SynchronousTestCase):
    """What is taken and what is refused, however it is cut into pieces."""

    def exchange(
        self, data: bytes, *, size: int | None = None, before: bytes = b""
    ) -> tuple[ConnectionFixture, SocketTransport]:
        """Send data on a new connection, perhaps together with a request before it."""
        wire = ConnectionFixture()
        transport = wire.connect()
        wire.send(transport, before + data, size=size)
        return wire, transport

    def test_answers(self) -> None:
        """Requests are answered in order and the connection stays, whole, byte by byte, and pipelined."""
        for size in (None, 1, 7):
            wire, transport = self.exchange(get(b"/a") + get(b"/b") + get(b"/c"), size=size)
            self.assertEqual([b"/a", b"/b", b"/c"], [answer.body for answer in answers(transport.take())])
            self.assertTrue(transport.reading)
            self.assertEqual([(b"/a", 200), (b"/b", 200), (b"/c", 200)], wire.logged)

    def test_names_itself(self) -> None:
        """Every answer says who serves it, without a version, and when, once."""
        _, transport = self.exchange(get() + b"nonsense\r\n\r\n")
        for answer in answers(transport.take()):
            self.assertEqual(b"simpleindex", answer.headers[b"server"])
            self.assertIn(b"GMT", answer.headers[b"date"])

    def test_malformed(self) -> None:
        """What is no HTTP/1.1 is refused with 400 and a sentence, and nothing after it is a request."""
        for name, data in MALFORMED.items():
            self.check_refused(name, 400, data)

    def test_other_encodings(self) -> None:
        """Where a body ends that is coded in another way is not known; what follows may be no request (RFC 9112, 6.1)."""
        for name, data in OTHER_ENCODINGS.items():
            self.check_refused(name, 501, data)

    def test_too_much(self) -> None:
        """What is longer than its bound is refused with its own status and a sentence."""
        for name, (status, data) in TOO_MUCH.items():
            self.check_refused(name, status, data)

    def check_refused(self, name: str, status: int, data: bytes) -> None:
        for size in cuts(data):
            for before in (b"", get(b"/before")):
                wire, transport = self.exchange(data + get(b"/after"), size=size, before=before)
                *earlier, refusal = answers(transport.take())
                self.assertEqual([b"/before"] * bool(before), [answer.body for answer in earlier], name)
                self.check_refusal(refusal, status, name)
                self.assertEqual(len(earlier), len(wire.pages.seen), name)
                self.assertEqual(status, wire.logged[-1][1], name)
                self.assertEqual(len(earlier) + 1, len(wire.logged), name)
                self.assertFalse(transport.disconnecting, name)
                wire.wait(limits.DISCARD_SILENCE_SECONDS)
                self.assertTrue(transport.disconnecting, name)
                self.assertEqual(b"", transport.take())
                self.assertEqual([], wire.clock.getDelayedCalls())

    def check_refusal(self, refusal: Answer, status: int, name: str) -> None:
        self.assertEqual(status, refusal.status, name)
        self.assertEqual(b"close", refusal.headers[b"connection"])
        self.assertEqual(b"no-store", refusal.headers[b"cache-control"])
        self.assertEqual(b"application/problem+json", refusal.headers[b"content-type"])
        self.assertRegex(refusal.text, r"\A[A-Z][^\n]+\.\n\Z")
        self.assertEqual(f"{refusal.reason.decode()}\n", refusal.text)

    def test_within(self) -> None:
        """What just keeps its bound is answered."""
        for name, data in WITHIN.items():
            for size in cuts(data):
                wire, transport = self.exchange(data, size=size)
                self.assertEqual([200], [answer.status for answer in answers(transport.take())], name)
                self.assertEqual(1, len(wire.pages.seen), name)

    def test_refused_head(self) -> None:
        """A refused HEAD request gets no body; its request line is logged."""
        wire, transport = self.exchange(b"HEAD /x HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n")
        (refusal,) = answers(transport.take(), b"HEAD")
        self.assertEqual((413, b""), (refusal.status, refusal.body))
        self.assertEqual([(b"/x", 413)], wire.logged)

    def test_http_1_0(self) -> None:
        """An HTTP/1.0 client is told what happens: the connection closes."""
        _, transport = self.exchange(b"GET / HTTP/1.0\r\n\r\n" + get(b"/after"))
        (answer,) = answers(transport.take())
        self.assertEqual(b"close", answer.headers[b"connection"])
        self.assertTrue(transport.gone)

    def test_star(self) -> None:
        """Twisted's own answer to ``OPTIONS *`` still works."""
        _, transport = self.exchange(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual([200], [answer.status for answer in answers(transport.take())])

    def test_forms_are_not_parsed(self) -> None:
        """A body is neither kept nor parsed; the resource finds it empty, and the next request is read."""
        part = b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\nvalue\r\n--b--\r\n'
        for data in (
            post(b"x=1&y=2", b"Content-Type: application/x-www-form-urlencoded"),
            post(part, b"Content-Type: multipart/form-data; boundary=b"),
            post(b"--b broken", b"Content-Type: multipart/form-data; boundary=b"),
            chunked(b"x=1"),
        ):
            for size in (None, 1):
                wire, transport = self.exchange(data + get(b"/after"), size=size)
                self.assertEqual([b"/up", b"/after"], [answer.body for answer in answers(transport.take())])
                self.assertEqual((b"", {}), wire.pages.read[0])

    def test_expect(self) -> None:
        """A client that asks first is told to go on, or at once that it need not."""
        wire, transport = self.exchange(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        self.assertEqual(b"HTTP/1.1 100 Continue\r\n\r\n", transport.take())
        wire.send(transport, b"ab")
        self.assertEqual([200], [answer.status for answer in answers(transport.take())])
        _, transport = self.exchange(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\nExpect: 100-continue\r\n\r\n"
        )
        self.assertEqual([405], [answer.status for answer in answers(transport.take())])

    def test_client_leaves(self) -> None:
        """A request whose client leaves is logged once, as 499 if nothing was answered; an unfinished one is none."""
        wire, transport = self.exchange(get(b"/later"))
        transport.leave()
        self.assertEqual([(b"/later", 499)], wire.logged)
        wire, transport = self.exchange(get(b"/later"))
        wire.pages.seen[0].write(b"half")
        transport.leave()
        self.assertEqual([(b"/later", 200)], wire.logged)
        wire, transport = self.exchange(get()[:-2])
        transport.leave()
        self.assertEqual([], wire.logged)
        self.assertEqual([], wire.clock.getDelayedCalls())

    def test_late_data(self) -> None:
        """What arrives after the end is nothing."""
        wire, transport = self.exchange(get(b"/", b"Connection: close"))
        transport.held.clear()
        wire.send(transport, get())
        self.assertEqual(b"", transport.take())


class PiecesTests(SynchronousTestCase):
    """Cutting the bytes elsewhere changes nothing."""

    @given(st.lists(st.integers(1, 400), max_size=12))
    def test_any_cut(self, sizes: list[int]) -> None:
        """Any cut of a mixed conversation gives the same answers."""
        data = get(b"/a") + post(b"x" * 30) + chunked(b"abc", b"d") + get(b"/b") + get(b"/", b"bad")
        wire = ConnectionFixture()
        transport = wire.connect()
        for size in (*sizes, len(data)):
            wire.send(transport, data[:size])
            data = data[size:]
        self.assertEqual([200, 200, 200, 200, 400], [answer.status for answer in answers(transport.take())])


class DeadlineTests(SynchronousTestCase):
    """Slow requests."""

    def setUp(self) -> None:
        self.wire = ConnectionFixture()
        self.transport = self.wire.connect()

    def test_silence(self) -> None:
        """A connection without a byte (a silent TLS handshake looks like that) is closed after 20 s without a word."""
        self.wire.wait(19)
        self.assertTrue(self.transport.reading)
        self.wire.wait(1)
        self.assertEqual(b"", self.transport.take())
        self.assertTrue(self.transport.gone)
        self.assertEqual([], self.wire.logged)

    def test_slow_head(self) -> None:
        """A byte a second does not hold a connection for more than 20 s, however late it began."""
        for start, expected in ((0, 20), (19, 1)):
            self.setUp()
            self.wire.wait(start)
            sent = 0
            while not self.transport.held:
                self.wire.send(self.transport, get(b"/" + b"a" * 99)[sent : sent + 1])
                sent += 1
                self.wire.wait(1)
            self.assertEqual(expected, sent)
            self.assertEqual([408], [answer.status for answer in answers(self.transport.take())])
            self.assertEqual([(b"-", 408)], self.wire.logged)

    def test_idle(self) -> None:
        """Between requests a connection may be silent for 75 s; a later request has 20 s from its first byte."""
        self.wire.send(self.transport, get())
        self.transport.take()
        self.wire.wait(74)
        self.assertTrue(self.transport.reading)
        self.wire.send(self.transport, get())
        self.transport.take()
        self.wire.wait(74)
        self.wire.send(self.transport, b"G")
        self.wire.wait(19)
        self.assertEqual(b"", self.transport.take())
        self.wire.wait(1)
        self.assertEqual([408], [answer.status for answer in answers(self.transport.take())])
        self.setUp()
        self.wire.send(self.transport, get())
        self.transport.take()
        self.wire.wait(75)
        self.assertEqual(b"", self.transport.take())
        self.assertTrue(self.transport.gone)

    def test_half_a_request_behind_another(self) -> None:
        """A request that began together with the one before it has 20 s too, wherever it was cut."""
        for cut in (1, len(b"GET / HTTP/1.1\r\n"), len(get()) - 2):
            for path in (b"/", b"/later"):
                self.setUp()
                self.wire.send(self.transport, get(path) + get(b"/")[:cut])
                if path == b"/later":
                    self.wire.wait(30)
                    self.wire.pages.seen[0].finish()
                self.transport.take()
                self.wire.wait(19)
                self.assertEqual(b"", self.transport.take())
                self.wire.wait(1)
                self.assertEqual([408], [answer.status for answer in answers(self.transport.take())])

    def test_slow_answer_of_ours(self) -> None:
        """The time that a resource takes is not the client's."""
        self.wire.send(self.transport, get(b"/later"))
        self.wire.wait(600, 10)
        self.wire.pages.seen[0].finish()
        self.assertEqual([200], [200 for answer in self.transport.take().split(b"200 OK")[1:]])
        self.assertTrue(self.transport.reading)

    def test_slow_body(self) -> None:
        """A body that advances by less than 20 KiB in 20 s is refused; one that keeps up is not."""
        head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n"
        self.wire.send(self.transport, head)
        for _ in range(64):
            self.assertEqual(b"", self.transport.take())
            self.wire.send(self.transport, b"x" * KiB)
            self.wire.wait(1)
        self.assertEqual([200], [answer.status for answer in answers(self.transport.take())])
        self.wire.send(self.transport, head)
        for _ in range(20):
            self.assertEqual(b"", self.transport.take())
            self.wire.send(self.transport, b"x" * (KiB - 1))
            self.wire.wait(1)
        self.assertEqual([408], [answer.status for answer in answers(self.transport.take())])


class DiscardTests(SynchronousTestCase):
    """After a refusal the rest is read, within bounds, so that the client gets to see the answer."""

    def setUp(self) -> None:
        self.wire = ConnectionFixture()
        self.transport = self.wire.connect()
        self.wire.send(self.transport, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n")
        self.assertEqual([405], [answer.status for answer in answers(self.transport.take())])

    def test_bytes(self) -> None:
        """So many are read, then it is over."""
        self.patch(limits, "DISCARD_BYTES", 16 * KiB * KiB)
        for _ in range(256):
            self.wire.send(self.transport, bytes(64 * KiB))
            self.assertTrue(self.transport.reading)
        self.wire.send(self.transport, b"x")
        self.assertTrue(self.transport.disconnecting)

    def test_time(self) -> None:
        """10 minutes are waited if something comes at least every 5 s."""
        for _ in range(149):
            self.wire.wait(4)
            self.wire.send(self.transport, b"x")
        self.assertTrue(self.transport.reading)
        self.wire.wait(4)
        self.assertTrue(self.transport.disconnecting)

    def test_the_largest_upload(self) -> None:
        """Clients that see a connection break send everything again, so what may be uploaded at all is read to its end."""
        self.assertGreater(limits.DISCARD_BYTES, UploadRules().max_file_size)

    def test_late(self) -> None:
        """What comes after the time, when the alarm could not ring (a full transport), ends it as well."""
        self.wire.clock.rightNow += limits.DISCARD_SECONDS
        self.wire.send(self.transport, b"x")
        self.assertTrue(self.transport.disconnecting)

    def test_client_leaves(self) -> None:
        """A client that has seen the answer leaves, and nothing remains."""
        self.transport.leave()
        self.assertEqual([], self.wire.clock.getDelayedCalls())
        self.assertEqual([(b"/", 405)], self.wire.logged)


class SiteTests(SynchronousTestCase):
    """The factory."""

    def test_http_1_1_only(self) -> None:
        """HTTP/2 is not offered, and no wrapper stands between that could speak it, whatever is installed."""
        wire = ConnectionFixture()
        verifyObject(IProtocolNegotiationFactory, wire.site)
        self.assertEqual([b"http/1.1"], wire.site.acceptableProtocols())
        self.assertIsInstance(wire.connect().protocol, IndexChannel)

    def test_wakes_nobody(self) -> None:
        """Without connections nothing ticks: Twisted's own access log is not started."""
        wire = ConnectionFixture()
        wire.site.doStart()
        self.assertEqual([], wire.clock.getDelayedCalls())
        wire.site.doStop()

    def test_without_log(self) -> None:
        """A log is not needed."""
        wire = ConnectionFixture()
        wire.site.request_over = None
        transport = wire.connect()
        wire.send(transport, get())
        self.assertEqual([200], [answer.status for answer in answers(transport.take())])
