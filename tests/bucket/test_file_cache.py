"""Files of a bucket in the cache directory: served without the store, and only the bytes that the listing says."""

from __future__ import annotations

import os
import tempfile
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.bucket import object_body
from simpleindex.bucket.file_cache import BucketFileCache
from simpleindex.core.errors import NotHere, Unavailable
from simpleindex.system.bodies import FileBody
from tests.fixtures.bucket import ACME
from tests.fixtures.deferreds import error, result
from tests.fixtures.distributions import sdist_bytes, sdist_name, wheel_bytes, wheel_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fixtures.bucket import BucketNode
    from tests.fixtures.log import CapturedLog

WHEEL = wheel_name()
DATA = wheel_bytes(files={"x.bin": bytes(range(256)) * 4})
OTHER = wheel_bytes(files={"more.py": b"x"})


@pytest.fixture
def node(new_node: Callable[..., BucketNode]) -> BucketNode:
    """A node that keeps files, with one in its bucket."""
    node = new_node("node", cache=1 << 20)
    node.put(f"acme/{WHEEL}", DATA)
    node.put(sdist_name("loose"), sdist_bytes("loose"))
    return node.begin()


def take_away(node: BucketNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no byte of the store be had."""

    def away(*_: object) -> Any:
        raise TimeoutError(110, "the store cannot be reached")

    monkeypatch.setattr(node.store, "read", away)


def kept(node: BucketNode) -> list[str]:
    """Names of the files on the node's disk, the unfinished ones too."""
    place = os.path.join(node.bucket._scratch, "cache", "bucket")
    return sorted(name for _, _, names in os.walk(place) for name in names if not name.endswith(".facts"))


def test_the_second_download(node: BucketNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Comes from a file of this machine, also of one that lies in no directory; it is as old as the upload is."""
    first = result(node.source.file(ACME, WHEEL))
    first.close()
    assert kept(node) == []
    assert node.download(WHEEL) == DATA
    assert node.download(sdist_name("loose"), "loose") == sdist_bytes("loose")
    take_away(node, monkeypatch)
    calls = node.threads.calls
    body = result(node.source.file(ACME, WHEEL))
    assert isinstance(body, FileBody)
    assert body.is_immutable
    assert (body.modified_ns, body.sha256) == (first.modified_ns, sha256(DATA).hexdigest())
    assert result(body.read(0, len(DATA))) == DATA
    body.close()
    assert node.threads.calls == calls
    assert node.download(sdist_name("loose"), "loose") == sdist_bytes("loose")


def test_what_is_no_longer_listed(node: BucketNode) -> None:
    """Is not served, whatever is on the disk."""
    assert node.download(WHEEL) == DATA
    node.put(f"acme/{WHEEL}", OTHER)
    node.list_again()
    assert node.download(WHEEL) == OTHER
    node.put("acme/simpleindex.toml", b'status = "active"\n')
    node.store.delete(f"acme/{WHEEL}")
    node.list_again()
    assert isinstance(error(node.source.file(ACME, WHEEL)), NotHere)
    node.put(f"acme/{WHEEL}", DATA)
    node.list_again()
    assert node.download(WHEEL) == DATA
    node.put(f"acme/{WHEEL}", OTHER)
    # The listing may be ahead of what was read of the project.
    node.bucket.list_project(ACME)
    assert node.download(WHEEL) == OTHER


def test_after_a_restart(
    new_node: Callable[..., BucketNode], node: BucketNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files are read once before they are served; one that was damaged is fetched again."""
    assert node.download(WHEEL) == DATA
    again = new_node("node", cache=1 << 20).begin()
    take_away(again, monkeypatch)
    assert again.download(WHEEL) == DATA
    (path,) = (
        os.path.join(directory, WHEEL)
        for directory, _, names in os.walk(os.path.join(again.bucket._scratch, "cache"))
        if WHEEL in names
    )
    with open(path, "r+b") as file:
        file.write(b"damaged")
    body = result(again.source.file(ACME, WHEEL))
    assert isinstance(error(body.read(0, 10)), Unavailable)
    body.close()
    assert kept(again) == []


def test_pieces(node: BucketNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them in order make a file; a part, and the beginning of one that broke off, do not."""
    monkeypatch.setattr(object_body, "PIECE_BYTES", 200)
    for reads in ([(600, 100)], [(0, 300)], [(0, 10), (900, 100), (500, 100)]):
        body = result(node.source.file(ACME, WHEEL))
        for offset, length in reads:
            assert result(body.read(offset, length)) == DATA[offset : offset + length]
        body.close()
        assert kept(node) == []
    assert node.download(WHEEL) == DATA
    assert kept(node) == [WHEEL]


def test_pieces_that_overtake(node: BucketNode) -> None:
    """One may come before the one in front of it; after more than one it is no copy."""
    digest = sha256(b"abcdef").hexdigest()
    copy = node.cache.copy("acme/x", 6, digest)
    assert copy is not None
    assert node.cache.copy("acme/x", 6, digest) is None
    for offset, data in ((2, b"cd"), (0, b"ab"), (4, b"ef"), (6, b"late")):
        copy.add(offset, data)
    copy.close()
    assert kept(node) == ["x"]
    scattered = node.cache.copy("acme/y", 6, digest)
    assert scattered is not None
    for offset, data in ((2, b"cd"), (4, b"ef"), (0, b"ab")):
        scattered.add(offset, data)
    assert kept(node) == ["x"]
    assert node.cache.copy("acme/large", 2 << 20, digest) is None


def test_wrong_bytes(node: BucketNode, log: CapturedLog) -> None:
    """Are not kept, and the log says so."""
    copy = node.cache.copy("acme/x", 3, sha256(b"abc").hexdigest())
    assert copy is not None
    copy.add(0, b"xyz")
    assert kept(node) == []
    (line,) = log.lines
    assert "other bytes of 'acme/x'" in line


def test_a_disk_that_is_full(node: BucketNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """The download goes on without a copy."""

    def full(_: int) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(node.cache, "begin", full)
    assert node.download(WHEEL) == DATA
    assert kept(node) == []


def test_a_disk_that_has_no_room(node: BucketNode, monkeypatch: pytest.MonkeyPatch, log: CapturedLog) -> None:
    """No copy is made elsewhere, for nobody would find it; the log says where room is missing."""
    monkeypatch.setattr(os, "fstatvfs", lambda _: os.statvfs_result([1, 1, 0, 0, 0, 0, 0, 0, 0, 255]))
    monkeypatch.setattr(tempfile, "TemporaryFile", None)
    assert node.download(WHEEL) == DATA
    assert kept(node) == []
    (line,) = log.lines
    assert f"The cache in '{node.bucket._scratch}/cache/bucket' cannot be written" in line
    assert line.endswith(
        "new ones that do not fit are not kept: make room on its disk, or give --cache a larger one."
    )


def test_an_upload_is_kept(node: BucketNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node that took it need not read it from the store; one that is too large for the cache is not copied."""
    filename = wheel_name("acme", "2.0")
    result(node.upload(wheel_bytes("acme", "2.0"), filename))
    large = wheel_name("acme", "3.0")
    result(node.upload(wheel_bytes("acme", "3.0", files={"x.bin": os.urandom(1 << 20)}), large))
    take_away(node, monkeypatch)
    assert node.download(filename) == wheel_bytes("acme", "2.0")
    body = result(node.source.file(ACME, large))
    assert type(error(body.read(0, 10))) is Unavailable
    body.close()


def test_workers_share_its_size(node: BucketNode, tmp_path: Path) -> None:
    """Each serves what another one has kept; one of them removes what is too much, also files that others kept."""
    workers = [
        BucketFileCache(str(tmp_path / "cache"), "s3://packages/py", 2500, node.threads, is_shared=True)
        for _ in range(2)
    ]
    for each in workers:
        each.load()
    workers[0].make_room_for_all()
    for number in range(4):
        workers[number % 2].keep_upload(BytesIO(bytes(1000 + number)), f"acme/{number}.whl", 1000 + number)
    assert [_has(workers[0], number) for number in range(4)] == [True] * 4
    workers[0].make_room_for_all()
    assert [_has(workers[1], number) for number in range(4)] == [False, False, True, True]
    workers[0].make_room_for_all()
    assert [_has(workers[0], number) for number in range(4)] == [False, False, True, True]


def _has(cache: BucketFileCache, number: int) -> bool:
    descriptor = result(cache.open(f"acme/{number}.whl", sha256(bytes(1000 + number)).hexdigest()))
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is not None


def test_an_upload_that_cannot_be_kept(
    new_node: Callable[..., BucketNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is published all the same: the staged file may be gone, or no descriptor left, once the store has it."""
    node = new_node("node", cache=1 << 20).begin()
    create = node.store.create

    def create_and_lose(*arguments: Any) -> None:
        create(*arguments)
        (staged,) = Path(node.publishing._staging.path).iterdir()
        staged.unlink()

    monkeypatch.setattr(node.store, "create", create_and_lose)
    assert result(node.upload(wheel_bytes(), wheel_name())).created
    assert node.files().keys() == {wheel_name()}
