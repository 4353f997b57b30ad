"""Whose bytes are served: only those that the very source gave for the very file, whatever any listing states."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from simpleindex.core.errors import NotHere, SimpleIndexError
from simpleindex.core.files import Sidecar
from simpleindex.core.model import Project
from simpleindex.core.names import METADATA_SUFFIX, ProjectName
from simpleindex.publishing.copying.copy_sources import UpstreamCopySource
from simpleindex.publishing.errors import NotCopied
from simpleindex.system.log import PUBLISHER
from simpleindex.upstreams.cache.cache import UpstreamCache
from simpleindex.upstreams.cache.cache_space import DiskBudget
from simpleindex.upstreams.cache.pins import Pins
from simpleindex.upstreams.cache_context import CacheContext
from simpleindex.upstreams.cached import CachedSource, CacheOptions
from simpleindex.upstreams.fetching.wheel_examiner import WheelExaminer
from simpleindex.upstreams.listings.store import ListingHooks
from simpleindex.upstreams.pinned import PinnedSource
from simpleindex.upstreams.settings import UpstreamSettings
from tests.fixtures.cached_upstream import read
from tests.fixtures.deferreds import error, result
from tests.fixtures.depth import number_of
from tests.fixtures.distributions import metadata_text, wheel_bytes, wheel_name
from tests.fixtures.examiner import InProcessExaminer
from tests.fixtures.log import CapturedLog
from tests.fixtures.memory_upstream import MemoryUpstream
from tests.fixtures.threads import InlineThreads

if TYPE_CHECKING:
    from collections.abc import Sequence


INDEXES = ("https://a.example/simple/", "https://b.example/simple/")
PROJECTS = (ProjectName("public"), ProjectName("secret"))
FILES = {name: (wheel_name(name, "1.0"), wheel_name(name, "2.0")) for name in PROJECTS}
CONTENTS = {
    (index, name, filename): wheel_bytes(name, version, f"Summary: {index}")
    for index in INDEXES
    for name in PROJECTS
    for filename, version in zip(FILES[name], ("1.0", "2.0"), strict=True)
}
DATA = (*CONTENTS.values(), b"not a wheel")
SIDECARS = tuple(
    metadata_text(name, version, f"Summary: {index}")
    for index in INDEXES
    for name in PROJECTS
    for version in ("1.0", "2.0")
)
EVERY = (*DATA, *SIDECARS)
DIGESTS = tuple(hashlib.sha256(data).hexdigest() for data in EVERY)


class Index:
    """One of several sources over one cache and one directory of pins."""

    def __init__(self, url: str, cache: UpstreamCache, pins: Pins, clock: Clock) -> None:
        self.url = url
        self.cache = cache
        self.pins = pins
        self.upstream = MemoryUpstream()
        self.given: set[tuple[ProjectName, str, bytes]] = set()
        threads = InlineThreads()
        context = CacheContext(
            self.upstream, url, cache, clock, threads, WheelExaminer(InProcessExaminer(), threads)
        )
        hooks = ListingHooks(changed=pins.keep_removed(cache))
        self.cached = CachedSource(context, CacheOptions(listings=hooks))
        self.source = PinnedSource(self.cached, url, pins, clock, threads)

    def get(self, name: ProjectName, filename: str) -> bytes | None:
        """What a reader of this index gets; noted is what the upstream may have given for it."""
        distribution = filename.removesuffix(METADATA_SUFFIX)
        # A wheel is fetched for its metadata too, where there are none beside it.
        for each in (distribution, distribution + METADATA_SUFFIX):
            self.given.update((name, each, data) for data in self._at(name, each))
        try:
            body = result(self.source.file(name, filename))
            data = read(body)
        except SimpleIndexError:
            return None
        return data

    def _at(self, name: ProjectName, filename: str) -> Sequence[bytes]:
        listing = self.upstream.pages.get(name)
        distribution = filename.removesuffix(METADATA_SUFFIX)
        urls = [
            each.url + filename.removeprefix(distribution)
            for each in (listing.project.files if listing else ())
            if each.filename == distribution and each.url
        ]
        return [self.upstream.files[url] for url in urls if url in self.upstream.files]


def indexes_in(root: Path) -> tuple[Clock, list[Index]]:
    """Two indexes behind one cache, and their clock."""
    clock = Clock()
    clock.advance(1_700_000_000)
    cache = UpstreamCache(str(root / "cache"), DiskBudget(floor=0), clock.seconds)
    cache.load()
    pins = Pins(str(root / "state"))
    return clock, [Index(url, cache, pins, clock) for url in INDEXES]


def result_of(answer: Any) -> Any:
    """A result or None of what fails with an error of ours."""
    found: list[Any] = []
    Deferred.fromCoroutine(answer).addBoth(found.append)
    return found[0] if found else None


class Ownership(RuleBasedStateMachine):
    """Two indexes whose listings state whatever they like, readers of both, pins, and copies."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = TemporaryDirectory()
        self.log = CapturedLog()
        PUBLISHER.addObserver(self.log)
        self.clock, self.indexes = indexes_in(Path(self.directory.name))

    def teardown(self) -> None:
        """Remove what was kept."""
        PUBLISHER.removeObserver(self.log)
        self.directory.cleanup()

    @rule(
        index=st.sampled_from((0, 1)),
        name=st.sampled_from(PROJECTS),
        which=st.sampled_from((0, 1)),
        content=st.one_of(st.none(), st.sampled_from(DATA)),
        stated=st.one_of(st.none(), st.sampled_from(DIGESTS)),
        beside=st.one_of(st.none(), st.sampled_from(EVERY)),
        of_metadata=st.one_of(st.none(), st.sampled_from(DIGESTS)),
        is_honest=st.booleans(),
    )
    def lists(
        self,
        *,
        index: int,
        name: ProjectName,
        which: int,
        content: bytes | None,
        stated: str | None,
        beside: bytes | None,
        of_metadata: str | None,
        is_honest: bool,
    ) -> None:
        """An upstream lists a file: with its digests, or with any others, and has it, or not."""
        filename, upstream = FILES[name][which], self.indexes[index].upstream
        if is_honest:
            content = CONTENTS[INDEXES[index], name, filename]
            stated = hashlib.sha256(content).hexdigest()
            (beside,) = _metadata_of(content, name)
            of_metadata = hashlib.sha256(beside).hexdigest()
        file = upstream.add(filename, content or b"", bare=True, sha256=stated)
        assert file.url is not None
        sidecar = None if of_metadata is None else Sidecar(of_metadata, 0)
        upstream.add(filename, content or b"", bare=True, sha256=stated, metadata=None)
        files = [each for each in upstream.pages[name].project.files if each.filename != filename]
        upstream.put(
            Project(
                name, tuple(sorted([*files, replace(file, metadata=sidecar)], key=lambda each: each.filename))
            )
        )
        if content is None:
            del upstream.files[file.url]
        upstream.files.pop(file.url + METADATA_SUFFIX, None)
        if beside is not None:
            upstream.files[file.url + METADATA_SUFFIX] = beside
        self.clock.advance(1000)

    @rule(index=st.sampled_from((0, 1)), name=st.sampled_from(PROJECTS))
    def removes(self, index: int, name: ProjectName) -> None:
        """A project is gone upstream; what was held of it stays on offer."""
        self.indexes[index].upstream.pages.pop(name, None)
        self.clock.advance(1000)
        result_of(self.indexes[index].source.project(name))

    @rule(
        index=st.sampled_from((0, 1)),
        name=st.sampled_from(PROJECTS),
        which=st.sampled_from((0, 1)),
        kind=st.sampled_from(("", METADATA_SUFFIX)),
    )
    def reads(self, index: int, name: ProjectName, which: int, kind: str) -> None:
        """Readers of this index and this project may read a file of it."""
        source, filename = self.indexes[index], FILES[name][which] + kind
        data = source.get(name, filename)
        if data is None:
            return
        wheels = {data for owner, file, data in source.given if (owner, file) == (name, FILES[name][which])}
        given = {data for owner, file, data in source.given if (owner, file) == (name, filename)}
        if kind:
            inside = {
                sidecar for sidecar in SIDECARS for wheel in wheels if sidecar in _metadata_of(wheel, name)
            }
            assert data in given | inside
        else:
            assert data in given

    @rule(index=st.sampled_from((0, 1)), name=st.sampled_from(PROJECTS))
    def pins(self, index: int, name: ProjectName) -> None:
        """The operator pins what is held."""
        source = self.indexes[index]
        kept = source.cache.listing(source.url, name)
        if kept is not None:
            source.pins.pin(source.url, kept, kept.project.files, source.cache)
            self.clock.advance(1)

    @rule(index=st.sampled_from((0, 1)), name=st.sampled_from(PROJECTS), which=st.sampled_from((0, 1)))
    def unpins(self, index: int, name: ProjectName, which: int) -> None:
        """The operator lets go of a file, and every other pinned file is still there."""
        pins = self.indexes[index].pins
        pins.unpin(self.indexes[index].url, name, lambda file: file.filename == FILES[name][which])
        self.clock.advance(1)
        for source in self.indexes:
            for owner in pins.names(source.url):
                kept = pins.listing(source.url, owner)
                assert kept is not None
                for file in kept.project.files:
                    found = pins.open(source.url, owner, file.filename)
                    assert found is not None
                    open(found[0], "rb").close()

    @rule(index=st.sampled_from((0, 1)), name=st.sampled_from(PROJECTS))
    def copies(self, index: int, name: ProjectName) -> None:
        """The operator copies what is held."""
        source = self.indexes[index]
        origin = UpstreamCopySource(source.cache, source.pins, source.url, "it", flat=False)
        try:
            project = origin.project(name)
        except NotCopied:
            return
        for file in project.files:
            opened = origin.open(name, file)
            if opened is not None:
                with opened:
                    assert (name, file.filename, opened.readall()) in source.given

    @invariant()
    def nothing_unexpected_failed(self) -> None:
        """Lies are refused; they break nothing."""
        assert not any("log_failure" in event for event in self.log.events)


def _metadata_of(wheel: bytes, name: ProjectName) -> list[bytes]:
    return [
        metadata_text(name, version, f"Summary: {index}")
        for (index, owner, filename), data in CONTENTS.items()
        for version in (filename.split("-")[1],)
        if data == wheel and owner == name
    ]


TestOwnership = Ownership.TestCase
TestOwnership.settings = settings(max_examples=number_of(60), stateful_step_count=30, deadline=None)


class Pair:
    """The secret file of one index, held; and another index, or project, that states its digests."""

    def __init__(self, root: Path) -> None:
        self.clock, (self.private, self.other) = indexes_in(root)
        self.name, self.filename = PROJECTS[1], FILES[PROJECTS[1]][0]
        self.secret = CONTENTS[INDEXES[0], self.name, self.filename]
        self.metadata = metadata_text(self.name, "1.0", f"Summary: {INDEXES[0]}")
        self.private.upstream.add(self.filename, self.secret, metadata=self.metadata)
        assert self.private.get(self.name, self.filename) == self.secret
        assert self.private.get(self.name, self.filename + METADATA_SUFFIX) == self.metadata

    def states(self, index: Index, *, file: bytes | None = None, metadata: bytes | None = None) -> str:
        """List a file that is not there, with the digest of other bytes; return its name."""
        filename = FILES[PROJECTS[0]][0]
        stated = None if file is None else hashlib.sha256(file).hexdigest()
        listed = index.upstream.add(filename, b"x", bare=True, sha256=stated)
        sidecar = None if metadata is None else Sidecar(hashlib.sha256(metadata).hexdigest(), 0)
        index.upstream.put(Project(PROJECTS[0], (replace(listed, metadata=sidecar),)))
        assert listed.url is not None
        del index.upstream.files[listed.url]
        return filename


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """One of its own for each test."""
    return Pair(tmp_path)


@pytest.mark.parametrize("by", ["another index", "another project"])
def test_the_digest_of_a_secret_file_gives_nothing(pair: Pair, by: str) -> None:
    """Not as a file, nor as metadata, nor pinned, nor copied; the upstream itself is asked, and has none."""
    index = pair.other if by == "another index" else pair.private
    for stated in ({"file": pair.secret}, {"metadata": pair.secret}, {"metadata": pair.metadata}):
        filename = pair.states(index, **stated)
        pair.clock.advance(1000)
        for each in (filename, filename + METADATA_SUFFIX):
            assert index.get(PROJECTS[0], each) is None
        kept = index.cache.listing(index.url, PROJECTS[0])
        assert kept is not None
        assert index.pins.pin(index.url, kept, kept.project.files, index.cache) == ()
        origin = UpstreamCopySource(index.cache, index.pins, index.url, "it", flat=False)
        for file in origin.project(PROJECTS[0]).files:
            assert origin.open(PROJECTS[0], file) is None


def test_a_digest_of_a_pinned_secret_gives_nothing(pair: Pair) -> None:
    """Pins are found by their record only, also those that are made when an index removes a file."""
    kept = pair.private.cache.listing(INDEXES[0], pair.name)
    assert kept is not None
    assert pair.private.pins.pin(INDEXES[0], kept, kept.project.files, pair.private.cache) == (pair.filename,)
    filename = pair.states(pair.other, file=pair.secret)
    assert pair.other.get(PROJECTS[0], filename) is None
    del pair.other.upstream.pages[PROJECTS[0]]
    pair.clock.advance(1000)
    assert isinstance(error(pair.other.source.project(PROJECTS[0])), NotHere)
    assert pair.other.pins.names(INDEXES[1]) == frozenset()


def test_equal_pins_are_let_go_of_one_by_one(pair: Pair) -> None:
    """Two indexes that each gave the same bytes: the record of one is not lost with that of the other."""
    pair.other.upstream.add(pair.filename, pair.secret)
    assert pair.other.get(pair.name, pair.filename) == pair.secret
    for index in (pair.private, pair.other):
        kept = index.cache.listing(index.url, pair.name)
        assert kept is not None
        assert index.pins.pin(index.url, kept, kept.project.files, index.cache) == (pair.filename,)
    pins = pair.private.pins
    assert pins.unpin(INDEXES[0], pair.name, lambda _: True) == (pair.filename,)
    assert pins.open(INDEXES[0], pair.name, pair.filename) is None
    found = pins.open(INDEXES[1], pair.name, pair.filename)
    assert found is not None
    with open(found[0], "rb") as file:
        assert file.read() == pair.secret


def test_other_credentials_are_another_index() -> None:
    """What was given to one login is not for readers of an upstream that has another, or none."""
    url = "https://index.example/simple/"
    names = [
        UpstreamSettings("open", url).identity,
        UpstreamSettings("team-a", url, credentials=("env", "A")).identity,
        UpstreamSettings("team-b", url, credentials=("env", "B")).identity,
    ]
    assert len(set(names)) == 3
    assert names[0] == url


def test_pins_of_an_upstream_with_credentials_that_an_older_version_noted_stay(pair: Pair) -> None:
    """They become its own; without credentials they are no longer offered there."""
    kept = pair.private.cache.listing(INDEXES[0], pair.name)
    assert kept is not None
    pins = pair.private.pins
    pins.pin(INDEXES[0], kept, kept.project.files, pair.private.cache)
    identity = UpstreamSettings("team-a", INDEXES[0], credentials=("env", "A")).identity
    for _ in range(2):
        pins.adopt(INDEXES[0], identity)
        assert pins.names(INDEXES[0]) == frozenset()
        assert pins.names(identity) == {pair.name}
        found = pins.open(identity, pair.name, pair.filename)
        assert found is not None
        open(found[0], "rb").close()


def test_metadata_with_the_digest_of_the_wheel_are_none(pair: Pair) -> None:
    """Stated, or found out: nothing of it is passed on, and the wheel's own are offered."""
    wheel = CONTENTS[INDEXES[0], PROJECTS[0], FILES[PROJECTS[0]][1]]
    filename = FILES[PROJECTS[0]][1]
    sha256 = hashlib.sha256(wheel).hexdigest()
    for stated in (sha256, None):
        listed = pair.private.upstream.add(filename, wheel, bare=True, sha256=stated)
        pair.private.upstream.put(Project(PROJECTS[0], (replace(listed, metadata=Sidecar(sha256, 0)),)))
        pair.clock.advance(1000)
        before = result(pair.private.source.project(PROJECTS[0])).files[0]
        assert stated is None or before.metadata is None
        assert pair.private.get(PROJECTS[0], filename) == wheel
        after = result(pair.private.source.project(PROJECTS[0])).files[0]
        metadata = metadata_text(PROJECTS[0], "2.0", f"Summary: {INDEXES[0]}")
        assert after.metadata == Sidecar(hashlib.sha256(metadata).hexdigest(), len(metadata))
        assert pair.private.get(PROJECTS[0], filename + METADATA_SUFFIX) == metadata
