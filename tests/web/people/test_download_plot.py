"""The plot of downloads: its bars and numbers, and the page that shows it to those who may see them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.access.identity import Identity
from simpleindex.config.resolution import resolve
from simpleindex.core.names import ProjectName
from simpleindex.web.downloads.history import DownloadHistory
from simpleindex.web.downloads.rights import ReadableDownloads
from simpleindex.web.people.project.download_plot import HEIGHT, DailyCounts, DownloadBar, download_plot
from simpleindex.web.people.project.project_page import PageServices, ProjectPage
from tests.fixtures.counted_downloads import NOW, TODAY, WHEEL, downloads_of_two_projects, key
from tests.fixtures.deferreds import result
from tests.fixtures.people_site import PLAIN_BROWSER, Document, open_people_pages
from tests.fixtures.site import SiteFixture
from tests.fixtures.stub_source import StubSource
from tests.fixtures.threads import InlineThreads

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fixtures.log import CapturedLog

TOOL = ProjectName("tool")


def test_bars() -> None:
    """A day without downloads has none, one with a single download is seen, the busiest is as high as the plot."""
    plot = download_plot(DailyCounts(TODAY, ((TODAY - 89, 1), (TODAY - 30, 40), (TODAY, 1000))))
    assert plot.bars == (
        DownloadBar(0, 1, "2026-09-01", 1),
        DownloadBar(177, 2, "2026-10-30", 40),
        DownloadBar(267, HEIGHT, "2026-11-29", 1000),
    )
    assert (plot.since, plot.until, plot.width) == ("2026-09-01", "2026-11-29", 270)
    assert (plot.total, plot.recent, plot.busiest) == (1041, 1000, 1000)


def test_no_bars() -> None:
    assert download_plot(DailyCounts(TODAY, ())).busiest == 0


class Readable:
    """Rights under which one reader may see downloads."""

    def may_see_counts(self, reader: Identity, _name: ProjectName) -> bool:
        return reader.user != "stranger"


class HistoryFixture:
    """The history over counts of two projects, and its clock."""

    def __init__(self, place: Path) -> None:
        self.now = NOW
        self.settings = resolve({"path": str(place)}, {"HOME": str(place)}, place)
        self.threads = InlineThreads()
        self.database = downloads_of_two_projects(place)
        rights: Any = Readable()
        self.history = DownloadHistory(
            ReadableDownloads(rights, self.database, self.threads, lambda: self.settings, lambda: self.now)
        )

    def of(self, user: str = "alice", name: ProjectName = TOOL) -> DailyCounts | None:
        """Return what a user gets."""
        counts: DailyCounts | None = result(self.history.of(Identity(user), name))
        return counts


@pytest.fixture
def history(tmp_path: Path) -> HistoryFixture:
    return HistoryFixture(tmp_path)


def test_a_history(history: HistoryFixture) -> None:
    """It is read again after some seconds, not for each request."""
    counts = DailyCounts(TODAY, ((TODAY - 50, 4), (TODAY - 1, 3), (TODAY, 2)))
    assert history.of() == counts
    history.database.add({key("tool", WHEEL): 1}, (), patience=1)
    assert history.of() == counts
    assert history.threads.calls == 1
    history.now += 10
    assert history.of() == DailyCounts(TODAY, (*counts.days[:2], (TODAY, 3)))
    assert history.of(name=ProjectName("other")) == DailyCounts(TODAY, ())


def test_who_may_not_see_it(history: HistoryFixture) -> None:
    """They see none of it, also when it was read for somebody else."""
    assert history.of() is not None
    assert history.of("stranger") is None
    history.settings = replace(history.settings, downloads=False)
    assert history.of() is None
    assert history.threads.calls == 1


def test_counts_that_cannot_be_read(history: HistoryFixture, tmp_path: Path, log: CapturedLog) -> None:
    """Pages come without them; for a minute nothing waits for them again, and the log says so once."""
    (tmp_path / "downloads.sqlite3").write_bytes(b"no database" * 1000)
    assert history.of() is None
    history.now += 59
    assert history.of(name=ProjectName("other")) is None
    assert history.threads.calls == 1
    (line,) = [line for line in log.lines if "Pages show no downloads for 60 s" in line]
    assert "downloads.sqlite3" in line
    (tmp_path / "downloads.sqlite3").unlink()
    history.now += 1
    assert history.of() == DailyCounts(TODAY, ())


def shown(counts: DailyCounts | None) -> Document:
    """Return the page of a project with these downloads."""
    source = StubSource()
    source.add(WHEEL, b"wheel")

    async def downloads(_reader: Identity, _name: ProjectName) -> DailyCounts | None:
        return counts

    def pages(index: SiteFixture, admission: Any) -> Any:
        made = open_people_pages(index, admission)
        services: PageServices = replace(made.project._services, downloads=downloads)  # type: ignore[attr-defined]
        return replace(made, project=ProjectPage(services))

    reply = SiteFixture(source, people=pages).get("/tool/", *PLAIN_BROWSER)
    assert reply.status == 200
    return Document(reply.body.decode())


def test_the_page(history: HistoryFixture) -> None:
    """It has the plot, with the numbers as texts."""
    page = shown(history.of())
    assert "Downloads 5 in 30 days, 9 in 90 days" in page.text
    (plot,) = page.all("svg")
    label = plot.attributes["aria-label"]
    assert label == "Downloads by day from 2026-09-01 to 2026-11-29, at most 4 on one day"
    assert [title.text for title in page.all("title")[1:]] == [
        "2026-10-10: 4",
        "2026-11-28: 3",
        "2026-11-29: 2",
    ]


@pytest.mark.parametrize(("counts", "has_downloads"), [(None, False), (DailyCounts(TODAY, ()), True)])
def test_a_page_without_plot(counts: DailyCounts | None, has_downloads: bool) -> None:
    page = shown(counts)
    assert not page.all("svg")
    assert ("None in the last 90 days" in page.text) == has_downloads
