"""Write what was measured: tables of text, JSON, and plots where matplotlib is set up."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.goals import GOALS, Table
from tests.benchmarks.setup import find
from tests.benchmarks.versions import BEFORE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.bench import Bench, Row


def write(bench: Bench, output: Path) -> str:
    """Write everything into a directory, and return the text."""
    output.mkdir(parents=True, exist_ok=True)
    document = {
        "machine": machine(),
        "versions": versions(bench),
        "sizes": asdict(bench.sizes),
        "rows": [asdict(row) for row in bench.rows],
        "goals": [
            {
                "what": goal.what,
                "bound": goal.bound,
                "at_most": goal.at_most,
                "value": value,
                "verdict": verdict,
            }
            for goal in GOALS
            for value, verdict in [goal.judged(Table(bench.rows))]
        ],
        "notes": bench.notes,
    }
    (output / "results.json").write_text(json.dumps(document, indent=1) + "\n")
    text = "\n".join(_lines(bench, document)) + "\n"
    (output / "results.txt").write_text(text)
    python = bench.workplace.program("matplotlib", "python")
    if python is not None:
        script = Path(__file__).with_name("plots.py")
        subprocess.run(
            [python, str(script), str(output / "results.json"), str(output / "growth.png")],
            check=True,
            timeout=120,
        )
    return text


def machine() -> dict[str, str | int]:
    """What this ran on."""
    cpu = Path("/proc/cpuinfo").read_text()
    models = [line.partition(":")[2].strip() for line in cpu.splitlines() if line.startswith("model name")]
    memory = Path("/proc/meminfo").read_text().split()
    return {
        "cpu": models[0] if models else platform.machine(),
        "processors": len(os.sched_getaffinity(0)),
        "memory_mb": int(memory[memory.index("MemTotal:") + 1]) // 1024,
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def versions(bench: Bench) -> dict[str, str]:
    """Of every server and client."""
    found = {server.name: server.version(bench.workplace) for server in (*bench.servers, *bench.others)}
    for client, option in (("wrk", "-v"), ("uv", "--version")):
        if (program := find(client)) is not None:
            result = subprocess.run(
                [program, option], check=False, capture_output=True, text=True, timeout=60
            )
            found[client] = result.stdout.splitlines()[0] if result.stdout else "?"
    return found


def _lines(bench: Bench, document: dict[str, object]) -> Iterator[str]:
    for part in ("machine", "versions"):
        facts = document[part]
        assert isinstance(facts, dict)
        yield f"{part}: " + ", ".join(f"{key} {value}" for key, value in facts.items())
    yield "Each value is the median of the rounds, with the least and the most; cpu_us is of the server, per request."
    groups: dict[tuple[str, int], list[Row]] = {}
    for row in bench.rows:
        groups.setdefault((row.measure, row.size), []).append(row)
    for (measure, size), rows in groups.items():
        yield ""
        yield from _table(f"{measure} [{size:,}]", rows)
    if bench.before is not None:
        yield ""
        yield "This version's values divided by those before: the median of the rounds, with the least and the most."
        for (measure, size), rows in groups.items():
            yield from _ratios(f"{measure} [{size:,}]", rows)
    yield ""
    yield f"{'goal':<52}{'bound':>10}{'measured':>12}"
    for goal in GOALS:
        value, verdict = goal.judged(Table(bench.rows))
        shown = "-" if value is None else _number(value)
        bound = f"{'<=' if goal.at_most else '>='} {_number(goal.bound)}"
        yield f"{goal.what:<52}{bound:>10}{shown:>12}  {verdict}"
    if bench.notes:
        yield ""
        yield from bench.notes


def _table(title: str, rows: list[Row]) -> Iterator[str]:
    keys = list(rows[0].samples[0])
    yield f"{title:<34}" + "".join(f"{key:>28}" for key in keys)
    for row in rows:
        yield f"  {row.server:<32}" + "".join(f"{_spread([s[key] for s in row.samples]):>28}" for key in keys)


def _ratios(title: str, rows: list[Row]) -> Iterator[str]:
    servers = {row.server: row.samples for row in rows}
    for server, samples in servers.items():
        pairs = list(zip(samples, servers.get(f"{server}{BEFORE}", []), strict=False))
        for key in pairs[0][0] if pairs else ():
            if ratios := [now[key] / before[key] for now, before in pairs if before[key]]:
                yield f"{title:<44}{server:<32}{key:<20}{_spread(ratios)}"


def _spread(values: list[float]) -> str:
    middle = _number(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({_number(min(values))}-{_number(max(values))})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"
