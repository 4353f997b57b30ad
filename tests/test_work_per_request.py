"""No request does more work than it did: function calls, which need no clock and are the same on every machine."""

from __future__ import annotations

from typing import Final

import pytest

from tests.benchmarks.work_per_request import calls, work_per_request
from tests.fixtures.fast_lane import needs_fast_lane

pytestmark = needs_fast_lane

BOUNDS: Final = {
    # The page is had by the same coroutine as in the ordinary lane, of which each step counts as a call: +0.5 us of 16, saved elsewhere.
    "page": 26,
    # The directory is looked into, and whether the name was ever used here: 11 calls more than for a page of the directory.
    "page of an upstream": 38,
    # From the cache, without a thread.
    "file of an upstream": 430,
    "page, ordinary lane": 308,
    "page JSON gzip": 26,
    "page JSON gzip, ordinary lane": 367,
    "page 304": 27,
    "page 304, ordinary lane": 299,
    "root": 29,
    # All that is on them is looked for again: the project, its metadata, who requires it, the rights, the title.
    "page for people": 82,
    "front page": 55,
    # Reported when it is over, and whether it was a download: 8 calls.
    ".metadata": 311,
    # Descriptors are counted before a file is opened, so that the directory never runs out of them: 6 calls.
    "file of one chunk": 333,
}
"""Calls of Python functions; a tenth above what was counted, for other versions of Python and Twisted."""


@pytest.fixture(scope="module")
def counted() -> dict[str, int]:
    """The calls of each kind of request."""
    return {what: found.total() for what, found in work_per_request().items()}


@pytest.mark.parametrize("what", BOUNDS)
def test_is_bounded(counted: dict[str, int], what: str) -> None:
    """A request that calls more than it did has become slower, or the bound needs a reason to be raised."""
    assert counted[what] <= BOUNDS[what]


def test_every_kind_has_a_bound(counted: dict[str, int]) -> None:
    """A kind of request that is counted is bounded."""
    assert set(counted) == set(BOUNDS)


def test_revalidation_is_no_dearer_than_the_page(counted: dict[str, int]) -> None:
    """JSON with gzip costs what the page itself does, and 304 only the cutting out of its tag besides.

    Once a second one request also makes the new date, whichever it is: a few calls more.
    """
    assert counted["page JSON gzip"] <= counted["page"] + 6
    assert counted["page 304"] <= counted["page"] + 7


def test_counts_functions_called_by_functions() -> None:
    """The count is of calls at any depth, of Python functions only."""
    assert calls(lambda: [str(_twice(number)) for number in range(3)]).total() >= 4


def _twice(number: int) -> int:
    return 2 * number
