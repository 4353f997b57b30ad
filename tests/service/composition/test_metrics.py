"""The metrics of a service: what a scrape shows after requests, and that nothing is counted where they are off."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import simpleindex
from simpleindex.core.errors import RefusedStart
from simpleindex.metrics.operations import store_families
from simpleindex.service.composition import index as composition
from simpleindex.system.operation_times import OperationTimes
from simpleindex.upstreams.cache.file_keys import index_directory
from tests.fixtures.deferreds import result
from tests.fixtures.distributions import add_wheel
from tests.fixtures.metric_queries import all_queries
from tests.fixtures.metric_values import metric_values
from tests.fixtures.service import ServiceFixture, service_fixture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simpleindex.metrics.families import MetricFamily
    from simpleindex.service.service import IndexService


ADVISORY = """
{"id": "X-1", "modified": "2026-01-01T00:00:00Z", "affected": [{"package": {"name": "bad", "ecosystem": "PyPI"}, "versions": ["1.0"]}]}
"""

SOURCES = """
[[upstream]]
name = "behind"
url = "http://127.0.0.1:9/simple/"

[[rule]]
name = "none"
projects = ["acme"]
sources = ["local"]
action = "deny"

[[rule]]
name = "advised"
advisories = "advisories"
"""


LABELS = {
    "class",
    "cause",
    "delivery",
    "operation",
    "outcome",
    "reason",
    "route",
    "rule",
    "source",
    "upstream",
}
"""Those of the guide."""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceFixture]:
    """An empty root, and plain HTTP on loopback."""
    yield from service_fixture(tmp_path, monkeypatch)


def scraped(world: ServiceFixture) -> dict[str, float]:
    """Scrape, and return each sample by its name and labels."""
    reply = world.ask("/-/metrics", ("Host", "localhost"))
    assert reply.status == 200
    lines = (line.rpartition(" ") for line in reply.body.decode().splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def test_both_lanes_are_counted(world: ServiceFixture) -> None:
    add_wheel(world.root)
    world.start(watch="off")
    accept = ("Accept", "application/vnd.pypi.simple.v1+json")
    for headers in ((accept,), (accept, ("X-Unusual", "1"))):
        assert world.ask("/simple/acme/", ("Host", "localhost"), *headers).status == 200
    assert world.ask("/acme/acme-1.0-py3-none-any.whl").status == 200
    values = scraped(world)
    assert values['simpleindex_requests_total{class="2xx",route="project"}'] == 2
    assert values['simpleindex_request_duration_seconds_count{route="project"}'] == 2
    assert values['simpleindex_downloads_total{delivery="directory",source="local"}'] == 1
    assert values["simpleindex_projects"] == values["simpleindex_files"] == values["simpleindex_ready"] == 1
    assert values["process_open_fds"] > 1
    assert scraped(world)['simpleindex_requests_total{class="2xx",route="own"}'] == 1


def test_the_files_are_counted_again_when_something_changed(world: ServiceFixture) -> None:
    made = world.start(watch="off")
    assert scraped(world)["simpleindex_projects"] == 0
    add_wheel(world.root)
    made.index.sources.directories[0].live.root_changed()
    world.reactor.advance(0)
    assert scraped(world)["simpleindex_projects"] == 1


@pytest.fixture
def everything(world: ServiceFixture) -> IndexService:
    """A service with all that is measured, except a store."""
    advisories = world.place / "advisories"
    advisories.mkdir()
    (advisories / "a.json").write_text(ADVISORY)
    (world.place / "sources.toml").write_text(SOURCES)
    access = world.place / "access.toml"
    access.write_text("[[rule]]\nprojects = ['*']\nread = ['anyone']\n")
    add_wheel(world.root)
    return world.start(
        watch="off",
        https=("tcp:8443:interface=127.0.0.1",),
        serve_http=True,
        sources=str(world.place / "sources.toml"),
        access=str(access),
    )


def families(made: IndexService) -> list[MetricFamily]:
    """Return the families of a service."""
    assert made.index.metrics is not None
    return list(made.index.metrics.families())


def test_the_state_of_a_service(world: ServiceFixture, everything: IndexService) -> None:
    """What is read when it is scraped."""
    logins, upstreams = everything.index.logins, everything.index.sources.upstreams
    assert logins is not None
    assert upstreams is not None
    logins.failed.record("bob", "192.0.2.7", "wrong password")
    world.ask("/simple/acme/", server=1)
    world.ask("/acme/acme-1.0-py3-none-any.whl", server=1)
    (upstream,) = upstreams.connected
    upstream.cached.answers.fresh = 2
    everything.index.sources.views["main"].standing_uses = lambda: {"behind": 3}  # type: ignore[attr-defined]
    values = metric_values(families(everything))
    assert values["simpleindex_upstream_listings_total{upstream=behind,result=cached}"] == 5
    assert values["simpleindex_failed_logins_total"] == 1
    assert values["simpleindex_refused_downloads_total{rule=none}"] == 1
    assert values["simpleindex_page_renderings_total"] == 1
    assert values["simpleindex_page_cache_bytes"] > 100
    assert values["simpleindex_watch_lag_seconds"] == values["simpleindex_queued_projects"] == 0
    assert values["simpleindex_cache_entries{kind=file}"] == values["simpleindex_cache_bytes"] == 0
    assert values["simpleindex_rules_valid"] == 1
    assert values["simpleindex_cache_evictions_total{upstream=behind}"] == 0
    upstreams.cache.space.evictions[index_directory(upstream.settings.identity, 16)] += 2
    upstreams.cache.space.evictions[index_directory(upstream.settings.identity)] += 1
    values = metric_values(families(everything))
    assert values["simpleindex_cache_evictions_total{upstream=behind}"] == 3
    assert 0 <= values["simpleindex_catalogue_age_seconds"] < 600
    assert 0 <= values["simpleindex_rules_age_seconds"] < 600
    assert 0 <= values["simpleindex_advisories_age_seconds"] < 600
    (left,) = (
        value for name, value in values.items() if name.startswith("simpleindex_certificate_seconds_left")
    )
    assert 86_400 < left < 400 * 86_400
    assert values["simpleindex_records_duration_seconds_count{operation=read}"] > 0


def test_the_guide_has_every_metric(everything: IndexService) -> None:
    """By the names that Prometheus has, with its labels; and no other."""
    store = OperationTimes()
    store.add("PutObject", 0.1, failed=False)
    assert everything.index.metrics is not None
    for times in everything.index.metrics.upstreams.values():
        times.add("listing", 0.1, failed=False)
    rows = {}
    for line in (Path(simpleindex.__file__).parent / "docs" / "metrics.md").read_text().splitlines():
        if line.startswith("| `simpleindex_"):
            names, kind, labels, _ = (cell.strip() for cell in line.strip("|").split("|", 3))
            for name in re.findall("`([a-z_]+)`", names):
                rows[name.removesuffix("_total")] = kind, set(re.findall("`([a-z]+)`", labels))
    shown = [*families(everything), *store_families(store)]
    assert {family.name for family in shown} == set(rows)
    for family in shown:
        kind, named = rows[family.name]
        assert kind == family.type
        for sample in family.samples:
            assert {name for name, _ in sample.labels} - {"le"} == named, family.name


def test_dashboard_and_alerts_use_what_there_is(everything: IndexService) -> None:
    """Every metric and every label of their queries is in the exposition."""
    assert everything.index.metrics is not None
    for times in everything.index.metrics.upstreams.values():
        times.add("listing", 0.1, failed=True)
    labels: dict[str, set[str]] = {}
    for family in families(everything):
        for sample in family.samples:
            labels.setdefault(family.name + sample.suffix, set()).update(name for name, _ in sample.labels)
    # Those without a sample before the first request, upload or download.
    without_samples = {
        f"{family.name}{'_total' if family.type == 'counter' else ''}"
        for family in families(everything)
        if not family.samples
    }
    of_process = {"process_cpu_seconds_total", "process_resident_memory_bytes"}
    queries = all_queries()
    assert len(queries) > 30
    for query in queries:
        names = re.findall(r"\b(?:simpleindex|process)_[a-z_]+", query)
        assert names, query
        for name in names:
            base = re.sub("_(bucket|sum|count)$", "", name)
            assert name in {*labels, *without_samples, *of_process} or base in without_samples, query
        grouped = {
            each.strip()
            for group in re.findall(r"\b(?:by|on) \(([^)]*)\)", query)
            for each in group.split(",")
        }
        assert grouped <= {"job", "instance", "le"} | LABELS, query


def test_status_has_the_same_facts(world: ServiceFixture, everything: IndexService) -> None:
    """For those who see the metrics, and for nobody else."""
    assert everything.index.metrics is not None
    world.ask("/simple/acme/", server=1)
    status = world.ask("/-/status", ("Host", "localhost"), server=1).json
    assert status["metrics"]["simpleindex_projects"] == status["projects"] == 1
    assert {"route": "project", "class": "2xx", "value": 1} in status["metrics"]["simpleindex_requests_total"]
    assert "metrics" not in world.ask("/-/status", ("Host", "evil.example"), server=1).json


def test_several_workers(world: ServiceFixture) -> None:
    """A scrape shows the metrics of all, each with its worker; what one reports is what it would show."""
    made = world.start(watch="off")
    metrics = made.index.metrics
    assert metrics is not None
    report = result(metrics.report())

    async def others() -> tuple[int, dict[int, str]]:
        return 2, {1: report}

    metrics.other_workers = others
    values = scraped(world)
    for worker in ("1", "2"):
        assert values[f'simpleindex_ready{{worker="{worker}"}}'] == 1
        assert values[f'process_open_fds{{worker="{worker}"}}'] > 1
    status = world.ask("/-/status", ("Host", "localhost")).json
    assert status["metrics"]["simpleindex_ready"] == [{"worker": worker, "value": 1} for worker in ("1", "2")]


def test_off(world: ServiceFixture) -> None:
    made = world.start(watch="off", metrics_for=("off",))
    assert world.ask("/-/metrics").status == 404
    assert all(site.request_counts is None for site in made.index.http.sites)


def test_without_the_extra(world: ServiceFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composition, "has_metrics", lambda: False)
    assert world.start(watch="off").index.metrics is None
    with pytest.raises(RefusedStart, match=r"^--metrics-for: Python's prometheus_client is not installed"):
        world.make(metrics_for=("10.0.0.0/8",))


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool of Prometheus is not installed")
def test_promtool_finds_nothing(world: ServiceFixture) -> None:
    """Names, types and help texts are as Prometheus wants them."""
    add_wheel(world.root)
    world.start(watch="off")
    world.ask("/simple/acme/")
    text = world.ask("/-/metrics", ("Host", "localhost")).body
    check = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (check.returncode, check.stdout, check.stderr) == (0, b"", b"")
