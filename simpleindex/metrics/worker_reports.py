"""Reports of several workers about their metrics: as text for their connection, and merged with the worker as a label. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from simpleindex.metrics.families import MetricFamily, MetricSample

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def encode_families(families: Iterable[MetricFamily]) -> str:
    """Return families as one line of JSON."""
    return json.dumps(
        [
            [each.name, each.help, each.type, [[one.labels, one.value, one.suffix] for one in each.samples]]
            for each in families
        ],
        separators=(",", ":"),
    )


def decode_families(text: str) -> list[MetricFamily]:
    """Return the families in a line of :func:`encode_families`."""
    return [
        MetricFamily(
            name,
            words,
            kind,
            tuple(
                MetricSample(tuple((label, of) for label, of in labels), value, suffix)
                for labels, value, suffix in samples
            ),
        )
        for name, words, kind, samples in json.loads(text)
    ]


def merge_reports(reports: Mapping[int, Sequence[MetricFamily]]) -> list[MetricFamily]:
    """Return the families of all workers, each sample with its worker as a label."""
    merged: dict[str, MetricFamily] = {}
    for number, families in sorted(reports.items()):
        for family in families:
            samples = tuple(
                each._replace(labels=(("worker", str(number)), *each.labels)) for each in family.samples
            )
            before = merged.get(family.name)
            merged[family.name] = family._replace(
                samples=samples if before is None else (*before.samples, *samples)
            )
    return list(merged.values())
