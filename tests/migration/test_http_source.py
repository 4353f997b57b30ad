"""Reading other servers over HTTP: waits, broken connections, and what devpi servers say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.migration.errors import InvalidImportSource, NotImported, SourceLost
from simpleindex.migration.http_source import DevpiSource, PatientRunner, SimpleIndexSource
from simpleindex.migration.people import NOBODY
from simpleindex.upstreams.errors import UpstreamFailed
from tests.fixtures.deferreds import result
from tests.fixtures.distributions import wheel_bytes, wheel_name
from tests.fixtures.imports import ACME
from tests.fixtures.memory_upstream import MemoryUpstream

if TYPE_CHECKING:
    from simpleindex.core.files import File

DATA = wheel_bytes()
URL = "http://devpi.example/alice/dev/"


class World:
    """A server with one wheel of acme, and the waits of who reads it."""

    def __init__(self) -> None:
        self.upstream = MemoryUpstream()
        self.upstream.pieces = (100,)
        self.file = self.upstream.add(wheel_name(), DATA)
        self.waits: list[float] = []
        self.runner = PatientRunner(lambda request: result(request()), self.waits.append)
        self.source = SimpleIndexSource(self.upstream, self.runner, "https://old.example/simple/")

    def fetched(self, file: File | None = None) -> bytes:
        content = self.source.open(ACME, file or self.file)
        data = b"".join(iter(content.read, b""))
        content.close()
        return data


@pytest.fixture
def world() -> World:
    return World()


def test_a_simple_index(world: World) -> None:
    assert world.source.projects() == ("acme",)
    assert world.source.project(ACME).files == (world.file,)
    assert world.fetched() == DATA
    assert world.upstream.streams[0].is_closed
    assert world.source.sha256(ACME, world.file) is None  # type: ignore[func-returns-value]
    assert world.source.beside(ACME, world.file) == {}
    assert world.source.people() == NOBODY


def test_modification_times(world: World) -> None:
    assert world.source.open(ACME, world.file).modified_ns is None
    world.upstream.last_modified = "Fri, 14 Jul 2017 02:40:00 GMT"
    assert world.source.open(ACME, world.file).modified_ns == 1_500_000_000_000_000_000
    world.upstream.last_modified = "Thu, 01 Jan 1970 00:00:00 GMT"
    assert world.source.open(ACME, world.file).modified_ns is None


def test_what_does_not_answer(world: World) -> None:
    world.upstream.error = UpstreamFailed("old", "it wants credentials (401).")
    with pytest.raises(
        InvalidImportSource, match=r"wants credentials \(401\)\. Name a file .* with --login-file\."
    ):
        world.source.projects()
    with pytest.raises(NotImported, match=r"^it wants credentials \(401\)$"):
        world.source.project(ACME)
    world.upstream.error = UpstreamFailed("old", "no trusted TLS connection with it is possible")
    with pytest.raises(InvalidImportSource, match="--cert"):
        world.source.projects()
    world.upstream.error = None
    world.upstream.files.clear()
    with pytest.raises(NotImported, match="does not have it, although it lists it"):
        world.fetched()


def test_waits_are_obeyed(world: World) -> None:
    """As long as they are bearable, some times."""
    world.upstream.error = UpstreamFailed("old", "it gets too many requests (429)", retry_after=7)
    with pytest.raises(NotImported, match="429"):
        world.source.project(ACME)
    assert world.waits == [7] * 4
    world.upstream.error = UpstreamFailed("old", "it gets too many requests (429)", retry_after=7000)
    with pytest.raises(NotImported):
        world.source.project(ACME)
    assert len(world.waits) == 4


def test_a_server_that_is_gone_ends_the_import(world: World) -> None:
    """Not one that fails now and then."""
    gone = UpstreamFailed("old", "no connection can be made.", retry_after=5)
    for _ in range(3):
        for _ in range(3):
            world.upstream.error = gone
            with pytest.raises(NotImported):
                world.source.project(ACME)
        world.upstream.error = None
        world.source.project(ACME)
    world.upstream.error = gone
    for _ in range(3):
        with pytest.raises(NotImported):
            world.source.project(ACME)
    with pytest.raises(
        SourceLost, match=r"^The other server no longer answers: no connection can be made\.$"
    ):
        world.source.project(ACME)


def test_the_rest_of_a_file_is_requested(world: World) -> None:
    """Three times; a server that gives no parts is not read again from the beginning."""
    world.upstream.breaks = [1, 2, 1, 100]
    assert world.fetched() == DATA
    assert [question[2] for question in world.upstream.asked if question[0] == "open"] == [0, 100, 300, 400]
    world.upstream.breaks = [1, 1, 1, 1]
    with pytest.raises(NotImported, match="the connection broke"):
        world.fetched()
    world.upstream.breaks = [0]
    with pytest.raises(NotImported, match="the connection broke"):
        world.fetched()
    world.upstream.ranges = False
    world.upstream.breaks = [1]
    with pytest.raises(NotImported, match="gives no parts of files"):
        world.fetched()
    assert world.waits == []


def devpi(world: World, pages: dict[str, Any]) -> DevpiSource:
    async def page(url: str) -> bytes:
        if url not in pages:
            raise UpstreamFailed("old", f"no {url}")
        return json.dumps(pages[url]).encode()

    return DevpiSource(world.upstream, world.runner, URL, page)


def config(**more: Any) -> dict[str, Any]:
    return {"type": "indexconfig", "result": {"type": "stage", "acl_upload": ["alice"], **more}}


def test_a_devpi_server(world: World) -> None:
    links = [{"rel": "releasefile", "href": world.file.url, "hash_spec": f"sha256={world.file.sha256}"}]
    source = devpi(
        world,
        {
            f"{URL}?no_projects=": config(),
            URL: config(projects=["acme"]),
            f"{URL}acme?ignore_bases": {"type": "projectconfig", "result": {"1.0": {"+links": links}}},
            "http://devpi.example/": {"type": "list:userconfig", "result": {"alice": {}}},
        },
    )
    assert source.projects() == ("acme",)
    (file,) = source.project(ACME).files
    assert (file.url, file.sha256) == (world.file.url, world.file.sha256)
    people = source.people()
    assert [user.name for user in people.users] == ["alice"]
    assert people.rules[0].comment == "acl_upload of 'alice/dev'"


def test_devpi_servers_that_are_of_no_use(world: World) -> None:
    with pytest.raises(InvalidImportSource, match=r"no http.*no_projects=\.$"):
        devpi(world, {})
    with pytest.raises(InvalidImportSource, match="is a mirror of another index"):
        devpi(world, {f"{URL}?no_projects=": config(type="mirror")})
    with pytest.raises(NotImported, match="no http"):
        devpi(world, {f"{URL}?no_projects=": config()}).project(ACME)
