"""Two sites over one source, of which one has an express lane: everything is sent to both, and compared."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from simpleindex.core.model import Status
from simpleindex.web.fast.express import Express
from tests.web.memory_client import JSON, PIP, V1_HTML, Index
from tests.web.stub_source import StubSource

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simpleindex.web.fast.express import Passed
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

FORMS = {
    b"JSON": ("/acme/", JSON, ""),
    b"JSON-GZIP": ("/acme/", JSON, "gzip"),
    b"JSON-ZSTD": ("/acme/", JSON, "zstd"),
    b"HTML": ("/acme/", "text/html", ""),
    b"HTML-GZIP": ("/acme/", "text/html", "gzip"),
    b"V1": ("/acme/", V1_HTML, ""),
    b"ROOT": ("/", JSON, ""),
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
