"""Files over HTTP: whole, in ranges, conditional, and exactly the bytes that lie there."""

from __future__ import annotations

import hashlib
from email.utils import formatdate

import pytest

from simpleindex.core.errors import NotAllowed, Unavailable
from simpleindex.core.model import Status
from tests.fixtures.site import SiteFixture
from tests.fixtures.stub_source import UPLOADED, StubBody

WHEEL = "acme-1.0-py3-none-any.whl"
DATA = bytes(range(256)) * 2000
URL = f"/simple/acme/{WHEEL}"
ETAG = f'"{hashlib.sha256(DATA).hexdigest()}"'


@pytest.fixture
def index() -> SiteFixture:
    """An index of one wheel of 512,000 bytes, with what can lie beside it."""
    index = SiteFixture()
    index.source.add(WHEEL, DATA, metadata=b"Metadata-Version: 2.1\nName: \xc3\xa4\n")
    index.source.add("acme-1.0.tar.gz", b"\x1f\x8bsdist")
    index.source.bodies["acme", f"{WHEEL}.asc"] = StubBody(b"-----BEGIN PGP SIGNATURE-----\n")
    index.source.bodies["acme", f"{WHEEL}.sig"] = StubBody(b"\x89")
    index.source.bodies["acme", f"{WHEEL}.provenance"] = StubBody(b"{}")
    return index


def body_of(index: SiteFixture, filename: str = WHEEL) -> StubBody:
    """The body that stands behind a file of the project."""
    return index.source.bodies["acme", filename]


def assert_given_back(index: SiteFixture) -> None:
    """Every body that was opened was closed, once."""
    for body in index.source.bodies.values():
        assert body.opened == body.closed


@pytest.mark.parametrize("url", [URL, f"/acme/{WHEEL}"])
def test_whole(index: SiteFixture, url: str) -> None:
    """A file is its bytes, with their number, their digest as tag, and when it was uploaded."""
    reply = index.get(url, ("Accept-Encoding", "gzip, deflate, br, zstd"), ("Accept", "application/json"))
    assert reply.status == 200
    assert reply.body == DATA
    date = reply.headers.pop("date")
    assert date.endswith(" GMT")
    assert reply.headers == {
        "server": "simpleindex",
        "etag": ETAG,
        "cache-control": "no-cache",
        "last-modified": UPLOADED,
        "content-type": "application/octet-stream",
        "accept-ranges": "bytes",
        "x-content-type-options": "nosniff",
        "content-length": str(len(DATA)),
        "access-control-allow-origin": "*",
        "access-control-expose-headers": "ETag, Content-Length, Content-Range, Accept-Ranges",
    }
    assert_given_back(index)


@pytest.mark.parametrize(
    ("filename", "kind"),
    [
        (WHEEL, "application/octet-stream"),
        ("acme-1.0.tar.gz", "application/octet-stream"),
        (f"{WHEEL}.metadata", "text/plain; charset=utf-8"),
        (f"{WHEEL}.asc", "text/plain; charset=utf-8"),
        (f"{WHEEL}.sig", "application/octet-stream"),
        (f"{WHEEL}.provenance", "application/vnd.pypi.integrity.v1+json"),
    ],
)
def test_type(index: SiteFixture, filename: str, kind: str) -> None:
    """Distributions are only bytes to everybody, what lies beside them is what it is; none is encoded."""
    reply = index.get(f"/acme/{filename}", ("Accept-Encoding", "gzip"))
    assert reply.headers["content-type"] == kind
    assert not reply.headers.keys() & {"content-encoding", "content-disposition", "vary"}
    assert reply.body == body_of(index, filename).data


@pytest.mark.parametrize("filename", [WHEEL, "acme-1.0.tar.gz", f"{WHEEL}.metadata"])
def test_immutable(index: SiteFixture, filename: str) -> None:
    """With --immutable-files clients keep a distribution for ever, its sidecar too."""
    index.resource.files.immutable = True
    assert index.get(f"/acme/{filename}").headers["cache-control"] == "public, max-age=365000000, immutable"


@pytest.mark.parametrize("suffix", [".asc", ".sig", ".provenance"])
def test_mutable(index: SiteFixture, suffix: str) -> None:
    """What people add later, they may amend."""
    index.resource.files.immutable = True
    assert index.get(f"/acme/{WHEEL}{suffix}").headers["cache-control"] == "no-cache"


def test_empty_file(index: SiteFixture) -> None:
    """A file of no bytes is a file; nothing is read of it."""
    index.source.add("acme-0.zip", b"")
    for headers in ((), (("Range", "bytes=-5"),)):
        reply = index.get("/acme/acme-0.zip", *headers)
        assert (reply.status, reply.body, reply.headers["content-length"]) == (200, b"", "0")
        assert reply.headers["content-type"] == "application/octet-stream"
    reply = index.get("/acme/acme-0.zip", ("Range", "bytes=0-"))
    assert (reply.status, reply.headers["content-range"]) == (416, "bytes */0")
    assert not body_of(index, "acme-0.zip").reads
    assert_given_back(index)


SIZE = len(DATA)
RANGES = [
    ("bytes=0-0", 0, 1),
    ("bytes=0-99", 0, 100),
    ("bytes=511999-", SIZE - 1, SIZE),
    ("bytes=5-9999999999999999999999", 5, SIZE),
    ("bytes=65535-65536", 65535, 65537),
    ("bytes=-10000", SIZE - 10000, SIZE),
    ("bytes=-1", SIZE - 1, SIZE),
    (f"bytes=-{SIZE}", 0, SIZE),
    (f"bytes=-{SIZE + 1}", 0, SIZE),
    ("BYTES=1-2", 1, 3),
]


@pytest.mark.parametrize(("header", "start", "stop"), RANGES)
def test_part(index: SiteFixture, header: str, start: int, stop: int) -> None:
    """A part is exactly those bytes, and says where they stand in how many."""
    reply = index.get(URL, ("Range", header))
    assert reply.status == 206
    assert reply.body == DATA[start:stop]
    assert reply.headers["content-range"] == f"bytes {start}-{stop - 1}/{SIZE}"
    assert reply.headers["content-length"] == str(stop - start)
    for name, value in (("etag", ETAG), ("last-modified", UPLOADED), ("cache-control", "no-cache")):
        assert reply.headers[name] == value
    assert reply.headers["content-type"] == "application/octet-stream"
    assert_given_back(index)


@pytest.mark.parametrize(
    "header", [f"bytes={SIZE}-", f"bytes={SIZE}-{SIZE + 5}", "bytes=-0", "bytes=9999999999-"]
)
def test_no_such_part(index: SiteFixture, header: str) -> None:
    """What lies outside is refused in words, with the size that the client did not know."""
    reply = index.get(URL, ("Range", header))
    assert reply.status == 416
    assert reply.headers["content-range"] == f"bytes */{SIZE}"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.text == f"The file has {SIZE} bytes; the range lies outside.\n"
    assert "etag" not in reply.headers
    assert_given_back(index)


@pytest.mark.parametrize(
    "header",
    [
        "bytes=0-1,5-6",
        "bytes=5-1",
        "bytes=-",
        "bytes=",
        "lines=1-2",
        "bytes 1-2",
        "bytes=a-b",
        "bytes=0x1-2",
        "",
    ],
)
def test_whole_instead(index: SiteFixture, header: str) -> None:
    """Several ranges, other units and nonsense get the whole file."""
    reply = index.get(URL, ("Range", header))
    assert (reply.status, reply.body) == (200, DATA)
    assert "content-range" not in reply.headers


def test_two_range_fields_are_several(index: SiteFixture) -> None:
    """Two Range fields are two ranges."""
    assert index.get(URL, ("Range", "bytes=0-1"), ("Range", "bytes=5-6")).status == 200


@pytest.mark.parametrize(
    ("if_range", "status"),
    [
        (ETAG, 206),
        (UPLOADED, 206),
        (f"W/{ETAG}", 200),
        ('"other"', 200),
        ("Tue, 14 Nov 2023 22:13:19 GMT", 200),
        ("Tue, 14 Nov 2023 22:13:21 GMT", 200),
        ("yesterday", 200),
        ("*", 200),
        (f"{ETAG}, {ETAG}", 200),
    ],
)
def test_if_range(index: SiteFixture, if_range: str, status: int) -> None:
    """A part is sent only of the very file that the client has begun."""
    reply = index.get(URL, ("Range", "bytes=100-"), ("If-Range", if_range))
    assert reply.status == status
    assert reply.body == (DATA[100:] if status == 206 else DATA)


def test_if_range_forgives_an_outside_range(index: SiteFixture) -> None:
    """Where the file is another, its size is none of the range's business: the whole, not a 416."""
    assert index.get(URL, ("Range", "bytes=999999999-"), ("If-Range", '"other"')).status == 200


@pytest.mark.parametrize("wanted", ["bytes=0-1", "bytes=100-", "bytes=-5", "bytes=999999999-"])
def test_a_file_on_its_way_is_given_whole(index: SiteFixture, wanted: str) -> None:
    """Only with its end it is known to be the right one: a part of it is not given on its own."""
    body_of(index).accepts_ranges = False
    reply = index.get(URL, ("Range", wanted))
    assert (reply.status, reply.body, reply.headers["accept-ranges"]) == (200, DATA, "none")


def test_if_range_without_range(index: SiteFixture) -> None:
    """If-Range alone says nothing (RFC 9110 section 13.1.5)."""
    assert index.get(URL, ("If-Range", ETAG)).status == 200


def test_changed_file_is_never_spliced(index: SiteFixture) -> None:
    """A pip that resumes a download of a file that was replaced gets the new one whole."""
    index.source.add(WHEEL, b"another")
    reply = index.get(URL, ("Range", "bytes=3-"), ("If-Range", ETAG))
    assert (reply.status, reply.body) == (200, b"another")


@pytest.mark.parametrize(
    "header",
    [
        ("If-None-Match", ETAG),
        ("If-None-Match", f"W/{ETAG}"),
        ("If-None-Match", f'"a", {ETAG}'),
        ("If-None-Match", "*"),
        ("If-Modified-Since", UPLOADED),
        ("If-Modified-Since", "Tue, 14 Nov 2028 22:13:20 GMT"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_not_modified(index: SiteFixture, header: tuple[str, str], method: str) -> None:
    """A 304 has what a cache needs, no body, and none of a body's headers; the file is given back unread."""
    reply = index.ask(method, URL, header, ("Range", "bytes=0-1"))
    assert reply.status == 304
    assert reply.body == b""
    assert reply.headers.keys() == {
        "server",
        "date",
        "etag",
        "cache-control",
        "last-modified",
        "access-control-allow-origin",
        "access-control-expose-headers",
    }
    assert reply.headers["etag"] == ETAG
    assert not body_of(index).reads
    assert_given_back(index)


@pytest.mark.parametrize(
    "headers",
    [
        [("If-None-Match", '"a"')],
        [("If-None-Match", '"a"'), ("If-Modified-Since", UPLOADED)],
        [("If-Modified-Since", "Tue, 14 Nov 2023 22:13:19 GMT")],
        [("If-Modified-Since", "soon")],
        [("If-Match", ETAG)],
        [("If-Match", f'"a", {ETAG}')],
        [("If-Match", "*")],
        [("If-Unmodified-Since", UPLOADED)],
        [("If-Match", ETAG), ("If-Unmodified-Since", "Tue, 14 Nov 2000 22:13:19 GMT")],
    ],
)
def test_conditions_that_hold(index: SiteFixture, headers: list[tuple[str, str]]) -> None:
    """A client that has another file, or exactly this one where it says so, gets it."""
    assert index.get(URL, *headers).status == 200


@pytest.mark.parametrize(
    "header",
    [
        ("If-Match", '"a"'),
        ("If-Match", f"W/{ETAG}"),
        ("If-Unmodified-Since", "Tue, 14 Nov 2023 22:13:19 GMT"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_precondition_failed(index: SiteFixture, header: tuple[str, str], method: str) -> None:
    """A client that wants only the file it knows is told that it is gone, before 304 and ranges are thought of."""
    reply = index.ask(method, URL, header, ("If-None-Match", ETAG), ("Range", "bytes=0-1"))
    assert reply.status == 412
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["content-type"] == "application/problem+json"
    assert not reply.headers.keys() & {"etag", "content-range"}
    assert_given_back(index)


@pytest.mark.parametrize("headers", [(), (("Range", "bytes=5-9"),), (("Range", "bytes=99999999-"),)])
def test_head(index: SiteFixture, headers: tuple[tuple[str, str], ...]) -> None:
    """HEAD has the headers of the whole (ranges are for GET, RFC 9110 section 14.2), and reads nothing."""
    reply, whole = index.head(URL, *headers), index.get(URL)
    assert reply.status == 200
    assert reply.body == b""
    assert reply.headers | {"date": ""} == whole.headers | {"date": ""}
    body = body_of(index)
    body.reads.clear()
    index.head(URL)
    assert not body.reads
    assert_given_back(index)


@pytest.mark.parametrize(
    ("modified_ns", "expected"),
    [
        (None, None),
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (-5_000_000_000, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (999_999_999, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (2**62 * 100, None),
    ],
)
def test_odd_times(index: SiteFixture, modified_ns: int | None, expected: str | None) -> None:
    """A file system's oddest times are served, without Last-Modified where HTTP cannot write them."""
    body_of(index).modified_ns = modified_ns
    reply = index.get(URL, ("If-Modified-Since", "Thu, 01 Jan 1969 00:00:00 GMT"), ("If-Match", "*"))
    assert reply.status in (200, 304)
    assert reply.headers.get("last-modified") == expected
    assert index.get(URL, ("Range", "bytes=0-1"), ("If-Range", UPLOADED)).status == 200


def test_time_in_the_future(index: SiteFixture) -> None:
    """A time that has not come yet is not told, nor believed of a client (RFC 9110 section 8.8.2.1)."""
    now = 1_800_000_000
    index.resource.files._now = lambda: now + 0.5
    for seconds, is_told in ((now + 1, False), (now, True)):
        body_of(index).modified_ns = seconds * 1_000_000_000
        date = formatdate(seconds, usegmt=True)
        assert index.get(URL).headers.get("last-modified") == (date if is_told else None)
        assert index.get(URL, ("If-Modified-Since", date)).status == (304 if is_told else 200)
        resumed = index.get(URL, ("Range", "bytes=1-"), ("If-Range", date))
        assert resumed.status == (206 if is_told else 200)


def test_errors(index: SiteFixture) -> None:
    """Not here, not allowed and cannot tell are three answers, all in words that no cache keeps."""
    cases = [
        ("/acme/acme-9.zip", None, 404, "There is no file acme-9.zip here.\n"),
        ("/nobody/nobody-1.zip", None, 404, "There is no file nobody-1.zip here.\n"),
        (URL, NotAllowed("It is embargoed."), 403, "It is embargoed.\n"),
        (URL, Unavailable("It is changing.", retry_after=2), 503, "It is changing.\n"),
    ]
    for url, index.source.error, status, text in cases:
        reply = index.get(url)
        assert (reply.status, reply.text) == (status, text)
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("suffix", ["", ".metadata", ".asc", ".provenance"])
def test_quarantined(index: SiteFixture, suffix: str) -> None:
    """A quarantined project's page says so, and none of its files can be had by who knows the name."""
    index.source.empty("acme", Status.QUARANTINED)
    assert index.get("/acme/").status == 200
    reply = index.get(f"{URL}{suffix}")
    assert (reply.status, reply.text) == (403, "The project acme is quarantined; no file of it is offered.\n")


def test_unknown_digest_is_no_tag(index: SiteFixture) -> None:
    """Files whose digest nobody knows never share a tag; none is made up."""
    body_of(index).sha256 = None
    reply = index.get(URL)
    assert "None" not in reply.headers.get("etag", "")
    assert reply.status == 200
    for tag in ('"None"', '""', ETAG):
        assert index.get(URL, ("If-None-Match", tag)).status == 200
        assert index.get(URL, ("If-Match", tag)).status == 412
        assert index.get(URL, ("Range", "bytes=1-"), ("If-Range", tag)).status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_elsewhere(index: SiteFixture, method: str) -> None:
    """Who wants a file that is not given from here is sent where it is, and asks here again next time."""
    index.source.elsewhere[WHEEL] = "https://files.example/a%20b/acme-1.0-py3-none-any.whl"
    reply = index.ask(method, URL, ("Range", "bytes=1-"), ("If-None-Match", ETAG))
    assert (reply.status, reply.headers["location"]) == (302, index.source.elsewhere[WHEEL])
    assert reply.headers["cache-control"] == "no-store"
    assert reply.text == ("" if method == "HEAD" else f"It is at {index.source.elsewhere[WHEEL]}\n")
    assert body_of(index).opened == 0
