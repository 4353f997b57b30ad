"""Bodies that somebody takes, over HTTP/2: no faster than they are taken, and given up when they are not to be had."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from h2.errors import ErrorCodes
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from simpleindex.core.errors import NotAllowed
from simpleindex.web.http import limits
from simpleindex.web.http.intake import MOST_WAITING, Intake
from simpleindex.web.http.respond import error_response
from tests.web.http2_client import Http2Client
from tests.web.wire import Wire

if TYPE_CHECKING:
    from simpleindex.web.http.response import Sink
    from simpleindex.web.http.site import IndexRequest

KiB = 1024
FRAME = b"x" * 16 * KiB


class Taker:
    """Takes bodies, in no thread, and as slowly as it is told.

    Attributes:
        error: What the heads of requests raise.
        gate: What each piece waits for.
        got: What has been taken.
        closed: How many were given up.
    """

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.gate: Deferred[None] | None = None
        self.got = bytearray()
        self.closed = 0
        self.failures: list[Any] = []

    def intake(self, request: IndexRequest) -> Intake | None:
        if request.method != b"POST":
            return None
        return Intake(request.channel, self.in_thread, error_response, self.failures.append)

    async def judge(self, request: IndexRequest, length: int | None) -> Sink:
        if self.error is not None:
            raise self.error
        return self

    async def in_thread(self, function: Any, *arguments: Any) -> Any:
        if self.gate is not None:
            await self.gate
        return function(*arguments)

    def feed(self, data: bytes) -> None:
        self.got += data

    def close(self) -> None:
        self.closed += 1


class UploadsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.wire = Wire()
        self.taker = self.wire.site.bodies = Taker()
        self.client = Http2Client(self.wire.site, self.wire.clock)

    def send_all_that_may_be(self, number: int) -> int:
        """Send until the window is shut; returns how much that was."""
        sent = 0
        while self.client.conn.local_flow_control_window(number) >= len(FRAME) and sent < 64 * len(FRAME):
            self.client.conn.send_data(number, FRAME)
            self.client.exchange()
            sent += len(FRAME)
        return sent

    def test_taken(self) -> None:
        """Megabytes arrive whole, and are answered."""
        number = self.client.ask("/", method="POST", ends=False)
        sent = self.send_all_that_may_be(number)
        self.assertEqual(64 * len(FRAME), sent)
        self.client.conn.end_stream(number)
        self.client.exchange()
        self.assertEqual((sent, 200), (len(self.taker.got), self.client.got[number].status))
        self.assertEqual([], self.taker.failures)

    def test_no_faster(self) -> None:
        """While its taker is busy a client's window closes, and answers to others go on; no deadline ends it."""
        gate: Deferred[None] = Deferred()
        self.taker.gate = gate
        number = self.client.ask("/", method="POST", ends=False)
        sent = self.send_all_that_may_be(number)
        self.assertLessEqual(sent, 2 * MOST_WAITING + limits.STREAM_BODY_BYTES)
        self.assertEqual(b"/", self.client.get().body)
        for _ in range(4):
            self.client.wait(limits.BODY_WINDOW_SECONDS)
            self.client.exchange()
        self.assertEqual(0, self.client.got[number].status)
        self.taker.gate = None
        gate.callback(None)
        self.client.exchange()
        self.assertGreaterEqual(
            self.client.conn.local_flow_control_window(number), limits.STREAM_BODY_BYTES // 2
        )
        self.client.conn.end_stream(number)
        self.client.exchange()
        self.assertEqual((sent, 200), (len(self.taker.got), self.client.got[number].status))

    def test_refused_by_its_head(self) -> None:
        """The answer comes at once, and what is still sent is dropped without shutting the connection's window."""
        self.taker.error = NotAllowed("Not by you.")
        number = self.client.ask("/", ("expect", "100-continue"), method="POST", ends=False)
        self.client.exchange()
        got = self.client.got[number]
        self.assertEqual((403, 0), (got.status, got.reset))
        self.assertEqual("Not by you.", json.loads(got.body)["detail"])
        window = self.client.conn.outbound_flow_control_window
        self.assertGreaterEqual(window, limits.STREAM_BODY_BYTES // 2)

    def test_invited(self) -> None:
        """Who waits for a word before it sends the body gets it once the head is accepted."""
        number = self.client.ask("/", ("expect", "100-continue"), method="POST", ends=False)
        self.client.exchange()
        self.assertEqual(1, self.client.invited)
        self.client.conn.send_data(number, b"body", end_stream=True)
        self.client.exchange()
        self.assertEqual((b"body", 200), (self.taker.got, self.client.got[number].status))

    def test_left(self) -> None:
        """A reset gives everything back: the taker is told, and the connection's window opens again."""
        gate: Deferred[None] = Deferred()
        self.taker.gate = gate
        number = self.client.ask("/", method="POST", ends=False)
        self.send_all_that_may_be(number)
        self.client.conn.reset_stream(number, ErrorCodes.CANCEL)
        self.client.exchange()
        self.taker.gate = None
        gate.callback(None)
        self.assertEqual((1, []), (self.taker.closed, self.taker.failures))
        self.assertGreaterEqual(self.client.conn.outbound_flow_control_window, limits.STREAM_BODY_BYTES // 2)

    def test_too_many(self) -> None:
        """So many at a time on one connection; the next has to wait."""
        gate: Deferred[None] = Deferred()
        self.taker.gate = gate
        numbers = [self.client.ask("/", method="POST", ends=False) for _ in range(limits.STREAM_UPLOADS + 1)]
        self.client.exchange()
        self.assertEqual([0] * 8 + [503], [self.client.got[number].status for number in numbers])
        for number in numbers[:-1]:
            self.client.conn.end_stream(number)
        self.taker.gate = None
        gate.callback(None)
        self.client.exchange()
        self.assertEqual({200}, {self.client.got[number].status for number in numbers[:-1]})
