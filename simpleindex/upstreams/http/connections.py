"""Connections to upstreams: allowed addresses, bounded response headers, and tunnels through proxies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer, providedBy

from simpleindex.upstreams.errors import ForbiddenAddress, UnusableAnswer
from simpleindex.upstreams.http.headers import is_passing as status_may_pass

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twisted.internet.interfaces import IAddress, IConnector, IProtocol, IProtocolFactory

    from simpleindex.upstreams.pages.urls import Proxy

MOST_HEAD_BYTES: Final = 64 * 1024
"""Bytes of an answer's status line and headers, with those of interim answers before it. Twisted bounds only a line, at 16 KiB."""

_MOST_PROXY_BYTES: Final = 16 * 1024

READ_BYTES: Final = 256 * 1024
"""Bytes that are read from a connection at once, instead of Twisted's 64 KiB: a large file costs two thirds as much. With a
megabyte it takes a third less processor time than with these, and the process 1.9 MB more memory."""

_BLANK_LINE: Final = re.compile(rb"\n\r?\n")
# A blank line is found wherever it is cut in two.
_OVERLAP: Final = 2


class GuardedReactor:
    """A reactor that connects only to addresses that are allowed.

    It checks each address when the connection is made, so that neither a name with several addresses nor one whose address changes
    leads elsewhere.

    Args:
        reactor: The real one.
        host: The host of the addresses, with an unusual port, for the error.
        allows: Returns whether an address is allowed.
    """

    def __init__(self, reactor: Any, host: str, allows: Callable[[str], bool]) -> None:
        self._reactor = reactor
        self._host = host
        self._allows = allows
        directlyProvides(self, providedBy(reactor))

    def connectTCP(self, host: str, *arguments: Any, **further: Any) -> IConnector:
        if not self._allows(host):
            raise ForbiddenAddress(self._host)
        connector: IConnector = self._reactor.connectTCP(host, *arguments, **further)
        return connector

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)


class _Abortable(ProtocolWrapper):
    """A wrapper whose connection can be aborted in every state.

    Twisted's TLS forgets its connection when that is lost, and raises AttributeError if it is aborted afterwards. A pool does
    so, since it keeps connections that the other side has closed.
    """

    _is_lost = False

    def abortConnection(self) -> None:
        """End the connection at once; nothing happens before it is made, after it is lost, or the second time."""
        transport: Any = self.transport
        if transport is None or self._is_lost:
            return
        self._is_lost = True
        self.disconnecting = 1
        transport.abortConnection()

    def loseConnection(self) -> None:
        if self.transport is not None and not self._is_lost:
            super().loseConnection()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self._is_lost = True
        super().connectionLost(reason)


class _BoundedHead(_Abortable):
    """Ends a connection whose answer begins with endless headers, and ends every connection at once.

    A client that closes a connection has nothing more to send, so it need not wait; TLS would wait for the other side's close.
    """

    def __init__(self, factory: Any, wrapped: IProtocol) -> None:
        super().__init__(factory, wrapped)
        self._head: bytearray | None = None
        self._before = 0
        self._is_over = False

    def connectionMade(self) -> None:
        super().connectionMade()
        lowest: Any = self.transport
        while (below := getattr(lowest, "transport", None)) is not None:
            lowest = below
        lowest.bufferSize = READ_BYTES

    def write(self, data: bytes) -> None:
        self._expect()
        super().write(data)

    def writeSequence(self, data: Sequence[bytes]) -> None:
        self._expect()
        super().writeSequence(data)

    def _expect(self) -> None:
        # A request is written in one piece, and the next one after the answer.
        self._head, self._before = bytearray(), 0

    def dataReceived(self, data: bytes) -> None:
        if self._is_over:
            return
        if self._head is not None and not self._is_within(data):
            self._is_over = True
            self.wrappedProtocol.connectionLost(Failure(UnusableAnswer("its headers are too long")))
            self.abortConnection()
            return
        super().dataReceived(data)

    def _is_within(self, data: bytes) -> bool:
        head = self._head
        assert head is not None
        start = max(0, len(head) - _OVERLAP)
        head += data
        while match := _BLANK_LINE.search(head, start):
            if not _is_interim(head):
                self._head = None
                return self._before + match.end() <= MOST_HEAD_BYTES
            self._before += match.end()
            del head[: match.end()]
            start = 0
        return self._before + len(head) <= MOST_HEAD_BYTES

    def loseConnection(self) -> None:
        self.abortConnection()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self._is_lost = True
        self.factory.unregisterProtocol(self)
        if not self._is_over:
            self._is_over = True
            self.wrappedProtocol.connectionLost(reason)


def _is_interim(head: bytearray) -> bool:
    """Return whether the parser will take this for an interim answer, and wait for another one."""
    try:
        return 100 <= int(head.partition(b"\n")[0].split(b" ", 2)[1]) < 200
    except (IndexError, ValueError):
        return False


class _BoundedHeadFactory(WrappingFactory[_BoundedHead]):
    protocol = _BoundedHead
    # Twisted would log two lines for each connection.
    noisy = False


@implementer(IStreamClientEndpoint)
class BoundedEndpoint:
    """An endpoint for HTTP, whose answers' headers are bounded by :data:`MOST_HEAD_BYTES`."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        connected: Deferred[Any] = self._endpoint.connect(_BoundedHeadFactory(protocolFactory))
        return connected.addCallback(lambda wrapper: wrapper.wrappedProtocol)


class _Tunnel(_Abortable):
    """Requests a tunnel from a proxy, and becomes the transport of the protocol in it."""

    def __init__(self, factory: _TunnelFactory, wrapped: IProtocol) -> None:
        super().__init__(factory, wrapped)
        self.opened: Deferred[IProtocol] = Deferred(lambda _: self.abortConnection())
        self._request = factory.request
        self._head = bytearray()
        self._is_open = False

    def makeConnection(self, transport: Any) -> None:
        directlyProvides(self, providedBy(transport))
        Protocol.makeConnection(self, transport)
        self.factory.registerProtocol(self)
        transport.write(self._request)

    def dataReceived(self, data: bytes) -> None:
        if self._is_open:
            super().dataReceived(data)
            return
        start = max(0, len(self._head) - _OVERLAP)
        self._head += data
        match = _BLANK_LINE.search(self._head, start)
        if match is None:
            if len(self._head) > _MOST_PROXY_BYTES:
                self._fail("the proxy's headers are too long")
            return
        status = re.match(rb"HTTP/1\.\d (\d{3})\b", self._head)
        if status is None or not status[1].startswith(b"2"):
            if status is None:
                self._fail("the proxy speaks no HTTP")
            else:
                self._fail(
                    f"the proxy answers {status[1].decode()}", is_passing=status_may_pass(int(status[1]))
                )
            return
        rest = bytes(self._head[match.end() :])
        self._head.clear()
        self._is_open = True
        self.wrappedProtocol.makeConnection(self)  # type: ignore[arg-type]
        if rest:
            super().dataReceived(rest)
        self.opened.callback(self.wrappedProtocol)

    def _fail(self, reason: str, *, is_passing: bool = False) -> None:
        self.abortConnection()
        if not self.opened.called:
            self.opened.errback(UnusableAnswer(reason, is_passing=is_passing))

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        if self._is_open:
            super().connectionLost(reason)
            return
        self._is_lost = True
        self.factory.unregisterProtocol(self)
        if not self.opened.called:
            self.opened.errback(UnusableAnswer("the proxy closes the connection", is_passing=True))


class _TunnelFactory(WrappingFactory[_Tunnel]):
    protocol = _Tunnel
    noisy = False

    def __init__(self, wrapped: IProtocolFactory, request: bytes) -> None:
        super().__init__(wrapped)
        self.request = request

    def buildProtocol(self, addr: IAddress | None) -> _Tunnel:
        return _Tunnel(self, self.wrappedFactory.buildProtocol(addr))


@implementer(IStreamClientEndpoint)
class TunnelEndpoint:
    """Connects through an HTTP proxy's CONNECT (RFC 9110 section 9.3.6), which Twisted's ProxyAgent does not know.

    Args:
        proxy_endpoint: The proxy.
        proxy: Its credentials are sent with the request.
        host: The host at the other end of the tunnel; the proxy looks its address up.
        port: The port of that host.
    """

    def __init__(self, proxy_endpoint: IStreamClientEndpoint, proxy: Proxy, host: str, port: int) -> None:
        self._endpoint = proxy_endpoint
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        lines = [f"CONNECT {where} HTTP/1.1".encode("ascii"), f"Host: {where}".encode("ascii")]
        if proxy.credentials:
            lines.append(b"Proxy-Authorization: " + proxy.credentials.header())
        self._request = b"\r\n".join((*lines, b"", b""))

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        connected: Deferred[Any] = self._endpoint.connect(_TunnelFactory(protocolFactory, self._request))
        return connected.addCallback(lambda tunnel: tunnel.opened)
