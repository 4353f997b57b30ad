"""What an upstream lists and does not give, or not as it says: it is not offered any more, until it is right."""

from __future__ import annotations

import hashlib
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.core.errors import NotHere, SimpleIndexError
from simpleindex.core.files import Sidecar
from simpleindex.core.model import MISSING, Project
from simpleindex.core.names import METADATA_SUFFIX
from simpleindex.upstreams.errors import FileRefused, UpstreamFailed, WrongFile
from simpleindex.upstreams.fetching import fetches
from simpleindex.upstreams.fetching.range_metadata import RangeMetadata
from simpleindex.upstreams.pages.listing_faults import ListingFault, renewed_fault, why_not_offered
from tests.fixtures.cached_upstream import ACME, DATA, METADATA, WHEEL, CachedUpstreamFixture, failure, read
from tests.fixtures.deferreds import error, result
from tests.fixtures.distributions import sdist_name, wheel_bytes
from tests.fixtures.memory_upstream import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simpleindex.core.files import File
    from simpleindex.upstreams.cached import CacheOptions

URL = f"{HOST}acme/{WHEEL}"
SIDECAR = WHEEL + METADATA_SUFFIX
PAGE = b"\n<!DOCTYPE html><html><body>Not found, but with 200</body></html>"
OTHER = wheel_bytes("acme", "1.0", "Summary: other")
INDEX = "https://pypi.example.org/simple/"


class MissingFilesFixture(CachedUpstreamFixture):
    """An upstream whose wheels' ends are read."""

    def options(self) -> CacheOptions:
        return replace(super().options(), range_metadata=RangeMetadata(self.context, HOST))

    def listed(self, filename: str = WHEEL) -> File | None:
        """A file as it is offered now."""
        return next((file for file in self.project().files if file.filename == filename), None)

    def wait(self, seconds: float) -> None:
        """Let time pass, and have the listing asked for; what that begins is done."""
        self.clock.advance(seconds)
        self.project()

    def reason(self) -> str:
        """Why the wheel is not offered."""
        (item,) = self.project().withheld
        assert (item.filename, item.rule) == (WHEEL, MISSING)
        return item.reason


@pytest.fixture
def world(tmp_path: Path) -> Iterator[MissingFilesFixture]:
    """An upstream that lists a wheel with metadata."""
    world = MissingFilesFixture(tmp_path / "cache")
    world.upstream.add(WHEEL, DATA, metadata=METADATA)
    yield world
    assert world.failures == []


def spoil(world: MissingFilesFixture, url: str, how: object) -> None:
    """Have the upstream give something else at a URL."""
    world.upstream.errors.pop(url, None)
    if isinstance(how, bytes):
        world.upstream.files[url] = how
    elif isinstance(how, Exception):
        world.upstream.errors[url] = how
    else:
        world.upstream.files.pop(url, None)


SPOILT: dict[str, Any] = {
    "absent": None,
    "refused": FileRefused("pypi", "it does not let us in (403)."),
    "page": PAGE,
    "other": METADATA + b"?",
    "empty": b"",
    "endless": b"x" * 20_000_000,
}


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("how", SPOILT.values(), ids=SPOILT)
@pytest.mark.parametrize("is_bare", [True, False])
def test_metadata_of_a_mirror_that_has_none_come_from_the_wheel(
    world: MissingFilesFixture, how: object, ranges: bool, is_bare: bool
) -> None:
    """At once, for the digest that it copied is that of the wheel's."""
    sidecar = Sidecar(hashlib.sha256(METADATA).hexdigest(), 0)
    world.upstream.add(WHEEL, DATA, bare=is_bare, sha256=hashlib.sha256(DATA).hexdigest())
    listing = world.upstream.pages[ACME].project
    world.upstream.put(replace(listing, files=(replace(listing.files[0], metadata=sidecar),)))
    spoil(world, URL + METADATA_SUFFIX, how)
    world.upstream.ranges = ranges
    world.upstream.pieces = (1_000_000,)
    assert world.bytes(SIDECAR) == METADATA
    for _ in range(2):
        listed = world.listed()
        assert listed is not None
        assert listed.metadata == Sidecar(hashlib.sha256(METADATA).hexdigest(), len(METADATA))
        assert world.bytes(SIDECAR) == METADATA
        world.restart()


@pytest.mark.parametrize("how", SPOILT.values(), ids=SPOILT)
def test_metadata_with_another_digest_than_the_wheel_s(world: MissingFilesFixture, how: object) -> None:
    """A client with that digest gets nothing; from then on those of the wheel are listed."""
    world.upstream.pieces = (1_000_000,)
    listing = world.upstream.pages[ACME].project
    stated = Sidecar(hashlib.sha256(b"quite another").hexdigest(), 0)
    world.upstream.put(replace(listing, files=(replace(listing.files[0], metadata=stated),)))
    spoil(world, URL + METADATA_SUFFIX, how)
    assert isinstance(error(world.open(SIDECAR)), SimpleIndexError)
    for _ in range(2):
        listed = world.listed()
        assert listed is not None
        assert listed.metadata == Sidecar(hashlib.sha256(METADATA).hexdigest(), len(METADATA))
        assert world.bytes(SIDECAR) == METADATA
        world.restart()


def test_metadata_that_nobody_has_are_listed_no_more(world: MissingFilesFixture) -> None:
    """Also after a restart; they are looked at again, ever more rarely, and offered once they are there."""
    other = sdist_name("acme", "0.1")
    world.upstream.add(other, b"sdist")
    for url in (URL, URL + METADATA_SUFFIX):
        spoil(world, url, UpstreamFailed("pypi", "it answers 500") if url == URL else None)
    assert isinstance(error(world.open(SIDECAR)), NotHere)
    asked = 0
    for waits in (0, 301, 1700, 200, 10_900):
        world.wait(waits)
        listed = world.listed()
        assert listed is not None
        assert listed.metadata is None
        assert isinstance(error(world.open(SIDECAR)), NotHere)
        world.restart()
        world.project()
        questions = [what for what in world.upstream.asked if what[1:2] == (URL + METADATA_SUFFIX,)]
        asked, before = len(questions), asked
        assert asked - before == (0 if waits == 1700 else 1), waits
    spoil(world, URL + METADATA_SUFFIX, METADATA)
    world.wait(24 * 3600 + 1)
    world.wait(0)
    listed = world.listed()
    assert listed is not None
    assert listed.metadata == Sidecar(hashlib.sha256(METADATA).hexdigest(), len(METADATA))
    assert world.bytes(SIDECAR) == METADATA


FILES: dict[str, tuple[Any, str]] = {
    "absent": (None, "pypi lists it, but does not have it."),
    "other bytes": (b"?" * len(DATA), "its sha256 is"),
    "page": (PAGE, "it is a page"),
    "empty": (b"", "sha256 is"),
}


@pytest.mark.parametrize(("how", "reason"), FILES.values(), ids=FILES)
def test_a_file_that_is_not_there_is_listed_no_more(
    world: MissingFilesFixture, how: object, reason: str
) -> None:
    """But withheld with the reason, also after a restart; a client that has its URL makes us look again."""
    spoil(world, URL, how)
    if how == PAGE:
        listing = world.upstream.pages[ACME].project
        world.upstream.put(replace(listing, files=(replace(listing.files[0], sha256=None, size=None),)))
    assert isinstance(failure(world.open()), NotHere | WrongFile)
    for _ in range(2):
        assert world.listed() is None
        assert reason in world.reason()
        world.restart()
    assert isinstance(failure(world.open()), NotHere | WrongFile)
    spoil(world, URL, DATA)
    world.clock.advance(11)
    assert world.bytes() == DATA
    assert world.listed() is not None
    assert world.project().withheld == ()
    world.restart()
    assert world.listed() is not None


@pytest.mark.parametrize(("how", "_reason"), FILES.values(), ids=FILES)
def test_a_file_that_comes_back_is_listed_again(
    world: MissingFilesFixture, how: object, _reason: str
) -> None:
    """It is looked at when its time has come, not sooner, and by nobody who would have to wait."""
    spoil(world, URL, how)
    assert isinstance(failure(world.open()), NotHere | WrongFile)
    world.wait(11)
    opens = len(world.upstream.opens())
    world.wait(100)
    assert len(world.upstream.opens()) == opens
    world.wait(1000)
    world.wait(0)
    assert len(world.upstream.opens()) > opens
    assert world.listed() is None
    spoil(world, URL, DATA)
    world.wait(24 * 3600)
    world.wait(0)
    assert world.listed() is not None


def test_a_file_that_is_listed_in_another_way_is_offered_at_once(world: MissingFilesFixture) -> None:
    """Its upstream has been put right."""
    spoil(world, URL, None)
    assert isinstance(error(world.open()), NotHere)
    assert world.listed() is None
    world.upstream.add(WHEEL, OTHER)
    world.clock.advance(1000)
    assert world.listed() is not None
    assert world.bytes() == OTHER


def test_a_file_that_is_replaced_under_its_name(world: MissingFilesFixture) -> None:
    """The old listing's digest fails once; the new one is not held off for it."""
    world.project()
    world.upstream.add(WHEEL, OTHER)
    assert isinstance(failure(world.open()), WrongFile)
    assert world.bytes() == OTHER


SIZES = [
    (stated, says_size, hash_name)
    for stated in (1, len(DATA) - 1, len(DATA) + 1, len(DATA) + 1000)
    for says_size in (True, False)
    for hash_name in ("sha256", "md5")
    # What has no length may have been cut short, and only sha256 is compared while a file comes.
    if says_size or stated < len(DATA) or hash_name == "sha256"
]


@pytest.mark.parametrize(("stated", "says_size", "hash_name"), SIZES)
def test_a_size_that_is_not_true(
    world: MissingFilesFixture, stated: int, says_size: bool, hash_name: str
) -> None:
    """The hash decides; the true size is listed then. Nobody is sent a file as if it had another size."""
    hashed: dict[str, Any] = {"sha256": hashlib.sha256(DATA).hexdigest()}
    if hash_name == "md5":
        hashed = {"sha256": None, "other_hash": ("md5", hashlib.md5(DATA).hexdigest())}
    world.upstream.says_size = says_size
    world.upstream.add(WHEEL, DATA, metadata=METADATA, size=stated, **hashed)
    with pytest.raises(WrongFile) if not says_size else nullcontext():
        assert world.bytes() == DATA
    listed = world.listed()
    assert listed is not None
    assert listed.size == len(DATA)
    assert world.bytes() == DATA
    assert world.upstream.opens() == [0]


def test_a_much_larger_file_is_not_received_whole(world: MissingFilesFixture) -> None:
    """Whatever hash is stated: a size that is wrong by far is a wrong file."""
    world.upstream.says_size = False
    world.upstream.add(WHEEL, DATA, size=10)
    world.upstream.pieces = (1_000_000,)
    world.upstream.files[URL] = bytes(30_000_000)
    assert isinstance(failure(world.open()), WrongFile)
    assert max(size for size in (len(stream.left()) for stream in world.upstream.streams)) > 20_000_000


def test_a_page_is_no_file_where_no_hash_is_stated(world: MissingFilesFixture) -> None:
    """Old indexes state none, and some servers send a page with 200 for what they have not got."""
    world.upstream.add(WHEEL, DATA, bare=True)
    spoil(world, URL, PAGE)
    assert isinstance(failure(world.open()), WrongFile)
    assert world.listed() is None
    assert "it is a page" in world.reason()
    spoil(world, URL, DATA)
    world.clock.advance(11)
    assert read(result(world.open())) == DATA


def test_a_fault_lasts_longer_each_time_within_bounds() -> None:
    """It is never for good, and a client that meets it meanwhile does not prolong it."""
    fault = renewed_fault(None, "why", 0.0)
    seen = []
    for _ in range(8):
        assert renewed_fault(fault, "why", fault.until - 1) == fault
        seen.append(fault.lasts)
        fault = renewed_fault(fault, "why", fault.until)
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (300.0, 86_400.0)
    assert ListingFault("why", 1.0, 1.0) == ListingFault("why", 1.0, 1.0)


def test_what_is_known_is_kept_with_the_pages_that_it_is_of(world: MissingFilesFixture) -> None:
    """A project that goes and comes back begins anew."""
    spoil(world, URL, None)
    assert isinstance(error(world.open()), NotHere)
    page = world.upstream.pages.pop(ACME)
    world.clock.advance(1000)
    assert isinstance(error(world.ask()), NotHere)
    world.upstream.put(Project(ACME, page.project.files))
    world.clock.advance(1000)
    assert world.listed() is not None


def test_an_upstream_in_trouble_is_asked_about_its_faults_later(world: MissingFilesFixture) -> None:
    """That it cannot be asked is no reason to offer the file, and none to call it missing for longer."""
    spoil(world, URL, None)
    assert isinstance(failure(world.open()), NotHere)
    world.upstream.errors[URL] = UpstreamFailed("pypi", "it is down")
    world.wait(2000)
    world.wait(0)
    assert world.listed() is None
    del world.upstream.errors[URL]
    spoil(world, URL, DATA)
    world.wait(2000)
    world.wait(0)
    assert world.listed() is not None


@pytest.mark.parametrize(("more", "is_offered"), [(b"", True), (b"x", False)])
def test_of_a_large_file_the_headers_are_believed(
    world: MissingFilesFixture, monkeypatch: pytest.MonkeyPatch, more: bytes, *, is_offered: bool
) -> None:
    """It is not fetched to see whether it is there again; a size that is not the listed one is a wrong file."""
    monkeypatch.setattr(fetches, "_SMALL", 10)
    world.upstream.add(WHEEL, DATA, sha256=None)
    spoil(world, URL, None)
    assert isinstance(failure(world.open()), NotHere)
    spoil(world, URL, DATA + more)
    world.wait(2000)
    world.wait(0)
    assert (world.listed() is not None) is is_offered
    assert [stream.left() for stream in world.upstream.streams] == [DATA + more]
    assert world.upstream.streams[0].is_closed


def test_what_is_listed_meanwhile_is_not_held_responsible(world: MissingFilesFixture) -> None:
    """A file that was fetched by an older listing and was wrong tells nothing about the new one."""
    world.upstream.gates, world.upstream.pieces = [], (100,)
    spoil(world, URL, b"?" * len(DATA))
    opening = world.open()
    world.upstream.add(WHEEL, OTHER)
    world.clock.advance(601)
    world.project()
    gates, world.upstream.gates = world.upstream.gates, None
    for gate in gates:
        gate.callback(None)
    assert isinstance(failure(opening), WrongFile)
    assert world.listed() is not None
    assert world.bytes() == OTHER


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (NotHere("file x"), "pypi lists it, but does not have it."),
        (WrongFile("pypi", WHEEL, "it is a page"), "pypi sends another file than it lists: it is a page."),
        (FileRefused("pypi", "it is for members."), "it is for members."),
    ],
)
def test_why_a_file_is_not_offered(
    world: MissingFilesFixture, error: SimpleIndexError, sentence: str
) -> None:
    """In a sentence about the file."""
    (file,) = world.upstream.pages[ACME].project.files
    why = why_not_offered("pypi", file, error)
    assert why.startswith(f"{WHEEL} is not offered: ")
    assert why.endswith(sentence)
