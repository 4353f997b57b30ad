"""HTTP/2: the same answers as ever, no faster than they are taken, and an end to whoever takes without giving."""

from __future__ import annotations

import json
import re
from typing import Any

from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from simpleindex.core.errors import Changed
from simpleindex.web.http import limits
from simpleindex.web.http2 import Http2Channel
from tests.web.http2_client import Got, Http2Client
from tests.web.memory_client import JSON, Index
from tests.web.wire import FULL, LinesTestCase, Wire

KiB = 1024
WHEEL = "acme-1.0-py3-none-any.whl"
URL = f"/simple/acme/{WHEEL}"
DATA = bytes(range(251)) * 4 * KiB
CALM = ErrorCodes.ENHANCE_YOUR_CALM


class AnswersTests(SynchronousTestCase):
    """Over HTTP/2 an index says what it says over HTTP/1.1."""

    def setUp(self) -> None:
        self.index = Index()
        self.index.source.add(WHEEL, DATA, metadata=b"Metadata-Version: 2.1\nName: acme\n")
        self.client = Http2Client(self.index.site, self.index.clock)

    def compare(self, method: str, target: str, *fields: tuple[str, str]) -> Got:
        """Ask on both, and see that nothing differs but what must."""
        got = self.client.get(target, *fields, method=method)
        once = self.index.ask(method, target, *fields)
        dated = re.compile("[A-Z][a-z]{2}, .* GMT")
        ours, theirs = ({**each.headers} for each in (got, once))
        self.assertTrue(dated.fullmatch(ours.pop("date")))
        del theirs["date"]
        self.assertEqual((once.status, theirs), (got.status, ours))
        self.assertTrue(got.body == once.body)
        self.assertTrue(got.ended)
        self.assertIsNone(got.reset)
        return got

    def test_same_answers(self) -> None:
        """Pages, files, parts, sidecars, what has not changed, what is not there, and what may not be done."""
        tag = self.compare("GET", "/simple/acme/").headers["etag"]
        for status, method, target, fields in (
            (200, "HEAD", "/simple/acme/", ()),
            (200, "GET", "/", ()),
            (200, "GET", "/simple/acme/", (("accept", JSON), ("accept-encoding", "gzip"))),
            (304, "GET", "/simple/acme/", (("if-none-match", tag),)),
            (301, "GET", "/simple/Acme", ()),
            (404, "GET", "/simple/other/", ()),
            (404, "GET", "/simple/%2e%2e/", ()),
            (406, "GET", "/simple/acme/", (("accept", "image/png"),)),
            (200, "GET", URL, ()),
            (200, "HEAD", URL, ()),
            (206, "GET", URL, (("range", "bytes=100-199999"),)),
            (416, "GET", URL, (("range", "bytes=9999999-"),)),
            (200, "GET", URL + ".metadata", ()),
            (204, "OPTIONS", "/simple/acme/", ()),
            (405, "POST", "/legacy/", ()),
            (405, "DELETE", "/simple/acme/", ()),
            (200, "GET", "/-/health", ()),
        ):
            self.assertEqual(status, self.compare(method, target, *fields).status, target)
        self.assertEqual([], self.index.failures)

    def test_logged(self) -> None:
        """One line for each, which says of what protocol it was."""
        seen: list[Any] = []
        self.index.site.access_log = seen.append
        self.client.get(URL, ("user-agent", "uv/1"))
        (request,) = seen
        self.assertEqual(
            (b"GET", URL.encode(), b"HTTP/2.0", 200, len(DATA), "192.0.2.7", b"uv/1", b"index.example"),
            (
                *(request.method, request.uri, request.clientproto, request.code, request.sentLength),
                *(
                    request.getClientAddress().host,
                    request.getHeader(b"user-agent"),
                    request.getHeader(b"host"),
                ),
            ),
        )

    def test_many_at_once(self) -> None:
        """As many as are allowed, all of them whole, with as many files open as are worked on."""
        numbers = [self.client.ask(URL) for _ in range(limits.STREAMS)]
        self.client.exchange()
        self.assertTrue(all(self.client.got[number].body == DATA for number in numbers))
        body = self.index.source.bodies[next(iter(self.index.source.bodies))]
        self.assertEqual(body.closed, body.opened)
        self.assertEqual({}, self.client.channel.streams)

    def test_an_error_half_way(self) -> None:
        """A file that changes while it is sent is broken off, which is the only way to say so; others go on."""
        body = self.index.source.bodies["acme", WHEEL]
        body.changes_at = 300_000
        broken, page = self.client.ask(URL), self.client.ask("/simple/acme/")
        self.client.exchange()
        self.assertEqual(ErrorCodes.INTERNAL_ERROR, self.client.got[broken].reset)
        self.assertFalse(self.client.got[broken].ended)
        self.assertEqual(200, self.client.got[page].status)
        self.assertEqual((body.opened, []), (body.closed, self.index.failures))

    def test_an_error_in_the_midst_of_sending(self) -> None:
        """The same when the next piece cannot be read while the one before it is sent."""
        body = self.index.source.bodies["acme", WHEEL]
        body.changes_at = 40_000
        number = self.client.ask(URL)
        self.client.exchange()
        self.assertEqual(ErrorCodes.INTERNAL_ERROR, self.client.got[number].reset)
        self.assertEqual((body.opened, {}), (body.closed, self.client.channel.streams))

    def test_an_error_at_once(self) -> None:
        """Before anything was sent it is answered in words."""
        body = self.index.source.bodies["acme", WHEEL]
        body.changes_at, body.error = 0, Changed(WHEEL)
        self.assertEqual(503, self.client.get(URL).status)

    def test_an_answer_that_takes_time(self) -> None:
        """It comes when it is ready, and others pass it."""
        self.index.source.gate = Deferred()
        number = self.client.ask("/simple/acme/")
        self.client.exchange()
        self.assertEqual(200, self.client.get("/-/health").status)
        self.assertEqual(0, self.client.got[number].status)
        gate, self.index.source.gate = self.index.source.gate, None
        gate.callback(None)
        self.client.exchange()
        self.assertEqual((200, True), (self.client.got[number].status, self.client.got[number].ended))


class FlowTests(SynchronousTestCase):
    """Nothing is sent, read ahead or kept that the client has no window for."""

    def setUp(self) -> None:
        self.index = Index()
        self.body = self.index.source.add(WHEEL, DATA)

    def test_a_small_window(self) -> None:
        """A file arrives whole through a window of 1,000 bytes."""
        client = Http2Client(self.index.site, self.index.clock, window=1000)
        self.assertTrue(client.get(URL).body == DATA)
        self.assertEqual(1, self.body.closed)

    def test_a_closed_window(self) -> None:
        """Nothing is read ahead but a chunk for each request in work, and nothing turns in circles meanwhile."""
        client = Http2Client(self.index.site, self.index.clock)
        client.opens_windows = False
        for _ in range(limits.STREAMS):
            client.ask(URL)
        client.exchange()
        self.assertEqual(2**16 - 1, sum(len(got.body) for got in client.got.values()))
        self.assertLessEqual(client.held, limits.WORKING_STREAMS * limits.STREAM_CHUNK_BYTES)
        self.assertEqual(limits.WORKING_STREAMS, self.body.opened)
        reads = len(self.body.reads)
        (alarm,) = self.index.clock.getDelayedCalls()
        self.assertGreater(alarm.getTime(), self.index.clock.seconds())
        self.index.clock.advance(1)
        self.assertEqual(reads, len(self.body.reads))

    def test_a_window_that_opens_by_settings(self) -> None:
        """RFC 9113 section 6.9.2: a change of the first window moves all of them, below zero and back."""
        client = Http2Client(self.index.site, self.index.clock, window=5000)
        client.opens_windows = False
        number = client.ask(URL)
        client.exchange()
        self.assertEqual(5000, len(client.got[number].body))
        for window, total in ((1000, 5000), (9000, 9000)):
            client.conn.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: window})
            client.exchange()
            self.assertEqual(total, len(client.got[number].body))

    def test_a_full_transport(self) -> None:
        """A client that takes nothing makes us hold two slices, stop reading, and go on when it does."""
        client = Http2Client(self.index.site, self.index.clock)
        client.conn.increment_flow_control_window(2**30)
        numbers = [client.ask(URL) for _ in range(3)]
        client.conn.increment_flow_control_window(2**24, numbers[0])
        client.send()
        client.send(PingFrame(0).serialize())
        self.assertLess(client.transport.most, limits.SLICE_BYTES + FULL)
        self.assertFalse(client.transport.reading)
        client.receive()
        self.assertTrue(client.transport.reading)
        client.exchange()
        self.assertTrue(all(client.got[number].body == DATA for number in numbers))

    def test_turns(self) -> None:
        """A small page is not kept waiting by large files."""
        client = Http2Client(self.index.site, self.index.clock)
        client.conn.increment_flow_control_window(2**30)
        files = [client.ask(URL) for _ in range(3)]
        page = client.ask("/simple/acme/")
        client.send()
        client.receive(limits.SLICE_BYTES)
        self.assertTrue(client.got[page].ended)
        self.assertFalse(any(client.got[number].ended for number in files))

    def test_reset_while_it_is_sent(self) -> None:
        """The file is closed, the request logged as left, and the connection goes on."""
        client = Http2Client(self.index.site, self.index.clock, window=1000)
        client.opens_windows = False
        number = client.ask(URL)
        client.exchange()
        self.assertEqual((1, 0), (self.body.opened, self.body.closed))
        client.conn.reset_stream(number, ErrorCodes.CANCEL)
        client.exchange()
        self.assertEqual((1, 1), (self.body.opened, self.body.closed))
        self.assertEqual([(URL.encode(), 200)], self.index.logged)
        self.assertEqual(200, client.get("/-/health").status)
        self.assertEqual([], self.index.failures)

    def test_reset_while_it_is_read(self) -> None:
        """The same while a read is under way."""
        self.body.is_slow = True
        client = Http2Client(self.index.site, self.index.clock)
        number = client.ask(URL)
        client.exchange()
        self.body.go_on()
        client.exchange()
        client.conn.reset_stream(number, ErrorCodes.CANCEL)
        client.exchange()
        self.assertEqual((1, 1, []), (self.body.opened, self.body.closed, self.index.failures))

    def test_reset_at_once(self) -> None:
        """Request and reset in one packet, also of one that would be refused, end that stream and nothing else."""
        client = Http2Client(self.index.site, self.index.clock)
        for fields in ((), (("content-length", "999999"),), (("expect", "100-continue"),)):
            number = client.ask(URL, *fields, ends=not fields)
            client.conn.reset_stream(number, ErrorCodes.CANCEL)
            client.exchange()
        self.assertEqual(200, client.get("/-/health").status)
        self.assertEqual(self.body.opened, self.body.closed)

    def test_reset_while_it_waits(self) -> None:
        """A request that nothing was done for yet is forgotten, and its place taken by the next."""
        client = Http2Client(self.index.site, self.index.clock, window=1000)
        client.opens_windows = False
        numbers = [client.ask(URL) for _ in range(limits.WORKING_STREAMS + 2)]
        client.exchange()
        for number in (numbers[-2], numbers[0]):
            client.conn.reset_stream(number, ErrorCodes.CANCEL)
        client.exchange()
        self.assertEqual(limits.WORKING_STREAMS + 1, self.body.opened)
        self.assertEqual(1000, len(client.got[numbers[-1]].body))

    def test_client_leaves(self) -> None:
        """Everything is let go."""
        client = Http2Client(self.index.site, self.index.clock)
        client.opens_windows = False
        for _ in range(limits.STREAMS):
            client.ask(URL)
        client.exchange()
        client.transport.leave()
        self.assertEqual(self.body.opened, self.body.closed)
        self.assertEqual(0, len(self.index.site.connections))
        self.assertEqual([], self.index.clock.getDelayedCalls())

    def test_a_pending_turn(self) -> None:
        """A connection that ends with something to send leaves no call behind."""
        self.body.is_slow = True
        client = Http2Client(self.index.site, self.index.clock)
        client.ask(URL)
        client.send()
        self.body.go_on()
        client.channel.abort()
        self.index.clock.advance(0)
        self.assertEqual([], self.index.clock.getDelayedCalls())
        self.assertEqual(self.body.opened, self.body.closed)

    def test_client_says_good_bye(self) -> None:
        """A GOAWAY of the client's is the end."""
        client = Http2Client(self.index.site, self.index.clock)
        client.conn.close_connection()
        client.exchange()
        self.assertTrue(client.transport.gone)


class BoundsTests(LinesTestCase):
    """What is refused with a sentence, what is refused without, and what ends the connection."""

    def setUp(self) -> None:
        super().setUp()
        self.wire = Wire()
        self.client = Http2Client(self.wire.site, self.wire.clock)

    def assert_ended(self, code: ErrorCodes, client: Http2Client | None = None) -> None:
        """The server has said why, and the connection is gone."""
        client = client or self.client
        client.receive()
        self.assertEqual((code, True), (client.goaway, client.transport.gone))
        self.assertNotIn(client.channel, self.wire.site.connections._open)

    def test_announced(self) -> None:
        """The client is told how many streams it may have."""
        self.assertEqual(limits.STREAMS, self.client.conn.remote_settings.max_concurrent_streams)

    def test_refused_with_a_sentence(self) -> None:
        """As on HTTP/1.1: a line, headers and a body have their bounds, and each is named."""
        long, many = "a" * limits.REQUEST_LINE_BYTES, [("a", "b")] * (limits.HEADER_LINES + 1)
        for status, method, target, fields in (
            (414, "GET", f"/{long}", []),
            (431, "GET", "/", [("a", "b" * limits.HEADER_BYTES)]),
            (431, "GET", "/", many),
            (400, "GET", "x", []),
            (413, "GET", "/", [("content-length", str(limits.BODY_BYTES + 1))]),
            (405, "POST", "/", [("content-length", str(limits.BODY_BYTES + 1))]),
            (405, "POST", "/", [("content-length", "1" + "0" * 30)]),
        ):
            number = self.client.ask(
                target, *fields, method=method, ends="content-length" not in dict(fields)
            )
            self.client.exchange()
            got = self.client.got[number]
            self.assertEqual((status, True), (got.status, got.ended))
            self.assertEqual(ErrorCodes.NO_ERROR if "content-length" in dict(fields) else None, got.reset)
            self.assertTrue(json.loads(got.body)["detail"].endswith("."))
            self.assertEqual(status, self.wire.logged[-1][1])
        self.assertEqual([], self.wire.pages.seen)
        self.assertEqual({}, self.client.channel.streams)
        self.assertEqual(b"/", self.client.get().body)

    def test_connect(self) -> None:
        """A CONNECT has no path, and nothing to connect to."""
        number = self.client.conn.get_next_available_stream_id()
        self.client.conn.send_headers(
            number, [(":method", "CONNECT"), (":authority", "a:1")], end_stream=True
        )
        self.client.exchange()
        self.assertEqual(400, self.client.got[number].status)

    def test_odd_lengths(self) -> None:
        """The library's to refuse, so that we need not."""
        for values in (("+0",), ("x",), ("0", "1"), ("1" * 5000,), ("\u00b2",)):
            client = Http2Client(self.wire.site, self.wire.clock)
            client.ask("/", *(("content-length", value) for value in values), method="HEAD")
            client.send()
            self.assert_ended(ErrorCodes.PROTOCOL_ERROR, client)

    def test_bodies(self) -> None:
        """They are read up to their bound and dropped; beyond it they are refused, and may go on for a while."""
        fits = self.client.ask("/", method="POST", body=b"x" * 10_000)
        self.client.exchange()
        self.assertEqual(b"/", self.client.got[fits].body)
        number = self.client.ask("/", method="POST", ends=False)
        for _ in range(8):
            self.client.conn.send_data(number, b"x" * 16_000)
            self.client.exchange()
            if self.client.got[number].ended:
                break
        self.assertEqual((405, 0), (self.client.got[number].status, self.client.got[number].reset))
        self.client.send(DataFrame(number, b"x" * 16_000).serialize() * 3)
        self.assertEqual(b"/", self.client.get().body)

    def test_a_body_that_goes_on_in_one_packet(self) -> None:
        """What came together with a body that is refused is dropped, and the connection's window opens again."""
        number = self.client.ask("/", ("content-length", "999999"), method="POST", ends=False)
        for _ in range(5):
            self.client.conn.send_data(number, b"x" * 16_000)
        self.client.conn.reset_stream(number, ErrorCodes.CANCEL)
        late = DataFrame(number, b"x" * 16_000).serialize()
        self.client.send(late)
        self.client.exchange()
        self.assertEqual(b"/", self.client.get().body)
        self.assertGreater(self.client.conn.outbound_flow_control_window, limits.STREAM_BODY_BYTES // 2)

    def test_host(self) -> None:
        """Who names the host in the old way is understood."""
        number = self.client.conn.get_next_available_stream_id()
        head = [(":method", "GET"), (":scheme", "https"), (":path", "/"), ("host", "a.example")]
        self.client.conn.send_headers(number, head, end_stream=True)
        self.client.exchange()
        self.assertEqual(b"/", self.client.got[number].body)
        self.assertEqual(b"a.example", self.wire.pages.seen[0].getHeader(b"host"))

    def test_pieces(self) -> None:
        """An answer of unknown length comes as it is written, and ends when it does."""
        number = self.client.ask("/later")
        self.client.exchange()
        (request,) = self.wire.pages.seen
        self.assertTrue(request.isSecure())
        for piece in (b"", b"a", b"b"):
            request.write(piece)
            self.client.exchange()
        request.channel.writeSequence([b"c", b"d"])
        self.client.exchange()
        self.assertEqual((b"abcd", False), (self.client.got[number].body, self.client.got[number].ended))
        self.assertNotIn("transfer-encoding", self.client.got[number].headers)
        request.finish()
        self.client.exchange()
        self.assertTrue(self.client.got[number].ended)

    def test_a_body_that_is_expected(self) -> None:
        """Who waits for a word before it sends a body gets it."""
        number = self.client.ask("/", ("expect", "100-continue"), method="POST", ends=False)
        self.client.exchange()
        self.client.conn.send_data(number, b"x", end_stream=True)
        self.client.exchange()
        self.assertEqual(200, self.client.got[number].status)

    def test_too_many_streams(self) -> None:
        """One beyond what is allowed is refused so that the client may ask again, and only so many are worked on."""
        self.client.conn.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 1000
        self.client.conn.remote_settings.acknowledge()
        numbers = [self.client.ask("/later") for _ in range(limits.STREAMS + 2)]
        numbers.append(self.client.ask("/later", method="POST", body=b"x" * 16_000))
        self.client.exchange()
        refused = [number for number in numbers if self.client.got[number].reset is not None]
        self.assertEqual(numbers[-3:], refused)
        self.assertEqual(ErrorCodes.REFUSED_STREAM, self.client.got[refused[0]].reset)
        self.assertEqual(limits.WORKING_STREAMS, len(self.wire.pages.seen))
        for request in self.wire.pages.seen:
            request.finish()

    def test_more_streams_than_can_be(self) -> None:
        """Of streams that are opened at once before any is refused, so many are the end."""
        self.client.conn.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 1000
        self.client.conn.remote_settings.acknowledge()
        for _ in range(2 * limits.STREAMS + 1):
            self.client.ask("/later")
        self.client.send()
        self.assert_ended(ErrorCodes.PROTOCOL_ERROR)

    def test_floods(self) -> None:
        """What brings nothing on ends the connection, and is said once in the log."""
        most = int(limits.FRAME_ALLOWANCE) + 1
        floods = {
            "pings": PingFrame(0).serialize() * most,
            "settings": SettingsFrame(0).serialize() * most,
            "acknowledgements": SettingsFrame(0, flags=["ACK"]).serialize() * most,
            "priorities": PriorityFrame(101, depends_on=0, stream_weight=1).serialize() * most,
            "resets of what never was": RstStreamFrame(1).serialize() * most,
            "windows": WindowUpdateFrame(0, window_increment=1).serialize() * most,
            "continuations": HeadersFrame(1).serialize() + ContinuationFrame(1).serialize() * most,
            "unknown frames": b"\0\0\0\xee\0\0\0\0\0" * most,
        }
        for name, data in floods.items():
            client = Http2Client(self.wire.site, self.wire.clock)
            client.get()
            for start in range(0, len(data), 4096):
                client.send(data[start : start + 4096])
                client.transport.take()
                if client.transport.gone:
                    break
            self.assertTrue(client.transport.gone, name)
        self.assertIn("192.0.2.7 floods; closed the connection.", self.lines)
        self.assertEqual(b"/", self.client.get().body)

    def test_empty_data(self) -> None:
        """A body of empty frames is a flood too (CVE-2019-9518)."""
        number = self.client.ask("/", method="POST", ends=False)
        self.client.send()
        for _ in range(int(limits.FRAME_ALLOWANCE)):
            self.client.send(DataFrame(number).serialize())
        self.assert_ended(CALM)

    def test_rapid_reset(self) -> None:
        """CVE-2023-44487: requests that are taken back at once are few."""
        asked = 0
        while not self.client.transport.gone and asked < 1000:
            number = self.client.ask("/later")
            self.client.conn.reset_stream(number, ErrorCodes.CANCEL)
            self.client.send()
            self.client.transport.take()
            asked += 1
        self.assertTrue(self.client.transport.gone)
        self.assertLess(asked, 200)

    def test_honest_clients_may_go_on(self) -> None:
        """Thousands of requests, with a window update for each answer and a reset here and there, are no flood."""
        for count in range(3 * int(limits.FRAME_ALLOWANCE)):
            number = self.client.ask("/later" if count % 20 == 0 else "/")
            self.client.send(WindowUpdateFrame(0, window_increment=1).serialize())
            if count % 20 == 0:
                self.client.conn.reset_stream(number, ErrorCodes.CANCEL)
            self.client.send()
            self.client.receive()
        self.assertFalse(self.client.transport.gone)

    def test_a_header_block_without_end(self) -> None:
        """It is not collected for ever, neither compressed nor not."""
        self.client.send(HeadersFrame(1, b"x" * 16_000).serialize())
        for _ in range(4):
            self.client.send(ContinuationFrame(1, b"x" * 16_000).serialize())
        self.assert_ended(CALM)
        other = Http2Client(self.wire.site, self.wire.clock)
        other.ask("/", ("a", "b" * 66_000))
        other.send()
        self.assert_ended(CALM, other)

    def test_nonsense(self) -> None:
        """What is no HTTP/2 ends the connection."""
        self.client.send(b"\0\0\1\0\0\0\0\0\0x")
        self.assert_ended(ErrorCodes.PROTOCOL_ERROR)
        plain = Http2Client(self.wire.site, self.wire.clock, begin=False)
        plain.channel.dataReceived(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + b"\r\n" * 10)
        plain.transport.take()
        self.assertTrue(plain.transport.gone)

    def test_the_table_of_headers(self) -> None:
        """A client's wish for a larger one is not our expense."""
        self.client.conn.update_settings({SettingCodes.HEADER_TABLE_SIZE: 2**30})
        self.client.exchange()
        self.assertEqual(4096, self.client.channel.conn.encoder.header_table_size)
        self.assertEqual(b"/", self.client.get().body)


class FuzzTests(SynchronousTestCase):
    """Whatever comes, nothing is raised and nothing is left."""

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(
            st.one_of(
                st.binary(max_size=40),
                st.builds(
                    lambda kind, flags, number, data: (
                        len(data).to_bytes(3, "big") + bytes((kind, flags)) + number.to_bytes(4, "big") + data
                    ),
                    *(st.integers(0, 12), st.integers(0, 255), st.integers(0, 9), st.binary(max_size=20)),
                ),
                st.sampled_from(
                    [
                        # GET / and POST /, from the static table, and the end of a stream.
                        HeadersFrame(
                            1, b"\x82\x87\x84\x41\x01a", flags=["END_HEADERS", "END_STREAM"]
                        ).serialize(),
                        HeadersFrame(3, b"\x83\x87\x84\x41\x01a", flags=["END_HEADERS"]).serialize(),
                        HeadersFrame(5, b"\x83\x87\x84\x41\x01a", flags=["END_HEADERS"]).serialize(),
                        DataFrame(3, b"x", flags=["END_STREAM"]).serialize(),
                        RstStreamFrame(3).serialize(),
                        RstStreamFrame(1).serialize(),
                    ]
                ),
            ),
            max_size=12,
        ),
        st.booleans(),
    )
    def test_anything(self, parts: list[bytes], together: bool) -> None:
        wire = Wire()
        client = Http2Client(wire.site, wire.clock)
        for data in [b"".join(parts)] if together else parts:
            client.send(data)
            wire.clock.advance(0)
            client.transport.take()
        client.transport.leave()
        self.assertEqual((0, []), (len(wire.site.connections), wire.clock.getDelayedCalls()))


class TimeTests(LinesTestCase):
    """Every wait has an end."""

    def setUp(self) -> None:
        super().setUp()
        self.wire = Wire()
        self.client = Http2Client(self.wire.site, self.wire.clock)

    def stays(self, seconds: float) -> bool:
        """Whether the connection is still there after so long."""
        self.client.wait(seconds)
        self.client.receive()
        return not self.client.transport.gone

    def test_nothing_comes(self) -> None:
        """As long as a request's headers may take."""
        self.assertTrue(self.stays(limits.HEAD_SECONDS - 1))
        self.assertFalse(self.stays(2))
        self.assertEqual(ErrorCodes.NO_ERROR, self.client.goaway)

    def test_idle(self) -> None:
        """Between two requests there is more time, which pings do not prolong."""
        self.client.get()
        self.assertTrue(self.stays(limits.IDLE_SECONDS - 2))
        self.client.get()
        for _ in range(int(limits.IDLE_SECONDS / 15)):
            self.client.send(PingFrame(0).serialize())
            self.stays(15)
        self.stays(5)
        self.assertEqual((ErrorCodes.NO_ERROR, True), (self.client.goaway, self.client.transport.gone))

    def test_headers_that_trickle(self) -> None:
        """A header block ends in time, whatever else goes on."""
        self.client.ask("/later")
        self.client.send()
        self.client.send(HeadersFrame(3, b"\x82").serialize())
        self.assertTrue(self.stays(limits.HEAD_SECONDS - 2))
        self.client.send(ContinuationFrame(3, b"\x87").serialize())
        self.assertFalse(self.stays(2 + limits.LOOK_SECONDS))
        self.assertEqual(CALM, self.client.goaway)

    def test_a_body_that_trickles(self) -> None:
        """It is refused with a sentence, and one that keeps its pace is not."""
        slow = self.client.ask("/", method="POST", ends=False)
        fast = self.client.ask("/", method="POST", ends=False)
        for _ in range(3):
            self.client.conn.send_data(slow, b"x")
            for _ in range(2):
                self.client.conn.send_data(fast, b"x" * (limits.BODY_WINDOW_BYTES // 2))
            self.client.exchange()
            self.client.wait(limits.BODY_WINDOW_SECONDS - 1)
            self.client.exchange()
            if self.client.got[slow].status:
                break
        self.client.conn.end_stream(fast)
        self.client.exchange()
        self.assertEqual([408, 200], [self.client.got[number].status for number in (slow, fast)])

    def test_an_answer_that_is_not_taken(self) -> None:
        """A stream without window is reset after its time, others of the connection are not."""
        self.wire.pages.bodies[b"/large"] = b"x" * 200_000
        client = self.client = Http2Client(self.wire.site, self.wire.clock, window=1000)
        client.opens_windows = False
        stuck = client.ask("/large")
        client.exchange()
        self.assertTrue(self.stays(limits.WRITE_SECONDS - 2))
        client.exchange()
        self.assertIsNone(client.got[stuck].reset)
        self.stays(2 + 3 * limits.LOOK_SECONDS)
        client.exchange()
        self.assertEqual(ErrorCodes.CANCEL, client.got[stuck].reset)
        self.assertEqual(b"/", client.get().body)

    def test_an_answer_that_is_taken_slowly(self) -> None:
        """The least pace is enough."""
        self.wire.pages.bodies[b"/large"] = b"x" * 200_000
        client = Http2Client(self.wire.site, self.wire.clock, window=1000)
        client.opens_windows = False
        number = client.ask("/large")
        client.exchange()
        step = limits.STREAM_WRITE_BYTES * 5 // 50
        for _ in range(0, 199_000, step):
            client.conn.increment_flow_control_window(step, number)
            client.conn.increment_flow_control_window(step)
            client.exchange()
            client.wait(5)
        self.assertTrue(client.got[number].ended)

    def test_nothing_is_taken_at_all(self) -> None:
        """A transport that does not empty is the end of the connection."""
        self.wire.pages.bodies[b"/large"] = b"x" * 500_000
        self.client.conn.increment_flow_control_window(2**24)
        number = self.client.ask("/large")
        self.client.conn.increment_flow_control_window(2**24, number)
        self.client.send()
        self.client.wait(limits.WRITE_SECONDS + limits.LOOK_SECONDS + 1)
        self.assertTrue(self.client.transport.gone)
        self.assertEqual(["192.0.2.7 took nothing for 60 seconds; closed the connection."], self.lines)

    def test_an_end_that_is_not_taken(self) -> None:
        """The same when it had ended already."""
        self.client.channel.retire()
        self.client.wait(limits.WRITE_SECONDS + 1)
        self.assertTrue(self.client.transport.gone)

    def test_a_resource_has_its_time(self) -> None:
        """Work on an answer is not what these deadlines are for."""
        number = self.client.ask("/later")
        self.client.exchange()
        self.assertTrue(self.stays(600))
        self.wire.pages.seen[0].finish()
        self.client.exchange()
        self.assertTrue(self.client.got[number].ended)


class EndTests(SynchronousTestCase):
    """Connections are counted, and brought to their end."""

    def setUp(self) -> None:
        self.wire = Wire(max_connections_per_address=2)
        self.client = Http2Client(self.wire.site, self.wire.clock)

    def test_interface(self) -> None:
        """It is what a transport calls a push producer."""
        verifyObject(IPushProducer, Http2Channel(self.wire.site))

    def test_counted(self) -> None:
        """One address has only so many, of whatever protocol."""
        Http2Client(self.wire.site, self.wire.clock)
        third = Http2Client(self.wire.site, self.wire.clock, begin=False)
        self.wire.clock.advance(0)
        self.assertTrue(third.transport.gone)
        unix = Http2Client(self.wire.site, self.wire.clock, peer=UNIXAddress(b""))
        self.assertEqual(b"/", unix.get().body)

    def test_drained_while_idle(self) -> None:
        """At once, with a word."""
        drained = self.wire.site.drain()
        self.client.receive()
        self.successResultOf(drained)
        self.assertEqual((ErrorCodes.NO_ERROR, True), (self.client.goaway, self.client.transport.gone))

    def test_drained_while_busy(self) -> None:
        """What is in flight is answered, what comes later may be asked elsewhere, and then it ends."""
        self.wire.pages.bodies[b"/large"] = b"x" * 500_000
        large, later = self.client.ask("/large"), self.client.ask("/later")
        self.client.send()
        late = self.client.ask()
        data = self.client.conn.data_to_send()
        drained = self.wire.site.drain()
        self.client.channel.dataReceived(data)
        self.assertNoResult(drained)
        # The library's client takes nothing after a GOAWAY, though others do: RFC 9113 section 6.8.
        seen = self.client.transport.take()
        self.assertIn(b"\x00\x00\x08\x07\x00\x00\x00\x00\x00", seen)
        self.assertIn(RstStreamFrame(late, error_code=int(ErrorCodes.REFUSED_STREAM)).serialize(), seen)
        grow = WindowUpdateFrame(0, window_increment=2**20).serialize()
        grow += WindowUpdateFrame(large, window_increment=2**20).serialize()
        self.client.channel.dataReceived(grow)
        seen += self.client.transport.take()
        self.assertNoResult(drained)
        self.wire.pages.seen[-1].write(b"done")
        self.wire.pages.seen[-1].finish()
        self.wire.clock.advance(0)
        seen += self.client.transport.take()
        self.assertEqual(500_000, seen.count(b"x"))
        self.assertIn(DataFrame(later, b"done", flags=["END_STREAM"]).serialize(), seen)
        self.successResultOf(drained)

    def test_drained_twice(self) -> None:
        """The second time changes nothing."""
        self.client.ask("/later")
        self.client.exchange()
        self.wire.site.drain()
        held = len(self.client.transport.held)
        self.wire.site.drain()
        self.assertEqual(held, len(self.client.transport.held))

    def test_a_flood_of_whom_takes_nothing(self) -> None:
        """There is no last word where there is no room for one."""
        self.wire.pages.bodies[b"/large"] = b"x" * 500_000
        self.client.conn.increment_flow_control_window(2**24)
        number = self.client.ask("/large")
        self.client.conn.increment_flow_control_window(2**24, number)
        self.client.send()
        held = len(self.client.transport.held)
        self.client.send(PingFrame(0).serialize() * 1100)
        self.assertEqual(held, len(self.client.transport.held))
        self.client.transport.take()
        self.assertTrue(self.client.transport.gone)

    def test_aborted(self) -> None:
        """When its time is over nothing is waited for."""
        self.client.ask("/later")
        self.client.exchange()
        drained = self.wire.site.drain()
        self.wire.site.abort_all()
        self.wire.clock.advance(0)
        self.successResultOf(drained)
        self.assertEqual([], self.wire.clock.getDelayedCalls())
