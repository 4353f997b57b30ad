"""Changes on the disk while real clients look: nothing is late, half or mixed.

SIMPLEINDEX_REPETITIONS says how often a wheel is copied in and installed at once, for each client and way of watching.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import threading
import time
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.clients import pip, uv, version_in
from tests.end_to_end.running import JSON, PATIENCE, Server, ask, page, wait_until
from tests.end_to_end.slow_client import slowly
from tests.fixtures.depth import number_of
from tests.fixtures.distributions import add_wheel, put, wheel_bytes, wheel_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.end_to_end.clients import Client
    from tests.end_to_end.running import Installed

pytestmark = pytest.mark.slow

REPETITIONS = int(os.environ.get("SIMPLEINDEX_REPETITIONS", "2"))

WATCHES = {
    "inotify": ("--watch=inotify",),
    "poll": ("--watch=poll", "--poll-interval=0.2"),
}


@pytest.fixture(scope="module", params=WATCHES)
def server(
    request: pytest.FixtureRequest, installed: Installed, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server that learns of changes in one way or the other, for tests that keep to projects of their own."""
    home = tmp_path_factory.mktemp("live")
    made = Server(installed, home / "server", home / "packages", WATCHES[request.param])
    add_wheel(made.root, "steady")
    yield made.start()
    made.stop()


@pytest.fixture(params=WATCHES)
def lone_server(request: pytest.FixtureRequest, new_server: Callable[..., Server]) -> Server:
    """The same for one test, with one project."""
    made = new_server(*WATCHES[request.param])
    add_wheel(made.root, "steady")
    return made.start()


@pytest.mark.parametrize("make", [uv, pip])
def test_a_wheel_that_is_copied_in_installs_at_once(
    make: Callable[..., Client], server: Server, tmp_path: Path
) -> None:
    """Every time: as a further version of a known project, and as the first of a new one."""
    target = tmp_path / "target"
    client = make(tmp_path, server.ca)
    known = f"known-to-{make.__name__}"
    add_wheel(server.root, known, "0")
    install = ["--upgrade", "--no-deps", "--index-url", server.simple, "--target", str(target)]
    words = ("pip", "install") if make is uv else ("install",)
    late = []
    for count in range(1, REPETITIONS + 1):
        name = known if count % 2 else f"new-to-{make.__name__}-{count}"
        version = f"1.{count}"
        made = tmp_path / wheel_name(name, version)
        made.write_bytes(wheel_bytes(name, version))
        (server.root / name).mkdir(exist_ok=True)
        shutil.copy(made, server.root / name)
        ended = client.try_to(*words, *install, f"{name}=={version}")
        if ended.returncode or version_in(target, name.replace("-", "_")) != version:
            late.append((count, name, ended.stderr))
    assert late == []


def test_a_wheel_that_is_copied_in_is_listed_at_once(server: Server) -> None:
    """The same for a client that takes no time to start: the very next request has it."""
    with closing(server.connect()) as connection:
        for count in range(20 * REPETITIONS):
            name, version = f"quick-{count % 7}", f"1.{count}"
            path = server.root / name / wheel_name(name, version)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(wheel_bytes(name, version))
            assert path.name in {file["filename"] for file in page(connection, f"/simple/{name}/")["files"]}
            assert ask(connection, f"/simple/{name}/{path.name}").body == path.read_bytes()


def test_a_removed_file_is_gone_everywhere(server: Server) -> None:
    """Listing, JSON, sidecar and download forget a file together, and a project with its last file."""
    path = add_wheel(server.root, "gone", "1.0")
    places = [f"/simple/gone/{path.name}", f"/simple/gone/{path.name}.metadata", "/simple/gone/"]
    assert [server.get(place).status for place in places] == [200, 200, 200]
    shutil.rmtree(path.parent)
    assert [server.get(place).status for place in places] == [404, 404, 404]
    assert b"gone" not in server.get("/simple/").body


def test_a_half_written_wheel_is_never_visible(server: Server) -> None:
    """While it grows nobody sees it; once it is whole, the next request does."""
    data = wheel_bytes("slow", files={"blob": random.Random(3).randbytes(1 << 20)})
    path = server.root / "slow" / wheel_name("slow")
    path.parent.mkdir()
    with path.open("wb", buffering=0) as file:
        for start in range(0, len(data), 100_000):
            file.write(data[start : start + 100_000])
            whole = start + 100_000 >= len(data)
            answer = server.get(f"/simple/slow/{path.name}")
            if not whole:
                assert answer.status == 404
                assert path.name.encode() not in server.get("/simple/slow/").body
    assert server.get(f"/simple/slow/{path.name}").body == data
    (listed,) = server.project("slow")["files"]
    assert listed["hashes"]["sha256"] == hashlib.sha256(data).hexdigest()


def counted(server: Server) -> int:
    """How many files the server says it offers."""
    files: int = json.loads(server.get("/-/status").body)["files"]
    return files


def test_thousands_of_files_at_once(server: Server, tmp_path: Path) -> None:
    """They are moved in while others ask: everyone is answered, and in the end all are listed."""
    prepared = tmp_path / "prepared"
    paths = [
        add_wheel(prepared, f"many-{count % 50}", f"1.{count}")
        for count in range(number_of(5000, least=1000))
    ]
    there = counted(server)
    slowest, statuses, stop = [0.0], set(), threading.Event()

    def poll() -> None:
        with closing(server.connect()) as connection:
            while not stop.wait(0.005):
                for place in ("/-/health", "/simple/steady/"):
                    before = time.monotonic()
                    statuses.add(ask(connection, place).status)
                    slowest[0] = max(slowest[0], time.monotonic() - before)

    poller = threading.Thread(target=poll)
    poller.start()
    try:
        for count, path in enumerate(paths):
            inside = server.root / path.parent.name / path.name
            inside.parent.mkdir(exist_ok=True)
            (os.link if count % 2 else os.rename)(path, inside)
        wait_until(lambda: counted(server) == there + len(paths), "all files are listed")
    finally:
        stop.set()
        poller.join(PATIENCE)
    assert statuses == {200}
    pages = [server.project(f"many-{number}") for number in range(50)]
    assert {file["filename"] for page in pages for file in page["files"]} == {path.name for path in paths}
    print(f"the slowest answer meanwhile took {slowest[0]:.3f} s")


@cache
def large_bytes(seed: int) -> bytes:
    """A wheel that fits into no buffer."""
    return wheel_bytes("large", files={"blob": random.Random(seed).randbytes(12 << 20)})


@pytest.fixture
def large(server: Server) -> Path:
    """Such a wheel on the disk."""
    return put(server.root / "large" / wheel_name("large"), large_bytes(4))


def test_renaming_over_a_file_leaves_its_downloads_alone(server: Server, large: Path) -> None:
    """Who has begun to read the old bytes gets the old bytes to the end; the next one gets the new."""
    old, new = large.read_bytes(), wheel_bytes("large")
    with slowly(server, f"/simple/large/{large.name}") as client:
        begun = client.response.read(1 << 20)
        put(large, new)
        assert server.get(f"/simple/large/{large.name}").body == new
        assert begun + client.rest() == old


def test_removing_a_file_leaves_its_downloads_alone(server: Server, large: Path) -> None:
    """The same where nothing takes its place."""
    old = large.read_bytes()
    with slowly(server, f"/simple/large/{large.name}") as client:
        begun = client.response.read(1 << 20)
        shutil.rmtree(large.parent)
        assert server.get(f"/simple/large/{large.name}").status == 404
        assert begun + client.rest() == old


def test_overwriting_a_file_breaks_its_downloads(server: Server, large: Path) -> None:
    """Old bytes cannot be had any more, so the connection ends early; a mixture is never sent."""
    old = large.read_bytes()
    new = large_bytes(5)
    with slowly(server, f"/simple/large/{large.name}") as client:
        begun = client.response.read(1 << 20)
        large.write_bytes(new)
        got = begun + client.rest()
    assert len(got) < len(old)
    assert old.startswith(got)
    assert server.get(f"/simple/large/{large.name}").body == new


def statuses(server: Server) -> list[int]:
    """Of a known name, an unknown one, the root and readiness."""
    places = (
        "/simple/steady/",
        "/simple/unknown/",
        "/simple/",
        "/-/ready",
        "/simple/steady/" + wheel_name("steady"),
    )
    return [server.get(place, accept=JSON).status for place in places]


NORMAL, SUSPENDED = [200, 404, 200, 200, 200], [503] * 5


def test_a_root_that_goes(lone_server: Server) -> None:
    """While it is away nothing is "not here", known or unknown; back again, all is as before.

    An empty directory is what an unmounted disk looks like, and so is the last project's end: both wait for the operator,
    who says by SIGHUP that it is meant.
    """
    server = lone_server
    away = server.root.with_name("away")
    assert statuses(server) == NORMAL
    server.root.rename(away)
    wait_until(lambda: statuses(server) == SUSPENDED, "503 for all")
    assert server.get("/-/health").status == 200
    answer = server.get("/simple/steady/")
    assert (answer.headers["Retry-After"], str(server.root).encode() in answer.body) == ("2", False)
    away.rename(server.root)
    wait_until(lambda: statuses(server) == NORMAL, "200 again")

    shutil.rmtree(server.root / "steady")
    wait_until(lambda: statuses(server) == SUSPENDED, "503 for all that is empty")
    server.reload()
    wait_until(lambda: server.get("/simple/steady/").status == 404, "SIGHUP accepts it")
    assert server.get("/simple/").status == 200
    add_wheel(server.root, "steady")
    wait_until(lambda: statuses(server) == NORMAL, "200 for what is back")

    server.root.rename(away)
    server.root.mkdir()
    wait_until(lambda: statuses(server) == SUSPENDED, "503 for another root in its place")
    add_wheel(server.root, "fresh")
    assert server.get("/simple/fresh/").status == 503
    server.reload()
    wait_until(lambda: server.get("/simple/fresh/").status == 200, "the new root is served")
    assert server.get("/simple/steady/").status == 404
