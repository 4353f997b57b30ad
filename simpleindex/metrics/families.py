"""Metric families as values: a name, a help text, a type and samples. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


Labels = tuple[tuple[str, str], ...]


class MetricSample(NamedTuple):
    """A sample of a metric family.

    Attributes:
        labels: Names and values of its labels.
        suffix: What follows the name of the family: ``_total`` of counters; ``_bucket``, ``_sum`` and ``_count`` of histograms.
    """

    labels: Labels
    value: float
    suffix: str = ""


class MetricFamily(NamedTuple):
    """The samples of one name.

    Attributes:
        name: Without the suffix of its samples.
        help: What it counts or measures, as a sentence.
        type: As in the exposition format of Prometheus.
        samples: One for each set of labels.
    """

    name: str
    help: str
    type: Literal["counter", "gauge", "histogram"]
    samples: tuple[MetricSample, ...]


def gauge(name: str, text: str, value: float) -> MetricFamily:
    """Return a gauge without labels."""
    return MetricFamily(name, text, "gauge", (MetricSample((), value),))


def counter(name: str, text: str, value: float) -> MetricFamily:
    """Return a counter without labels."""
    return MetricFamily(name, text, "counter", (MetricSample((), value, "_total"),))


def gauges(
    name: str, text: str, labels: tuple[str, ...], values: Mapping[tuple[str, ...], float]
) -> MetricFamily:
    """Return a gauge for each set of values of some labels."""
    return MetricFamily(name, text, "gauge", tuple(_labelled(labels, values, "")))


def counters(
    name: str, text: str, labels: tuple[str, ...], values: Mapping[tuple[str, ...], float]
) -> MetricFamily:
    """Return a counter for each set of values of some labels."""
    return MetricFamily(name, text, "counter", tuple(_labelled(labels, values, "_total")))


def _labelled(
    names: tuple[str, ...], values: Mapping[tuple[str, ...], float], suffix: str
) -> Iterable[MetricSample]:
    for each, value in sorted(values.items()):
        yield MetricSample(tuple(zip(names, each, strict=True)), value, suffix)
