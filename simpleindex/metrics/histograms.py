"""Histograms of durations, as samples of a metric family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpleindex.metrics.families import MetricSample
from simpleindex.system.operation_times import BOUNDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simpleindex.metrics.families import Labels
    from simpleindex.system.operation_times import Durations


def histogram_samples(labels: Labels, durations: Durations) -> Iterable[MetricSample]:
    """Return the samples of a histogram: its buckets, each with all shorter durations, their sum and their number."""
    number = 0
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), durations.counts, strict=True):
        number += count
        yield MetricSample((*labels, ("le", bound)), number, "_bucket")
    yield MetricSample(labels, number, "_count")
    yield MetricSample(labels, durations.total, "_sum")
