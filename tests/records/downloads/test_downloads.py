"""The counts of downloads: what is added is found again, by everything that it can be counted by, and old counts go."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simpleindex.core.names import ProjectName
from simpleindex.records.downloads import database as downloads_module
from simpleindex.records.downloads.counting import (
    COLUMNS,
    DownloadScope,
    Grouping,
    count_downloads,
)
from simpleindex.records.downloads.keys import DownloadEvent, DownloadKey, first_day_of, month_of
from simpleindex.records.downloads.report import DownloadQuestion, download_report
from tests.fixtures.depth import number_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from simpleindex.records.downloads.database import DownloadsDatabase
    from simpleindex.records.interface import RecordsTransaction

TODAY = (date(2026, 11, 29) - date(1970, 1, 1)).days
ACME = ProjectName("acme")
OTHER = ProjectName("other")


def key(
    filename: str = "acme-1.0.tar.gz",
    day: int = TODAY,
    *,
    project: ProjectName = ACME,
    program: str = "pip",
    user: str = "",
    token: str = "",
    delivery: str = "directory",
) -> DownloadKey:
    source = "local" if delivery == "directory" else "pypi"
    return DownloadKey(day, project, filename, program, user, token, source, delivery)


def counts(
    database: DownloadsDatabase,
    by: Grouping,
    since: int = 0,
    project: ProjectName | None = None,
    version: str | None = None,
) -> list[tuple[Any, ...]]:
    found = count_downloads(database, DownloadScope(since, project, version), by)
    return [(*row.names, row.count) for row in found]


@pytest.fixture
def database(open_counts: Callable[[], DownloadsDatabase]) -> DownloadsDatabase:
    """Some downloads of two projects, in two batches."""
    database = open_counts()
    database.add(
        {
            key(): 3,
            key("acme-2.0-py3-none-any.whl", user="alice"): 2,
            key("acme-2.0-py3-none-any.whl", TODAY - 1, program="uv", user="alice", token="t1"): 1,
        },
        (),
        patience=1,
    )
    database.add(
        {key(): 1, key("other-1.tar.gz", TODAY - 40, project=OTHER, delivery="cached"): 5}, (), patience=1
    )
    return database


def test_nothing_was_counted_yet(open_counts: Callable[[], DownloadsDatabase], tmp_path: Path) -> None:
    """No file is made to find that out, nor to remove what is old."""
    database = open_counts()
    assert counts(database, Grouping.PROJECT) == []
    assert counts(database, Grouping.DAY, project=ACME) == []
    assert download_report(database, DownloadQuestion(0, Grouping.USER, ACME, "1.0"))["total"] == 0
    database.prune(TODAY, patience=1)
    assert not [*tmp_path.rglob("*.sqlite3")]


def test_everything_together(database: DownloadsDatabase) -> None:
    """The numbers of all projects, the largest first, and days in their order."""
    assert counts(database, Grouping.PROJECT) == [("acme", 7), ("other", 5)]
    assert counts(database, Grouping.VERSION) == [("other", "1", 5), ("acme", "1.0", 4), ("acme", "2.0", 3)]
    assert counts(database, Grouping.FILE)[1] == ("acme", "1.0", "acme-1.0.tar.gz", 4)
    assert counts(database, Grouping.DAY) == [(TODAY - 40, 5), (TODAY - 1, 1), (TODAY, 6)]
    assert counts(database, Grouping.CLIENT) == [("pip", 11), ("uv", 1)]
    assert counts(database, Grouping.USER) == [("", "", 9), ("alice", "", 2), ("alice", "t1", 1)]
    assert counts(database, Grouping.ORIGIN) == [("local", "directory", 7), ("pypi", "cached", 5)]


def test_since_a_day(database: DownloadsDatabase) -> None:
    """What was before is not counted."""
    for by in Grouping:
        assert sum(row[-1] for row in counts(database, by, TODAY - 39)) == 7
        assert sum(row[-1] for row in counts(database, by, TODAY)) == 6


def test_one_project_and_one_version(database: DownloadsDatabase) -> None:
    """Nothing of others is counted with them."""
    assert counts(database, Grouping.VERSION, project=ACME) == [("acme", "1.0", 4), ("acme", "2.0", 3)]
    assert counts(database, Grouping.CLIENT, project=ACME) == [("pip", 6), ("uv", 1)]
    assert counts(database, Grouping.CLIENT, project=ACME, version="2.0") == [("pip", 2), ("uv", 1)]
    assert counts(database, Grouping.USER, project=ACME, version="2.0") == [
        ("alice", "", 2),
        ("alice", "t1", 1),
    ]
    assert counts(database, Grouping.DAY, project=ACME, version="2.0") == [(TODAY - 1, 1), (TODAY, 2)]
    assert counts(database, Grouping.PROJECT, project=OTHER) == [("other", 5)]
    assert counts(database, Grouping.ORIGIN, project=OTHER) == [("pypi", "cached", 5)]


def test_a_report(database: DownloadsDatabase) -> None:
    """It has the question, the total and the rows; a version is found however it is spelled."""
    report = download_report(database, DownloadQuestion(TODAY - 30, Grouping.USER, ACME, "2"))
    assert report == {
        "project": "acme",
        "version": "2.0",
        "since": "2026-10-30",
        "by": "user",
        "total": 3,
        "rows": 2,
        "counts": [
            {"user": "alice", "token": None, "count": 2},
            {"user": "alice", "token": "t1", "count": 1},
        ],
    }


@pytest.mark.parametrize(
    ("by", "shown"), [(Grouping.DAY, [{"day": "2026-11-29", "count": 6}]), (Grouping.PROJECT, None)]
)
def test_a_limit(database: DownloadsDatabase, by: Grouping, shown: object) -> None:
    """It leaves out the smallest numbers, or the oldest days, and not their part of the total."""
    report = download_report(database, DownloadQuestion(0, by, limit=1))
    assert report["total"] == 12
    assert report["rows"] == (3 if by is Grouping.DAY else 2)
    assert report["counts"] == (shown or [{"project": "acme", "count": 7}])


def test_old_counts_are_removed(database: DownloadsDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the files that have no others; counts of the same month before the first day that is kept are not shown."""
    monkeypatch.setattr(downloads_module, "_FILES_AT_ONCE", 1)
    database.add(
        {key("acme-0.9.tar.gz", TODAY - 20): 4, key("acme-0.9.tar.gz", TODAY - 2): 1}, (), patience=1
    )
    database.prune(TODAY - 2, patience=1)
    for by in Grouping:
        assert sum(row[-1] for row in counts(database, by)) == 8
    assert counts(database, Grouping.PROJECT) == [("acme", 8)]
    assert counts(database, Grouping.VERSION, project=OTHER) == []


def test_everything_is_old(database: DownloadsDatabase) -> None:
    """Nothing is shown then, also of the month in which the last one was."""
    database.prune(TODAY + 1, patience=1)
    for by in Grouping:
        assert counts(database, by) == []


def test_single_downloads(database: DownloadsDatabase) -> None:
    """They are kept with time and address where the operator wants that, and no longer than the counts."""
    now = TODAY * 86_400 + 5
    for day in (0, 50):
        event = DownloadEvent(key(day=TODAY - day), now - day * 86_400, "26.3", "192.0.2.7")
        database.add({event.key: 1}, [event], patience=1)
    rows = "SELECT time, version, address FROM events ORDER BY time DESC"
    assert database.read(rows, ()) == [
        (now, "26.3", "192.0.2.7"),
        (now - 50 * 86_400, "26.3", "192.0.2.7"),
    ]
    database.prune(TODAY - 49, patience=1)
    assert database.read(rows, ()) == [(now, "26.3", "192.0.2.7")]


def test_a_file_whose_name_is_none_of_the_project(database: DownloadsDatabase) -> None:
    """It was served, so it is counted; it has no version."""
    database.add({key("odd.whl"): 1}, (), patience=1)
    assert ("acme", "", 1) in counts(database, Grouping.VERSION)
    assert download_report(database, DownloadQuestion(0, Grouping.VERSION, ACME))["counts"][-1] == {
        "project": "acme",
        "version": None,
        "count": 1,
    }


def test_months() -> None:
    """A month and its first day belong together, from 1970 on."""
    assert first_day_of(month_of(0)) == 0
    assert first_day_of(month_of(TODAY)) == TODAY - 28
    assert first_day_of(month_of(TODAY) + 2) == TODAY + 33


@pytest.fixture
def emptied(database: DownloadsDatabase) -> Callable[[], DownloadsDatabase]:
    """Returns the counts with none in them."""

    def empty(transaction: RecordsTransaction) -> None:
        for table in ("files", "daily", "file_days", "file_months", "totals"):
            transaction.execute(f"DELETE FROM {table}")

    def emptied() -> DownloadsDatabase:
        database.write(empty, patience=1)
        return database

    return emptied


def expected_counts(
    keys: Sequence[DownloadKey], since: int, by: Grouping, project: ProjectName | None
) -> Counter[tuple[object, ...]]:
    """Return the numbers of single downloads."""

    def names(each: DownloadKey) -> tuple[object, ...]:
        # "other" is no beginning of these names, so they have no version there.
        version = each.filename.split("-")[1].removesuffix(".tar.gz") if each.project == ACME else ""
        values = {**each._asdict(), "client": each.program, "file": each.filename, "version": version}
        return tuple(values[column] for column in COLUMNS[by])

    return Counter(names(each) for each in keys if each.day >= since and project in (None, each.project))


@given(
    st.lists(
        st.builds(
            key,
            st.sampled_from(["acme-1.0.tar.gz", "acme-2.0.tar.gz", "acme-2.0-py3-none-any.whl"]),
            st.integers(TODAY - 100, TODAY),
            project=st.sampled_from([ACME, OTHER]),
            program=st.sampled_from(["pip", "uv"]),
            user=st.sampled_from(["", "alice", "bob"]),
        ),
        max_size=30,
    ),
    st.integers(TODAY - 110, TODAY),
    st.sampled_from(Grouping),
    st.sampled_from([None, ACME]),
)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=number_of(40), deadline=None
)
def test_numbers_are_those_of_single_downloads(
    emptied: Callable[[], DownloadsDatabase],
    keys: list[DownloadKey],
    since: int,
    by: Grouping,
    project: ProjectName | None,
) -> None:
    """Whatever way leads to a sum, it is the number of downloads."""
    database = emptied()
    database.add(Counter(keys), (), patience=1)
    expected = expected_counts(keys, since, by, project)
    assert {row[:-1]: row[-1] for row in counts(database, by, since, project)} == expected
