"""The express lane: an optimisation that can be deleted, and nothing but speed would change.

Most requests of an installer are whole, single, anonymous GETs of a page, with the same few headers each time. They are
answered here from their bytes, with one write, instead of through Twisted's parser and request. Whatever is not exactly of
that kind is left to the ordinary lane, and not remembered (so no secret is). The answer is byte for byte the ordinary
lane's, which a property test holds; it is as fresh, since the same source is asked every time.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from twisted.web.http import datetimeToString
from twisted.web.http_headers import Headers

from simpleindex.core.errors import SimpleIndexError
from simpleindex.web.routes import ProjectPage, Root, route

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.core.negotiation import Encoding, Representation
    from simpleindex.web.index import Listings, Page
    from simpleindex.web.response import Response

    Also = tuple[tuple[str, str], ...]

_Value = TypeVar("_Value")

_BEGINNING: Final = b"GET /"
_LINE_END: Final = b"/ HTTP/1.1"
_END: Final = b"\r\n\r\n"

_LONGEST: Final = 4096
"""Bytes of a request; pip's, which describes its whole platform, has 700."""

_MOST_BYTES: Final = 4 * 1024 * 1024
"""Bytes that each memory holds at most: the lines of 14,000 projects, or the headers of 1,500 kinds of clients."""

_LINE_BYTES: Final = 256
_BLOCK_BYTES: Final = 1536
"""What an entry takes in CPython beside twice its own length; the memory test says so."""

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


class Form:
    """A form of pages, and the heads of answers in it.

    Attributes:
        representation: Its content type.
        encoding: Its content encoding.
    """

    def __init__(self, representation: Representation, encoding: Encoding, listings: Listings) -> None:
        self.representation = representation
        self.encoding = encoding
        self._listings = listings
        self._also: Also | None = None
        self._heads = (b"", b"")

    def heads(self, also: Also) -> tuple[bytes, bytes]:
        """Give two templates of heads with headers that every response carries.

        Returns:
            A whole page's, without its date, tag and length, and a 304's, without its date and tag.
        """
        if also != self._also:
            self._also = also
            full = self._listings.full(_TAG, self.representation, self.encoding)
            unchanged = self._listings.unchanged(_TAG)
            self._heads = (
                _template(b"200 OK", full, also, b"Content-Length: %d\r\n"),
                _template(b"304 Not Modified", unchanged, also, b""),
            )
        return self._heads


class Judged(NamedTuple):
    """A header block, judged once and remembered by its exact bytes.

    Attributes:
        headers: Its fields, for the access log.
        form: What it asks for.
    """

    headers: Headers
    form: Form


class Passed(NamedTuple):
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

    def __init__(self, listings: Listings, also: Callable[[], Also]) -> None:
        self._listings = listings
        self._also = also
        self._blocks: _Memory[Judged] = _Memory(_BLOCK_BYTES)
        self._lines: _Memory[Page] = _Memory(_LINE_BYTES)
        self._forms: dict[tuple[Representation, Encoding], Form] = {}
        self._second = 0
        self._date = b""

    def answer(self, data: bytes) -> Passed | None:
        """Answer a request, or leave it to the ordinary lane.

        Args:
            data: What came at the beginning of a request.
        """
        if (
            len(data) > _LONGEST
            or not data.startswith(_BEGINNING)
            or data.find(_END) != len(data) - len(_END)
        ):
            return None
        end = data.find(b"\r\n")
        if not data.endswith(_LINE_END, 0, end):
            return None  # A file's, most likely: pages end with a slash.
        block, tag = data[end:-2], None
        judged = self._blocks.get(block)
        if judged is None:
            block, tag = _cut_tag(block)
            judged = self._blocks.get(block) or self._judge(block)
        line = data[:end]
        page = self._lines.get(line) or self._read_line(line)
        if judged is None or page is None:
            return None
        headers, form = judged
        try:
            rendered = self._listings.at_hand(page, form.representation, form.encoding)
        except Exception:  # noqa: BLE001  (the ordinary lane meets it again, and tells of it)
            return None
        if rendered is None:
            return None
        full, unchanged = form.heads(self._also())
        etag, body = rendered.etag.encode(), rendered.body
        if tag == etag:
            return Passed(unchanged % (self._now(), etag), line[4:-9], 304, 0, headers)
        head = full % (self._now(), etag, len(body))
        return Passed(head + body, line[4:-9], 200, len(body), headers)

    def _now(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second, self._date = second, datetimeToString(second)
        return self._date

    def _judge(self, block: bytes) -> Judged | None:
        fields: dict[bytes, bytes] = {}
        for line in block.split(b"\r\n")[1:-1]:
            match = _FIELD.match(line)
            if match is None or (name := match[1].lower()) not in _FIELDS or name in fields:
                return None
            fields[name] = match[2]
        if b"host" not in fields or fields.get(b"connection", b"keep-alive") != b"keep-alive":
            return None
        accept, accept_encoding = (_text(fields.get(name)) for name in (b"accept", b"accept-encoding"))
        try:
            chosen = self._listings.choose(accept, None, accept_encoding)
        except SimpleIndexError:
            return None
        form = self._forms.setdefault(chosen, Form(*chosen, self._listings))
        headers = Headers({name: [value] for name, value in fields.items()})
        return self._blocks.keep(block, Judged(headers, form))

    def _read_line(self, line: bytes) -> Page | None:
        match = _REQUEST_LINE.match(line)
        if match is None:
            return None
        try:
            found = route(match[1])
        except SimpleIndexError:
            return None
        return self._lines.keep(line, found) if isinstance(found, ProjectPage | Root) else None


class _Memory(dict[bytes, _Value], Generic[_Value]):
    """Forgets everything when it would hold too much: a client that never sends the same twice gains nothing here."""

    def __init__(self, entry_bytes: int) -> None:
        super().__init__()
        self._entry_bytes = entry_bytes
        self._size = 0

    def keep(self, key: bytes, value: _Value) -> _Value:
        size = self._entry_bytes + 2 * len(key)
        if self._size + size > _MOST_BYTES:
            self.clear()
            self._size = 0
        self._size += size
        self[key] = value
        return value


def _cut_tag(block: bytes) -> tuple[bytes, bytes | None]:
    """Take If-None-Match out, which differs from page to page, so that the rest is the same each time."""
    match = _IF_NONE_MATCH.search(block)
    if match is None:
        return block, None
    return block[: match.start()] + block[match.end() :], match[1]


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("ascii")


def _template(status: bytes, response: Response, also: Also, length: bytes) -> bytes:
    """A response's head as Twisted writes it, with places for the date, the tag and the length."""
    headers = Headers()
    for name, value in (*response.headers, *also):
        headers.addRawHeader(name.encode("latin-1"), value.encode("latin-1", "replace"))
    fields = b"".join(
        b"%b: %b\r\n" % (name, value) for name, values in headers.getAllRawHeaders() for value in values
    )
    fields = fields.replace(b"%", b"%%").replace(_TAG.encode(), b"%b")
    return b"HTTP/1.1 %b\r\nServer: simpleindex\r\nDate: %%b\r\n%b%b\r\n" % (status, fields, length)
