"""The listings over HTTP: form, encoding, revalidation, and the pages that are kept."""

from __future__ import annotations

import gzip
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import zstandard

from simpleindex.core.errors import Unavailable
from simpleindex.core.model import Project, Status
from simpleindex.core.names import parse_project_name
from simpleindex.web.pages.negotiation import Encoding, available_encodings
from simpleindex.web.pages.notes import NOTHING_MORE, IndexDescription
from tests.fixtures.site import JSON, PIP, V1_HTML, Reply, SiteFixture, read
from tests.fixtures.stub_source import StubSource

if TYPE_CHECKING:
    from collections.abc import Callable

PAGES = ("/", "/simple/", "/acme/", "/simple/acme/")
ACCEPTS = {JSON: JSON, V1_HTML: f"{V1_HTML}; charset=utf-8", "text/html": "text/html; charset=utf-8"}
DECODE: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "zstd": zstandard.ZstdDecompressor().decompress,
}


@pytest.fixture
def index() -> SiteFixture:
    """An index of two projects."""
    index = SiteFixture()
    index.source.add("acme-1.0-py3-none-any.whl", metadata=b"Metadata-Version: 2.1\n")
    for number in range(30):
        index.source.add(f"acme-1.{number}.tar.gz", b"%d" % number)
    index.source.add("other-1.0.zip")
    return index


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("accept", ACCEPTS)
def test_headers(index: SiteFixture, page: str, accept: str) -> None:
    """A listing says what it is, that it is to be revalidated, by what it was chosen, and when it was sent."""
    reply = index.get(page, ("Accept", accept))
    assert reply.status == 200
    assert reply.headers["content-type"] == ACCEPTS[accept]
    assert reply.headers["cache-control"] == "no-cache"
    assert reply.headers["vary"] == "Accept, Accept-Encoding, Origin, Sec-Fetch-Mode"
    assert reply.headers["content-length"] == str(len(reply.body))
    assert reply.headers["etag"].startswith('"')
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["date"].endswith("GMT")
    assert "last-modified" not in reply.headers
    assert ("content-security-policy" in reply.headers) == (accept != JSON)
    assert ("referrer-policy" in reply.headers) == (accept != JSON)


def test_same_page_under_every_prefix(index: SiteFixture) -> None:
    """A page is the same bytes at the root and under the prefix, so that either may be an index URL."""
    for one, other in (("/", "/simple/"), ("/acme/", "/simple/acme/")):
        assert index.get(one).body == index.get(other).body
        assert index.get(one).headers["etag"] == index.get(other).headers["etag"]


def test_contents(index: SiteFixture) -> None:
    """The pages tell of what the source has."""
    assert [project["name"] for project in index.get("/", ("Accept", PIP)).json["projects"]] == [
        "acme",
        "other",
    ]
    assert len(index.get("/acme/", ("Accept", PIP)).json["files"]) == 31
    assert '<a href="acme/">acme</a>' in index.get("/").text


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("accept", ACCEPTS)
@pytest.mark.parametrize("encoding", DECODE)
def test_encoded(index: SiteFixture, page: str, accept: str, encoding: str) -> None:
    """A compressed page is the plain one when decoded, and says so."""
    plain = index.get(page, ("Accept", accept))
    packed = index.get(page, ("Accept", accept), ("Accept-Encoding", encoding))
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == encoding
    assert packed.headers["content-length"] == str(len(packed.body))
    assert DECODE[encoding](packed.body) == plain.body
    same = plain.headers.keys() - {"etag", "content-length", "date"}
    assert {name: plain.headers[name] for name in same} == {name: packed.headers[name] for name in same}


@pytest.mark.parametrize(
    ("accept_encoding", "encoding"),
    [
        ("gzip, deflate", "gzip"),
        ("gzip, deflate, zstd", "zstd"),
        ("zstd;q=0.5, gzip", "gzip"),
        ("br", None),
        ("identity, gzip;q=0", None),
        ("", None),
        ("*", "zstd"),
    ],
)
def test_chosen_encoding(index: SiteFixture, accept_encoding: str, encoding: str | None) -> None:
    """A pip gets gzip, a uv gets zstd, and who can read neither gets the page as it is."""
    assert (
        index.get("/acme/", ("Accept-Encoding", accept_encoding)).headers.get("content-encoding") == encoding
    )


def test_one_tag_for_each_form(index: SiteFixture) -> None:
    """No two of the nine forms of a page share an entity tag (RFC 9110 section 8.8.1)."""
    tags = {
        index.get("/acme/", ("Accept", accept), ("Accept-Encoding", encoding)).headers["etag"]
        for accept in ACCEPTS
        for encoding in ("identity", *DECODE)
    }
    assert len(tags) == 9
    assert all(tag[0] == tag[-1] == '"' for tag in tags)


def test_tag_survives_restart(index: SiteFixture) -> None:
    """The tag and the packed bytes are made from the content alone, so a restarted server still answers 304."""
    again = SiteFixture()
    again.source.pages, again.source.bodies = index.source.pages, index.source.bodies
    for encoding in ("identity", *DECODE):
        one, other = (one.get("/acme/", ("Accept-Encoding", encoding)) for one in (index, again))
        assert (one.headers["etag"], one.body) == (other.headers["etag"], other.body)


MATCHING: list[Callable[[str], str]] = [
    lambda tag: tag,
    lambda tag: f"W/{tag}",
    lambda tag: f'"x", W/"y,z" ,{tag}',
    lambda tag: f'{tag},"x"',
    lambda _: "*",
]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("form", MATCHING)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_not_modified(index: SiteFixture, page: str, form: Callable[[str], str], method: str) -> None:
    """A 304 repeats what a cache needs to keep its page, and has nothing else."""
    fresh = index.get(page, ("Accept", JSON), ("Accept-Encoding", "gzip"))
    reply = index.ask(
        method,
        page,
        ("Accept", JSON),
        ("Accept-Encoding", "gzip"),
        ("If-None-Match", form(fresh.headers["etag"])),
        # It is beaten by If-None-Match (RFC 9110 section 13.1.3).
        ("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"),
    )
    assert reply.status == 304
    assert reply.body == b""
    for name in ("etag", "cache-control", "vary"):
        assert reply.headers[name] == fresh.headers[name]
    assert "date" in reply.headers
    assert not reply.headers.keys() & {
        "content-type",
        "content-length",
        "content-encoding",
        "transfer-encoding",
    }


def test_two_fields_are_one_list(index: SiteFixture) -> None:
    """Two If-None-Match fields are one list (RFC 9110 section 5.3)."""
    tag = index.get("/acme/").headers["etag"]
    assert index.get("/acme/", ("If-None-Match", '"x"'), ("If-None-Match", tag)).status == 304


@pytest.mark.parametrize("other", ['"x"', "x", "", 'W/"x"', '"x" "y"'])
def test_modified(index: SiteFixture, other: str) -> None:
    """Another tag, or nonsense, gets the page."""
    assert index.get("/acme/", ("If-None-Match", other)).status == 200


def test_tag_of_other_encoding_is_another(index: SiteFixture) -> None:
    """A cache that holds the plain page is not told that the packed one is the same."""
    tag = index.get("/acme/").headers["etag"]
    assert index.get("/acme/", ("Accept-Encoding", "gzip"), ("If-None-Match", tag)).status == 200


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        (f"format={JSON}", JSON),
        ("format=application/vnd.pypi.simple.v1%2Bjson", JSON),
        ("format=application/vnd.pypi.simple.v1 json".replace(" ", "%20"), JSON),
        ("format=application%2Fvnd.pypi.simple.latest%2Bjson", JSON),
        (f"x=1&format={V1_HTML}&y", V1_HTML),
        (f"format={JSON}&format={JSON}", "text/html"),
        ("format=", "text/html"),
        ("format", "text/html"),
        ("format=%FF%00", "text/html"),
        ("format=*/*", "text/html"),
        (f"Format={JSON}", "text/html"),
        (f"format={JSON};q=1", "text/html"),
        ("&".join(f"x{number}=1" for number in range(100)), "text/html"),
        ("&" * 500 + f"format={JSON}", JSON),
        ("format=application/xml", "text/html"),
    ],
)
def test_format(index: SiteFixture, query: str, kind: str) -> None:
    """One exact type in the query beats Accept; whatever else stands there leaves it to Accept."""
    reply = index.get(f"/acme/?{query}", ("Accept", "text/html"))
    assert reply.status == 200
    assert reply.headers["content-type"].partition(";")[0] == kind


@pytest.mark.parametrize("page", ["/", "/acme/"])
def test_not_acceptable(index: SiteFixture, page: str) -> None:
    """Who reads none of our types is told which there are, in plain words that no cache keeps."""
    reply = index.get(page, ("Accept", "application/xml"))
    assert reply.status == 406
    assert (
        reply.headers["content-type"] == "text/plain; charset=utf-8"
    )  # which is none of those either, but readable
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["vary"] == "Accept, Accept-Encoding"
    assert JSON in reply.text
    assert "etag" not in reply.headers


def test_stale_answer_is_not_kept(index: SiteFixture) -> None:
    """What a source only remembers is served, and kept by nobody."""
    acme = index.source.pages["acme"]
    index.source.put(replace(acme, stale=True))
    index.source.stale = True
    for page in ("/", "/acme/"):
        reply = index.get(page)
        assert (reply.status, reply.headers["cache-control"]) == (200, "no-store")
        assert index.get(page, ("If-None-Match", "*")).headers["cache-control"] == "no-store"


def test_empty_project(index: SiteFixture) -> None:
    """A known project without files is a page, not a 404."""
    index.source.empty("empty")
    index.source.empty("bad", Status.QUARANTINED)
    assert index.get("/empty/", ("Accept", JSON)).json["files"] == []
    assert index.get("/bad/", ("Accept", JSON)).json["project-status"] == {"status": "quarantined"}


def test_empty_index() -> None:
    """An index without projects is an index."""
    assert SiteFixture().get("/", ("Accept", JSON)).json["projects"] == []
    assert "No projects yet" in SiteFixture().get("/").text


class Counted:
    """Counts how often pages are rendered, by counting compressions, once per packed page."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        compress = available_encodings()[Encoding.GZIP]

        def counted(data: bytes) -> bytes:
            self.count += 1
            return compress(data)

        monkeypatch.setattr("tests.fixtures.site.available_encodings", lambda: {Encoding.GZIP: counted})


def packed(index: SiteFixture, page: str = "/acme/") -> Reply:
    """Ask as pip does."""
    return index.get(page, ("Accept", PIP), ("Accept-Encoding", "gzip, deflate"))


def test_page_is_rendered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as the source answers with the very same value, the page is made and packed once."""
    counted, index = Counted(monkeypatch), SiteFixture()
    index.source.add("acme-1.0.zip")
    first = packed(index)
    assert {packed(index).body for _ in range(5)} == {first.body}
    assert packed(index, "/simple/acme/").body == first.body
    assert counted.count == 1
    packed(index, "/")
    packed(index, "/simple/")
    assert counted.count == 2


def test_new_value_is_rendered_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change is on the page that is asked for next."""
    counted, index = Counted(monkeypatch), SiteFixture()
    index.source.add("acme-1.0.zip")
    before = packed(index)
    index.source.add("acme-2.0.zip")
    after = packed(index)
    assert b"acme-2.0.zip" in gzip.decompress(after.body)
    assert before.headers["etag"] != after.headers["etag"]
    assert counted.count == 2


def test_equal_value_is_rendered_anew_with_the_same_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another value with the same content costs work, but no client's cache."""
    counted, index = Counted(monkeypatch), SiteFixture()
    index.source.add("acme-1.0.zip")
    before = packed(index)
    index.source.put(replace(index.source.pages["acme"]))
    assert packed(index).headers["etag"] == before.headers["etag"]
    assert counted.count == 2


def test_kept_pages_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages kept never exceed their bytes; the one least recently used goes first."""
    counted = Counted(monkeypatch)
    index = SiteFixture()
    for name in ("one", "two", "six"):
        index.source.add(f"{name}-1.0.zip")
    size = len(packed(index, "/one/").body)
    index = SiteFixture(cache_size=2 * size + size // 2)
    for name in ("one", "two", "six"):
        index.source.add(f"{name}-1.0.zip")
    counted.count = 0
    for page in ("/one/", "/two/", "/one/", "/six/"):
        packed(index, page)
        assert index.listings._cache.size <= 2 * size + size // 2
    assert counted.count == 3
    packed(index, "/one/")
    assert counted.count == 3, "the page used last was dropped"
    packed(index, "/two/")
    assert counted.count == 4, "the page used least was kept"


def test_size_is_counted_once_per_page() -> None:
    """Replacing a page a thousand times does not fill the cache with its own past."""
    index = SiteFixture()
    index.source.add("acme-1.0.zip")
    index.source.add("other-1.0.zip")
    size = len(index.get("/acme/").body)
    for _ in range(1000):
        index.source.put(replace(index.source.pages["acme"]))
        index.get("/acme/")
    assert index.listings._cache.size == size


def test_page_larger_than_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that does not fit is served all the same; a cache of nothing keeps nothing."""
    counted, index = Counted(monkeypatch), SiteFixture(cache_size=0)
    index.source.add("acme-1.0.zip")
    assert packed(index).status == packed(index).status == 200
    assert counted.count == 2
    assert index.listings._cache.size == 0


def many(index: SiteFixture, count: int) -> None:
    """Give a project so many files."""
    for number in range(count):
        index.source.add(f"many-{number}.zip")


def test_large_pages_are_rendered_in_a_thread() -> None:
    """What takes long is made in a thread, small pages at once, and kept ones not at all."""
    index = SiteFixture()
    many(index, 301)
    index.source.add("acme-1.0.zip")
    index.get("/acme/")
    index.get("/")
    counts = [index.threads.count]
    for _ in range(2):
        assert len(index.get("/many/", ("Accept", JSON)).json["files"]) == 301
        counts.append(index.threads.count)
    assert counts == [0, 1, 1]


@pytest.mark.parametrize("leaving", [0, 1, 3])
def test_clients_share_the_rendering_of_a_large_page(leaving: int) -> None:
    """It is rendered once for all who request it meanwhile, whichever of them leaves; a changed page is another one."""
    index = SiteFixture()
    many(index, 301)
    index.threads.held = True
    begun = [index.begin("GET", "/many/", ("Accept", JSON)) for _ in range(40)]
    for transport in begun[:leaving]:
        transport.leave()
    assert index.threads.count == 1
    index.source.add("many-301.zip")
    late = index.begin("GET", "/many/", ("Accept", JSON))
    other = index.begin("GET", "/many/", ("Accept", V1_HTML))
    assert index.threads.count == 3
    index.threads.deliver_all()
    assert {len(read(each).json["files"]) for each in begun[leaving:]} == {301}
    assert len(read(late).json["files"]) == 302
    assert read(other).status == 200
    assert not index.failures


def test_large_root_is_rendered_in_a_thread() -> None:
    """The list of projects too."""
    index = SiteFixture()
    for number in range(301):
        index.source.put(Project(parse_project_name(f"p{number}")))
    assert len(index.get("/", ("Accept", JSON)).json["projects"]) == 301
    assert index.threads.count == 1


def provenance(index: SiteFixture) -> None:
    """Give the project a page that depends on the base URL."""
    acme = index.source.pages["acme"]
    index.source.put(replace(acme, files=tuple(replace(file, provenance=True) for file in acme.files)))


def test_forget(index: SiteFixture) -> None:
    """New settings are on every page that is asked for next."""
    provenance(index)
    assert "provenance" not in index.get("/acme/").text
    index.listings.forget(
        base_url="https://python.example.com/", files_url="https://python.example.com/", cache_size=1_000_000
    )
    assert "https://python.example.com/simple/acme/" in index.get("/acme/").text


def test_forget_while_rendering() -> None:
    """A page that was begun with the old settings is not kept among the new ones."""
    index = SiteFixture()
    many(index, 301)
    acme = index.source.pages["many"]
    index.source.put(replace(acme, files=tuple(replace(file, provenance=True) for file in acme.files)))
    index.threads.held = True
    begun = index.begin("GET", "/many/")
    index.threads.start()
    index.listings.forget(
        base_url="https://python.example.com/", files_url="https://python.example.com/", cache_size=1_000_000
    )
    index.threads.release()
    assert read(begun).status == 200
    assert "https://python.example.com/simple/many/" in index.get("/many/").text


@pytest.mark.parametrize("page", PAGES)
def test_unavailable(index: SiteFixture, page: str) -> None:
    """A source that cannot tell is never taken for one that has nothing."""
    index.get(page)
    index.source.error = Unavailable("The index is still being read for the first time.", retry_after=2)
    reply = index.get(page)
    assert (reply.status, reply.headers["retry-after"]) == (503, "2")


@pytest.mark.parametrize(
    ("modules", "encodings"),
    [
        ({"compression": None}, [Encoding.ZSTD, Encoding.GZIP]),
        ({"compression": None, "zstandard": None}, [Encoding.GZIP]),
    ],
)
def test_available_encodings(
    monkeypatch: pytest.MonkeyPatch, modules: dict[str, None], encodings: list[Encoding]
) -> None:
    """The encoding zstd is offered where something can make it, and before gzip."""
    for name in modules:
        monkeypatch.setitem(sys.modules, name, None)
    assert list(available_encodings()) == encodings


def test_zstd_of_the_standard_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """From Python 3.14 on zstd needs no extra."""

    class Zstd:
        @staticmethod
        def compress(data: bytes, level: int) -> bytes:
            return b"%d:%s" % (level, data)

    class Compression:
        zstd = Zstd

    monkeypatch.setitem(sys.modules, "compression", Compression)
    assert available_encodings()[Encoding.ZSTD](b"x") == b"6:x"


MICROPIP = ("Accept", f"{JSON}, */*;q=0.01")
SCRIPTS = {
    "another site's": ("Origin", "https://jupyter.example"),
    "a file's": ("Origin", "null"),
    "our own site's": ("Sec-Fetch-Mode", "cors"),
    "a careful one": ("Sec-Fetch-Mode", "same-origin"),
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
@pytest.mark.parametrize(
    ("url", "beside"), [("/acme/", "simple/acme/"), ("/stable/simple/acme/", "stable/simple/acme/")]
)
def test_scripts_in_web_pages_get_absolute_urls(script: tuple[str, str], url: str, beside: str) -> None:
    """Micropip resolves no relative ones; all others get the page that is the same under every prefix."""
    stable = StubSource()
    index = SiteFixture(views={"stable": stable}, base_url="https://index.example/pypi/")
    for source in (index.source, stable):
        source.add("acme-1.0+x.zip", b"data")
    absolute = index.get(url, MICROPIP, script)
    plain = index.get(url, MICROPIP)
    (file,), (other,) = absolute.json["files"], plain.json["files"]
    assert file["url"] == f"https://index.example/pypi/{beside}acme-1.0%2Bx.zip"
    assert other["url"] == "acme-1.0%2Bx.zip"
    assert {**file, "url": ""} == {**other, "url": ""}
    assert index.get(url, ("Accept", "text/html"), script).body == index.get(url).body
    for reply in (absolute, plain):
        assert {"Origin", "Sec-Fetch-Mode"} <= {*reply.headers["vary"].split(", ")}
    # A cache that passes over Vary finds out by the tag.
    tags = absolute.headers["etag"], plain.headers["etag"]
    assert tags[0] != tags[1]
    assert index.get(url, MICROPIP, script, ("If-None-Match", tags[1])).status == 200
    assert index.get(url, MICROPIP, script, ("If-None-Match", tags[0])).status == 304


@pytest.mark.parametrize(
    "header",
    [("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Mode", "no-cors"), ("Referer", "https://x.example/")],
)
def test_requests_of_no_script_get_relative_urls(header: tuple[str, str]) -> None:
    """They resolve them."""
    index = SiteFixture(base_url="https://index.example/")
    index.source.add("acme-1.0.zip", b"data")
    (file,) = index.get("/acme/", MICROPIP, header).json["files"]
    assert file["url"] == "acme-1.0.zip"


def test_without_a_sure_url_they_stay_relative() -> None:
    """A guess would lead a script to its reader's own machine."""
    index = SiteFixture(base_url="http://localhost:8080/")
    index.source.add("acme-1.0.zip", b"data")
    index.listings.forget(base_url="http://localhost:8080/", files_url=None, cache_size=1_000_000)
    (file,) = index.get("/acme/", MICROPIP, ("Origin", "null")).json["files"]
    assert file["url"] == "acme-1.0.zip"


def test_where_an_upstream_has_its_files(index: SiteFixture) -> None:
    """An absolute URL stays what it is."""
    index.source.add("acme-1.0.zip", b"data")
    there = "https://files.example/acme-1.0.zip"
    page = index.source.pages["acme"]
    index.source.put(replace(page, files=tuple(replace(file, url=there) for file in page.files)))
    for headers in ((MICROPIP,), (MICROPIP, ("Origin", "null"))):
        assert index.get("/acme/", *headers).json["files"][0]["url"] == there


def test_what_pages_tell_of_the_index() -> None:
    """It is taken up at once when the certificates change, in both lanes' pages, and by nothing else."""
    index = SiteFixture()
    index.source.add("acme-1.0.zip", b"data")
    before = {url: index.get(url).body for url in ("/", "/acme/")}
    index.listings.describe(NOTHING_MORE)
    assert {url: index.get(url).body for url in before} == before
    index.listings.describe(IndexDescription(has_private_ca=True))
    for url in before:
        assert "--cert ca.pem" in index.get(url).text
    index.listings.describe(NOTHING_MORE)
    assert {url: index.get(url).body for url in before} == before
