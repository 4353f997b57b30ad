"""Indexing in the background: what is read, when, and how much of a processor it takes."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest
from twisted.internet.task import Clock

from simpleindex.core.errors import Unavailable
from simpleindex.core.names import ProjectName
from simpleindex.search import document
from simpleindex.search.candidates import yanks_of
from simpleindex.search.database import SearchDatabase
from simpleindex.search.document import Document, document_of
from simpleindex.search.document_rows import DocumentChanges, Entry, IndexedFile
from simpleindex.search.indexer import (
    BATCH,
    DELAY,
    LISTINGS,
    REOPENING_INTERVAL,
    SHARE,
    SURVEY_INTERVAL,
    Indexer,
)
from simpleindex.search.origins import DirectoryOrigin
from tests.fixtures.log import logged_failures
from tests.fixtures.threads import InlineThreads
from tests.search.world import SearchWorld

if TYPE_CHECKING:
    from pathlib import Path

    from simpleindex.core.files import File


@pytest.fixture
def world(tmp_path: Path) -> SearchWorld:
    """An index of one project."""
    world = SearchWorld(tmp_path)
    world.add("acme", "1.0", "Summary: Rockets")
    world.index()
    return world


def files_read(world: SearchWorld) -> int:
    """How many files were opened."""
    return sum(question[0] == "file" for question in world.source.asked)


def test_a_changed_project_is_indexed_again(world: SearchWorld) -> None:
    world.add("acme", "2.0", "Summary: Traps")
    assert world.names("traps") == []
    world.indexer.note("local", ProjectName("acme"))
    world.finish()
    assert world.names("traps") == ["acme"]
    assert world.names("rockets") == []


def test_a_yanked_release_is_not_what_represents_a_project(world: SearchWorld) -> None:
    world.add("acme", "2.0", "Summary: Traps", yanked="explodes")
    world.add("acme", "3.0a1", "Summary: Magnets")
    world.indexer.note("local", ProjectName("acme"))
    world.finish()
    assert world.names("rockets") == ["acme"]


def test_a_vanished_project_is_removed(world: SearchWorld) -> None:
    del world.source.pages["acme"]
    world.indexer.note("local", ProjectName("acme"))
    world.finish()
    assert world.database.indexed_names("local") == set()


def test_what_is_indexed_already_is_not_read_again(world: SearchWorld, tmp_path: Path) -> None:
    world.indexer.stop()
    world.database.close()
    again = SearchWorld(tmp_path)
    again.source = world.source
    before = files_read(world)
    origin = DirectoryOrigin("local", world.source)
    again.indexer = Indexer(again.database, [origin], again.clock, InlineThreads(), lambda: 0.0)
    again.index()
    assert files_read(world) == before
    assert again.names("rockets") == ["acme"]


def test_a_survey_finds_what_no_change_told_of(world: SearchWorld) -> None:
    world.add("beta")
    del world.source.pages["acme"]
    world.source.put(world.source.pages["beta"])
    world.indexer.survey()
    world.finish()
    assert world.database.indexed_names("local") == {"beta"}


def test_a_survey_reads_no_project_whose_listing_is_as_it_was(world: SearchWorld) -> None:
    acme, beta = ProjectName("acme"), ProjectName("beta")
    world.add("beta")
    world.source.listings.update({acme: 1, beta: 2})
    world.indexer.survey()
    world.finish()
    world.add("acme", "2.0", "Summary: Traps")
    world.source.listings[acme] = 3
    world.source.asked.clear()
    world.indexer.survey()
    world.finish()
    assert {question[1] for question in world.source.asked if len(question) > 1} == {"acme"}
    assert world.names("traps") == ["acme"]
    world.source.asked.clear()
    world.indexer.survey()
    world.finish()
    assert [question for question in world.source.asked if len(question) > 1] == []


def test_a_source_that_cannot_answer_is_asked_again(tmp_path: Path) -> None:
    world = SearchWorld(tmp_path)
    world.add("acme")
    world.source.error = Unavailable("later")
    world.index()
    assert world.names("acme") == []
    world.source.error = None
    world.clock.advance(1)
    world.clock.advance(SURVEY_INTERVAL)
    world.finish()
    assert world.names("acme") == ["acme"]


def test_where_every_change_is_told_nothing_wakes_up(world: SearchWorld) -> None:
    assert world.clock.getDelayedCalls() == []


def test_metadata_that_cannot_be_read_leave_the_name(tmp_path: Path) -> None:
    world = SearchWorld(tmp_path)
    world.source.add("acme-1.0-py3-none-any.whl", metadata=b"X: y\n" * 600_000)
    world.source.add("beta-1.0.tar.gz")
    world.index()
    assert world.names("acme") == ["acme"]
    assert world.names("beta") == ["beta"]


def test_work_is_followed_by_nine_times_as_much_waiting(tmp_path: Path) -> None:
    """So that it takes a tenth of a core, however much there is."""
    world = SearchWorld(tmp_path)
    for number in range(2 * BATCH):
        world.add(f"acme-{number}")
    clock, spent = Clock(), iter(range(1_000))
    database = SearchDatabase(str(tmp_path))
    origin = DirectoryOrigin("local", world.source)
    # Every look at the processor's time shows a second more.
    indexer = Indexer(database, [origin], clock, InlineThreads(), lambda: float(next(spent)))
    indexer.start()
    done, waited = [len(database.indexed_names("local"))], 0.0
    while not indexer.is_idle:
        (due,) = (call.getTime() - clock.seconds() for call in clock.getDelayedCalls())
        waited += due
        clock.advance(due)
        done.append(len(database.indexed_names("local")))
    assert list(dict.fromkeys(done)) == [0, BATCH, 2 * BATCH]
    worked = next(spent) - 1
    assert waited >= worked * (1 / SHARE - 1) * 0.5
    indexer.stop()
    database.close()


def test_changes_that_come_one_after_another_are_written_together(
    world: SearchWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    write = SearchDatabase.write

    def counted(self: SearchDatabase, origin: str, changes: DocumentChanges) -> bool:
        written.append(len(changes.entries))
        return write(self, origin, changes)

    monkeypatch.setattr(SearchDatabase, "write", counted)
    for number in range(BATCH):
        world.add(f"beta-{number}")
        world.indexer.note("local", ProjectName(f"beta-{number}"))
        world.clock.advance(DELAY / BATCH)
    assert written == [BATCH]
    world.finish()
    assert written == [BATCH]


def test_after_the_end_nothing_is_indexed(world: SearchWorld) -> None:
    world.indexer.stop()
    world.add("beta")
    world.indexer.note("local", ProjectName("beta"))
    world.clock.advance(SURVEY_INTERVAL)
    assert world.names("beta") == []
    assert world.clock.getDelayedCalls() == []


def test_without_an_index_nothing_is_asked(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    world = SearchWorld(tmp_path / "cache")
    world.add("acme")
    world.indexer.start()
    assert world.source.asked == []
    assert not world.search.is_available
    # Somebody makes room.
    (tmp_path / "cache").unlink()
    world.clock.advance(REOPENING_INTERVAL)
    world.finish()
    assert world.names("acme") == ["acme"]


def test_an_index_that_is_deleted_is_made_again(world: SearchWorld, tmp_path: Path) -> None:
    world.database.lost = world.indexer.survey
    for file in tmp_path.iterdir():
        file.unlink()
    assert world.names("rockets") == []
    world.clock.advance(DELAY)
    world.finish()
    assert world.names("rockets") == ["acme"]


def test_what_cannot_be_written_now_is_written_later(
    world: SearchWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other comparison would find it where every change is told."""
    world.add("acme", "2.0", "Summary: Traps", yanked="explodes")
    with monkeypatch.context() as patched:
        patched.setattr(SearchDatabase, "write", lambda *_: False)
        world.indexer.note("local", ProjectName("acme"))
        world.clock.pump([DELAY, 1, 10, 10])
        assert not world.indexer.is_idle
    world.finish()
    assert [yank.version for yank in yanks_of(world.database, ProjectName("acme"))] == ["2.0"]


def test_what_an_upstream_had_that_is_behind_no_more_is_removed(world: SearchWorld) -> None:
    entries = [Entry(IndexedFile("", "", 0), Document(ProjectName(f"old-{n}"), "x")) for n in range(50)]
    world.database.write("before", DocumentChanges(entries))
    world.indexer.survey()
    world.finish()
    assert world.database.origins() == {"local"}
    assert world.names("acme") == ["acme"]


def test_a_reader_learns_that_the_index_is_being_made(tmp_path: Path) -> None:
    world, spent = SearchWorld(tmp_path), count()
    for number in range(LISTINGS + 1):
        world.add(f"acme-{number}")
        world.source.listings[ProjectName(f"acme-{number}")] = 1
    origin = DirectoryOrigin("local", world.source)
    # Every look at the processor's time shows a second more, so that what is done next waits.
    world.indexer = Indexer(
        world.database, [origin], world.clock, InlineThreads(), lambda: float(next(spent))
    )
    assert not world.search.is_behind()
    world.indexer.start()
    world.clock.advance(200)
    assert world.search.is_behind()
    world.clock.pump([10] * 1_000)
    assert world.indexer.is_idle
    assert not world.search.is_behind()
    world.indexer.survey()
    while not world.indexer.is_idle:
        world.clock.advance(1)
        assert not world.search.is_behind(), "everything is as it was"
    world.indexer.stop()


def test_one_of_several_processes_works_for_all(tmp_path: Path) -> None:
    """The others index what only they hear of, and each can be searched."""
    first, second = SearchWorld(tmp_path), SearchWorld(tmp_path)
    first.add("acme")
    second.source = first.source
    cached = DirectoryOrigin("public", first.source)
    monkeyed = [DirectoryOrigin("local", first.source), cached]
    cached.is_followed = False
    second.indexer = Indexer(second.database, monkeyed, second.clock, InlineThreads(), lambda: 0.0)
    first.index()
    second.indexer.start(surveys=False)
    assert second.names("acme") == ["acme"]
    first.source.asked.clear()
    second.indexer.note("local", ProjectName("acme"))
    second.indexer.survey()
    second.clock.pump([DELAY, 1, SURVEY_INTERVAL])
    assert first.source.asked == []
    second.indexer.note("public", ProjectName("acme"))
    second.finish()
    assert first.database.indexed_names("public") == {"acme"}
    second.indexer.stop()
    second.database.close()


def test_what_fails_unexpectedly_is_logged_and_tried_again(world: SearchWorld) -> None:
    failures = logged_failures()
    world.source.error = ZeroDivisionError()
    world.indexer.note("local", ProjectName("acme"))
    world.add("acme", "2.0", "Summary: Traps")
    world.finish()
    (failure,) = failures
    assert failure.check(ZeroDivisionError)
    world.source.error = None
    world.clock.pump([10, 10, SURVEY_INTERVAL])
    world.finish()
    assert world.names("traps") == ["acme"]


def test_one_project_that_surprises_leaves_the_others_to_be_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are written together: its metadata alone are left out, else nobody beside it would ever be found."""

    def surprised(name: ProjectName, file: File, metadata: bytes | None) -> Document:
        if name == "evil" and metadata is not None:
            raise RecursionError
        return document_of(name, file, metadata)

    monkeypatch.setattr(document, "document_of", surprised)
    world, failures = SearchWorld(tmp_path), logged_failures()
    for name in ("acme", "evil", "tool"):
        world.add(name, "1.0", "Summary: Rockets")
    world.index()
    assert world.names("rockets") == ["acme", "tool"]
    assert world.names("evil") == ["evil"]
    (failure,) = failures
    assert failure.check(RecursionError)


def test_one_project_whose_metadata_surprise_leaves_the_others_to_be_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are read together, and read again with every survey: it alone is not found until then."""
    read = DirectoryOrigin.metadata

    async def surprised(self: DirectoryOrigin, name: ProjectName, file: File) -> bytes | None:
        if name == "evil":
            raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
        return await read(self, name, file)

    monkeypatch.setattr(DirectoryOrigin, "metadata", surprised)
    world, failures = SearchWorld(tmp_path), logged_failures()
    for name in ("acme", "evil", "tool"):
        world.add(name, "1.0", "Summary: Rockets")
    world.index()
    assert world.names("rockets") == ["acme", "tool"]
    (failure,) = failures
    assert failure.check(UnicodeEncodeError)


def test_comments_in_comments_of_an_address_are_no_surprise(tmp_path: Path) -> None:
    world = SearchWorld(tmp_path)
    world.add("acme", "1.0", "Summary: Rockets", f"Author-email: {'(' * 1_900}")
    world.index()
    assert world.names("rockets") == ["acme"]
