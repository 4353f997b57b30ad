"""Metadata from the ends of wheels: little is read, nothing is believed that the whole does not say."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from twisted.internet.task import Clock

from simpleindex.archives.errors import BrokenArchive
from simpleindex.core.files import Sidecar
from simpleindex.core.names import ProjectName
from simpleindex.upstreams.cache_context import CacheContext
from simpleindex.upstreams.errors import NoRanges, UpstreamFailed
from simpleindex.upstreams.fetching import range_metadata as wheel_tails
from simpleindex.upstreams.fetching.range_metadata import RangeMetadata
from simpleindex.upstreams.fetching.wheel_examiner import WheelExaminer
from tests.fixtures.cached_upstream import CachedUpstreamFixture, read
from tests.fixtures.deferreds import error, result
from tests.fixtures.distributions import metadata_text, wheel_bytes, wheel_name
from tests.fixtures.examiner import InProcessExaminer
from tests.fixtures.memory_upstream import HOST, MemoryUpstream
from tests.fixtures.threads import InlineThreads

if TYPE_CHECKING:
    from pathlib import Path

    from simpleindex.core.files import File
    from simpleindex.upstreams.cache.cache import UpstreamCache
    from simpleindex.upstreams.cached import CacheOptions
    from simpleindex.upstreams.pages.enrich import FileFacts

ACME = ProjectName("acme")
INDEX = "https://pypi.example.org/simple/"
WHEEL = wheel_name()
DATA = wheel_bytes("acme", "1.0", "Requires-Python: >=3.9")
METADATA = metadata_text("acme", "1.0", "Requires-Python: >=3.9")


@pytest.fixture(autouse=True)
def _nothing_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheels of these tests are."""
    monkeypatch.setattr(wheel_tails, "_SMALL", 0)


class RangeMetadataFixture:
    """An upstream with one bare wheel."""

    def __init__(self, data: bytes = DATA, **facts: Any) -> None:
        self.upstream = MemoryUpstream()
        self.upstream.pieces = (1000,)
        self.file: File = self.upstream.add(WHEEL, data, bare=True, **facts)
        self.kept: list[bytes] = []
        self.has_room = True
        threads = InlineThreads()
        self.tails = RangeMetadata(
            CacheContext(
                self.upstream,
                HOST,
                cast("UpstreamCache", self),
                Clock(),
                threads,
                WheelExaminer(InProcessExaminer(), threads),
            ),
            HOST,
        )

    def store_metadata(self, index: str, project: str, file: File, data: bytes) -> bool:
        """Take the cache's part: store it, unless the disk is full."""
        assert (index, project, file) == (HOST, ACME, self.file)
        if self.has_room:
            self.kept.append(data)
        return self.has_room

    def learn(self) -> FileFacts:
        """What its end tells."""
        file_facts: FileFacts = result(self.tails(ACME, self.file))
        return file_facts

    def offsets(self) -> list[int]:
        """From where on it was asked for."""
        return [what[2] for what in self.upstream.asked if what[0] == "open"]


def large(*, before: bool) -> bytes:
    """A wheel of half a megabyte, with its metadata far from its end or not."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        names = {"acme-1.0.dist-info/METADATA": METADATA, "big": b"x" * 500_000}
        for name in sorted(names, reverse=not before):
            archive.writestr(name, names[name])
    return buffer.getvalue()


def test_a_small_wheel() -> None:
    """One question where its size is stated."""
    world = RangeMetadataFixture(size=len(DATA))
    file_facts = world.learn()
    assert (file_facts.size, file_facts.sha256, file_facts.requires_python) == (len(DATA), None, ">=3.9")
    assert file_facts.sidecar == Sidecar(hashlib.sha256(METADATA).hexdigest(), len(METADATA))
    assert world.kept == [METADATA]
    assert world.offsets() == [0]


def test_a_size_that_nobody_states() -> None:
    """It is asked for first."""
    world = RangeMetadataFixture()
    assert world.learn().size == len(DATA)
    assert world.offsets() == [1, 0]
    world.upstream.says_size = False
    assert isinstance(error(world.tails(ACME, world.file)), NoRanges)


@pytest.mark.parametrize(("before", "questions"), [(False, 1), (True, 2)])
def test_a_large_wheel(before: bool, questions: int) -> None:
    """Its end, and, where they do not lie there, the place of the metadata."""
    data = large(before=before)
    world = RangeMetadataFixture(data, size=len(data))
    assert world.learn().sidecar is not None
    assert world.kept == [METADATA]
    assert len(world.offsets()) == questions
    assert min(world.offsets()) == (0 if before else len(data) - 128 * 1024)


@pytest.mark.parametrize(("bound", "value"), [("_MOST", 191 * 1024), ("_MOST_ROUNDS", 1)])
def test_a_wheel_of_which_too_much_is_needed(monkeypatch: pytest.MonkeyPatch, bound: str, value: int) -> None:
    """The whole of it is read then, once it is fetched."""
    monkeypatch.setattr(wheel_tails, bound, value)
    monkeypatch.setattr(wheel_tails, "_TAIL", 190 * 1024)
    data = large(before=True)
    world = RangeMetadataFixture(data, size=len(data))
    refused = error(world.tails(ACME, world.file))
    if bound == "_MOST_ROUNDS":
        assert "too much of it would have to be read" in str(refused)
    assert isinstance(refused, BrokenArchive)
    assert world.kept == []


def test_no_ranges() -> None:
    """An upstream that sends the whole instead is not asked again."""
    data = large(before=False)
    world = RangeMetadataFixture(data, size=len(data))
    world.upstream.ranges = False
    assert isinstance(error(world.tails(ACME, world.file)), NoRanges)


@pytest.mark.parametrize(
    "data", [b"", b"no zip", DATA[:-1], DATA.replace(b"acme-1.0.dist-info", b"evil-1.0.dist-info")]
)
def test_what_is_no_wheel(data: bytes) -> None:
    """Says nothing."""
    world = RangeMetadataFixture(data, size=len(data))
    assert isinstance(error(world.tails(ACME, world.file)), BrokenArchive)
    assert world.kept == []


def test_a_wrong_size() -> None:
    """It ends before it should."""
    world = RangeMetadataFixture(size=len(DATA) + 5)
    assert isinstance(error(world.tails(ACME, world.file)), BrokenArchive)


def test_another_host() -> None:
    """A server that has only the files could send a part that is not of the whole."""
    world = RangeMetadataFixture(
        url="https://elsewhere.example.org/acme-1.0-py3-none-any.whl", size=len(DATA)
    )
    assert isinstance(error(world.tails(ACME, world.file)), BrokenArchive)
    assert world.upstream.asked == []


def test_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request for its metadata gets all of it as soon."""
    monkeypatch.undo()
    world = RangeMetadataFixture(size=len(DATA))
    assert isinstance(error(world.tails(ACME, world.file)), BrokenArchive)
    assert world.upstream.asked == []


def test_no_room() -> None:
    """What cannot be kept could not be served, so it is not offered."""
    world = RangeMetadataFixture(size=len(DATA))
    world.has_room = False
    assert isinstance(error(world.tails(ACME, world.file)), BrokenArchive)


class Front(CachedUpstreamFixture):
    """A cache that reads the ends of wheels."""

    def options(self) -> CacheOptions:
        return replace(super().options(), range_metadata=RangeMetadata(self.context, HOST))


@pytest.fixture
def front(tmp_path: Path) -> Front:
    """In front of an index without sidecars and digests."""
    front = Front(tmp_path)
    front.upstream.pages.clear()
    front.upstream.add(WHEEL, DATA, bare=True)
    return front


def opens(front: Front) -> int:
    """How often a file was asked for."""
    return sum(what[0] == "open" for what in front.upstream.asked)


def test_advertised_once_it_is_held(front: Front) -> None:
    """The first answer has none, the next has; it is served without the wheel, and outlives a restart."""
    first = front.project()
    assert first.files[0].metadata is None
    (file,) = front.project().files
    assert file.metadata is not None
    assert (file.metadata.sha256, file.size, file.sha256) == (
        hashlib.sha256(METADATA).hexdigest(),
        len(DATA),
        None,
    )
    assert file.requires_python == ">=3.9"
    count = opens(front)
    assert front.bytes(f"{WHEEL}.metadata") == METADATA
    assert opens(front) == count
    front.restart()
    assert front.project().files[0] == file
    front.clock.advance(10_000)
    front.project()
    assert opens(front) == count
    # The whole wheel says the same, and its digest.
    assert front.bytes(WHEEL) == DATA
    (file,) = front.project().files
    assert file.sha256 == hashlib.sha256(DATA).hexdigest()
    assert front.lines == []


def test_what_the_whole_says_counts(front: Front) -> None:
    """An upstream that shows another end than it sends is found out."""
    front.project()
    assert front.project().files[0].metadata is not None
    other = wheel_bytes("acme", "1.0", "Requires-Python: >=3.5")
    front.upstream.files[next(iter(front.upstream.files))] = other
    url = front.upstream.pages[ACME].project.files[0].url
    assert url is not None
    front.upstream.files[url] = other
    body = result(front.open(WHEEL))
    assert read(body) == other
    assert front.project().files[0].requires_python == ">=3.5"
    assert front.lines == [f"{WHEEL} of pypi has other metadata than a part of it that was read before had."]


def test_only_the_newest(front: Front) -> None:
    """Of three versions, no pre-releases, nothing yanked, nothing that has a sidecar."""
    for version in ("2.0", "3.0", "4.0", "5.0rc1"):
        front.upstream.add(wheel_name("acme", version), wheel_bytes("acme", version), bare=True)
    front.upstream.add(wheel_name("acme", "6.0"), b"x", bare=True, yanked="bad")
    front.upstream.add(wheel_name("acme", "3.5"), b"x", bare=True, metadata=b"x")
    front.project()
    have = {file.version for file in front.project().files if file.metadata is not None}
    assert have == {"4.0", "3.5"}


def test_in_vain(front: Front) -> None:
    """What is no wheel is not asked for again and again; trouble ends it for an hour."""
    front.upstream.add(wheel_name("acme", "2.0"), b"no wheel", bare=True)
    front.project()
    count = opens(front)
    front.clock.advance(700)
    front.project()
    assert opens(front) == count
    assert front.failures == []


def test_trouble(front: Front) -> None:
    """An upstream that gives no parts is left in peace, and everything else goes on."""
    front.upstream.says_size = False
    front.project()
    count = opens(front)
    front.upstream.add(wheel_name("acme", "2.0"), DATA, bare=True)
    front.clock.advance(700)
    front.project()
    assert opens(front) == count
    front.upstream.says_size = True
    front.clock.advance(700)
    front.project()
    assert opens(front) == count
    front.clock.advance(3600)
    front.project()
    assert opens(front) > count
    front.upstream.error = UpstreamFailed("pypi", "it is down")
    front.clock.advance(3600)
    front.project()
    assert front.failures == []
