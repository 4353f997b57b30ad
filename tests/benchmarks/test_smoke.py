"""The benchmark works: measures run over tiny sizes, and what it writes can be read."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from tests.benchmarks.repository import repository
from tests.fixtures.depth import THOROUGH

_ROOT: Final = Path(__file__).parents[2]


def test_a_project_that_was_removed_is_made_again(tmp_path: Path) -> None:
    """A repository of 700,000 was measured with 500,000: its removal had been stopped half-way."""
    made = repository(tmp_path, 3, 2)
    shutil.rmtree(made.path / "project000001")
    repository(tmp_path, 3, 2)
    assert [len(list((made.path / name).iterdir())) for name in made.names()] == [2, 2, 2]


@pytest.mark.slow
def test_some_measures(tmp_path: Path) -> None:
    """Servers of ours and others are started and measured; the table and the JSON file have what was measured."""
    document = _benchmarked(tmp_path, "--smoke", "--only", "roots,changes,search")
    _check(document, tmp_path, {"root", "change to listing", "answers while files arrive"})


@pytest.mark.slow
@pytest.mark.skipif(not THOROUGH, reason="takes a minute; TESTS_THOROUGH=1 runs it")
def test_smoke(tmp_path: Path) -> None:
    """One command, no set-up, a table and a JSON file with the machine, versions, every measure and every goal."""
    document = _benchmarked(tmp_path, "--smoke")
    measures = {
        *("page", "page TLS", "page 304", "page JSON gzip", ".metadata", "root", "access log"),
        *("page, counting", "file, counting"),
        *("hot page", "random pages, 1,000", "file 1 MB", "file 300 MB", "file 300 MB TLS", "slow readers"),
        *("TLS connections, new", "TLS connections, resumed", "start, cold", "start, warm"),
        *("change to listing", "answers while files arrive"),
        *("answers while uploads arrive", "upload of a large file TLS"),
        *("cached page", "cached page JSON gzip", "cached file 1 MB", "warm file 300 MB"),
    }
    _check(document, tmp_path, measures)


def _check(document: Any, directory: Path, measures: set[str]) -> None:
    """See that these measures, and whatever else was measured, are there and can be read."""
    assert set(document) == {"machine", "versions", "sizes", "rows", "goals", "notes"}
    assert "simpleindex" in document["versions"]
    measured = {
        row["measure"]
        for row in document["rows"]
        if row["server"] in {"simpleindex", "simpleindex --access"} and row["samples"]
    }
    assert measured >= measures, document["notes"]
    assert all(
        value >= 0 for row in document["rows"] for sample in row["samples"] for value in sample.values()
    )
    assert {goal["verdict"] for goal in document["goals"]} <= {"met", "MISSED", "not measured"}
    text = (directory / "results.txt").read_text()
    assert all(measure in text for measure in measured)


@pytest.mark.slow
@pytest.mark.skipif(not THOROUGH, reason="takes half a minute; TESTS_THOROUGH=1 runs it")
def test_the_version_before(tmp_path: Path) -> None:
    """It, here the same one again, is measured wherever simpleindex is, and compared with it."""
    before = ("--before", str(Path(sys.executable).with_name("twistd")))
    document = _benchmarked(tmp_path, "--smoke", *before, "--only", "pages")
    text = (tmp_path / "results.txt").read_text()
    samples = {(row["measure"], row["server"]): len(row["samples"]) for row in document["rows"]}
    simpleindex = {name: count for name, count in samples.items() if name[1].startswith("simpleindex")}
    compared = {name: count for name, count in simpleindex.items() if not name[1].endswith(" before")}
    assert len(simpleindex) == 2 * len(compared)
    assert all(
        simpleindex[measure, f"{server} before"] == count for (measure, server), count in compared.items()
    )
    ratios = text.partition("divided by those before")[2].splitlines()
    assert any("cpu_us" in line and line.startswith("page [3]") for line in ratios)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
@pytest.mark.skipif(not THOROUGH, reason="loads both processors for seconds; TESTS_THOROUGH=1 runs it")
def test_wrk(tmp_path: Path) -> None:
    """Where wrk is there and has a second, its script sends the requests and its result is read."""
    chosen = ("--only", "access-log", "--servers", "simpleindex", "--rounds", "1", "--seconds", "1")
    document = _benchmarked(tmp_path, *chosen, "--work", str(tmp_path / "work"))
    assert [row["samples"][0]["cpu_us"] > 0 for row in document["rows"]] == [True, True], document["notes"]


def _benchmarked(output: Path, *options: str) -> Any:
    command = [sys.executable, "-m", "tests.benchmarks", *options, "--output", str(output)]
    result = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads((output / "results.json").read_text())
