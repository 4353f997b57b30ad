"""Three nodes over one bucket with two gateways and one PostgreSQL, behind haproxy, while each of these is killed in turn.

SIMPLEINDEX_UPLOADS says how many files are uploaded meanwhile.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.haproxy import Proxy
from tests.end_to_end.object_stores import BUCKET, MISSING_SEAWEEDFS, SeaweedFS
from tests.end_to_end.publishing import Publishing, start_publishing
from tests.end_to_end.running import PATIENCE, Server, wait_until
from tests.end_to_end.uploading import upload
from tests.fixtures.distributions import wheel_bytes, wheel_name
from tests.fixtures.ports import free_port
from tests.fixtures.postgresql import PostgreSQL, running_postgresql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("haproxy") is None,
        reason="haproxy is not installed",
    ),
    pytest.mark.skipif(MISSING_SEAWEEDFS is not None, reason=str(MISSING_SEAWEEDFS)),
]

UPLOADS = int(os.environ.get("SIMPLEINDEX_UPLOADS", "30"))
NODES = 3
WRITERS = 50
"""Who upload one name at once."""


@dataclass
class Nodes:
    """All of it.

    Attributes:
        store: The bucket's store.
        database: The records' server.
        publishing: The first node, with people.
        nodes: All of them.
        proxy: In front of them.
        records: The URL of their records.
    """

    store: SeaweedFS
    database: PostgreSQL
    publishing: Publishing
    nodes: list[Server]
    proxy: Proxy
    records: str

    def upload(self, token: str, name: str, data: bytes, version: str = "1.0") -> int:
        """Upload a wheel by the proxy, again until it is taken or refused, as users of twine and CI do."""
        statuses: list[int] = []

        def is_decided() -> bool:
            with suppress(OSError, http.client.HTTPException):
                statuses.append(upload(self.proxy, token, name, version, data).status)  # type: ignore[arg-type]
                if statuses[-1] < 500:
                    return True
            time.sleep(0.3)
            return False

        wait_until(is_decided, "a node takes the upload, or refuses it")
        return statuses[-1]


@pytest.fixture
def nodes(new_server: Callable[..., Server], tmp_path: Path, open_directory: Path) -> Iterator[Nodes]:
    """Three nodes: the first and the last by one gateway, the second by the other."""
    with ExitStack() as stack:
        database = stack.enter_context(running_postgresql(open_directory))
        store = SeaweedFS(tmp_path / "seaweedfs", gateways=3)
        stack.callback(store.stop)
        store.start()
        ports = [free_port() for _ in range(NODES)]
        url = database.create_database()

        def make(number: int, *options: str) -> Server:
            server: Server = new_server(*options, name=f"node{number}")
            server.location = f"s3://{BUCKET}/python"
            server.environment = store.environment(1 + number % 2)
            plain = ("--http", f"tcp:{ports[number]}:interface=127.0.0.1", "--serve-http")
            server.listen = ("--https", "0", *plain, "--trusted-proxy", "127.0.0.1")
            return server

        publishing = start_publishing(lambda **_: make(0), "--records", url)
        nodes = [publishing.server]
        nodes += [make(number, *publishing.server.options).start() for number in range(1, NODES)]
        for each in nodes:
            # Before the database, whose end would be in their logs.
            stack.callback(each.stop)
        proxy = Proxy(tmp_path / "haproxy", ports)
        stack.callback(proxy.stop)
        wait_until(lambda: proxy.get("/simple/").status == 200, "haproxy has found a node")
        yield Nodes(store, database, publishing, nodes, proxy, url)


def await_files(server: Server, expected: dict[str, str]) -> dict[str, str]:
    """Wait until a server lists these files with these digests; returns all that it lists then."""
    now: dict[str, str] = {}

    def has_all() -> bool:
        # Where the store or the database was away a moment ago, the answer may be 503.
        with suppress(AssertionError):
            now.update(server.digests())
        return expected.items() <= now.items()

    wait_until(has_all, "every accepted file is listed")
    return now


def test_nodes(nodes: Nodes) -> None:
    """One winner of a name; what was answered 200 is on every node, whole; a known name never vanishes; a revoked token counts nowhere."""
    token = nodes.publishing.token("--records", nodes.records)
    # Under two spellings, which the store does not know to be one distribution.
    versions = ["1.0" if number % 2 else "1.0.0" for number in range(WRITERS)]
    contents = [
        wheel_bytes("contested", version, files={"which.py": str(number).encode()})
        for number, version in enumerate(versions)
    ]
    with ThreadPoolExecutor(16) as pool:
        statuses = [
            *pool.map(
                lambda data, version: nodes.upload(token, "contested", data, version), contents, versions
            )
        ]
    assert Counter(statuses) == {200: 1, 409: WRITERS - 1}
    first = statuses.index(200)
    contested, winner = wheel_name("contested", versions[first]), hashlib.sha256(contents[first]).hexdigest()
    for each in nodes.nodes:
        await_files(each, {contested: winner})
    accepted, seen = uploads_under_kills(nodes, token)
    # haproxy says 502 where a node died before its answer, and 503 where there is none.
    assert set(seen) <= {200, 502, 503}, seen
    assert len(accepted) > UPLOADS // 3, len(accepted)
    expected = {wheel_name(name): hashlib.sha256(wheel_bytes(name)).hexdigest() for name in accepted}
    expected[contested] = winner
    possible = {
        wheel_name(f"p{number}"): hashlib.sha256(wheel_bytes(f"p{number}")).hexdigest()
        for number in range(UPLOADS)
    }
    for each in nodes.nodes:
        now = await_files(each, expected)
        assert now.items() <= {**possible, **expected}.items()
        for name in accepted[:5]:
            assert (
                hashlib.sha256(each.get(f"/{name}/{wheel_name(name)}").body).hexdigest()
                == expected[wheel_name(name)]
            )


def uploads_under_kills(nodes: Nodes, token: str) -> tuple[list[str], Counter[int]]:
    """Upload while a node, a gateway and the database are killed; return accepted names, and the statuses of a known page."""
    over, are_uploaded = threading.Event(), threading.Event()
    seen: Counter[int] = Counter()

    def read() -> None:
        while not over.wait(0.02):
            with suppress(OSError, http.client.HTTPException):
                seen[nodes.proxy.get("/simple/contested/").status] += 1

    def kill() -> None:
        for turn in count(1):
            kill_each(turn % NODES)
            if are_uploaded.wait(0.5):
                print(f"A node, a gateway and PostgreSQL were killed {turn} times each.")
                return

    def kill_each(number: int) -> None:
        over.wait(0.5)
        node = nodes.nodes[number]
        node.kill()
        node.launch()
        # A start without its store would end with a sentence; systemd would try again.
        node.await_line("Serving .* for http")
        nodes.store.kill_gateway(2)
        over.wait(1)
        nodes.store.start_gateway(2)
        nodes.database.kill()
        over.wait(1)
        nodes.database.start()
        node.await_listening()
        node.await_ready()

    def send(number: int) -> int:
        return nodes.upload(token, f"p{number}", wheel_bytes(f"p{number}"))

    threads = [threading.Thread(target=each) for each in (read, kill)]
    for each in threads:
        each.start()
    with ThreadPoolExecutor(6) as pool:
        results = [*pool.map(send, range(UPLOADS))]
    are_uploaded.set()
    print(f"{results.count(200)} of {UPLOADS} uploads were accepted; answers for a known page: {dict(seen)}")
    threads[1].join(PATIENCE)
    over.set()
    threads[0].join(PATIENCE)
    return [f"p{number}" for number, status in enumerate(results) if status == 200], seen
