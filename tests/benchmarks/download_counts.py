"""Time every question about five million rows of download counts: ``python -m tests.benchmarks.download_counts [ROWS [URL]]``.

URL is an empty PostgreSQL database; without it the counts are in a SQLite file. As many single downloads are kept with addresses.

The rows are made up: 2,000 projects of which the first has some 12 % of all downloads (as popularity goes by rank), 400 days,
300 users, 12 programs.
"""

from __future__ import annotations

import random
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from simpleindex.core.names import ProjectName
from simpleindex.records.downloads.counting import DownloadScope, Grouping, count_downloads
from simpleindex.records.downloads.downloaders import MOST_ROWS
from simpleindex.records.downloads.keys import DownloadKey, day_of, month_of
from simpleindex.records.downloads.single_downloads import counted_files, daily_downloads, kept_downloads
from simpleindex.records.opening import open_downloads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from simpleindex.records.downloads.database import DownloadsDatabase

DAYS: Final = 400
PROJECTS: Final = 2_000
FILES_OF_PROJECT: Final = 20
USERS: Final = 300
PROGRAMS: Final = 12

TRIES: Final = 3
"""The fastest counts, because other work on the machine makes a question only slower."""

_SUMS: Final = (
    "INSERT INTO file_days SELECT file, day, SUM(count) FROM daily GROUP BY file, day",
    "INSERT INTO file_months SELECT month, file, SUM(count) FROM file_days JOIN months USING (day) GROUP BY month, file",
    "INSERT INTO totals SELECT 1, day, program, SUM(count) FROM daily GROUP BY day, program",
    "INSERT INTO totals SELECT 2, day, person, SUM(count) FROM daily GROUP BY day, person",
    "INSERT INTO totals SELECT 3, day, origin, SUM(count) FROM daily GROUP BY day, origin",
    "INSERT INTO events SELECT file, day * 86400, program, person, origin, '26.3', '192.0.2.7' FROM daily",
)


_TABLES: Final = (
    "files",
    "programs",
    "people",
    "origins",
    "daily",
    "file_days",
    "file_months",
    "totals",
    "events",
)


def _contents(rows: int, today: int) -> Iterator[tuple[str, Iterable[Sequence[object]]]]:
    """Yield the tables that are not sums of others, with their rows."""
    yield "files", _files()
    yield "programs", [(n, f"program{n}") for n in range(PROGRAMS)]
    yield "people", [(n, f"user{n}", "") for n in range(USERS)]
    yield "origins", [(1, "local", "directory"), (2, "pypi", "cached")]
    yield "daily", _rows(rows, today)
    yield "months", [(day, month_of(day)) for day in range(today - DAYS, today + 1)]


_MONTHS: Final = "CREATE TEMP TABLE months (day INTEGER PRIMARY KEY, month INTEGER)"

_FIRST_KEY: Final = ("p0", "p0-0-py3-none-any.whl", "pip", "", "", "local", "directory")


def fill(database: DownloadsDatabase, url: str | None, rows: int, today: int) -> None:
    """Write this many rows, and the sums of them, without the way through single downloads."""
    database.add({DownloadKey(today, *_FIRST_KEY): 1}, (), patience=1)  # type: ignore[arg-type]
    if url is not None:
        return _fill_server(url, rows, today)
    with closing(sqlite3.connect(database.path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        for table in _TABLES:
            connection.execute(f"DELETE FROM {table}")
        connection.execute(_MONTHS)
        for table, content in _contents(rows, today):
            marks = ", ".join("?" * _WIDTHS[table])
            connection.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", content)
        for statement in _SUMS:
            connection.execute(statement)
        connection.execute("COMMIT")
    return None


_WIDTHS: Final = {"files": 4, "programs": 2, "people": 3, "origins": 3, "daily": 6, "months": 2}


def _fill_server(url: str, rows: int, today: int) -> None:
    import psycopg

    with psycopg.connect(url, options="-c search_path=simpleindex_downloads", autocommit=True) as connection:
        connection.execute(f"TRUNCATE {', '.join(_TABLES)}".encode())
        connection.execute(_MONTHS)
        connection.execute("CREATE TEMP TABLE made (LIKE daily)")
        for table, content in _contents(rows, today):
            # Some rows have the same key; those of a batch would be added.
            target = "made" if table == "daily" else table
            with connection.cursor().copy(f"COPY {target} FROM STDIN".encode()) as copy:
                for row in content:
                    copy.write_row(row)
        # COPY brings its own numbers.
        connection.execute("ALTER TABLE files ALTER id RESTART WITH 1000000")
        for table in ("programs", "people", "origins"):
            connection.execute(f"ALTER TABLE {table} ALTER id RESTART WITH 1000".encode())
        connection.execute("INSERT INTO daily SELECT * FROM made ON CONFLICT DO NOTHING")
        for statement in _SUMS:
            connection.execute(statement.encode())
        connection.execute("VACUUM ANALYZE")


def _files() -> Iterator[tuple[int, str, str, str]]:
    for number in range(PROJECTS * FILES_OF_PROJECT):
        project, file = divmod(number, FILES_OF_PROJECT)
        version = f"{file // 2}.0"
        yield number, f"p{project}", version, f"p{project}-{version}-{file}-py3-none-any.whl"


def _rows(rows: int, today: int) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Make rows in the order of their key, with which they are written ten times faster."""
    choice = random.Random(1)
    shares = [1 / rank for rank in range(1, PROJECTS + 1)]
    cut = [*accumulate(shares)]
    number = 0
    for project in range(PROJECTS):
        until = round(rows * cut[project] / cut[-1])
        of_file = [0] * FILES_OF_PROJECT
        for index in range(until - number):
            of_file[index % FILES_OF_PROJECT] += 1
        number = until
        for file, count in enumerate(of_file):
            for _ in range(count):
                yield (
                    project * FILES_OF_PROJECT + file,
                    today - choice.randrange(DAYS),
                    choice.randrange(PROGRAMS),
                    choice.randrange(USERS),
                    1 + (project > PROJECTS // 2),
                    choice.randrange(1, 9),
                )


def questions(today: int) -> Iterator[tuple[str, DownloadScope, Grouping]]:
    """Yield every kind of question, about a month, about 90 days and about everything."""
    subjects = ((None, None), ("p0", None), ("p0", "3.0"), ("p700", None))
    for project, version in subjects:
        for days in (30, 90, DAYS):
            scope = DownloadScope(today - days, None if project is None else ProjectName(project), version)
            for by in Grouping:
                subject = " ".join(each for each in (project or "all", version) if each)
                yield f"{subject}, {days} days, by {by}", scope, by


def main(rows: int, url: str | None) -> None:
    """Print how long each question takes, the slowest first, and how fast single downloads are written."""
    today = day_of(time.time())
    with tempfile.TemporaryDirectory() as state:
        database = open_downloads(state, url)
        begun = time.perf_counter()
        fill(database, url, rows, today)
        ((count,),) = database.read("SELECT COUNT(*) FROM daily", ())
        print(f"{count:,} rows in {time.perf_counter() - begun:.0f} s")
        times = []
        for text, ask in _timed_questions(database, today):
            times.append((*min(_seconds(ask) for _ in range(TRIES)), text, len(ask())))
        for seconds, processor, text, found_rows in sorted(times, reverse=True):
            print(f"{seconds * 1000:8.1f} ms, processor {processor * 1000:6.1f} ms  {text} ({found_rows:,})")
        _time_writing(database, today)


def _seconds(ask: Callable[[], object]) -> tuple[float, float]:
    """Return the time and the processor time of a question, without those of a PostgreSQL server."""
    begun, processor = time.perf_counter(), time.thread_time()
    ask()
    return time.perf_counter() - begun, time.thread_time() - processor


def _timed_questions(
    database: DownloadsDatabase, today: int
) -> Iterator[tuple[str, Callable[[], Sequence[object]]]]:
    for text, scope, by in questions(today):
        yield text, partial(count_downloads, database, scope, by)
    for subject in ("3.0", "p0-3.0-6-py3-none-any.whl"):
        files = [
            number
            for number, version, name in counted_files(database, ProjectName("p0"))
            if subject in {version, name}
        ]
        for since in (today - 30, 0):
            days = "all" if since == 0 else "30"
            yield (
                f"who p0 {subject}, {days} days, single",
                partial(kept_downloads, database, files, since, MOST_ROWS),
            )
            yield (
                f"who p0 {subject}, {days} days, by day",
                partial(daily_downloads, database, files, since, MOST_ROWS),
            )


def _time_writing(database: DownloadsDatabase, today: int) -> None:
    key = DownloadKey(today, ProjectName("p0"), "", "pip", "user1", "", "local", "directory")
    batch = {
        key._replace(project=ProjectName(f"p{number}"), filename=f"p{number}-1.0-0-py3-none-any.whl"): 1
        for number in range(1_000)
    }
    begun = time.perf_counter()
    database.add(batch, (), patience=1)
    print(f"{time.perf_counter() - begun:.3f} s for a batch of 1,000")
    begun = time.perf_counter()
    database.prune(today - DAYS + 2, patience=1)
    print(f"{time.perf_counter() - begun:.3f} s to remove two days")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 5_000_000, sys.argv[2] if sys.argv[2:] else None)
