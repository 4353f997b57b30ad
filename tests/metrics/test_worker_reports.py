"""Reports of workers: the same on both sides of the connection, and merged by worker."""

from __future__ import annotations

from simpleindex.metrics.families import counters, gauge
from simpleindex.metrics.worker_reports import decode_families, encode_families, merge_reports
from tests.fixtures.metric_values import metric_values

FAMILIES = [
    counters("simpleindex_uploads", "Uploads.", ("outcome",), {("accepted",): 2.0}),
    gauge("simpleindex_ready", "Ready.", 1.0),
]


def test_a_report_survives() -> None:
    text = encode_families(FAMILIES)
    assert "\n" not in text
    assert decode_families(text) == FAMILIES
    assert decode_families("[]") == []


def test_workers_are_apart() -> None:
    """A family that only one has is there too."""
    merged = merge_reports({2: FAMILIES[:1], 1: FAMILIES})
    assert [family.name for family in merged] == ["simpleindex_uploads", "simpleindex_ready"]
    assert metric_values(merged) == {
        "simpleindex_uploads_total{worker=1,outcome=accepted}": 2,
        "simpleindex_uploads_total{worker=2,outcome=accepted}": 2,
        "simpleindex_ready{worker=1}": 1,
    }
