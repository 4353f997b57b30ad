"""Metrics of what the index waits for: databases, object stores and upstreams; and of the cache of upstreams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpleindex.metrics.families import (
    MetricFamily,
    counters,
    gauge,
    gauges,
)
from simpleindex.metrics.histograms import histogram_samples

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from simpleindex.system.operation_times import OperationTimes
    from simpleindex.upstreams.cache.cache_space import CacheSpace
    from simpleindex.upstreams.cached import ListingAnswers


def records_families(times: OperationTimes) -> Iterator[MetricFamily]:
    """Return durations of reads and writes of the records."""
    yield _durations(
        "simpleindex_records_duration_seconds", "Time of a read or write of the records.", {(): times}, ()
    )
    yield _failures(
        "simpleindex_records_failures", "Reads and writes of the records that failed.", {(): times}, ()
    )


def store_families(times: OperationTimes) -> Iterator[MetricFamily]:
    """Return durations of requests to an object store."""
    yield _durations(
        "simpleindex_store_duration_seconds", "Time of a request to the object store.", {(): times}, ()
    )
    yield _failures(
        "simpleindex_store_failures", "Requests to the object store that failed.", {(): times}, ()
    )


def upstream_families(upstreams: Mapping[str, OperationTimes]) -> Iterator[MetricFamily]:
    """Return durations and failures of requests, and when each upstream last answered."""
    times: dict[tuple[str, ...], OperationTimes] = {(name,): each for name, each in upstreams.items()}
    yield _durations(
        "simpleindex_upstream_duration_seconds",
        "Time from a request to an upstream to the head of its answer.",
        times,
        ("upstream",),
    )
    yield _failures(
        "simpleindex_upstream_failures",
        "Requests to an upstream without an answer, or with one of 429 or 5xx.",
        times,
        ("upstream",),
    )
    yield gauges(
        "simpleindex_upstream_answered_timestamp_seconds",
        "When an upstream last answered a request.",
        ("upstream", "operation"),
        {
            (name, operation): durations.succeeded
            for name, each in upstreams.items()
            for operation, durations in each.durations.items()
            if durations.succeeded
        },
    )


def listing_families(
    answers: Mapping[str, ListingAnswers], reused: Mapping[str, int]
) -> Iterator[MetricFamily]:
    """Return how often listings of upstreams were in the cache.

    Args:
        answers: By the names of the upstreams.
        reused: How often an answer was used again without a question to its upstream, by the same names.
    """
    counts: dict[tuple[str, ...], float] = {}
    for name, each in answers.items():
        counts[name, "cached"] = each.fresh + reused.get(name, 0)
        counts[name, "requested"] = each.requested
        counts[name, "stale"] = each.stale
    yield counters(
        "simpleindex_upstream_listings",
        "Listings of an upstream that pages and files needed, by where they came from.",
        ("upstream", "result"),
        counts,
    )


def cache_families(space: CacheSpace, identities: Mapping[str, str]) -> Iterator[MetricFamily]:
    """Return what the cache of upstreams takes and evicts.

    Args:
        space: The cache's files.
        identities: What identifies the index of each upstream, by the upstream's name.
    """
    from simpleindex.upstreams.cache.file_keys import index_directory  # noqa: PLC0415  (only with upstreams)

    files, listings = space.counts
    yield gauge(
        "simpleindex_cache_bytes", "Bytes of files and listings in the cache of upstreams.", space.size
    )
    yield gauge(
        "simpleindex_cache_limit_bytes", "Bytes that the cache of upstreams may take.", space.room.budget
    )
    yield gauges(
        "simpleindex_cache_entries",
        "Files and listings in the cache of upstreams.",
        ("kind",),
        {("file",): files, ("listing",): listings},
    )
    evictions = dict(space.evictions)
    yield counters(
        "simpleindex_cache_evictions",
        "Files and listings that were removed to make room.",
        ("upstream",),
        {
            # Of files, and of listings.
            (name,): sum(evictions.get(index_directory(identity, digits), 0) for digits in (16, 8))
            for name, identity in identities.items()
        },
    )


def _durations(
    name: str, text: str, times: Mapping[tuple[str, ...], OperationTimes], names: tuple[str, ...]
) -> MetricFamily:
    samples = (
        sample
        for labels, each in times.items()
        for operation, durations in sorted(each.durations.items())
        for sample in histogram_samples(
            (*zip(names, labels, strict=True), ("operation", operation)), durations
        )
    )
    return MetricFamily(name, text, "histogram", tuple(samples))


def _failures(
    name: str, text: str, times: Mapping[tuple[str, ...], OperationTimes], names: tuple[str, ...]
) -> MetricFamily:
    values = {
        (*labels, operation): durations.failures
        for labels, each in times.items()
        for operation, durations in each.durations.items()
    }
    return counters(name, text, (*names, "operation"), values)
