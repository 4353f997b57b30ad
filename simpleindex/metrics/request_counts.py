"""Requests of clients, counted when they are over: by kind of route and status, with bytes and durations; and downloads.

Counted in plain lists, because a page is answered within microseconds and a counter of Prometheus' library takes a lock.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING, Final

from simpleindex.core.names import METADATA_SUFFIX
from simpleindex.metrics.families import MetricFamily, counters
from simpleindex.metrics.histograms import histogram_samples
from simpleindex.system.operation_times import BOUNDS, Durations
from simpleindex.web.resource import API_PREFIX
from simpleindex.web.routing.routes import (
    AcmeRoute,
    FileRoute,
    OwnPageRoute,
    ProjectRoute,
    PypiJsonRoute,
    RedirectRoute,
    ReleaseRoute,
    RootRoute,
    SiteFileRoute,
    UploadRoute,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simpleindex.web.http.finished_requests import FinishedRequest
    from simpleindex.web.routing.routes import Route

_KINDS: Final[dict[object, str]] = {
    RootRoute: "projects",
    ProjectRoute: "project",
    ReleaseRoute: "release",
    FileRoute: "file",
    PypiJsonRoute: "pypi-json",
    RedirectRoute: "redirect",
    OwnPageRoute: "own",
    SiteFileRoute: "site-file",
    AcmeRoute: "acme",
    UploadRoute: "upload",
    "metadata": "metadata",
    "api": "api",
}
"""What kinds of routes are called; the last two are apart from files and from other pages of our own."""

_REFINED: Final = frozenset({FileRoute, OwnPageRoute, UploadRoute})

_UNKNOWN: Final = "unknown"
_LEFT: Final = 499
_READING: Final = frozenset({b"GET", b"HEAD"})

_UPLOAD_OUTCOMES: Final = {
    200: "accepted",
    400: "invalid",
    401: "not-logged-in",
    403: "not-allowed",
    409: "conflict",
    413: "too-large",
    429: "too-many-failures",
    _LEFT: "left",
}
"""By the status of the answer; docs/protocol.md, "Answers to an upload"."""


class _Counts:
    """The requests of one kind and status."""

    __slots__ = ("durations", "seconds", "size", "unmeasured")

    def __init__(self) -> None:
        self.unmeasured = 0
        self.size = 0
        self.seconds = 0.0
        self.durations = [0] * (len(BOUNDS) + 1)

    @property
    def number(self) -> int:
        """All of them; those that were refused before their heads had come have no duration."""
        return self.unmeasured + sum(self.durations)


class RequestMetrics:
    """Counts requests and downloads of one process."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._counts: dict[tuple[object, int], _Counts] = {}
        self._downloads: Counter[tuple[str, ...]] = Counter()
        self._download_bytes: Counter[tuple[str, ...]] = Counter()

    def record(self, request: FinishedRequest) -> None:
        """Count a request that is over."""
        record = request.record
        route = None if record is None else record.route
        kind: object = type(route)
        if kind in _REFINED:
            kind = _refined_kind(route, request.method)
        self.count(kind, request.code, request.sentLength, request.received)

    def count(self, kind: object, code: int, size: int, received: float | None) -> None:
        """Count a request that is over, of which nothing else matters; so the express lane reports its pages.

        Args:
            kind: The class of its route.
            code: The status of the answer.
            size: Bytes of the answer's body.
            received: When its head had come whole, in seconds of the reactor's clock; None if it never had.
        """
        # With every page: each attribute and call more is felt.
        counts = self._counts.get((kind, code))
        if counts is None:
            counts = self._counts[kind, code] = _Counts()
        counts.size += size
        if received is None:
            counts.unmeasured += 1
            return
        seconds = self._seconds() - received
        counts.seconds += seconds
        counts.durations[bisect_left(BOUNDS, seconds)] += 1

    def record_download(self, request: FinishedRequest) -> None:
        """Count a request that is a finished download."""
        assert request.record is not None  # it is a finished download
        assert request.record.download is not None  # the same
        origin = request.record.download.origin
        key = origin.source, origin.delivery.value
        self._downloads[key] += 1
        self._download_bytes[key] += request.sentLength

    def families(self) -> Iterator[MetricFamily]:
        """Return what was counted so far."""
        requests: Counter[tuple[str, ...]] = Counter()
        sizes: Counter[tuple[str, ...]] = Counter()
        uploads: Counter[tuple[str, ...]] = Counter()
        durations: dict[str, Durations] = {}
        for (key, code), counts in self._counts.items():
            kind = _KINDS.get(key, _UNKNOWN)
            requests[kind, "left" if code == _LEFT else f"{code // 100}xx"] += counts.number
            sizes[(kind,)] += counts.size
            spread = durations.setdefault(kind, Durations())
            spread.total += counts.seconds
            spread.counts = [a + b for a, b in zip(spread.counts, counts.durations, strict=True)]
            if kind == "upload":
                outcome = _UPLOAD_OUTCOMES.get(code) or ("failed" if code >= 500 else "refused")
                uploads[(outcome,)] += counts.number
        yield counters("simpleindex_requests", "Requests that are over.", ("route", "class"), requests)
        yield MetricFamily(
            "simpleindex_request_duration_seconds",
            "Time from the whole head of a request to the end of its answer.",
            "histogram",
            tuple(
                sample
                for kind, spread in sorted(durations.items())
                for sample in histogram_samples((("route", kind),), spread)
            ),
        )
        yield counters("simpleindex_response_body_bytes", "Bytes of bodies of answers.", ("route",), sizes)
        yield counters(
            "simpleindex_downloads",
            "Distributions that were sent whole.",
            ("source", "delivery"),
            self._downloads,
        )
        yield counters(
            "simpleindex_download_bytes",
            "Bytes of distributions that were sent whole.",
            ("source", "delivery"),
            self._download_bytes,
        )
        yield counters("simpleindex_uploads", "Uploads, by their outcome.", ("outcome",), uploads)


def _refined_kind(route: Route | None, method: bytes) -> object:
    match route:
        case FileRoute(filename=filename) if filename.endswith(METADATA_SUFFIX):
            return "metadata"
        case OwnPageRoute(name) if name.startswith(API_PREFIX):
            return "api"
        case UploadRoute() if method in _READING:
            return _UNKNOWN
    return type(route)
