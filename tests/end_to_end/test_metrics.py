"""A real Prometheus scrapes the server over TLS, and answers the queries of the dashboard and the alerts."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.end_to_end.running import PATIENCE, wait_until
from tests.fixtures.distributions import add_wheel
from tests.fixtures.metric_queries import ALERTS, dashboard_queries
from tests.fixtures.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.end_to_end.running import Server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed"),
]

CONFIGURATION = """\
global:
  scrape_interval: 1s
  evaluation_interval: 1s
rule_files: ["{alerts}"]
scrape_configs:
  - job_name: simpleindex
    scheme: https
    metrics_path: /-/metrics
    tls_config:
      ca_file: {ca}
    static_configs:
      - targets: ["localhost:{port}"]
"""

SHOWN = {
    'simpleindex_requests_total{route="project",class="2xx"}': 3,
    'up{job="simpleindex"}': 1,
    "simpleindex_downloads_total": 1,
    "simpleindex_ready": 1,
    "simpleindex_projects": 1,
    "time() - process_start_time_seconds < bool 600": 1,
}


class Prometheus:
    """A running Prometheus that scrapes one server.

    Args:
        place: For its files.
        server: What it scrapes.
    """

    def __init__(self, place: Path, server: Server) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        configuration = place / "prometheus.yml"
        configuration.write_text(CONFIGURATION.format(alerts=ALERTS, ca=server.ca, port=server.port))
        check = subprocess.run(
            ["promtool", "check", "config", configuration], capture_output=True, check=False
        )
        assert check.returncode == 0, check.stdout + check.stderr
        options = (f"--config.file={configuration}", f"--storage.tsdb.path={place / 'data'}")
        with (place / "prometheus.log").open("wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", *options, f"--web.listen-address={self.address}"],
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def get(self, page: str, **fields: str) -> Any:
        """Return the data of an answer of its HTTP API."""
        url = f"http://{self.address}/api/v1/{page}?{urllib.parse.urlencode(fields)}"
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:
            return json.load(response)["data"]

    def _value(self, query: str) -> float | None:
        """Return the value of a query with one result; None while there is none, or no answer."""
        with suppress(OSError):
            result = self.get("query", query=query)["result"]
            return float(result[0]["value"][1]) if result else None
        return None

    def shows(self, query: str, value: float) -> bool:
        """Whether a query has this result: after a scrape that took longer than Prometheus waits it has none."""
        return self._value(query) == value

    def has_scraped(self) -> bool:
        """Whether the last scrape brought everything."""
        (target,) = self.get("targets")["activeTargets"]
        return (target["health"], target["lastError"]) == ("up", "")

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(PATIENCE)


@pytest.fixture
def scraped(new_server: Callable[..., Server], tmp_path: Path) -> Iterator[tuple[Server, Prometheus]]:
    """A server with a project, and a Prometheus that scrapes it."""
    server = new_server()
    add_wheel(server.root)
    server.start()
    prometheus = Prometheus(tmp_path, server)
    yield server, prometheus
    prometheus.stop()


def test_prometheus(scraped: tuple[Server, Prometheus]) -> None:
    server, prometheus = scraped
    for _ in range(3):
        assert server.get("/simple/acme/").status == 200
    assert server.get("/acme/acme-1.0-py3-none-any.whl").status == 200
    for query, value in SHOWN.items():
        wait_until(partial(prometheus.shows, query, value), f"{query} is {value}")
    wait_until(prometheus.has_scraped, "the target is up")
    now = time.time()
    for query in dashboard_queries():
        expression = query.replace("$job", ".*").replace("$__rate_interval", "1m")
        # It raises HTTPError for a query that is none.
        prometheus.get("query_range", query=expression, start=f"{now - 60}", end=f"{now}", step="15")
    rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    assert len(rules) == 7
    assert [rule["name"] for rule in rules if rule["health"] == "err"] == []
    assert [rule["name"] for rule in rules if rule["state"] == "firing"] == []
