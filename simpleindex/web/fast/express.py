"""The express lane: an optimisation that can be deleted, and nothing but speed would change.

Most requests of an installer, and of a browser that opens a page for people, are whole, single, anonymous GETs of a page, with
the same few headers each time. They are answered here from their bytes, with one write, instead of through Twisted's parser and request. Whatever is not exactly of
that kind is left to the ordinary lane, and not remembered (so no secret is). The answer is byte for byte the ordinary
lane's, which a property test holds; it is as fresh, since the same source answers every time.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from twisted.web.http import datetimeToString
from twisted.web.http_headers import Headers

from simpleindex.core.errors import SimpleIndexError
from simpleindex.web.fast.header_blocks import IF_NONE_MATCH, REFERER, cut_out, read_block
from simpleindex.web.http.response import RequestInfo, RequestRecord
from simpleindex.web.routing.routes import ProjectRoute, ReleaseRoute, RootRoute
from simpleindex.web.routing.targets import route

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IAddress

    from simpleindex.web.fast.header_blocks import Fields
    from simpleindex.web.http.channel import IndexChannel
    from simpleindex.web.http.response import Response
    from simpleindex.web.listing_forms import ListingForm
    from simpleindex.web.listings import Listings, Page
    from simpleindex.web.people.page_request import PageForm
    from simpleindex.web.people.pages import PeoplePages

    Also = tuple[tuple[str, str], ...]

_Value = TypeVar("_Value")

_LINE_END: Final = b"/ HTTP/1.1"
_END: Final = b"\r\n\r\n"

_LONGEST: Final = 4096
"""Bytes of a request; pip's, which describes its whole platform, has 700."""

_MOST_BYTES: Final = 4 * 1024 * 1024
"""Bytes that each memory holds at most: the lines of 14,000 projects, or the headers of 1,500 kinds of clients."""

_LINE_BYTES: Final = 256
_BLOCK_BYTES: Final = 1536
"""What an entry takes in CPython beside twice its own length; the memory test says so."""

_REQUEST_LINE: Final = re.compile(rb"GET (/[A-Za-z0-9._/-]*) HTTP/1\.1\Z")
_TARGET: Final = slice(len(b"GET "), -len(b" HTTP/1.1"))
"""Where a request line of that kind has its target."""

# A list, a weak tag or a star is the ordinary lane's where the simple page is shown.
_ONE_TAG: Final = re.compile(rb'"[!#-~]*"\Z')

_TAG: Final = '"\x01"'
"""Stands in a template where a page's tag goes."""


class Heads(NamedTuple):
    """The heads of answers in one form, without their beginnings, and cut where something is put in.

    Attributes:
        full: A whole page's: up to its tag, and from there to its length, which is its end.
        unchanged: A 304's: up to its tag, and from there to its end.
    """

    full: tuple[bytes, bytes]
    unchanged: tuple[bytes, bytes]


class Judged(NamedTuple):
    """A header block, judged once and remembered by its exact bytes.

    Attributes:
        form: The form in which its sender gets simple pages.
        fields: Its fields.
        person_form: The form in which its sender gets pages for people; None for tools, which get the simple page everywhere.
    """

    form: ListingForm
    fields: Fields
    person_form: PageForm | None


Target = RootRoute | ProjectRoute | ReleaseRoute
"""What a request line of this lane leads to."""

Passed = tuple[bytes, bytes, int, int, "Fields", Target]
"""An answer of the express lane: all its bytes, the request's first line, the status, the bytes of the body, the request's
fields, and its target. A plain tuple, because to make a named one is a function call with every page."""


class PassedRequest:
    """A request that is over, as its observers need it; made only where there are any.

    Args:
        address: The client's.
        received: When it came, in seconds of the reactor's clock.
        passed: The answer.
    """

    method = b"GET"
    clientproto = b"HTTP/1.1"

    def __init__(self, address: IAddress, received: float, passed: Passed) -> None:
        _, line, self.code, self.sentLength, self.requestHeaders, page = passed
        self._address = address
        self.received = received
        self.record = RequestRecord(route=page)
        self.uri = line[_TARGET]

    def getClientAddress(self) -> IAddress:
        return self._address

    def getHeader(self, name: bytes) -> bytes | None:
        return self.requestHeaders.get(name.lower())


class Express:
    """Answers simple requests from their bytes.

    Args:
        listings: The simple pages; they alone know what is on them.
        people: The pages for people, which alone know what is on these; None if there are none.
        also: Gives the headers that every response carries.
    """

    def __init__(self, listings: Listings, people: PeoplePages | None, also: Callable[[], Also]) -> None:
        self._listings = listings
        self._people = people
        self._also = also
        self._blocks: _Memory[Judged] = _Memory(_BLOCK_BYTES)
        self._lines: _Memory[Target] = _Memory(_LINE_BYTES)
        # By whether the URL has the customary prefix, without which answers vary by more fields.
        self._heads: tuple[dict[ListingForm, Heads], dict[ListingForm, Heads]] = ({}, {})
        self._heads_also: Also | None = None
        self._second = 0
        self._full = self._unchanged = b""

    def serve(self, channel: IndexChannel, data: bytes) -> None:
        """Answer a request at once, or have the channel parse it; a page that was started is continued there.

        Args:
            channel: The connection, between two requests.
            data: What came.
        """
        site = channel.site
        received = site.reactor.seconds()
        passed = self.answer(data)
        if passed is None:
            try:
                channel.parse(data)
            finally:
                self._listings.drop_started()
                if self._people is not None:
                    self._people.drop_started()
            return
        channel.send_whole(passed[0], received)
        counts, observe = site.request_counts, site.request_over
        if counts is not None:
            counts.count(type(passed[5]), passed[2], passed[3], received)
        if observe is not None:
            observe(PassedRequest(channel.address, received, passed))

    def answer(self, data: bytes) -> Passed | None:
        """Answer a request, or leave it to the ordinary lane.

        Args:
            data: What came at the beginning of a request.
        """
        if len(data) > _LONGEST:
            return None
        end = data.find(b"\r\n")
        # Whatever is remembered was looked at whole: of what is found here no byte need be looked at again.
        line, block, tag = data[:end], data[end:], None
        page = self._lines.get(line) or self._read_line(line)
        if page is None:
            return None
        judged = self._blocks.get(block)
        if judged is None:
            found = self._look_into(block)
            if found is None:
                return None
            judged, tag = found
        form, fields, person_form = judged
        if person_form is not None and not page.is_simple:
            return self._answer_person(line, page, judged, tag)
        if type(page) is ReleaseRoute:
            return None  # Tools find nothing there.
        try:
            rendered = self._listings.begin(page, form)
        except Exception:  # noqa: BLE001  (the ordinary lane meets it again, and reports it)
            return None
        if rendered is None or rendered.subject.stale:
            return None
        if self._second != int(time.time()):
            self._begin_second()
        heads = self._heads_of(page, form)
        etag, body = rendered.etag.encode(), rendered.body
        if tag == etag:
            before, after = heads.unchanged
            wire = b"".join((self._unchanged, before, etag, after))
            return wire, line, 304, 0, fields, page
        if tag is not None and _ONE_TAG.match(tag) is None:
            return None
        if rendered.open_file is not None:
            return None  # No slower client may make the process hold all of it.
        before, after = heads.full
        wire = b"".join((self._full, before, etag, after, b"%d\r\n\r\n" % len(body), body))
        return wire, line, 200, len(body), fields, page

    def _answer_person(self, line: bytes, page: Target, judged: Judged, tag: bytes | None) -> Passed | None:
        fields = judged.fields if tag is None else judged.fields.joined_by(if_none_match=tag)
        if self._people is None or judged.person_form is None or fields is None:
            return None
        info = RequestInfo("GET", line[_TARGET], fields.text)
        try:
            response = self._people.begin(page, info, judged.person_form)
        except Exception:  # noqa: BLE001  (as above)
            return None
        # What others may read too carries more headers, and what is no page has another form for each client.
        if response is None or not response.is_private or not isinstance(response.body, bytes):
            return None
        if self._second != int(time.time()):
            self._begin_second()
        head = "".join([f"{name}: {value}\r\n" for name, value in response.headers]).encode("ascii")
        body = response.body
        if response.status == 304:
            return b"".join((self._unchanged, head, b"\r\n")), line, 304, 0, fields, page
        if response.status != 200:
            return None
        wire = b"".join((self._full, head, b"Content-Length: %d\r\n\r\n" % len(body), body))
        return wire, line, 200, len(body), fields, page

    def _begin_second(self) -> None:
        self._second = int(time.time())
        date = b"\r\nServer: simpleindex\r\nDate: %b\r\n" % datetimeToString(self._second)
        self._full = b"HTTP/1.1 200 OK" + date
        self._unchanged = b"HTTP/1.1 304 Not Modified" + date

    def _heads_of(self, page: Page, form: ListingForm) -> Heads:
        also = self._also()
        if also is not self._heads_also:
            self._heads_also = also
            self._heads = ({}, {})
        kept = self._heads[page.is_simple]
        heads = kept.get(form)
        if heads is None:
            full, unchanged = self._listings.full(page, _TAG, form), self._listings.unchanged(page, _TAG)
            heads = Heads(
                _cut_head(full, also, b"Content-Length: "),
                _cut_head(unchanged, also, b"\r\n"),
            )
            kept[form] = heads
        return heads

    def _look_into(self, block: bytes) -> tuple[Judged, bytes | None] | None:
        """Judge a block that did not come before in these very bytes; return it with its tag, or None if it is not of this lane."""
        if block.find(_END) != len(block) - len(_END):
            return None  # It is not whole, or something follows.
        block, tag = cut_out(block, IF_NONE_MATCH)
        judged = self._blocks.get(block)
        if judged is not None:
            return judged, tag
        block, referer = cut_out(block, REFERER)
        judged = self._blocks.get(block) or self._judge(block)
        if judged is None or referer is None:
            return None if judged is None else (judged, tag)
        fields = judged.fields.joined_by(referer=referer)
        return None if fields is None else (Judged(judged.form, fields, judged.person_form), tag)

    def _judge(self, block: bytes) -> Judged | None:
        fields = read_block(block)
        if fields is None:
            return None
        person_form = None if self._people is None else self._people.choose(fields.text)
        try:
            form = self._listings.choose(fields.text("accept"), None, fields.text("accept-encoding"))
        except SimpleIndexError:
            return None
        return self._blocks.keep(block, Judged(form, fields, person_form))

    def _read_line(self, line: bytes) -> Target | None:
        if not line.endswith(_LINE_END):
            return None  # A file's, most likely: pages end with a slash.
        match = _REQUEST_LINE.match(line)
        if match is None:
            return None
        try:
            found = route(match[1], self._listings.views)
        except SimpleIndexError:
            return None
        return self._lines.keep(line, found) if isinstance(found, Target) else None


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


def _cut_head(response: Response, also: Also, end: bytes) -> tuple[bytes, bytes]:
    """Return a response's head as Twisted writes it behind its date, cut in two where the tag goes."""
    headers = Headers()
    for name, value in (*response.headers, *also):
        headers.addRawHeader(name.encode("latin-1"), value.encode("latin-1", "replace"))
    fields = b"".join(
        b"%b: %b\r\n" % (name, value) for name, values in headers.getAllRawHeaders() for value in values
    )
    before, _, after = fields.partition(_TAG.encode())
    return before, after + end
