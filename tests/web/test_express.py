"""Both lanes answer alike; the express lane is fresh, bounded, and keeps no secret.

Everything goes, in the same segments, to two sites over one source: one has an express lane, the other has none.
"""

from __future__ import annotations

import contextlib
import re
import tracemalloc
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase

from simpleindex.core.errors import Changed, NotAllowed, NotHere, Unavailable
from simpleindex.core.model import Status
from simpleindex.sources.local import LocalSource
from simpleindex.store.live import LONGEST_WAIT
from simpleindex.store.watch import InotifyWatch
from simpleindex.web import express as express_module
from simpleindex.web import limits
from simpleindex.web.express import Express
from simpleindex.web.pacing import Phase
from tests.builders import add_wheel, wheel_name
from tests.live_world import World
from tests.web.memory_client import FAR, JSON, PIP, V1_HTML, Index
from tests.web.stub_source import StubSource
from tests.web.test_pacing import Contexts
from tests.web.wire import SocketTransport, answers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simpleindex.web.express import Passed
    from tests.web.memory_client import Transport

WHEEL = "acme-1.0-py3-none-any.whl"

# What the clients of the field send, to the letter.
PIP_LINES = (
    b"Host: index.example",
    b'User-Agent: pip/26.0 {"ci":null,"cpu":"x86_64","distro":{"id":"bookworm","name":"Debian GNU/Linux"}}',
    b"Accept-Encoding: gzip, deflate, br, zstd",
    b"Accept: " + PIP.encode(),
    b"Connection: keep-alive",
    b"Cache-Control: max-age=0",
)
UV_LINES = (
    b'user-agent: uv/0.9.0 {"installer":{"name":"uv","version":"0.9.0"},"python":"3.11.2"}',
    b"accept: application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01",
    b"accept-encoding: gzip, br, zstd",
    b"host: index.example:8080",
)
POETRY_LINES = (
    b"Host: index.example",
    b"User-Agent: poetry/2.1.0 CPython/3.11.2 Linux/6.1",
    b"Accept-Encoding: gzip, deflate",
    b"Accept: application/vnd.pypi.simple.v1+json",
    b"Connection: keep-alive",
)
CURL_LINES = (b"Host: index.example", b"User-Agent: curl/8.0", b"Accept: */*")
FIREFOX_LINES = (
    b"Host: index.example",
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    b"Accept-Language: en-US,en;q=0.5",
    b"Accept-Encoding: gzip, deflate, br, zstd",
    b"DNT: 1",
    b"Connection: keep-alive",
    b"Referer: https://index.example/simple/",
    b"Upgrade-Insecure-Requests: 1",
    b"Sec-Fetch-Dest: document",
    b"Priority: u=0, i",
)
BARE_LINES = (b"Host: a",)
CLIENTS = (PIP_LINES, UV_LINES, POETRY_LINES, CURL_LINES, FIREFOX_LINES, BARE_LINES)

PATHS = (b"/", b"/simple/", b"/acme/", b"/simple/acme/", b"/empty/", b"/simple/empty/")

TARGETS = (
    *PATHS,
    *PATHS,
    b"/simple",
    b"/acme",
    b"/ACME/",
    b"/a.c_me/",
    b"/nothing/",
    b"/simple/nothing/",
    b"/simple/simple/",
    b"/acme/" + WHEEL.encode(),
    b"/acme/" + WHEEL.encode() + b".metadata",
    b"/acme/nothing-1.0.tar.gz",
    b"/acme/?format=application/vnd.pypi.simple.v1+json",
    b"/?",
    b"/acme/#files",
    b"//",
    b"//acme/",
    b"/acme//",
    b"/./",
    b"/../acme/",
    b"/acme/..",
    b"/%61cme/",
    b"/acme%2f",
    b"/caf\xc3\xa9/",
    b"http://index.example/acme/",
    b"/-/health",
    b"/-",
    b"/legacy/",
    b"/.well-known/acme-challenge/x",
    b"*",
    b"acme/",
    b"",
    b"/" + b"a" * 5000 + b"/",
)

# A name of a tag between @ stands for the tag of /acme/ in that form.
ODD_LINES = (
    b"TE : trailers",
    b"TE: trailers",
    b" folded",
    b"\tfolded",
    b"X-Folded: a\r\n b",
    b"Accept: text/html\r\n , application/json",
    b"Host: other.example",
    b"Host:",
    b"Host: ",
    b"Host:index.example",
    b"Host: a b",
    b"Content-Length: 0",
    b"Content-Length: 5",
    b"Content-Length: 5\r\nContent-Length: 5",
    b"content-length: 0",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: identity",
    b"Authorization: Basic dXNlcjpzZWNyZXQ=",
    b"Cookie: session=secret",
    b"Range: bytes=0-3",
    b"If-Range: @JSON@",
    b"Expect: 100-continue",
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Connection: close",
    b"Connection: Close",
    b"Connection: Keep-Alive",
    b"connection: keep-alive",
    b"Connection: keep-alive, close",
    b"Connection: keep-alive close",
    b"Accept: application/vnd.pypi.simple.v1+json",
    b"Accept: text/plain",
    b"accept: text/html",
    b"Accept:text/html",
    b"Accept: ",
    b"Accept:",
    b"ACCEPT-ENCODING: gzip",
    b"Accept-Encoding: gzip;q=0",
    b"Accept-Encoding: identity",
    b"Accept-Charset: utf-8",
    b"User-Agent: caf\xe9",
    b"User-Agent: a\tb",
    b"User-Agent: trailing ",
    b"User-Agent: trailing\t",
    b"User-Agent:  leading",
    b"User-Agent: a\0b",
    b"User-Agent: a\nb",
    b"User-Agent: a\nIf-None-Match: @JSON@",
    b"User-Agent: a\rb",
    b"User-Agent: a\r",
    b"User-Agent: " + b"x" * 3000,
    b"User-Agent: " + b"x" * 5000,
    b"User-Agent: " + b"x" * 17_000,
    b"X-Forwarded-For: 203.0.113.9",
    b"Origin: https://elsewhere.example",
    b"Referer: https://elsewhere.example/",
    b"If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT",
    b"If-None-Match: @JSON@",
    b"if-none-match: @JSON-GZIP@",
    b"If-None-Match: @JSON-ZSTD@",
    b"if-none-match: @HTML@",
    b"If-None-Match: @HTML-GZIP@",
    b"If-None-Match: @ROOT@",
    b"IF-NONE-MATCH: @JSON@",
    b"If-None-Match: W/@JSON@",
    b'If-None-Match: "other"',
    b'If-None-Match: ""',
    b'If-None-Match: "a b"',
    b'If-None-Match: "a\xe9"',
    b'If-None-Match: "other", @JSON@, @JSON-GZIP@, @HTML@',
    b"If-None-Match: *",
    b"If-None-Match: ",
    b"If-None-Match:@JSON@",
    b"If-None-Match: @JSON@ ",
    b"If-None-Match: @JSON@\r\n , *",
    b"If-None-Match : @JSON@",
    b"If-None-Match: @JSON",
    b'If-None-Match: "' + b"t" * 2000 + b'"',
    b"no colon",
    b": no name",
    b"-: -",
    b"\xff: x",
    b"Accept\0: text/html",
)

FORMS = {
    b"JSON": ("/acme/", JSON, ""),
    b"JSON-GZIP": ("/acme/", JSON, "gzip"),
    b"JSON-ZSTD": ("/acme/", JSON, "zstd"),
    b"HTML": ("/acme/", "text/html", ""),
    b"HTML-GZIP": ("/acme/", "text/html", "gzip"),
    b"V1": ("/acme/", V1_HTML, ""),
    b"ROOT": ("/", JSON, ""),
}

ALWAYS_ORDINARY = {
    b"content-length",
    b"transfer-encoding",
    b"authorization",
    b"cookie",
    b"range",
    b"expect",
    b"upgrade",
    b"te",
}


class Counting(Express):
    """An express lane that counts what it answers.

    Attributes:
        passed: Its answers.
    """

    def __init__(self, index: Index) -> None:
        super().__init__(index.listings, index.resource.also)
        self.passed: list[Passed] = []

    def answer(self, data: bytes) -> Passed | None:
        passed = super().answer(data)
        if passed is not None:
            self.passed.append(passed)
        return passed


class Side:
    """One of the two sites, and what it logs."""

    def __init__(self, source: Any, *, has_express: bool, **options: Any) -> None:
        self.index = Index(source, **options)
        self.log: list[tuple[Any, ...]] = []
        self.index.site.access_log = self._record
        self.express = Counting(self.index) if has_express else None
        self.index.site.express = self.express
        self.transport = self.index.connect()

    def _record(self, request: Any) -> None:
        self.log.append(
            (
                request.method,
                request.uri,
                request.clientproto,
                request.code,
                request.sentLength,
                request.getClientAddress(),
                request.getHeader(b"Referer"),
                request.getHeader(b"User-Agent"),
                request.requestHeaders.getRawHeaders(b"X-Forwarded-For"),
            )
        )

    def connect(self) -> Transport:
        self.transport = self.index.connect()
        return self.transport

    def send(self, data: bytes) -> None:
        if not self.transport.gone:
            self.transport.protocol.dataReceived(data)

    def state(self) -> tuple[Any, ...]:
        """Whatever anybody may notice of this side from outside."""
        return (
            self.transport.gone,
            self.transport.aborted,
            self.transport.reading,
            self.transport.channel.phase,
            sorted(call.getTime() for call in self.index.clock.getDelayedCalls()),
            [failure.type for failure in self.index.failures],
            self.log,
        )


class Pair:
    """Two sites that differ only in the express lane."""

    def __init__(self, source: Any = None, **options: Any) -> None:
        self.source = source or stocked()
        self.ordinary = Side(self.source, has_express=False, **options)
        self.express = Side(self.source, has_express=True, **options)

    @property
    def passed(self) -> list[Passed]:
        """What the express lane answered."""
        assert self.express.express is not None
        return self.express.express.passed

    def connect(self) -> None:
        """Go on with another connection to each."""
        for side in (self.ordinary, self.express):
            side.transport.leave()
            side.connect()

    def send(self, *segments: bytes, pause: float = 0.0) -> bytes:
        """Send the same segments to both, compare everything, and return what came."""
        came = bytearray()
        for segment in segments:
            for side in (self.ordinary, self.express):
                side.send(segment)
            came += self.compared()
            for side in (self.ordinary, self.express):
                side.index.clock.advance(pause)
        return bytes(came)

    def compared(self) -> bytes:
        """Take what came from both; it has to be alike, and so has what they are."""
        expected, got = (undated(side.transport.take()) for side in (self.ordinary, self.express))
        assert got == expected
        expected_state, got_state = self.ordinary.state(), self.express.state()
        assert got_state == expected_state
        return got

    def warm(self, paths: Iterable[bytes] = PATHS) -> None:
        """Render the plain pages in every form, without the express lane's noticing."""
        for path in paths:
            for lines in CLIENTS:
                for side in (self.ordinary, self.express):
                    side.index.ask("GET", path, *(("X-Odd", "1"), *fields(lines)))
        for side in (self.ordinary, self.express):
            side.log.clear()


def stocked() -> StubSource:
    """A source with a project, an empty project and a quarantined one."""
    source = StubSource()
    source.add(WHEEL, b"wheel", metadata=b"Metadata-Version: 2.1\n", requires_python=">=3.9")
    source.add("acme-1.0.tar.gz", b"sdist", yanked="broken")
    source.empty("empty")
    source.empty("shut", Status.QUARANTINED)
    return source


def fields(lines: Iterable[bytes]) -> list[tuple[str, str]]:
    """Header lines for :meth:`Index.ask`, which sends a Host of its own."""
    pairs = [line.decode().split(": ", 1) for line in lines]
    return [(name, value) for name, value in pairs if name.lower() != "host"]


def undated(data: bytes) -> bytes:
    """Without the one thing in which two answers may differ."""
    return re.sub(rb"\r\nDate: [^\r]+\r\n", b"\r\nDate: now\r\n", data)


def get(path: bytes = b"/acme/", lines: Iterable[bytes] = PIP_LINES, *more: bytes) -> bytes:
    """A request."""
    return b"\r\n".join((b"GET " + path + b" HTTP/1.1", *lines, *more, b"", b""))


def tags() -> dict[bytes, bytes]:
    """The tags of pages by their names in what is sent."""
    index = Index(stocked())
    found = {}
    for name, (path, accept, encoding) in FORMS.items():
        reply = index.get(path, ("Accept", accept), ("Accept-Encoding", encoding))
        found[b"@" + name + b"@"] = reply.headers["etag"].encode()
    return found


TAGS = tags()


def tagged(data: bytes) -> bytes:
    """With real tags in place of their names."""
    return re.sub(rb"@[A-Z0-9-]+@", lambda match: TAGS[match[0]], data)


# -- what is sent ---------------------------------------------------------------------------------------------------


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A request with some oddities, or none."""
    lines = list(draw(st.sampled_from(CLIENTS)))
    for line in draw(st.lists(st.sampled_from(ODD_LINES), max_size=2)):
        lines.insert(draw(st.integers(0, len(lines))), line)
    change = draw(st.sampled_from(("none", "none", "shuffle", "drop", "double", "case", "end")))
    if change == "shuffle":
        lines = draw(st.permutations(lines))
    elif change != "none" and lines:
        where = draw(st.integers(0, len(lines) - 1))
        line = lines.pop(where)
        if change == "double":
            lines[where:where] = [line, line]
        elif change == "case":
            lines.insert(where, draw(st.sampled_from((line.upper(), line.lower(), line.swapcase()))))
        elif change == "end":
            lines.insert(where, line + draw(st.sampled_from((b" ", b"\t", b"\r", b"\n", b"\0", b"\x7f"))))
    method = draw(
        st.sampled_from((b"GET",) * 12 + (b"HEAD", b"POST", b"get", b"OPTIONS", b"GET ", b"\r\nGET"))
    )
    version = draw(
        st.sampled_from(
            (b"HTTP/1.1",) * 12 + (b"HTTP/1.0", b"HTTP/1.2", b"http/1.1", b"HTTP/1.1 ", b"HTTP/2.0", b"")
        )
    )
    first = method + b" " + draw(st.sampled_from(TARGETS)) + b" " + version
    newline = draw(st.sampled_from((b"\r\n",) * 20 + (b"\n", b"\r", b"\r\r\n")))
    return tagged(newline.join((first, *lines, b"", b"")))


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A plain request in which a few bytes were changed."""
    lines = draw(st.sampled_from(CLIENTS))
    more = draw(st.sampled_from((b"", b"If-None-Match: @JSON@", b"if-none-match: @HTML@")))
    data = bytearray(tagged(get(draw(st.sampled_from(PATHS)), lines, *filter(None, [more]))))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        stop = start + draw(st.integers(0, 2))
        data[start:stop] = draw(
            st.one_of(
                st.sampled_from(
                    (b"\r\n", b"\r", b"\n", b" ", b"\t", b":", b": ", b"\0", b"/", b"%", b'"', b",")
                ),
                st.binary(max_size=2),
            )
        )
    return bytes(data)


@st.composite
def conversations(draw: st.DrawFn, sent: st.SearchStrategy[bytes]) -> tuple[bytes, ...]:
    """Requests on one connection, and the segments in which they arrive."""
    pieces = draw(st.lists(sent, min_size=1, max_size=4))
    pieces.append(
        draw(st.sampled_from((b"", b"", b"", b"\r\n", b"garbage", b"hello", b"GET /acme/ HTTP/1.1\r\nHo")))
    )
    cut = draw(st.sampled_from(("requests", "requests", "together", "bytes", "halves", "anywhere")))
    if cut == "requests":
        return tuple(pieces)
    data = b"".join(pieces)
    if cut == "together":
        return (data,)
    if cut == "bytes":
        return tuple(data[start : start + 1] for start in range(min(len(data), 3000)))
    if cut == "halves":
        # Each segment is the rest of a request and half of the next.
        middles = [len(b"".join(pieces[:number])) + len(piece) // 2 for number, piece in enumerate(pieces)]
    else:
        middles = sorted(draw(st.lists(st.integers(0, len(data)), max_size=6)))
    edges = [0, *middles, len(data)]
    return tuple(data[start:stop] for start, stop in pairwise(edges))


PROPERTY = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


class AlikeTests(SynchronousTestCase):
    """Both lanes answer byte for byte alike, and leave everything in the same state."""

    def test_plain(self) -> None:
        """What installers send is answered by the express lane: whole pages, and 304 for their tags."""
        pair = Pair()
        pair.warm()
        for path in PATHS:
            for lines in CLIENTS[:4]:
                pair.send(get(path, lines))
        self.assertEqual(len(PATHS) * 4, len(pair.passed))
        for spelled in (b"If-None-Match", b"if-none-match"):
            for position in range(len(POETRY_LINES) + 1):
                line = spelled + b": " + TAGS[b"@JSON-GZIP@"]
                with_tag = (*POETRY_LINES[:position], line, *POETRY_LINES[position:])
                (answer,) = answers(pair.send(get(b"/simple/acme/", with_tag)))
                self.assertEqual(304, answer.status)
        self.assertEqual(len(PATHS) * 4 + 2 * (len(POETRY_LINES) + 1), len(pair.passed))

    def test_every_odd_line(self) -> None:
        """Each odd header line at the beginning, in the midst and at the end of a plain request."""
        pair = Pair()
        pair.warm()
        for line in ODD_LINES:
            for lines in (POETRY_LINES, CURL_LINES, BARE_LINES):
                for position in (0, 1, len(lines)):
                    pair.connect()
                    before = len(pair.passed)
                    pair.send(tagged(get(b"/acme/", (*lines[:position], line, *lines[position:]))), pause=1.0)
                    if line.partition(b":")[0].lower() in ALWAYS_ORDINARY:
                        self.assertEqual(before, len(pair.passed))
                    pair.send(get())

    def test_every_target(self) -> None:
        """Each odd target in a plain request."""
        pair = Pair()
        pair.warm()
        for target in TARGETS:
            pair.connect()
            pair.send(get(target, UV_LINES), get())
        self.assertGreaterEqual(len(pair.passed), 2 * len(PATHS))

    @PROPERTY
    @given(conversations(requests()), st.booleans(), st.sampled_from((0.0, 1.0)))
    def test_conversations(self, segments: tuple[bytes, ...], is_warm: bool, pause: float) -> None:
        """Whatever is sent, however it is cut."""
        pair = Pair()
        if is_warm:
            pair.warm((b"/", b"/acme/"))
        pair.send(*segments, pause=pause)
        pair.send(get())

    @PROPERTY
    @given(conversations(mutated()), st.booleans())
    def test_mutations(self, segments: tuple[bytes, ...], is_warm: bool) -> None:
        """A few bytes of a plain request changed."""
        pair = Pair()
        if is_warm:
            pair.warm((b"/", b"/acme/"))
        pair.send(*segments)
        pair.send(get())

    def test_every_cut(self) -> None:
        """Two requests cut in two at every byte, and byte by byte."""
        pair = Pair()
        pair.warm()
        data = get(b"/acme/", CURL_LINES) + get(b"/simple/", CURL_LINES)
        for cut in range(1, len(data)):
            pair.connect()
            pair.send(data[:cut], data[cut:])
        self.assertTrue(pair.passed)  # The cut between the two.
        pair.connect()
        pair.send(*(data[start : start + 1] for start in range(len(data))))
        before = len(pair.passed)
        pair.send(get())
        self.assertEqual(before + 1, len(pair.passed))

    def test_pipelined_behind_one_that_waits(self) -> None:
        """What arrives while an answer is awaited comes after it."""
        pair = Pair()
        pair.warm()
        pair.source.gate = Deferred()
        gate = pair.source.gate
        pair.send(get(b"/nothing/"), get(b"/acme/"), get(b"/"))
        pair.source.gate = None
        gate.callback(None)
        self.assertEqual([404, 200, 200], [answer.status for answer in answers(pair.compared())])

    def test_behind_a_body(self) -> None:
        """What arrives in one segment with the end of a body is answered after its request."""
        pair = Pair()
        pair.warm()
        post = b"POST /acme/ HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"
        came = pair.send(post, b"ab" + get(), get())
        self.assertEqual([405, 200, 200], [answer.status for answer in answers(came)])
        self.assertEqual(2, len(pair.passed))


class FreshnessTests(SynchronousTestCase):
    """The express lane answers from what the source says now, or not at all."""

    def setUp(self) -> None:
        self.pair = Pair()
        self.pair.warm()

    def test_change(self) -> None:
        """A page that changed is not answered from memory, nor by its old tag; rendered anew, it is express again."""
        for path, more in ((b"/acme/", b"acme-2.0.tar.gz"), (b"/", b"other-1.0.tar.gz")):
            tag = answers(self.pair.send(get(path)))[0].headers[b"etag"]
            before = len(self.pair.passed)
            self.pair.source.add(more.decode())
            (answer,) = answers(self.pair.send(get(path, POETRY_LINES, b"If-None-Match: " + tag)))
            self.assertEqual(200, answer.status)
            self.assertEqual(before, len(self.pair.passed))
            (answer,) = answers(self.pair.send(get(path, CURL_LINES)))
            self.assertIn(more.partition(b"-")[0], answer.body)
            (answer,) = answers(self.pair.send(get(path, CURL_LINES)))
            self.assertIn(more.partition(b"-")[0], answer.body)
            self.assertEqual(before + 1, len(self.pair.passed))

    def test_errors(self) -> None:
        """What is not an answer is the ordinary lane's: refused, not here, not known now, and a surprise."""
        errors = (
            (NotHere("project acme"), 404),
            (NotAllowed("No."), 403),
            (Unavailable("Later.", retry_after=3), 503),
            (Changed("x"), 503),
            (RuntimeError("surprise"), 500),
        )
        for error, status in errors:
            self.pair.source.error = error
            for path in (b"/", b"/acme/"):
                (answer,) = answers(self.pair.send(get(path)))
                self.assertEqual(status, answer.status)
        self.assertEqual([], self.pair.passed)

    def test_waiting(self) -> None:
        """A source that has to wait is asked by the ordinary lane alone, once."""
        for path in (b"/", b"/acme/"):
            gate = self.pair.source.gate = Deferred()
            self.pair.source.asked.clear()
            self.assertEqual(b"", self.pair.send(get(path)))
            self.assertEqual(2, len(self.pair.source.asked))  # Each side once.
            self.pair.source.gate = None
            gate.callback(None)
            self.assertEqual(200, answers(self.pair.compared())[0].status)
        self.assertEqual([], self.pair.passed)

    def test_stale(self) -> None:
        """What may be outdated is not for keeping, and the ordinary lane's."""
        acme = self.pair.source.pages["acme"]
        self.pair.source.stale = True
        self.pair.source.put(replace(acme, stale=True))
        for _ in range(2):
            for path in (b"/", b"/acme/"):
                (answer,) = answers(self.pair.send(get(path)))
                self.assertEqual(b"no-store", answer.headers[b"cache-control"])
        self.assertEqual([], self.pair.passed)

    def test_quarantine(self) -> None:
        """A project that is shut from one request to the next."""
        self.pair.send(get())
        self.pair.source.put(replace(self.pair.source.pages["acme"], files=(), status=Status.QUARANTINED))
        self.pair.send(get(), get())
        self.assertEqual(2, len(self.pair.passed))

    def test_settings(self) -> None:
        """New settings hold from the next request on."""
        self.pair.send(get(), get(b"/acme/", POETRY_LINES))
        sides = (self.pair.ordinary.index, self.pair.express.index)
        for cors in ("https://a.example", None, "https://100%.example/\N{SNOWMAN}", "*"):
            for side in sides:
                side.resource.cors = cors
            came = self.pair.send(get(), get(b"/acme/", POETRY_LINES, tagged(b"If-None-Match: @JSON-GZIP@")))
            self.assertEqual(cors is not None, b"access-control-allow-origin" in came.lower())
        self.assertEqual(10, len(self.pair.passed))
        for side in sides:
            side.listings.forget(base_url="https://new.example/", cache_size=1_000_000)
        for path in (b"/acme/", b"/"):
            self.pair.send(get(path), get(path))
        self.assertEqual(12, len(self.pair.passed))
        for side in sides:
            side.listings.forget(base_url=None, cache_size=0)
        self.pair.send(get(), get())
        self.assertEqual(12, len(self.pair.passed))


class ConnectionTests(SynchronousTestCase):
    """The express lane in each phase of a connection."""

    def setUp(self) -> None:
        self.pair = Pair()
        self.pair.warm()

    def wait(self, seconds: float) -> None:
        for side in (self.pair.ordinary, self.pair.express):
            side.index.clock.advance(seconds)

    def big(self, size: int) -> bytes:
        """Make /big/ a page of more than so many bytes, and render it; return a request for it."""
        project = self.pair.source.pages["acme"]
        files = tuple(
            replace(project.files[0], filename=f"big-{number}.tar.gz", version=str(number))
            for number in range(size // 300 + 1)
        )
        self.pair.source.add("big-1.0.tar.gz")
        self.pair.source.put(replace(self.pair.source.pages["big"], files=files))
        (answer,) = answers(self.pair.send(get(b"/big/", CURL_LINES)))
        self.assertGreater(len(answer.body), size)
        return get(b"/big/", CURL_LINES)

    def test_alarms(self) -> None:
        """The first request may take 20 s to come; each answer begins 75 idle seconds."""
        self.wait(limits.HEAD_SECONDS - 1)
        for _ in range(3):
            self.pair.send(get())
            self.assertIs(Phase.IDLE, self.pair.express.transport.channel.phase)
            self.wait(limits.IDLE_SECONDS - 1)
            self.pair.compared()
        self.wait(1)
        self.pair.compared()
        self.assertTrue(self.pair.express.transport.gone)
        self.assertEqual(3, len(self.pair.passed))

    def test_header_deadline_after_express(self) -> None:
        """Half a request behind an express answer has its 20 s."""
        self.pair.send(get(), get()[:20])
        self.wait(limits.HEAD_SECONDS - 1)
        self.pair.compared()
        self.wait(1)
        self.assertEqual(408, answers(self.pair.compared())[0].status)

    def test_empty_line_before(self) -> None:
        """The one empty line that Twisted forgives."""
        self.pair.send(get(), b"\r\n", get(), b"\r\n" + get(), get() + b"\r\n", get())
        self.pair.send(b"\r\n\r\n", get())

    def test_draining(self) -> None:
        """At the end idle connections close, and the last answer says so."""
        self.pair.send(get())
        for side in (self.pair.ordinary, self.pair.express):
            side.transport.channel.phase = Phase.HEAD
            side.index.site.drain()
            side.transport.channel.phase = Phase.IDLE
        (answer,) = answers(self.pair.send(get()))
        self.assertEqual(b"close", answer.headers[b"connection"])
        self.assertTrue(self.pair.express.transport.gone)
        self.assertEqual(1, len(self.pair.passed))

    def test_drain_during_large_answer(self) -> None:
        """A large page that is on its way arrives whole though the server ends."""
        request = self.big(300_000)
        for side in (self.pair.ordinary, self.pair.express):
            side.send(request)
            side.index.site.drain()
        (answer,) = answers(self.pair.compared())
        self.assertEqual(200, answer.status)
        self.assertTrue(self.pair.express.transport.gone)

    def test_many_sizes(self) -> None:
        """Pages around the size of a slice, and far beyond, taken slowly, with a request behind."""
        for size in (20_000, 60_000, 64_000, 66_000, 130_000, 300_000):
            self.pair.connect()
            request = self.big(size)
            self.pair.send(request, request, get(), request + request + request)
        self.assertTrue(self.pair.passed)

    def test_never_reads(self) -> None:
        """1,500 requests one per segment, of a client that never reads: as much is held as the ordinary lane holds."""
        request = self.big(40_000)
        self.pair.connect()
        left = [1500, 1500]
        sides = (self.pair.ordinary, self.pair.express)
        for number, side in enumerate(sides):
            while left[number] and side.transport.reading:
                side.send(request)
                left[number] -= 1
        self.assertEqual(left[0], left[1])
        self.assertLess(sides[1].transport.most, 3 * limits.SLICE_BYTES)
        self.pair.compared()
        self.assertTrue(sides[1].transport.reading)
        self.pair.send(request)

    def test_cannot_stop_the_client(self) -> None:
        """Data that still comes while the transport is full, as it does over TLS, is not answered before there is room."""
        request = self.big(40_000)
        self.pair.connect()
        for _ in range(100):
            for side in (self.pair.ordinary, self.pair.express):
                side.send(request)
        self.assertLess(self.pair.express.transport.most, 4 * limits.SLICE_BYTES)
        self.assertEqual(100, len(answers(self.pair.compared())))

    def test_client_takes_nothing(self) -> None:
        """A full transport has 60 s to empty."""
        request = self.big(40_000)
        self.pair.connect()
        for side in (self.pair.ordinary, self.pair.express):
            for _ in range(3):
                side.send(request)
            side.index.clock.advance(limits.WRITE_SECONDS - 1)
            self.assertFalse(side.transport.aborted)
            side.index.clock.advance(1)
            self.assertTrue(side.transport.aborted)
            side.index.clock.advance(0)
        self.pair.compared()

    def test_client_leaves(self) -> None:
        """Nothing is left of a connection that is gone."""
        self.pair.send(get())
        for side in (self.pair.ordinary, self.pair.express):
            side.transport.leave()
        self.pair.compared()
        self.assertEqual([], self.pair.express.index.clock.getDelayedCalls())
        self.assertEqual(0, len(self.pair.express.index.site.connections))

    def test_without_log(self) -> None:
        """Without an access log nothing is told."""
        self.pair.express.index.site.access_log = None
        self.pair.express.send(get())
        self.assertEqual(1, len(self.pair.passed))
        self.assertEqual([], self.pair.express.log)


class MemoryTests(SynchronousTestCase):
    """What is remembered is bounded, and no secret is."""

    def test_no_secret(self) -> None:
        """A block with a field that is not known is not remembered, nor is a query."""
        pair = Pair()
        pair.warm()
        for line in (
            b"Authorization: Basic SECRET",
            b"authorization: Bearer SECRET",
            b"Cookie: a=SECRET",
            b"Proxy-Authorization: Basic SECRET",
            b"X-Api-Key: SECRET",
            b'If-None-Match: "SECRET"',
            b'If-None-Match: "SECRET", "x"',
            b"Host: SECRET",
            b"Connection: SECRET",
        ):
            for position in (0, 1, len(PIP_LINES)):
                pair.send(get(b"/acme/", (*PIP_LINES[:position], line, *PIP_LINES[position:])))
                pair.connect()
        pair.send(get(b"/acme/?token=SECRET"), get(b"/acme/#SECRET"), get(b"http://u:SECRET@h/acme/"))
        express = pair.express.express
        assert express is not None
        self.assertNotIn(b"SECRET", held_by(express))
        self.assertIn(b"pip/26.0", held_by(express))

    def test_bounded(self) -> None:
        """Ever new blocks and lines, of every length, hold no more than both memories may, and some fixed things."""
        most = 256 * 1024
        self.patch(express_module, "_MOST_BYTES", most)
        for size in (1, 60, 700, 3_500):
            pair = Pair()
            pair.warm((b"/acme/",))
            express = pair.express.express
            assert express is not None
            express.answer(get())
            tracemalloc.start()
            try:
                for number in range(2 * most // size if size > 100 else 3_000):
                    text = (b"%x" % number).rjust(size, b"x")
                    express.answer(get(b"/", (b"Host: a", b"User-Agent: " + text)))
                    express.answer(get(b"/" + text + b"/", (b"Host: a",)))
                held, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            self.assertLess(held, 2 * most + 100_000, size)


def held_by(express: Express) -> bytes:
    """Whatever an express lane remembers, as text."""
    return repr([value for value in vars(express).values() if isinstance(value, dict)]).encode()


class TlsTests(SynchronousTestCase):
    """The same through Twisted's TLS, which hands on each record by itself and cannot be paused in between."""

    contexts = Contexts()

    def setUp(self) -> None:
        self.pair = Pair()
        self.pair.warm()
        sides = (self.pair.ordinary, self.pair.express)
        self.ends = [TlsEnd(side.index, self.contexts) for side in sides]

    def exchange(self, *records: bytes) -> bytes:
        """Send these records to both, take everything, compare it, and return it."""
        expected, got = (undated(end.exchange(records)) for end in self.ends)
        self.assertEqual(expected, got)
        self.assertEqual(self.pair.ordinary.log, self.pair.express.log)
        return got

    def test_one_by_one(self) -> None:
        """A request in a record."""
        for path in PATHS:
            self.exchange(get(path), get(path, CURL_LINES))
        self.assertEqual(2 * len(PATHS), len(self.pair.passed))

    def test_cut(self) -> None:
        """Requests over several records, and several in one."""
        data = get() + get(b"/", CURL_LINES)
        self.exchange(data[:100], data[100:], data + data, get())
        self.assertEqual(1, len(self.pair.passed))

    def test_never_reads(self) -> None:
        """1,500 requests, one per record, of a client that reads late: all are answered, in order, by little memory."""
        for side in (self.pair.ordinary, self.pair.express):
            side.index.site.access_log = None
        request = get(b"/acme/", CURL_LINES)
        came = self.exchange(*[request, get(b"/", CURL_LINES)] * 750)
        found = answers(came)
        self.assertEqual(1500, len(found))
        self.assertEqual(
            2, len({answer.body for answer in found[::2]} | {answer.body for answer in found[1::2]})
        )
        for end in self.ends:
            self.assertLess(end.transport.most, 6 * limits.SLICE_BYTES)


class TlsEnd:
    """A client's end of a TLS connection to a site."""

    def __init__(self, index: Index, contexts: Contexts) -> None:
        clock: Any = index.clock
        self._clock = index.clock
        self._tls: Any = TLSMemoryBIOFactory(contexts, False, index.site, clock).buildProtocol(FAR)
        self.transport = SocketTransport(index.clock, self._tls, FAR)
        self._tls.makeConnection(self.transport)
        self._client = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
        self._client.set_connect_state()
        for _ in range(2):
            with contextlib.suppress(SSL.WantReadError):
                self._client.do_handshake()
            self._deliver()
            self._client.bio_write(self.transport.take())

    def exchange(self, records: Iterable[bytes]) -> bytes:
        """Send records, all before anything is read; return what comes."""
        for record in records:
            self._client.send(record)
        self._deliver()
        self._clock.advance(0)
        plain = bytearray()
        while wire := self.transport.take():
            self._client.bio_write(wire)
            with contextlib.suppress(SSL.WantReadError):
                while True:
                    plain += self._client.recv(limits.SLICE_BYTES)
            self._clock.advance(0)
        return bytes(plain)

    def _deliver(self) -> None:
        with contextlib.suppress(SSL.WantReadError):
            while True:
                self._tls.dataReceived(self._client.bio_read(limits.SLICE_BYTES))


class NoReaders:
    """A reactor that reads nothing: requests drain the events themselves."""

    def addReader(self, reader: object) -> None:
        pass

    def removeReader(self, reader: object) -> None:
        pass


class LiveTests(SynchronousTestCase):
    """Over a real directory."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp())
        self.root.mkdir(parents=True)
        add_wheel(self.root)
        self.world = World(self.root.absolute())

    def pair_over(self) -> Pair:
        """Two sites over the one live directory, warmed."""
        source = LocalSource(self.world.live, self.world.directory, self.world.reads)
        pair = Pair(source)
        pair.warm((b"/", b"/acme/"))
        return pair

    def listed(self, pair: Pair, path: bytes) -> bytes:
        """The body of a page."""
        (answer,) = answers(pair.send(get(path, CURL_LINES)))
        self.assertEqual(200, answer.status)
        return answer.body

    def test_watched(self) -> None:
        """With the kernel's events a finished copy is in the very next answer, and what does not change is express."""
        readers: Any = NoReaders()
        watch = InotifyWatch(readers, str(self.world.root), self.world.live)
        watch.start()
        self.addCleanup(watch.stop)
        self.world.watch = watch
        self.world.begin()
        pair = self.pair_over()
        for number in range(2, 12):
            self.assertNotIn(b"acme-%d.0" % number, self.listed(pair, b"/acme/"))
            self.assertEqual(number - 1, len(pair.passed))
            add_wheel(self.root, "acme", f"{number}.0")
            self.assertIn(b"acme-%d.0" % number, self.listed(pair, b"/acme/"))
        pair.passed.clear()
        for number in range(5):
            self.assertNotIn(b"new%d" % number, self.listed(pair, b"/"))
            add_wheel(self.root, f"new{number}")
            self.assertIn(b"new%d" % number, self.listed(pair, b"/"))
        self.assertEqual(5, len(pair.passed))
        (self.root / "acme" / wheel_name("acme", "3.0")).unlink()
        self.assertNotIn(b"acme-3.0", self.listed(pair, b"/acme/"))
        self.world.live.stop()

    def test_polled(self) -> None:
        """While the directory is swept the ordinary lane looks, once for each request, and the express lane does not."""
        self.world.live.polling = True
        self.world.begin()
        pair = self.pair_over()
        for path in (b"/", b"/acme/"):
            self.world.reads.held = True
            pair.express.send(get(path, CURL_LINES))
            self.assertEqual(1, len(self.world.reads.calls))
            self.world.reads.release()
            (answer,) = answers(pair.express.transport.take())
            self.assertEqual(200, answer.status)
        self.assertEqual([], pair.passed)
        add_wheel(self.root, "acme", "2.0")
        pair.express.send(get(b"/acme/", CURL_LINES))
        (answer,) = answers(pair.express.transport.take())
        self.assertIn(b"acme-2.0", answer.body)

    def test_not_yet_read(self) -> None:
        """Before the first reading is complete the ordinary lane says so, and nothing of ours goes on behind it."""
        self.world.reads.held = True
        self.world.begin()
        source = LocalSource(self.world.live, self.world.directory, self.world.reads)
        pair = Pair(source)
        for path in (b"/", b"/acme/"):
            pair.send(get(path, CURL_LINES))
            pair.connect()
        self.assertEqual([], pair.passed)
        self.world.clock.advance(LONGEST_WAIT)
        self.world.reads.release()
        self.assertIn(b"acme-1.0", self.listed(pair, b"/acme/"))

    def test_lost_root(self) -> None:
        """A root that is gone is answered with 503 by the ordinary lane."""
        self.world.begin()
        pair = self.pair_over()
        self.listed(pair, b"/acme/")
        self.root.rename(self.root.with_name("elsewhere"))
        self.world.live.everything_changed()
        for path in (b"/", b"/acme/"):
            (answer,) = answers(pair.send(get(path)))
            self.assertEqual(503, answer.status)
        self.assertEqual(1, len(pair.passed))
