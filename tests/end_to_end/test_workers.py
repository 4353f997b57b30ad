"""Several workers on one machine: uploads through all of them, kills, reloads, and what systemd hears."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.changing_files import looked_at
from tests.end_to_end.clients import pip
from tests.end_to_end.publishing import Publishing, start_publishing
from tests.end_to_end.running import PATIENCE, Server, ask, wait_until
from tests.end_to_end.uploading import litter, upload
from tests.fixtures.distributions import add_wheel, wheel_bytes, wheel_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow

PROC = Path("/proc")
UPLOADS = int(os.environ.get("SIMPLEINDEX_UPLOADS", "40"))
"""Files that are uploaded while workers are killed."""


def children(pid: int) -> dict[int, str]:
    """The processes that one started, each with the name that ``ps -o comm`` shows."""
    found: dict[int, str] = {}
    for each in os.listdir("/proc"):
        with suppress(OSError):
            if each.isdecimal():
                # proc(5): the number, the name in parentheses, the state, the parent.
                head, _, rest = (PROC / each / "stat").read_text().rpartition(")")
                if rest.split()[1] == str(pid):
                    found[int(each)] = head.partition("(")[2]
    return found


def processes(server: Server) -> dict[int, int]:
    """The workers' processes, by their numbers."""
    return {
        int(name.removeprefix("worker ").partition("/")[0]): pid
        for fork_server in children(server.process.pid)
        for pid, name in children(fork_server).items()
        if name.startswith("worker ")
    }


@pytest.fixture
def publishing(new_server: Callable[..., Server]) -> Iterator[Publishing]:
    """A server with people and four workers; nothing that it leaves behind holds a secret."""
    made = start_publishing(new_server, "--workers=4")
    made.server.await_line("4 workers serve")
    yield made
    made.assert_no_secret_was_told()


def test_four_workers(publishing: Publishing, tmp_path: Path) -> None:
    """They are shown together, list what any of them took, and some are killed."""
    assert_a_scrape_shows_all_workers(publishing)
    assert_an_upload_is_listed_by_every_worker(publishing, tmp_path)
    kill_workers(publishing)


def assert_a_scrape_shows_all_workers(publishing: Publishing) -> None:
    """Whichever accepts it; requests of all are counted. So does the status."""
    server = publishing.server
    # Whoever does not report within three seconds is left out.
    wait_until(lambda: all_serve(server), "a status shows all workers")
    for _ in range(8):
        assert server.get("/simple/none/").status == 404
    wait_until(lambda: scraped(server) == (["1", "2", "3", "4"], 8), "a scrape shows all workers")


def scraped(server: Server) -> tuple[list[str], int]:
    """The workers that are ready, and how many projects were requested in vain."""
    text = server.get("/-/metrics").body.decode()
    ready = re.findall(r'^simpleindex_ready\{worker="(\d)"\} 1\.0$', text, re.MULTILINE)
    requests = re.findall(
        r'^simpleindex_requests_total\{class="4xx",route="project",.*\} (\d)', text, re.MULTILINE
    )
    return sorted(ready), sum(map(int, requests))


def assert_an_upload_is_listed_by_every_worker(publishing: Publishing, tmp_path: Path) -> None:
    """From its answer on; a new connection may reach any of them. pip installs it."""
    server, token = publishing.server, publishing.token()
    assert sorted(processes(server)) == [1, 2, 3, 4]
    for number in range(10):
        name = f"p{number}"
        assert upload(server, token, name, "1.0", wheel_bytes(name)).status == 200
        assert {server.get(f"/simple/{name}/").status for _ in range(12)} == {200}
        assert {server.get(f"/{name}/{wheel_name(name)}").status for _ in range(4)} == {200}
    done = pip(tmp_path, server.ca).try_to(
        "install", "--index-url", server.simple, "--target", tmp_path / "t", "p3"
    )
    assert done.returncode == 0, done.stderr
    wait_until(
        lambda: {b'"project": "p3"' in server.get("/-/search.json?q=p3").body for _ in range(12)} == {True},
        "every worker can be searched",
    )


def all_serve(server: Server) -> bool:
    """Whether four workers are ready, as the one that answers knows."""
    with suppress(OSError, http.client.HTTPException):
        workers = json.loads(server.get("/-/status").body)["workers"]
        return [(each["worker"], each["ready"]) for each in workers] == [(n, True) for n in range(1, 5)]
    return False


def kill_workers(publishing: Publishing) -> None:
    """In turn, with SIGKILL, under uploads: what was answered 200 is listed by all, whole; names never vanish meanwhile."""
    server, token = publishing.server, publishing.token()
    assert upload(server, token, "steady", "1.0", wheel_bytes("steady")).status == 200
    over = threading.Event()
    statuses: Counter[int] = Counter()

    def read() -> None:
        while not over.wait(0.02):
            with suppress(OSError, http.client.HTTPException):
                statuses[server.get("/simple/steady/").status] += 1

    def kill() -> None:
        for number in (2, 1, 4, 3):
            if (pid := processes(server).get(number)) is not None:
                os.kill(pid, signal.SIGKILL)
            # The next one when all serve again: a busy machine would have none left, and refuse most uploads.
            over.wait(1)
            while not over.is_set() and not all_serve(server):
                over.wait(0.1)

    def is_taken(number: int) -> bool:
        with suppress(OSError, http.client.HTTPException):
            return upload(server, token, f"k{number}", "1.0", wheel_bytes(f"k{number}")).status == 200
        return False

    def send(number: int) -> None:
        wait_until(lambda: is_taken(number), "a worker takes the upload")

    threads = [threading.Thread(target=each) for each in (read, kill)]
    for each in threads:
        each.start()
    with ThreadPoolExecutor(8) as pool:
        assert len([*pool.map(send, range(UPLOADS))]) == UPLOADS
    over.set()
    for each in threads:
        each.join(PATIENCE)
    wait_until(lambda: len(processes(server)) == 4, "every worker is started again")
    wait_until(lambda: all_serve(server), "every worker serves again")
    expected = {
        wheel_name(f"k{number}"): hashlib.sha256(wheel_bytes(f"k{number}")).hexdigest()
        for number in range(UPLOADS)
    }
    for _ in range(4):
        assert expected.items() <= server.digests().items()
    assert set(statuses) <= {200, 503}, statuses
    wait_until(lambda: litter(server.root) == [], "unfinished uploads are cleared away")
    assert re.search(r"Worker 2 ended \(signal SIGKILL\); it is started again\.", server.log)


def test_reload_and_new_files(new_server: Callable[..., Server]) -> None:
    """SIGHUP reaches every worker; a file that is copied in is listed by every one; each line of the log comes once."""
    server = new_server("--workers=2")
    add_wheel(server.root, "acme")
    server.start()
    server.await_line("2 workers serve")
    add_wheel(server.root, "fresh")
    wait_until(lambda: {server.get("/simple/fresh/").status for _ in range(8)} == {200}, "all list the file")
    assert_a_file_is_on_the_next_page_of_any_worker(server)
    assert_only_the_supervisor_watches(server)
    os.kill(processes(server)[1], signal.SIGKILL)
    add_wheel(server.root, "fresh", "2.0")
    server.await_line("2 workers serve", times=2)
    wait_until(
        lambda: all(b"fresh-2.0" in server.get("/simple/fresh/").body for _ in range(8)), "all list it"
    )
    (server.home / "access.log").rename(server.home / "access.log.1")
    server.reload()
    wait_until(lambda: not any(map(writes_to_former_log, processes(server).values())), "all have reopened it")
    assert {server.get("/simple/").status for _ in range(8)} == {200}
    wait_until(lambda: (server.home / "access.log").read_text().count("GET /simple/ ") >= 8, "one access log")
    assert server.log.count("Configuration read again") == 1
    assert server.log.count("1 project, 1 file") == 1


def writes_to_former_log(pid: int) -> bool:
    """Whether a process has the log open that was moved away."""
    with suppress(OSError):
        descriptors = (PROC / str(pid) / "fd").iterdir()
        return any(os.readlink(each).endswith("/access.log.1") for each in descriptors)
    return False


def assert_a_file_is_on_the_next_page_of_any_worker(server: Server) -> None:
    """Whole when it gets its name, and requested at once: before the supervisor need have had its turn."""
    connections = [server.connect() for _ in range(6)]
    for number in range(20):
        version = f"1.{number}"
        add_wheel(server.root, "fresh", version)
        connection = connections[number % len(connections)]
        assert wheel_name("fresh", version).encode() in ask(connection, "/simple/fresh/").body
    for each in connections:
        each.close()


def assert_only_the_supervisor_watches(server: Server) -> None:
    """Each directory once, however many workers there are."""

    def count(pid: int) -> int:
        return sum(each.read_text().count("inotify wd:") for each in (PROC / str(pid) / "fdinfo").iterdir())

    pids = (server.process.pid, *processes(server).values())
    # Descriptors of connections may be closed while they are counted.
    watches = {pid: looked_at(partial(count, pid)) for pid in pids}
    assert watches == dict.fromkeys(watches, 0) | {server.process.pid: 3}


def test_a_second_server_on_the_port_or_the_state_is_refused(new_server: Callable[..., Server]) -> None:
    """As without workers: it would take a part of the connections, and record and notify twice. Once the first ends, it may start."""
    first = new_server("--workers=2").start()
    second = new_server("--workers=2", name="second")
    second.listen = ("--https", str(first.port))
    assert f"--https {first.port} cannot be listened on: Address already in use" in second.refused()
    second.listen = ("--https", "0")
    for workers in ("--workers=2", "--workers=1"):
        second.options = [workers, f"--state={first.home / 'state'}"]
        assert (
            f"Another server is running with the state directory {first.home / 'state'}; stop"
            in second.refused()
        )
    first.reload()
    first.stop()
    second.launch().await_listening()


def test_without_its_supervisor_no_worker_stays(new_server: Callable[..., Server]) -> None:
    """It would hold the port, and nobody could stop it. Without their fork server they stay, and are started again by another."""
    server = new_server("--workers=2").start()
    server.await_line("2 workers serve")
    workers = processes(server)
    (former,) = children(server.process.pid)
    assert os.listdir(PROC / str(former) / "task") == [str(former)]
    os.kill(former, signal.SIGKILL)
    server.await_line("The process that starts workers ended")
    assert {server.get("/-/health").status for _ in range(8)} == {200}
    os.kill(workers[2], signal.SIGKILL)
    server.await_line("Worker 2 ended")
    server.await_line("2 workers serve", times=2)
    (fork_server,) = children(server.process.pid)
    ended = (fork_server, workers[1], *children(fork_server))
    server.kill()
    wait_until(lambda: not any((PROC / str(pid)).exists() for pid in ended), "the workers have ended")
