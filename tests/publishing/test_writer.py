"""The writing side on its own: what is refused, what is kept, and who may be in the way."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import stat
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.core.errors import CannotStore, InvalidFilename, InvalidProjectName, NotHere
from simpleindex.core.faults import Fault
from simpleindex.core.names import LEDGER, ProjectName, parse_project_name, spelling_pattern
from simpleindex.directory.layout.package_directory import PackageDirectory
from simpleindex.publishing.errors import AlreadyExists, NameUsed
from simpleindex.publishing.local import locked_project as locking
from simpleindex.publishing.local.locked_project import locked_project
from simpleindex.publishing.local.present_files import StoredFile
from simpleindex.publishing.local.staging import STAGING, StagedFile, Staging
from simpleindex.publishing.local.trash import TRASH
from simpleindex.publishing.local.writer import Writer
from tests.fixtures.distributions import put, wheel_name
from tests.fixtures.trees import as_nobody, make_fifo, public_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from simpleindex.publishing.local.locked_project import LockedProject

ACME = ProjectName("acme")
WHEEL = wheel_name()
DAY = 86_400.0
NOW = 20_000 * DAY
TODAY = "2024-10-04"


class Bench:
    """A root, and a writer whose clock is set by hand."""

    def __init__(self, root: Path, *excluded: Path) -> None:
        self.root = root
        self.now = NOW
        self.directory = PackageDirectory(str(root), map(str, excluded))
        self.writer = Writer(self.directory, lambda: self.now)

    def upload(
        self, data: bytes = b"one", filename: str = WHEEL, project: str = "acme", **options: Any
    ) -> StoredFile:
        """Commit these bytes."""
        with self.writer.begin() as draft:
            draft.write(data)
            return self.writer.commit(draft, ProjectName(project), filename, **options)

    def locked(self) -> AbstractContextManager[LockedProject]:
        """Keep others out of acme, without waiting for them."""
        return locked_project(self.directory, Staging(self.directory), ACME, patience=0)

    def delete(self, *filenames: str) -> None:
        """Delete files of acme."""
        self.writer.deletions.delete(ACME, filenames or (WHEEL,), who="alice")

    def files(self) -> dict[str, bytes]:
        """Every file below the root with its content, without the ledgers."""
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in self.root.rglob("*")
            if path.is_file() and path.name != LEDGER
        }


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An empty root."""
    (tmp_path / "root").mkdir()
    return Bench(tmp_path / "root")


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[None]:
    """None may be left open."""
    before = {*os.listdir("/proc/self/fd")}
    yield
    # Fewer are those that other tests left, in garbage that was collected now.
    assert {*os.listdir("/proc/self/fd")} <= before


# -- drafts ---------------------------------------------------------------------------------------------------------


def test_digests_are_made_while_it_is_written(bench: Bench) -> None:
    """Three digests and the size; the bytes can be examined before they are committed."""
    with bench.writer.begin() as draft:
        for data in (b"", b"on", b"e"):
            draft.write(data)
        digests = draft.finish()
        with draft.reader() as file:
            assert file.read() == b"one"
        with draft.reader() as file:
            assert file.read(1) == b"o"
        assert draft.finish() is digests
        with pytest.raises(ValueError, match="finished"):
            draft.write(b"more")
    assert digests.sha256 == hashlib.sha256(b"one").hexdigest()
    assert digests.blake2_256 == hashlib.blake2b(b"one", digest_size=32).hexdigest()
    assert digests.md5 == hashlib.md5(b"one").hexdigest()
    assert digests.size == draft.size == 3


def test_a_large_draft_goes_to_the_disk_as_it_comes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every 32 MiB, so that the end does not wait for gigabytes."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    with bench.writer.begin() as draft:
        for _ in range(9):
            draft.write(bytes(8 << 20))
    assert len(synced) == 2


def test_short_writes_are_finished(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call may write less than it was given."""
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, offset: real(descriptor, data[:7], offset))
    bench.upload(bytes(range(100)))
    assert bench.files() == {f"acme/{WHEEL}": bytes(range(100))}


def test_what_is_not_committed_is_gone(bench: Bench) -> None:
    """Discarding may be repeated, and closing is the same."""
    draft = bench.writer.begin()
    draft.write(b"one")
    draft.discard()
    draft.close()
    assert bench.files() == {}


def test_others_can_read_it_whatever_the_umask(bench: Bench) -> None:
    """Daemon mode sets 077; a directory that was there keeps its mode."""
    before = os.umask(0o077)
    try:
        bench.upload()
        (bench.root / "other").mkdir(mode=0o700)
        bench.upload(filename=wheel_name("other"), project="other")
        bench.delete()
    finally:
        os.umask(before)
    modes = {
        str(path.relative_to(bench.root)): stat.S_IMODE(path.stat().st_mode) for path in bench.root.rglob("*")
    }
    assert modes.pop("other") == 0o700
    assert {modes[path] for path in modes if (bench.root / path).is_dir()} == {0o755}
    assert {modes[path] for path in modes if (bench.root / path).is_file()} == {0o644}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_makes_belongs_to_whom_the_root_belongs(bench: Bench) -> None:
    """A command run by root must not keep the service out of a project."""
    os.chown(bench.root, 1234, 4321)
    bench.upload()
    bench.delete()
    made = [path for path in bench.root.rglob("*") if path.is_dir()]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(1234, 4321)}
    assert {path.name for path in made} >= {"acme", STAGING, TRASH}


def test_free_space(bench: Bench) -> None:
    """Something, and an error that says so where there is no root."""
    space = bench.writer.space()
    assert 0 < space.free <= space.total
    assert space.path == str(bench.root)
    bench.root.rmdir()
    with pytest.raises(CannotStore):
        bench.writer.space()


# -- commit ---------------------------------------------------------------------------------------------------------


def test_a_new_project(bench: Bench) -> None:
    """Its directory is made, and nothing else is left."""
    committed = bench.upload()
    assert committed == StoredFile(f"acme/{WHEEL}", hashlib.sha256(b"one").hexdigest(), created=True)
    assert bench.files() == {f"acme/{WHEEL}": b"one"}
    assert (bench.root / "acme" / WHEEL).stat().st_nlink == 1


@pytest.mark.parametrize("place", ["acme", "Acme", ".", "linked"])
def test_the_name_is_looked_for_wherever_it_is_served(bench: Bench, place: str) -> None:
    """The same bytes are no second file, other bytes are refused with the digest of those that are there."""
    lying = bench.root / ("elsewhere" if place == "linked" else place) / WHEEL
    put(lying, b"one")
    if place == "linked":
        (bench.root / "ACME").symlink_to("elsewhere")
    before = bench.files()
    assert not bench.upload(b"one").created
    with pytest.raises(AlreadyExists) as caught:
        bench.upload(b"two")
    assert str(caught.value).startswith(f"File already exists ({WHEEL!r}, with sha256 hash '7692c3ad")
    assert caught.value.sha256 == hashlib.sha256(b"one").hexdigest()
    assert bench.files() == before
    assert (bench.root / "acme").exists() == (place == "acme")


@pytest.mark.parametrize("place", ["Acme", "."])
def test_overwriting_happens_where_the_file_lies(bench: Bench, place: str) -> None:
    """Its signature is of other bytes, so it goes; what lay behind goes into the trash."""
    lying = put(bench.root / place / WHEEL, b"one")
    put(bench.root / place / f"{WHEEL}.asc", b"signature")
    assert bench.upload(b"two", overwrite=True).created
    assert lying.read_bytes() == b"two"
    assert bench.files() == {
        str(lying.relative_to(bench.root)): b"two",
        f"{TRASH}/{TODAY}/acme/{WHEEL}.asc": b"signature",
    }


def test_overwriting_leaves_one_file(bench: Bench) -> None:
    """The others of that name would only confuse."""
    for place, data in (("acme", b"one"), ("Acme", b"behind"), (".", b"far behind")):
        put(bench.root / place / WHEEL, data)
    bench.upload(b"two", overwrite=True)
    assert bench.files() == {
        f"acme/{WHEEL}": b"two",
        f"{TRASH}/{TODAY}/acme/{WHEEL}": b"far behind",
        f"{TRASH}/{TODAY}/acme/{WHEEL}.2": b"behind",
    }


@pytest.mark.parametrize(
    "filename", ["other-1.0.zip", "acme-1.0.egg", "../acme-1.0.zip", "simpleindex.toml", ""]
)
def test_only_a_distribution_of_the_project_is_stored(bench: Bench, filename: str) -> None:
    """Parsed once more at the last door."""
    with pytest.raises(InvalidFilename):
        bench.upload(filename=filename)
    assert bench.files() == {}


def test_a_link_out_of_the_root_is_no_project(bench: Bench, tmp_path: Path) -> None:
    """Nothing is written through it; nor through one that leads nowhere yet."""
    (tmp_path / "outside").mkdir()
    (bench.root / "acme").symlink_to(tmp_path / "outside")
    with pytest.raises(CannotStore, match="link that leads out of it"):
        bench.upload()
    (tmp_path / "outside").rmdir()
    with pytest.raises(CannotStore, match="link that leads out of it"):
        bench.upload()
    assert not (tmp_path / "outside").exists()


def test_a_link_to_nothing_is_no_project(bench: Bench) -> None:
    """Not even inside the root, and nothing goes round in circles."""
    (bench.root / "acme").symlink_to("nothing")
    with pytest.raises(CannotStore, match="leads nowhere"):
        bench.upload()
    assert bench.writer.clean() == []


def test_a_link_inside_the_root_is_a_project(bench: Bench) -> None:
    """It is served, so it can be written."""
    (bench.root / "place").mkdir()
    (bench.root / "acme").symlink_to("place")
    bench.upload()
    assert (bench.root / "place" / WHEEL).read_bytes() == b"one"


def test_a_file_where_the_directory_should_be(bench: Bench) -> None:
    """A sentence, and the file stays."""
    (bench.root / "acme").write_bytes(b"notes")
    with pytest.raises(CannotStore, match="is a file where"):
        bench.upload()
    assert bench.files() == {"acme": b"notes"}


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("linked", [True, False])
def test_what_the_service_uses_is_never_a_project(tmp_path: Path, exists: bool, linked: bool) -> None:
    """Not by another name, and not before it is there: the state directory may be made later."""
    root = tmp_path / "root"
    root.mkdir()
    state = root / ("the-state" if linked else "acme")
    if exists:
        state.mkdir()
    if linked:
        (root / "acme").symlink_to(state)
    bench = Bench(root, state)
    with pytest.raises(CannotStore, match="the service uses"):
        bench.upload()
    assert state.exists() == exists


@pytest.mark.parametrize("thing", ["directory", "FIFO", "link"])
def test_something_else_of_that_name_is_in_the_way(bench: Bench, thing: str) -> None:
    """It is neither compared nor replaced, even where overwriting is allowed."""
    (bench.root / "acme").mkdir()
    path = bench.root / "acme" / WHEEL
    {
        "directory": path.mkdir,
        "FIFO": lambda: make_fifo(path),
        "link": lambda: path.symlink_to("/etc/passwd"),
    }[thing]()
    for overwrite in (False, True):
        with pytest.raises(CannotStore, match="in the way"):
            bench.upload(overwrite=overwrite)
    assert stat.S_IFMT(path.lstat().st_mode) != stat.S_IFREG


def test_somebody_without_locks_is_quicker(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that comes between looking and linking is compared, not replaced."""
    real = os.link

    def late(source: str, target: str) -> None:
        put(bench.root / "acme" / WHEEL, b"two")
        real(source, target)

    monkeypatch.setattr(os, "link", late)
    with pytest.raises(AlreadyExists):
        bench.upload(b"one")
    assert bench.files() == {f"acme/{WHEEL}": b"two"}
    assert not bench.upload(b"two").created


@pytest.mark.parametrize("refusal", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_file_system_without_hard_links(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, refusal: int
) -> None:
    """Renaming does, under the lock."""

    def refuse(source: str, target: str) -> None:
        raise OSError(refusal, os.strerror(refusal))

    monkeypatch.setattr(os, "link", refuse)
    assert bench.upload().created
    assert bench.files() == {f"acme/{WHEEL}": b"one"}


def test_a_file_system_without_locks_on_directories(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS locks only what is open for writing: then one file is locked for all projects."""
    real = fcntl.flock
    locked = []

    def flock(descriptor: int, operation: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        locked.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    assert bench.upload().created
    assert f"{bench.root}/.simpleindex-lock" in locked
    with (
        bench.locked(),
        pytest.raises(CannotStore, match="is busy with the project acme"),
        bench.locked(),
    ):
        pass


def test_another_writer_does_not_let_go(bench: Bench) -> None:
    """Nothing waits for ever."""
    (bench.root / "acme").mkdir()
    with bench.locked(), pytest.raises(CannotStore, match="is busy with the project acme"), bench.locked():
        pass
    assert bench.upload().created


def test_a_directory_that_went_while_one_waited_for_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its maker took it away again; the lock on what is no longer there is worth nothing."""
    real = locking._lock
    count = 0

    def lock(*arguments: Any) -> None:
        nonlocal count
        real(*arguments)
        count += 1
        if count == 1:
            (bench.root / "acme").rmdir()

    monkeypatch.setattr(locking, "_lock", lock)
    assert bench.upload().created
    assert count == 2
    assert bench.files() == {f"acme/{WHEEL}": b"one"}


def test_a_read_only_root(tmp_path: Path) -> None:
    """A sentence that tells what is wrong and nothing of this machine."""
    with public_directory() as root, as_nobody():
        with pytest.raises(CannotStore, match="not permitted") as caught:
            Bench(root).upload()
        assert caught.value.fault is Fault.FORBIDDEN
        assert str(root) not in str(caught.value)


# -- delete, undelete, purge ----------------------------------------------------------------------------------------


def test_a_deleted_file_is_in_the_trash_with_all_of_its_own(bench: Bench) -> None:
    """From every place; its neighbour stays."""
    for name in (WHEEL, f"{WHEEL}.asc", f"{WHEEL}.provenance", "acme-2.0.zip", "acme-2.0.zip.sig"):
        put(bench.root / "acme" / name, b"one")
    put(bench.root / WHEEL, b"loose")
    deleted = bench.writer.deletions.delete(ACME, [WHEEL, WHEEL], who="alice")
    trash = f"{TRASH}/{TODAY}/acme"
    assert [(item.path, item.trash) for item in deleted] == [
        (WHEEL, f"{trash}/{WHEEL}"),
        (f"acme/{WHEEL}", f"{trash}/{WHEEL}.2"),
    ]
    assert bench.files() == {
        "acme/acme-2.0.zip": b"one",
        "acme/acme-2.0.zip.sig": b"one",
        f"{trash}/{WHEEL}": b"loose",
        f"{trash}/{WHEEL}.2": b"one",
        f"{trash}/{WHEEL}.2.asc": b"one",
        f"{trash}/{WHEEL}.2.provenance": b"one",
    }
    digest = hashlib.sha256(b"one").hexdigest()
    assert (bench.root / "acme" / LEDGER).read_text() == f"{digest} {WHEEL} {TODAY}T00:00:00Z alice\n"


def test_all_or_none_are_there(bench: Bench) -> None:
    """One that is missing is told before anything is moved, and a project that is not there is not made."""
    bench.upload()
    before = bench.files()
    for filename in ("acme-9.0.zip", "../other/x.zip", ".simpleindex-ledger", "", "acme-1.0.zip\0", LEDGER):
        with pytest.raises(NotHere):
            bench.delete(WHEEL, filename)
    with pytest.raises(NotHere):
        bench.writer.deletions.delete(ProjectName("other"), [WHEEL], who="alice")
    assert bench.files() == before
    assert not (bench.root / "other").exists()
    assert bench.writer.deletions.used_names(ACME) == frozenset()


def test_what_is_withheld_can_be_deleted(bench: Bench) -> None:
    """A name that no upload can have needs no line; a link goes, not what it leads to."""
    put(bench.root / "acme" / "nonsense.zip", b"x")
    (bench.root / "acme" / WHEEL).symlink_to("/etc/passwd")
    (bench.root / "acme" / "acme-3.0.zip").mkdir()
    bench.delete("nonsense.zip", WHEEL)
    assert (bench.root / TRASH / TODAY / "acme" / WHEEL).is_symlink()
    assert bench.writer.deletions.used_names(ACME) == {WHEEL}
    with pytest.raises(NotHere):
        bench.delete("acme-3.0.zip")


def test_a_name_stays_used_until_it_is_freed(bench: Bench) -> None:
    """For the same bytes too, from whichever spelling's ledger; overwriting is allowed to."""
    bench.upload()
    bench.delete()
    with pytest.raises(NameUsed, match="previously used by a file that has since been deleted"):
        bench.upload()
    (bench.root / "acme").rename(bench.root / "Acme")
    with pytest.raises(NameUsed):
        bench.upload()
    assert bench.upload(overwrite=True).created
    bench.delete()
    assert bench.writer.deletions.free_name(ACME, WHEEL, who="bob")
    assert not bench.writer.deletions.free_name(ACME, WHEEL, who="bob")
    assert bench.writer.deletions.used_names(ACME) == frozenset()
    assert bench.upload().created


SPELLINGS = ["Acme-1.0-py3-none-any.whl", "acme-1.0.0-py3-none-any.whl", "acme-v1-py3-none-any.whl"]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("data", [b"one", b"two"])
@pytest.mark.parametrize("place", ["acme", "ACME", ""])
def test_another_spelling_is_the_same_wheel(bench: Bench, spelling: str, data: bytes, place: str) -> None:
    """Wherever it lies, whatever its bytes are, and also where names may be overwritten: PyPI refuses the same bytes too."""
    put(bench.root / place / WHEEL, b"one")
    for overwrite in (False, True):
        with pytest.raises(AlreadyExists, match="another spelling of its name") as caught:
            bench.upload(data, spelling, overwrite=overwrite)
        assert (caught.value.filename, caught.value.offered) == (WHEEL, spelling)
        assert caught.value.sha256 == hashlib.sha256(b"one").hexdigest()
    assert not bench.upload(b"one").created
    assert bench.upload(filename="acme-1.0-1-py3-none-any.whl").created
    assert bench.upload(filename="acme-1.0-py2-none-any.whl").created


@pytest.mark.parametrize("filename", ["acme-1.0.zip", "acme-1.0.0.tar.gz", "Acme-1.tgz"])
def test_a_release_has_one_sdist(bench: Bench, filename: str) -> None:
    """As on PyPI; who copies an old release may have them in several formats, but not twice in one."""
    bench.upload(filename="acme-1.0.tar.gz")
    with pytest.raises(AlreadyExists, match="an sdist of the same release"):
        bench.upload(filename=filename)
    if filename.endswith(".tar.gz"):
        with pytest.raises(AlreadyExists):
            bench.upload(filename=filename, formats_may_differ=True)
    else:
        assert bench.upload(filename=filename, formats_may_differ=True).created
    assert bench.upload(filename="acme-1.0.1.tar.gz").created


@pytest.mark.parametrize(
    ("deleted", "spellings"), [(WHEEL, SPELLINGS), ("acme-1.0.tar.gz", ["acme-1.0.zip", "Acme-1.0.0.tar.gz"])]
)
def test_a_deleted_name_stays_used_in_every_spelling(
    bench: Bench, deleted: str, spellings: list[str]
) -> None:
    """Until one of the spellings is freed, whichever; the ledger has the name that the file had."""
    for spelling in spellings:
        bench.upload(filename=deleted)
        bench.delete(deleted)
        with pytest.raises(NameUsed, match=f"{deleted}, which {spelling} is another name of") as caught:
            bench.upload(filename=spelling)
        assert (caught.value.filename, caught.value.offered) == (deleted, spelling)
        assert bench.writer.deletions.free_name(ACME, spelling, who="bob")
        assert not bench.writer.deletions.free_name(ACME, spelling, who="bob")
        assert bench.writer.deletions.used_names(ACME) == frozenset()
        assert bench.upload(filename=spelling).created
        bench.delete(spelling)
        bench.writer.deletions.free_name(ACME, deleted, who="bob")


OLD_LEDGER = b"""# what was deleted here
- Acme-1.0.0.zip 2024-10-04T00:00:00Z alice
0a1b acme-2.0-py2.py3-none-any.whl 2024-10-04T00:00:00Z alice
0a1b nonsense.zip 2024-10-04T00:00:00Z alice
0a1b acme-3.0.tar.gz 2024-10-04T00:00:00Z alice
freed acme-3.0.tar.gz 2024-10-05T00:00:00Z alice
half a
"""


@pytest.mark.parametrize(
    ("filename", "is_used"),
    [
        ("acme-1.0.tar.gz", True),
        ("acme-1.tgz", True),
        ("acme-2-py3.py2-none-any.whl", True),
        ("acme-2.0-py3-none-any.whl", False),
        ("acme-3.0.zip", False),
        ("acme-1.0-py3-none-any.whl", False),
    ],
)
def test_a_ledger_of_before_counts_by_what_its_names_mean(bench: Bench, filename: str, is_used: bool) -> None:
    """Its lines are as they always were; those that are none are passed over."""
    put(bench.root / "ACME" / LEDGER, OLD_LEDGER)
    if is_used:
        with pytest.raises(NameUsed):
            bench.upload(filename=filename)
    else:
        assert bench.upload(filename=filename).created


def test_a_deleted_file_does_not_come_back_beside_another_spelling(bench: Bench) -> None:
    """Who overwrites may have given its name away."""
    bench.upload()
    bench.delete()
    bench.upload(b"two", SPELLINGS[0], overwrite=True)
    with pytest.raises(AlreadyExists):
        bench.writer.deletions.undelete(ACME, WHEEL, who="bob")
    bench.delete(SPELLINGS[0])
    assert bench.writer.deletions.undelete(ACME, WHEEL, who="bob").created


def test_a_ledger_that_cannot_be_read_refuses(bench: Bench) -> None:
    """Whether the name was used is not known, so it may not be given."""
    (bench.root / "acme").mkdir()
    (bench.root / "acme" / LEDGER).symlink_to("/dev/zero")
    with pytest.raises(CannotStore):
        bench.upload()


def test_the_ledger_keeps_owner_and_mode(bench: Bench) -> None:
    """An operator may have changed them."""
    for version in ("1.0", "2.0"):
        bench.upload(filename=f"acme-{version}.zip")
    bench.delete("acme-1.0.zip")
    (bench.root / "acme" / LEDGER).chmod(0o640)
    bench.delete("acme-2.0.zip")
    assert stat.S_IMODE((bench.root / "acme" / LEDGER).stat().st_mode) == 0o640


def test_a_deleted_file_can_be_taken_back(bench: Bench) -> None:
    """The latest one, with all of its own, and the name is free of its past."""
    for data in (b"one", b"two"):
        bench.upload(data, overwrite=True)
        put(bench.root / "acme" / f"{WHEEL}.asc", b"of " + data)
        bench.delete()
        bench.now += DAY
    assert bench.writer.deletions.undelete(ACME, WHEEL, who="bob").path == f"acme/{WHEEL}"
    assert bench.files() == {
        f"acme/{WHEEL}": b"two",
        f"acme/{WHEEL}.asc": b"of two",
        f"{TRASH}/{TODAY}/acme/{WHEEL}": b"one",
        f"{TRASH}/{TODAY}/acme/{WHEEL}.asc": b"of one",
    }
    assert bench.writer.deletions.used_names(ACME) == frozenset()
    with pytest.raises(AlreadyExists):
        bench.writer.deletions.undelete(ACME, WHEEL, who="bob")
    with pytest.raises(NotHere):
        bench.writer.deletions.undelete(ACME, "acme-9.0.zip", who="bob")


@pytest.mark.parametrize("kind", ["mount", "link"])
def test_a_trash_on_another_disk(
    bench: Bench, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be removed when it is empty, and has not to be: nothing is left for the next start to clear away."""
    trash = bench.root / TRASH
    (tmp_path / "disk").mkdir()
    if kind == "link":
        trash.symlink_to(tmp_path / "disk")
    else:
        trash.mkdir()
        rmdir = os.rmdir

        def busy(path: str) -> None:
            if path == str(trash):
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), path)
            rmdir(path)

        monkeypatch.setattr(os, "rmdir", busy)
    bench.upload()
    bench.delete()
    bench.writer.deletions.undelete(ACME, WHEEL, who="bob")
    assert os.listdir(bench.root / STAGING) == []
    assert bench.writer.clean() == []
    assert trash.is_dir()
    assert list(trash.iterdir()) == []


def test_of_one_day_the_last_is_taken_back(bench: Bench) -> None:
    """Also when there are more than nine."""
    for number in range(11):
        bench.upload(b"%d" % number, overwrite=True)
        bench.delete()
    bench.writer.deletions.undelete(ACME, WHEEL, who="bob")
    assert (bench.root / "acme" / WHEEL).read_bytes() == b"10"


def test_purging_goes_by_days(bench: Bench) -> None:
    """What is younger stays, and so does what is not ours; links are removed, not followed."""
    bench.upload()
    bench.delete()
    (bench.root / TRASH / TODAY / "link").symlink_to(bench.root)
    (bench.root / TRASH / "notes").mkdir()
    bench.now += 7 * DAY
    bench.upload(b"two", overwrite=True)
    bench.delete()
    assert bench.writer.deletions.purge(8) == []
    assert bench.writer.deletions.purge(7) == [f"{TRASH}/{TODAY}/acme/{WHEEL}"]
    assert sorted(os.listdir(bench.root / TRASH)) == ["2024-10-11", "notes"]
    assert len(bench.writer.deletions.purge(0)) == 1
    assert os.listdir(bench.root / TRASH) == ["notes"]
    assert bench.writer.deletions.used_names(ACME) == {WHEEL}


def test_somebody_purges_while_a_file_is_deleted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The day's directory is made again."""
    bench.upload()
    real = os.rename
    gone: list[str] = []

    def rename(source: str, target: str) -> None:
        if TRASH in target and not gone:
            gone.append(target)
            shutil.rmtree(bench.root / TRASH)
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    bench.delete()
    assert gone
    assert bench.files() == {f"{TRASH}/{TODAY}/acme/{WHEEL}": b"one"}


# -- at the start ---------------------------------------------------------------------------------------------------


def test_a_start_removes_only_what_nobody_holds(bench: Bench) -> None:
    """An upload of another process goes on while this one starts."""
    with bench.writer.begin() as draft:
        draft.write(b"one")
        left = bench.writer.begin()
        left.write(b"left over")
        left.staged.abandon()
        assert bench.writer.clean() == ["An unfinished upload of 9 bytes was removed."]
        assert bench.writer.clean() == []
        assert bench.writer.commit(draft, ACME, WHEEL).created
    assert bench.files() == {f"acme/{WHEEL}": b"one"}


def test_a_file_taken_for_left_over_is_made_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody starts between making and locking it."""
    real = fcntl.flock
    cleaned: list[str] = []

    def flock(descriptor: int, operation: int) -> None:
        if not cleaned:
            cleaned.append("begun")
            cleaned.extend(Bench(bench.root).writer.clean())
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    assert bench.upload().created
    assert cleaned == ["begun", "An unfinished upload of 0 bytes was removed."]


def test_a_file_taken_for_left_over_may_lie_there_yet(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who starts has locked it before its maker, and has not removed it yet: the maker takes another name."""
    real = fcntl.flock
    found: list[StagedFile] = []

    def flock(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", real)
        found.extend(Staging(bench.directory).left_over())
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    assert bench.upload().created
    (taken,) = found
    taken.discard()
    assert bench.files() == {f"acme/{WHEEL}": b"one"}


@pytest.mark.parametrize(
    "note", [b"", b"{", b"[]", b'{"paths": 1}', b'{"paths": ["../x.zip", "acme/notes", 7]}', b"\xff"]
)
def test_a_mark_may_say_anything(bench: Bench, note: bytes) -> None:
    """What it says is looked at before it is done."""
    put(bench.root / "x.zip.asc", b"beside")
    put(bench.root / "acme" / "notes.asc", b"notes")
    put(bench.root / STAGING / "1234.acme", note)
    put(bench.root / STAGING / "1234.No Project", note)
    (bench.root / STAGING / "directory").mkdir()
    assert sorted(bench.writer.clean()) == [
        "An unfinished change of the project acme was cleared away.",
        f"An unfinished upload of {len(note)} bytes was removed.",
    ]
    assert bench.files() == {"x.zip.asc": b"beside", "acme/notes.asc": b"notes"}


def test_a_start_over_nothing(bench: Bench) -> None:
    """No staging directory, or one that is none."""
    assert bench.writer.clean() == []
    (bench.root / STAGING).write_bytes(b"")
    (said,) = bench.writer.clean()
    assert "cannot be seen" in said


# -- finding one project among many ---------------------------------------------------------------------------------


@given(
    text=st.text(st.sampled_from("aAbB1._- \u212ak"), max_size=6),
    name=st.sampled_from(["a", "a-b", "1-a-b", "k"]),
)
def test_a_spelling_is_what_parses_to_the_name(text: str, name: str) -> None:
    """The quick test says what the exact one says."""
    match = spelling_pattern(ProjectName(name)).match(text)
    is_spelling = match is not None and match.end() == len(text)
    try:
        assert is_spelling == (parse_project_name(text) == name)
    except InvalidProjectName:
        assert not is_spelling


def test_places_are_those_of_the_survey(bench: Bench) -> None:
    """For every project, whatever lies in the root."""
    for name in ("acme", "Acme", "acme-tools", "acme.zip", ".acme"):
        (bench.root / name).mkdir()
    for name in (
        "acme-1.0.zip",
        "Acme-2.0.zip",
        "acme-tools-1.0.zip",
        "acme_tools-1.0.zip",
        "acme",
        "acme-x.zip",
    ):
        if not (bench.root / name).exists():
            (bench.root / name).write_bytes(b"")
    (bench.root / "ACME").symlink_to("acme")
    (bench.root / "aCME").symlink_to("/tmp")
    survey = bench.directory.survey()
    for project in {*survey.directories, *survey.loose, ProjectName("other")}:
        assert bench.directory.places_of(project) == (
            survey.directories.get(project, ()),
            survey.loose.get(project, ()),
        )


# -- others in the way, again and again -----------------------------------------------------------------------------


def test_a_directory_that_never_stays_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody removes it each time before it is locked."""
    real = locking._lock

    def lock(*arguments: Any) -> None:
        real(*arguments)
        (bench.root / "acme").rmdir()

    monkeypatch.setattr(locking, "_lock", lock)
    with pytest.raises(CannotStore, match="leads nowhere, or does not stay"):
        bench.upload()
    assert not (bench.root / "acme").exists()


@pytest.mark.parametrize("act", ["upload", "delete", "undelete", "provenance"])
@pytest.mark.parametrize("is_moved", [True, False])
def test_the_directory_goes_while_one_works_in_it(
    bench: Bench, act: str, is_moved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator moves or removes it by hand: the client may try again, and nothing is wrong with the index."""
    stored = bench.upload(filename=wheel_name(version="2.0"))
    bench.upload()
    if act == "undelete":
        bench.delete()
    real = {name: getattr(os, name) for name in ("link", "rename")}

    def interfere(name: str, source: str, target: str) -> None:
        place = bench.root / "acme"
        if place.exists():
            real["rename"](place, bench.root / "aside")
            if not is_moved:
                shutil.rmtree(bench.root / "aside")
        real[name](source, target)

    for name in real:
        monkeypatch.setattr(os, name, partial(interfere, name))
    acts: dict[str, Callable[[], object]] = {
        "upload": lambda: bench.upload(b"new", wheel_name(version="3.0")),
        "delete": bench.delete,
        "undelete": lambda: bench.writer.deletions.undelete(ACME, WHEEL, who="bob"),
        "provenance": lambda: bench.writer.put_beside(ACME, stored, ".asc", b"signature"),
    }
    with pytest.raises(CannotStore, match="was moved or removed meanwhile; try again") as caught:
        acts[act]()
    assert caught.value.fault is Fault.BUSY


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES])
@pytest.mark.parametrize("is_late", [False, True])
def test_a_directory_that_cannot_be_looked_at_was_not_moved(
    bench: Bench, number: int, is_late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken disk is what the operator has to hear of; waiting for another writer would not mend it."""
    (bench.root / "acme").mkdir()
    real, looks = os.stat, 0

    def look(path: Any, *arguments: Any, **options: Any) -> os.stat_result:
        nonlocal looks
        if path == str(bench.root / "acme"):
            looks += 1
            if looks > is_late:
                raise OSError(number, os.strerror(number), path)
        return real(path, *arguments, **options)

    with pytest.raises(CannotStore) as caught:  # noqa: PT012  (what is written is the last thing in it)
        monkeypatch.setattr(os, "stat", look)
        with bench.locked():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/x")
    monkeypatch.undo()
    assert caught.value.trouble is not None
    assert caught.value.trouble.cause.startswith(os.strerror(errno.ENOSPC if is_late else number))
    assert looks == 1 + is_late


def test_another_writer_is_waited_for_longer_each_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within bounds, so that no processor is kept busy."""
    (bench.root / "acme").mkdir()
    real = fcntl.flock
    pauses: list[float] = []

    def flock(descriptor: int, operation: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode) and len(pauses) < 8:
            raise BlockingIOError
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr("simpleindex.publishing.local.locked_project.time.sleep", pauses.append)
    assert bench.upload().created
    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[-1] == 0.05


def test_locks_that_fail_are_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one nothing is written."""
    real = fcntl.flock

    def flock(descriptor: int, operation: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(CannotStore):
        bench.upload()
    assert os.listdir(bench.root / "acme") == []


def test_without_hard_links_a_file_that_comes_meanwhile_is_not_replaced(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is compared, as with them."""

    def refuse(source: str, target: str) -> None:
        put(bench.root / "acme" / WHEEL, b"two")
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(AlreadyExists):
        bench.upload(b"one")
    assert bench.files() == {f"acme/{WHEEL}": b"two"}


def test_a_name_that_comes_and_goes_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody without locks writes and removes it each time."""

    def taken(source: str, target: str) -> None:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    monkeypatch.setattr(os, "link", taken)
    with pytest.raises(CannotStore, match="is being changed by another writer"):
        bench.upload()
    assert bench.files() == {}


def test_staged_files_that_others_take_each_time_are_given_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something is wrong with the locks of the file system then."""

    def flock(descriptor: int, operation: int) -> None:
        raise BlockingIOError

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(CannotStore):
        bench.writer.begin()


def test_a_staged_file_that_was_replaced_is_not_read(bench: Bench) -> None:
    """What would be examined is not what was written."""
    with bench.writer.begin() as draft:
        draft.write(b"one")
        draft.finish()
        os.unlink(draft.staged.path)
        put(Path(draft.staged.path), b"two")
        with pytest.raises(CannotStore):
            draft.reader()
        draft.staged.abandon()
        draft.staged.abandon()


def test_a_file_that_changes_while_it_is_deleted_has_no_known_digest(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody without locks writes into it; it is deleted all the same, and its name stays used."""
    bench.upload()
    real = hashlib.file_digest

    def changing(*arguments: Any) -> Any:
        (bench.root / "acme" / WHEEL).write_bytes(b"changed")
        return real(*arguments)

    monkeypatch.setattr(hashlib, "file_digest", changing)
    (deleted,) = bench.writer.deletions.delete(ACME, (WHEEL,), who="alice")
    assert deleted.known_sha256 is None
    assert bench.writer.deletions.used_names(ACME) == {WHEEL}


def test_what_is_no_file_takes_no_name(bench: Bench) -> None:
    """A FIFO with the name of another sdist of the release is not served."""
    (bench.root / "acme").mkdir()
    make_fifo(bench.root / "acme" / "acme-1.0.zip")
    assert bench.upload(filename="acme-1.0.tar.gz").created


def test_a_trash_that_is_purged_each_time_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file stays where it is."""
    bench.upload()
    real = os.rename

    def rename(source: str, target: str) -> None:
        if TRASH in target:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(CannotStore):
        bench.delete()
    assert (bench.root / "acme" / WHEEL).read_bytes() == b"one"


def test_an_unfinished_change_that_cannot_be_cleared_away_is_named(bench: Bench) -> None:
    """And left to the next start."""
    put(bench.root / STAGING / "1234.acme", b"")
    put(bench.root / "acme", b"in the way")
    (sentence,) = bench.writer.clean()
    assert sentence.startswith("An unfinished change of the project acme cannot be cleared away: ")
    (bench.root / "acme").unlink()
    assert bench.writer.clean() == ["An unfinished change of the project acme was cleared away."]
