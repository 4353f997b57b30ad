"""The catalogue in numbers: projects, files, bytes, what is withheld and why, and whether the index is ready."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from simpleindex.metrics.families import MetricFamily, gauge, gauges

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simpleindex.web.status.status import StatusReport


def catalogue_families(report: StatusReport) -> Iterator[MetricFamily]:
    """Return the numbers of a report."""
    withheld: Counter[tuple[str, ...]] = Counter((rule,) for _, _, rule, _ in report.withheld)
    passed_over: Counter[tuple[str, ...]] = Counter()
    for each in report.passed_over:
        passed_over[(each.cause.value,)] += each.count
    yield gauges(
        "simpleindex_build_info",
        "The version of simpleindex, as a label.",
        ("version",),
        {(report.version,): 1},
    )
    yield gauge("simpleindex_ready", "1 while all directories are read and served, else 0.", report.ready)
    yield gauge(
        "simpleindex_suspended",
        "1 while a directory is not served, because it seems lost, else 0.",
        report.suspended is not None,
    )
    yield gauge(
        "simpleindex_stale",
        "1 while a bucket cannot be listed and what was listed before is served, else 0.",
        report.stale is not None,
    )
    yield gauge("simpleindex_projects", "Projects in directories.", report.projects)
    yield gauge("simpleindex_files", "Distributions that directories offer.", report.files)
    yield gauge("simpleindex_files_bytes", "Bytes of these distributions.", report.size)
    yield gauges(
        "simpleindex_withheld_files", "Files in directories that are not offered.", ("reason",), withheld
    )
    yield gauges(
        "simpleindex_passed_over_files",
        "Files in directories that are no distributions in a place where they would be served.",
        ("cause",),
        passed_over,
    )
