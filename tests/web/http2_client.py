"""An HTTP/2 client in memory: the library's own other side, over a transport that fills up as a socket does."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import h2.config
import h2.connection
import h2.events
from h2.settings import SettingCodes

from simpleindex.web.http2 import Http2Channel
from tests.web.memory_client import FAR, Transport

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress
    from twisted.internet.task import Clock

    from simpleindex.web.http.site import IndexSite


@dataclass
class Got:
    """What has come of one answer."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    ended: bool = False
    reset: int | None = None


class Http2Client:
    """One connection to a site.

    Attributes:
        conn: The client's half.
        got: What has come, by stream.
        goaway: The server's last word, if it was said.
        invited: How often the server has asked for a body.
        opens_windows: Whether what was received may be sent again.
    """

    def __init__(
        self,
        site: IndexSite,
        clock: Clock,
        *,
        window: int | None = None,
        begin: bool = True,
        peer: IAddress = FAR,
    ) -> None:
        self.clock = clock
        self.channel = Http2Channel(site)
        self.transport = Transport(clock, self.channel, peer)
        self.channel.makeConnection(self.transport)
        self.conn = h2.connection.H2Connection(
            h2.config.H2Configuration(
                client_side=True, header_encoding="latin-1", validate_outbound_headers=False
            )
        )
        self.got: defaultdict[int, Got] = defaultdict(Got)
        self.goaway: int | None = None
        self.invited = 0
        self.opens_windows = True
        if window is not None:
            self.conn.local_settings[SettingCodes.INITIAL_WINDOW_SIZE] = window
            self.conn.local_settings.acknowledge()
        self.conn.initiate_connection()
        if begin:
            self.exchange()

    def ask(
        self,
        target: str = "/",
        *fields: tuple[str, str],
        method: str = "GET",
        body: bytes | None = None,
        ends: bool = True,
    ) -> int:
        """Ask without sending; returns the stream's number."""
        number = self.conn.get_next_available_stream_id()
        head = [(":method", method), (":scheme", "https"), (":authority", "index.example"), (":path", target)]
        self.conn.send_headers(number, [*head, *fields], end_stream=body is None and ends)
        if body is not None:
            self.conn.send_data(number, body, end_stream=ends)
        return number

    def get(self, target: str = "/", *fields: tuple[str, str], method: str = "GET") -> Got:
        """Ask and take the whole answer."""
        number = self.ask(target, *fields, method=method)
        self.exchange()
        return self.got[number]

    def send(self, data: bytes = b"") -> None:
        """Hand over what is to be sent, and perhaps further bytes."""
        data = self.conn.data_to_send() + data
        if data and not self.transport.gone:
            self.channel.dataReceived(data)

    def receive(self, size: int | None = None) -> int:
        """Take what has come."""
        data = self.transport.take(size)
        for event in self.conn.receive_data(data):
            self._note(event)
        return len(data)

    def exchange(self) -> None:
        """Send and receive until nothing more happens."""
        while True:
            self.send()
            self.clock.advance(0)
            if not self.receive() and not self.conn._data_to_send:
                break

    def wait(self, seconds: float) -> None:
        """Let time pass, without sending or taking anything."""
        self.clock.pump([1.0] * round(seconds))

    @property
    def held(self) -> int:
        """Bytes of answers that the server's side of this connection keeps."""
        queued = sum(len(piece) for stream in self.channel.streams.values() for piece in stream._outbox)
        return queued + len(self.transport.held)

    def _note(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived(stream_id=number, headers=headers):
                fields = {str(name): str(value) for name, value in headers or ()}
                assert len(fields) == len(headers or ())
                self.got[number].status = int(fields.pop(":status"))
                self.got[number].headers = fields
            case h2.events.InformationalResponseReceived():
                self.invited += 1
            case h2.events.DataReceived(stream_id=number, data=data, flow_controlled_length=size):
                self.got[number].body += data or b""
                if self.opens_windows:
                    self.conn.acknowledge_received_data(size or 0, number)
            case h2.events.StreamEnded(stream_id=number):
                self.got[number].ended = True
            case h2.events.StreamReset(stream_id=number, error_code=code):
                self.got[number].reset = int(code or 0)
            case h2.events.ConnectionTerminated(error_code=code):
                self.goaway = int(code or 0)
