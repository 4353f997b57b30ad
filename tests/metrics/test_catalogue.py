"""The catalogue in numbers, by reasons and causes and never by names."""

from __future__ import annotations

from dataclasses import replace

from simpleindex.directory.layout.unserved import Unserved, UnservedCause
from simpleindex.metrics.catalogue import catalogue_families
from tests.fixtures.metric_values import metric_values
from tests.fixtures.site import REPORT


def test_reasons_and_causes() -> None:
    report = replace(
        REPORT,
        suspended="The root is gone.",
        passed_over=(Unserved(UnservedCause.LINK, 3, "x"), Unserved(UnservedCause.YANK, 1, "y")),
    )
    values = metric_values(catalogue_families(report))
    assert values["simpleindex_withheld_files{reason=archive}"] == 1
    assert values["simpleindex_passed_over_files{cause=link}"] == 3
    assert values["simpleindex_passed_over_files{cause=yank}"] == 1
    assert values["simpleindex_suspended"] == 1
    assert not [name for name in values if "acme" in name]
