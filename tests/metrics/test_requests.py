"""Counts of requests: by kind of route and status, with bytes, durations, downloads and outcomes of uploads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simpleindex.core.names import ProjectName
from simpleindex.core.source import Delivery, FileOrigin
from simpleindex.metrics.request_counts import RequestMetrics
from simpleindex.web.http.response import OfferedDownload, RequestRecord
from simpleindex.web.routing.routes import FileRoute, OwnPageRoute, ProjectRoute, UploadRoute
from tests.fixtures.finished_request import FinishedRequestFixture
from tests.fixtures.metric_values import metric_values

if TYPE_CHECKING:
    from simpleindex.web.routing.routes import Route

ACME = ProjectName("acme")


def recorded(*requests: FinishedRequestFixture) -> dict[str, float]:
    """Return the samples after some requests, each of which ended at second 10."""
    metrics = RequestMetrics(lambda: 10.0)
    for each in requests:
        metrics.record(each)
    return metric_values(metrics.families())


def test_pages_and_refusals_are_apart() -> None:
    page = RequestRecord(route=ProjectRoute(ACME))
    values = recorded(
        FinishedRequestFixture(page, size=10, received=9.9),
        FinishedRequestFixture(page, size=20, received=7.0),
        FinishedRequestFixture(page, code=404, received=None),
        FinishedRequestFixture(page, code=499),
        FinishedRequestFixture(None, code=400),
    )
    assert values["simpleindex_requests_total{route=project,class=2xx}"] == 2
    assert values["simpleindex_requests_total{route=project,class=4xx}"] == 1
    assert values["simpleindex_requests_total{route=project,class=left}"] == 1
    assert values["simpleindex_requests_total{route=unknown,class=4xx}"] == 1
    assert values["simpleindex_response_body_bytes_total{route=project}"] == 30


def test_durations_are_cumulative() -> None:
    page = RequestRecord(route=ProjectRoute(ACME))
    values = recorded(
        *(FinishedRequestFixture(page, received=received) for received in (9.97, 9.9, 7.0, -90.0, None))
    )
    bucket = "simpleindex_request_duration_seconds_bucket{{route=project,le={}}}"
    counts = {bound: values[bucket.format(bound)] for bound in ("0.025", "0.05", "0.25", "60.0", "+Inf")}
    assert counts == {"0.025": 0, "0.05": 1, "0.25": 2, "60.0": 3, "+Inf": 4}
    assert values["simpleindex_request_duration_seconds_count{route=project}"] == 4
    assert values["simpleindex_request_duration_seconds_sum{route=project}"] == pytest.approx(103.13)


@pytest.mark.parametrize(
    ("route", "method", "kind"),
    [
        (FileRoute(ACME, "acme-1.0-py3-none-any.whl"), b"GET", "file"),
        (FileRoute(ACME, "acme-1.0-py3-none-any.whl.metadata"), b"GET", "metadata"),
        (OwnPageRoute("status"), b"GET", "own"),
        (OwnPageRoute("api/acme/yank"), b"POST", "api"),
        (UploadRoute(), b"POST", "upload"),
        (UploadRoute(), b"GET", "unknown"),
    ],
)
def test_kinds(route: Route, method: bytes, kind: str) -> None:
    """No label names a project, a file or a page that a client made up."""
    values = recorded(FinishedRequestFixture(RequestRecord(route=route), method=method))
    assert [name for name in values if name.startswith("simpleindex_requests_total")] == [
        f"simpleindex_requests_total{{route={kind},class=2xx}}"
    ]


def test_outcomes_of_uploads() -> None:
    codes = (200, 200, 400, 401, 403, 409, 411, 413, 429, 499, 500, 503)
    upload = RequestRecord(route=UploadRoute())
    values = recorded(*(FinishedRequestFixture(upload, method=b"POST", code=code) for code in codes))
    outcomes = {
        name.removeprefix("simpleindex_uploads_total"): value
        for name, value in values.items()
        if name.startswith("simpleindex_uploads_total")
    }
    assert outcomes.pop("{outcome=accepted}") == 2
    assert outcomes.pop("{outcome=failed}") == 2
    assert sorted(outcomes) == [
        f"{{outcome={each}}}"
        for each in (
            "conflict",
            "invalid",
            "left",
            "not-allowed",
            "not-logged-in",
            "refused",
            "too-large",
            "too-many-failures",
        )
    ]


def test_downloads() -> None:
    origin = FileOrigin("pypi", Delivery.CACHED)
    record = RequestRecord(download=OfferedDownload(ACME, "acme-1.0.tar.gz", 5, origin))
    metrics = RequestMetrics(lambda: 10.0)
    metrics.record_download(FinishedRequestFixture(record))
    values = metric_values(metrics.families())
    assert values["simpleindex_downloads_total{source=pypi,delivery=cached}"] == 1
