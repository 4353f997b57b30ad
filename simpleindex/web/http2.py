"""HTTP/2 (RFC 9113) for those who negotiate it, with the bounds of the ordinary connection.

Framing, header compression and the states of streams are the library's (h2). Twisted has a connection over the same library,
which is not used: private, deaf to limits, and turning in circles at full speed while a client opens no window.

A client that floods is cut off (:mod:`simpleindex.web.http2_frames`). Answers take turns, frame by frame, as far as the client's
windows and the transport allow; each holds one piece of a file. All deadlines are looked at by one alarm.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast

import h2.config
import h2.connection
import h2.events
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import GoAwayFrame
from twisted.internet.error import ConnectionAborted, ConnectionLost
from twisted.internet.interfaces import IHandshakeListener, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from simpleindex.core.addresses import unmapped
from simpleindex.web.http import limits
from simpleindex.web.http.channel import IndexChannel
from simpleindex.web.http2_frames import Allowance, FrameMeter
from simpleindex.web.http2_stream import Http2Stream

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall

    from simpleindex.web.http.site import IndexSite

_LOG: Final = Logger(namespace="simpleindex")

_FIELD_OVERHEAD = 32
"""Bytes that SETTINGS_MAX_HEADER_LIST_SIZE counts for a field beside its own."""


_HEADER_TABLE_BYTES = 4096
"""RFC 9113 section 6.5.2: what a client takes unless it says otherwise."""


_FIRST_WINDOW_BYTES = 65_535
"""RFC 9113 section 6.9.2: of a connection, until it is opened."""


class _State(h2.connection.H2Connection):
    """The library's, which would remember 65,536 streams of the past for each connection."""

    MAX_CLOSED_STREAMS = 1024


@implementer(IHandshakeListener)
class NegotiatingChannel(IndexChannel):
    """Makes room for HTTP/2 where TLS has agreed on it (ALPN, RFC 7301), before a byte of either was read."""

    protocols = (b"h2", *IndexChannel.protocols)

    def handshakeCompleted(self) -> None:
        if self.transport.negotiatedProtocol != b"h2":
            return
        transport = self.transport
        transport.unregisterProducer()
        self._let_go()
        self.site.connections.leave(self)
        transport.wrappedProtocol = Http2Channel(cast("IndexSite", self.site))
        transport.wrappedProtocol.makeConnection(transport)


@implementer(IPushProducer)
class Http2Channel(Protocol):
    """The server's side of one HTTP/2 connection.

    Args:
        site: Whose requests it takes.

    Attributes:
        conn: The library's half.
        streams: Requests and answers in flight, by number.
    """

    # Whatever listens: Twisted's type for it lacks abortConnection.
    transport: Any

    def __init__(self, site: IndexSite) -> None:
        self.site = site
        self.conn = _State(
            h2.config.H2Configuration(
                client_side=False, validate_outbound_headers=False, normalize_outbound_headers=False
            )
        )
        self.streams: dict[int, Http2Stream] = {}
        self._reactor = site.reactor
        self._meter = FrameMeter()
        self._allowance = Allowance(self._reactor.seconds())
        self._waiting: deque[Http2Stream] = deque()
        self._ready: deque[Http2Stream] = deque()
        self._working = 0
        self._busy = False
        self._deaf = False
        self._full_since: float | None = None
        self._block_since: float | None = None
        self._quiet_since = self._reactor.seconds()
        self._quiet_seconds = limits.HEAD_SECONDS
        self._retiring = False
        self._over = False
        self._alarm: IDelayedCall | None = None
        self._turn: IDelayedCall | None = None

    # Beginning and end

    @property
    def peer(self) -> str | None:
        """The other end's address; None for a Unix socket."""
        host = getattr(self.transport.getPeer(), "host", None)
        return None if host is None else unmapped(host)

    def connectionMade(self) -> None:
        if not self.site.connections.admit(self, self.peer):
            self.abort()
            return
        self.transport.registerProducer(self, True)
        self.conn.local_settings = _settings(limits.STREAMS)
        self.conn.initiate_connection()
        self.conn.increment_flow_control_window(limits.STREAM_BODY_BYTES - _FIRST_WINDOW_BYTES)
        # Between the two bounds a stream is refused; the library knows only how to end a connection.
        self.conn.local_settings = _settings(2 * limits.STREAMS)
        self.conn.decoder.max_header_list_size = limits.HEADER_BLOCK_BYTES
        self.transport.write(self.conn.data_to_send())
        self._arm(self._quiet_seconds)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._let_go(reason)
        self.site.connections.leave(self)

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return not self.streams

    def retire(self) -> None:
        """Take no further request, and close when those in flight are answered (RFC 9113 section 6.8)."""
        if self._retiring or self._over:
            return
        self._retiring = True
        # Not the library's way, which can send no answer afterwards.
        frame = GoAwayFrame(0, last_stream_id=self.conn.highest_inbound_stream_id)
        self.transport.write(self.conn.data_to_send() + frame.serialize())
        self._close_if_retired()

    def abort(self) -> None:
        """Close now, whatever is lost."""
        self._let_go(Failure(ConnectionAborted()))
        self.transport.abortConnection()

    def _end(self, error: ErrorCodes | None = None) -> None:
        """Say why and close; None where the library has said it already."""
        if error is not None:
            self.conn.close_connection(error)
        if self._full_since is None:
            self.transport.write(self.conn.data_to_send())
        self._close()

    def _close(self) -> None:
        self._let_go(Failure(ConnectionLost()))
        self._arm(limits.WRITE_SECONDS)
        self.transport.unregisterProducer()
        self.transport.loseConnection()
        # As in PacedChannel: TLS would wait for the client's close_notify.
        lower = getattr(self.transport, "transport", None)
        if lower is not None:
            lower.loseConnection()

    def _close_if_retired(self) -> None:
        if self._retiring and not self.streams and not self._over:
            self._close()

    def _let_go(self, reason: Failure) -> None:
        self._over = True
        self._arm(None)
        if self._turn is not None and self._turn.active():
            self._turn.cancel()
        streams, self.streams = self.streams, {}
        self._waiting.clear()
        self._ready.clear()
        for stream in streams.values():
            stream.lose(reason)

    # Deadlines

    def _arm(self, seconds: float | None) -> None:
        if self._alarm is not None and self._alarm.active():
            if seconds is None:
                self._alarm.cancel()
            else:
                self._alarm.reset(seconds)
        elif seconds is not None:
            self._alarm = self._reactor.callLater(seconds, self._look)

    def _look_soon(self) -> None:
        # Never later than it was to be: whoever begins something again and again would put it off for ever.
        assert self._alarm is not None
        if self._alarm.getTime() - self._reactor.seconds() > limits.LOOK_SECONDS:
            self._arm(limits.LOOK_SECONDS)

    def _look(self) -> None:
        now = self._reactor.seconds()
        if self._over:
            self._log_stalled()
            self.transport.abortConnection()
        elif self._full_since is not None and now - self._full_since >= limits.WRITE_SECONDS:
            self._log_stalled()
            self.abort()
        elif self._block_since is not None and now - self._block_since >= limits.HEAD_SECONDS:
            self._end(ErrorCodes.ENHANCE_YOUR_CALM)
        elif self.streams or self._block_since is not None or self._full_since is not None:
            self._arm(limits.LOOK_SECONDS)
            for stream in tuple(self.streams.values()):
                if not stream.judge(now):
                    self.break_off(stream, ErrorCodes.CANCEL)
            self._pump()
        elif now - self._quiet_since >= self._quiet_seconds:
            self.retire()
        else:
            self._arm(self._quiet_seconds - (now - self._quiet_since))

    def _log_stalled(self) -> None:
        _LOG.info(
            "{peer} took nothing for {seconds:.0f} seconds; closed the connection.",
            peer=self.peer or "A client",
            seconds=limits.WRITE_SECONDS,
        )

    # What comes

    def dataReceived(self, data: bytes) -> None:
        if self._over:
            return
        now = self._reactor.seconds()
        affordable = self._allowance.spend(self._meter.count(data), now)
        if not affordable or self._meter.block_bytes > limits.HEADER_BLOCK_BYTES:
            _LOG.info("{peer} floods; closed the connection.", peer=self.peer or "A client")
            self._end(ErrorCodes.ENHANCE_YOUR_CALM)
            return
        self._busy = True
        try:
            for event in self.conn.receive_data(data):
                self._take(event)
                if self._over:
                    return
        except ProtocolError:
            self._end()
            return
        finally:
            self._busy = False
        if not self._meter.in_block:
            self._block_since = None
        elif self._block_since is None:
            self._block_since = now
            self._look_soon()
        self._pump()
        if self._full_since is not None and not self._over:
            # What the library answers by itself stays with it meanwhile; it must not become more and more.
            self._deaf = True
            self.transport.pauseProducing()

    def _take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived():
                self._begin(event)
            case h2.events.DataReceived():
                self._take_body(event)
            case h2.events.StreamEnded(stream_id=int(number)) if number in self.streams:
                self._whole(self.streams[number])
            case h2.events.StreamReset(stream_id=number) if number in self.streams:
                self._forget(self.streams[number], Failure(ConnectionLost("The client reset the stream.")))
                self._allowance.spend(limits.FRAMES_PER_RESET, self._reactor.seconds())
            case h2.events.WindowUpdated(stream_id=0):
                self._wake(*self.streams.values())
            case h2.events.WindowUpdated(stream_id=number) if number in self.streams:
                self._wake(self.streams[number])
            case h2.events.RemoteSettingsChanged():
                # The client's word is what it would keep; what we keep is our affair.
                self.conn.encoder.header_table_size = min(
                    self.conn.encoder.header_table_size, _HEADER_TABLE_BYTES
                )
                self._wake(*self.streams.values())
            case h2.events.ConnectionTerminated():
                self._close()

    def _begin(self, event: h2.events.RequestReceived) -> None:
        number = event.stream_id
        assert number is not None
        if len(self.streams) >= limits.STREAMS or self._retiring:
            self._reset(number, ErrorCodes.REFUSED_STREAM)
            return
        if not self.streams:
            self._quiet_seconds = limits.IDLE_SECONDS
            self._look_soon()
        stream = self.streams[number] = Http2Stream(self, number)
        stream.take_head(event.headers or (), is_whole=event.stream_ended is not None)

    def _take_body(self, event: h2.events.DataReceived) -> None:
        number, data = event.stream_id, event.data or b""
        assert number is not None
        size = event.flow_controlled_length or 0
        stream = self.streams.get(number)
        if stream is None:
            self.conn.acknowledge_received_data(size, number)
        elif stream.take(data, size):
            self._allowance.earn(min(1.0, len(data) / limits.FRAME_WORTH_BYTES))

    def acknowledge(self, stream: Http2Stream, size: int) -> None:
        """Let the client send so many bytes again, on the stream and on the connection."""
        if size and not self._over:
            self.conn.acknowledge_received_data(size, stream.stream_id)
            self._pump_soon()

    @property
    def uploads(self) -> int:
        """Bodies that are being taken."""
        return sum(stream.is_upload and not stream.is_whole for stream in self.streams.values())

    def _whole(self, stream: Http2Stream) -> None:
        stream.is_whole = True
        if stream.is_waiting:
            self._waiting.append(stream)
            self._answer_waiting()

    def _answer_waiting(self) -> None:
        while self._waiting and self._working < limits.WORKING_STREAMS:
            stream = self._waiting.popleft()
            if self.streams.get(stream.stream_id) is stream:
                self._working += 1
                stream.begin()

    # What goes

    def schedule(self, stream: Http2Stream) -> None:
        """Let a stream send what it has, in this turn of the reactor or the next."""
        if self._over:
            return
        if not stream.is_ready:
            stream.is_ready = True
            self._ready.append(stream)
        self._pump_soon()

    def _pump_soon(self) -> None:
        if not self._busy and self._full_since is None and self._turn is None:
            self._turn = self._reactor.callLater(0, self._take_turn)

    def _take_turn(self) -> None:
        self._turn = None
        self._pump()

    def _wake(self, *streams: Http2Stream) -> None:
        """Let streams go on whose window was opened."""
        for stream in streams:
            if stream.has_piece:
                self.schedule(stream)

    def _pump(self) -> None:
        """Send frame by frame, each stream in its turn, until nothing can go any more."""
        if self._busy or self._over:
            return
        self._busy = True
        size = 0
        try:
            while self._ready and self._full_since is None:
                stream = self._ready.popleft()
                stream.is_ready = False
                if self.streams.get(stream.stream_id) is stream:
                    size += self._send(stream)
                if size >= limits.SLICE_BYTES:
                    size = 0
                    self.transport.write(self.conn.data_to_send())
        finally:
            self._busy = False
        if self._full_since is None and (data := self.conn.data_to_send()):
            self.transport.write(data)
        self._close_if_retired()

    def _send(self, stream: Http2Stream) -> int:
        """Send a stream's headers and a frame of its body."""
        number, conn = stream.stream_id, self.conn
        head = stream.next_head()
        if head is not None:
            conn.send_headers(number, head, end_stream=stream.is_done)
            if stream.is_done:
                self._finish(stream)
                return 0
        most = min(
            conn.local_flow_control_window(number), conn.max_outbound_frame_size, limits.STREAM_FRAME_BYTES
        )
        if stream.has_piece:
            if most <= 0:
                return 0  # The client's next window update wakes it.
            piece = stream.next_piece(most)
            if number not in self.streams:
                return 0  # The next one could not be read.
        elif stream.is_done:
            piece = memoryview(b"")
        else:
            return 0
        conn.send_data(number, piece, end_stream=stream.is_done)
        self._allowance.earn(len(piece) / limits.FRAME_PER_BYTES)
        if stream.is_done:
            self._finish(stream)
        elif stream.has_piece:
            self.schedule(stream)
        return len(piece)

    def _finish(self, stream: Http2Stream) -> None:
        if not stream.is_whole:
            # RFC 9113 section 8.1: the answer is whole, and the rest of the request is not wanted.
            self._reset(stream.stream_id, ErrorCodes.NO_ERROR)
        self._allowance.earn(limits.FRAMES_PER_ANSWER)
        self._forget(stream, connectionDone)

    def send_continue(self, stream: Http2Stream) -> None:
        """Ask for a request's body (RFC 9110 section 15.2.1)."""
        with suppress(ProtocolError):
            self.conn.send_headers(stream.stream_id, [(b":status", b"100")])
        self._pump_soon()

    def break_off(self, stream: Http2Stream, error: ErrorCodes = ErrorCodes.INTERNAL_ERROR) -> None:
        """Reset a stream whose answer cannot be ended."""
        if self.streams.get(stream.stream_id) is stream:
            self._reset(stream.stream_id, error)
            self._forget(stream, Failure(ConnectionAborted()))
            self._pump_soon()

    def _reset(self, number: int, error: ErrorCodes) -> None:
        # The library reads all that came before it tells of the first: the client may have reset it already.
        with suppress(ProtocolError):
            self.conn.reset_stream(number, error)

    def _forget(self, stream: Http2Stream, reason: Failure) -> None:
        del self.streams[stream.stream_id]
        if not self.streams:
            self._quiet_since = self._reactor.seconds()
        self._working -= stream.is_working
        stream.lose(reason)
        self._answer_waiting()

    # The transport, as it fills and empties

    def pauseProducing(self) -> None:
        # Plain TCP says so again at every write.
        if self._full_since is None:
            self._full_since = self._reactor.seconds()

    def resumeProducing(self) -> None:
        self._full_since = None
        if self._deaf and not self._over:
            self._deaf = False
            self.transport.resumeProducing()
        self._pump()

    def stopProducing(self) -> None:
        self._let_go(Failure(ConnectionLost()))


def _settings(streams: int) -> Settings:
    return Settings(
        client=False,
        initial_values={
            SettingCodes.MAX_CONCURRENT_STREAMS: streams,
            SettingCodes.INITIAL_WINDOW_SIZE: limits.STREAM_BODY_BYTES,
            SettingCodes.MAX_HEADER_LIST_SIZE: limits.HEADER_BYTES + limits.HEADER_LINES * _FIELD_OVERHEAD,
        },
    )
