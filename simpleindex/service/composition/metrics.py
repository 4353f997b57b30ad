"""Composition of metrics: what is counted, what is read when it is scraped, and the page; imported only where metrics are on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simpleindex.metrics.catalogue import catalogue_families
from simpleindex.metrics.families import gauge
from simpleindex.metrics.requests import RequestMetrics
from simpleindex.service.report import report_of
from simpleindex.web.metrics_page import MetricsPage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from simpleindex.metrics.exposition import Exposition
    from simpleindex.metrics.families import MetricFamily
    from simpleindex.service.composition.http import HttpParts
    from simpleindex.service.composition.logins import Logins
    from simpleindex.service.composition.sources import ComposedSources
    from simpleindex.service.runtime import Runtime
    from simpleindex.tls.security import Security
    from simpleindex.web.status import StatusReport


REPORT_SECONDS: Final = 60.0
"""For how long a count of all files is good while no project changes: it takes 50 ms with 50,000 files."""


@dataclass(frozen=True)
class MeasuredParts:
    """The parts of an index that are measured.

    Attributes:
        runtime: What the parts share.
        security: The certificates; None without ``--https``.
        sources: The directories and upstreams.
        logins: Users, tokens and rights; None if nobody can log in.
        http: Pages, files and changes over HTTP.
    """

    runtime: Runtime
    security: Security | None
    sources: ComposedSources
    logins: Logins | None
    http: HttpParts


class IndexMetrics:
    """The metrics of one index.

    Args:
        parts: What is counted and measured.

    Attributes:
        requests: Counts requests and downloads.
    """

    def __init__(self, parts: MeasuredParts) -> None:
        self.requests = RequestMetrics(parts.runtime.reactor.seconds)
        self._parts = parts
        self._exposition: Exposition | None = None
        self._report: StatusReport | None = None
        self._reported: tuple[object, ...] = ()
        self._report_until = 0.0

    def families(self) -> Iterator[MetricFamily]:
        """Return the families of the index as they are now."""
        yield from self.requests.families()
        yield from catalogue_families(self._report_now())
        connections = sum(len(site.connections) for site in self._parts.http.sites)
        yield gauge("simpleindex_connections", "Open connections of clients.", connections)

    async def text(self) -> tuple[bytes, str]:
        """Return the metrics as Prometheus reads them, and their content type."""
        if self._exposition is None:
            # The library takes 80 ms to import, which the first scrape waits for and nobody else.
            self._exposition = await self._parts.runtime.threads.reads.run(_load, self.families)
        exposition = self._exposition
        return exposition.text(), exposition.content_type

    def _report_now(self) -> StatusReport:
        directories = self._parts.sources.directories
        state = tuple((each.live.generation, each.live.complete, each.live.suspended) for each in directories)
        now = self._parts.runtime.reactor.seconds()
        if self._report is None or state != self._reported or now >= self._report_until:
            self._report, self._reported = report_of(directories), state
            self._report_until = now + REPORT_SECONDS
        return self._report


def _load(families: Callable[[], Iterable[MetricFamily]]) -> Exposition:
    from simpleindex.metrics.exposition import Exposition  # noqa: PLC0415  (with the first scrape)

    return Exposition(families)


def compose_metrics(parts: MeasuredParts) -> IndexMetrics:
    """Create the metrics of an index, and give it the page that shows them."""
    metrics = IndexMetrics(parts)
    networks = parts.runtime.settings.metrics_for or ()
    parts.http.resource.metrics = MetricsPage(networks, parts.http.admission, metrics.text)
    return metrics
