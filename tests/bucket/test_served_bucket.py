"""A bucket as an index: listed, read, downloaded; changes of others; a store that goes away."""

from __future__ import annotations

import errno
import io
import os
import zipfile
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.bucket import digests, facts, object_body
from simpleindex.bucket.digests import state_of
from simpleindex.bucket.facts import FACTS, facts_in
from simpleindex.bucket.store_errors import ConditionFailed
from simpleindex.core.errors import Changed, NotHere, Unavailable
from simpleindex.core.model import Status
from simpleindex.core.names import ProjectName
from simpleindex.core.source import Elsewhere
from simpleindex.directory.live.cache_upkeep import keep_cache_up_to_date
from simpleindex.directory.scan.catalogue import CatalogueFile
from tests.fixtures.bucket import ACME
from tests.fixtures.deferreds import error, result
from tests.fixtures.distributions import sdist_bytes, sdist_name, wheel_bytes, wheel_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tests.fixtures.bucket import BucketNode
    from tests.fixtures.log import CapturedLog

WHEEL = wheel_name()
DATA = wheel_bytes()
DIGEST = sha256(DATA).hexdigest()


def away(*_: object, **__: object) -> Any:
    """What every call of a store does that is away."""
    raise TimeoutError(110, "the store cannot be reached")


def test_an_existing_bucket(node: BucketNode) -> None:
    """In place: other spellings, loose files, yanks, signatures; what is none of it is passed over."""
    node.put(f"acme/{WHEEL}", DATA)
    node.put(f"acme/{WHEEL}.asc", b"-----BEGIN PGP SIGNATURE-----\nx\n-----END PGP SIGNATURE-----\n")
    node.put(f"Big.Name/{wheel_name('big_name')}", wheel_bytes("big_name"))
    node.put(sdist_name("loose"), sdist_bytes("loose"))
    node.put("acme/simpleindex.toml", b'[yanked]\n"1.0" = "broken"\n')
    node.put("acme/deep/x.whl", b"")
    node.put("acme/notes.txt", b"")
    node.put(".hidden/x", b"")
    node.put("a b/x", b"")
    node.put("not-a-name.whl", b"")
    node.put(".x-1.0.tar.gz", b"")
    node.begin()
    assert node.names() == ["acme", "big-name", "loose"]
    (file,) = node.project().files
    assert (file.sha256, file.yanked) == (DIGEST, "broken")
    assert node.download(WHEEL) == DATA
    assert node.download(f"{WHEEL}.asc").startswith(b"-----BEGIN")
    assert node.download(sdist_name("loose"), "loose") == sdist_bytes("loose")
    with zipfile.ZipFile(io.BytesIO(DATA)) as archive:
        metadata = archive.read("acme-1.0.dist-info/METADATA")
    assert node.download(f"{WHEEL}.metadata") == metadata
    assert node.download(f"{WHEEL}.metadata") == metadata
    assert isinstance(error(node.source.project(ProjectName("none"))), NotHere)


def test_broken_archives_are_withheld(node: BucketNode) -> None:
    """As in a directory."""
    node.put(f"acme/{WHEEL}", DATA[:-30])
    node.begin()
    assert node.files() == {}
    assert len(node.project().withheld) == 1


def test_changes_of_others(node: BucketNode, log: CapturedLog) -> None:
    """Come, change and go with the next listing; a project that did not change is not read again."""
    node.begin()
    assert node.names() == []
    node.put(f"acme/{WHEEL}", DATA)
    node.put(f"steady/{wheel_name('steady')}", wheel_bytes("steady"))
    node.list_again()
    assert node.files() == {WHEEL: DIGEST}
    steady = node.project("steady")
    other = wheel_bytes(files={"more.py": b""})
    node.put(f"acme/{WHEEL}", other)
    node.list_again()
    assert node.files() == {WHEEL: sha256(other).hexdigest()}
    node.put("acme/simpleindex.toml", b'status = "archived"\n')
    node.list_again()
    assert node.project().status is Status.ARCHIVED
    node.store.delete(f"acme/{WHEEL}")
    node.store.delete("acme/simpleindex.toml")
    node.list_again()
    assert node.names() == ["steady"]
    assert node.project("steady") is steady
    assert not any("cannot" in line for line in log.lines)


def test_a_project_that_is_announced(node: BucketNode) -> None:
    """Listed at once, without the rest."""
    node.begin()
    node.put(f"acme/{WHEEL}", DATA)
    node.put(f"other/{wheel_name('other')}", wheel_bytes("other"))
    result(node.live.changed(ACME))
    assert node.names() == ["acme"]
    node.list_again()
    assert node.names() == ["acme", "other"]


def test_a_listing_that_is_older_than_an_upload(node: BucketNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes long, and the upload that came meanwhile must not vanish with its end."""
    node.begin()
    listing = node.store.list

    def slow(below: str = "") -> Any:
        found = [*listing(below)]
        if not below:
            node.put(f"acme/{WHEEL}", DATA)
            result(node.live.changed(ACME))
        return iter(found)

    monkeypatch.setattr(node.store, "list", slow)
    node.list_again()
    assert node.files() == {WHEEL: DIGEST}


@pytest.mark.parametrize("is_whole", [True, False])
def test_listings_that_end_in_another_order(
    node: BucketNode, monkeypatch: pytest.MonkeyPatch, is_whole: bool
) -> None:
    """What a younger one found is not replaced by what an older one did."""
    node.begin()
    listing = node.store.list

    def slow(below: str = "") -> Any:
        found = [*listing(below)]
        monkeypatch.setattr(node.store, "list", listing)
        node.put(f"acme/{WHEEL}", DATA)
        if is_whole:
            node.list_again()
        else:
            result(node.live.changed(ACME))
        return iter(found)

    for _ in range(2):
        monkeypatch.setattr(node.store, "list", slow)
        if is_whole:
            node.list_again()
        else:
            result(node.live.changed(ACME))
        assert node.files() == {WHEEL: DIGEST}


def test_an_object_that_has_changed_since_it_was_listed(node: BucketNode) -> None:
    """Its metadata are not believed, and none of its bytes are sent as those of the former."""
    node.put(f"acme/{WHEEL}", DATA)
    node.begin()
    assert node.bucket.has("acme")
    assert not node.bucket.has("none")
    stamp = node.bucket.stamp(f"acme/{WHEEL}")
    assert stamp is not None
    node.put(f"acme/{WHEEL}", DATA + b"more")
    assert node.bucket.metadata_of([f"acme/{WHEEL}"]) == {}
    with pytest.raises(Changed):
        node.bucket.read_span(f"acme/{WHEEL}", stamp, 0, 5)
    assert node.bucket.read_span(f"acme/{WHEEL}", stamp, 0, 0) == b""
    node.list_again()
    with pytest.raises(Changed):
        node.bucket.read_span(f"acme/{WHEEL}", stamp, 0, 5)


def test_other_nodes_need_not_read_what_one_has_read(
    new_node: Callable[[str], BucketNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The facts about an upload lie with it; a node that starts again has them in its cache."""
    one, two = new_node("one").begin(), new_node("two")
    result(one.upload(DATA, WHEEL))
    monkeypatch.setattr(two.store, "download", away)
    two.begin()
    assert two.files() == {WHEEL: DIGEST}
    again = new_node("two")
    monkeypatch.setattr(again.store, "state", away)
    monkeypatch.setattr(again.store, "download", away)
    again.begin()
    assert again.files() == {WHEEL: DIGEST}


class SharedMemory:
    """Facts that nodes of one test share, how often they were loaded, and how many each statement wrote."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[str, str]] = {}
        self.loads = 0
        self.written: list[int] = []

    def all(self) -> dict[str, tuple[str, str]]:
        self.loads += 1
        return dict(self.rows)

    def of(self, paths: Iterable[str]) -> dict[str, tuple[str, str]]:
        return {path: self.rows[path] for path in paths if path in self.rows}

    def remember(self, rows: Iterable[tuple[str, str, str]]) -> None:
        new = {path: (state, facts) for path, state, facts in rows}
        self.written.append(len(new))
        self.rows |= new

    def forget(self, paths: Iterable[str]) -> None:
        for path in paths:
            del self.rows[path]

    def save(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        pass


def test_nodes_share_facts(new_node: Callable[..., BucketNode], monkeypatch: pytest.MonkeyPatch) -> None:
    """By a database: what one has read, another neither downloads nor requests, at its start by one query, later by few."""
    shared = SharedMemory()
    one = new_node("one", shared=shared)
    monkeypatch.setattr(digests, "SHARED_AT_ONCE", 2)
    one.put(f"acme/{WHEEL}", DATA)
    one.put(f"gone/{wheel_name('gone')}", wheel_bytes("gone"))
    one.put(f"other/{wheel_name('other')}", wheel_bytes("other"))
    one.begin()
    assert shared.written == [2, 1]
    one.client.delete_object(Bucket="packages", Key=f"py/gone/{wheel_name('gone')}")
    two = new_node("two", shared=shared)
    monkeypatch.setattr(two.store, "state", away)
    monkeypatch.setattr(two.store, "download", away)
    shared.loads = 0
    two.begin()
    assert shared.loads == 1
    assert two.names() == ["acme", "other"]
    assert two.files() == {WHEEL: DIGEST}
    assert f"gone/{wheel_name('gone')}" not in shared.rows
    one.put(f"acme/{sdist_name('acme')}", sdist_bytes("acme"))
    one.list_again()
    two.list_again()
    assert two.files() == one.files()
    assert (shared.loads, shared.written) == (1, [2, 1, 1])


@pytest.mark.parametrize("facts", ["", "[]"])
def test_shared_facts_that_are_none(new_node: Callable[..., BucketNode], facts: str) -> None:
    """Of another release, or damaged: the object is read."""
    shared = SharedMemory()
    node = new_node("one", shared=shared)
    node.put(f"acme/{WHEEL}", DATA)
    result(node.live.list_again())
    stamp = node.bucket.stamp(f"acme/{WHEEL}")
    assert stamp is not None
    shared.rows[f"acme/{WHEEL}"] = (state_of(stamp), facts)
    node.begin()
    assert node.files() == {WHEEL: DIGEST}


def test_facts_in_the_cache(node: BucketNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is requested for files whose facts are all there."""
    node.put(f"acme/{WHEEL}", DATA)
    node.begin()
    monkeypatch.setattr(node.bucket, "metadata_of", away)
    (entry,) = node.bucket.look(["acme"], ()).entries
    assert [*node.digests.recall("acme", [entry])] == [entry.path]


@pytest.mark.parametrize("text", ["", "[]", "no", '["1.0"]', '["1.0", "no digest", null, null, null]'])
def test_facts_that_are_none(text: str) -> None:
    """Metadata of other tools, or of somebody's: the object is read instead."""
    assert facts_in({FACTS: text}) is None
    assert facts_in({}) is None


def test_an_upload_is_not_read_again(
    new_node: Callable[[str], BucketNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by the node that took it nor by another one, also where the project has files already."""
    one, two = new_node("one").begin(), new_node("two").begin()
    result(one.upload(DATA, WHEEL))
    two.list_again()
    for node in (one, two):
        monkeypatch.setattr(node.store, "download", away)
    result(one.upload(sdist_bytes("acme"), sdist_name("acme")))
    two.list_again()
    assert one.files().keys() == two.files().keys() == {WHEEL, sdist_name("acme")}


def test_facts_that_are_too_long(node: BucketNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores have room for two kilobytes."""
    monkeypatch.setattr(facts, "_MOST_BYTES", 100)
    node.begin()
    result(node.upload(DATA, WHEEL))
    _, metadata = node.store.state(f"acme/{WHEEL}")
    assert set(metadata) == {"sha256", "simpleindex-published"}
    assert node.files() == {WHEEL: DIGEST}


def test_a_large_download(node: BucketNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """In pieces, one ahead, from any place; a piece is requested once."""
    monkeypatch.setattr(object_body, "PIECE_BYTES", 100)
    data = wheel_bytes(files={"x.bin": bytes(range(256)) * 5})
    node.put(f"acme/{WHEEL}", data)
    node.begin()
    spans: list[Any] = []
    read = node.store.read

    def counted(key: str, etag: str | None = None, span: Any = None) -> Any:
        spans.append(span)
        return read(key, etag, span)

    monkeypatch.setattr(node.store, "read", counted)
    body = result(node.source.file(ACME, WHEEL))
    assert (
        result(body.read(0, 50)) + result(body.read(50, 75)) + result(body.read(125, len(data) - 125)) == data
    )
    assert len(spans) == len({*spans}) == -(-len(data) // 100)
    assert body.send_to(0, 0, 1) is None
    assert result(body.read(250, 20)) == data[250:270]
    body.close()
    assert isinstance(error(body.read(0, 1)), Changed)


def test_half_an_answer(node: BucketNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends the download; no byte of another place takes the place of a missing one."""
    node.put(f"acme/{WHEEL}", DATA)
    node.begin()
    body = result(node.source.file(ACME, WHEEL))
    monkeypatch.setattr(node.store, "read", lambda *_: (DATA[:50], "etag"))
    assert isinstance(error(body.read(0, len(DATA))), Changed)
    body.close()


def test_a_file_that_is_replaced_while_it_is_sent(node: BucketNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing more of it is sent; the next request gets the new one."""
    monkeypatch.setattr(object_body, "PIECE_BYTES", 100)
    node.put(f"acme/{WHEEL}", DATA)
    node.begin()
    body = result(node.source.file(ACME, WHEEL))
    assert result(body.read(0, 100)) == DATA[:100]
    other = wheel_bytes(files={"more.py": b"x"})
    node.put(f"acme/{WHEEL}", other)
    assert isinstance(error(body.read(200, 100)), Changed)
    result(node.live.changed(ACME))
    assert node.download(WHEEL) == other


def test_redirects(node: BucketNode) -> None:
    """To a URL of the store, which no listing has; sidecars come from here."""
    node.put(f"acme/{WHEEL}", DATA)
    node.begin()
    node.source._redirect_seconds = 60
    answer = result(node.source.file(ACME, WHEEL))
    assert isinstance(answer, Elsewhere)
    assert f"py/acme/{WHEEL}" in answer.url
    assert node.download(f"{WHEEL}.metadata").startswith(b"Metadata-Version")


def test_a_store_that_goes_away(node: BucketNode, monkeypatch: pytest.MonkeyPatch, log: CapturedLog) -> None:
    """Listings go on from what is known; files get 503, and a name is never "not here" because of it."""
    node.put(f"acme/{WHEEL}", DATA)
    node.begin()
    with monkeypatch.context() as broken:
        for name in ("list", "read", "state", "download"):
            broken.setattr(node.store, name, away)
        for _ in range(3):
            node.list_again()
        assert node.live.stale is not None
        assert node.files() == {WHEEL: DIGEST}
        assert isinstance(error(node.source.file(ACME, f"{WHEEL}.metadata")), Unavailable)
        body = result(node.source.file(ACME, WHEEL))
        assert isinstance(error(body.read(0, 10)), Unavailable)
        result(node.live.changed(ACME))
        assert node.files() == {WHEEL: DIGEST}
    node.list_again()
    assert node.live.stale is None
    assert node.download(WHEEL) == DATA
    assert [line for line in log.lines if "cannot be listed" in line][1:] == []
    assert log.lines[-1].endswith("is listed again.")


def test_a_store_that_is_away_at_the_start(node: BucketNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is "not here" until it was listed."""
    node.put(f"acme/{WHEEL}", DATA)
    with monkeypatch.context() as broken:
        broken.setattr(node.store, "list", away)
        node.list_again()
        assert isinstance(error(node.source.project(ProjectName("none"))), Unavailable)
    node.begin()
    assert node.files() == {WHEEL: DIGEST}


def test_an_object_that_changes_while_it_is_read(node: BucketNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the first time: the one in its place is read at the next listing."""
    node.put(f"acme/{WHEEL}", DATA)

    def changing(*_: object) -> None:
        raise ConditionFailed

    with monkeypatch.context() as broken:
        broken.setattr(node.store, "download", changing)
        node.begin()
        assert node.files() == {}
    other = wheel_bytes(files={"more.py": b""})
    node.put(f"acme/{WHEEL}", other)
    node.list_again()
    assert node.files() == {WHEEL: sha256(other).hexdigest()}


@pytest.mark.parametrize("failure", [ConditionFailed(), TimeoutError(110, "away")])
def test_a_project_file_that_cannot_be_read(
    failure: Exception, node: BucketNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The project is not offered without its rules."""
    node.put(f"acme/{WHEEL}", DATA)
    node.put("acme/simpleindex.toml", b'[yanked]\n"1.0" = "broken"\n')

    def fail(*_: object) -> None:
        raise failure

    with monkeypatch.context() as broken:
        broken.setattr(node.store, "read", fail)
        node.begin()
        assert error(node.source.project(ACME))
    result(node.live.changed(ACME))
    assert node.project().files[0].yanked == "broken"


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        (["acme/simpleindex.toml", "Acme/simpleindex.toml"], "keep one of them"),
        (["acme/simpleindex.toml"], "larger than"),
    ],
)
def test_project_files_that_are_not_obeyed(keys: list[str], reason: str, node: BucketNode) -> None:
    node.put(f"acme/{WHEEL}", DATA)
    for key in keys:
        node.put(key, b"#" * (100_000 if len(keys) == 1 else 10))
    node.begin()
    assert reason in str(error(node.source.project(ACME)))


def test_a_restart_takes_what_has_not_changed_from_the_catalogue(
    new_node: Callable[[str], BucketNode], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the project of an object that is another by now is put together."""
    monkeypatch.setattr("simpleindex.directory.live.cache_upkeep._FIRST", 0)
    first = new_node("node")
    first.put(f"acme/{WHEEL}", DATA)
    first.put(f"other/{wheel_name('other')}", wheel_bytes("other"))
    first.begin()
    file = CatalogueFile.of(str(tmp_path), first.bucket.root, "local")
    keep_cache_up_to_date(first.live.snapshots, first.digests, file, 0)
    first.put(f"other/{wheel_name('other', '2.0')}", wheel_bytes("other", "2.0"))
    second = new_node("node")
    second.live.catalogue = file.open()
    looked_at: list[str] = []
    look = second.bucket.look

    def noted(directories: Any, loose: Any) -> Any:
        looked_at.extend(directories)
        return look(directories, loose)

    monkeypatch.setattr(second.bucket, "look", noted)
    second.begin()
    assert looked_at == ["other"]
    assert second.files() == first.files() == {WHEEL: DIGEST}
    assert second.download(WHEEL) == DATA
    assert len(second.files("other")) == 2
    second.live.stop()


def test_a_full_disk_where_objects_are_read(node: BucketNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said what is full, without its path; the file is listed once there is room."""
    node.put(f"acme/{wheel_name()}", wheel_bytes())

    def full(*_: object) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(node.store, "download", full)
        node.begin()
        (withheld,) = node.project().withheld
        assert withheld.reason == (
            f"acme/{wheel_name()} is not served: it cannot be read: No space left on device in the directory of --cache, "
            "where objects are read; make room there."
        )
    result(node.live.changed(ACME))
    assert node.files().keys() == {wheel_name()}
