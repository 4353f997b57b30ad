"""Many uploads at once, huge ones, and what is left when clients, disks and servers fail in the midst of them.

SIMPLEINDEX_KILLS says how often a server is killed while uploads arrive.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import random
import socket
import subprocess
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests.end_to_end.publishing import make_dist, start_publishing, twine
from tests.end_to_end.running import PATIENCE, Server, wait_until
from tests.end_to_end.storages import ON_BOTH_STORAGES
from tests.end_to_end.uploading import form_ends, head_of, large_wheel, litter, peak_memory, upload
from tests.fixtures.distributions import wheel_bytes, wheel_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.end_to_end.publishing import Publishing
    from tests.end_to_end.storages import Storage

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("SIMPLEINDEX_KILLS", "2"))
MiB = 1 << 20


@pytest.fixture
def publishing(new_server: Callable[..., Server], storage: Storage) -> Iterator[Publishing]:
    """A server with people; nothing that it leaves behind holds a secret."""
    made = start_publishing(new_server, storage=storage)
    yield made
    made.assert_no_secret_was_told()


@contextmanager
def reading(server: Server) -> Iterator[Counter[int]]:
    """Ask for pages all the while; gives how often each status came."""
    statuses: Counter[int] = Counter()
    over = threading.Event()

    def read() -> None:
        while not over.wait(0.02):
            statuses[server.get("/simple/steady/").status] += 1
            statuses[server.get("/simple/").status] += 1

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield statuses
    finally:
        over.set()
        thread.join(PATIENCE)


@ON_BOTH_STORAGES
def test_all_at_once(publishing: Publishing, new_server: Callable[..., Server]) -> None:
    """120 files and 30 times one file, some with other bytes: all accounted for; in a bucket to two servers of it."""
    servers = [publishing.server]
    if publishing.storage.records is not None:
        other = new_server(*publishing.server.options, name="server-2")
        publishing.storage.attach(other)
        servers.append(other.start())
    token = publishing.token()
    assert upload(servers[0], token, "steady", "1.0", wheel_bytes("steady")).status == 200
    distinct = [
        (f"p{number % 23}", f"1.{number}", wheel_bytes(f"p{number % 23}", f"1.{number}"))
        for number in range(120)
    ]
    same = [
        ("contested", "1.0", wheel_bytes("contested", files={"which.py": f"{number % 3}".encode()}))
        for number in range(30)
    ]
    jobs = [*distinct, *same]
    random.Random(5).shuffle(jobs)
    with reading(servers[0]) as statuses, ThreadPoolExecutor(32) as pool:
        answers = list(
            pool.map(lambda job: upload(servers[job[0] % len(servers)], token, *job[1]), enumerate(jobs))
        )
    assert set(statuses) == {200}
    got = Counter((job[0] == "contested", answer.status) for job, answer in zip(jobs, answers, strict=True))
    assert got[False, 200] == len(distinct), got
    won = {
        job[2]
        for job, answer in zip(jobs, answers, strict=True)
        if job[0] == "contested" and answer.status == 200
    }
    (winner,) = won
    expected = {
        answer: sum(job[0] == "contested" and (job[2] == winner) == (answer == 200) for job in jobs)
        for answer in (200, 409)
    }
    assert (got[True, 200], got[True, 409]) == (expected[200], expected[409])
    wanted = {wheel_name(name, version): hashlib.sha256(data).hexdigest() for name, version, data in distinct}
    wanted[wheel_name("contested")] = hashlib.sha256(winner).hexdigest()
    wanted[wheel_name("steady")] = hashlib.sha256(wheel_bytes("steady")).hexdigest()
    for server in servers:
        wait_until(lambda server=server: server.digests() == wanted, "everything is listed")  # type: ignore[misc]
    assert publishing.storage.litter() == []


def test_large_uploads(publishing: Publishing, tmp_path: Path) -> None:
    """One of 64 MiB, and ten of 10 MiB at a time: a few buffers, whatever the size."""
    server, token = publishing.server, publishing.token()
    assert upload(server, token, "steady", "1.0", wheel_bytes("steady")).status == 200
    large = large_wheel(tmp_path, "large", 64 * MiB)
    before = peak_memory(server)
    assert upload(server, token, "large", "1.0", large).status == 200
    assert peak_memory(server) - before < 30 * MiB
    made = [large_wheel(tmp_path, f"p{number}", 10 * MiB) for number in range(10)]
    before = peak_memory(server)
    with ThreadPoolExecutor(10) as pool:
        statuses = list(pool.map(lambda n: upload(server, token, f"p{n}", "1.0", made[n]).status, range(10)))
    assert statuses == [200] * 10
    assert peak_memory(server) - before < 60 * MiB
    assert len(server.digests()) == 12
    assert_the_head_alone_is_refused(server, token)
    assert_twine_sends_once(publishing, tmp_path, large)
    wait_until(lambda: litter(server.root) == [], "nothing unfinished is left")


def assert_the_head_alone_is_refused(server: Server, token: str) -> None:
    """Nobody has to send ten gigabytes to hear that they are too many."""
    with open_upload(server, token, 10 << 30) as channel:
        answer = channel.recv(4096)
    assert answer.startswith(b"HTTP/1.1 413 File too large.")


def assert_twine_sends_once(publishing: Publishing, directory: Path, large: Path) -> None:
    """It takes a connection that breaks for a reason to send all of it again, and each time a wrong password counts."""
    server = publishing.server
    before = sum(seen.method == "POST" for seen in server.requests())
    login = ("--repository-url", publishing.legacy, "-u", "alice", "-p", "wrong")
    refused = twine(directory, server.ca).try_to(*login, large)
    told = " ".join((refused.stdout + refused.stderr).split())
    assert "401 Unauthorized" in told, told

    def after() -> list[int]:
        # Logged when it ends, which may be after its answer.
        return [seen.status for seen in server.requests() if seen.method == "POST"][before:]

    wait_until(after, "the request is logged")
    assert after() == [401]


# -- what breaks off ----------------------------------------------------------------------------------------------------


def open_upload(server: Server, token: str, length: int) -> Any:
    """A connection on which the head of an upload has been sent."""
    plain = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
    channel = server.trust.wrap_socket(plain, server_hostname="localhost")
    channel.sendall(head_of(server, token, length))
    return channel


@ON_BOTH_STORAGES
def test_clients_that_leave(publishing: Publishing) -> None:
    """Wherever in the form that is, with and without a farewell, nothing stays; the same can be uploaded afterwards."""
    server, token = publishing.server, publishing.token()
    data = wheel_bytes("gone", files={"blob": random.Random(1).randbytes(300_000)})
    before, after = form_ends(wheel_name("gone"), "gone", "1.0")
    body = before + data + after
    for number in range(12):
        stop = len(body) * number // 11
        with suppress(ConnectionError), open_upload(server, token, len(body)) as channel:
            channel.sendall(body[:stop])
            if number % 2:
                # A reset, as from a machine that loses its power.
                channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    wait_until(lambda: publishing.storage.litter() == [], "everything is cleared away")
    assert publishing.storage.names() == []
    assert upload(server, token, "gone", "1.0", data).status == 200
    assert server.digests() == {wheel_name("gone"): hashlib.sha256(data).hexdigest()}


class Uploader:
    """Uploads one file after the other until the server is gone."""

    def __init__(self, server: Server, token: str, seed: int) -> None:
        self.sent: dict[str, bytes] = {}
        self.accepted: set[str] = set()
        self._server, self._token, self._seed = server, token, seed
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def join(self) -> None:
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        chance = random.Random(self._seed)
        for number in range(500):
            name, version = f"p{chance.randrange(4)}", f"{self._seed}.{number}"
            data = wheel_bytes(
                name, version, files={"blob": chance.randbytes(chance.choice([10, 3000, 400_000]))}
            )
            self.sent[wheel_name(name, version)] = data
            try:
                answer = upload(self._server, self._token, name, version, data)
            except (OSError, http.client.HTTPException):
                return
            assert answer.status == 200, answer
            self.accepted.add(wheel_name(name, version))


@ON_BOTH_STORAGES
def test_killed_while_uploads_arrive(publishing: Publishing) -> None:
    """After kill -9 and a start: what was accepted is there, whole; what was not may be, whole; nothing else lies about."""
    server, storage, token = publishing.server, publishing.storage, publishing.token()
    chance = random.Random(11)
    accepted: set[str] = set()
    sent: dict[str, bytes] = {}
    for round_number in range(KILLS if storage.records is None else (KILLS + 1) // 2):
        uploaders = [Uploader(server, token, round_number * 3 + each) for each in range(3)]
        if round_number == 0:
            # At least one upload is accepted, however busy the machine is.
            wait_until(lambda: any(each.accepted for each in uploaders), "an upload is accepted")  # noqa: B023
        threading.Event().wait(0.1 + chance.random())
        server.kill()
        for uploader in uploaders:
            uploader.join()
            accepted |= uploader.accepted
            sent |= uploader.sent
        server.start()
        assert storage.litter() == []
        there = server.digests()
        assert accepted <= there.keys()
        for filename, digest in there.items():
            assert digest == hashlib.sha256(sent[filename]).hexdigest()
        assert {name.rpartition("/")[2] for name in storage.names()} == there.keys()
    assert accepted


# -- disks that fail ----------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 40 MiB, of which an upload leaves 2 free."""
    if os.getuid() != 0:
        pytest.skip("only root mounts disks")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("no disk can be mounted here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def on_disk(place: Path, new_server: Callable[..., Server]) -> Publishing:
    """A server whose root lies there."""

    def make(*options: str, name: str = "server") -> Server:
        return new_server(*options, name=name, root=place / "packages")

    return start_publishing(make)


def test_a_full_disk(small_disk: Path, new_server: Callable[..., Server], tmp_path: Path) -> None:
    """507 with its sentence, by the header, before the body; a body of unknown length is refused on its way."""
    publishing = on_disk(small_disk, new_server)
    server, token = publishing.server, publishing.token()
    large = large_wheel(tmp_path, "large", 39 * MiB)
    client = twine(tmp_path, server.ca)
    login = ("--repository-url", publishing.legacy, "-u", "alice", "-p", publishing.passwords["alice"])
    refused = client.try_to(*login, large)
    told = " ".join((refused.stdout + refused.stderr).split())
    assert "507" in told, told
    assert "full" in told, told
    assert {seen.status for seen in server.requests() if seen.method == "POST"} == {507}
    with server.trust.wrap_socket(
        socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE), server_hostname="localhost"
    ) as channel:
        head = f"PUT /{large.name} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n\r\n"
        channel.sendall(head.encode())
        with suppress(ConnectionError):
            for _ in range(60):
                channel.sendall(b"100000\r\n" + b"x" * MiB + b"\r\n")
        answer = channel.recv(4096)
    assert answer.startswith(b"HTTP/1.1 507 "), answer
    wait_until(lambda: litter(server.root) == [], "the unfinished file is gone")
    assert upload(server, token, "small", "1.0", wheel_bytes("small")).status == 200
    server.stop()


def test_a_tree_that_cannot_be_written(
    small_disk: Path, new_server: Callable[..., Server], tmp_path: Path
) -> None:
    """500 with the reason, also when it becomes so while the server runs; reading goes on."""
    publishing = on_disk(small_disk, new_server)
    server, token = publishing.server, publishing.token()
    assert upload(server, token, "first", "1.0", wheel_bytes("first")).status == 200
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    made = make_dist(tmp_path, "second")
    login = ("--repository-url", publishing.legacy, "-u", "alice", "-p", publishing.passwords["alice"])
    refused = twine(tmp_path, server.ca).try_to(*login, *made)
    told = " ".join((refused.stdout + refused.stderr).split())
    assert "500" in told, told
    assert "read-only" in told, told
    assert [*server.digests()] == [wheel_name("first")]
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    assert upload(server, token, "third", "1.0", wheel_bytes("third")).status == 200
    wait_until(lambda: litter(server.root) == [], "nothing unfinished is left")
    server.stop()
