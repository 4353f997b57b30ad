"""Counted downloads as a new user sees them: two workers, real pip, the commands on the machine and over HTTPS."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.end_to_end.clients import pip
from tests.end_to_end.publishing import Publishing, command, start_publishing
from tests.end_to_end.running import wait_until
from tests.fixtures.distributions import add_wheel, wheel_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.end_to_end.running import Server

pytestmark = pytest.mark.slow

TIMES = 30


def asked(publishing: Publishing, *words: str) -> Any:
    """Return the answer of a command, as JSON."""
    server = publishing.server
    done = command(server.home, *words, "--json", state=server.home / "state")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def by_client(report: Any) -> dict[str, int]:
    return {row["client"]: row["count"] for row in report["counts"]}


def test_counts_are_of_all_workers(new_server: Callable[..., Server], tmp_path: Path) -> None:
    """Each connection may reach any of them; numbers, users and addresses are those of the whole."""
    publishing = start_publishing(new_server, "--workers=2", "--keep-addresses")
    server = publishing.server
    server.await_line("2 workers serve")
    for name in ("acme", "secret-plan"):
        add_wheel(server.root, name)
    reader = publishing.token(can="read")
    paths = [f"/{name}/{wheel_name(name)}" for name in ("acme", "secret-plan")]
    answered: Counter[tuple[str, int]] = Counter()

    def statuses() -> set[int]:
        answers = {
            (path, n): server.get(path, Authorization=f"Bearer {reader}").status
            for path in paths
            for n in range(8)
        }
        answered.update((path, status) for (path, _), status in answers.items())
        return {*answers.values()}

    wait_until(lambda: statuses() == {200}, "all list the files")
    for _ in range(TIMES):
        assert server.get(paths[0]).status == 200
    fetched = pip(tmp_path, server.ca).try_to(
        "download", "--no-deps", "--index-url", server.simple, "--dest", tmp_path / "t", "acme"
    )
    assert fetched.returncode == 0, fetched.stderr
    total = TIMES + answered[paths[0], 200] + 1
    wait_until(
        lambda: json.loads(server.get("/-/downloads/acme").body)["total"] == total, "all workers have written"
    )
    counts = by_client(asked(publishing, "downloads", "acme", "--by", "client"))
    assert counts == {"pip": 1, "unnamed": total - 1}
    found = asked(publishing, "who", "secret-plan", "1.0")
    assert found["source"] == "downloads"
    assert {(row["user"], row["address"]) for row in found["downloads"]} == {("alice", "127.0.0.1")}
    url = ("--index-url", server.simple, "--cert", str(server.ca))
    (server.home / "token").write_text(publishing.token(can="audit"))
    answer = asked(publishing, "who", "secret-plan", "1.0", *url, "--token-file", str(server.home / "token"))
    assert answer["downloads"] == found["downloads"]
    refused = command(server.home, "downloads", "secret-plan", *url, state=server.home / "state")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "A login is needed to see who downloads secret-plan" in refused.stderr
