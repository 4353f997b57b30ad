"""The databases of records that every test of the tables runs over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simpleindex.records.opening import open_downloads, open_records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from simpleindex.records.downloads.database import DownloadsDatabase
    from simpleindex.records.interface import Records


@pytest.fixture(params=["sqlite", "postgresql"])
def open_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Records]]:
    """Opens the same records once more, as another process does."""
    url = None
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql").create_database()
    opened: list[Records] = []

    def open_once_more() -> Records:
        records = open_records(str(tmp_path / "state"), url)
        records.prepare()
        opened.append(records)
        return records

    yield open_once_more
    for records in opened:
        records.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def open_counts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], DownloadsDatabase]]:
    """Opens the same counts of downloads once more, as another process does."""
    url = None
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql").create_database()
    opened: list[DownloadsDatabase] = []

    def open_once_more() -> DownloadsDatabase:
        opened.append(open_downloads(str(tmp_path / "state"), url))
        return opened[-1]

    yield open_once_more
    for counts in opened:
        counts.close()
