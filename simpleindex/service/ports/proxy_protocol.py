"""The PROXY protocol behind ``haproxy:`` endpoints: believed only of proxies that the operator names.

Otherwise every client of such a port could claim any address: this machine's own, to see what only its users see, or a
new one for each wrong password. What follows the gate is Twisted's own reader of the header.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.logger import Logger
from twisted.protocols.haproxy import proxyEndpoint
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from zope.interface import implementer

from simpleindex.core.addresses import is_loopback, unmapped

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IAddress, IListeningPort, IProtocolFactory

_LOG: Final = Logger(namespace="simpleindex")

PREFIX: Final = "haproxy:"
"""How the description of such an endpoint begins (Twisted's endpoint strings)."""

_SHORTEST: Final = 16
"""Bytes by which Twisted tells the versions apart; it takes a first piece that is shorter for no header at all."""

_SIGNATURES: Final = (b"PROXY ", b"\r\n\r\n\x00\r\nQUIT\n")
"""How headers of versions 1 and 2 begin (the PROXY protocol's specification, sections 2.1 and 2.2)."""

_UNKNOWN: Final = b"PROXY UNKNOWN\r\n"

_QUIET_SECONDS: Final = 60.0
"""Between two lines of the log about connections that were closed."""


class Gate(ProtocolWrapper):
    """A connection whose first bytes wait until they are enough to recognize a header."""

    factory: GateFactory

    def __init__(self, factory: Any, wrapped: Any) -> None:
        super().__init__(factory, wrapped)
        self._head: bytes | None = b""

    def dataReceived(self, data: bytes) -> None:
        if self._head is not None:
            data = self._head + data
            if len(data) < _SHORTEST and not data.endswith(_UNKNOWN) and _may_be_header(data):
                self._head = data
                return
            self._head = None
            if not _may_be_header(data):
                self.factory.report(getattr(self.getPeer(), "host", "a local socket"), _NO_HEADER)
            elif data.startswith(_UNKNOWN):
                # Twisted wants something after the word; the specification (section 2.1) lets the line end there.
                data = data.replace(_UNKNOWN, b"PROXY UNKNOWN \r\n", 1)
        super().dataReceived(data)


_NO_HEADER: Final = (
    "A connection from {host} to a haproxy endpoint was closed: it does not begin with a PROXY header. "
    "Have the proxy send one (send-proxy), or listen without haproxy."
)
_NO_PROXY: Final = (
    "A connection from {host} to a haproxy endpoint was closed: this address is not among --trusted-proxy. "
    "Add it there if it is the proxy's."
)


def _may_be_header(data: bytes) -> bool:
    return any(data[: len(signature)] == signature[: len(data)] for signature in _SIGNATURES)


class GateFactory(WrappingFactory):
    """A factory that lets in connections of the proxies only.

    Args:
        wrapped: Reads the header.
        is_trusted: Tells of an address whether it is one of the proxies that the operator names.
        seconds: A clock that only goes on.
    """

    protocol = Gate
    noisy = False

    def __init__(
        self, wrapped: IProtocolFactory, is_trusted: Callable[[str], bool], seconds: Callable[[], float]
    ) -> None:
        super().__init__(wrapped)
        self._is_trusted = is_trusted
        self._seconds = seconds
        self._quiet_until = 0.0

    def buildProtocol(self, addr: IAddress | None) -> Any:
        host = getattr(addr, "host", None)
        # A Unix socket has no address; its permissions say who may connect.
        if host is not None and not is_loopback(host) and not self._is_trusted(unmapped(host)):
            self.report(host, _NO_PROXY)
            return None
        return super().buildProtocol(addr)

    def report(self, host: str, sentence: str) -> None:
        """Log that a connection was closed, at most once a minute."""
        now = self._seconds()
        if now >= self._quiet_until:
            self._quiet_until = now + _QUIET_SECONDS
            _LOG.warn(sentence, host=host)


@implementer(IStreamServerEndpoint)
class _GateEndpoint:
    """An endpoint behind a gate."""

    def __init__(
        self,
        endpoint: IStreamServerEndpoint,
        is_trusted: Callable[[str], bool],
        seconds: Callable[[], float],
    ) -> None:
        self._endpoint = endpoint
        self._is_trusted = is_trusted
        self._seconds = seconds

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        return self._endpoint.listen(GateFactory(protocolFactory, self._is_trusted, self._seconds))


def behind_proxies(
    endpoint: IStreamServerEndpoint, is_trusted: Callable[[str], bool], seconds: Callable[[], float]
) -> IStreamServerEndpoint:
    """Return an endpoint whose connections begin with a PROXY header, of this machine or of a trusted proxy.

    Args:
        endpoint: Listens.
        is_trusted: Tells of an address whether it is one of the proxies that the operator names.
        seconds: A clock that only goes on.
    """
    made: IStreamServerEndpoint = proxyEndpoint(_GateEndpoint(endpoint, is_trusted, seconds))
    return made
