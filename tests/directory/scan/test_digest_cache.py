"""The memory of facts: believed only for the very state it was learnt in, and never needed."""

from __future__ import annotations

import os
import sqlite3
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.archives.archive_info import ArchiveInfo, MemberSpan
from simpleindex.core.files import Sidecar
from simpleindex.directory.layout.directory_listings import DirectoryEntry
from simpleindex.directory.scan.digest_cache import DigestCache
from simpleindex.system.stamp import Stamp
from tests.fixtures.log import log_into
from tests.fixtures.trees import SPECIAL, as_nobody, public_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STAMP = Stamp(2**64 - 1, 2**62, 1_700_000_000_000_000_001, 1_700_000_000_000_000_002, 1)
WHEEL = ArchiveInfo("1.0", "aa" * 32, ">=3.9", Sidecar("bb" * 32, 100), MemberSpan(1000, 60, 8))
SDIST = ArchiveInfo("1.1", "cc" * 32, None, None, None)
NAME = "digests.sqlite3"


class Memory:
    """A cache directory, and what was logged about it."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.logged: list[str] = []
        self._open: list[DigestCache] = []

    def digests(self, root: str = "/srv") -> DigestCache:
        """Open it, as after a start."""
        digests = DigestCache(str(self.cache), root, log_into(self.logged))
        digests.open()
        self._open.append(digests)
        return digests

    def close(self) -> None:
        """Close all that were opened."""
        for digests in self._open:
            digests.close()


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    """One whose directory must yet be made."""
    memory = Memory(tmp_path / "deep" / "cache")
    yield memory
    memory.close()


def entry(path: str, stamp: Stamp | None = STAMP) -> DirectoryEntry:
    """As it lies there now."""
    return DirectoryEntry(path, path.rpartition("/")[2], 0, stamp)


def recalled(digests: DigestCache, *paths: str) -> dict[str, tuple[Stamp, ArchiveInfo]]:
    """What is remembered of files in one directory."""
    return dict(digests.recall(paths[0].rpartition("/")[0], map(entry, paths)))


def test_facts_survive_a_restart(memory: Memory) -> None:
    """All of them, with numbers as large as a file system has them, in a directory and in the root."""
    learnt = {"acme/a-1.whl": WHEEL, "acme/a-1.zip": SDIST, "a-2.zip": replace(SDIST, requires_python=">=3")}
    memory.digests().remember((path, STAMP, facts) for path, facts in learnt.items())
    memory.close()
    digests = memory.digests()
    assert recalled(digests, "acme/a-1.whl", "acme/a-1.zip", "acme/unknown.zip") == {
        path: (STAMP, learnt[path]) for path in ("acme/a-1.whl", "acme/a-1.zip")
    }
    assert recalled(digests, "a-2.zip") == {"a-2.zip": (STAMP, learnt["a-2.zip"])}
    assert memory.logged == []


@pytest.mark.parametrize("seconds", [-(2**31), -1, 0, 2**31, 2**32, 15_000_000_000])
def test_any_time_that_a_file_can_have(memory: Memory, seconds: int) -> None:
    """From 1901 to 2446 (ext4), though nanoseconds after 2262 are more than SQLite's numbers hold."""
    stamp = STAMP._replace(mtime_ns=seconds * 10**9 + 1, ctime_ns=seconds * 10**9 + 2)
    digests = memory.digests()
    digests.remember([("acme/a-1.zip", stamp, SDIST)])
    assert recalled(digests, "acme/a-1.zip") == {"acme/a-1.zip": (stamp, SDIST)}


def test_the_state_is_given_back_for_comparison(memory: Memory) -> None:
    """That in which it was learnt, though the links are the entry's own; nothing of what cannot be told of."""
    digests = memory.digests()
    digests.remember([("acme/a-1.zip", STAMP, SDIST)])
    now = STAMP._replace(size=5, ctime_ns=7, links=3)
    assert digests.recall("acme", [entry("acme/a-1.zip", now)]) == {
        "acme/a-1.zip": (STAMP._replace(links=3), SDIST)
    }
    assert digests.recall("acme", [entry("acme/a-1.zip", None)]) == {}
    assert digests.recall("acme", []) == {}


def test_what_is_learnt_anew_replaces_the_old(memory: Memory) -> None:
    """One row for each file."""
    digests = memory.digests()
    for facts in (WHEEL, SDIST):
        digests.remember([("acme/a-1.whl", STAMP, facts)])
    assert recalled(digests, "acme/a-1.whl")["acme/a-1.whl"][1] == SDIST


def test_roots_that_share_a_cache_do_not_mix(memory: Memory) -> None:
    """Also a root whose path is no text; each forgets only its own."""
    roots = [memory.digests(root) for root in ("/srv", "/srv2", "/srv\udcff")]
    for number, digests in enumerate(roots):
        digests.remember([("acme/a-1.zip", STAMP, replace(SDIST, sha256=str(number)))])
    roots[0].forget_others([])
    assert recalled(roots[0], "acme/a-1.zip") == {}
    for number in (1, 2):
        assert recalled(roots[number], "acme/a-1.zip")["acme/a-1.zip"][1].sha256 == str(number)


def test_what_is_gone_is_forgotten(memory: Memory) -> None:
    """The database does not grow for ever."""
    digests = memory.digests()
    paths = ["acme/a-1.zip", "acme/a-2.zip", "a-3.zip"]
    digests.remember((path, STAMP, SDIST) for path in paths)
    digests.forget_others(paths)
    digests.forget_others(["acme/a-1.zip", "other/a-2.zip"])
    assert set(recalled(digests, "acme/a-1.zip", "acme/a-2.zip")) == {"acme/a-1.zip"}
    assert recalled(digests, "a-3.zip") == {}


def test_what_is_gone_is_forgotten_among_very_many(memory: Memory) -> None:
    """Rows are gone through by the page, and none is passed over."""
    digests = memory.digests()
    paths = [f"acme/a-{number}.zip" for number in range(2_500)]
    digests.remember((path, STAMP, SDIST) for path in paths)
    digests.forget_others(paths[::7])
    assert set(recalled(digests, *paths)) == set(paths[::7])


def test_it_is_for_this_user_only(memory: Memory) -> None:
    """What is in it names private projects."""
    memory.digests()
    assert (memory.cache / NAME).stat().st_mode & 0o777 == 0o600
    assert memory.cache.stat().st_mode & 0o777 == 0o700


def test_it_is_usable_from_any_thread(memory: Memory) -> None:
    """Readers of several projects write at once."""
    digests = memory.digests()

    def learn(number: int) -> None:
        for count in range(20):
            digests.remember([(f"p{number}/a-{count}.zip", STAMP, SDIST)])

    threads = [threading.Thread(target=learn, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(4):
        assert len(recalled(digests, *(f"p{number}/a-{count}.zip" for count in range(20)))) == 20
    assert memory.logged == []


def test_without_being_open_it_remembers_nothing(memory: Memory) -> None:
    """Neither before nor after; and closing twice is nothing."""
    digests = DigestCache(str(memory.cache), "/srv", log_into(memory.logged))
    assert recalled(digests, "acme/a-1.zip") == {}
    digests.open()
    digests.close()
    digests.close()
    digests.remember([("acme/a-1.zip", STAMP, SDIST)])
    digests.forget_others([])
    assert recalled(digests, "acme/a-1.zip") == {}
    assert memory.logged == []


# -- a cache may be anything ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"nonsense " * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_corrupt_one_is_replaced(memory: Memory, content: bytes) -> None:
    """With all that belongs to it; costs speed, and nobody need do anything."""
    memory.cache.mkdir(parents=True)
    for suffix in ("", "-wal", "-shm"):
        (memory.cache / f"{NAME}{suffix}").write_bytes(content)
    digests = memory.digests()
    digests.remember([("acme/a-1.zip", STAMP, SDIST)])
    assert recalled(digests, "acme/a-1.zip")
    assert memory.logged == []


def test_an_old_format_is_begun_anew(memory: Memory) -> None:
    """What was judged by older rules is not believed."""
    digests = memory.digests()
    digests.remember([("acme/a-1.zip", STAMP, SDIST)])
    memory.close()
    connection = sqlite3.connect(memory.cache / NAME)
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    digests = memory.digests()
    assert recalled(digests, "acme/a-1.zip") == {}
    digests.remember([("acme/a-1.zip", STAMP, SDIST)])
    assert recalled(digests, "acme/a-1.zip")
    assert memory.logged == []


def test_one_that_turns_out_corrupt_is_given_up_and_removed(memory: Memory) -> None:
    """The start after finds a new one, instead of the same trouble for ever."""
    digests = memory.digests()
    digests.remember((f"acme/a-{number}.zip", STAMP, SDIST) for number in range(2000))
    memory.close()
    with (memory.cache / NAME).open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096 * 20)
    digests = memory.digests()
    assert recalled(digests, "acme/a-1.zip") == {}
    assert len(memory.logged) == 1
    assert "Digests cannot be remembered in" in memory.logged[0]
    digests.remember([("acme/a-1.zip", STAMP, SDIST)])
    assert recalled(digests, "acme/a-1.zip") == {}
    assert len(memory.logged) == 1
    digests = memory.digests()
    digests.remember([("acme/a-1.zip", STAMP, SDIST)])
    assert recalled(digests, "acme/a-1.zip")
    assert len(memory.logged) == 1


COLUMNS = {
    "directory": "'b'",
    "filename": "'a-2.whl'",
    "inode": "'1'",
    "size": "1",
    "mtime_ns": "'1'",
    "ctime_ns": "'1'",
    "version": "'1.1'",
    "sha256": f"'{'dd' * 32}'",
    "requires_python": "NULL",
    "sidecar_sha256": "NULL",
    "sidecar_size": "101",
    "place_offset": "1001",
    "place_stored": "61",
    "place_method": "0",
    "checksum": "x'0011223344556677'",
}


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("is_blob", [False, True])
def test_a_damaged_row_is_not_believed(memory: Memory, column: str, is_blob: bool) -> None:
    """Whatever in it changed, the file is read again, and remembered again."""
    memory.digests().remember([("acme/a-1.whl", STAMP, WHEEL), ("acme/a-1.zip", STAMP, SDIST)])
    memory.close()
    connection = sqlite3.connect(memory.cache / NAME)
    value = "x'ff'" if is_blob else COLUMNS[column]
    connection.execute(f"UPDATE facts SET {column} = {value} WHERE filename = 'a-1.whl'")
    connection.commit()
    connection.close()
    digests = memory.digests()
    paths = ("acme/a-1.whl", "acme/a-1.zip", "acme/a-2.whl")
    assert recalled(digests, *paths) == {"acme/a-1.zip": (STAMP, SDIST)}
    assert recalled(digests, "b/a-1.whl") == {}
    digests.forget_others(paths)
    digests.remember([("acme/a-1.whl", STAMP, WHEEL)])
    assert recalled(digests, "acme/a-1.whl") == {"acme/a-1.whl": (STAMP, WHEEL)}
    assert memory.logged == []


@pytest.mark.parametrize("inode", ["x", "9" * 5000])
def test_a_row_whose_values_make_no_sense_is_not_believed(memory: Memory, inode: Any) -> None:
    """Though it is as it was written: it must not end a start."""
    digests = memory.digests()
    digests.remember([("acme/a-1.zip", STAMP._replace(inode=inode), SDIST)])
    assert recalled(digests, "acme/a-1.zip") == {}


def test_a_damaged_text_has_the_whole_removed(memory: Memory) -> None:
    """Python cannot give what is no UTF-8; the start after must not find it again."""
    memory.digests().remember([("acme/a-1.zip", STAMP, SDIST)])
    memory.close()
    connection = sqlite3.connect(memory.cache / NAME)
    connection.execute("UPDATE facts SET sha256 = CAST(x'ff' AS TEXT)")
    connection.commit()
    connection.close()
    assert recalled(memory.digests(), "acme/a-1.zip") == {}
    assert len(memory.logged) == 1
    digests = memory.digests()
    digests.remember([("acme/a-1.zip", STAMP, SDIST)])
    assert recalled(digests, "acme/a-1.zip")


def test_whether_anything_is_remembered(memory: Memory) -> None:
    """Of this root, across a restart."""
    assert not memory.digests().remembers_anything()
    memory.digests().remember([("acme/a-1.zip", STAMP, SDIST)])
    assert memory.digests().remembers_anything()
    assert not memory.digests("/other").remembers_anything()


def test_one_that_another_process_uses_is_left_to_it(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock is no corruption: the rows are another's too."""
    memory.digests().remember([("acme/a-1.zip", STAMP, SDIST)])
    memory.close()
    other = sqlite3.connect(memory.cache / NAME, isolation_level=None)
    other.execute("PRAGMA user_version = 1")
    other.execute("BEGIN EXCLUSIVE")
    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda path, **options: connect(path, **{**options, "timeout": 0})
    )
    digests = memory.digests()
    assert recalled(digests, "acme/a-1.zip") == {}
    assert "locked" in memory.logged[0]
    other.execute("ROLLBACK")
    other.execute("PRAGMA user_version = 2")
    assert other.execute("SELECT count(*) FROM facts").fetchone() == (1,)
    other.close()


def test_a_lock_while_writing_costs_the_memory_only(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence; then every file is simply read again."""
    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda path, **options: connect(path, **{**options, "timeout": 0})
    )
    digests = memory.digests()
    other = connect(memory.cache / NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for _ in range(2):
        digests.remember([("acme/a-1.zip", STAMP, SDIST)])
    assert len(memory.logged) == 1
    assert "locked" in memory.logged[0]
    other.close()
    assert recalled(memory.digests(), "acme/a-1.zip") == {}


def test_one_deleted_meanwhile_goes_on(memory: Memory) -> None:
    """Until the next start, which makes a new one."""
    digests = memory.digests()
    digests.remember([("acme/a-1.zip", STAMP, SDIST)])
    for path in memory.cache.iterdir():
        path.unlink()
    memory.cache.rmdir()
    assert recalled(digests, "acme/a-1.zip")
    digests.remember([("acme/a-2.zip", STAMP, SDIST)])
    digests.forget_others([])
    memory.close()
    assert recalled(memory.digests(), "acme/a-1.zip") == {}


@pytest.mark.parametrize("kind", SPECIAL)
def test_anything_else_in_its_place_is_told_once(memory: Memory, kind: str) -> None:
    """It is left alone, and the memory stays off; a FIFO must not block."""
    memory.cache.mkdir(parents=True)
    SPECIAL[kind](memory.cache / NAME)
    digests = memory.digests()
    digests.remember([("acme/a-1.zip", STAMP, SDIST)])
    assert recalled(digests, "acme/a-1.zip") == {}
    assert len(memory.logged) == 1
    assert (memory.cache / NAME).exists()


def test_a_cache_that_cannot_be_made_or_written_is_told_once() -> None:
    """A file in its way, a directory of somebody else: one sentence that says what to do, on one line."""
    with public_directory() as top:
        (top / "file").touch()
        (top / "mine").mkdir(mode=0o555)
        (top / "theirs").mkdir(mode=0o755)
        Memory(top / "theirs").digests().close()
        (top / "theirs" / NAME).write_bytes(b"nonsense " * 1000)
        (top / "theirs" / NAME).chmod(0o644)
        if os.geteuid() != 0:
            (top / "theirs").chmod(0o555)
        for name in ("file/cache\n\udcff", "mine", "mine/cache", "theirs"):
            memory = Memory(top / name)
            with as_nobody():
                digests = memory.digests()
                digests.remember([("acme/a-1.zip", STAMP, SDIST)])
                assert recalled(digests, "acme/a-1.zip") == {}
            (sentence,) = memory.logged
            assert "Make --cache a directory that this user can write." in sentence
            assert sentence.isprintable()
        (top / "theirs").chmod(0o755)


def test_a_corrupt_one_that_cannot_be_removed_is_told(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the start, and when it turns out later."""
    digests = memory.digests()
    digests.remember((f"acme/a-{number}.zip", STAMP, SDIST) for number in range(2000))
    memory.close()
    with (memory.cache / NAME).open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096 * 20)
    digests = memory.digests()

    def unlink(_path: str) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "unlink", unlink)
    assert recalled(digests, "acme/a-1.zip") == {}
    (memory.cache / NAME).write_bytes(b"nonsense " * 1000)
    memory.digests()
    assert len(memory.logged) == 2
