"""Where indexed projects come from."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.core.files import File, Sidecar
from simpleindex.core.model import Project, Status
from simpleindex.core.names import Kind, ProjectName
from simpleindex.search.cache_origin import CacheOrigin
from simpleindex.search.document_rows import IndexedFile
from simpleindex.search.origins import DirectoryOrigin
from simpleindex.search.sdists import SdistMetadata
from simpleindex.upstreams.cache.cache import UpstreamCache
from simpleindex.upstreams.cache.cached_listings import CachedListing
from simpleindex.upstreams.cache.file_keys import UpstreamFileKey
from simpleindex.upstreams.pages.enrich import FileFacts
from tests.fixtures.deferreds import result
from tests.fixtures.distributions import sdist_bytes, sdist_name
from tests.fixtures.examiner import InProcessExaminer
from tests.fixtures.stub_source import UPLOADED_NS, StubSource
from tests.fixtures.threads import InlineThreads

if TYPE_CHECKING:
    from pathlib import Path

    from simpleindex.search.origins import Origin

ACME = ProjectName("acme")
INDEX = "https://example.com/simple/"
METADATA = b"Name: acme\nVersion: 1.0\n"


def representative_of(origin: Origin, name: ProjectName = ACME) -> Any:
    """What represents a project."""
    return result(origin.representatives([name]))[name]


def test_a_directory(tmp_path: Path) -> None:
    source = StubSource()
    source.add("acme-1.0-py3-none-any.whl", metadata=METADATA)
    source.add("acme-1.0.tar.gz")
    origin = DirectoryOrigin("local", source)
    assert result(origin.names()) == (ACME,)
    representative = representative_of(origin)
    sidecar = representative.file.metadata.sha256
    assert representative.indexed == IndexedFile("acme-1.0-py3-none-any.whl", sidecar, UPLOADED_NS)
    assert result(origin.metadata(ACME, representative.file)) == METADATA
    assert representative_of(origin, ProjectName("other")) is None


@pytest.mark.parametrize("name", ["acme", "acme-rockets"])
def test_an_sdist_has_its_metadata_inside(name: str) -> None:
    source = StubSource()
    source.add(sdist_name(name), sdist_bytes(name, "1.0", "Summary: Rockets"))
    sdists = SdistMetadata(InProcessExaminer(), InlineThreads())
    origin = DirectoryOrigin("local", source, sdists)
    representative = representative_of(origin, ProjectName(name))
    data = result(origin.metadata(ProjectName(name), representative.file))
    assert b"Summary: Rockets" in data
    assert origin.seconds > 0


@pytest.mark.parametrize("data", [b"no archive", b"", sdist_bytes("other")])
def test_an_sdist_without_readable_metadata_is_found_by_its_name(data: bytes) -> None:
    source = StubSource()
    source.add("acme-1.0.tar.gz", data)
    origin = DirectoryOrigin("local", source, SdistMetadata(InProcessExaminer(), InlineThreads()))
    assert result(origin.metadata(ACME, representative_of(origin).file)) is None


def test_a_huge_sdist_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simpleindex.search.sdists.LARGEST", 10)
    source = StubSource()
    body = source.add(sdist_name(), sdist_bytes())
    origin = DirectoryOrigin("local", source, SdistMetadata(InProcessExaminer(), InlineThreads()))
    assert result(origin.metadata(ACME, representative_of(origin).file)) is None
    assert (body.reads, body.opened, body.closed) == ([], 1, 1)


def test_a_project_without_files_has_no_representative() -> None:
    source = StubSource()
    source.empty("acme", Status.QUARANTINED)
    assert representative_of(DirectoryOrigin("local", source)) is None


def wheel(version: str, metadata: bytes) -> File:
    """A wheel as an upstream lists it."""
    sidecar = Sidecar(hashlib.sha256(metadata).hexdigest(), 0)
    name = f"acme-{version}-py3-none-any.whl"
    return File(
        name,
        version,
        Kind.WHEEL,
        10,
        "0" * 64,
        int(version[0]),
        metadata=sidecar,
        url=INDEX + name,
        source="public",
    )


class Cached:
    """An upstream with a cached listing of two releases."""

    def __init__(self, cache: Path) -> None:
        self.files = (wheel("1.0", METADATA), wheel("2.0", b"Name: acme\nVersion: 2.0\n"))
        self.cache = UpstreamCache(str(cache))
        self.cache.load()
        self.listing = CachedListing(Project(ACME, self.files), None, None, None, 0.0, {})
        self.cache.store_listing(INDEX, self.listing)
        self.threads = InlineThreads()
        self.origin = CacheOrigin("public", INDEX, self.cache, self.threads)

    def representative(self) -> Any:
        """What represents the project."""
        return representative_of(self.origin)


@pytest.fixture
def cached(tmp_path: Path) -> Cached:
    """A cache without files."""
    return Cached(tmp_path)


def test_a_cached_listing_without_files_gives_the_name(cached: Cached) -> None:
    assert result(cached.origin.names()) == (ACME,)
    representative = cached.representative()
    assert representative.indexed == IndexedFile("", "", 2)
    assert result(cached.origin.metadata(ACME, representative.file)) is None


def test_without_cached_metadata_no_thread_is_woken_for_them(cached: Cached) -> None:
    file = cached.representative().file
    before = cached.threads.calls
    assert result(cached.origin.metadata(ACME, file)) is None
    assert cached.threads.calls == before


def test_the_newest_release_with_cached_metadata_represents_it(cached: Cached) -> None:
    assert cached.cache.store_metadata(INDEX, ACME, cached.files[0], METADATA)
    representative = cached.representative()
    assert representative.file.version == "1.0"
    assert representative.indexed == IndexedFile(
        cached.files[0].filename, hashlib.sha256(METADATA).hexdigest(), 2
    )
    assert result(cached.origin.metadata(ACME, representative.file)) == METADATA


def test_metadata_that_only_the_file_showed_represent_it(cached: Cached) -> None:
    files = tuple(replace(file, metadata=None, uploaded_ns=None) for file in cached.files)
    sidecar = Sidecar(hashlib.sha256(METADATA).hexdigest(), 0)
    facts = {files[0].filename: FileFacts(10, files[0].sha256, ">=3.9", sidecar, 7)}
    listing = CachedListing(Project(ACME, files), None, None, None, 0.0, facts)
    cached.cache.store_listing(INDEX, listing)
    assert cached.cache.store_metadata(INDEX, ACME, files[0], METADATA)
    representative = cached.representative()
    assert representative.file.requires_python == ">=3.9"
    assert representative.indexed == IndexedFile(files[0].filename, sidecar.sha256, 7)
    assert result(cached.origin.metadata(ACME, representative.file)) == METADATA


def cache_file(cached: Cached, file: File, data: bytes) -> None:
    """Store a whole file, as after its download."""
    incoming = cached.cache.files.begin(len(data))
    incoming.write(data)
    cached.cache.files.keep(incoming, UpstreamFileKey(INDEX, ACME, file.filename))
    incoming.close()


def test_a_cached_sdist_represents_a_project_that_has_nothing_else(cached: Cached) -> None:
    data = sdist_bytes("acme", "1.0", "Summary: Rockets")
    listed = hashlib.sha256(data).hexdigest()
    file = File(sdist_name("acme"), "1.0", Kind.SDIST, len(data), listed, 1, url=INDEX, source="public")
    listing = CachedListing(Project(ACME, (file,)), None, None, None, 0.0, {})
    cached.cache.store_listing(INDEX, listing)
    assert cached.representative().indexed == IndexedFile("", "", 1)
    heard: list[str] = []
    cached.cache.files.listener = lambda key: heard.append(key.filename)
    cache_file(cached, file, data)
    assert heard == [file.filename]
    # As where nothing can read sdists.
    assert cached.representative().indexed == IndexedFile("", "", 1)
    cached.origin = CacheOrigin(
        "public", INDEX, cached.cache, cached.threads, SdistMetadata(InProcessExaminer(), cached.threads)
    )
    representative = cached.representative()
    assert representative.indexed == IndexedFile(file.filename, listed, 1)
    assert b"Summary: Rockets" in result(cached.origin.metadata(ACME, representative.file))
    assert cached.origin.seconds > 0
    # The upstream lists another one under its name by now.
    other = replace(file, sha256="0" * 64)
    cached.cache.store_listing(INDEX, replace(listing, project=Project(ACME, (other,))))
    assert cached.representative().indexed == IndexedFile("", "", 1)
    assert result(cached.origin.metadata(ACME, other)) is None


def test_projects_are_looked_up_in_one_thread(cached: Cached) -> None:
    before = cached.threads.calls
    other = ProjectName("other")
    assert result(cached.origin.representatives([other, ACME])).keys() == {other, ACME}
    assert cached.threads.calls == before + 1


def test_damaged_metadata_are_not_read(cached: Cached) -> None:
    assert cached.cache.store_metadata(INDEX, ACME, cached.files[0], b"Name: other\n")
    representative = cached.representative()
    assert result(cached.origin.metadata(ACME, representative.file)) is None


def test_metadata_that_left_the_cache_are_not_read(cached: Cached, tmp_path: Path) -> None:
    cached.cache.store_metadata(INDEX, ACME, cached.files[0], METADATA)
    representative = cached.representative()
    for path in (tmp_path / "upstream" / "given").rglob("*.metadata"):
        path.unlink()
    assert result(cached.origin.metadata(ACME, representative.file)) is None


def test_a_quarantined_project_of_an_upstream_is_not_indexed(cached: Cached) -> None:
    project = replace(cached.listing.project, status=Status.QUARANTINED)
    cached.cache.store_listing(INDEX, replace(cached.listing, project=project))
    assert cached.representative() is None


def test_a_project_that_left_the_cache_is_not_indexed(cached: Cached) -> None:
    cached.cache.remove_listing(INDEX, ACME)
    assert result(cached.origin.names()) == ()
    assert cached.representative() is None
