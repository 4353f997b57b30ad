"""The upstream client against servers in memory: what it asks, what it understands, and what no server can do to it."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pytest
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from simpleindex.core.errors import NotHere
from simpleindex.core.names import parse_project_name
from simpleindex.system.operation_times import OperationTimes
from simpleindex.upstreams.client_options import UpstreamLimits
from simpleindex.upstreams.errors import UpstreamFailed
from simpleindex.upstreams.http.body import MOST_BUFFERED
from simpleindex.upstreams.http.logins import FixedLogin
from simpleindex.upstreams.interface import Listing, Validators
from simpleindex.upstreams.pages.flat import FLAT_PAGE_NAME
from simpleindex.upstreams.pages.urls import BasicCredentials
from tests.fixtures.hostile_upstream import (
    FILE,
    FILES,
    GOOD,
    HTML,
    JSON,
    LISTINGS,
    PART,
    REST,
    WHEEL,
    Misbehaviour,
    always,
    entry,
    first,
    listing,
    page,
    redirect,
)
from tests.fixtures.http_upstream import ACME, INDEX, HttpUpstreamFixture
from tests.fixtures.network import Close, Pause, response
from tests.fixtures.tables import for_each

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.network import Request, Step

SECRET = "s3cret"  # not one


def test_requests_are_measured() -> None:
    """Until the head of the answer; 5xx is a failure, and so is no answer."""
    statuses = iter(("200 OK", "404 Not Found", "503 Busy"))
    world = HttpUpstreamFixture(
        lambda request: (
            [Close()] if request.path.endswith(".whl") else [response(GOOD, JSON, status=next(statuses))]
        )
    )
    times = OperationTimes()
    world.upstream.measure(times)
    world.project()
    with pytest.raises(NotHere):
        world.project()
    with pytest.raises(UpstreamFailed):
        world.project()
    with pytest.raises(UpstreamFailed):
        world.open()
    found = {name: (sum(each.counts), each.failures) for name, each in times.durations.items()}
    assert found == {"listing": (3, 1), "file": (1, 1)}
    world.close()


def put(world: HttpUpstreamFixture, misbehaviour: Misbehaviour) -> None:
    """Put the question of a misbehaviour; an answer is the right one."""
    if misbehaviour.asks == "project":
        found = world.project()
        assert found is not None
        assert [file.filename for file in found.project.files] == [WHEEL]
    else:
        assert world.fetch(misbehaviour.url, 10 if misbehaviour.asks == "rest" else 0) == FILE


def ask(misbehaviour: Misbehaviour) -> None:
    """See what comes of a misbehaviour."""
    asks_listing = misbehaviour.asks == "project"
    world = HttpUpstreamFixture(misbehaviour.script, (asks_listing and misbehaviour.url) or INDEX)
    if misbehaviour.says is None:
        put(world, misbehaviour)
    else:
        with pytest.raises(UpstreamFailed) as caught:
            put(world, misbehaviour)
        error = caught.value
        assert misbehaviour.says in error.reason
        assert error.timed_out == misbehaviour.timed_out
        assert (error.retry_after is not None) == misbehaviour.is_passing
        assert error.upstream == "up"
        assert len(str(error)) < 300
        for secret in (SECRET, "127.0.0.1/", "169.254.169.254/", "passwd"):
            assert secret not in str(error)
    assert all(connection.delivered <= misbehaviour.takes for connection in world.network.connections)
    assert world.network.clock.seconds() <= 60
    for request in world.network.requests:
        assert not request.host.startswith(("127.", "10.", "169.", "192.", ":", "fd"))
    world.close()


@for_each(
    ("status", "lines", "found"),
    [
        ("200 OK", ("Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT",), 1_700_000_000_000_000_000),
        ("200 OK", (), None),
        ("200 OK", ("Last-Modified: yesterday",), None),
        ("200 OK", ("Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT",), None),
        ("405 Method Not Allowed", ("Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT",), None),
        ("501 Not Implemented", (), None),
        ("404 Not Found", (), NotHere),
        ("410 Gone", (), NotHere),
        ("403 Forbidden", (), UpstreamFailed),
        ("429 Too Many Requests", (), UpstreamFailed),
        ("502 Bad Gateway", (), UpstreamFailed),
    ],
)
def test_when_a_file_was_modified(status: str, lines: tuple[str, ...], found: object) -> None:
    """One HEAD; a server that does not know it says nothing."""
    world = HttpUpstreamFixture(always(response(b"", *lines, status=status), Close()))
    asked = world.upstream.modified(f"{INDEX}{WHEEL}")
    if isinstance(found, type):
        with pytest.raises(found):
            world.network.run(asked)
    else:
        assert world.network.run(asked) == found
    assert [request.method for request in world.network.requests] == ["HEAD"]
    world.close()


@pytest.mark.parametrize("url", ["ftp://up.example/x", "https://[up.example/x", "mailto:me"])
def test_what_is_no_url_has_no_date(url: str) -> None:
    """And nobody is asked."""
    world = HttpUpstreamFixture(always(Close()))
    assert world.network.run(world.upstream.modified(url)) is None
    assert world.network.requests == []
    world.close()


class TestHostileListings(SynchronousTestCase):
    """Each ends in bounded time and memory, with the right error or in spite of it, and nothing is logged as a surprise."""


class TestHostileFiles(SynchronousTestCase):
    """The same for files."""


for case, table in ((TestHostileListings, LISTINGS), (TestHostileFiles, FILES)):
    for name, misbehaviour in table.items():

        def method(self: SynchronousTestCase, misbehaviour: Misbehaviour = misbehaviour) -> None:
            """A misbehaviour by its name."""
            ask(misbehaviour)

        setattr(case, f"test_{name.replace(' ', '_').replace('-', '_')}", method)


def test_there_are_many_misbehaviours() -> None:
    """Each of them by a name of its own."""
    assert len(LISTINGS) + len(FILES) >= 100


class TestListings(SynchronousTestCase):
    def test_a_listing(self) -> None:
        """JSON is preferred, gzip is undone, and what the answer can be asked again by is kept."""
        body = gzip.compress(listing(entry(size=5)))
        lines = [
            JSON,
            "Content-Encoding: gzip",
            'ETag: W/"x"',
            "Last-Modified: Mon, 23 Nov 2026 10:00:00 GMT",
        ]
        world = HttpUpstreamFixture(page(body, *lines, "Cache-Control: public, max-age=600", "Age: 100"))
        found = world.project()
        assert found is not None
        (file,) = found.project.files
        assert (file.size, file.source, file.url) == (5, "up", f"{INDEX}acme/{WHEEL}")
        assert found.validators == Validators('W/"x"', "Mon, 23 Nov 2026 10:00:00 GMT")
        assert found.fresh_for == 500
        (request,) = world.network.requests
        assert request.path == "/simple/acme/"
        assert request.headers["accept"].startswith("application/vnd.pypi.simple.v1+json, ")
        assert request.headers["accept-encoding"] == "gzip"
        assert "authorization" not in request.headers
        assert world.threads.calls == 0
        world.close()

    def test_signed_links_shorten_the_life_of_a_page(self) -> None:
        """It is asked for again at half of the time that they have left."""
        for more, said, expected in (
            ("100", "", 50.0),
            ("100", "max-age=20", 20.0),
            ("-5", "max-age=20", 0.0),
        ):
            url = f"{WHEEL}?Expires={1000 + int(more)}&Signature=x"
            world = HttpUpstreamFixture(page(listing(entry(url=url)), JSON, f"Cache-Control: {said}"))
            world.network.clock.advance(1000)
            found = world.project()
            assert found is not None
            assert found.fresh_for == pytest.approx(expected, abs=1)
            world.close()

    def test_asking_again(self) -> None:
        """With its validators, and None for an answer if it is as it was."""
        world = HttpUpstreamFixture(page(b"", status="304 Not Modified"))
        assert world.project(Validators('"x"', "Mon, 23 Nov 2026 10:00:00 GMT")) is None
        (request,) = world.network.requests
        assert request.headers["if-none-match"] == '"x"'
        assert request.headers["if-modified-since"] == "Mon, 23 Nov 2026 10:00:00 GMT"
        world.close()

    def test_not_here(self) -> None:
        """404 and 410 say that it has no such project, and their connection is used again."""
        for status in ("404 Not Found", "410 Gone"):
            world = HttpUpstreamFixture(page(b"none", status=status))
            for _ in range(3):
                with pytest.raises(NotHere, match="project acme"):
                    world.project()
            assert len(world.network.connections) == 1
            with pytest.raises(UpstreamFailed, match="no index at its URL"):
                world.network.run(world.upstream.projects())
            world.close()

    def test_projects(self) -> None:
        """The list of all projects."""
        world = HttpUpstreamFixture(page(b'{"projects": [{"name": "B"}, {"name": "a"}]}'))
        assert world.network.run(world.upstream.projects()) == ("a", "b")
        assert world.network.requests[0].path == "/simple/"
        world.close()

    def test_a_flat_page(self) -> None:
        """The page at its URL itself, asked again by what it is known by; not a project without files where it is not there."""
        links = f"<a href='{WHEEL}'>x</a>".encode()
        world = HttpUpstreamFixture(page(links, HTML, 'ETag: "1"'), "http://up.example/dist/links.html")
        found = world.network.run(world.upstream.project(FLAT_PAGE_NAME, None))
        assert found is not None
        assert [file.url for file in found.project.files] == [f"http://up.example/dist/{WHEEL}"]
        assert world.network.requests[0].path == "/dist/links.html"
        assert found.validators.etag == '"1"'
        world.close()
        world = HttpUpstreamFixture(page(b"nothing", status="404 Not Found"), "http://up.example/dist/")
        with pytest.raises(UpstreamFailed, match="no page at its URL"):
            world.network.run(world.upstream.project(FLAT_PAGE_NAME, None))
        world.close()

    def test_a_flat_page_is_bounded(self) -> None:
        """By its own limit."""
        links = f"<a href='{WHEEL}'>x</a>".encode() + b" " * 1000
        world = HttpUpstreamFixture(page(links, HTML), limits=UpstreamLimits(flat_bytes=1000))
        with pytest.raises(UpstreamFailed, match="larger than 1,000 bytes"):
            world.network.run(world.upstream.project(FLAT_PAGE_NAME, None))
        world.close()

    def test_a_large_page_is_parsed_in_a_thread(self) -> None:
        """The reactor has other things to do."""
        world = HttpUpstreamFixture(page(listing(entry(), _x="x" * 70_000)))
        assert world.project() is not None
        assert world.threads.calls == 1
        world.close()

    def test_redirects(self) -> None:
        """Relative URLs are resolved against where the page came from in the end."""
        world = HttpUpstreamFixture(
            first("/simple/acme/", redirect("https://up.example/".replace("s:", ":") + "b/"), page(GOOD))
        )
        found = world.project()
        assert found is not None
        assert found.project.files[0].url == f"http://up.example/b/{WHEEL}"
        world.close()

    def test_whole_html_until_the_connection_ends(self) -> None:
        """Old servers mark the end so; the page's own end shows that it is whole."""
        body = f"<html><a href='{WHEEL}'>x</a></html>\n".encode()
        world = HttpUpstreamFixture(
            lambda _: [b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n" + body, Close()]
        )
        assert world.project() is not None
        world.close()

    def test_retry_after(self) -> None:
        """Seconds are passed on, within reason."""
        for text, seconds in (("7", 7), ("999999", 3600), ("0", 1), ("soon", 5), ("9" * 5000, 3600)):
            world = HttpUpstreamFixture(page(b"", f"Retry-After: {text}", status="503 x"))
            with pytest.raises(UpstreamFailed) as caught:
                world.project()
            assert caught.value.retry_after == seconds
            world.close()

    def test_the_client_leaves(self) -> None:
        """The request ends at once, at whatever point it is."""
        for steps in (
            (),
            (b"HTTP/1.1 200 OK\r\n",),
            (response(b"{", JSON, length=9),),
            (response(b"x", status="404 x", length=9),),
        ):
            world = HttpUpstreamFixture(always(*steps))
            deferred = Deferred.fromCoroutine(world.upstream.project(ACME, None))
            outcome: list[Any] = []
            deferred.addBoth(outcome.append)
            world.network.settle()
            assert not outcome
            deferred.cancel()
            assert outcome
            world.close()


class TestCredentials(SynchronousTestCase):
    CREDENTIALS = BasicCredentials("me", SECRET)

    def test_they_are_for_the_upstream_alone(self) -> None:
        """Not for a host that it redirects to, another port of its own, or a file elsewhere."""
        for target in ("http://listed.example/a", "http://up.example:81/a"):
            world = HttpUpstreamFixture(
                first("/simple/acme/", redirect(target), page(GOOD)), login=FixedLogin(self.CREDENTIALS)
            )
            assert world.project() is not None
            sent = [request.headers.get("authorization") for request in world.network.requests]
            assert sent == ["Basic bWU6czNjcmV0", None]
            world.close()
        world = HttpUpstreamFixture(page(FILE), login=FixedLogin(self.CREDENTIALS))
        assert world.fetch("http://other.example/x") == FILE
        assert world.fetch() == FILE
        sent = [request.headers.get("authorization") for request in world.network.requests]
        assert sent == [None, "Basic bWU6czNjcmV0"]
        world.close()

    def test_a_refusal_does_not_tell_them(self) -> None:
        """The sentence says whose fault it may be."""
        world = HttpUpstreamFixture(page(b"", status="401 x"), login=FixedLogin(self.CREDENTIALS))
        with pytest.raises(UpstreamFailed, match="refuses our credentials") as caught:
            world.project()
        assert SECRET not in str(caught.value)
        world.close()

    def test_credentials_that_were_renewed(self) -> None:
        """A refusal leads to one look at them and, if they are others now, to one more request."""
        for status, looks, renewed in ((401, 1, True), (403, 1, True), (401, 1, False), (404, 0, True)):
            login = RenewedLogin(
                self.CREDENTIALS, BasicCredentials("me", "new") if renewed else self.CREDENTIALS
            )
            old = self.CREDENTIALS.header().decode()

            def script(request: Request, status: int = status, old: str = old) -> Iterator[Step]:
                is_old = request.headers["authorization"] == old
                return page(b"no", status=f"{status} x")(request) if is_old else page(GOOD)(request)

            world = HttpUpstreamFixture(script, login=login)
            if looks and renewed:
                assert world.project() is not None
            else:
                with pytest.raises((UpstreamFailed, NotHere)):
                    world.project()
            assert login.looks == looks
            assert len(world.network.requests) == 1 + (looks and renewed)
            assert len(world.network.connections) == 1
            world.close()

    def test_renewed_credentials_are_tried_once(self) -> None:
        """An upstream that refuses everything is not asked for ever."""
        login = RenewedLogin(self.CREDENTIALS, BasicCredentials("me", "new"))
        world = HttpUpstreamFixture(page(b"no", status="401 x"), login=login)
        with pytest.raises(UpstreamFailed, match="refuses our credentials"):
            world.fetch()
        assert len(world.network.requests) == 2
        world.close()


class RenewedLogin:
    """Credentials that are others after a look.

    Attributes:
        looks: How many there were.
    """

    def __init__(self, before: BasicCredentials, after: BasicCredentials) -> None:
        self._now, self._after = before, after
        self.looks = 0

    def credentials(self) -> BasicCredentials:
        return self._now

    async def read_again(self) -> None:
        self.looks += 1
        self._now = self._after


class TestMissing(SynchronousTestCase):
    ANSWERS = (
        ("403 Forbidden", ("Content-Type: application/xml",), 403),
        ("303 See Other", ("Location: https://public.example/simple/acme/",), 303),
        ("302 Found", ("Location: http://169.254.169.254/",), 302),
        ("301 Moved", (), 301),
        ("400 Bad Request", (), 400),
    )

    def test_it_means_so_where_the_operator_says_so(self) -> None:
        """Nothing is followed then, and the connection is used again."""
        for status, lines, code in self.ANSWERS:
            world = HttpUpstreamFixture(
                page(b"none", *lines or ("X-A: b",), status=status), missing=frozenset({code})
            )
            for _ in range(2):
                with pytest.raises(NotHere, match="project acme"):
                    world.project()
            assert len(world.network.connections) == 1
            assert len(world.network.requests) == 2
            world.close()

    def test_never_by_default(self) -> None:
        """The sentence names the key."""
        for status, lines, code in self.ANSWERS:
            world = HttpUpstreamFixture(page(b"none", *lines or ("X-A: b",), status=status))
            with pytest.raises(UpstreamFailed, match=rf"write missing = \[{code}\] in its table") as caught:
                world.project()
            assert len(str(caught.value)) < 300
            world.close()

    def test_the_key_is_named_where_it_would_help(self) -> None:
        """Not for failures, questions for credentials, the list of projects, or files."""
        for status in ("500 x", "503 x", "401 x", "429 x", "200 x"):
            world = HttpUpstreamFixture(page(b"{", status=status))
            with pytest.raises(UpstreamFailed) as caught:
                world.project()
            assert "missing" not in str(caught.value)
            world.close()
        world = HttpUpstreamFixture(page(b"none", status="403 x"), missing=frozenset({403}))
        for question in (world.upstream.projects(), world.upstream.project(FLAT_PAGE_NAME, None)):
            with pytest.raises(UpstreamFailed, match=r"403") as caught:
                world.network.run(question)
            assert "missing =" not in str(caught.value)
        with pytest.raises(UpstreamFailed, match=r"403"):
            world.fetch()
        world.close()


class TestPlaces(SynchronousTestCase):
    """Projects whose pages are where nobody finds them by their normalized names."""

    def script(self, request: Request) -> Iterator[Step]:
        links = {
            "/simple/": b"<a href='ACME/'>x</a><a href='Foo_Bar/'>x</a><a href='gone/'>x</a>",
            "/simple/ACME/": f"<a href='{WHEEL}'>x</a>".encode(),
        }
        found = links.get(request.path)
        return (
            page(b"none", HTML, status="404 x")(request)
            if found is None
            else page(found, HTML, 'ETag: "1"')(request)
        )

    def test_they_are_found_if_they_are_listed(self) -> None:
        """The list is requested once for all who want it at a time."""
        world = HttpUpstreamFixture(self.script, lists=True)
        for _ in range(2):
            found = world.project()
            assert found is not None
            assert [file.url for file in found.project.files] == [f"{INDEX}ACME/{WHEEL}"]
        for name in ("gone", "foo-bar", "other"):
            with pytest.raises(NotHere):
                world.network.run(world.upstream.project(parse_project_name(name), None))
        assert [request.path for request in world.network.requests] == [
            *("/simple/acme/", "/simple/", "/simple/ACME/", "/simple/acme/", "/simple/ACME/"),
            *("/simple/gone/", "/simple/foo-bar/", "/simple/Foo_Bar/", "/simple/other/"),
        ]
        world.close()

    def test_many_at_a_time(self) -> None:
        """All wait for one list."""
        world = HttpUpstreamFixture(self.script, lists=True)
        outcome: list[Any] = []
        for _ in range(3):
            Deferred.fromCoroutine(world.upstream.project(ACME, None)).addBoth(outcome.append)
        world.network.run(world.upstream.project(ACME, None))
        world.network.settle()
        assert [type(each) for each in outcome] == [Listing] * 3
        assert [request.path for request in world.network.requests].count("/simple/") == 1
        world.close()

    def test_nobody_looks_where_it_is_not_listed(self) -> None:
        """A request for a project that is not there does not fetch the list of a large index."""
        world = HttpUpstreamFixture(self.script)
        with pytest.raises(NotHere):
            world.project()
        assert len(world.network.requests) == 1
        world.close()

    def test_a_list_that_cannot_be_had(self) -> None:
        """The project is not there, and the list is not asked for by each request."""
        world = HttpUpstreamFixture(
            lambda request: page(b"none", status="500 x" if request.path == "/simple/" else "404 x")(request),
            lists=True,
        )
        for _ in range(3):
            with pytest.raises(NotHere):
                world.project()
        assert [request.path for request in world.network.requests].count("/simple/") == 1
        world.close()


class TestWaits(SynchronousTestCase):
    def test_nobody_asks_before_the_time_is_over(self) -> None:
        """Not for this page, another one, or a file; then again."""
        answers = [response(b"", "Retry-After: 600", status="429 x")]
        world = HttpUpstreamFixture(lambda _: [answers.pop() if answers else response(GOOD, JSON)])
        with pytest.raises(UpstreamFailed, match="too many requests"):
            world.project()
        for _ in range(3):
            with pytest.raises(UpstreamFailed, match=r"asked to wait \(429\), for [0-9]+ s more") as caught:
                world.project()
            assert 590 < (caught.value.retry_after or 0) <= 600
            with pytest.raises(UpstreamFailed, match="asked to wait"):
                world.fetch()
            with pytest.raises(UpstreamFailed, match="asked to wait"):
                world.network.run(world.upstream.projects())
        assert len(world.network.requests) == 1
        assert world.fetch("http://other.example/x") == GOOD
        world.network.clock.advance(600)
        assert world.project() is not None
        world.close()

    def test_broken_projects_take_no_sound_ones_down(self) -> None:
        """However many pages of another index say 503 with a time, its other pages are requested."""
        for seconds in (2, 60):

            def answer(request: Request, seconds: int = seconds) -> list[bytes]:
                if "/broken" in request.path:
                    return [response(b"", f"Retry-After: {seconds}", status="503 x")]
                return [response(GOOD, JSON)]

            world = HttpUpstreamFixture(answer)
            for number in range(4):
                broken = world.upstream.project(parse_project_name(f"broken{number}"), None)
                with pytest.raises(UpstreamFailed, match="answers 503"):
                    world.network.run(broken)
                assert world.project() is not None
            world.close()

    def test_a_server_that_is_down_is_left_alone(self) -> None:
        """Three pages in a row that ask for long enough speak for all of it."""
        world = HttpUpstreamFixture(page(b"", "Retry-After: 60", status="503 x"))
        for number in range(6):
            with pytest.raises(UpstreamFailed):
                world.network.run(world.upstream.project(parse_project_name(f"a{number}"), None))
        assert len(world.network.requests) == 3
        world.close()

    def test_503_without_a_time(self) -> None:
        """Asks for nothing."""
        world = HttpUpstreamFixture(page(b"", "X-A: b", status="503 x"))
        for _ in range(3):
            with pytest.raises(UpstreamFailed, match="answers 503"):
                world.project()
        assert len(world.network.requests) == 3
        world.close()


class TestFiles(SynchronousTestCase):
    def test_a_file_that_is_compressed_on_the_way(self) -> None:
        """It is decoded, and has the size that is listed; what a server derives from the name is not believed."""
        data = gzip.compress(b"a tar archive" * 9000)
        for sent, size in ((data, len(data)), (data, None), (gzip.compress(data), None)):
            world = HttpUpstreamFixture(page(sent, "Content-Encoding: gzip"))
            stream = world.network.run(world.upstream.open(f"{INDEX}acme-1.0.tar.gz", size=size))
            assert world.rest(stream) == data
            assert stream.size == (len(data) if sent is data else None)
            stream.close()
            world.close()

    def test_the_rest_of_what_says_that_it_is_compressed(self) -> None:
        """A part of it would tell nothing, so all of it is asked for."""
        whole = page(FILE, "Content-Encoding: gzip")
        part = page(FILE[10:], REST, "Content-Encoding: gzip", status=PART)
        world = HttpUpstreamFixture(lambda request: (part if "range" in request.headers else whole)(request))
        stream = world.open("", 10)
        assert (stream.offset, world.rest(stream)) == (0, FILE)
        stream.close()
        world.close()
        world = HttpUpstreamFixture(page(FILE[10:], REST, "Content-Encoding: aws-chunked", status=PART))
        assert world.fetch("", 10) == FILE[10:]
        world.close()

    def test_urls_are_quoted_as_clients_do(self) -> None:
        """As they are listed, and where there is no such file as pip does it: S3 takes a plus for a blank."""
        for status in ("404 x", "403 x"):

            def script(request: Request, status: str = status) -> Iterator[Step]:
                return (page(b"no", status=status) if "+" in request.path else page(FILE))(request)

            world = HttpUpstreamFixture(script)
            assert world.fetch(f"{INDEX}acme-1.0+local~1!.zip") == FILE
            assert [request.path for request in world.network.requests] == [
                "/simple/acme-1.0+local~1!.zip",
                "/simple/acme-1.0%2Blocal~1%21.zip",
            ]
            world.close()
        world = HttpUpstreamFixture(page(b"no", status="404 x"))
        with pytest.raises(NotHere):
            world.fetch()
        assert len(world.network.requests) == 1
        world.close()

    def test_a_file(self) -> None:
        """As it is, with what it can be asked again by."""
        world = HttpUpstreamFixture(page(FILE, 'ETag: "x"', "Last-Modified: Mon, 23 Nov 2026 10:00:00 GMT"))
        stream = world.open()
        assert (stream.size, stream.offset) == (20, 0)
        assert stream.validators == Validators('"x"', "Mon, 23 Nov 2026 10:00:00 GMT")
        assert world.rest(stream) == FILE
        stream.close()
        assert world.network.requests[0].headers["accept-encoding"] == "identity"
        assert "range" not in world.network.requests[0].headers
        world.close()

    def test_the_rest_of_a_file(self) -> None:
        """Asked for by a strong ETag, else by the date; with neither but a weak ETag the whole is asked for."""
        for validators, expected in (
            (Validators('"x"', "d"), '"x"'),
            (Validators('W/"x"', "d"), "d"),
            (None, None),
        ):
            world = HttpUpstreamFixture(page(FILE[10:], REST, status=PART))
            stream = world.open("", 10, validators)
            assert (stream.size, stream.offset) == (20, 10)
            assert world.rest(stream) == FILE[10:]
            assert world.network.requests[0].headers["range"] == "bytes=10-"
            assert world.network.requests[0].headers.get("if-range") == expected
            world.close()
        world = HttpUpstreamFixture(page(FILE))
        assert world.open("", 10, Validators('W/"x"')).offset == 0
        assert "range" not in world.network.requests[0].headers
        world.network.connections[0].lose(ConnectionError())
        world.close()

    def test_the_size_may_be_unknown(self) -> None:
        """In chunks, or of a part of what has no length yet."""
        chunked = b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n" + FILE + b"\r\n0\r\n\r\n"
        world = HttpUpstreamFixture(lambda _: [chunked])
        assert world.open().size is None
        world = HttpUpstreamFixture(page(FILE[10:], "Content-Range: bytes 10-19/*", status=PART))
        stream = world.open("", 10)
        assert (stream.size, world.rest(stream)) == (None, FILE[10:])
        world.close()

    def test_not_here(self) -> None:
        """A file that is gone."""
        world = HttpUpstreamFixture(page(b"none", status="404 x"))
        with pytest.raises(NotHere, match=f"file {WHEEL}"):
            world.open()
        world.close()

    def test_back_pressure(self) -> None:
        """A client that does not read stops the upstream; no time runs against it meanwhile."""
        size = 4_000_000

        def script(_: Request) -> Iterator[Step]:
            yield response(length=size)
            for _each in range(size // 8000):
                yield bytes(8000)

        world = HttpUpstreamFixture(script)
        stream = world.open()
        assert len(world.network.run(stream.read())) <= MOST_BUFFERED + 8000
        for _ in range(100):
            world.network.settle()
            world.network.clock.advance(100)
        connection = world.network.connections[0]
        assert connection.delivered < 2 * MOST_BUFFERED + 100_000
        assert connection.producerState == "paused"
        world.rest(stream)
        assert stream._body.received == size
        stream.close()
        world.close()

    def test_closing_midway(self) -> None:
        """The connection is ended, not read to its end; twice is once."""
        world = HttpUpstreamFixture(lambda _: iter([response(length=1000), bytes(10)]))
        stream = world.open()
        assert world.network.run(stream.read()) == bytes(10)
        stream.close()
        stream.close()
        world.network.settle()
        assert world.network.connections[0].is_gone
        world.close()

    def test_leaving_while_reading(self) -> None:
        """A read that is cancelled lets go of the connection."""
        world = HttpUpstreamFixture(lambda _: iter([response(length=1000)]))
        stream = world.open()
        deferred = Deferred.fromCoroutine(stream.read())
        outcome: list[Any] = []
        deferred.addBoth(outcome.append)
        deferred.cancel()
        world.network.settle()
        assert outcome
        assert world.network.connections[0].is_gone
        world.close()

    def test_a_slow_file_is_no_failure(self) -> None:
        """A kilobyte a second for minutes is a download."""

        def script(_: Request) -> Iterator[Step]:
            yield response(length=400_000)
            for _each in range(100):
                yield Pause(4.0)
                yield bytes(4000)

        world = HttpUpstreamFixture(script)
        assert len(world.fetch()) == 400_000
        world.close()


class TestAddresses(SynchronousTestCase):
    def test_a_name_that_changes_its_address(self) -> None:
        """It is judged in the moment of connecting, so looking harmless before does not help."""
        world = HttpUpstreamFixture(page(FILE, "Connection: close"))
        assert world.fetch("http://other.example/x") == FILE
        world.network.names["other.example"] = ("127.0.0.1",)
        with pytest.raises(UpstreamFailed, match="private"):
            world.fetch("http://other.example/x")
        assert [request.host for request in world.network.requests] == ["93.184.215.16"]
        world.close()

    def test_of_several_addresses_only_public_ones_are_used(self) -> None:
        """Wherever they stand in the answer."""
        world = HttpUpstreamFixture(page(FILE))
        world.network.names["other.example"] = ("127.0.0.1", "10.0.0.1", "93.184.215.16")
        assert world.fetch("http://other.example/x") == FILE
        assert [connection.where[0] for connection in world.network.connections] == ["93.184.215.16"]
        world.close()

    def test_where_private_addresses_are_meant(self) -> None:
        """The upstream itself at its own port, and hosts that the operator lists."""
        world = HttpUpstreamFixture(page(GOOD), "http://rebound.example:3141/simple/")
        assert world.project() is not None
        with pytest.raises(UpstreamFailed, match=r"rebound\.example:6379, which has a private address"):
            world.fetch("http://rebound.example:6379/x")
        world.close()
        world = HttpUpstreamFixture(page(FILE))
        world.network.names["listed.example"] = ("10.0.0.9",)
        assert world.fetch("http://listed.example/x") == FILE
        world.close()

    def test_a_file_may_be_moved_to_another_host(self) -> None:
        """As object stores do; what comes is judged by its hash."""
        world = HttpUpstreamFixture(first("/simple/x", redirect("http://other.example/x"), page(FILE)))
        assert world.fetch("http://up.example/simple/x") == FILE
        assert world.network.requests[1].headers["host"] == "other.example"
        world.close()

    def test_connections_are_kept(self) -> None:
        """One for many questions, closed when nobody has used it for a while."""
        world = HttpUpstreamFixture(page(GOOD))
        for _ in range(5):
            world.project()
        (connection,) = world.network.connections
        assert not connection.is_gone
        world.network.clock.advance(60)
        world.network.settle()
        assert connection.is_gone
        world.close()

    def test_a_kept_connection_that_has_been_closed(self) -> None:
        """The question is put again on a new one."""
        answered: list[Request] = []

        def script(request: Request) -> Iterator[Step]:
            answered.append(request)
            yield Close() if len(answered) == 2 else response(GOOD, JSON)

        world = HttpUpstreamFixture(script)
        assert world.project() is not None
        assert world.project() is not None
        assert len(world.network.connections) == 2
        world.close()


def test_what_is_sent_names_us() -> None:
    """Operators of indexes want to know who asks."""
    world = HttpUpstreamFixture(page(GOOD), user_agent="simpleindex/1.2")
    world.project()
    assert world.network.requests[0].headers["user-agent"] == "simpleindex/1.2"
