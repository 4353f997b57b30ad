"""Which requests are downloads, and how they get into the records without being in the way of an answer."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from twisted.internet.address import IPv4Address, UNIXAddress

from simpleindex.access.identity import Identity, TokenLimits
from simpleindex.config.resolution import resolve
from simpleindex.core.source import Delivery, FileOrigin
from simpleindex.records.downloads.database import DownloadsDatabase
from simpleindex.records.downloads.keys import DownloadEvent, DownloadKey
from simpleindex.records.downloads.sqlite import DownloadsFile
from simpleindex.web.downloads import counter as module
from simpleindex.web.downloads.counter import FLUSH_SECONDS, DownloadCounter
from tests.fixtures.deferreds import result
from tests.fixtures.site import FAR, NEAR, SiteFixture
from tests.fixtures.threads import PausedThreads

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from simpleindex.config.settings import Settings
    from tests.fixtures.log import CapturedLog

WHEEL = "acme-1.0-py3-none-any.whl"
URL = f"/simple/acme/{WHEEL}"
SIZE = 1000
NOW = 1_795_910_400.0


class Database(DownloadsDatabase):
    """Remembers what is written; fails while ``error`` is one."""

    def __init__(self) -> None:
        super().__init__(DownloadsFile("/state"))
        self.added: list[tuple[dict[DownloadKey, int], list[DownloadEvent]]] = []
        self.pruned: list[int] = []
        self.error: Exception | None = None

    def add(
        self, counts: Mapping[DownloadKey, int], events: Sequence[DownloadEvent], *, patience: float
    ) -> None:
        assert patience > 0
        if self.error is not None:
            raise self.error
        self.added.append((dict(counts), [*events]))

    def prune(self, before: int, *, patience: float) -> None:
        assert patience > 0
        if self.error is not None:
            raise self.error
        self.pruned.append(before)

    @property
    def total(self) -> int:
        return sum(sum(counts.values()) for counts, _ in self.added)


class World:
    """An index of one wheel whose downloads are counted."""

    def __init__(self, place: Path) -> None:
        self.index = SiteFixture()
        self.index.source.add(WHEEL, bytes(SIZE), metadata=b"Metadata-Version: 2.1\n")
        self.settings: Settings = resolve({"path": str(place)}, {"HOME": str(place)}, place)
        self.threads = PausedThreads()
        self.threads.held = False
        self.database = Database()
        self.now = NOW
        self.counter = DownloadCounter(
            self.database, self.index.clock, self.threads, lambda: self.settings, lambda: self.now
        )
        self.index.site.download_over = self.counter.record

    def flushed(self) -> dict[DownloadKey, int]:
        """Return what is counted after its time."""
        before = len(self.database.added)
        self.index.clock.advance(FLUSH_SECONDS)
        return self.database.added[-1][0] if len(self.database.added) > before else {}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_whole_file_is_a_download(world: World) -> None:
    """It is counted by its day, file, program and origin, a few seconds later and together with others."""
    world.index.get(URL, ("User-Agent", "pip/26.3 {}"))
    world.index.get(URL, ("User-Agent", "pip/26.3 {}"))
    assert not world.database.added
    expected = DownloadKey(20_786, "acme", WHEEL, "pip", "", "", "local", "directory")  # type: ignore[arg-type]
    assert world.flushed() == {expected: 2}
    assert world.flushed() == {}


@pytest.mark.parametrize(
    ("given", "counted"),
    [
        ("bytes=0-", 1),
        (f"bytes=0-{SIZE - 1}", 1),
        (f"bytes=-{SIZE}", 1),
        # A download that broke off is resumed with the rest.
        ("bytes=400-", 1),
        (f"bytes=400-{SIZE - 1}", 0),
        # A resolver reads the end of a wheel, where its metadata are.
        ("bytes=-100", 0),
        ("bytes=0-99", 0),
        (f"bytes={SIZE}-", 0),
    ],
)
def test_parts(world: World, given: str, counted: int) -> None:
    """A part is a download if its client has the whole file then."""
    world.index.get(URL, ("Range", given))
    assert sum(world.flushed().values()) == counted


def test_what_is_no_download(world: World) -> None:
    """Pages, metadata, heads, what is there already, and what is refused."""
    etag = world.index.head(URL).headers["etag"]
    world.index.get(URL, ("If-None-Match", etag))
    world.index.get("/simple/acme/")
    world.index.get("/simple/")
    world.index.get(f"{URL}.metadata")
    world.index.get("/simple/acme/acme-9.0-py3-none-any.whl")
    world.index.get("/-/health")
    world.index.ask("POST", "/legacy/", ("Content-Length", "0"))
    assert world.flushed() == {}


def test_trials_of_the_doctor(world: World) -> None:
    """Its installations on this machine are no downloads; for others these URLs lead to nothing, so that nobody hides behind them."""
    url, own = f"/-/trial{URL}", IPv4Address("TCP", "10.0.0.1", 50000)
    assert world.index.get(url, ("Host", "localhost:8080"), peer=NEAR).status == 200
    assert world.index.get(url, peer=own).status == 200
    # A proxy on this machine that names no client, one that does, and a client elsewhere.
    assert world.index.get(url, peer=NEAR).status == 404
    assert world.index.get(url, ("X-Forwarded-For", "192.0.2.7"), peer=own).status == 404
    assert world.index.get(url, peer=FAR).status == 404
    assert world.flushed() == {}


def test_a_client_that_leaves(world: World) -> None:
    """A download that broke off is none, and the rest of it later is one."""
    world.index.source.bodies["acme", WHEEL].is_slow = True
    world.index.begin("GET", URL).leave()
    assert world.flushed() == {}


def test_a_file_that_cannot_be_read_to_its_end(world: World) -> None:
    """The connection breaks, so nobody has the file."""
    body = world.index.source.bodies["acme", WHEEL]
    body.changes_at = 0
    assert world.index.get(URL).status == 503
    assert world.flushed() == {}


def test_who_and_from_where(world: World) -> None:
    """The user and the token of the request, and the upstream of the file."""
    requests: list[Any] = []
    world.index.site.download_over = requests.append
    world.index.get(URL)
    (request,) = requests
    request.record.identity = Identity("alice", TokenLimits("t1", frozenset(), ()))
    origin = FileOrigin("pypi", Delivery.FETCHED)
    request.record.download = replace(request.record.download, origin=origin)
    world.counter.record(request)
    (key,) = world.flushed()
    assert (key.user, key.token, key.source, key.delivery) == ("alice", "t1", "pypi", "fetched")
    assert key.program == "unnamed"


def test_addresses_are_kept_only_if_wanted(world: World) -> None:
    """With the time, and the version of the program; behind a trusted proxy the client's own."""
    world.index.get(URL)
    world.settings = replace(world.settings, keep_addresses=True)
    world.index.get(URL, ("User-Agent", "uv/0.13.9"))
    trusted = resolve({"trusted-proxy": ("192.0.2.0/24",)}, {"HOME": "/"}, Path("/")).trusted_proxy
    world.settings = replace(world.settings, trusted_proxy=trusted)
    world.index.get(URL, ("X-Forwarded-For", "2001:db8::1"))
    world.index.get(URL, peer=UNIXAddress("/run/socket"))
    world.flushed()
    ((_, events),) = world.database.added
    assert [(event.time, event.version, event.address) for event in events] == [
        (int(NOW), "0.13.9", FAR.host),
        (int(NOW), "", "2001:db8::1"),
        (int(NOW), "", ""),
    ]


def test_old_counts_are_removed_once_a_day(world: World, log: CapturedLog) -> None:
    """Whether there are downloads or not; what failed is tried again, and the log says so."""
    for days in (0, 0, 0, 1, 1):
        world.now = NOW + days * 86_400
        result(world.counter.remove_old())
    assert world.database.pruned == [20_386, 20_387]
    world.settings = replace(world.settings, keep_downloads=30)
    world.database.error = sqlite3.OperationalError("locked")
    result(world.counter.remove_old())
    result(world.counter.remove_old())
    assert any("Old counts of downloads are not removed" in line for line in log.lines)
    world.database.error = None
    result(world.counter.remove_old())
    assert world.database.pruned == [20_386, 20_387, 20_757]


def test_a_date_far_ahead_removes_nothing(world: World) -> None:
    """If it is corrected soon; what is old by the right date is removed afterwards."""
    years = 10 * 365
    for days in (years, 0, 0, years, 0, 0, 1, 1):
        world.now = NOW + days * 86_400
        result(world.counter.remove_old())
    assert world.database.pruned == [20_386, 20_387]


def test_many_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that is large is written before its time; the next one waits until it is."""
    monkeypatch.setattr(module, "_FULL_BATCH", 2)
    world.threads.held = True
    for program in ("pip", "uv", "pdm", "curl"):
        world.index.get(URL, ("User-Agent", f"{program}/1"))
    assert len(world.threads.calls) == 1
    world.threads.calls[0].deliver()
    world.index.clock.advance(FLUSH_SECONDS)
    world.threads.calls[-1].deliver()
    assert [len(counts) for counts, _ in world.database.added] == [2, 2]


def test_a_full_disk(world: World, log: CapturedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """It costs one line of the log; what fits into memory is counted when there is room again."""
    monkeypatch.setattr(module, "_MOST", 2)
    monkeypatch.setattr(module, "_FULL_BATCH", 1)
    world.settings = replace(world.settings, keep_addresses=True)
    world.database.error = sqlite3.OperationalError("database or disk is full")
    for program in ("pip", "uv", "uv", "curl", "pip"):
        assert world.index.get(URL, ("User-Agent", f"{program}/1")).status == 200
    world.flushed()
    world.flushed()
    assert "\n".join(log.lines).count("Downloads are not counted") == 1
    assert "downloads.sqlite3" in "\n".join(log.lines)
    world.database.error = None
    assert sum(world.flushed().values()) == 4
    assert len(world.database.added[-1][1]) == 2
    assert "Downloads are counted again; 1 download meanwhile were not." in "\n".join(log.lines)


def test_the_end_of_the_service(world: World, log: CapturedLog) -> None:
    """What is in memory is written; where that fails the service ends all the same."""
    world.counter.close()
    world.index.get(URL)
    world.counter.close()
    assert world.database.total == 1
    assert world.index.clock.getDelayedCalls() == []
    world.index.get(URL)
    world.database.error = OSError(30, "Read-only file system")
    world.counter.close()
    assert "Read-only file system" in "\n".join(log.lines)
