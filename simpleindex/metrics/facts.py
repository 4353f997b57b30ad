"""Metric families as JSON for ``/-/status``: the same facts as in the exposition. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simpleindex.metrics.families import MetricFamily, MetricSample


def metric_facts(families: Iterable[MetricFamily]) -> dict[str, object]:
    """Return families by name.

    Returns:
        A number where a family has no labels; else a list of objects, each with the labels and ``value``. Of histograms each object has
        ``count`` and ``sum`` in place of a value.
    """
    return {
        family.name if family.type != "counter" else f"{family.name}_total": _fact(family)
        for family in families
    }


def _fact(family: MetricFamily) -> object:
    if family.type == "histogram":
        return _histogram(family.samples)
    if len(family.samples) == 1 and not family.samples[0].labels:
        return family.samples[0].value
    return [{**dict(each.labels), "value": each.value} for each in family.samples]


def _histogram(samples: Iterable[MetricSample]) -> list[dict[str, object]]:
    facts: dict[object, dict[str, object]] = {}
    for each in samples:
        if each.suffix in ("_count", "_sum"):
            facts.setdefault(each.labels, dict(each.labels))[each.suffix[1:]] = each.value
    return list(facts.values())
