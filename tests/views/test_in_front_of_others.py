"""A local directory, and an upstream behind it, over HTTP: what clients get, and what the upstream hears."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING

import pytest

from simpleindex.core.model import Strategy
from simpleindex.directory.source import LocalSource
from simpleindex.upstreams.errors import UpstreamFailed
from simpleindex.views.name_rules import NameRules
from simpleindex.views.union import LocalMember, UnionSource, UpstreamMember
from tests.fixtures.cached_upstream import CachedUpstreamFixture as UpstreamWorld
from tests.fixtures.distributions import add_wheel, wheel_bytes, wheel_name
from tests.fixtures.live_directory import LiveDirectoryFixture as LocalWorld
from tests.fixtures.site import JSON, SiteFixture, read
from tests.fixtures.threads import PausedThreads

if TYPE_CHECKING:
    from pathlib import Path

PRIVATE, PUBLIC = wheel_name("secret"), wheel_name("public")
DATA = wheel_bytes("public")


class LocalFirstFixture:
    """A directory with the project secret; an upstream with public, and with a secret that somebody put there."""

    def __init__(self, root: Path, rules: NameRules) -> None:
        add_wheel(root / "packages", "secret")
        self.local = LocalWorld(root / "packages")
        self.outside = UpstreamWorld(root / "cache")
        self.outside.upstream.add(PUBLIC, DATA)
        self.outside.upstream.add(PRIVATE, b"evil", bare=True)
        self.used: set[str] = set()
        source = LocalSource(self.local.live, self.local.directory, PausedThreads())
        self.index = SiteFixture(
            UnionSource(
                LocalMember(source),
                [UpstreamMember(self.outside.source, is_listed=True)],
                rules,
                was_used=lambda name: name in self.used,
                threads=PausedThreads(),
            )
        )

    def asked_for(self) -> set[str]:
        """Every name that the upstream has heard."""
        return {
            name for what in self.outside.upstream.asked for name in ("secret", "public") if name in str(what)
        }


@pytest.fixture
def house(tmp_path: Path) -> LocalFirstFixture:
    """With the directory read."""
    house = LocalFirstFixture(tmp_path, NameRules())
    house.local.begin()
    return house


def test_a_cold_file_is_streamed_and_a_warm_one_is_a_file(house: LocalFirstFixture) -> None:
    """Whole while it is on its way, also where a part is asked for; then in parts too."""
    page = house.index.get("/simple/public/", ("Accept", JSON))
    (file,) = page.json["files"]
    assert (file["url"], file["hashes"]["sha256"]) == (PUBLIC, hashlib.sha256(DATA).hexdigest())
    gates = house.outside.upstream.gates = []
    transport = house.index.begin("GET", f"/simple/public/{PUBLIC}", ("Range", "bytes=0-9"))
    assert not transport.value()
    house.outside.upstream.gates = None
    gates[0].callback(None)
    cold = read(transport, "GET")
    assert (cold.status, cold.body, cold.headers["accept-ranges"]) == (200, DATA, "none")
    warm = house.index.get(f"/simple/public/{PUBLIC}", ("Range", "bytes=0-9"))
    assert (warm.status, warm.body) == (206, DATA[:10])
    assert house.outside.upstream.opens() == [0]


def test_while_the_upstream_is_away(house: LocalFirstFixture) -> None:
    """Old pages are not to be stored; what was never seen is 503, or an error until somebody mends it; local projects are as ever."""
    assert house.index.get("/simple/public/").headers["cache-control"] == "no-cache"
    house.outside.clock.advance(601)
    house.outside.upstream.error = UpstreamFailed("pypi", "it is down.", retry_after=3600)
    stale = house.index.get("/simple/public/")
    assert (stale.status, stale.headers["cache-control"]) == (200, "no-store")
    unseen = house.index.get("/simple/unseen/")
    assert (unseen.status, unseen.headers["retry-after"]) == (503, "2")
    house.outside.upstream.error = UpstreamFailed("pypi", "it refuses our credentials (401).")
    unseen = house.index.get("/simple/unseen/")
    assert (unseen.status, unseen.headers.get("retry-after")) == (424, None)
    house.outside.upstream.error = UpstreamFailed("pypi", "it is slow.", timed_out=True)
    assert house.index.get("/simple/unseen/").status == 504
    assert house.index.get("/simple/secret/").headers["cache-control"] == "no-cache"


def test_a_wrong_file_is_not_retried(house: LocalFirstFixture) -> None:
    """Said in words, where nothing of it has been sent."""
    upstream = house.outside.upstream
    upstream.files.update(dict.fromkeys(upstream.files, b"evil" + DATA[4:]))
    reply = house.index.get(f"/simple/public/{PUBLIC}")
    assert (reply.status, reply.headers.get("retry-after")) == (424, None)
    assert "not the file that it lists" in reply.text


@pytest.mark.parametrize("state", ["unread", "emptied", "gone", "deleted", "there"])
@pytest.mark.parametrize("strategy", [Strategy.FIRST_INDEX, Strategy.MERGE])
@pytest.mark.parametrize("rule", ["own", "used"])
def test_a_private_name_is_never_heard(tmp_path: Path, state: str, strategy: Strategy, rule: str) -> None:
    """Whatever has become of the directory; only where it is truly not there, a rule is needed for that."""
    house = LocalFirstFixture(tmp_path, NameRules(strategy, own=("sec*",) if rule == "own" else ()))
    house.used.update({"secret"} if rule == "used" else ())
    root = tmp_path / "packages"
    if state == "unread":
        house.local.reads.held = house.local.long_reads.held = True
    house.local.begin()
    if state in {"emptied", "deleted"}:
        shutil.rmtree(root / "secret")
    if state == "gone":
        shutil.rmtree(root)
    house.local.live.root_changed()
    for path in ("/simple/secret/", "/secret/", f"/simple/secret/{PRIVATE}", f"/secret/{PRIVATE}.metadata"):
        transport = house.index.begin("GET", path)
        if state != "unread":
            status = read(transport, "GET").status
            assert (status == 200) == (state == "there")
    assert house.asked_for() == set()


def test_a_private_name_is_not_heard_while_the_directory_cannot_tell(tmp_path: Path) -> None:
    """Without any rule: that it is not read yet, or has gone, is not that the project is not there."""
    house = LocalFirstFixture(tmp_path, NameRules(Strategy.MERGE, allow_upstream=("secret",)))
    house.local.reads.held = house.local.long_reads.held = True
    house.local.begin()
    for path in ("/simple/secret/", f"/simple/secret/{PRIVATE}"):
        house.index.begin("GET", path)
    assert house.asked_for() == set()
    house.local.reads.release()
    house.local.long_reads.release()
    assert house.index.get("/simple/secret/").status == 200
    assert house.asked_for() == {"secret"}
