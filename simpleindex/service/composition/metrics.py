"""Composition of metrics: what is counted, what is read when it is scraped, and the page; imported only where metrics are on."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simpleindex.metrics.catalogue import catalogue_families
from simpleindex.metrics.facts import metric_facts
from simpleindex.metrics.families import counter, counters, gauge, gauges
from simpleindex.metrics.operations import (
    cache_families,
    listing_families,
    records_families,
    store_families,
    upstream_families,
)
from simpleindex.metrics.request_counts import RequestMetrics
from simpleindex.metrics.worker_reports import decode_families, encode_families, merge_reports
from simpleindex.service.directory_report import report_of
from simpleindex.system.operation_times import OperationTimes
from simpleindex.web.status.metrics_page import MetricsPage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from simpleindex.metrics.exposition import ProcessFigures
    from simpleindex.metrics.families import MetricFamily
    from simpleindex.service.composition.http import HttpParts
    from simpleindex.service.composition.logins import Logins
    from simpleindex.service.composition.sources import ComposedSources
    from simpleindex.service.runtime import Runtime
    from simpleindex.tls.security import Security
    from simpleindex.web.status.status import StatusReport

    _Collect = Callable[[], Awaitable[tuple[int, Mapping[int, str]]]]

REPORT_SECONDS: Final = 60.0
"""For how long a count of all files is good while no project changes: it takes some 10 ms with 50,000 files."""


@dataclass(frozen=True)
class MeasuredParts:
    """The parts of an index that are measured.

    Attributes:
        runtime: What the parts share.
        security: The certificates; None without ``--https``.
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

    Attributes:
        requests: Counts requests and downloads.
        upstreams: Durations of requests to each upstream, by its name.
        other_workers: Returns the number of this worker, and the reports of the others by their numbers; None without others.
    """

    def __init__(self, parts: MeasuredParts) -> None:
        self.requests = RequestMetrics(parts.runtime.reactor.seconds)
        self._parts = parts
        self.other_workers: _Collect | None = None
        self._process: ProcessFigures | None = None
        self._records, self._store = OperationTimes(), OperationTimes()
        self.upstreams: dict[str, OperationTimes] = {}
        self._measure()
        self._report: StatusReport | None = None
        self._reported: tuple[object, ...] = ()
        self._report_until = 0.0

    def _measure(self) -> None:
        self._parts.runtime.records.measure(self._records)
        for directory in self._parts.sources.directories:
            directory.measure(self._store)
        if self._parts.sources.upstreams is not None:
            for each in self._parts.sources.upstreams.connected:
                times = self.upstreams[each.settings.name] = OperationTimes()
                each.client.measure(times)

    def families(self) -> Iterator[MetricFamily]:
        """Return the families of the index as they are now."""
        yield from self.requests.families()
        yield from catalogue_families(self._report_now())
        yield from self._directory_families()
        yield from self._http_families()
        yield from self._upstream_families()
        yield from records_families(self._records)
        if self._store.durations:
            yield from store_families(self._store)
        if self._parts.security is not None:
            yield _certificates(self._parts.security, time.time())

    def _directory_families(self) -> Iterator[MetricFamily]:
        directories = [each.live for each in self._parts.sources.directories]
        changed = max(each.changed_ns for each in directories)
        if changed:
            yield gauge(
                "simpleindex_catalogue_age_seconds",
                "Time since a project in a directory was last listed anew.",
                time.time() - changed / 1e9,
            )
        yield gauge(
            "simpleindex_watch_lag_seconds",
            "For how long the oldest change in a directory that is known of has not been listed yet.",
            max(each.lag for each in directories),
        )
        yield gauge(
            "simpleindex_queued_projects",
            "Projects that are being read again, or wait for that.",
            sum(each.queued for each in directories),
        )
        yield gauge(
            "simpleindex_queued_digests",
            "Projects with large files that are being read, or wait for that.",
            sum(each.queued_digests for each in directories),
        )
        yield gauge(
            "simpleindex_polling",
            "1 while a directory is polled, because no events report changes, else 0.",
            any(each.polling for each in directories),
        )

    def _http_families(self) -> Iterator[MetricFamily]:
        http, logins = self._parts.http, self._parts.logins
        connections = sum(len(site.connections) for site in http.sites)
        yield gauge("simpleindex_connections", "Open connections of clients.", connections)
        yield gauge(
            "simpleindex_page_cache_bytes", "Bytes of rendered pages in memory.", http.listings.cached_bytes
        )
        yield counter(
            "simpleindex_page_renderings",
            "Pages that were rendered, because none was in memory or it had changed.",
            http.listings.renderings,
        )
        yield counters(
            "simpleindex_refused_downloads",
            "Requests of files that a rule withholds.",
            ("rule",),
            {(rule,): count for rule, count in http.refused.withheld.items()},
        )
        if logins is not None:
            yield counter("simpleindex_failed_logins", "Logins that were refused.", logins.failed.count)

    def _upstream_families(self) -> Iterator[MetricFamily]:
        upstreams = self._parts.sources.upstreams
        if upstreams is None:
            return
        yield from upstream_families(self.upstreams)
        answers = {each.settings.name: each.cached.answers for each in upstreams.connected}
        yield from listing_families(answers, self._reused_answers())
        identities = {each.settings.name: each.settings.identity for each in upstreams.connected}
        yield from cache_families(upstreams.cache.space, identities)
        now = time.time()
        rules = upstreams.files.sources.file
        yield gauge(
            "simpleindex_rules_age_seconds", "Age of the sources file that is in force.", now - rules.modified
        )
        yield gauge(
            "simpleindex_rules_valid",
            "1, or 0 while the sources file is not valid and the former one is in force.",
            rules.is_valid,
        )
        advisories = upstreams.files.lists.advisories_modified
        if advisories is not None:
            yield gauge("simpleindex_advisories_age_seconds", "Age of the newest advisory.", now - advisories)

    def _reused_answers(self) -> Counter[str]:
        from simpleindex.views.union import UnionSource  # noqa: PLC0415  (only with upstreams)

        reused: Counter[str] = Counter()
        for view in self._parts.sources.views.values():
            if isinstance(view, UnionSource):
                reused.update(view.standing_uses())
        return reused

    async def text(self) -> tuple[bytes, str]:
        """Return the metrics as Prometheus reads them, and their content type; of all workers, where there are several."""
        families = await self._all_families()
        if self.other_workers is not None:
            families = await _of_all_workers(families, self.other_workers)
        from simpleindex.metrics.exposition import CONTENT_TYPE, exposition  # noqa: PLC0415  (it is imported by now)

        return exposition(families), CONTENT_TYPE

    async def facts(self) -> dict[str, object]:
        """Return the metrics as JSON; of all workers, where there are several."""
        if self.other_workers is None:
            return metric_facts(self.families())
        return metric_facts(await _of_all_workers(await self._all_families(), self.other_workers))

    async def report(self) -> str:
        """Return the metrics of this process for another worker."""
        return encode_families(await self._all_families())

    async def _all_families(self) -> list[MetricFamily]:
        if self._process is None:
            # The library takes 80 ms to import, which the first scrape waits for and nobody else.
            self._process = await self._parts.runtime.threads.reads.run(_process_figures)
        return [*self.families(), *self._process.families()]

    def _report_now(self) -> StatusReport:
        directories = self._parts.sources.directories
        state = tuple((each.live.generation, each.live.complete, each.live.suspended) for each in directories)
        now = self._parts.runtime.reactor.seconds()
        if self._report is None or state != self._reported or now >= self._report_until:
            self._report, self._reported = report_of(directories), state
            self._report_until = now + REPORT_SECONDS
        return self._report


async def _of_all_workers(families: list[MetricFamily], collect: _Collect) -> list[MetricFamily]:
    number, others = await collect()
    reports = {worker: decode_families(report) for worker, report in others.items()}
    return merge_reports({**reports, number: families})


def _certificates(security: Security, now: float) -> MetricFamily:
    return gauges(
        "simpleindex_certificate_seconds_left",
        "Seconds until a certificate of the server expires.",
        ("file",),
        {
            (os.path.basename(each.where),): each.expires.timestamp() - now
            for each in security.certificates.describe()
        },
    )


def _process_figures() -> ProcessFigures:
    from simpleindex.metrics.exposition import ProcessFigures  # noqa: PLC0415  (with the first scrape)

    return ProcessFigures()


def compose_metrics(parts: MeasuredParts) -> IndexMetrics:
    """Create the metrics of an index, and give it the page that shows them."""
    metrics = IndexMetrics(parts)
    networks = parts.runtime.settings.metrics_for or ()
    page = MetricsPage(networks, parts.http.admission, metrics.text, metrics.facts)
    parts.http.resource.metrics = parts.http.status.metrics = page
    return metrics
