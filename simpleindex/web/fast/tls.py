"""TLS with fewer calls: the only file that knows how Twisted's TLS works inside.

Twisted asks OpenSSL after every request for more, and is answered with an exception; it takes records singly off OpenSSL,
and lets small answers wait for the reactor's next turn. Here a request that is one whole record is one question, and what
is written goes through OpenSSL in larger pieces and leaves at once where nothing is before it. Handshakes, ends, errors and
all that is out of the ordinary stay Twisted's; a release whose insides are not known keeps its own class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from OpenSSL import SSL
from twisted.internet.protocol import connectionDone
from twisted.protocols import tls
from twisted.python.failure import Failure

from simpleindex.web.fast.tcp import write_all_at_once

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Send = Callable[[Any, Sequence[bytes]], None]

PIECE_BYTES: Final = 32 * 1024
"""Given to OpenSSL at a time, which keeps 4/3 of that for as long as the connection lives. OpenSSL alone is 11 % faster with
64 KiB; a file of 300 MB was not, and every client that has taken one would cost 44 kB more."""

_READ_BYTES: Final = PIECE_BYTES + 1024
"""A piece makes two records, each longer by 22 bytes in TLS 1.3 and by 29 in TLS 1.2."""

_HEADER_BYTES: Final = 5
_RECORD_BYTES: Final = 16 * 1024
_APPLICATION_DATA: Final = 23

# What Twisted's methods touch that are replaced or relied upon here.
_KNOWN: Final = {
    "dataReceived": "_tlsConnection bio_write _handshakeDone _checkHandshakeStatus _appSendBuffer _unbufferPendingWrites "
    "_flushReceiveBIO",
    "_flushReceiveBIO": "_lostTLSConnection _tlsConnection recv WantReadError ZeroReturnError _shutdownTLS "
    "_tlsShutdownFinished Error Failure _aborted ProtocolWrapper dataReceived _flushSendBIO",
    "write": "disconnecting _producer _write",
    "_write": "_lostTLSConnection len _tlsConnection send WantReadError _bufferedWrite Error Failure _tlsShutdownFinished "
    "_flushSendBIO",
    "_bufferedWrite": "_appSendBuffer append _producer pauseProducing",
}


class FastTLS(tls.BufferingTLSTransport):
    """A server's TLS, with a shorter way for what happens most."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        # How many of the bytes to come are the rest of a record; None where that is no longer known.
        self._missing: int | None = 0

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self._missing = None

    def dataReceived(self, data: bytes) -> None:
        if not self._is_one_record(data) or not self._handshakeDone or self._appSendBuffer:
            super().dataReceived(data)
            return
        connection: Any = self._tlsConnection
        connection.bio_write(data)
        try:
            plain = connection.recv(_RECORD_BYTES)
        except (SSL.WantReadError, SSL.ZeroReturnError):
            self._flushReceiveBIO()  # A message of TLS itself, or the end: Twisted gets it again.
        except SSL.Error:
            self._tlsShutdownFinished(Failure())
        else:
            # One record holds nothing more, and to read it makes nothing that had to be sent.
            if not self._aborted:
                self.wrappedProtocol.dataReceived(plain)

    def write_at_once(self, data: bytes) -> None:
        """Write, without waiting for the reactor's next turn where that is possible."""
        self._aggregator.flush()
        if not self.disconnecting:
            self._encrypt(data, write_all_at_once)

    def _write(self, data: bytes) -> None:
        self._encrypt(data, _write_all)

    def _encrypt(self, data: bytes, send: Send) -> None:
        if not self._handshakeDone or self._lostTLSConnection or self._appSendBuffer:
            super()._write(data)
            return
        connection: Any = self._tlsConnection
        view, at, wire = memoryview(data), 0, []
        waits, failure = False, None
        while at < len(data):
            try:
                at += connection.send(view[at : at + PIECE_BYTES])
            except SSL.WantReadError:
                waits = True
                break
            except SSL.Error:
                failure = Failure()
                break
            wire.append(connection.bio_read(_READ_BYTES))
        send(self.transport, wire)
        if waits:
            self._bufferedWrite(data[at:])
        elif failure is not None:
            self._tlsShutdownFinished(failure)
        elif wire and len(wire[-1]) == _READ_BYTES:
            self._flushSendBIO()  # The end of a handshake was before it.

    def _is_one_record(self, data: bytes) -> bool:
        """Follow the records (RFC 8446 section 5.1): is this one of application data, from its beginning to its end?"""
        at, size = self._missing, len(data)
        if at is None:
            return False
        if at == 0 and size > _HEADER_BYTES and size == _end(data, 0):
            return data[0] == _APPLICATION_DATA
        while at + _HEADER_BYTES <= size:
            at = _end(data, at)
        # Where a header is cut it is not known how to go on: that connection is left to Twisted.
        self._missing = at - size if at >= size else None
        return False


def protocol_class() -> tuple[type[tls.TLSMemoryBIOProtocol], str | None]:
    """Return the class that serves TLS, and a sentence for the operator if it is not ours."""
    stock = tls.TLSMemoryBIOProtocol
    touched = {name: getattr(getattr(stock, name, None), "__code__", None) for name in _KNOWN}
    is_known = tls.TLSMemoryBIOFactory.protocol is tls.BufferingTLSTransport and all(
        code is not None and set(code.co_names) == set(_KNOWN[name].split()) for name, code in touched.items()
    )
    if is_known:
        return FastTLS, None
    return (
        tls.TLSMemoryBIOFactory.protocol,
        "This release of Twisted does TLS in another way than is known here: it is slower.",
    )


def _end(data: bytes, at: int) -> int:
    """Where the record ends that begins at an index."""
    return at + _HEADER_BYTES + (data[at + 3] << 8 | data[at + 4])


def _write_all(transport: Any, pieces: Sequence[bytes]) -> None:
    transport.writeSequence(pieces)
