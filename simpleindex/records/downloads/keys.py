"""What is counted of a download, and the days and months that it is counted in. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from simpleindex.core.names import ProjectName

SECONDS_OF_DAY: Final = 86_400

PROGRAM, PERSON, ORIGIN = 1, 2, 3
"""The kinds of daily totals: what their key stands for."""


class DownloadKey(NamedTuple):
    """What is counted together.

    Attributes:
        day: Days since 1970, UTC.
        program: The name of the client's program.
        user: The user; empty without one.
        token: The public id of the token; empty without one.
        source: The name of the directory or upstream that the file is from.
        delivery: How its bytes came: a value of :class:`simpleindex.core.source.Delivery`.
    """

    day: int
    project: ProjectName
    filename: str
    program: str
    user: str
    token: str
    source: str
    delivery: str


class DownloadEvent(NamedTuple):
    """One download with its address, as it is kept where the operator wants addresses.

    Attributes:
        key: What it was counted as.
        time: When it ended, seconds since 1970.
        version: Of the client's program, as it states it.
    """

    key: DownloadKey
    time: int
    version: str
    address: str


def day_of(seconds: float) -> int:
    """Return the day of a moment, days since 1970, UTC."""
    return int(seconds // SECONDS_OF_DAY)


def month_of(day: int) -> int:
    """Return the month of a day, months since the year 0."""
    date = datetime.fromtimestamp(day * SECONDS_OF_DAY, UTC)
    return date.year * 12 + date.month - 1


def first_day_of(month: int) -> int:
    """Return the first day of a month, days since 1970."""
    return day_of(datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC).timestamp())
