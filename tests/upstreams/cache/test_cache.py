"""What is kept of upstreams: whatever becomes of the directory, nothing wrong comes back."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import time
import weakref
from functools import partial
from io import FileIO
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simpleindex.archives.archive_info import ArchiveInfo
from simpleindex.core.files import File
from simpleindex.core.model import Project, Status, Withheld
from simpleindex.core.names import Kind, ProjectName
from simpleindex.system.log import PUBLISHER
from simpleindex.upstreams.cache import file_facts
from simpleindex.upstreams.cache import incoming as incoming_file
from simpleindex.upstreams.cache.cache import UpstreamCache
from simpleindex.upstreams.cache.cache_space import CacheSpace, DiskBudget
from simpleindex.upstreams.cache.cached_files import CachedFiles
from simpleindex.upstreams.cache.cached_listings import OLDER_FORMAT, CachedListing, parts_of_listing
from simpleindex.upstreams.cache.file_keys import DigestKey, UpstreamFileKey, index_directory
from simpleindex.upstreams.cache.packed_records import pack
from simpleindex.upstreams.fetching.wheel_examiner import WheelExaminer
from simpleindex.upstreams.pages.enrich import FileFacts
from tests.fixtures.depth import every, number_of
from tests.fixtures.distributions import metadata_text, wheel_bytes, wheel_name
from tests.fixtures.examiner import InProcessExaminer
from tests.fixtures.faults import Faults
from tests.fixtures.log import CapturedLog
from tests.fixtures.threads import InlineThreads

if TYPE_CHECKING:
    from pathlib import Path

    from simpleindex.upstreams.cache.file_keys import FileKey

ACME = ProjectName("acme")
INDEX = "https://pypi.example.org/simple/"
WHEEL, SDIST = wheel_name(), "acme-2.0.tar.gz"
SIDECAR = f"{WHEEL}.metadata"
OLD, NEW = wheel_bytes(), wheel_bytes("acme", "1.0", "Summary: new")
METADATA = metadata_text("acme", "1.0")
LONG_AGO = 1_600_000_000
_NO_ROOM = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def sha256(data: bytes) -> str:
    """Lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def key_of(filename: str) -> UpstreamFileKey:
    """What a file of acme is found by."""
    return UpstreamFileKey(INDEX, ACME, filename)


def listing(data: bytes = OLD, name: ProjectName = ACME) -> CachedListing:
    """What an upstream says of a project with one wheel, of which more has been learnt."""
    file = File(WHEEL, "1.0", Kind.WHEEL, None, sha256(data), None, url=f"https://x.example/{WHEEL}")
    return CachedListing(
        Project(name, (file,), (Withheld("x", "why", "name"),), Status.DEPRECATED, "old"),
        '"tag"',
        None,
        60.0,
        1e9,
        {WHEEL: FileFacts(len(data), sha256(data), ">=3")},
    )


def _no_room(*_: object) -> int:
    raise _NO_ROOM


class Place:
    """A cache in a directory."""

    def __init__(self, root: Path, room: DiskBudget | None = None) -> None:
        self.root = root
        self.room = room or DiskBudget(floor=0)
        self.log = CapturedLog()
        PUBLISHER.addObserver(self.log)
        weakref.finalize(self, PUBLISHER.removeObserver, self.log)

    def cache(self) -> UpstreamCache:
        """As it is after a start."""
        cache = UpstreamCache(str(self.root), self.room)
        cache.load()
        return cache

    def put(self, data: bytes, filename: str = WHEEL, cache: UpstreamCache | None = None) -> None:
        """Fetch a file."""
        cache = cache or self.cache()
        incoming = cache.files.begin(len(data))
        try:
            for start in range(0, len(data), 200):
                incoming.write(data[start : start + 200])
            facts = WheelExaminer(InProcessExaminer(), InlineThreads())._whole(incoming, filename)
            cache.files.keep(incoming, key_of(filename), facts)
        finally:
            incoming.close()

    def get(self, data: bytes, cache: UpstreamCache | None = None, filename: str = WHEEL) -> bytes | None:
        """What is served for a file, if anything is."""
        found = (cache or self.cache()).files.open(key_of(filename), sha256(data))
        if found is None:
            return None
        with FileIO(found[0]) as file:
            return file.readall()

    def path(self, filename: str = WHEEL) -> Path:
        """Where a file lies."""
        return self.root / "upstream" / key_of(filename).path

    def paths(self) -> list[Path]:
        """Everything that lies there."""
        return sorted(path for path in self.root.rglob("*") if path.is_file())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty one."""
    return Place(tmp_path / "cache")


def test_a_listing_comes_back_as_it_was(place: Place) -> None:
    """For the index that it is of, and for no other of the same name."""
    cache = place.cache()
    for name in (ACME, ProjectName("a" * 400)):
        cache.store_listing(INDEX, listing(name=name))
        assert place.cache().listing(INDEX, name) == listing(name=name)
    assert cache.listing(INDEX + "other/", ACME) is None
    assert cache.listing(INDEX, ProjectName("other")) is None
    cache.remove_listing(INDEX, ACME)
    assert cache.listing(INDEX, ACME) is None


def test_a_listing_of_another_is_not_taken_for_it(place: Place) -> None:
    """A file that was renamed says whose it is."""
    cache = place.cache()
    cache.store_listing(INDEX, listing())
    (path,) = place.paths()
    path.rename(path.with_name("other"))
    assert cache.listing(INDEX, ProjectName("other")) is None


def test_a_file_comes_back_with_its_facts(place: Place) -> None:
    """And a wheel's metadata, also by themselves."""
    place.put(OLD)
    cache = place.cache()
    assert place.get(OLD) == OLD
    assert cache.files.read_sidecar(key_of(WHEEL), sha256(OLD), sha256(METADATA)) == METADATA
    assert cache.files.read_sidecar(key_of(WHEEL), sha256(OLD), sha256(b"other")) is None
    assert cache.files.read(key_of(SIDECAR), sha256(METADATA), 10_000) == METADATA
    assert cache.files.read(key_of(SIDECAR), sha256(METADATA), 10) is None
    assert cache.files.may_have(key_of(WHEEL))
    assert not cache.files.may_have(key_of("acme-2.0.tar.gz"))
    assert place.get(NEW) is None


def test_what_was_proven_is_not_hashed_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by the next process either, until the machine starts anew."""
    place.put(OLD)
    # Long after: the clock, not the file, is set.
    monkeypatch.setattr(time, "time_ns", lambda: 4_000_000_000_000_000_000)
    assert place.get(OLD) == OLD
    proofs: list[str] = []
    real = CachedFiles._verify

    def prove(self: CachedFiles, key: FileKey, *rest: Any) -> bool:
        proofs.append(key.filename)
        return real(self, key, *rest)

    monkeypatch.setattr(CachedFiles, "_verify", prove)
    assert place.get(OLD) == OLD
    assert proofs == []
    monkeypatch.setattr(file_facts, "_BOOT", "another")
    assert place.get(OLD) == OLD
    assert len(proofs) == 1


@pytest.mark.parametrize("keeps_time", [False, True])
def test_a_damaged_file_is_removed(place: Place, keeps_time: bool) -> None:
    """And is no more served, whatever its time says."""
    place.put(OLD)
    path = place.path()
    status = path.stat()
    path.write_bytes(OLD[:-1] + b"?")
    if keeps_time:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert place.get(OLD) is None
    assert not path.exists()
    place.put(OLD)
    assert place.get(OLD) == OLD


@settings(deadline=None, max_examples=number_of(200))
@given(data=st.data())
def test_whatever_is_damaged_nothing_wrong_comes_back(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """A byte changed, a file cut, emptied, removed, or exchanged for another."""
    place = Place(tmp_path_factory.mktemp("cache"))
    cache = place.cache()
    cache.store_listing(INDEX, listing())
    place.put(OLD, cache=cache)
    for _ in range(data.draw(st.integers(1, 3))):
        paths = place.paths()
        path = data.draw(st.sampled_from(paths))
        was = bytearray(path.read_bytes())
        match data.draw(st.sampled_from(["flip", "cut", "remove", "swap", "directory"])):
            case "flip" if was:
                was[data.draw(st.integers(0, len(was) - 1))] ^= 1 << data.draw(st.integers(0, 7))
                path.write_bytes(was)
            case "cut":
                path.write_bytes(was[: data.draw(st.integers(0, len(was)))])
            case "remove" if len(paths) > 1:
                path.unlink()
            case "swap":
                other = data.draw(st.sampled_from(paths))
                path.write_bytes(other.read_bytes())
            case "directory" if len(paths) > 1:
                path.unlink()
                path.mkdir()
    fresh = place.cache()
    assert fresh.listing(INDEX, ACME) in (None, listing())
    assert place.get(OLD, fresh) in (None, OLD)
    assert fresh.files.read_sidecar(key_of(WHEEL), sha256(OLD), sha256(METADATA)) in (None, METADATA)
    assert fresh.files.read(key_of(SIDECAR), sha256(METADATA), 10_000) in (None, METADATA)


def test_what_was_used_least_recently_goes_first(place: Place) -> None:
    """When the budget is used up, also after a restart."""
    datas = [bytes([number]) * 1000 for number in range(4)]
    cache = place.cache()
    names = [f"x-{number}.tar.gz" for number in range(4)]
    for data, name in zip(datas[:3], names, strict=False):
        place.put(data, name, cache)
    for age, name in enumerate(names[:3]):
        os.utime(f"{place.path(name)}.facts", (LONG_AGO - age, LONG_AGO - age))
    place.room = DiskBudget(budget=3500, floor=0)
    cache = place.cache()
    assert place.get(datas[2], cache, names[2]) == datas[2]
    place.put(datas[3], names[3], cache)
    kept = [place.get(data, cache, name) is not None for data, name in zip(datas, names, strict=True)]
    assert kept == [True, False, True, True]
    assert cache.space.evictions == {index_directory(INDEX, 16): 1}
    place.room = DiskBudget(budget=1500, floor=0)
    cache = place.cache()
    kept = [place.get(data, cache, name) is not None for data, name in zip(datas, names, strict=True)]
    assert sum(kept) == 1


def test_files_go_before_their_listings(place: Place) -> None:
    """What has no listing could not be served; but listings alone do not fill a cache. It is said once a day."""
    cache = place.cache()
    cache.store_listing(INDEX, listing())
    size = sum(path.stat().st_size for path in place.paths())
    for number in range(3):
        place.put(bytes(1000), f"acme-{number}.tar.gz", cache)
    place.room = DiskBudget(budget=2 * 1000 + 4 * size, floor=0)
    for number in range(3, 12):
        cache = place.cache()
        place.put(bytes([number]) * 1000, f"acme-{number}.tar.gz", cache)
        assert cache.listing(INDEX, ACME) == listing()
        assert place.get(bytes([number]) * 1000, cache, f"acme-{number}.tar.gz") is not None
    assert place.log.lines
    assert {line.partition(": ")[0].endswith("is full") for line in place.log.lines} == {True}
    place.room = DiskBudget(budget=4 * size, floor=0)
    cache = place.cache()
    for number in range(12):
        cache.store_listing(INDEX, listing(name=ProjectName(f"p{number}")))
    assert 0 < len(cache.cached_names(INDEX)) < 5


def test_the_floor_is_kept(place: Place) -> None:
    """Where others fill the disk, everything goes; what is fetched is passed on all the same."""
    place.put(OLD)
    place.room = DiskBudget(floor=2**62)
    cache = place.cache()
    assert place.get(OLD, cache) is None
    place.put(NEW, cache=cache)
    assert place.paths() == []
    (line,) = place.log.lines
    assert "has too little room" in line
    assert "[cache]" not in line


def test_the_budget_is_said_where_it_is_the_cause(place: Place) -> None:
    place.put(OLD)
    place.room = DiskBudget(budget=len(OLD) + 10, floor=0)
    place.put(NEW, cache=place.cache())
    (line,) = place.log.lines
    assert "Its size is set by [cache] in the sources file." in line


@pytest.mark.parametrize("fits_elsewhere", [True, False])
def test_a_disk_without_room_for_a_file(
    fits_elsewhere: bool, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is noticed before the first byte: the file is passed on by way of another disk, or refused; others are served on."""
    cache = place.cache()
    place.put(OLD, cache=cache)
    before = place.paths()
    room = iter([10, 1 << 30 if fits_elsewhere else 10])
    monkeypatch.setattr(
        os, "fstatvfs", lambda _: os.statvfs_result([1, 1, 0, 0, next(room), 0, 0, 0, 0, 255])
    )
    if fits_elsewhere:
        incoming = cache.files.begin(len(NEW))
        assert incoming.path is None
        incoming.close()
    else:
        with pytest.raises(OSError, match="No space left on device"):
            cache.files.begin(len(NEW))
    assert place.paths() == before
    assert place.get(OLD, cache) == OLD
    (line,) = place.log.lines
    assert "No space left on device" in line
    assert line.endswith("make room on its disk, or give --cache a larger one.")


@pytest.mark.parametrize("room", [DiskBudget(floor=0), DiskBudget(budget=1 << 62, floor=0)])
def test_for_what_can_never_fit_nothing_goes(room: DiskBudget, place: Place) -> None:
    """Neither in the budget nor on the disk: a size comes from an upstream, which may state any."""
    place.room = room
    cache = place.cache()
    place.put(OLD, cache=cache)
    cache.store_listing(INDEX, listing())
    before = place.paths()
    with pytest.raises(OSError, match="No space left on device"):
        cache.files.begin((1 << 53) - 1)
    assert place.paths() == before
    assert not cache.space.evictions
    # It says that it does not fit, not that anything had to make room for it.
    assert ["No space left on device" in line for line in place.log.lines] == [True]


def test_what_is_passed_on_by_way_of_another_disk_is_nothing_to_this_one(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the other one becomes full is not said of the cache, and nothing goes for it."""
    descriptor = os.open(place.root.parent / "elsewhere", os.O_RDWR | os.O_CREAT)
    incoming = incoming_file.Incoming(place.cache().space, descriptor, None)
    monkeypatch.setattr(os, "pwrite", _no_room)
    monkeypatch.setattr(CacheSpace, "make_room", None)
    with pytest.raises(OSError, match="No space left on device"):
        incoming.write(NEW)
    incoming.close()
    assert place.log.lines == []


def test_a_date_that_was_years_ahead_silences_nothing(place: Place) -> None:
    """Once it is set right, what is wrong is said again; and once a day as ever."""
    date = [0.0]
    space = CacheSpace(str(place.root / "upstream"), DiskBudget(budget=1, floor=0), lambda: date[0])

    def make_room() -> None:
        place.put(OLD)
        space.load_others()

    for action in (make_room, lambda: space.complain(_NO_ROOM)):
        place.log.clear()
        said = []
        for date[0] in (4e9, 4e9 + 3600, 1e9, 1e9 + 3600, 1e9 + 90_000):
            action()
            said.append(len(place.log.lines))
        assert said == [1, 1, 2, 2, 3]


def test_a_disk_that_becomes_full_under_a_file(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log says so."""
    incoming = place.cache().files.begin()
    monkeypatch.setattr(os, "pwrite", _no_room)
    with pytest.raises(OSError, match="No space left on device"):
        incoming.write(NEW)
    incoming.close()
    (line,) = place.log.lines
    assert "cannot be written (No space left on device)" in line


def test_directories_of_what_is_gone_are_removed_by_the_next_start(place: Place) -> None:
    """Of those that still have a file, none."""
    place.put(OLD)
    cache = place.cache()
    cache.files.keep_bytes(b"text", UpstreamFileKey(INDEX, "other", "other-1.0.tar.gz"))
    cache.files.remove(UpstreamFileKey(INDEX, "other", "other-1.0.tar.gz"))
    cache = place.cache()
    assert [path.name for path in place.path().parent.parent.iterdir()] == [ACME]
    assert place.get(OLD, cache) == OLD


def test_left_over_files_are_removed_once_they_are_nobodys(place: Place) -> None:
    """Not those of another process that is at work."""
    incoming = place.cache().files.begin()
    (path,) = place.paths()
    place.cache()
    assert path.exists()
    os.utime(path, (LONG_AGO, LONG_AGO))
    place.cache()
    assert not path.exists()
    incoming.close()


def test_an_open_file_outlives_its_removal(place: Place) -> None:
    """Its readers read on."""
    place.put(OLD)
    found = place.cache().files.open(key_of(WHEEL), sha256(OLD))
    assert found is not None
    shutil.rmtree(place.root)
    with FileIO(found[0]) as file:
        assert file.readall() == OLD


def test_a_directory_that_cannot_be_written_is_said_once(tmp_path: Path) -> None:
    """Nothing fails for it."""
    place = Place(tmp_path / "file")
    place.root.write_text("in the way")
    cache = place.cache()
    place.put(OLD, cache=cache)
    cache.store_listing(INDEX, listing())
    assert cache.listing(INDEX, ACME) is None
    assert place.get(OLD, cache) is None
    assert len(place.log.lines) == 1


def test_a_file_is_found_by_what_gave_it_alone(place: Place) -> None:
    """Not by its digest: not for another index, project, file or kind of file."""
    place.put(OLD)
    files = place.cache().files
    for other in (
        UpstreamFileKey(INDEX + "other/", ACME, WHEEL),
        UpstreamFileKey(INDEX, "other", WHEEL),
        UpstreamFileKey(INDEX, ACME, SDIST),
        UpstreamFileKey(INDEX, ACME, SIDECAR),
        DigestKey(sha256(OLD), WHEEL),
        DigestKey(sha256(METADATA)),
    ):
        assert files.open(other, sha256(OLD)) is None
        assert files.read(other, sha256(OLD), 100_000) is None
    # And one with another digest stays what it is.
    assert files.open(key_of(WHEEL), sha256(NEW)) is None
    assert place.get(OLD) == OLD


def test_a_record_of_another_file_is_not_believed(place: Place) -> None:
    """Two files that are exchanged on the disk are not served."""
    place.put(OLD)
    place.put(b"sdist", SDIST)
    wheel, sdist = (place.path(name) for name in (WHEEL, SDIST))
    wheel.with_name(wheel.name + ".facts").write_bytes(sdist.with_name(sdist.name + ".facts").read_bytes())
    wheel.write_bytes(b"sdist")
    assert place.get(b"sdist") == b"sdist"  # hashed: it is what is listed by then
    assert place.get(OLD) is None


def test_long_names(place: Place) -> None:
    """As long as file systems take, with what lies beside them."""
    name = "a" * 243 + "-1.0.tar.gz"
    place.put(b"data", name)
    assert place.get(b"data", filename=name) == b"data"
    key = UpstreamFileKey(INDEX, "p" * 400, name).metadata("")
    assert place.cache().files.keep_bytes(b"text", key)
    assert place.cache().files.read(key, sha256(b"text"), 10) == b"text"


def test_listings_of_the_version_before_are_read(place: Place) -> None:
    """Pins are such records; those of still older versions are not known."""
    cache = place.cache()
    cache.store_listing(INDEX, listing())
    (path,) = (path for path in place.paths() if "listings" in path.parts)
    parts = parts_of_listing(INDEX, listing())
    path.write_bytes(pack((OLDER_FORMAT, *parts[:-2])))
    assert place.cache().listing(INDEX, ACME) == listing()
    assert [*place.cache().all_listings()] == [listing()]
    path.write_bytes(pack((OLDER_FORMAT - 1, *parts)))
    assert place.cache().listing(INDEX, ACME) is None
    assert [*place.cache().all_listings()] == []


def test_a_pinned_file_of_the_version_before_is_read(place: Place) -> None:
    """Its record does not name the digest, which its key does."""
    cache, key = UpstreamCache(str(place.root), place.room, is_cache=False), DigestKey(sha256(OLD), WHEEL)
    incoming = cache.files.begin()
    incoming.write(OLD)
    cache.files.keep(incoming, key, ArchiveInfo("1.0", sha256(OLD), None, None, None))
    incoming.close()
    (path,) = (path for path in place.paths() if path.suffix == ".facts")
    path.write_bytes(pack((2, "1.0", ">=3.9", None, None, None)))
    opened = cache.files.open(key, sha256(OLD))
    assert opened is not None
    os.close(opened[0])
    assert opened[1] == ArchiveInfo("1.0", sha256(OLD), ">=3.9", None, None)


def test_what_an_older_version_kept_by_digest_is_removed_once(place: Place) -> None:
    """Nobody knows any more which index gave it; its listings stay good."""
    cache = place.cache()
    cache.store_listing(INDEX, listing())
    older = place.root / "upstream" / "files" / sha256(OLD)[:2] / sha256(OLD)
    older.parent.mkdir(parents=True)
    older.write_bytes(OLD)
    cache = place.cache()
    assert not older.exists()
    assert place.get(OLD, cache) is None
    assert cache.listing(INDEX, ACME) == listing()
    place.cache()
    assert len(place.log.lines) == 1


# -- crash sweep --------------------------------------------------------------------------------------------------------


def _act(place: Place) -> None:
    """Everything that writes."""
    cache = place.cache()
    cache.store_listing(INDEX, listing(NEW))
    place.put(NEW, cache=cache)
    place.get(OLD, cache)
    place.put(b"x" * 900, SDIST, cache)
    cache.remove_listing(INDEX, ProjectName("other"))


def _prepared(root: Path) -> Place:
    place = Place(root, DiskBudget(budget=5000, floor=0))
    cache = place.cache()
    cache.store_listing(INDEX, listing())
    cache.store_listing(INDEX, listing(name=ProjectName("other")))
    place.put(OLD, cache=cache)
    return place


def _require_truth(place: Place) -> None:
    """What a start finds is old or new, whole, or not there; and it works on."""
    cache = place.cache()
    assert cache.listing(INDEX, ACME) in (None, listing(), listing(NEW))
    assert cache.listing(INDEX, ProjectName("other")) in (None, listing(name=ProjectName("other")))
    for data, filename in ((OLD, WHEEL), (NEW, WHEEL), (b"x" * 900, SDIST)):
        assert place.get(data, cache, filename) in (None, data)
    cache.store_listing(INDEX, listing(NEW))
    place.put(NEW, cache=cache)
    assert place.get(NEW) == NEW
    assert place.cache().listing(INDEX, ACME) == listing(NEW)


@pytest.mark.parametrize("half", [False, True])
def test_killed_at_any_write(tmp_path: Path, half: bool) -> None:
    """After the next start nothing wrong is served."""
    with Faults().between() as faults:
        _act(_prepared(tmp_path / "all"))
    prepared = len(faults.calls)
    assert {"pwrite", "rename", "mkdir", "open", "unlink"} <= {*faults.calls}
    for at in (*range(1, prepared, every(5)), prepared):
        place = _prepared(tmp_path / f"{at}")
        is_killed = Faults(at, half=half).kill(partial(_act, place))
        _require_truth(place)
        shutil.rmtree(place.root)
        if not is_killed:
            break
    else:
        pytest.fail("the sweep did not come to its end")


@pytest.mark.parametrize("for_ever", [False, True])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_failing_at_any_write(tmp_path: Path, number: int, for_ever: bool) -> None:
    """The process lives on, and so does the truth."""
    at, calls = 0, 1
    while at <= calls:
        at += every(5)
        place = _prepared(tmp_path / f"{at}")
        failed: list[Any] = []
        with Faults(at, number, for_ever=for_ever, half=True).between() as faults:
            try:
                _act(place)
            except OSError as error:
                failed.append(error)
        calls = len(faults.calls)
        _require_truth(place)
        shutil.rmtree(place.root)


def test_a_large_file_makes_room_as_it_comes(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk may fill up meanwhile."""
    monkeypatch.setattr(incoming_file, "_CHECK_ROOM_EVERY", 1000)
    cache = place.cache()
    asked: list[int] = []
    monkeypatch.setattr(CacheSpace, "make_room", lambda _, size: asked.append(size))
    incoming = cache.files.begin()
    asked.clear()
    for _ in range(5):
        incoming.write(b"x" * 500)
    incoming.close()
    assert asked == [1000, 1000]


def test_what_is_written_is_read_without_the_proc_file_system(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not every system has it."""

    def refuse(*_: object) -> int:
        raise FileNotFoundError(2, "No such file or directory")

    incoming = place.cache().files.begin()
    incoming.write(b"data")
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        reader = incoming.reader()
    with reader:
        assert os.pread(reader.fileno(), 10, 0) == b"data"
    incoming.close()
