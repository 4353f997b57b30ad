"""The express lane: an optimisation that can be deleted, and nothing but speed would change.

Most requests of an installer are whole, single, anonymous GETs of a page, with the same few headers each time. They are
answered here from their bytes, with one write, instead of through Twisted's parser and request. Whatever is not exactly of
that kind is left to the ordinary lane, and not remembered (so no secret is). The answer is byte for byte the ordinary
lane's, which a property test holds; it is as fresh, since the same source is asked every time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from twisted.web.http import datetimeToString
from twisted.web.http_headers import Headers

from simpleindex.core.errors import SimpleIndexError
from simpleindex.web.routes import ProjectPage, Root, route

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from simpleindex.core.negotiation import Encoding, Representation
    from simpleindex.web.index import Listings, Rendered, Subject
    from simpleindex.web.response import Response

_END: Final = b"\r\n\r\n"

_LONGEST: Final = 4096
"""Bytes of a request; pip's, which describes its whole platform, has 700."""

_MOST_REMEMBERED: Final = 4096
"""Header blocks, and request lines; then everything is forgotten, since a client that varies them gains nothing."""

# Fields that decide nothing but what is judged here. All others, known or not, are the ordinary lane's.
_FIELDS: Final = frozenset(
    {
        b"host",
        b"user-agent",
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"connection",
        b"cache-control",
        b"dnt",
    }
)

# RFC 9112 section 5, in the one way that every client writes it: no space before the colon, no folding, no odd bytes.
_FIELD: Final = re.compile(rb"([A-Za-z-]+): ([!-~](?:[ -~]*[!-~])?)\Z")

_REQUEST_LINE: Final = re.compile(rb"GET (/[A-Za-z0-9._/-]*) HTTP/1\.1\Z")

# pip writes it in the one way, uv in the other. A list, a weak tag or a star is the ordinary lane's.
_IF_NONE_MATCH: Final = re.compile(rb'\r\n(?:If-None-Match|if-none-match): ("[!#-~]*")(?=\r\n)')

_TAG: Final = '"\x01"'
"""Stands in a template where a page's tag goes."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A header block, judged once and remembered by its exact bytes.

    Attributes:
        headers: Its fields, for the access log.
        representation: What its Accept asks for.
        encoding: What its Accept-Encoding asks for.
    """

    headers: Headers
    representation: Representation
    encoding: Encoding


@dataclass(frozen=True, slots=True)
class Passed:
    """An answer of the express lane.

    Attributes:
        wire: All its bytes.
        uri: What was asked for.
        code: Its status.
        body_size: Bytes of its body.
        headers: The request's.
    """

    wire: bytes
    uri: bytes
    code: int
    body_size: int
    headers: Headers


class PassedRequest:
    """What the access log wants to know of a request; made only where there is one."""

    method = b"GET"
    clientproto = b"HTTP/1.1"

    def __init__(self, transport: Any, passed: Passed) -> None:
        self._transport = transport
        self.uri = passed.uri
        self.code = passed.code
        self.sentLength = passed.body_size
        self.requestHeaders = passed.headers

    def getClientAddress(self) -> Any:
        return self._transport.getPeer()

    def getHeader(self, name: bytes) -> bytes | None:
        values = self.requestHeaders.getRawHeaders(name)
        return None if values is None else values[-1]


class Express:
    """Answers simple requests from their bytes.

    Args:
        listings: The pages; they alone know what is on them.
        also: Gives the headers that every response carries.
    """

    def __init__(self, listings: Listings, also: Callable[[], tuple[tuple[str, str], ...]]) -> None:
        self._listings = listings
        self._also = also
        self._blocks: dict[bytes, Judged] = {}
        self._lines: dict[bytes, ProjectPage | Root] = {}
        self._templates: dict[
            tuple[Representation, Encoding, tuple[tuple[str, str], ...]], tuple[bytes, bytes]
        ] = {}

    def answer(self, data: bytes) -> Passed | None:
        """Answer a request, or leave it to the ordinary lane.

        Args:
            data: What came at the beginning of a request.
        """
        if not data.startswith(b"GET /") or len(data) > _LONGEST or data.find(_END) != len(data) - 4:
            return None
        line, _, _ = data.partition(b"\r\n")
        block, tag = _cut_tag(data[len(line) : -2])
        judged = self._blocks.get(block) or self._judge(block)
        wanted = self._lines.get(line) or self._read_line(line)
        if judged is None or wanted is None:
            return None
        subject = _at_once(self._listings.subject(wanted))
        if subject is None or subject.stale:
            return None
        rendered = self._listings.kept(wanted, judged.representation, judged.encoding, subject)
        if rendered is None:
            return None
        return self._passed(judged, rendered, line[4:-9], tag)

    def _passed(self, judged: Judged, rendered: Rendered, uri: bytes, tag: bytes | None) -> Passed:
        full, unchanged = self._template(judged)
        etag = rendered.etag.encode()
        if tag == etag:
            return Passed(unchanged % (datetimeToString(), etag), uri, 304, 0, judged.headers)
        size = len(rendered.body)
        head = full % (datetimeToString(), etag, size)
        return Passed(head + rendered.body, uri, 200, size, judged.headers)

    def _template(self, judged: Judged) -> tuple[bytes, bytes]:
        also = self._also()
        key = (judged.representation, judged.encoding, also)
        made = self._templates.get(key)
        if made is None:
            full = self._listings.full(_TAG, judged.representation, judged.encoding)
            made = (
                _wire_head(b"200 OK", full, also, b"Content-Length: %d\r\n"),
                _wire_head(b"304 Not Modified", self._listings.unchanged(_TAG), also, b""),
            )
            self._templates[key] = made
        return made

    def _judge(self, block: bytes) -> Judged | None:
        headers = Headers()
        for line in block.split(b"\r\n")[1:-1]:
            match = _FIELD.match(line)
            if match is None or (name := match[1].lower()) not in _FIELDS or headers.hasHeader(name):
                return None
            headers.addRawHeader(name, match[2])
        if not headers.hasHeader(b"host") or headers.getRawHeaders("connection", ["keep-alive"]) != [
            "keep-alive"
        ]:
            return None
        accept, accept_encoding = (_only(headers, name) for name in ("accept", "accept-encoding"))
        try:
            judged = Judged(headers, *self._listings.choose(accept, None, accept_encoding))
        except SimpleIndexError:
            return None
        _remember(self._blocks, block, judged)
        return judged

    def _read_line(self, line: bytes) -> ProjectPage | Root | None:
        match = _REQUEST_LINE.match(line)
        if match is None:
            return None
        try:
            found = route(match[1])
        except SimpleIndexError:
            return None
        if not isinstance(found, ProjectPage | Root):
            return None
        _remember(self._lines, line, found)
        return found


def _cut_tag(block: bytes) -> tuple[bytes, bytes | None]:
    """Take If-None-Match out, which differs from page to page, so that the rest is the same each time."""
    match = _IF_NONE_MATCH.search(block)
    if match is None:
        return block, None
    return block[: match.start()] + block[match.end() :], match[1]


def _remember(memory: dict[bytes, Any], key: bytes, value: object) -> None:
    if len(memory) >= _MOST_REMEMBERED:
        memory.clear()
    memory[key] = value


def _only(headers: Headers, name: str) -> str | None:
    values = headers.getRawHeaders(name)
    return None if values is None else values[0]


def _at_once(asked: Coroutine[Any, Any, Subject]) -> Subject | None:
    """The answer of a source that answers without waiting; None if it has to wait, or refuses."""
    try:
        asked.send(None)
    except StopIteration as done:
        answer: Subject = done.value
        return answer
    except SimpleIndexError:
        return None
    asked.close()
    return None


def _wire_head(status: bytes, response: Response, also: tuple[tuple[str, str], ...], length: bytes) -> bytes:
    """A response's head as Twisted writes it, with places for the date, the tag and the length."""
    headers = Headers()
    for name, value in (*response.headers, *also):
        headers.addRawHeader(name.encode("latin-1"), value.encode("latin-1"))
    fields = b"".join(
        b"%b: %b\r\n" % (name, value) for name, values in headers.getAllRawHeaders() for value in values
    )
    fields = fields.replace(b"%", b"%%").replace(_TAG.encode(), b"%b")
    return b"HTTP/1.1 %b\r\nServer: simpleindex\r\nDate: %%b\r\n%b%b\r\n" % (status, fields, length)
