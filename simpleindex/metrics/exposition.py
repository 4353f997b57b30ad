"""The text format that Prometheus scrapes, and the figures of the process; imports prometheus-client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from simpleindex.metrics.families import MetricFamily, MetricSample

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

CONTENT_TYPE: Final[str] = CONTENT_TYPE_PLAIN_0_0_4


class _FamilyCollector(Collector):
    """Collects metric families."""

    def __init__(self, families: Iterable[MetricFamily]) -> None:
        self._families = families

    def describe(self) -> list[Any]:
        """Return nothing: the registry is made for one scrape."""
        return []

    def collect(self) -> Iterator[Metric]:
        for family in self._families:
            metric = Metric(family.name, family.help, family.type)
            for each in family.samples:
                metric.add_sample(family.name + each.suffix, dict(each.labels), each.value)
            yield metric


def exposition(families: Sequence[MetricFamily]) -> bytes:
    """Return families in the text format."""
    registry = CollectorRegistry()
    registry.register(_FamilyCollector(families))
    return generate_latest(registry)


class ProcessFigures:
    """The figures of this process, as Prometheus' client for Python has them."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def families(self) -> Iterator[MetricFamily]:
        """Return them as they are now."""
        for metric in self._registry.collect():
            samples = tuple(
                MetricSample(tuple(each.labels.items()), each.value, each.name.removeprefix(metric.name))
                for each in metric.samples
            )
            yield MetricFamily(metric.name, metric.documentation, cast("Any", metric.type), samples)
