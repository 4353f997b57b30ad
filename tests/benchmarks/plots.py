"""Draw growth from a ``results.json``, both axes logarithmic; run by the interpreter that has matplotlib.

plots.py RESULTS.json OUTPUT.png
"""

from __future__ import annotations

import importlib
import json
import statistics
import sys
from pathlib import Path
from typing import Any, Final

_PLOTS: Final = (
    ("root", "per_s", "list of projects, requests per second", "projects"),
    ("root", "cpu_us", "list of projects, CPU us per request", "projects"),
    ("start, cold", "complete_s", "cold start to complete catalogue, s", "files"),
    ("start, warm", "complete_s", "warm start to complete catalogue, s", "files"),
    ("start, warm", "first_s", "warm start to first answer, s", "files"),
    ("start, warm", "peak_mb", "peak memory at start, MB", "files"),
)


_BARS: Final = (
    ("workers, page", "per_s", "pages per second"),
    ("workers, file", "per_s", "small files per second"),
    ("nodes, page", "per_s", "pages per second, behind haproxy"),
    ("nodes, file", "per_s", "small files per second, behind haproxy"),
    ("nodes, start", "complete_s", "start over a bucket, s"),
    ("nodes, upload to listed on another", "p99_ms", "upload to listed on another node, p99, ms"),
)


def draw_nodes(results: Path, output: Path) -> None:
    """Draw workers and nodes as bars, if they were measured."""
    matplotlib = importlib.import_module("matplotlib")
    matplotlib.use("Agg")
    pyplot = importlib.import_module("matplotlib.pyplot")
    rows: list[dict[str, Any]] = json.loads(results.read_text())["rows"]
    if not any(row["measure"] == _BARS[0][0] for row in rows):
        return
    figure, axes = pyplot.subplots(2, 3, figsize=(18, 9))
    for axis, (measure, key, title) in zip(axes.flat, _BARS, strict=True):
        bars = {
            row["server"].removeprefix("simpleindex, ").removeprefix("simpleindex "): statistics.median(
                sample[key] for sample in row["samples"]
            )
            for row in rows
            if row["measure"] == measure and row["samples"]
        }
        axis.bar_label(axis.bar([*bars], [*bars.values()]), fmt="{:,.0f}")
        axis.set_title(title)
    figure.tight_layout()
    figure.savefig(output)


def draw(results: Path, output: Path) -> None:
    """Draw one picture of all plots."""
    matplotlib = importlib.import_module("matplotlib")
    matplotlib.use("Agg")
    pyplot = importlib.import_module("matplotlib.pyplot")
    rows: list[dict[str, Any]] = json.loads(results.read_text())["rows"]
    figure, axes = pyplot.subplots(2, 3, figsize=(18, 10))
    for axis, (measure, key, title, unit) in zip(axes.flat, _PLOTS, strict=True):
        lines: dict[str, list[tuple[int, float]]] = {}
        for row in rows:
            if row["measure"] == measure and row["samples"]:
                middle = statistics.median(sample[key] for sample in row["samples"])
                lines.setdefault(row["server"], []).append((row["size"], middle))
        for server, points in lines.items():
            axis.loglog(*zip(*sorted(points), strict=True), marker="o", label=server)
        axis.set_title(title)
        axis.set_xlabel(unit)
        axis.grid(visible=True, which="both", alpha=0.3)
        if lines:
            axis.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(output)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
    draw_nodes(Path(sys.argv[1]), Path(sys.argv[2]).with_name("nodes.png"))
