"""Who downloaded something: from single downloads, from access logs, from counts, in this order."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from simpleindex.core.names import ProjectName
from simpleindex.records.downloads.downloaders import WhoQuestion, downloaders
from simpleindex.records.opening import open_downloads
from simpleindex.web.http.access_log import LogEntry, combined
from tests.fixtures.counted_downloads import NOW, SDIST, TODAY, WHEEL, downloads_of_two_projects

if TYPE_CHECKING:
    from pathlib import Path

TOOL = ProjectName("tool")


def log_line(filename: str, when: float, *, user: str = "", status: int = 200) -> str:
    request = f"GET /simple/tool/{filename} HTTP/1.1".encode()
    return combined(LogEntry("192.0.2.9", user, when, request, status, 10, b"", b"uv/0.13.9 {}"))


def test_single_downloads(tmp_path: Path) -> None:
    """With time, address, user and client; and how many more were counted."""
    database = downloads_of_two_projects(tmp_path, with_addresses=True)
    answer = downloaders(database, None, WhoQuestion(TOOL, "2", 0))
    assert answer == {
        "project": "tool",
        "subject": "2",
        "since": "1970-01-01",
        "counted": 5,
        "source": "downloads",
        "note": "Only 2 downloads of 5 are kept with time and address; the others were before --keep-addresses, or are in the "
        "access log.",
        "downloads": [
            {
                "time": "2026-11-29T01:00:00Z",
                "file": WHEEL,
                "address": "192.0.2.7",
                "user": "alice",
                "token": None,
                "client": "pip 26.3",
            },
            {
                "time": "2026-11-29T00:59:51Z",
                "file": WHEEL,
                "address": None,
                "user": "alice",
                "token": None,
                "client": "pip 26.3",
            },
        ],
    }
    today = downloaders(database, None, WhoQuestion(TOOL, WHEEL, TODAY))
    assert (today["counted"], today["note"], len(today["downloads"])) == (2, None, 2)
    first = downloaders(database, None, WhoQuestion(TOOL, WHEEL, 0, limit=1))
    assert (first["note"], len(first["downloads"])) == (None, 1)


def test_the_access_log(tmp_path: Path) -> None:
    """Where no download is kept by itself: the newest requests, parts among them, of the wanted files."""
    database = downloads_of_two_projects(tmp_path)
    log = tmp_path / "access.log"
    (tmp_path / "access.log.1").write_text(
        log_line(WHEEL, NOW - 90_000, user="token:t1") + log_line(SDIST, NOW - 90_000)
    )
    log.write_text(log_line(WHEEL, NOW, user="bob", status=206) + log_line(WHEEL, NOW - 86_400 * 9))
    answer = downloaders(database, str(log), WhoQuestion(TOOL, "2.0", TODAY - 5))
    assert (answer["source"], answer["note"], answer["counted"]) == ("access log", None, 5)
    assert answer["downloads"] == [
        {
            "time": "2026-11-29T01:00:00Z",
            "file": WHEEL,
            "address": "192.0.2.9",
            "user": "bob",
            "token": None,
            "client": "uv 0.13.9",
            "bytes": 10,
            "part": True,
        },
        {
            "time": "2026-11-28T00:00:00Z",
            "file": WHEEL,
            "address": "192.0.2.9",
            "user": None,
            "token": "t1",
            "client": "uv 0.13.9",
            "bytes": 10,
            "part": False,
        },
    ]
    assert len(downloaders(database, str(log), WhoQuestion(TOOL, "2.0", 0, limit=2))["downloads"]) == 2


def test_logs_that_are_too_large(tmp_path: Path) -> None:
    """The newest ones are read, at least one, and the answer says so."""
    database = downloads_of_two_projects(tmp_path)
    log = tmp_path / "access.log"
    for age, path in enumerate((log, tmp_path / "access.log.1", tmp_path / "access.log.2")):
        path.write_text(log_line(WHEEL, NOW - age))
        os.utime(path, (NOW - age, NOW - age))
    size = log.stat().st_size
    for most, files in ((0, 1), (2 * size, 2)):
        answer = downloaders(database, str(log), WhoQuestion(TOOL, WHEEL, 0), most)
        assert answer["note"] == f"Only the newest {files} of the 3 files of the access log were read."
        assert len(answer["downloads"]) == files
    assert downloaders(database, str(log), WhoQuestion(TOOL, WHEEL, 0), 9 * size)["note"] is None


def test_daily_counts(tmp_path: Path) -> None:
    """Where there is nothing else; what is not known is said."""
    database = downloads_of_two_projects(tmp_path)
    answer = downloaders(database, str(tmp_path / "no.log"), WhoQuestion(TOOL, "2.0", 0))
    assert answer["source"] == "counts"
    assert answer["note"].startswith("Times and addresses are not known: ")
    assert answer["downloads"] == [
        {"day": "2026-11-29", "file": WHEEL, "user": "alice", "token": None, "client": "pip", "count": 2},
        {"day": "2026-11-28", "file": WHEEL, "user": "bob", "token": "t1", "client": "uv", "count": 3},
    ]


@pytest.mark.parametrize("subject", ["3.0", "other.whl", "no version"])
def test_nothing(tmp_path: Path, subject: str) -> None:
    """There is nothing to be listed, and nothing that is not known."""
    for database in (downloads_of_two_projects(tmp_path), open_downloads(str(tmp_path / "none"))):
        answer = downloaders(database, None, WhoQuestion(TOOL, subject, 0))
        assert (answer["counted"], answer["downloads"], answer["note"]) == (0, [], None)


def test_a_name_that_is_no_version() -> None:
    """A file that is not named after its project belongs to no version."""
    assert not WhoQuestion(TOOL, "1.0", 0).is_about("odd.whl")
