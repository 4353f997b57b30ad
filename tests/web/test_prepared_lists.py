"""Long lists of projects, prepared in files: as all others for clients, whole at any time, and made once for all workers."""

from __future__ import annotations

import gzip
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from simpleindex.core.model import ProjectList
from simpleindex.core.names import ProjectName
from simpleindex.system.prepared_files import _MOST_FILES, PreparedFile, shared_file
from simpleindex.web.listings import WORTH_A_FILE
from simpleindex.web.pages.notes import IndexDescription
from tests.fixtures.rendered import root_html, root_json
from tests.fixtures.site import JSON, Reply, SiteFixture, read
from tests.fixtures.stub_source import StubSource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMES = tuple(ProjectName(f"p{number:05}") for number in range(WORTH_A_FILE + 1))


class LongList(StubSource):
    """A source of many projects."""

    def __init__(self, names: tuple[ProjectName, ...] = NAMES) -> None:
        super().__init__()
        self.listed = ProjectList(names)

    async def projects(self) -> ProjectList:
        return self.listed


class World:
    """An index with a long list, and its cache."""

    def __init__(self, directory: Path | None) -> None:
        self.source = LongList()
        self.directory = directory
        self.index = self.worker()

    def worker(self) -> SiteFixture:
        return SiteFixture(self.source, lists=self.directory)

    def files(self) -> list[Path]:
        assert self.directory is not None
        return sorted(self.directory.iterdir())


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "lists")


def listed(index: SiteFixture, *headers: tuple[str, str], accept: str = JSON) -> Reply:
    return without_date(index.get("/simple/", ("Accept", accept), *headers))


def without_date(reply: Reply) -> Reply:
    del reply.headers["date"]
    return reply


FORMS: list[tuple[str, str, Callable[[ProjectList], bytes]]] = [
    (JSON, "identity", root_json),
    (JSON, "gzip", root_json),
    (JSON, "zstd", root_json),
    ("text/html", "gzip", root_html),
    ("text/html", "identity", root_html),
]


@pytest.mark.parametrize(("accept", "encoding", "whole"), FORMS)
def test_answers_as_from_memory(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    accept: str,
    encoding: str,
    whole: Callable[[ProjectList], bytes],
) -> None:
    """Headers, tags and bytes are those of a list in memory; HEAD has the length, and its tag is not sent twice."""
    headers = ("Accept", accept), ("Accept-Encoding", encoding)
    got, head = (without_date(world.index.ask(method, "/", *headers)) for method in ("GET", "HEAD"))
    unchanged = world.index.get("/", *headers, ("If-None-Match", got.headers["etag"]))
    assert (unchanged.status, unchanged.body) == (304, b"")
    assert (head.headers, head.body) == (got.headers, b"")
    assert got.headers["content-length"] == str(len(got.body))
    if encoding != "zstd":
        assert (gzip.decompress(got.body) if encoding == "gzip" else got.body) == whole(world.source.listed)
    monkeypatch.setattr("simpleindex.web.listings.WORTH_A_FILE", len(NAMES))
    in_memory = without_date(world.worker().get("/", *headers))
    length = got.headers.pop("content-length"), in_memory.headers.pop("content-length")
    assert got.headers == in_memory.headers
    if encoding != "zstd":  # Its frame states the length, which is not known beforehand.
        assert (length[0], got.body) == (length[1], in_memory.body)


def test_made_once_for_all_workers(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another worker with the same names sends the file that the first one made; small lists make none."""
    first = listed(world.index)
    assert listed(world.index).body == first.body
    assert world.index.listings.renderings == 1
    (path,) = world.files()
    assert path.stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr("simpleindex.system.prepared_files._write", None)
    assert listed(world.worker()) == first
    world.source.listed = ProjectList(NAMES[:3])
    assert len(listed(world.index).json["projects"]) == 3
    assert world.files() == [path]


def test_changed_list(world: World) -> None:
    """A list is replaced when the names change, and old files go; a client that was sent one before has all of it."""
    slow = world.index.begin("GET", "/simple/", ("Accept", JSON))
    for length in range(_MOST_FILES + 2):
        world.source.listed = ProjectList((*NAMES, *map(ProjectName, "abcdefghijklmnopqrstuvwxyz"[:length])))
        assert len(listed(world.index).json["projects"]) == len(NAMES) + length
    assert len(world.files()) == _MOST_FILES
    assert len(read(slow, "GET").json["projects"]) == len(NAMES)


DAMAGES: list[Callable[[Path], object]] = [
    os.unlink,
    lambda path: os.truncate(path, 1000),
    lambda path: os.truncate(path, 10),
    lambda path: path.write_bytes(path.read_bytes()[::-1]),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_file(world: World, damage: Callable[[Path], object]) -> None:
    """A file that is damaged is made again, by who has it open and by who opens it; one that disappears is missed by none."""
    first = listed(world.index)
    (path,) = world.files()
    damage(path)
    assert listed(world.index) == first
    if path.exists():
        damage(path)
    assert listed(world.worker()) == first
    assert world.files() == [path]


@pytest.mark.parametrize("place", [None, "file"])
def test_without_cache(tmp_path: Path, place: str | None) -> None:
    """Where the cache cannot be written the list is in a file without a name."""
    (tmp_path / "file").write_text("")
    world = World(None if place is None else tmp_path / place / "lists")
    assert listed(world.index).json["projects"] == [{"name": name} for name in NAMES]
    assert listed(world.index, ("Accept-Encoding", "gzip")).status == 200


def test_full_disk(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no file can be written the list is rendered in memory, and kept; a new list is tried again."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("simpleindex.system.prepared_files._write", full)
        first = listed(world.index)
    assert listed(world.index) == first
    assert [path.stat().st_size for path in world.files()] == [0]
    world.source.listed = replace(world.source.listed)
    assert listed(world.index) == first
    assert [path.stat().st_size > 0 for path in world.files()] == [True]


def test_clients_share_the_making(world: World) -> None:
    """Clients that request a list while it is made wait for the one file; new facts make it anew, also meanwhile."""
    index = world.index
    index.threads.held = True
    begun = [index.begin("GET", "/", ("Accept", "text/html")) for _ in range(5)]
    assert index.threads.count == 1
    index.threads.start()
    index.listings.describe(IndexDescription(has_private_ca=True))
    index.threads.release()
    assert {b"ca.pem" in read(each, "GET").body for each in begun} == {True}
    assert index.threads.count == 2


def test_too_few_descriptors(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no descriptor is left for a client, it is answered so in words."""
    listed(world.index)
    monkeypatch.setattr("simpleindex.system.descriptors.is_reserved_descriptor", lambda _: True)
    assert listed(world.index).status == 503


def test_two_workers_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker waits for the one that writes the same file, and takes what that has written."""
    directory = str(tmp_path / "lists")
    first: list[PreparedFile] = []

    def locked(*_: object) -> None:
        monkeypatch.undo()
        first.append(shared_file(directory, "name", [b"content"]))

    monkeypatch.setattr("simpleindex.system.prepared_files.fcntl.flock", locked)
    second = shared_file(directory, "name", [b"never written"])
    assert [file.length for file in (*first, second)] == [7, 7]
    for file in (*first, second):
        file.close()
    assert os.listdir(directory) == ["name"]
