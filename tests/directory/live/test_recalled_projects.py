"""A project that lies there as it lay is taken from the catalogue at the next start; all else is put together anew."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.directory.live.cache_upkeep import keep_cache_up_to_date, open_catalogue
from simpleindex.directory.scan.batches import BatchReader
from simpleindex.directory.scan.catalogue import CatalogueFile
from tests.fixtures.deferreds import result
from tests.fixtures.distributions import add_sdist, add_wheel, put, wheel_bytes, wheel_name
from tests.fixtures.live_directory import ACME, OTHER, LiveDirectoryFixture
from tests.fixtures.log import log_into

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from simpleindex.core.names import ProjectName
    from simpleindex.directory.scan.snapshot import ScanJob

WHEEL = wheel_name()
FEW = "simpleindex.directory.live.cache_upkeep._FEW"
FIRST = "simpleindex.directory.live.cache_upkeep._FIRST"


class Starts:
    """A root that is read at one start after another, with one cache."""

    def __init__(self, place: Path) -> None:
        self.root = place / "root"
        self.root.mkdir()
        self.cache = place / "cache"
        self.excluded: list[str] = []
        self.file = CatalogueFile.of(str(self.cache), str(self.root), "local")
        self.looked_at: list[str] = []

    def begun(self, *, with_catalogue: bool = True, now_ns: int | None = None) -> LiveDirectoryFixture:
        """A start, and which projects it had to put together."""
        world = LiveDirectoryFixture(self.root, cache=str(self.cache), excluded=self.excluded)
        world.digests.open()
        world.now_ns = now_ns or world.now_ns
        world.live.catalogue = open_catalogue(self.file, world.digests) if with_catalogue else None
        self.looked_at.clear()
        look = world.directory.look

        def noted(directories: Any, loose: Any) -> Any:
            self.looked_at.extend(directories)
            return look(directories, loose)

        world.directory.look = noted  # type: ignore[method-assign]
        world.begin()
        assert world.live.complete
        return world

    def keep(self, world: LiveDirectoryFixture) -> None:
        """Do what is done once a start is complete."""
        keep_cache_up_to_date(world.live.snapshots, world.digests, self.file, world.now_ns)

    def kept(self) -> LiveDirectoryFixture:
        """A start, after which the catalogue is written."""
        world = self.begun()
        self.keep(world)
        return world


@pytest.fixture
def starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Starts:
    """Acme has a wheel with a signature, and an sdist; other, in a directory called Other, has a wheel."""
    monkeypatch.setattr(FEW, 0)
    monkeypatch.setattr(FIRST, 0)
    starts = Starts(tmp_path)
    add_wheel(starts.root)
    put(starts.root / "acme" / f"{WHEEL}.asc", b"signature")
    add_sdist(starts.root, version="2.0")
    put(starts.root / "Other" / wheel_name("other"), wheel_bytes("other"))
    return starts


def test_what_rests_is_the_same_at_the_next_start(starts: Starts) -> None:
    """Its files, what is known of them and where they lie; nothing is listed again, and the counts are the same."""
    first = starts.kept()
    assert sorted(starts.looked_at) == ["Other", "acme"]
    second = starts.begun()
    assert starts.looked_at == []
    for name in (ACME, OTHER):
        before, after = first.live.snapshots[name], second.live.snapshots[name]
        assert (after, after.chosen) == (before, before.chosen)
        assert second.live.snapshots[name] is after
    assert second.project().files[0].signatures == (".asc",)
    tables = first.live.snapshots, second.live.snapshots
    assert len({(table.projects, table.files, table.size) for table in tables}) == 1
    assert [*second.live.snapshots.directories_at_rest()] == [*first.live.snapshots.directories_at_rest()]
    assert second.names() == ["acme", "other"]
    assert second.live.has_file(ACME, WHEEL)
    assert second.lines == []


def test_a_start_unpacks_no_files(starts: Starts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does what is done after it."""
    starts.kept()
    monkeypatch.setattr("simpleindex.core.packed._file", pytest.fail)
    world = starts.begun()
    monkeypatch.setattr(world.digests, "forget_others", pytest.fail)
    starts.keep(world)


def test_what_has_not_changed_stays_in_the_catalogue_when_all_is_looked_at_again(
    starts: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where events were lost only what changed is read, and nothing else comes into memory."""
    monkeypatch.setattr("simpleindex.directory.live.project_reads.BATCH", 1)
    starts.kept()
    world = starts.begun()
    put(starts.root / "acme" / wheel_name(version="3.0"), wheel_bytes(version="3.0"))
    world.live.everything_changed()
    assert starts.looked_at == ["acme"]
    assert len(world.files()) == 3
    assert [*world.live.snapshots.at_rest.others] == [ACME]
    assert world.live.snapshots.at_rest.numbers == 1


CHANGES: dict[str, Callable[[Path], object]] = {
    "another file": lambda acme: put(acme / wheel_name(version="3.0"), wheel_bytes(version="3.0")),
    "a file gone": lambda acme: (acme / WHEEL).unlink(),
    "a side file gone": lambda acme: (acme / f"{WHEEL}.asc").unlink(),
    "a file written in place": lambda acme: (acme / WHEEL).write_bytes(
        wheel_bytes("acme", "1.0", "Summary: x")
    ),
    "a side file written in place": lambda acme: (acme / f"{WHEEL}.asc").write_bytes(b"another"),
    "a file that became a link": lambda acme: os.symlink(
        (acme / WHEEL).rename(acme.parent.parent / WHEEL), acme / WHEEL
    ),
    "a time set": lambda acme: os.utime(acme / WHEEL, ns=(5, 5)),
    "a second link": lambda acme: os.link(acme / WHEEL, acme.parent / "elsewhere"),
    "rules": lambda acme: put(acme / "simpleindex.toml", b'status = "archived"'),
    "a second spelling": lambda acme: (acme.parent / "ACME").mkdir(),
    "another spelling": lambda acme: acme.rename(acme.parent / "ACME"),
    "a loose file": lambda acme: put(acme.parent / wheel_name(version="4.0"), wheel_bytes(version="4.0")),
    "a link to the directory": lambda acme: os.symlink(acme.rename(acme.parent / ".acme"), acme),
    "gone": lambda acme: acme.rename(acme.parent.parent / "gone"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changed_is_seen(starts: Starts, change: str) -> None:
    """The answer is that of a start without a catalogue, and of the next start with one."""
    starts.kept()
    CHANGES[change](starts.root / "acme")
    world = starts.begun()
    assert "Other" not in starts.looked_at
    without = starts.begun(with_catalogue=False)
    starts.keep(world)
    again = starts.begun()
    for name in (ACME, OTHER):
        assert result(world.ask(name)) == result(without.ask(name)) == result(again.ask(name))
    assert world.names() == without.names() == again.names()


KEPT_BACK: dict[str, Callable[[Path], object]] = {
    "a withheld file": lambda acme: put(acme / "acme-9.0.zip", b"broken"),
    "rules": lambda acme: put(acme / "simpleindex.toml", b'status = "archived"'),
    "a loose file": lambda acme: put(acme.parent / wheel_name(version="4.0"), wheel_bytes(version="4.0")),
    "a second spelling": lambda acme: (acme.parent / "ACME").mkdir(),
}


@pytest.mark.parametrize("case", KEPT_BACK)
def test_what_is_more_than_files_is_not_kept(starts: Starts, case: str) -> None:
    """It is judged anew at each start."""
    KEPT_BACK[case](starts.root / "acme")
    first = starts.kept().live.snapshots[ACME]
    world = starts.begun()
    assert "acme" in starts.looked_at
    assert world.live.snapshots[ACME] == first


def test_what_is_young_is_kept_once_it_rests(starts: Starts) -> None:
    """A change within the same tick would leave this very state."""
    world = starts.begun(now_ns=(starts.root / "acme").stat().st_mtime_ns)
    starts.keep(world)
    world.live.stop()
    starts.begun()
    assert "acme" in starts.looked_at


def test_a_clock_that_was_set_back_proves_nothing(starts: Starts) -> None:
    """Equal states may then be of different bytes."""
    world = starts.kept()
    starts.begun(now_ns=world.now_ns - 1)
    assert sorted(starts.looked_at) == ["Other", "acme"]


def test_lost_digests_are_found_anew(starts: Starts) -> None:
    """By them a start knows an unmounted disk, which looks like an empty directory."""
    starts.kept()
    for path in starts.cache.glob("digests.sqlite3*"):
        path.unlink()
    starts.begun()
    assert sorted(starts.looked_at) == ["Other", "acme"]
    for name in ("acme", "Other"):
        (starts.root / name).rename(starts.root.parent / name)
    world = LiveDirectoryFixture(starts.root, cache=str(starts.cache))
    world.digests.open()
    world.begin()
    assert world.live.suspended


def test_what_the_service_uses_itself_is_not_taken(starts: Starts) -> None:
    """Though the catalogue is of a time when it did not."""
    starts.kept()
    starts.excluded.append(str(starts.root / "acme" / WHEEL))
    world = starts.begun()
    assert [file.filename for file in world.project().files] == ["acme-2.0.tar.gz"]


def _damage(starts: Starts) -> None:
    """Damage acme in the catalogue."""
    catalogue = starts.file.open()
    assert catalogue is not None
    data = catalogue.packed(ACME, catalogue.names.number(ACME))
    assert data is not None
    with open(starts.file.path, "r+b") as file:
        file.seek(file.read().index(data) + 24)
        file.write(b"damage")


def test_a_project_that_is_damaged_in_the_catalogue_is_read_again(starts: Starts) -> None:
    """Once it is requested; the request waits for it, and the counts stay right."""
    starts.kept()
    world = starts.begun()
    table = world.live.snapshots
    before = world.names(), table.projects, table.files, table.size
    _damage(starts)
    assert table.peek(ACME) is None
    assert starts.looked_at == []
    assert len(world.files()) == 2
    assert starts.looked_at == ["acme"]
    assert (world.names(), table.projects, table.files, table.size) == before


def test_damage_is_no_change(starts: Starts) -> None:
    """No file of the project has appeared, and it is one project as before when all vanish."""
    starts.kept()
    world = starts.begun()
    changes: list[object] = []
    world.live.files_listener = lambda *each: changes.append(each)
    _damage(starts)
    world.files()
    assert (changes, world.changes) == ([], [])
    for name in ("acme", "Other"):
        (starts.root / name).rename(starts.root.parent / name)
        world.live.directories_changed(frozenset({name}))
    assert world.live.suspended


def test_a_damaged_project_that_is_gone(starts: Starts) -> None:
    """It is not listed any more."""
    starts.kept()
    world = starts.begun()
    assert world.names() == ["acme", "other"]
    _damage(starts)
    (starts.root / "acme").rename(starts.root.parent / "acme")
    assert result(world.ask()) is None
    assert world.names() == ["other"]


def test_a_change_of_a_project_in_the_catalogue(starts: Starts) -> None:
    """It is in memory from then on."""
    starts.kept()
    world = starts.begun()
    add_wheel(starts.root, version="3.0")
    world.live.directories_changed(frozenset({"acme"}))
    assert len(world.files()) == 3
    assert world.live.snapshots.files == 4
    assert world.live.snapshots.changed_since_catalogue == 2
    (starts.root / "acme").rename(starts.root.parent / "acme")
    world.live.root_changed()
    assert world.live.snapshots.files == 1
    assert world.live.snapshots.changed_since_catalogue == 1


def test_a_root_that_is_accepted_anew(starts: Starts) -> None:
    """The catalogue serves for that start too, once an operator says that the root is right."""
    world = starts.kept()
    world = starts.begun()
    for name in ("acme", "Other"):
        (starts.root / name).rename(starts.root.parent / name)
    world.live.root_changed()
    assert world.live.suspended
    for name in ("acme", "Other"):
        (starts.root.parent / name).rename(starts.root / name)
    world.live.accept()
    assert world.names() == ["acme", "other"]
    assert len(world.files()) == 2


def test_a_name_is_remembered_before_it_is_served(starts: Starts) -> None:
    """As for one that is read."""
    starts.kept()
    remembered: list[ProjectName] = []
    world = LiveDirectoryFixture(starts.root)
    world.live.catalogue = starts.file.open()
    world.live.private_names.remember = remembered.extend  # type: ignore[method-assign, assignment]
    world.begin()
    assert sorted(remembered) == [ACME, OTHER]


def test_a_root_that_is_exchanged_while_it_is_compared(starts: Starts) -> None:
    """What was compared lay in another root."""
    starts.kept()
    world = LiveDirectoryFixture(starts.root, cache=str(starts.cache))
    world.live.catalogue = starts.file.open()
    world.reads.held = True
    world.begin()
    world.reads.deliver()
    assert world.reads.names() == ["recall"]
    starts.root.rename(starts.root.parent / "before")
    world.reads.deliver()
    assert not world.live.snapshots.at_rest


def test_little_change_leaves_the_catalogue_as_it_is(starts: Starts, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small directory has none, and of a large one it is written again when a part has changed."""
    monkeypatch.setattr(FIRST, 3)
    starts.kept()
    assert starts.file.open() is None
    monkeypatch.setattr(FIRST, 2)
    monkeypatch.setattr(FEW, 1)
    starts.kept()
    written = os.stat(starts.file.path).st_ino
    add_wheel(starts.root, "another")
    starts.kept()
    assert os.stat(starts.file.path).st_ino == written
    assert starts.looked_at == ["another"]


def test_digests_of_deleted_files_go_from_a_directory_of_any_size(tmp_path: Path) -> None:
    """Also where as much as can change is little beside what a large directory changes each day."""
    for number in (1, 19, 20, 25, 60, 120):
        place = tmp_path / f"{number}"
        place.mkdir()
        starts = Starts(place)
        for project in range(number):
            add_wheel(starts.root, f"p{project}")
        assert _digests_after(starts) == number
        assert (starts.file.open() is not None) == (number >= 20)
        for project in range(number):
            (starts.root / f"p{project}" / wheel_name(f"p{project}")).unlink()
            add_wheel(starts.root, f"p{project}", "2.0")
        assert _digests_after(starts) == number


def _digests_after(starts: Starts) -> int:
    """Start once more, and return of how many files there are digests then."""
    starts.kept().digests.close()
    with closing(sqlite3.connect(starts.cache / "digests.sqlite3")) as connection:
        (number,) = connection.execute("SELECT COUNT(*) FROM facts").fetchone()
    return int(number)


def test_a_catalogue_that_cannot_be_written(starts: Starts, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says so."""
    lines: list[str] = []
    monkeypatch.setattr("simpleindex.directory.live.cache_upkeep._log", log_into(lines))
    world = starts.begun()
    os.mkdir(f"{starts.file.path}")
    starts.keep(world)
    (line,) = lines
    assert line.startswith(f"The catalogue {starts.file.path} cannot be written (Is a directory)")


def test_a_report_is_settled_by_the_catalogue(starts: Starts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing has changed; what is reported after the comparison is of the look that comes then."""
    monkeypatch.setattr("simpleindex.directory.live.project_reads.BATCH", 1)
    starts.kept()
    world = starts.begun()
    world.live.directories_changed(frozenset({"acme"}))
    assert (starts.looked_at, world.live._reported) == ([], set())
    reported: list[tuple[ProjectName, bool]] = []

    def noted(batches: BatchReader, jobs: Sequence[ScanJob], *arguments: Any, **named: Any) -> Any:
        reported.extend((job.name, job.is_reported) for job in jobs)
        return read(batches, jobs, *arguments, **named)

    read = BatchReader.read
    monkeypatch.setattr(BatchReader, "read", noted)
    world.reads.held = True
    world.live.directories_changed(frozenset({"acme"}))
    world.reads.start()
    add_wheel(starts.root, version="3.0")
    world.live.directories_changed(frozenset({"acme"}))
    world.reads.release()
    assert reported == [(ACME, True)]
    assert world.live._reported == set()
    assert len(world.files()) == 3


def test_a_stop_while_projects_are_compared(starts: Starts) -> None:
    """Nothing of them is published any more."""
    starts.kept()
    world = LiveDirectoryFixture(starts.root, cache=str(starts.cache))
    world.live.catalogue = starts.file.open()
    world.reads.held = True
    world.begin()
    world.reads.deliver()
    world.reads.start()
    world.live.stop()
    world.reads.deliver()
    assert not world.live.snapshots.at_rest
