"""Our TLS beside Twisted's own: whatever happens to a connection, both see and send the same."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.protocols import tls
from zope.interface import implementer

from simpleindex.tls.contexts import new_context
from simpleindex.web.fast import tls as our_transport
from simpleindex.web.fast.tls import PIECE_BYTES, FastTLS, protocol_class
from tests.fixtures.certificates import issue
from tests.fixtures.connection import SocketTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.python.failure import Failure

PEER: Final = IPv4Address("TCP", "192.0.2.7", 50000)
FULL: Final = 64 * 1024
VERSIONS: Final = (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION)


class App(Protocol):
    """Keeps what it is told; does what it is told when it hears something."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.on_data: Callable[[bytes], None] = lambda _: None

    def dataReceived(self, data: bytes) -> None:
        self.told.append(data)
        self.on_data(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.told.append(reason.type)

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


@implementer(IOpenSSLServerConnectionCreator)
class Contexts:
    """Our settings, with a certificate."""

    def __init__(self) -> None:
        issued = issue("example.org")
        self.context = new_context()
        self.context.use_certificate(issued.certificate)
        self.context.use_privatekey(issued.key)

    def serverConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        return SSL.Connection(self.context, None)


CONTEXTS: Final = Contexts()

KNOWN_DIGEST: Final = "f22e1897b7fbba66"
"""Of Twisted 26.4 and 26.10."""


class Pair:
    """A server in memory, and its client."""

    def __init__(self, kind: type[tls.TLSMemoryBIOProtocol], version: int = SSL.TLS1_3_VERSION) -> None:
        self.clock: Any = Clock()
        factory = tls.TLSMemoryBIOFactory(CONTEXTS, False, Factory.forProtocol(App), self.clock)
        factory.protocol = kind
        self.tls: Any = factory.buildProtocol(PEER)
        self.app: Any = self.tls.wrappedProtocol
        self.wire = SocketTransport(self.clock, self.tls, PEER)
        self.tls.makeConnection(self.wire)
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_max_proto_version(version)
        self.client = SSL.Connection(context, None)
        self.client.set_connect_state()
        self.heard = b""
        self.errors: list[str] = []

    def shaken(self) -> Pair:
        for _ in range(3):
            with contextlib.suppress(SSL.WantReadError):
                self.client.do_handshake()
            self.deliver()
            self.hear()
        return self

    def of_client(self) -> bytes:
        """What the client's end has for the wire."""
        data = b""
        try:
            while True:
                data += self.client.bio_read(FULL)
        except SSL.WantReadError:
            return data

    def deliver(self, cut: int = 0, data: bytes | None = None) -> None:
        """Bring it to the server, in pieces of a size or whole."""
        data = self.of_client() if data is None else data
        cut = cut or len(data) or 1
        for start in range(0, len(data), cut):
            if not self.wire.gone:
                self.tls.dataReceived(data[start : start + cut])

    def hear(self, size: int | None = None) -> None:
        """Let the client take so much off the wire."""
        self.clock.advance(0)
        if data := self.wire.take(size):
            self.client.bio_write(data)
        try:
            while True:
                self.heard += self.client.recv(FULL)
        except SSL.Error as error:
            self.errors.append(type(error).__name__)

    def outcome(self) -> dict[str, object]:
        """All that either end has seen."""
        self.clock.advance(0)
        self.hear()
        return {
            "told": self.app.told,
            "heard": hashlib.sha256(self.heard).hexdigest(),
            "errors": self.errors,
            "shutdown": self.client.get_shutdown(),
            "wire": (self.wire.disconnecting, self.wire.aborted, self.wire.gone),
        }


def both(version: int, story: Callable[[Pair], None]) -> dict[str, object]:
    """What came of it, which is the same with either class."""
    outcomes = []
    for kind in (tls.BufferingTLSTransport, FastTLS):
        pair = Pair(kind, version).shaken()
        story(pair)
        outcomes.append(pair.outcome())
    assert outcomes[0] == outcomes[1]
    return outcomes[1]


def client_writes(pair: Pair, data: bytes) -> None:
    """Let the client encrypt this."""
    sent = 0
    while sent < len(data):
        sent += pair.client.send(data[sent : sent + FULL])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("cut", [0, 1, 4, 5, 6, 20_000])
@pytest.mark.parametrize("size", [1, 16_384, 20_000])
def test_requests_in_pieces(version: int, cut: int, size: int) -> None:
    """However the bytes come, the same arrive, and what comes whole afterwards arrives too."""

    def story(pair: Pair) -> None:
        client_writes(pair, b"x" * size)
        pair.deliver(cut)
        for _ in range(3):
            client_writes(pair, b"GET / HTTP/1.1\r\n\r\n")
            pair.deliver()

    told = both(version, story)["told"]
    assert isinstance(told, list)
    assert b"".join(told) == b"x" * size + b"GET / HTTP/1.1\r\n\r\n" * 3


@pytest.mark.parametrize("version", VERSIONS)
def test_one_record_is_one_question(version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole request is asked for once, its answer leaves without a turn, and OpenSSL never has nothing to say."""
    pair = Pair(FastTLS, version).shaken()
    asked: list[str] = []

    def counted(name: str) -> Callable[[int], bytes]:
        method = getattr(pair.tls._tlsConnection, name)

        def ask(size: int) -> bytes:
            asked.append(name)
            answer: bytes = method(size)
            return answer

        return ask

    for name in ("recv", "bio_read"):
        monkeypatch.setattr(pair.tls._tlsConnection, name, counted(name))
    pair.app.on_data = lambda _: pair.tls.write_at_once(b"answer")
    client_writes(pair, b"GET / HTTP/1.1\r\n\r\n")
    pair.deliver()
    assert asked == ["recv", "bio_read"]
    assert pair.clock.getDelayedCalls() == []
    assert pair.wire.held
    pair.hear()
    assert pair.heard == b"answer"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("size", [0, 1, 16_384, PIECE_BYTES, PIECE_BYTES + 1, 131_072, 1_000_003])
def test_writes(version: int, size: int) -> None:
    """Any size arrives whole and in order, behind what was written before."""

    def story(pair: Pair) -> None:
        pair.tls.write(b"head")
        getattr(pair.tls, "write_at_once", pair.tls.write)(b"y" * size)
        pair.tls.write(b"tail")
        pair.clock.advance(0)
        pair.tls.writeSequence([b"a", b"b"])

    both(version, story)
    pair = Pair(FastTLS, version).shaken()
    story(pair)
    pair.outcome()
    assert pair.heard == b"head" + b"y" * size + b"tailab"


def test_a_write_before_the_handshake() -> None:
    """It waits for the handshake, with either way of writing."""
    for name in ("write", "write_at_once"):
        pair = Pair(FastTLS)
        getattr(pair.tls, name)(b"early")
        pair.clock.advance(0)
        assert not pair.wire.held
        pair.shaken()
        assert pair.heard == b"early"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("cut", [0, 1])
def test_the_clients_end(version: int, cut: int) -> None:
    """A close_notify ends it cleanly; what comes after it is not heard."""

    def story(pair: Pair) -> None:
        client_writes(pair, b"last")
        pair.client.shutdown()
        pair.deliver(cut)
        pair.deliver(data=b"\x17\x03\x03\x00\x05abcde")
        pair.hear()

    outcome = both(version, story)
    assert outcome["told"] == [b"last", ConnectionDone]
    assert outcome["shutdown"] == SSL.SENT_SHUTDOWN | SSL.RECEIVED_SHUTDOWN


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("size", [0, 300_000])
@pytest.mark.parametrize("how", ["loseConnection", "abortConnection"])
def test_our_end(version: int, size: int, how: str) -> None:
    """What was written before an end is delivered, then close_notify; after an abort nothing is; and nothing follows."""

    def story(pair: Pair) -> None:
        pair.tls.write(b"z" * size)
        getattr(pair.tls, how)()
        pair.tls.write(b"too late")
        getattr(pair.tls, "write_at_once", pair.tls.write)(b"too late")
        pair.hear()
        client_writes(pair, b"more") if not pair.wire.aborted else None
        pair.deliver()

    outcome = both(version, story)
    assert outcome["heard"] == hashlib.sha256(b"" if how == "abortConnection" else b"z" * size).hexdigest()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("how", ["loseConnection", "abortConnection"])
def test_an_end_within_a_request(version: int, how: str) -> None:
    """Who ends it while a request is handed over hears nothing more."""

    def story(pair: Pair) -> None:
        pair.app.on_data = lambda _: getattr(pair.tls, how)()
        for _ in range(2):
            client_writes(pair, b"request")
            pair.deliver()

    both(version, story)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_cut(version: int) -> None:
    """An end without close_notify is told as a loss, never as an end (a truncated body has to be seen)."""

    def story(pair: Pair) -> None:
        client_writes(pair, b"half a requ")
        pair.deliver()
        pair.wire.leave()
        pair.tls.write(b"nobody hears")
        getattr(pair.tls, "write_at_once", pair.tls.write)(b"nobody hears")
        pair.clock.advance(0)

    told = both(version, story)["told"]
    assert isinstance(told, list)
    assert told[-1] is not ConnectionDone


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("cut", [0, 1])
def test_a_forged_record(version: int, cut: int) -> None:
    """One flipped bit ends the connection with an alert, with nothing handed over, and with the same words."""

    def story(pair: Pair) -> None:
        client_writes(pair, b"request")
        forged = bytearray(pair.of_client())
        forged[-1] ^= 1
        pair.deliver(cut, bytes(forged))
        pair.hear()

    assert both(version, story)["told"] == [SSL.Error]


def test_a_failed_handshake() -> None:
    """What is no TLS is answered with an alert and an end."""
    outcomes: list[tuple[object, object]] = []
    for kind in (tls.BufferingTLSTransport, FastTLS):
        pair = Pair(kind)
        pair.deliver(data=b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")
        outcomes.append((pair.wire.disconnecting, bytes(pair.wire.held)))
        pair.wire.take()
        outcomes.append((pair.app.told, pair.wire.gone))
    assert outcomes[:2] == outcomes[2:]


def test_no_renegotiation() -> None:
    """A client of TLS 1.2 that asks for it is refused, and goes on."""

    def story(pair: Pair) -> None:
        pair.client.renegotiate()
        with contextlib.suppress(SSL.Error):
            pair.client.do_handshake()
        pair.deliver()
        pair.hear()

    both(SSL.TLS1_2_VERSION, story)


@pytest.mark.parametrize("name", ["write", "write_at_once"])
def test_a_full_transport_pauses_and_resumes(name: str) -> None:
    """Back-pressure reaches the producer, once each way."""
    pair = Pair(FastTLS).shaken()
    pair.tls.registerProducer(pair.app, True)
    getattr(pair.tls, name)(bytes(131_072))
    pair.clock.advance(0)
    assert pair.app.told == ["pause"]
    pair.hear(100_000)
    assert pair.app.told == ["pause"]
    pair.hear()
    assert pair.app.told == ["pause", "resume"]
    pair.tls.unregisterProducer()
    assert pair.heard == bytes(131_072)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("send"), st.integers(1, 40_000)),
            st.tuples(st.just("deliver"), st.integers(0, 30)),
            st.tuples(st.just("write"), st.integers(0, 200_000)),
            st.tuples(st.just("hear"), st.integers(1, 100_000)),
            st.tuples(st.sampled_from(["bye", "end", "abort", "leave", "garbage"]), st.just(0)),
        ),
        max_size=12,
    ),
    st.sampled_from(VERSIONS),
)
def test_any_story(steps: list[tuple[str, int]], version: int) -> None:
    """Whatever happens in whatever order, either class makes the same of it."""

    def story(pair: Pair) -> None:
        for what, number in steps:
            try:
                step(pair, what, number)
            except SSL.Error as error:  # the client's, which may be at its end
                pair.errors.append(type(error).__name__)

    both(version, story)


def step(pair: Pair, what: str, number: int) -> None:
    """Let one thing happen."""
    match what:
        case "send":
            client_writes(pair, b"s" * number)
        case "deliver":
            pair.deliver(number * number * number)
        case "write":
            pair.tls.write(b"w" * number)
        case "hear":
            pair.hear(number)
        case "bye":
            pair.client.shutdown()
        case "end":
            pair.tls.loseConnection()
        case "abort" if not pair.wire.gone:  # Twisted's raises then
            pair.tls.abortConnection()
        case "leave":
            pair.wire.leave()
        case "garbage":
            pair.deliver(data=b"\x17\x03\x03\x00\x20" + b"g" * 32)


def test_the_releases_that_are_known() -> None:
    """When this fails, a release of Twisted has changed what SwiftTLS overrides: read it, then take up its digest here."""
    stock = tls.TLSMemoryBIOProtocol
    methods = [getattr(stock, name) for name in our_transport._KNOWN]
    source = "".join(map(inspect.getsource, methods))
    assert hashlib.sha256(source.encode()).hexdigest()[:16] == KNOWN_DIGEST
    assert protocol_class() == (FastTLS, None)


def test_an_unknown_release_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Twisted's methods are others, or gone, its own class serves, and the operator is told."""
    monkeypatch.setattr(tls.TLSMemoryBIOProtocol, "_write", lambda self, data: self._sendAll(data))
    kind, sentence = protocol_class()
    assert kind is tls.BufferingTLSTransport
    assert sentence is not None
    monkeypatch.delattr(tls.TLSMemoryBIOProtocol, "_write")
    assert protocol_class()[0] is tls.BufferingTLSTransport
