"""PyPI's JSON API over HTTP: what a document says, to whom, and when a client has it already."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from typing import Any

import pytest
from packaging.version import Version

from simpleindex.core.errors import Unavailable
from simpleindex.core.files import File
from simpleindex.core.model import Project, Status
from simpleindex.core.names import Kind, parse_project_name
from simpleindex.policy.osv import Advisories, Advisory, Span
from simpleindex.web.pypi_json import PypiFacts
from tests.fixtures.distributions import sdist_bytes
from tests.fixtures.guarded_site import GuardedSiteFixture, access_named, bytes_of
from tests.fixtures.site import SiteFixture
from tests.fixtures.stub_source import StubSource

METADATA = b"""Metadata-Version: 2.4
Name: Acme.Rockets
Version: 2.0
Summary: Rockets that come back
Author: Wile E.
Author-email: Wile E. <wile@acme.example>
License-Expression: MIT
License-File: LICENSE
Project-URL: Source, https://git.example/rockets
Project-URL: Odd, javascript:alert(1)
Home-page: https://acme.example/
Requires-Python: >=3.9
Requires-Dist: fuel>=2; python_version < "4"
Requires-Dist: paint; extra == "looks"
Provides-Extra: looks
Keywords: rockets,traps
Platform: any
Classifier: Topic :: Games
Description-Content-Type: text/markdown

# Rockets
"""
WHEEL = "acme_rockets-2.0-py2.py3-none-any.whl"


def stocked() -> StubSource:
    source = StubSource()
    source.add("acme_rockets-1.0.tar.gz", b"old", yanked="explodes")
    source.add(WHEEL, b"new", metadata=METADATA, requires_python=">=3.9")
    source.add("acme_rockets-3.0rc1.tar.gz", b"newer", yanked="")
    return source


def document(index: SiteFixture, target: str = "/pypi/acme-rockets/json", *headers: tuple[str, str]) -> Any:
    reply = index.get(target, *headers)
    assert reply.status == 200, reply.body
    return reply.json


def without_url() -> SiteFixture:
    """An index whose URL is but a guess."""
    index = SiteFixture(stocked())
    index.listings.forget(base_url="http://localhost:8080/", files_url=None, cache_size=0)
    return index


def test_a_project() -> None:
    index = SiteFixture(stocked(), base_url="https://index.example/")
    index.listings.forget(base_url="https://index.example/", files_url="https://index.example/", cache_size=0)
    page = document(index)
    assert page["info"] == {
        "author": "Wile E.",
        "author_email": "Wile E. <wile@acme.example>",
        "bugtrack_url": None,
        "classifiers": ["Topic :: Games"],
        "description": "# Rockets",
        "description_content_type": "text/markdown",
        "docs_url": None,
        "download_url": None,
        "downloads": {"last_day": -1, "last_month": -1, "last_week": -1},
        "dynamic": None,
        "home_page": "https://acme.example/",
        "keywords": "rockets,traps",
        "license": None,
        "license_expression": "MIT",
        "license_files": ["LICENSE"],
        "maintainer": None,
        "maintainer_email": None,
        "name": "Acme.Rockets",
        "package_url": "https://index.example/acme-rockets/",
        "platform": "any",
        "project_url": "https://index.example/acme-rockets/",
        "project_urls": {"Source": "https://git.example/rockets"},
        "provides_extra": ["looks"],
        "release_url": "https://index.example/acme-rockets/2.0/",
        "requires_dist": ['fuel>=2; python_version < "4"', 'paint; extra == "looks"'],
        "requires_python": ">=3.9",
        "summary": "Rockets that come back",
        "version": "2.0",
        "yanked": False,
        "yanked_reason": None,
    }
    (wheel,) = page["urls"]
    sha256 = wheel["digests"]["sha256"]
    assert wheel == {
        "comment_text": "",
        "core-metadata": {"sha256": wheel["core-metadata"]["sha256"]},
        "digests": {"sha256": sha256},
        "downloads": -1,
        "filename": WHEEL,
        "has_sig": False,
        "md5_digest": None,
        "packagetype": "bdist_wheel",
        "python_version": "py2.py3",
        "requires_python": ">=3.9",
        "size": 3,
        "upload_time": "2023-11-14T22:13:20",
        "upload_time_iso_8601": "2023-11-14T22:13:20Z",
        "url": f"https://index.example/packages/acme-rockets/{WHEEL}",
        "yanked": False,
        "yanked_reason": None,
    }
    assert list(page["releases"]) == ["1.0", "2.0", "3.0rc1"]
    (old,), (newer,) = page["releases"]["1.0"], page["releases"]["3.0rc1"]
    assert (old["packagetype"], old["python_version"], old["core-metadata"]) == ("sdist", "source", False)
    assert [(each["yanked"], each["yanked_reason"]) for each in (old, newer)] == [
        (True, "explodes"),
        (True, None),
    ]
    assert page["vulnerabilities"] == []
    assert page["last_serial"] == 1_700_000_000_000_000


def test_the_file_is_where_its_url_leads() -> None:
    index = without_url()
    url = document(index, "/pypi/acme-rockets/json", ("Host", "here.example:8080"))["urls"][0]["url"]
    assert url.startswith("http://here.example:8080/packages/")
    moved = index.get(url.removeprefix("http://here.example:8080"))
    assert (moved.status, moved.headers["location"]) == (301, f"../../simple/acme-rockets/{WHEEL}")
    assert index.get(f"/simple/acme-rockets/{WHEEL}").body == b"new"


@pytest.mark.parametrize("host", ["evil.example/x", "a b", "[::1", "", "user@evil.example"])
def test_an_odd_host_is_not_repeated(host: str) -> None:
    index = without_url()
    reply = index.get("/pypi/acme-rockets/json", ("Host", host))
    assert reply.status == 400 or reply.json["urls"][0]["url"].startswith("http://localhost:8080/")


def test_a_release() -> None:
    index = SiteFixture(stocked())
    for version in ("2.0", "v2", "2.0.0"):
        page = document(index, f"/pypi/acme-rockets/{version}/json")
        assert page["info"]["version"] == "2.0"
        assert [each["filename"] for each in page["urls"]] == [WHEEL]
        assert "releases" not in page
    old = document(index, "/pypi/acme-rockets/1.0/json/")
    assert (old["info"]["name"], old["info"]["yanked"], old["info"]["yanked_reason"]) == (
        "acme-rockets",
        True,
        "explodes",
    )
    for missing in ("/pypi/acme-rockets/9/json", "/pypi/acme-rockets/soon/json", "/pypi/other/json"):
        assert index.get(missing).status == 404, missing


def test_names_are_normalized() -> None:
    index = SiteFixture(stocked())
    for target, location in (
        ("/pypi/Acme_Rockets/json", "../acme-rockets/json"),
        ("/pypi/Acme_Rockets/2.0+cu/json?x=1", "../../acme-rockets/2.0%2Bcu/json?x=1"),
        ("/main/pypi/A.B/json", None),
    ):
        reply = index.get(target)
        assert (reply.status, reply.headers.get("location")) == ((301, location) if location else (404, None))
    for target in ("/pypi/-bad-/json", "/pypi/a/b/c/json", "/pypi/a//json", "/simple/pypi/a/json"):
        assert index.get(target).status == 404, target


def test_a_project_called_pypi_has_its_page_and_files() -> None:
    index = SiteFixture(source := StubSource())
    source.add("pypi-1.0.tar.gz", b"pypi")
    assert index.get("/pypi/").status == 200
    assert index.get("/pypi/pypi-1.0.tar.gz").body == b"pypi"
    assert document(index, "/pypi/pypi/json")["info"]["version"] == "1.0"


def test_without_an_offered_release_there_is_none() -> None:
    index = SiteFixture(source := StubSource())
    name = parse_project_name("acme")
    source.pages["acme"] = Project(name, status=Status.QUARANTINED)
    assert index.get("/pypi/acme/json").status == 404


def test_a_client_that_has_it() -> None:
    index = SiteFixture(source := stocked())
    first = index.get("/pypi/acme-rockets/json")
    assert first.headers["x-pypi-last-serial"] == "1700000000000000"
    assert first.headers["cache-control"] == "no-cache"
    again = index.get("/pypi/acme-rockets/json", ("If-None-Match", first.headers["etag"]))
    assert (again.status, again.body) == (304, b"")
    head = index.head("/pypi/acme-rockets/json")
    assert (head.status, head.headers["etag"], head.body) == (200, first.headers["etag"], b"")
    asked = len(source.asked)
    index.get("/pypi/acme-rockets/json")
    assert source.asked[asked:] == [("project", "acme-rockets")], "the metadata are not read again"
    zipped = index.get("/pypi/acme-rockets/json", ("Accept-Encoding", "gzip"))
    assert json.loads(gzip.decompress(zipped.body)) == first.json
    assert zipped.headers["etag"] != first.headers["etag"]
    source.add("acme_rockets-4.0.tar.gz", b"newest")
    changed = index.get("/pypi/acme-rockets/json", ("If-None-Match", first.headers["etag"]))
    assert (changed.status, changed.json["info"]["version"]) == (200, "4.0")


def test_the_serial_of_the_list_counts() -> None:
    serials = {"acme-rockets": 1_800_000_000_000_000}
    index = SiteFixture(stocked(), pypi_facts=PypiFacts(serials.get))
    assert document(index)["last_serial"] == 1_800_000_000_000_000
    serials["acme-rockets"] += 1
    assert index.head("/pypi/acme-rockets/json").headers["x-pypi-last-serial"] == "1800000000000001"


def test_advisories_about_the_release() -> None:
    name = parse_project_name("acme-rockets")
    spans = (Span(((Version("1.5"), "introduced"), (Version("2.1"), "fixed"))),)
    advisories = [Advisory("PYSEC-2026-1", name, spans, aliases=("CVE-2026-1",), summary="It explodes")]
    facts = PypiFacts(advisories_about=lambda *about: Advisories(advisories).about(*about))
    index = SiteFixture(stocked(), pypi_facts=facts)
    assert document(index)["vulnerabilities"] == [
        {
            "aliases": ["CVE-2026-1"],
            "details": "It explodes",
            "fixed_in": ["2.1"],
            "id": "PYSEC-2026-1",
            "link": "https://osv.dev/vulnerability/PYSEC-2026-1",
            "source": "osv",
            "summary": "It explodes",
            "withdrawn": None,
        }
    ]
    assert document(index, "/pypi/acme-rockets/1.0/json")["vulnerabilities"] == []
    advisories.clear()
    assert document(index)["vulnerabilities"] == [], "it was withdrawn meanwhile"


def test_an_sdist_is_looked_into() -> None:
    index = SiteFixture(source := StubSource())
    source.add("acme-1.0.tar.gz", sdist_bytes("acme", "1.0", "Summary: from within"))
    assert document(index, "/pypi/acme/json")["info"]["summary"] == "from within"


def test_files_of_upstreams_are_not_fetched_for_it() -> None:
    source = StubSource()
    source.add("acme-1.0.tar.gz", sdist_bytes("acme", "1.0", "Summary: from within"))
    cached = {"acme-1.0.tar.gz": False}
    index = SiteFixture(source, pypi_facts=PypiFacts(cached_files=lambda *_: cached))
    asked = len(source.asked)
    assert document(index, "/pypi/acme/json")["info"]["summary"] is None
    assert ("file", "acme", "acme-1.0.tar.gz") not in source.asked[asked:]
    cached["acme-1.0.tar.gz"] = True
    assert document(index, "/pypi/acme/json")["info"]["summary"] == "from within", "it came meanwhile"


def test_what_is_not_known_is_left_open() -> None:
    source = StubSource()
    name = parse_project_name("acme")
    file = File(
        "acme-1.0-py3-none-any.whl", "1.0", Kind.WHEEL, None, None, None, ">=3", other_hash=("md5", "ab")
    )
    source.pages["acme"] = Project(name, (replace(file, url="https://files.example/acme.whl"),))
    page = document(SiteFixture(source), "/pypi/acme/json")
    (wheel,) = page["urls"]
    assert (wheel["digests"], wheel["md5_digest"], wheel["size"]) == ({"md5": "ab"}, "ab", None)
    assert (wheel["upload_time"], wheel["upload_time_iso_8601"]) == (None, None)
    assert wheel["url"] == "https://files.example/acme.whl"
    assert (page["last_serial"], page["info"]["requires_python"]) == (1, ">=3")


@pytest.mark.parametrize("trouble", ["elsewhere", "unavailable", "not metadata", "another name"])
def test_metadata_that_cannot_be_had(trouble: str) -> None:
    source = StubSource()
    metadata = {
        "not metadata": b"A: b\n" * 600_000,
        "another name": b"Metadata-Version: 2.1\nName: -other-\n",
    }.get(trouble, METADATA)
    source.add(WHEEL, b"new", metadata=metadata)
    body = source.bodies[parse_project_name("acme-rockets"), f"{WHEEL}.metadata"]
    if trouble == "elsewhere":
        source.elsewhere[f"{WHEEL}.metadata"] = "https://files.example/"
    elif trouble == "unavailable":
        body.changes_at, body.error = 0, Unavailable("Not now.", retry_after=1)
    page = document(SiteFixture(source))
    assert (page["info"]["name"], page["info"]["summary"]) == ("acme-rockets", None)
    assert page["urls"][0]["filename"] == WHEEL


def test_of_endless_metadata_the_beginning_is_read() -> None:
    source = StubSource()
    source.add(WHEEL, b"new", metadata=METADATA + b"x" * (5 << 20))
    info = document(SiteFixture(source))["info"]
    assert info["summary"]
    assert len(info["description"]) < 1 << 20


def test_a_private_project() -> None:
    index = GuardedSiteFixture(access_named("rules"))
    for label, status in (("anonymous", 401), ("alice", 403), ("dave", 200)):
        reply, _ = index.ask(bytes_of("GET", "/pypi/vault/json", label), "GET")
        assert reply.status == status, label
        assert "private" in reply.headers["cache-control"] or status != 200
    public, _ = index.ask(bytes_of("GET", "/pypi/tool/json", "anonymous"), "GET")
    assert (public.status, public.headers["cache-control"]) == (200, "no-cache")
