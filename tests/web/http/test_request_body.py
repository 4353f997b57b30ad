"""Bodies that are taken: judged by their head, fed no faster than they are taken, and let go of when nobody wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from simpleindex.core.errors import SimpleIndexError
from simpleindex.publishing.errors import RefusedUpload
from simpleindex.web.http import limits
from simpleindex.web.http.request_body import MOST_WAITING, IncomingBody
from simpleindex.web.http.respond import respond
from simpleindex.web.http.response import Response, sentence
from tests.fixtures.connection import ConnectionFixture, answers, get
from tests.fixtures.log import logged_failures
from tests.fixtures.threads import PausedThreads

if TYPE_CHECKING:
    from twisted.web.http import Request

    from simpleindex.web.http.site import IndexRequest

KiB = 1024


class MemorySink:
    """A sink that keeps what it gets, or refuses it."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.closed = 0
        self.error: Exception | None = None

    def feed(self, data: bytes) -> None:
        if self.error is not None:
            raise self.error
        self.pieces.append(data)

    def close(self) -> None:
        self.closed += 1


def error_response(error: BaseException | None) -> Response | None:
    """The answer to an error of ours."""
    return sentence(422, str(error)) if isinstance(error, SimpleIndexError) else None


class Bodies:
    """Takes every POST; threads and judgements end when a test says so."""

    def __init__(self) -> None:
        self.sink = MemorySink()
        self.judging: Deferred[MemorySink] = Deferred()
        self.lengths: list[int | None] = []
        self.threads = PausedThreads()
        self.failures = logged_failures()

    def intake(self, request: IndexRequest) -> IncomingBody | None:
        if request.method != b"POST":
            return None
        return IncomingBody(request.channel, self.threads, error_response)

    async def judge(self, request: IndexRequest, length: int | None) -> MemorySink:
        self.lengths.append(length)
        return await self.judging


class Taking(Resource):
    """Answers with the size of the body that was taken."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.looks = True

    def render(self, request: Request) -> int:
        return respond(request, self.answer(request), also=())

    async def answer(self, request: Request) -> Response:
        intake = getattr(request, "intake", None)
        if intake is None or not self.looks:
            return sentence(200, "nothing taken")
        sink = await intake.sink()
        sink.close()
        return sentence(200, f"{len(b''.join(sink.pieces))} bytes")


class RequestBodyFixture(ConnectionFixture):
    """A site whose POST bodies are taken."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies = Bodies()
        self.resource = Taking()
        self.site.resource = self.resource
        self.site.bodies = self.bodies


def post(size: int, *lines: bytes, body: bytes | None = None) -> bytes:
    """A POST with a body of that size, or with less of it."""
    body = b"x" * size if body is None else body
    return b"\r\n".join((b"POST /up HTTP/1.1", b"Host: a", b"Content-Length: %d" % size, *lines, b"", body))


class IntakeTests(SynchronousTestCase):
    """The way of a body from the connection to its sink."""

    def setUp(self) -> None:
        self.setting = RequestBodyFixture()
        self.bodies = self.setting.bodies
        self.transport = self.setting.connect()

    def tearDown(self) -> None:
        self.assertEqual([], self.bodies.failures)

    def send(self, data: bytes, size: int | None = None) -> None:
        self.setting.send(self.transport, data, size=size)

    def judged(self) -> None:
        self.bodies.judging.callback(self.bodies.sink)

    def answer(self) -> tuple[int, bytes]:
        (found,) = answers(self.transport.take())
        return found.status, found.text.strip().encode()

    def test_whole(self) -> None:
        """A body that is judged first and taken then, however it comes; the connection goes on after it."""
        for size in (None, 1, 7):
            with self.subTest(size=size):
                self.setting = RequestBodyFixture()
                self.bodies = self.setting.bodies
                self.transport = self.setting.connect()
                self.judged()
                self.send(post(100) + get(b"/next"), size)
                found = answers(self.transport.take())
                self.assertEqual([b"100 bytes\n", b"nothing taken\n"], [each.body for each in found])
                self.assertEqual(1, self.bodies.sink.closed)
                self.assertEqual([100], self.bodies.lengths)

    def test_chunked(self) -> None:
        """A body of unknown length, beyond what is read of bodies that are dropped."""
        self.judged()
        chunk = b"%x\r\n%s\r\n" % (50 * KiB, b"x" * 50 * KiB)
        self.send(
            b"POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + 3 * chunk + b"0\r\n\r\n"
        )
        self.assertEqual((200, b"153600 bytes"), self.answer())
        self.assertEqual([None], self.bodies.lengths)

    def test_nothing_is_fed_before_the_judgement(self) -> None:
        """However much comes, it waits for the judgement, and the connection is read no further."""
        self.send(post(10_000_000, body=b"x" * (MOST_WAITING + 1)))
        self.assertEqual([], self.bodies.sink.pieces)
        self.assertFalse(self.transport.reading)
        self.judged()
        self.assertTrue(self.transport.reading)
        self.assertEqual([MOST_WAITING + 1], [len(piece) for piece in self.bodies.sink.pieces])

    def test_no_faster_than_it_is_taken(self) -> None:
        """While the sink is busy, so much may wait and no more; then the connection is read on."""
        self.judged()
        self.bodies.threads.held = True
        self.send(post(2 * MOST_WAITING, body=b"a"))
        self.send(b"b" * MOST_WAITING)
        self.assertTrue(self.transport.reading)
        self.send(b"c")
        self.assertFalse(self.transport.reading)
        # Neither does the client count as slow, when it is we who do not read.
        self.setting.wait(3 * limits.BODY_WINDOW_SECONDS)
        self.assertFalse(self.transport.gone)
        self.bodies.threads.deliver()
        self.assertTrue(self.transport.reading)
        self.send(b"d" * (MOST_WAITING - 2))
        self.bodies.threads.deliver()
        self.bodies.threads.deliver()
        self.assertEqual((200, b"%d bytes" % (2 * MOST_WAITING)), self.answer())

    def test_refused_by_its_head(self) -> None:
        """The answer comes at once, with the sentence as reason; what still comes is dropped, then the connection ends."""
        self.send(post(10_000_000, body=b"x" * 10))
        self.bodies.judging.errback(RefusedUpload(413, "Too large."))
        (found,) = answers(self.transport.take())
        self.assertEqual((422, b"Too large."), (found.status, found.reason))
        self.assertEqual(b"close", found.headers[b"connection"])
        self.send(b"x" * 1000)
        self.assertEqual([], self.bodies.sink.pieces)
        self.setting.wait(limits.DISCARD_SECONDS + 1)
        self.assertTrue(self.transport.disconnecting)

    def test_refused_while_it_is_paused(self) -> None:
        """A refusal reads the connection on, or the rest could not be dropped."""
        self.send(post(10_000_000, body=b"x" * (MOST_WAITING + 1)))
        self.assertFalse(self.transport.reading)
        self.bodies.judging.errback(RefusedUpload(401, "Who?"))
        self.assertTrue(self.transport.reading)
        self.assertEqual(422, self.answer()[0])

    def test_refused_in_the_middle(self) -> None:
        """A sink that refuses is closed, and the client hears of it before it has sent everything."""
        self.judged()
        self.bodies.sink.error = RefusedUpload(400, "Malformed.")
        self.send(post(1000, body=b"x"))
        self.assertEqual((422, b"Malformed."), self.answer())
        self.assertEqual(1, self.bodies.sink.closed)

    def test_refused_at_the_end(self) -> None:
        """When everything has come, the refusal is the answer."""
        self.judged()
        self.bodies.sink.error = RefusedUpload(400, "Malformed.")
        self.bodies.threads.held = True
        self.send(post(1000))
        self.bodies.threads.deliver()
        self.bodies.threads.deliver()
        self.assertEqual(1, self.bodies.sink.closed)
        self.transport.take()
        # The table of errors knows this one.
        self.assertEqual([(b"/up", 400)], self.setting.logged)

    def test_a_surprise(self) -> None:
        """What should never happen is told once, and answered with a sentence that tells nothing."""
        self.send(post(1000, body=b"x"))
        self.bodies.judging.errback(ZeroDivisionError())
        self.assertEqual((500, b"Something went wrong here; the server's log says what."), self.answer())
        (failure,) = self.bodies.failures
        self.assertTrue(failure.check(ZeroDivisionError))
        self.bodies.failures.clear()

    def test_the_client_leaves(self) -> None:
        """Whenever that is, the sink is closed once, after what it is busy with."""
        self.judged()
        self.bodies.threads.held = True
        self.send(post(1000, body=b"x"))
        self.transport.leave()
        self.assertEqual(0, self.bodies.sink.closed)
        self.bodies.threads.deliver()
        self.bodies.threads.deliver()
        self.assertEqual([b"x"], self.bodies.sink.pieces)
        self.assertEqual(1, self.bodies.sink.closed)
        self.assertEqual([], self.bodies.threads.calls)

    def test_the_client_leaves_while_nothing_comes(self) -> None:
        """A client that leaves half-way leaves no sink behind."""
        self.judged()
        self.send(post(1000, body=b"x"))
        self.transport.leave()
        self.assertEqual(1, self.bodies.sink.closed)

    def test_the_client_leaves_before_the_judgement(self) -> None:
        """The sink that the judgement gives is closed at once; a refusal is told to nobody."""
        for outcome in (self.bodies.sink, RefusedUpload(401, "Who?")):
            with self.subTest(outcome=outcome):
                setting = RequestBodyFixture()
                transport = setting.connect()
                setting.send(transport, post(1000, body=b"x"))
                transport.leave()
                setting.bodies.judging.callback(outcome)  # type: ignore[arg-type]
                self.assertEqual([], setting.bodies.failures)
        self.assertEqual(1, self.bodies.sink.closed)

    def test_nobody_looks(self) -> None:
        """An answer that takes no notice of the body closes its sink."""
        self.setting.resource.looks = False
        self.judged()
        self.send(post(10))
        self.assertEqual((200, b"nothing taken"), self.answer())
        self.assertEqual(1, self.bodies.sink.closed)

    def test_too_slow(self) -> None:
        """A body that hardly advances is refused, and its sink closed."""
        self.judged()
        self.send(post(1000_000, body=b"x"))
        self.setting.wait(limits.BODY_WINDOW_SECONDS + 1)
        self.assertEqual(408, self.answer()[0])
        self.assertEqual(1, self.bodies.sink.closed)

    def test_invited(self) -> None:
        """A client that waits to be invited is so after the judgement, and not if that refuses it (RFC 9110 section 10.1.1)."""
        self.send(post(10, b"Expect: 100-continue", body=b""))
        self.assertEqual(b"", self.transport.take())
        self.judged()
        self.assertEqual(b"HTTP/1.1 100 Continue\r\n\r\n", self.transport.take())
        self.send(b"x" * 10)
        self.assertEqual((200, b"10 bytes"), self.answer())

    def test_not_invited(self) -> None:
        """A refused request gets no 100 Continue; one whose body is dropped gets it at once."""
        self.send(post(10, b"Expect: 100-continue", body=b""))
        self.bodies.judging.errback(RefusedUpload(401, "Who?"))
        self.assertEqual(422, self.answer()[0])
        other = self.setting.connect()
        self.setting.send(other, post(10, b"Expect: 100-continue", body=b"").replace(b"POST", b"PUT"))
        self.assertEqual(b"HTTP/1.1 100 Continue\r\n\r\n", other.take())

    def test_without_a_body(self) -> None:
        """Nothing is taken where nothing comes."""
        self.send(post(0))
        self.assertEqual((200, b"nothing taken"), self.answer())
        self.assertEqual([], self.bodies.lengths)
