"""Both lanes answer byte for byte alike, whatever is sent in whatever segments, and leave everything in the same state."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.fixtures.connection import answers
from tests.fixtures.depth import number_of, part
from tests.fixtures.people_site import open_all_people_pages
from tests.fixtures.two_lanes import (
    BARE_LINES,
    CLIENTS,
    CURL_LINES,
    PATHS,
    PEOPLE,
    PEOPLE_PATHS,
    POETRY_LINES,
    TAGS,
    UV_LINES,
    WHEEL,
    Pair,
    get,
    tagged,
)

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
    b"/acme/?format=nothing",
    b"/?q=acme",
    b"/?login",
    b"/acme/1.0/",
    b"/acme/1.0",
    b"/acme/v1.0/",
    b"/acme/9.0/",
    b"/ACME/1.0/",
    b"/simple/acme/1.0/",
    b"/nothing/1.0/",
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
    b"Host : a",
    b"Accept : text/html",
    b"User-Agent\t: a",
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
    b"Referer: https://user:word@elsewhere.example/?token=x",
    b"referer: https://elsewhere.example/",
    b"REFERER: x",
    b"Referer:  x",
    b"Referer: x ",
    b"Referer: ",
    b"Referer: caf\xe9",
    b"Referer: a\r\n b",
    b"Referer: a\nb",
    b"Sec-Fetch-Dest: document",
    b"sec-fetch-dest: Document",
    b"Sec-Fetch-Dest: document ",
    b"Sec-Fetch-Dest: iframe",
    b"Sec-Fetch-Dest: empty",
    b"Sec-Fetch-Mode: navigate",
    b"Sec-Fetch-Mode: cors",
    b"Sec-Fetch-Mode: same-origin",
    b"Sec-Fetch-Mode: no-cors",
    b"Sec-Fetch-Site: cross-site",
    b"Sec-Fetch-User: ?1",
    b"Sec-Purpose: prefetch",
    b"Sec-GPC: 1",
    b"sec-ch-ua: x",
    b"Upgrade-Insecure-Requests: 1",
    b"Accept: application/xhtml+xml",
    b"Accept: application/xhtml+xml;q=0, */*",
    b"Accept: TEXT/HTML,APPLICATION/XHTML+XML",
    b"Accept-Encoding: br",
    b"If-None-Match: @PERSON@",
    b"if-none-match: @FRONT@",
    b"If-None-Match: @RELEASE@",
    b"If-None-Match: W/@PERSON@",
    b'If-None-Match: "other", @PERSON@, @FRONT@, @RELEASE@',
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
    more = draw(st.sampled_from((b"", b"If-None-Match: @JSON@", b"if-none-match: @PERSON@", b"Referer: x")))
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


PROPERTY = settings(max_examples=number_of(100), deadline=None, suppress_health_check=list(HealthCheck))


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
        pair = Pair(people=open_all_people_pages)
        pair.warm()
        places = [
            (line, lines, position)
            for line in ODD_LINES
            for lines in (POETRY_LINES, CURL_LINES, *PEOPLE[1:], BARE_LINES, ())
            for position in (0, 1, len(lines))
        ]
        # With this step each line is in two or three of its places, and all the places are tried.
        for line, lines, position in part(places, 7, "odd lines"):
            pair.connect()
            before = len(pair.passed)
            pair.send(tagged(get(b"/acme/", (*lines[:position], line, *lines[position:]))), pause=1.0)
            if line.partition(b":")[0].lower() in ALWAYS_ORDINARY:
                self.assertEqual(before, len(pair.passed))
            pair.send(get())

    def test_every_target(self) -> None:
        """Each odd target in a plain request of a tool and of a browser."""
        pair = Pair(people=open_all_people_pages)
        pair.warm()
        for target in TARGETS:
            for lines in (UV_LINES, PEOPLE[0]):
                pair.connect()
                pair.send(get(target, lines), get())
        self.assertGreaterEqual(len(pair.passed), 4 * len(PATHS))

    def test_plain_pages_for_people(self) -> None:
        """What browsers send is answered by the express lane: whole pages, and 304 for their tags, wherever they come from."""
        pair = Pair(people=open_all_people_pages)
        pair.warm((*PATHS, b"/acme/1.0/"))
        for path in PEOPLE_PATHS:
            for lines in PEOPLE:
                (answer,) = answers(pair.send(get(path, lines)))
                self.assertTrue(answer.headers[b"cache-control"].startswith(b"private"))
                for more in ((), (b"Referer: https://elsewhere.example/",), (b"referer: x",)):
                    pair.send(get(path, lines, *more))
                    tag = b"If-None-Match: " + answer.headers[b"etag"]
                    for tags in ((tag,), (tag + b', "x"',), (tag.replace(b": ", b": W/"),)):
                        (unchanged,) = answers(pair.send(get(path, lines, *tags, *more)))
                        self.assertEqual(304, unchanged.status)
        # Firefox' lines have a Referer: with another one they are nobody's.
        self.assertEqual(len(PEOPLE_PATHS) * (2 * (1 + 3 * 4) + 1 + 1 * 4), len(pair.passed))
        self.assertEqual(
            {b"x", b"https://elsewhere.example/", None},
            {entry[6] for entry in pair.express.log} & {b"x", b"https://elsewhere.example/", None},
        )

    def test_a_page_that_is_not_kept_is_rendered_once(self) -> None:
        """What the express lane began, and has to wait, is continued by the ordinary lane, and not begun again."""
        for path in PEOPLE_PATHS:
            pair = Pair(people=open_all_people_pages)
            gate = pair.source.gate = Deferred()
            self.assertEqual(b"", pair.send(get(path, PEOPLE[0])))
            self.assertEqual(2, len(pair.source.asked))  # Each side once.
            pair.source.gate = None
            gate.callback(None)
            (answer,) = answers(pair.compared())
            self.assertEqual(200, answer.status)
            self.assertEqual([], pair.passed)
            # Each side asked each question as often as the other.
            self.assertEqual({0}, {count % 2 for count in Counter(pair.source.asked).values()})
            pair.send(get(path, PEOPLE[0]))
            self.assertEqual(1, len(pair.passed))

    @PROPERTY
    @given(conversations(requests()), st.booleans(), st.sampled_from((0.0, 1.0)), st.booleans())
    def test_conversations(
        self, segments: tuple[bytes, ...], is_warm: bool, pause: float, has_people: bool
    ) -> None:
        """Whatever is sent, however it is cut."""
        pair = Pair(people=open_all_people_pages if has_people else None)
        if is_warm:
            pair.warm((b"/", b"/acme/"))
        pair.send(*segments, pause=pause)
        pair.send(get())

    @PROPERTY
    @given(conversations(mutated()), st.booleans(), st.booleans())
    def test_mutations(self, segments: tuple[bytes, ...], is_warm: bool, has_people: bool) -> None:
        """A few bytes of a plain request changed."""
        pair = Pair(people=open_all_people_pages if has_people else None)
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

    def test_tag_behind_the_end(self) -> None:
        """What looks like a tag, but stands behind a request, is no part of it: nothing is cut out across its end."""
        pair = Pair()
        pair.warm()
        pair.send(get(b"/acme/", CURL_LINES))
        for end in (b"\r\n", b"\r\n\r\n", b"\n", b"\r", b""):
            for spelled in (b"If-None-Match: @JSON@", b"if-none-match: @JSON@"):
                for between in (b"", b"\r\n", b"\r", b"\n"):
                    pair.connect()
                    pair.send(get(b"/acme/", CURL_LINES) + between + tagged(spelled) + end)
                    pair.connect()
                    lines = get(b"/acme/", CURL_LINES).removesuffix(b"\r\n")
                    pair.send(lines + between + tagged(spelled) + end)
        self.assertEqual(3, len(pair.passed))  # The first, and the two that are whole requests with a tag.

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
