"""What a client breaks or degrades without, shown over HTTP."""

from __future__ import annotations

import hashlib
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from unittest.mock import ANY
from urllib.parse import urljoin

import pytest
from twisted.internet.task import Clock

from simpleindex.core.errors import Unavailable
from simpleindex.core.model import Project, Status
from simpleindex.core.names import parse_project_name
from simpleindex.directory.layout.package_directory import PackageDirectory
from simpleindex.directory.live.live_directory import LiveDirectory
from simpleindex.directory.scan.batches import ScanThreads
from simpleindex.directory.scan.digest_cache import DigestCache
from simpleindex.directory.scan.scanner import Scanner
from simpleindex.directory.source import LocalSource
from simpleindex.directory.watch.interface import NoWatch
from tests.fixtures.distributions import add_wheel, metadata_text, put, wheel_bytes, wheel_name
from tests.fixtures.examiner import InProcessExaminer
from tests.fixtures.log import log_into, logged_failures
from tests.fixtures.site import JSON, PIP, V1_HTML, Reply, SiteFixture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WHEEL = "acme-1.0+local.1-py3-none-any.whl"
QUOTED = "acme-1.0%2Blocal.1-py3-none-any.whl"
DATA = b"PK" + bytes(20_000)
METADATA = b"Metadata-Version: 2.1\nName: acme\n"
UV = f"{JSON}, {V1_HTML};q=0.2, text/html;q=0.01"
POETRY = f"{JSON}, */*;q=0.1"


@pytest.fixture
def index() -> SiteFixture:
    """An index of one project with every kind of file."""
    index = SiteFixture()
    index.source.add(WHEEL, DATA, metadata=METADATA, requires_python=">=3.9,<4")
    index.source.add("acme-1.0.tar.gz", b"\x1f\x8b" + bytes(500), yanked="")
    index.source.add("acme-0.9.tar.gz", b"\x1f\x8b" + bytes(501), yanked='broken & "bad" <really>')
    index.source.empty("empty")
    return index


class Anchors(HTMLParser):
    """Every anchor of a page with its attributes and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self._open: dict[str, str | None] | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._open = dict(attrs)

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self.found.append((data, self._open))
            self._open = None


def page(index: SiteFixture, project: str = "acme") -> Any:
    """A project's page as pip reads it."""
    return index.get(f"/simple/{project}/", ("Accept", PIP)).json


def anchors(index: SiteFixture, url: str = "/simple/acme/") -> dict[str, dict[str, str | None]]:
    """A page's anchors as an old tool reads them."""
    return dict(Anchors(index.get(url).text).found)


def nulls(value: Any) -> list[Any]:
    """Every null in a JSON value."""
    if isinstance(value, dict):
        value = list(value.values())
    return (
        [null for item in value for null in nulls(item)]
        if isinstance(value, list)
        else [value] * (value is None)
    )


def test_row_01_unknown_project_is_404(index: SiteFixture) -> None:
    """Unknown is 404, known without files is 200, cannot tell is neither."""
    assert index.get("/simple/nobody/", ("Accept", UV)).status == 404
    assert page(index, "empty")["files"] == []
    index.source.error = Unavailable("Soon.")
    assert index.get("/simple/nobody/").status == 503


def test_row_02_one_permanent_hop(index: SiteFixture) -> None:
    """Slash and name are put right in one hop, and nothing else is ever redirected."""
    reply = index.get("/simple/Acme?format=text/html")
    assert reply.status == 301
    # Relative, so that it holds below the path of a proxy (RFC 9110 section 10.2.2).
    target = urljoin("/simple/Acme?format=text/html", reply.headers["location"])
    assert target == "/simple/acme/?format=text/html"
    assert index.get(target).status == 200
    for url in ("/simple/", "/simple/acme/", "/simple/nobody/", f"/simple/acme/{QUOTED}", "/acme/none.whl"):
        assert index.get(url).status in (200, 404)


def test_row_03_decoded_exactly_once(index: SiteFixture) -> None:
    """The plus of a local version is found quoted and plain, and is never a space."""
    for name in (QUOTED, WHEEL, QUOTED.replace("%2B", "%2b")):
        assert index.get(f"/simple/acme/{name}").body == DATA
    for name in (WHEEL.replace("+", "%20"), WHEEL.replace("+", "%252B")):
        assert index.get(f"/simple/acme/{name}").status == 404


def test_row_04_file_name_is_the_end_of_its_url(index: SiteFixture) -> None:
    """JSON's filename, HTML's text and the last segment of the URL agree."""
    for file in page(index)["files"]:
        assert file["url"].replace("%2B", "+") == file["filename"]
    for text, attributes in anchors(index).items():
        href = attributes["href"] or ""
        assert href.partition("#")[0].replace("%2B", "+") == text


def test_row_05_no_query_in_file_urls(index: SiteFixture) -> None:
    """A file's URL has no query, so that every client finds the sidecar beside it."""
    assert not [file for file in page(index)["files"] if "?" in file["url"] or "#" in file["url"]]
    assert not [href for href in anchors(index).values() if "?" in (href["href"] or "")]


def test_row_06_html_for_anything(index: SiteFixture) -> None:
    """Who takes anything, or says nothing, gets HTML."""
    for headers in ((), (("Accept", "*/*"),), (("Accept", "text/html, */*;q=0.8"),)):
        assert index.get("/simple/acme/", *headers).headers["content-type"] == "text/html; charset=utf-8"


def test_row_07_exact_content_types(index: SiteFixture) -> None:
    """The types are letter for letter what uv compares them with, and always there."""
    for accept, kind in (
        (UV, JSON),
        (V1_HTML, f"{V1_HTML}; charset=utf-8"),
        ("text/html", "text/html; charset=utf-8"),
    ):
        for url in ("/simple/", "/simple/acme/"):
            assert index.get(url, ("Accept", accept)).headers["content-type"] == kind


def test_row_08_json_is_offered(index: SiteFixture) -> None:
    """What pip, uv and poetry say gets them JSON."""
    for accept in (PIP, UV, POETRY):
        assert index.get("/simple/acme/", ("Accept", accept)).headers["content-type"] == JSON


def test_row_09_sha256_only(index: SiteFixture) -> None:
    """Every file has its digest, the true one and no other."""
    for file in page(index)["files"]:
        content = index.get(f"/simple/acme/{file['url']}").body
        assert file["hashes"] == {"sha256": hashlib.sha256(content).hexdigest()}


def test_row_10_no_stray_fragments(index: SiteFixture) -> None:
    """Every anchor is a file with its sha256, and no other anchor is on the page."""
    found = Anchors(index.get("/simple/acme/").text).found
    assert len(found) == 3
    for _, attributes in found:
        assert re.fullmatch(r"[^#]+#sha256=[0-9a-f]{64}", attributes["href"] or "")


def test_row_11_no_nulls(index: SiteFixture) -> None:
    """What is not known is left out."""
    index.source.put(Project(parse_project_name("odd"), status=Status.DEPRECATED))
    for url in ("/simple/", "/simple/acme/", "/simple/empty/", "/simple/odd/"):
        assert nulls(index.get(url, ("Accept", UV)).json) == []


def test_row_12_yanked_in_forms_that_all_read(index: SiteFixture) -> None:
    """Yanked without a reason is an empty attribute, never a bare one, and true, never an empty text."""
    yanked = {file["filename"]: file.get("yanked", False) for file in page(index)["files"]}
    assert yanked == {WHEEL: False, "acme-1.0.tar.gz": True, "acme-0.9.tar.gz": 'broken & "bad" <really>'}
    assert 'data-yanked=""' in index.get("/simple/acme/").text
    found = anchors(index)
    assert "data-yanked" not in found[WHEEL]
    assert found["acme-0.9.tar.gz"]["data-yanked"] == 'broken & "bad" <really>'


def test_row_13_no_sidecar_no_attribute(index: SiteFixture) -> None:
    """What has no sidecar says nothing of one, above all not "false"."""
    assert "data-core-metadata" not in anchors(index)["acme-1.0.tar.gz"]
    assert "data-dist-info-metadata" not in anchors(index)["acme-1.0.tar.gz"]
    assert [file["filename"] for file in page(index)["files"] if "core-metadata" in file] == [WHEEL]
    assert "false" not in [attributes.get("data-core-metadata") for attributes in anchors(index).values()]


class Local:
    """An index over a real directory, all of whose threads are this one."""

    def __init__(self, tmp_path: Path) -> None:
        async def at_once(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
            return function(*arguments, **named)

        self.root = tmp_path / "root"
        self.root.mkdir()
        directory = PackageDirectory(str(self.root))
        self.failures = logged_failures()
        self.now_ns = 10**19
        told: list[str] = []
        self.live = LiveDirectory(
            Scanner(
                directory,
                DigestCache(str(tmp_path / "cache"), directory.root, log_into(told)),
                lambda: self.now_ns,
                patient=False,
                examiner=InProcessExaminer(),
            ),
            Clock(),
            threads=ScanThreads(at_once, at_once, at_once),
            log=log_into(told),
        )
        # Every request looks at the directory first.
        self.live.polling = True
        self.live.begin(NoWatch())
        self.index = SiteFixture(LocalSource(self.live, directory, at_once))

    def files(self, project: str = "acme") -> dict[str, Any]:
        """The files on a project's page, by name."""
        return {file["filename"]: file for file in page(self.index, project)["files"]}

    def get(self, url: str, *headers: tuple[str, str]) -> Reply:
        return self.index.get(url, *headers)


@pytest.fixture
def local(tmp_path: Path) -> Local:
    """A directory of one project that is not looked at, since a root that loses its last project is mistrusted."""
    local = Local(tmp_path)
    add_wheel(local.root, "other")
    return local


def test_row_15_advertised_sidecar_is_served(local: Local) -> None:
    """A sidecar is the wheel's METADATA, byte for byte and with the digest that the page states."""
    for version in ("1.0", "1.1", "2.0rc1"):
        add_wheel(local.root, "acme", version, "Requires-Python: >=3.9", f"Requires-Dist: other>={version}")
    files = local.files()
    assert len(files) == 3
    for name, file in files.items():
        version = file["filename"].split("-")[1]
        sidecar = local.get(f"/simple/acme/{file['url']}.metadata")
        expected = metadata_text(
            "acme", version, "Requires-Python: >=3.9", f"Requires-Dist: other>={version}"
        )
        assert (sidecar.status, sidecar.body) == (200, expected)
        assert file["core-metadata"] == {"sha256": hashlib.sha256(expected).hexdigest()}
        assert sidecar.headers["etag"] == f'"{file["core-metadata"]["sha256"]}"'
        attributes = anchors(local.index)[name]
        assert attributes["data-core-metadata"] == f"sha256={file['core-metadata']['sha256']}"
        assert attributes["data-dist-info-metadata"] == attributes["data-core-metadata"]
    assert not local.failures


def test_row_18_size_and_versions(index: SiteFixture) -> None:
    """Sizes and versions, which 1.1 demands, are there and true."""
    assert sorted(page(index)["versions"]) == ["0.9", "1.0", "1.0+local.1"]
    for file in page(index)["files"]:
        assert file["size"] == len(index.get(f"/simple/acme/{file['url']}").body)


def test_row_19_relative_links_in_the_root(index: SiteFixture) -> None:
    """The list links by name and slash alone, which poetry takes for the name."""
    for url in ("/", "/simple/"):
        assert {text: item["href"] for text, item in anchors(index, url).items()} == {
            "acme": "acme/",
            "empty": "empty/",
        }


def test_row_21_explicit_cache_control(index: SiteFixture) -> None:
    """Nobody has to guess how long a page is fresh: not at all."""
    for url in ("/simple/", "/simple/acme/", f"/simple/acme/{QUOTED}", f"/simple/acme/{QUOTED}.metadata"):
        assert index.get(url).headers["cache-control"] == "no-cache"


def test_row_22_strong_tag_repeated_on_304(index: SiteFixture) -> None:
    """Tags are strong, differ per form and encoding, and come again with the 304."""
    seen = set()
    for accept in (JSON, V1_HTML, "text/html"):
        for encoding in ("identity", "gzip", "zstd"):
            headers = (("Accept", accept), ("Accept-Encoding", encoding))
            tag = index.get("/simple/acme/", *headers).headers["etag"]
            again = index.get("/simple/acme/", *headers, ("If-None-Match", tag))
            assert (again.status, again.headers["etag"], again.headers["cache-control"]) == (
                304,
                tag,
                "no-cache",
            )
            seen.add(tag)
    assert len(seen) == 9
    assert not [tag for tag in seen if tag.startswith("W/")]


def test_row_23_list_of_tags(index: SiteFixture) -> None:
    """If-None-Match is a list, compared weakly."""
    for url in ("/simple/acme/", f"/simple/acme/{QUOTED}"):
        tag = index.get(url).headers["etag"]
        for value in (f'"a", {tag}', f'{tag},"a"', f"W/{tag}", f'"a,b" , W/{tag}', "*"):
            assert index.get(url, ("If-None-Match", value)).status == 304


def test_row_24_vary(index: SiteFixture) -> None:
    """Whatever was chosen by Accept says so, 304, 406 and redirects too."""
    tag = index.get("/simple/acme/").headers["etag"]
    replies = [
        index.get("/simple/"),
        index.get("/simple/acme/", ("Accept", PIP)),
        index.get("/simple/acme/", ("If-None-Match", tag)),
        index.get("/simple/acme/", ("Accept", "a/b")),
        index.get("/simple/acme"),
    ]
    assert [reply.status for reply in replies] == [200, 200, 304, 406, 301]
    assert all(reply.headers["vary"].startswith("Accept, Accept-Encoding") for reply in replies)


def test_row_25_no_vary_by_credentials(index: SiteFixture) -> None:
    """Vary never names what pip's cache cannot match."""
    for url in ("/simple/", "/simple/acme/", f"/simple/acme/{QUOTED}", "/simple/nobody/", "/simple"):
        vary = index.get(url, ("Authorization", "Basic eDp5"), ("Cookie", "a=b")).headers.get("vary", "")
        assert not {"authorization", "cookie", "*"} & set(re.split(r"[ ,]+", vary.lower()))


def test_row_26_files_are_never_encoded(index: SiteFixture) -> None:
    """A .tar.gz is sent as it is to clients that accept gzip."""
    for name in (QUOTED, "acme-1.0.tar.gz", f"{QUOTED}.metadata"):
        reply = index.get(f"/simple/acme/{name}", ("Accept-Encoding", "gzip, deflate, br, zstd"))
        assert "content-encoding" not in reply.headers
        assert reply.headers["content-length"] == str(len(reply.body))
    assert index.get("/simple/acme/acme-1.0.tar.gz").body == b"\x1f\x8b" + bytes(500)


def test_row_27_only_bytes_without_a_name(index: SiteFixture) -> None:
    """Files are octet-stream, and their names are in their URLs alone."""
    for name in (QUOTED, "acme-1.0.tar.gz"):
        reply = index.get(f"/simple/acme/{name}")
        assert reply.headers["content-type"] == "application/octet-stream"
        assert "content-disposition" not in reply.headers


def test_row_28_head_and_exact_content_range(index: SiteFixture) -> None:
    """What uv and pip do to read a wheel's end: HEAD, then exactly the bytes asked for."""
    url = f"/simple/acme/{QUOTED}"
    head = index.head(url, ("Accept-Encoding", "identity"))
    assert (head.status, head.headers["accept-ranges"]) == (200, "bytes")
    size = int(head.headers["content-length"])
    part = index.get(url, ("Range", f"bytes={size - 100}-{size - 1}"))
    assert (part.status, part.body) == (206, DATA[-100:])
    assert part.headers["content-range"] == f"bytes {size - 100}-{size - 1}/{size}"


def test_row_29_suffix_longer_than_the_file(index: SiteFixture) -> None:
    """The first thing that poetry asks of a small file is answered with all of it."""
    reply = index.get("/simple/acme/acme-1.0.tar.gz", ("Range", "bytes=-10000"))
    assert (reply.status, len(reply.body)) == (206, 502)
    assert reply.headers["content-range"] == "bytes 0-501/502"
    assert reply.headers["content-length"] == "502"


def test_row_30_if_range(index: SiteFixture) -> None:
    """A resumed download goes on only in the file in which it began."""
    url = f"/simple/acme/{QUOTED}"
    tag = index.get(url).headers["etag"]
    resumed = index.get(url, ("Range", "bytes=500-"), ("If-Range", tag))
    assert (resumed.status, resumed.body) == (206, DATA[500:])
    assert resumed.headers["content-range"] == f"bytes 500-{len(DATA) - 1}/{len(DATA)}"
    index.source.add(WHEEL, b"replaced")
    restarted = index.get(url, ("Range", "bytes=5-"), ("If-Range", tag))
    assert (restarted.status, restarted.body) == (200, b"replaced")


def test_row_32_retry_after_in_seconds(index: SiteFixture) -> None:
    """Retry-After is a whole number, at which poetry's float() does not crash."""
    index.source.error = Unavailable(
        "Soon.", retry_after=30
    )  # more than a client should sleep without a word
    for url in ("/simple/", "/simple/acme/", f"/simple/acme/{QUOTED}"):
        reply = index.get(url)
        assert (reply.status, reply.headers["retry-after"]) == (503, "2")


def test_row_33_files_beside_their_page(index: SiteFixture) -> None:
    """Files are linked by bare name, so they lie on the index's own host and path."""
    for url in ("/acme/", "/simple/acme/"):
        for file in index.get(url, ("Accept", PIP)).json["files"]:
            assert "/" not in file["url"]
            assert ":" not in file["url"]
            assert index.get(url + file["url"]).status == 200
    assert "<base" not in index.get("/simple/acme/").text


def test_row_34_cors(index: SiteFixture) -> None:
    """A browser's client may read pages, files, sidecars and redirects."""
    for url in (
        "/simple/",
        "/simple/acme/",
        f"/simple/acme/{QUOTED}",
        f"/simple/acme/{QUOTED}.metadata",
        "/simple/acme",
    ):
        assert (
            index.get(url, ("Origin", "https://lite.example")).headers["access-control-allow-origin"] == "*"
        )
        assert index.ask("OPTIONS", url).status == 204


def test_row_45_nothing_of_a_quarantined_project(local: Local) -> None:
    """Quarantine empties the page and closes every URL of a file, known names too."""
    add_wheel(local.root)
    url = f"/simple/acme/{wheel_name()}"
    assert [local.get(url + suffix).status for suffix in ("", ".metadata")] == [200, 200]
    put(local.root / "acme" / "simpleindex.toml", b'status = "quarantined"\n')
    assert page(local.index) | {"files": None} == {
        "meta": {"api-version": "1.4"},
        "name": "acme",
        "project-status": {"status": "quarantined"},
        "versions": [],
        "files": None,
        "_withheld": 1,
    }
    assert local.files() == {}
    for suffix in ("", ".metadata"):
        for method in ("GET", "HEAD"):
            assert local.index.ask(method, url + suffix).status == 403
    assert local.get("/simple/", ("Accept", PIP)).json["projects"] == [{"name": "other", "_last-serial": ANY}]
    # Archived is not quarantined: files must be offered.
    put(local.root / "acme" / "simpleindex.toml", b'status = "archived"\n')
    assert local.get(url).status == 200


def test_row_48_page_sidecar_and_file_change_together(local: Local) -> None:
    """A wheel replaced, and taken away, takes its sidecar and its entry with it."""
    path = add_wheel(local.root, "acme", "1.0", "Requires-Python: >=3.9")
    url = f"/simple/acme/{path.name}"
    old = local.files()[path.name]
    tag = local.get(url).headers["etag"]
    put(path, wheel_bytes("acme", "1.0", "Requires-Python: >=3.11"))
    # Sidecar first: no page was asked for in between.
    sidecar = local.get(f"{url}.metadata").body
    new = local.files()[path.name]
    assert b">=3.11" in sidecar
    assert new["requires-python"] == ">=3.11"
    assert new["core-metadata"] == {"sha256": hashlib.sha256(sidecar).hexdigest()}
    file = local.get(url, ("If-None-Match", tag), ("Range", "bytes=10-"), ("If-Range", tag))
    assert file.status == 200
    assert new["hashes"] == {"sha256": hashlib.sha256(file.body).hexdigest()}
    assert new["hashes"] != old["hashes"]
    path.unlink()
    assert local.get(f"{url}.metadata").status == 404
    assert local.get(url).status == 404
    assert path.name not in local.get("/simple/acme/").text
    assert not local.failures


def test_row_49_no_keys_of_other_versions(index: SiteFixture) -> None:
    """The pages say 1.4 and have the keys of 1.4."""
    root = index.get("/simple/", ("Accept", PIP)).json
    assert root.keys() == {"meta", "projects"}
    assert page(index)["meta"] == root["meta"] == {"api-version": "1.4"}
    assert page(index).keys() == {"meta", "name", "versions", "files"}
    known = {"filename", "url", "hashes", "size", "upload-time", "requires-python", "core-metadata", "yanked"}
    assert all(file.keys() <= known for file in page(index)["files"])
    for url in ("/simple/", "/simple/acme/"):
        assert '<meta name="pypi:repository-version" content="1.4">' in index.get(url).text
        assert not re.search("tracks|alternate-locations|namespaces", index.get(url).text)
