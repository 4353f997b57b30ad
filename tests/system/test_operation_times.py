"""Durations of operations: counted in buckets, with failures and the time of the last success."""

from __future__ import annotations

import pytest

from simpleindex.system.operation_times import BOUNDS, OperationTimes


def test_counts_in_buckets() -> None:
    times = OperationTimes(lambda: 5.0)
    for seconds in (0.0, 0.0005, 0.3, 99.0):
        times.add("read", seconds, failed=False)
    read = times.durations["read"]
    assert (read.counts[0], read.counts[BOUNDS.index(0.5)], read.counts[-1]) == (2, 1, 1)
    assert (read.failures, read.succeeded) == (0, 5.0)
    assert read.total == pytest.approx(99.3005)


def test_an_error_is_a_failure() -> None:
    times = OperationTimes()
    with pytest.raises(OSError, match="full"), times.measuring("write"):
        raise OSError("full")
    assert (times.durations["write"].failures, times.durations["write"].succeeded) == (1, 0.0)
    with times.measuring("write"):
        pass
    assert sum(times.durations["write"].counts) == 2
    assert times.durations["write"].succeeded > 0
