"""The metrics of a service: what a scrape shows after requests, and that nothing is counted where they are off."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from simpleindex.core.errors import RefusedStart
from simpleindex.service.composition import index as composition
from tests.fixtures.distributions import add_wheel
from tests.fixtures.service import ServiceFixture, service_fixture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
