"""Metrics as JSON: numbers, lists by label, and histograms by their count and sum."""

from __future__ import annotations

from simpleindex.metrics.facts import metric_facts
from simpleindex.metrics.families import counters, gauge, gauges
from simpleindex.metrics.operations import records_families
from simpleindex.system.operation_times import OperationTimes


def test_facts() -> None:
    times = OperationTimes()
    times.add("read", 0.25, failed=True)
    families = (
        gauge("ready", "Ready.", 1.0),
        gauges("withheld", "Withheld.", ("reason",), {("archive",): 2.0}),
        counters("uploads", "Uploads.", ("outcome",), {}),
        *records_families(times),
    )
    assert metric_facts(families) == {
        "ready": 1.0,
        "withheld": [{"reason": "archive", "value": 2.0}],
        "uploads_total": [],
        "simpleindex_records_duration_seconds": [{"operation": "read", "count": 1, "sum": 0.25}],
        "simpleindex_records_failures_total": [{"operation": "read", "value": 1}],
    }
