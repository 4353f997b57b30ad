"""Count the work of a request without a clock: the Python functions called from its bytes' arrival to its answer's.

The real site over a real directory, in memory and without threads, so that the count is the same every time.
``python -m tests.benchmarks.work_per_request`` prints the counts and where most of them are spent.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from simpleindex.core.views import LOCAL, MAIN_VIEW
from simpleindex.directory.source import LocalSource
from simpleindex.policy.filtered import FilteredSource
from simpleindex.policy.rules import NamesList
from simpleindex.records.database import RecordsDatabase
from simpleindex.records.owners import CachedOwners, OwnerTable
from simpleindex.records.used_names import UsedNames
from simpleindex.service.composition.upstreams import lacked_by, was_used_here
from simpleindex.service.composition.views import ViewParts, compose_view
from simpleindex.service.fast_lane import open_fast_lane
from simpleindex.upstreams.cache.pins import Pins
from simpleindex.upstreams.pinned import PinnedSource
from simpleindex.views.live_sources_file import LiveSourcesFile
from simpleindex.views.standing_answers import StandingAnswers
from simpleindex.views.union import UpstreamMember
from tests.fixtures.cached_upstream import DATA, WHEEL
from tests.fixtures.cached_upstream import CachedUpstreamFixture as UpstreamWorld
from tests.fixtures.distributions import add_wheel
from tests.fixtures.live_directory import LiveDirectoryFixture
from tests.fixtures.people_site import PLAIN_BROWSER, open_all_people_pages
from tests.fixtures.site import JSON, SiteFixture, read, request
from tests.fixtures.threads import PausedThreads

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_PAGE: Final = "/simple/acme/"
_FILE: Final = "/simple/acme/acme-1.0-py3-none-any.whl"

# The express lane knows neither, so these requests go the ordinary way and get the same answer.
_ORDINARY: Final = ("X-Anything", "1")

_GZIP: Final = ("Accept-Encoding", "gzip")

_WARM_AFTER: Final = 3
"""Requests after which everything that is kept is kept."""


def work_per_request() -> dict[str, Counter[str]]:
    """Count the calls of each kind of request, by module and function."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory, "packages")
        root.mkdir()
        for version in ("1.0", "1.1", "1.2", "1.3", "1.4"):
            add_wheel(root, "acme", version, "Requires-Python: >=3.9")
        add_wheel(root, "other")
        world = LiveDirectoryFixture(root).begin()
        index = SiteFixture(
            LocalSource(world.live, world.directory, world.reads), people=open_all_people_pages
        )
        open_fast_lane(index.site, index.listings, index.people, index.resource.also)
        tag = index.get(_PAGE).headers["etag"]
        requests = {
            "page": request("GET", _PAGE),
            "page, ordinary lane": request("GET", _PAGE, _ORDINARY),
            "page JSON gzip": request("GET", _PAGE, ("Accept", JSON), _GZIP),
            "page JSON gzip, ordinary lane": request("GET", _PAGE, ("Accept", JSON), _GZIP, _ORDINARY),
            "page 304": request("GET", _PAGE, ("If-None-Match", tag)),
            "page 304, ordinary lane": request("GET", _PAGE, ("If-None-Match", tag), _ORDINARY),
            "root": request("GET", "/simple/"),
            "page for people": request("GET", "/acme/", *PLAIN_BROWSER),
            "front page": request("GET", "/", *PLAIN_BROWSER),
            ".metadata": request("GET", f"{_FILE}.metadata"),
            "file of one chunk": request("GET", _FILE),
        }
        counted = {
            what: _counted(index, raw, 304 if "304" in what else 200) for what, raw in requests.items()
        }
        in_front = _in_front(Path(directory))
        counted["page of an upstream"] = _counted(in_front, requests["page"], 200)
        counted["file of an upstream"] = _counted(in_front, requests["file of one chunk"], 200)
        return counted


def _in_front(directory: Path) -> SiteFixture:
    """An empty directory and an upstream with acme, put together as the composition root does it."""
    own, behind = directory / "own", UpstreamWorld(directory / "cache")
    own.mkdir()
    behind.upstream.add(WHEEL, DATA)
    local, sources, state = (
        LiveDirectoryFixture(own).begin(),
        directory / "sources.toml",
        str(directory / "state"),
    )
    sources.write_text('[[upstream]]\nname = "pypi"\nurl = "https://index.example/simple/"\n')
    policies = LiveSourcesFile(str(sources), open_list=lambda _: NamesList, allowances=lambda _: ())
    said = policies.open()
    threads, records = PausedThreads(), RecordsDatabase(state)
    owners = OwnerTable(records)
    policy = policies.of_views(frozenset({MAIN_VIEW}))
    pinned = PinnedSource(behind.source, said.upstreams[0].url, Pins(state), behind.clock, threads)
    source = LocalSource(local.live, local.directory, threads)
    directories = {LOCAL: FilteredSource(source, LOCAL, policy, behind.clock, threads)}
    pypi = UpstreamMember(FilteredSource(pinned, "pypi", policy, behind.clock, threads), name="pypi")
    was_used = partial(was_used_here, CachedOwners(owners, behind.clock.seconds), UsedNames(records))
    parts = ViewParts(
        directories,
        {"pypi": pypi},
        directories,
        was_used=was_used,
        claims=lambda _: False,
        threads=threads,
        standing=StandingAnswers(behind.clock, lacked_by([local.live]), was_used),
    )
    union = compose_view(said, said.views[0], parts)
    index = SiteFixture(union)
    open_fast_lane(index.site, index.listings, index.people, index.resource.also)
    return index


def _counted(index: SiteFixture, raw: bytes, status: int) -> Counter[str]:
    connection = index.connect()

    def once() -> None:
        connection.protocol.dataReceived(raw)
        reply = read(connection)
        assert reply.status == status, reply
        if reply.headers.get("content-encoding") == "gzip":
            assert gzip.decompress(reply.body)

    for _ in range(_WARM_AFTER):
        once()
    return calls(lambda: connection.protocol.dataReceived(raw))


def calls(function: Callable[[], object]) -> Counter[str]:
    """Count the Python functions that a call calls."""
    counted: Counter[str] = Counter()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            code = frame.f_code
            counted[f"{Path(code.co_filename).stem}.{code.co_qualname}"] += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(before)
    return counted


if __name__ == "__main__":
    for what, found in work_per_request().items():
        print(f"{what}: {found.total()}")
        for name, count in found.most_common(8):
            print(f"    {count:4} {name}")
