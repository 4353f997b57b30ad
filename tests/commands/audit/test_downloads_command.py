"""``simpleindex downloads``: the questions that it takes, and what it prints."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import pytest

from simpleindex.commands.main import main
from simpleindex.core.errors import InvalidQuestion
from simpleindex.core.names import ProjectName
from simpleindex.records.downloads.keys import DownloadKey, day_of
from simpleindex.records.downloads.report import parse_since
from simpleindex.records.opening import open_downloads

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory with some downloads of today, and one of long ago."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SIMPLEINDEX_STATE", str(tmp_path / "state"))
    today = day_of(time.time())
    acme, other = ProjectName("acme"), ProjectName("other")
    wheel, sdist = "acme-2.0-py3-none-any.whl", "acme-1.0.tar.gz"
    counts = {
        DownloadKey(today, acme, wheel, "pip", "alice", "", "local", "directory"): 1200,
        DownloadKey(today, acme, wheel, "uv", "bob", "t1", "local", "directory"): 30,
        DownloadKey(today, acme, sdist, "pip", "", "", "local", "directory"): 4,
        DownloadKey(today - 90, other, "other-1.tar.gz", "curl", "", "", "pypi", "cached"): 7,
    }
    open_downloads(str(tmp_path / "state")).add(counts, (), patience=1)
    return tmp_path / "state"


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["downloads", *words]) == 0
    return capsys.readouterr().out


@pytest.mark.usefixtures("state")
def test_as_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """Without options the last 30 days: by project, by version of a project, by file of a version."""
    shown = re.sub(r"\d{4}-\d\d-\d\d", "DATE", run(capsys))
    assert shown == (
        "1,234 downloads since DATE, by project:\n\nPROJECT  DOWNLOADS\nacme         1,234  100%\n"
    )
    assert run(capsys, "Acme").splitlines()[2:] == [
        "VERSION  DOWNLOADS",
        "2.0          1,230  100%",
        "1.0              4    0%",
    ]
    assert run(capsys, "acme", "1").splitlines()[2:] == [
        "FILE             DOWNLOADS",
        "acme-1.0.tar.gz          4  100%",
    ]
    assert run(capsys, "acme", "--by", "user").splitlines()[2:] == [
        "USER   TOKEN  DOWNLOADS",
        "alice  -          1,200   97%",
        "bob    t1            30    2%",
        "-      -              4    0%",
    ]
    assert run(capsys, "--since", "52w", "--by", "version", "--limit", "1").splitlines()[2:] == [
        "PROJECT  VERSION  DOWNLOADS",
        "acme     2.0          1,230   99%",
        "... and 2 rows more: --limit 0 shows all.",
    ]


@pytest.mark.usefixtures("state")
def test_nothing_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """It says so."""
    assert run(capsys, "other", "--since", "2d").startswith("No download of other was counted since ")


@pytest.mark.usefixtures("state")
def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """All rows, unless a limit is given."""
    report = json.loads(run(capsys, "acme", "--by", "client", "--json"))
    assert report["counts"] == [{"client": "pip", "count": 1204}, {"client": "uv", "count": 30}]
    assert report["total"] == 1234
    assert len(json.loads(run(capsys, "acme", "--json", "--limit", "1"))["counts"]) == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("-x",), "unrecognized arguments: -x"),
        (("acme", "--since", "soon"), "--since: 'soon' is neither a time such as 30d or 8w nor a date"),
        (("acme", "--by", "mood"), "invalid choice: 'mood'"),
        (("acme", "--limit", "-1"), "--limit: '-1' is no number of rows."),
        (("-",), "is not a valid project name"),
    ],
)
@pytest.mark.usefixtures("state")
def test_mistakes(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str) -> None:
    """One sentence for each."""
    assert main(["downloads", *words]) == 2
    assert sentence in capsys.readouterr().err


def test_counts_that_cannot_be_read(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged file is named, with a remedy."""
    (state / "downloads.sqlite3").write_bytes(b"no database" * 1000)
    assert main(["downloads"]) == 2
    assert "downloads.sqlite3 cannot be used" in capsys.readouterr().err


def test_since() -> None:
    """A time before now, or a date; the whole of its day counts."""
    now = 20_786 * 86_400 + 3600.0
    assert parse_since("30d", now) == 20_756
    assert parse_since("9999w", now) == 0
    assert parse_since("2026-11-28", now) == 20_785
    with pytest.raises(InvalidQuestion):
        parse_since("30s", now)
