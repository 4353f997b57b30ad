"""The search index as a file: deleted, corrupt, unwritable or locked, it costs nothing but search."""

from __future__ import annotations

import os
import sqlite3
from itertools import count
from typing import TYPE_CHECKING

import pytest

from simpleindex.core.names import ProjectName
from simpleindex.search import database as database_module
from simpleindex.search.candidates import LONGEST_SEARCH, excerpts, find_candidates
from simpleindex.search.database import SearchDatabase
from simpleindex.search.document import Dependency, Document
from simpleindex.search.document_rows import DocumentChanges, Entry, IndexedFile
from simpleindex.search.query import parse_query

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fixtures.log import CapturedLog

NAME = "search-e4a6a0577479b2b4.sqlite3"
FILE = IndexedFile("acme-1.0-py3-none-any.whl", "digest", 5)
ACME = Document(
    ProjectName("acme"),
    "Acme",
    "Rockets",
    text="fast",
    dependencies=(Dependency(ProjectName("beta"), "beta"),),
)


def opened(cache: Path) -> SearchDatabase:
    """An open index."""
    database = SearchDatabase(str(cache))
    database.open()
    return database


def found(database: SearchDatabase, query: str) -> list[str]:
    """The names of what is found."""
    return [candidate.project for candidate in find_candidates(database, parse_query(query))]


def test_documents_survive_a_restart(tmp_path: Path) -> None:
    database = opened(tmp_path)
    database.write("local", DocumentChanges([Entry(FILE, ACME)]))
    database.close()
    assert found(database, "rockets") == []
    again = opened(tmp_path)
    assert found(again, "rockets") == ["acme"]
    assert again.indexed_files("local", [ProjectName("acme"), ProjectName("other")]) == {"acme": FILE}
    assert again.indexed_names("local") == {"acme"}
    assert again.indexed_names("other") == set()
    again.close()


def test_a_document_replaces_the_one_before_it(tmp_path: Path) -> None:
    database = opened(tmp_path)
    database.write("local", DocumentChanges([Entry(FILE, ACME)]))
    database.write("local", DocumentChanges([Entry(FILE, Document(ProjectName("acme"), "Acme", "Traps"))]))
    assert found(database, "rockets") == []
    assert found(database, "fast") == []
    assert found(database, "traps") == ["acme"]
    assert database.read("SELECT * FROM dependencies") == []
    database.write("local", DocumentChanges(removed=["acme"]))
    assert found(database, "acme") == []
    for table in ("documents", "dependencies", "facts", "texts"):
        assert database.read(f"SELECT * FROM {table}") == []
    database.close()


def test_a_release_with_the_same_texts_is_not_tokenized_again(tmp_path: Path) -> None:
    """Its file, its dependencies and its Python are its own."""
    database, written = opened(tmp_path), list[str]()
    database.write("local", DocumentChanges([Entry(FILE, ACME)]))
    assert database._writer is not None
    database._writer.set_trace_callback(written.append)
    newer = ACME._replace(
        dependencies=(Dependency(ProjectName("gamma"), "gamma>1"),), requires_python=">=3.13"
    )
    file = IndexedFile("acme-2.0-py3-none-any.whl", "another", 6, "1.0", 7)
    database.write("local", DocumentChanges([Entry(file, newer)]))
    assert not [each for each in written if "INSERT INTO texts" in each or "DELETE FROM texts" in each]
    assert database.indexed_files("local", [ProjectName("acme")]) == {"acme": file}
    assert found(database, "rockets") == found(database, "depends:gamma") == ["acme"]
    assert found(database, "depends:beta") == found(database, "rockets python:3.11") == []
    database.write("local", DocumentChanges([Entry(file, newer._replace(authors="Wile E. Coyote"))]))
    assert found(database, "author:coyote") == ["acme"]
    database.close()


def test_what_differs_only_in_case_is_written_again(tmp_path: Path) -> None:
    """It is found as before, and shown as it is now."""
    database = opened(tmp_path)
    for written in ("\nFAST", "\nFast", "\nFast"):
        database.write("local", DocumentChanges([Entry(FILE, ACME._replace(written=written))]))
        assert excerpt(database) == ("", written.strip(), "")
    database.close()


def test_damaged_texts_cost_their_excerpts(tmp_path: Path) -> None:
    database = opened(tmp_path)
    database.write("local", DocumentChanges([Entry(FILE, ACME._replace(written="\nFAST"))]))
    assert database._writer is not None
    for damage in (
        "UPDATE originals SET written = x'00'",
        "UPDATE texts SET text = 'another'",
        "DELETE FROM originals",
    ):
        database._writer.execute(damage)
        assert excerpt(database) == ()
    database.close()


def test_a_file_that_is_indexed_since_gives_no_excerpt(tmp_path: Path) -> None:
    """Nobody has looked whether the reader may read that one."""
    database = opened(tmp_path)
    database.write("local", DocumentChanges([Entry(FILE, ACME._replace(written="\nfast"))]))
    (candidate,) = find_candidates(database, parse_query("fast"))
    secret = ACME._replace(text="fast secret", written="\nfast secret")
    for file in (FILE._replace(digest="another"), FILE._replace(filename="acme-2.0-py3-none-any.whl")):
        database.write("local", DocumentChanges([Entry(file, secret)]))
        assert excerpts(database, {candidate: ["fast"]}) == {}
    database.close()


def excerpt(database: SearchDatabase) -> tuple[str, ...]:
    """The text around the word of the description."""
    (candidate,) = find_candidates(database, parse_query("acme"))
    return excerpts(database, {candidate: ["fast"]}).get(candidate, ())


def test_a_new_time_changes_nothing_else(tmp_path: Path) -> None:
    database = opened(tmp_path)
    database.write("local", DocumentChanges([Entry(FILE, ACME)]))
    database.write("local", DocumentChanges(updates=[("acme", FILE._replace(uploaded_ns=9, yanked="1.0"))]))
    assert database.indexed_files("local", [ProjectName("acme")]) == {
        "acme": FILE._replace(uploaded_ns=9, yanked="1.0")
    }
    assert found(database, "fast") == ["acme"]
    database.close()


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    opened(tmp_path).close()
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", [b"no database", b"SQLite format 3\0" + bytes(4000)])
def test_a_corrupt_one_is_replaced(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / NAME).write_bytes(damage)
    database = opened(tmp_path)
    database.write("local", DocumentChanges([Entry(FILE, ACME)]))
    assert found(database, "acme") == ["acme"]
    database.close()


def test_damage_under_way_ends_search_until_it_is_made_again(tmp_path: Path, log: CapturedLog) -> None:
    database = opened(tmp_path)
    texts = [Document(ProjectName(f"acme-{n}"), "x", text=os.urandom(4_000).hex()) for n in range(300)]
    database.write("local", DocumentChanges([Entry(FILE, document) for document in texts]))
    database.close()
    database = opened(tmp_path)
    path = tmp_path / NAME
    path.write_bytes(path.read_bytes()[:8192] + b"\xff" * (path.stat().st_size - 8192))
    assert found(database, "0123") == []
    assert not database.is_open
    assert any("There is no search" in line for line in log.lines)
    again = opened(tmp_path)
    assert again.is_open
    assert again.indexed_names("local") == set()
    again.close()


def test_where_nothing_can_be_written_there_is_no_search(tmp_path: Path, log: CapturedLog) -> None:
    (tmp_path / "cache").write_text("a file")
    database = opened(tmp_path / "cache")
    assert not database.is_open
    assert found(database, "acme") == []
    database.write("local", DocumentChanges([Entry(FILE, ACME)]))
    assert [line for line in log.lines if "There is no search for now" in line]


def test_a_trouble_is_logged_once(tmp_path: Path, log: CapturedLog) -> None:
    (tmp_path / "cache").write_text("a file")
    database = SearchDatabase(str(tmp_path / "cache"))
    assert [database.open() for _ in range(3)] == [False] * 3
    assert len(log.lines) == 1
    (tmp_path / "cache").unlink()
    assert database.open()
    database.close()


def test_what_another_holds_for_long_is_not_lost(
    tmp_path: Path, log: CapturedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a backup by another program does; what is there can be searched meanwhile."""
    monkeypatch.setattr(database_module, "_PATIENCE", 0)
    database = opened(tmp_path)
    database.write("local", DocumentChanges([Entry(FILE, ACME)]))
    other = sqlite3.connect(tmp_path / NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert not database.write("local", DocumentChanges(removed=["acme"]))
    assert found(database, "acme") == ["acme"]
    assert any("is not kept up to date" in line for line in log.lines)
    other.close()
    assert database.write("local", DocumentChanges(removed=["acme"]))
    assert found(database, "acme") == []
    database.close()


def test_on_a_full_disk_what_is_there_can_be_searched(tmp_path: Path, log: CapturedLog) -> None:
    database = opened(tmp_path)
    database.write("local", DocumentChanges([Entry(FILE, ACME)]))
    assert database._writer is not None
    (pages,) = database._writer.execute("PRAGMA page_count").fetchone()
    database._writer.execute(f"PRAGMA max_page_count = {pages}")
    large = Entry(FILE, Document(ProjectName("large"), "x", text=os.urandom(400_000).hex()))
    assert not database.write("local", DocumentChanges([large]))
    assert found(database, "acme") == ["acme"]
    assert any("is not kept up to date" in line for line in log.lines)
    database._writer.execute("PRAGMA max_page_count = 100000")
    assert database.write("local", DocumentChanges([large]))
    database.close()


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_file_that_is_removed_is_made_again(tmp_path: Path, is_replaced: bool) -> None:
    """Also by another process, for this one would search and fill a file without a name."""
    database, losses = opened(tmp_path), list[bool]()
    database.lost = lambda: losses.append(database.is_open)
    database.write("local", DocumentChanges([Entry(FILE, ACME)]))
    for file in tmp_path.iterdir():
        file.unlink()
    other = opened(tmp_path) if is_replaced else None
    if other is not None:
        other.write("local", DocumentChanges([Entry(FILE, ACME._replace(summary="Traps"))]))
    assert found(database, "rockets") == []
    assert losses == [False]
    assert database.open()
    assert found(database, "traps") == (["acme"] if is_replaced else [])
    database.close()
    if other is not None:
        other.close()


def test_servers_of_other_directories_have_indexes_of_their_own(tmp_path: Path) -> None:
    """In the same cache, which is that of the user unless --cache names another."""
    one, other = SearchDatabase(str(tmp_path), ["/srv/one"]), SearchDatabase(str(tmp_path), ["/srv/other"])
    assert one.open()
    assert other.open()
    one.write("local", DocumentChanges([Entry(FILE, ACME)]))
    assert found(other, "acme") == []
    one.close()
    other.close()


def test_several_processes_open_one_index(tmp_path: Path) -> None:
    """None of them removes what another has made in the place of a corrupt one."""
    (tmp_path / NAME).write_bytes(b"no database" * 100)
    first = opened(tmp_path)
    first.write("local", DocumentChanges([Entry(FILE, ACME)]))
    second = opened(tmp_path)
    assert found(second, "rockets") == ["acme"]
    second._file = (0, 0)
    second._remove()
    assert found(first, "rockets") == ["acme"]
    first.close()


def test_another_format_is_made_anew(tmp_path: Path) -> None:
    database = opened(tmp_path)
    database.write("local", DocumentChanges([Entry(FILE, ACME)]))
    database.close()
    with sqlite3.connect(tmp_path / NAME) as connection:
        connection.execute("PRAGMA user_version = 77")
    connection.close()
    again = opened(tmp_path)
    assert found(again, "acme") == []
    again.close()


def test_a_long_search_ends_in_time(tmp_path: Path) -> None:
    """What was found until then counts."""
    database = opened(tmp_path)
    # All of the trigrams of what is looked for, though not itself.
    text = "one two x; y two one " * 20
    texts = [Entry(FILE, Document(ProjectName(f"other-{n}"), "x", text=text)) for n in range(2_000)]
    last = Entry(FILE, Document(ProjectName("last"), "x", text="one two one"))
    database.write("local", DocumentChanges([*texts, last]))
    times = iter(range(1_000_000))
    assert find_candidates(database, parse_query('"e two o"'), seconds=lambda: next(times)) == []
    assert found(database, "last") == ["last"]
    database.close()


FILTERS = (
    "author:jane",
    "python:3",
    "python:3.9",
    "python:3.9 zz",
    "author:jane python:3",
    "author:jane rockets",
)


def test_a_filter_that_most_projects_pass_does_not_go_through_all_of_them(tmp_path: Path) -> None:
    """They would take longer than a search may, and it would end without results."""
    database, looks = opened(tmp_path), dict[str, list[int]]()
    database.write("local", DocumentChanges([Entry(FILE, Document(ProjectName("zz-top"), "x"))]))
    for number in range(2):
        documents = [
            Document(
                ProjectName(f"acme-{number}-{n}"), "x", "Rockets", authors="Jane", requires_python=">=3.8"
            )
            for n in range(3_000)
        ]
        database.write("local", DocumentChanges([Entry(FILE, document) for document in documents]))
        for query in FILTERS:
            steps = count()
            assert find_candidates(database, parse_query(query), 20, lambda steps=steps: next(steps) * 1e-9)  # type: ignore[misc]
            looks.setdefault(query, []).append(next(steps))
    # A look at the clock comes after every thousand steps.
    assert {
        query: after - before for query, (before, after) in looks.items() if after > 1.5 * before + 5
    } == {}
    database.close()


def test_what_filters_find_in_half_of_the_time_is_compared_in_the_other(tmp_path: Path) -> None:
    """An author of two letters is looked for in every project, and those that are found have to match as well."""
    database = opened(tmp_path)
    entries = [
        Entry(FILE, Document(ProjectName(f"acme-{n}"), "x", authors="Bo", text="fast")) for n in range(1_500)
    ]
    database.write("local", DocumentChanges(entries))
    query, times = parse_query("author:bo fast"), iter(range(1_000_000))
    assert len(find_candidates(database, query, seconds=lambda: 0.0)) == 1_500
    some = find_candidates(database, query, seconds=lambda: next(times) * LONGEST_SEARCH / 10)
    assert 0 < len(some) < 1_500
    database.close()
