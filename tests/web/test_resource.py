"""The one resource: methods, errors, redirects, CORS, challenges, and who counts as local."""

from __future__ import annotations

from ipaddress import ip_network
from urllib.parse import urljoin
from xml.etree.ElementTree import fromstring

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from simpleindex.core.errors import Unavailable
from simpleindex.web.routing.https_redirect import RedirectResource
from tests.fixtures.log import logged_failures
from tests.fixtures.site import FAR, JSON, NEAR, Client, SiteFixture, Transport, read
from tests.fixtures.stub_source import StubBody

WHEEL = "acme-1.0-py3-none-any.whl"

EVERY_FAMILY = {
    "/": 200,
    "/simple/": 200,
    "/acme/": 200,
    "/simple/acme/": 200,
    f"/acme/{WHEEL}": 200,
    f"/simple/acme/{WHEEL}": 200,
    f"/acme/{WHEEL}.metadata": 200,
    "/favicon.ico": 200,
    "/robots.txt": 200,
    "/simple": 301,
    "/ACME": 301,
    f"/ACME/{WHEEL}": 301,
    "/nobody/": 404,
    "/acme/acme-9.zip": 404,
    "/acme/%2e%2e/": 404,
    "/legacy/": 405,
    "/-/health": 200,
    "/-/ready": 200,
    "/-/status": 200,
    "/-/ca.pem": 200,
    "/-/nothing": 404,
    "/-": 404,
    "/.well-known/acme-challenge/token": 200,
    "/.well-known/acme-challenge/other": 404,
}


class SiteTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.index = self.make()

    def make(self, cors: str | None = "*") -> SiteFixture:
        index = SiteFixture(
            cors=cors,
            ca_certificate=b"-----BEGIN CERTIFICATE-----\n",
            challenges={"token": b"token.thumbprint"},
        )
        index.source.add(WHEEL, metadata=b"Metadata-Version: 2.1\n")
        return index

    def tearDown(self) -> None:
        self.assertEqual(self.index.failures, [])

    def test_head_has_the_headers_of_get(self) -> None:
        """In every family of URLs, errors and redirects included, HEAD is GET without its body."""
        for url, status in EVERY_FAMILY.items():
            for headers in ((), (("Accept", JSON), ("Accept-Encoding", "gzip"))):
                got, head = self.index.get(url, *headers), self.index.head(url, *headers)
                self.assertEqual(got.status, status, url)
                self.assertEqual(head.status, status, url)
                self.assertEqual(head.body, b"", url)
                self.assertEqual(head.headers | {"date": ""}, got.headers | {"date": ""}, url)
                self.assertEqual(got.headers["content-length"], str(len(got.body)), url)
                self.assertIn("content-type", got.headers, url)

    def test_errors_are_short_text_that_nobody_keeps(self) -> None:
        """Every refusal is one line of plain text for who wants that."""
        for url, status in EVERY_FAMILY.items():
            if status >= 400:
                reply = self.index.get(url, ("Accept", "text/plain"), ("Accept-Encoding", "gzip"))
                self.assertEqual(reply.headers["content-type"], "text/plain; charset=utf-8")
                self.assertEqual(reply.headers["cache-control"], "no-store")
                self.assertNotIn("content-encoding", reply.headers)
                self.assertEqual(reply.text.count("\n"), 1)
                self.assertLess(len(reply.text), 200)

    def test_unwritable_methods(self) -> None:
        """Everything but reading is refused with what is possible, wherever it is tried."""
        urls = [*EVERY_FAMILY, "/acme-1.0+local-py3-none-any.whl", "/a%2Fb"]
        for method in ("POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "get", "BREW"):
            for url in urls:
                reply = self.index.ask(method, url)
                self.assertEqual(reply.status, 405, (method, url))
                self.assertEqual(
                    reply.headers["allow"], "OPTIONS" if url == "/legacy/" else "GET, HEAD, OPTIONS"
                )
                self.assertEqual(reply.headers["cache-control"], "no-store")
                self.assertIn("not enabled", reply.text)
        self.assertEqual(self.index.source.asked, [])

    def test_upload_urls(self) -> None:
        """Uploads are refused in words, at both forms of their URL and without a redirect."""
        for url in ("/legacy", "/legacy/", "/legacy/?x=1"):
            for method in ("GET", "HEAD", "POST", "PUT"):
                reply = self.index.ask(method, url)
                self.assertEqual((reply.status, reply.headers["allow"]), (405, "OPTIONS"))
            reply = self.index.ask("OPTIONS", url)
            self.assertEqual((reply.status, reply.headers["allow"]), (204, "OPTIONS"))
            self.assertNotIn("access-control-allow-methods", reply.headers)

    def test_options(self) -> None:
        """A browser that asks first is told that it may read, at every URL that can be read."""
        for url, status in EVERY_FAMILY.items():
            if status in (200, 301) and url != "/legacy/":
                reply = self.index.ask("OPTIONS", url, ("Origin", "https://jupyter.example"))
                self.assertEqual((reply.status, reply.body), (204, b""), url)
                self.assertEqual(reply.headers["allow"], "GET, HEAD, OPTIONS")
                self.assertEqual(reply.headers["access-control-allow-origin"], "*")
                self.assertEqual(reply.headers["access-control-allow-methods"], "GET, HEAD, OPTIONS")
                self.assertEqual(reply.headers["access-control-max-age"], "86400")
                allowed = reply.headers["access-control-allow-headers"]
                for name in ("If-None-Match", "If-Range", "Range", "Cache-Control"):
                    self.assertIn(name, allowed)
                self.assertFalse(
                    reply.headers.keys() & {"content-type", "content-length", "transfer-encoding"}
                )
        self.assertEqual(self.index.source.asked, [])

    def test_cors(self) -> None:
        """Pages elsewhere may read everything that is answered, redirects and errors too."""
        urls = [*EVERY_FAMILY, f"/acme/{WHEEL}?x"]
        self.index.source.error = None
        for url in urls:
            reply = self.index.get(url)
            self.assertEqual(reply.headers["access-control-allow-origin"], "*", url)
            self.assertIn("ETag", reply.headers["access-control-expose-headers"])
            self.assertNotIn("access-control-allow-credentials", reply.headers)
        for headers in ((("Accept", "a/b"),), (("If-None-Match", "*"),)):
            self.assertEqual(self.index.get("/acme/", *headers).headers["access-control-allow-origin"], "*")
        self.index.source.error = Unavailable("Soon.")
        self.assertEqual(self.index.get("/acme/").headers["access-control-allow-origin"], "*")
        self.assertEqual(self.index.ask("POST", "/acme/").headers["access-control-allow-origin"], "*")
        self.index.source.error = ZeroDivisionError()
        self.assertEqual(self.index.get("/acme/").headers["access-control-allow-origin"], "*")
        self.index.failures.clear()

    def test_cors_of_one_origin(self) -> None:
        """The operator may name the one origin, or none."""
        index = self.make(cors="https://jupyter.example")
        self.assertEqual(index.get("/").headers["access-control-allow-origin"], "https://jupyter.example")
        index = self.make(cors=None)
        for method in ("GET", "OPTIONS"):
            reply = index.ask(method, "/", ("Origin", "https://jupyter.example"))
            self.assertFalse([name for name in reply.headers if name.startswith("access-control")])

    def test_redirects(self) -> None:
        """Slash and name are put right in one hop with the query kept, for good, and by nothing that may change."""
        for url, location in (
            ("/simple?format=text/html", "/simple/?format=text/html"),
            ("/Foo_Bar", "/foo-bar/"),
            ("/simple/Foo.Bar?format=a%2Bb", "/simple/foo-bar/?format=a%2Bb"),
            ("/Acme/acme-1.0+x.zip", "/acme/acme-1.0%2Bx.zip"),
            ("/simple/index.html", "/simple/"),
        ):
            reply = self.index.get(url)
            found = urljoin("http://index.example/", urljoin(url, reply.headers["location"]))
            self.assertEqual((reply.status, found), (301, f"http://index.example{location}"))
            self.assertEqual(reply.headers["vary"], "Accept, Accept-Encoding")
            self.assertEqual(reply.headers["content-type"], "text/plain; charset=utf-8")
            self.assertEqual(reply.text, f"It is at {reply.headers['location']}\n")
            self.assertNotIn("cache-control", reply.headers)
            self.assertNotIn("attacker", reply.text)
        self.assertEqual(self.index.source.asked, [], "a redirect is decided by the name alone")

    def test_what_every_host_is_asked_for(self) -> None:
        """Crawlers are kept out, and no source is asked for a project of that name."""
        robots = self.index.get("/robots.txt")
        self.assertEqual(
            (robots.headers["content-type"], robots.body),
            ("text/plain; charset=utf-8", b"User-agent: *\nDisallow: /\n"),
        )
        icon = self.index.get("/favicon.ico")
        self.assertEqual(icon.headers["content-type"], "image/svg+xml")
        fromstring(icon.body)
        for name in ("apple-touch-icon.png", "sitemap.xml", "simple/favicon.ico"):
            self.assertEqual(self.index.get(f"/{name}").status, 404)
        self.assertEqual(self.index.source.asked, [])

    def test_no_open_redirect(self) -> None:
        """Nothing that a client writes leads to another host."""
        for url in (
            "//evil.example",
            "//evil.example/",
            "/\\evil.example",
            "/%5Cevil.example",
            "/%2F/evil.example",
        ):
            self.assertEqual(self.index.get(url).status, 404, url)

    def test_bytes_that_are_no_text(self) -> None:
        """A header of any bytes is as good as none (RFC 9110 section 5.5: obs-text is opaque)."""
        for name in (
            "Accept",
            "Accept-Encoding",
            "If-None-Match",
            "If-Match",
            "Range",
            "X-Forwarded-For",
            "Via",
            "Origin",
        ):
            for url in ("/acme/", f"/acme/{WHEEL}", "/-/status"):
                reply = self.index.get(url, (name, b"\xff\xfe"))
                self.assertIn(reply.status, (200, 406, 412), (name, url))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_client_leaves_while_the_source_thinks(self) -> None:
        """The question is given up, in every family of URLs."""
        for url in ("/", "/acme/", f"/acme/{WHEEL}"):
            cancelled: list[object] = []
            self.index.source.gate = Deferred(cancelled.append)
            transport = self.index.begin("GET", url)
            transport.leave()
            self.assertEqual(len(cancelled), 1, url)
            self.assertEqual(transport.held, b"")
        self.assertEqual([status for _, status in self.index.logged], [499] * 3)

    def test_client_leaves_while_a_stubborn_source_thinks(self) -> None:
        """A file that is opened for nobody is closed; a source that says "later" to nobody is no error."""
        body = self.index.source.bodies["acme", WHEEL]
        self.index.source.is_stubborn = True
        for error in (None, Unavailable("Soon.")):
            self.index.source.error = error
            self.index.source.gate = Deferred()
            self.index.begin("GET", f"/acme/{WHEEL}").leave()
        self.assertEqual((body.opened, body.closed), (1, 1))

    def test_client_leaves_while_a_page_is_made(self) -> None:
        """A thread that renders goes on, for others may wait for the same page; nothing is written to who has left."""
        for number in range(301):
            self.index.source.add(f"many-{number}.zip")
        self.index.threads.held = True
        transport = self.index.begin("GET", "/many/")
        transport.leave()
        (rendering,) = self.index.threads.calls
        self.assertFalse(rendering.deferred.called)
        self.assertEqual((transport.held, self.index.failures), (b"", []))

    def test_answer_that_comes_later(self) -> None:
        """A source that takes its time is waited for, and others are not held up."""
        gate: Deferred[None] = Deferred()
        self.index.source.gate = gate
        transport = self.index.begin("GET", "/acme/")
        self.assertEqual(self.index.get("/-/health").status, 200)
        self.assertEqual(transport.held, b"")
        self.index.source.gate = None
        gate.callback(None)
        self.assertEqual(read(transport).status, 200)

    def test_acme_challenge(self) -> None:
        """The certificate authority gets what was left for it, as bytes that nobody keeps (RFC 8555 section 8.3)."""
        reply = self.index.get("/.well-known/acme-challenge/token")
        self.assertEqual((reply.status, reply.body), (200, b"token.thumbprint"))
        self.assertEqual(reply.headers["content-type"], "application/octet-stream")
        self.assertEqual(reply.headers["cache-control"], "no-store")
        self.assertEqual(
            self.index.get("/.well-known/acme-challenge/x").text, "There is no challenge here.\n"
        )

    def test_settings_that_change(self) -> None:
        """What SIGHUP changes is read anew for each request."""
        self.index.resource.cors = None
        self.assertNotIn("access-control-allow-origin", self.index.get("/").headers)


class LocalTests(SynchronousTestCase):
    """Who sits on this machine, told by who gets the details of the status page."""

    def is_local(self, peer: object, *headers: tuple[str, str], trusted: tuple[str, ...] = ()) -> bool:
        index = SiteFixture(trusted=tuple(map(ip_network, trusted)))
        reply = index.get("/-/status", ("Host", "localhost"), *headers, peer=peer)  # type: ignore[arg-type]  # any kind of address
        return "withheld-files" in reply.json

    def test_direct(self) -> None:
        """Loopback is local in each of its forms; nothing else is, a Unix socket neither."""
        for host in ("127.0.0.1", "127.3.2.1"):
            self.assertTrue(self.is_local(IPv4Address("TCP", host, 1)))
        for host in ("::1", "::ffff:127.0.0.1"):
            self.assertTrue(self.is_local(IPv6Address("TCP", host, 1)))
        self.assertFalse(self.is_local(FAR))
        self.assertFalse(self.is_local(IPv6Address("TCP", "::ffff:192.0.2.7", 1)))
        self.assertFalse(self.is_local(UNIXAddress("/run/x")))

    def test_claims(self) -> None:
        """Nobody becomes local by a header."""
        for header in (
            ("X-Forwarded-For", "127.0.0.1"),
            ("Forwarded", "for=127.0.0.1"),
            ("X-Real-IP", "127.0.0.1"),
        ):
            self.assertFalse(self.is_local(FAR, header))
            self.assertFalse(self.is_local(FAR, header, trusted=("198.51.100.0/24",)))

    def test_proxy_on_this_machine_that_is_not_trusted(self) -> None:
        """A proxy here may speak for anybody, so whatever a proxy adds makes a client remote."""
        for header in (
            ("X-Forwarded-For", "127.0.0.1"),
            ("X-Forwarded-For", ""),
            ("Forwarded", "for=127.0.0.1"),
            ("Via", "1.1 proxy"),
            ("X-Real-IP", "127.0.0.1"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "python.example.com"),
        ):
            self.assertFalse(self.is_local(NEAR, header), header)

    def test_trusted_proxy(self) -> None:
        """A trusted proxy's word counts, where it says who the client is."""
        trusted = ("127.0.0.1/32", "192.0.2.0/24")
        for peer in (NEAR, FAR):
            self.assertTrue(self.is_local(peer, ("X-Forwarded-For", "127.0.0.1"), trusted=trusted))
            self.assertTrue(self.is_local(peer, ("X-Forwarded-For", "::1"), trusted=trusted))
            for said in ("198.51.100.9", "127.0.0.1, 198.51.100.9", "unknown", "_hidden", ""):
                self.assertFalse(self.is_local(peer, ("X-Forwarded-For", said), trusted=trusted), said)
            for header in (("Forwarded", "for=127.0.0.1"), ("Via", "1.1 proxy")):
                self.assertFalse(self.is_local(peer, header, trusted=trusted), header)
        self.assertTrue(self.is_local(NEAR, trusted=trusted))

    def test_two_fields(self) -> None:
        """A client's own X-Forwarded-For, left in place before the proxy's, does not count."""
        said = (("X-Forwarded-For", "127.0.0.1"), ("X-Forwarded-For", "198.51.100.9"))
        self.assertFalse(self.is_local(NEAR, *said, trusted=("127.0.0.1/32",)))

    def test_page_in_a_browser(self) -> None:
        """A web page of anybody's, which a browser on this machine shows, is not who sits at it."""
        self.assertFalse(self.is_local(NEAR, ("Origin", "https://evil.example")))
        self.assertFalse(self.is_local(NEAR, ("Origin", "null")))


class RedirectTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.failures = logged_failures()
        challenges = {"token": b"token.thumbprint"}
        self.resource = RedirectResource("https://python.example.com:8443/", challenges.get)
        self.client = Client(self.resource)

    def tearDown(self) -> None:
        self.assertEqual(self.failures, [])

    def test_path_and_query_are_kept(self) -> None:
        """Each URL leads to itself over TLS, whatever host was asked for, in one hop and for good."""
        for url, rest in (
            ("/", ""),
            ("/?a=b", "?a=b"),
            ("/simple/acme/?format=a%2Bb", "simple/acme/?format=a%2Bb"),
            ("/acme/acme-1.0%2Bx.zip", "acme/acme-1.0%2Bx.zip"),
            ("/acme/acme-1.0+x.zip", "acme/acme-1.0+x.zip"),
            ("/a%252Fb", "a%252Fb"),
            ("/?", ""),
            ("//evil.example/", "evil.example/"),
            ("///evil.example", "evil.example"),
            ("http://attacker.example/x?y", "x?y"),
            ("http://attacker.example", ""),
            ("/.well-known/other", ".well-known/other"),
            ("/\\evil.example", "%5Cevil.example"),
            (b'/\x7f\x80"<>', "%7F%80%22%3C%3E"),
            ("/@evil.example", "@evil.example"),
        ):
            for method in ("GET", "HEAD"):
                reply = self.client.ask(method, url)
                self.assertEqual(reply.status, 308)
                self.assertEqual(reply.headers["location"], f"https://python.example.com:8443/{rest}")
                self.assertNotIn("cache-control", reply.headers)
                self.assertNotIn("attacker", str(reply.headers))

    def test_nothing_is_taken(self) -> None:
        """Nothing but reading is redirected: a token sent by mistake is not sent twice."""
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            for url in ("/legacy/", "/.well-known/acme-challenge/token"):
                reply = self.client.ask(method, url)
                self.assertEqual(reply.status, 405)
                self.assertEqual(reply.headers["allow"], "GET, HEAD")
                self.assertNotIn("location", reply.headers)
                self.assertIn("https://python.example.com:8443/", reply.text)

    def test_challenge(self) -> None:
        """The certificate authority comes without TLS, and is answered without."""
        self.assertEqual(self.client.get("/.well-known/acme-challenge/token").body, b"token.thumbprint")
        self.assertEqual(self.client.head("/.well-known/acme-challenge/token").status, 200)
        for other in ("other", "", "a/token", "../token", "%2e%2e"):
            self.assertEqual(self.client.get(f"/.well-known/acme-challenge/{other}").status, 404, other)


def test_transport_is_told_of() -> None:
    """The client in memory is as strict as a socket: the producer hears of the loss before the protocol."""
    index = SiteFixture()
    body = index.source.bodies["acme", "acme-1.zip"] = StubBody(bytes(500_000))
    index.source.empty("acme")
    transport: Transport = index.begin("GET", "/acme/acme-1.zip")
    assert transport.producer is not None
    transport.leave()
    assert transport.producer is None
    assert body.closed
