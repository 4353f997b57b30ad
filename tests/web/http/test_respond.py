"""From a coroutine to a response: every error in words, and every client that leaves."""

from __future__ import annotations

import errno
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from simpleindex.access.errors import InsecureCredentials, TooManyFailures, Unauthenticated, UnusableToken
from simpleindex.core import errors
from simpleindex.publishing.errors import RefusedUpload
from simpleindex.upstreams.errors import NoRanges, UpstreamBusy, UpstreamFailed, WrongFile
from simpleindex.web.http.respond import error_response, respond, to_its_end
from simpleindex.web.http.response import Content, Response, sentence
from simpleindex.web.pages.negotiation import NotAcceptable
from tests.fixtures.log import logged_failures
from tests.fixtures.site import Client, read, request
from tests.fixtures.stub_source import StubBody

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from twisted.web.server import Request

ALSO = (("X-Also", "1"),)


class Answering(Resource):
    """Answers with what its coroutine function gives."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.failures = logged_failures()
        self.gate: Deferred[Any] = Deferred()
        self.cancelled = 0
        self.answer: Any = self.at_once
        self.outcome: Response | BaseException = Response(200, (), b"done")

    def render(self, request: Request) -> int:
        answer: Coroutine[Any, Any, Response] = self.answer()
        return respond(request, answer, also=ALSO)

    async def at_once(self) -> Response:
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome

    async def later(self) -> Response:
        try:
            await self.gate
        except CancelledError:
            self.cancelled += 1
            raise
        return await self.at_once()

    async def whatever_happens(self) -> Response:
        try:
            await self.gate
        except CancelledError:
            self.cancelled += 1
        return await self.at_once()


class RespondTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.resource = Answering()
        self.client = Client(self.resource)

    def test_bytes(self) -> None:
        """Bytes are sent with their number; HEAD gets the headers alone."""
        for answer in (self.resource.at_once, self.resource.later):
            self.resource.answer = answer
            self.resource.outcome = Response(200, (("Content-Type", "a/b"), ("X-One", "ä€")), b"done")
            for method, body in (("GET", b"done"), ("HEAD", b"")):
                transport = self.client.begin(method, "/")
                if answer == self.resource.later:
                    self.assertEqual(transport.held, b"")
                    self.resource.gate.callback(None)
                    self.resource.gate = Deferred()
                reply = read(transport, method)
                self.assertEqual((reply.status, reply.body), (200, body))
                self.assertEqual(reply.headers["content-length"], "4")
                self.assertEqual(reply.headers["x-also"], "1")
                self.assertEqual(reply.headers["x-one"], "ä?")
                self.assertIn("date", reply.headers)
        self.assertEqual(self.resource.failures, [])

    def test_refusals_get_the_form_of_their_reader(self) -> None:
        """Whether they are returned or raised, also for a trouble of the server itself; nothing else does."""

        class ForPeople(Answering):
            def render(self, request: Request) -> int:
                return respond(
                    request,
                    self.answer(),
                    also=(),
                    refusal=lambda refused: Response(refused.status, (), b"a page"),
                )

        resource = ForPeople()
        client = Client(resource)
        for outcome, status in (
            (sentence(404, "Not here."), 404),
            (errors.NotAllowed("It is not yours."), 403),
            (errors.Unavailable("The directory is gone.", 2), 503),
            (OSError(errno.ENOSPC, "full"), 507),
        ):
            resource.outcome = outcome
            reply = client.get("/")
            self.assertEqual((reply.status, reply.body), (status, b"a page"))
        resource.failures.clear()
        resource.outcome = Response(200, (), b"done")
        self.assertEqual(client.get("/").body, b"done")

    def test_no_content(self) -> None:
        """A 204 and a 304 have neither body nor length nor type (RFC 9110 section 8.6), and the connection goes on."""
        for status in (204, 304):
            self.resource.outcome = Response(status, (("ETag", '"x"'),))
            for method in ("GET", "HEAD", "OPTIONS"):
                transport = self.client.connect()
                transport.protocol.dataReceived(request(method, "/") + request(method, "/"))
                both = transport.take()
                self.assertEqual(both.count(b"HTTP/1.1 %d " % status), 2)
                for name in (b"content-length", b"content-type", b"transfer-encoding", b"connection"):
                    self.assertNotIn(name, both.lower())

    def test_empty_body_has_a_length(self) -> None:
        """An empty 200 says that it is empty."""
        self.resource.outcome = Response(200, ())
        self.assertEqual(self.client.get("/").headers["content-length"], "0")

    def test_header_cannot_be_split(self) -> None:
        """A line break in a value does not begin another field."""
        self.resource.outcome = Response(200, (("Location", "/a\r\nX-Evil: 1"),))
        self.assertNotIn("x-evil", self.client.get("/").headers)

    def test_table_of_errors(self) -> None:
        """Each situation has its status, a sentence, and no cache that keeps it."""
        table: list[tuple[Exception, int, str, dict[str, str]]] = [
            (errors.NotHere("project acme"), 404, "There is no project acme here.", {}),
            (errors.NotAllowed("It is embargoed."), 403, "It is embargoed.", {}),
            (
                Unauthenticated("Who are you?"),
                401,
                "Who are you?",
                {"www-authenticate": 'Basic realm="simpleindex"'},
            ),
            (TooManyFailures(8), 429, str(TooManyFailures(8)), {}),
            (TooManyFailures(1), 429, str(TooManyFailures(1)), {"retry-after": "1"}),
            (InsecureCredentials(), 403, str(InsecureCredentials()), {}),
            (errors.Unavailable("Soon.", retry_after=7), 503, "Soon.", {"retry-after": "2"}),
            (
                errors.BrokenProject("acme/simpleindex.toml is empty."),
                424,
                "acme/simpleindex.toml is empty.",
                {},
            ),
            (errors.Unavailable("Soon."), 503, "Soon.", {"retry-after": "2"}),
            (errors.Changed("a.whl"), 503, "a.whl changed while it was being read.", {"retry-after": "1"}),
            (
                NotAcceptable(("a/b", "c/d")),
                406,
                "This page has none of the types that Accept names; ask for one of a/b, c/d.",
                {"vary": "Accept, Accept-Encoding"},
            ),
        ]
        for error, status, text, headers in table:
            self.resource.outcome = error
            for method in ("GET", "HEAD"):
                reply = self.client.ask(method, "/")
                self.assertEqual(reply.status, status)
                self.assertEqual(reply.text, f"{text}\n" if method == "GET" else "")
                common = {
                    "content-type": "application/problem+json",
                    "content-length": reply.headers["content-length"],
                    "cache-control": "no-store",
                    "x-content-type-options": "nosniff",
                    "server": "simpleindex",
                    "x-also": "1",
                    "vary": "Accept",
                }
                reply.headers.pop("date")
                self.assertEqual(reply.headers, common | headers)
        self.assertEqual(self.resource.failures, [])

    def test_waits_are_short(self) -> None:
        """Only passing trouble has a status that clients retry, and no Retry-After keeps pip silent for longer than 10 s."""
        failed = partial(UpstreamFailed, "pypi", "it is odd.")
        table: list[tuple[Exception, int, str | None]] = [
            (failed(), 424, None),
            (failed(retry_after=1), 503, "1"),
            (failed(retry_after=3600), 503, "2"),
            (failed(timed_out=True), 504, None),
            (failed(timed_out=True, retry_after=5), 504, None),
            (WrongFile("pypi", "a.whl", "it has 1 byte"), 424, None),
            (NoRanges("pypi"), 424, None),
            (UpstreamBusy("pypi", 16), 503, "1"),
            (errors.Unavailable("Gone.", retry_after=None), 503, None),
            (errors.Unavailable("Gone.", retry_after=30), 503, "2"),
            (TooManyFailures(60), 429, None),
        ]
        for error, status, seconds in table:
            response = error_response(error)
            assert response is not None
            self.assertEqual(response.status, status)
            self.assertEqual(dict(response.headers).get("Retry-After"), seconds)

    def test_only_some_errors_have_an_answer(self) -> None:
        """What is not in the table should never reach a client."""
        self.assertIsNone(error_response(ValueError()))
        self.assertIsNone(error_response(errors.InvalidProjectName("x")))
        self.assertIsNone(error_response(UnusableToken("ab12cd34", "revoked")))

    def test_sentence_of_any_text(self) -> None:
        """Whatever a file name holds can be told of."""
        self.assertEqual(sentence(404, "a\udcff€").body, "a\\udcff€\n".encode())

    def test_unexpected(self) -> None:
        """What should never happen is a sentence for the client and told once to the operator."""
        for answer in (self.resource.at_once, self.resource.later):
            self.resource.failures.clear()
            self.resource.answer, self.resource.outcome = answer, ZeroDivisionError("secret")
            transport = self.client.begin("GET", "/")
            if answer == self.resource.later:
                self.resource.gate.callback(None)
            reply = read(transport)
            self.assertEqual(reply.status, 500)
            self.assertEqual(reply.text, "Something went wrong here; the server's log says what.\n")
            self.assertEqual(reply.headers["cache-control"], "no-store")
            self.assertEqual(reply.headers["x-also"], "1")
            (failure,) = self.resource.failures
            self.assertIs(failure.value, self.resource.outcome)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_cancelled_by_somebody_else(self) -> None:
        """The client is there and waits: it gets an answer, and the log says what the answer says it says."""
        self.resource.outcome = CancelledError()
        self.assertEqual(self.client.get("/").status, 500)
        self.assertEqual(len(self.resource.failures), 1)

    def test_client_leaves(self) -> None:
        """The work is cancelled, nothing is written, and nobody is told of an error."""
        self.resource.answer = self.resource.later
        transport = self.client.begin("GET", "/")
        transport.leave()
        self.assertEqual(self.resource.cancelled, 1)
        self.assertEqual(transport.held, b"")
        self.assertEqual(self.resource.failures, [])
        self.assertEqual(self.client.logged, [(b"/", 499)])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_client_leaves_work_that_goes_on(self) -> None:
        """Whatever work that was cancelled ends in, there is nobody to tell; only the unexpected is told of."""
        body = StubBody(b"data")
        body.opened = 1
        outcomes: list[tuple[Response | Exception, int]] = [
            (Response(200, (), b"done"), 0),
            (Response(200, (), Content(body, 0, 4)), 0),
            (errors.NotHere("page"), 0),
            (errors.Unavailable("The index is still being read for the first time."), 0),
            (errors.Changed("a.whl"), 0),
            (ZeroDivisionError(), 1),
        ]
        self.resource.answer = self.resource.whatever_happens
        for self.resource.outcome, told in outcomes:
            self.resource.failures.clear()
            self.resource.gate = Deferred()
            transport = self.client.begin("GET", "/")
            transport.leave()
            self.assertEqual(transport.held, b"")
            self.assertEqual(len(self.resource.failures), told)
        self.assertEqual(self.resource.cancelled, len(outcomes))
        self.assertEqual((body.closed, body.reads), (1, []))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_client_leaves_after_the_answer(self) -> None:
        """A connection that ends between two requests concerns nobody."""
        transport = self.client.begin("GET", "/")
        read(transport)
        transport.leave()
        self.assertEqual(self.resource.failures, [])
        self.assertEqual(self.client.logged, [(b"/", 200)])

    def test_body_is_given_back_when_sending_fails(self) -> None:
        """Whatever goes wrong with a body, it is closed, and told of as any other error."""
        body = StubBody(b"data")
        body.opened = 1
        body.changes_at, body.error = 0, ZeroDivisionError()
        self.resource.outcome = Response(200, (("ETag", '"x"'),), Content(body, 0, 4))
        reply = self.client.get("/")
        self.assertEqual(reply.status, 500)
        self.assertNotIn("etag", reply.headers)
        self.assertEqual(body.closed, 1)
        self.assertEqual(len(self.resource.failures), 1)


class ToItsEndTests(SynchronousTestCase):
    """Work that goes on when nobody waits for it any more."""

    def setUp(self) -> None:
        self.gate: Deferred[None] = Deferred()
        self.ended: list[str] = []
        self.failures = logged_failures()

    async def work(self) -> Response:
        try:
            await self.gate
        finally:
            self.ended.append("ended")
        return sentence(200, "done")

    def test_waited_for(self) -> None:
        """Its answer and its error go to the request that waits."""
        waiting = to_its_end(self.work())
        self.gate.callback(None)
        self.assertEqual(200, self.successResultOf(waiting).status)
        failing = to_its_end(self.fails(ZeroDivisionError()))
        self.failureResultOf(failing, ZeroDivisionError)
        self.assertEqual([], self.failures)

    def test_left(self) -> None:
        """It comes to its end later, and only what should never happen is told then."""
        for error, count in ((None, 0), (RefusedUpload(400, "No."), 0), (ZeroDivisionError(), 1)):
            with self.subTest(error=error):
                self.setUp()
                waiting = to_its_end(self.work())
                waiting.cancel()
                self.failureResultOf(waiting, CancelledError)
                self.assertEqual([], self.ended)
                if error is None:
                    self.gate.callback(None)
                else:
                    self.gate.errback(error)
                self.assertEqual((["ended"], count), (self.ended, len(self.failures)))

    @staticmethod
    async def fails(error: Exception) -> Response:
        raise error
