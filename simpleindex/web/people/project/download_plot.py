"""The plot of a project's downloads: one bar a day. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

PLOTTED_DAYS: Final = 90

RECENT_DAYS: Final = 30

BAR_WIDTH: Final = 3
"""The width of a day, of which a third lies between two bars."""

HEIGHT: Final = 48

_FIRST_DAY: Final = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class DailyCounts:
    """The downloads of a project in the last days.

    Attributes:
        today: The last day, days since 1970, UTC.
        days: The days with downloads, in their order, each with their number.
    """

    today: int
    days: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class DownloadBar:
    """The bar of a day.

    Attributes:
        left: Where it begins, from the left edge.
        height: Its height, of :data:`HEIGHT`.
        day: The day as a date.
        count: How many downloads there were.
    """

    left: int
    height: int
    day: str
    count: int


@dataclass(frozen=True, slots=True)
class DownloadPlot:
    """The plot.

    Attributes:
        since: The first day as a date.
        until: The last one.
        total: All downloads in it.
        recent: Those of the last 30 days.
        busiest: The largest number of one day; 0 without any.
        width: Of the whole plot.
        height: The same.
    """

    bars: tuple[DownloadBar, ...]
    since: str
    until: str
    total: int
    recent: int
    busiest: int
    width: int = PLOTTED_DAYS * BAR_WIDTH
    height: int = HEIGHT


def download_plot(counts: DailyCounts) -> DownloadPlot:
    """Return the plot of some counts."""
    first = counts.today - PLOTTED_DAYS + 1
    busiest = max((count for _, count in counts.days), default=0)
    bars = tuple(
        # A single download is seen beside a day of thousands.
        DownloadBar((day - first) * BAR_WIDTH, max(1, round(HEIGHT * count / busiest)), _date(day), count)
        for day, count in counts.days
    )
    recent = sum(count for day, count in counts.days if day > counts.today - RECENT_DAYS)
    total = sum(count for _, count in counts.days)
    return DownloadPlot(bars, _date(first), _date(counts.today), total, recent, busiest)


def _date(day: int) -> str:
    return (_FIRST_DAY + timedelta(days=day)).isoformat()
