"""The text format that Prometheus scrapes, with the figures of the process; imports prometheus-client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from simpleindex.metrics.families import MetricFamily


class _FamilyCollector(Collector):
    """Collects metric families when they are scraped."""

    def __init__(self, families: Callable[[], Iterable[MetricFamily]]) -> None:
        self._families = families

    def describe(self) -> list[Any]:
        """Return nothing: what is there depends on the index, and is not collected before a scrape."""
        return []

    def collect(self) -> Iterator[Metric]:
        for family in self._families():
            metric = Metric(family.name, family.help, family.type)
            for each in family.samples:
                metric.add_sample(family.name + each.suffix, dict(each.labels), each.value)
            yield metric


class Exposition:
    """The exposition of one process, from a registry of its own.

    Args:
        families: Returns the families now.

    Attributes:
        content_type: Of the text.
    """

    content_type: str = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self, families: Callable[[], Iterable[MetricFamily]]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_FamilyCollector(families))
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def text(self) -> bytes:
        """Return all families in the text format."""
        return generate_latest(self._registry)
