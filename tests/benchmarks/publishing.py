"""What uploads cost: readers while many arrive, and the server while a large one does.

As a program it is the uploaders, in a process of their own, so that it does not hold up the clock of the readers.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.benchmarks import repository
from tests.benchmarks.bench import Part
from tests.benchmarks.lifetimes import latencies, settle
from tests.benchmarks.load import percentile
from tests.benchmarks.processes import LOAD_PROCESSOR, on_processor
from tests.benchmarks.servers import Simpleindex
from tests.benchmarks.uploads import form
from tests.end_to_end.uploading import large_wheel
from tests.fixtures.distributions import wheel_bytes, wheel_name

if TYPE_CHECKING:
    from tests.benchmarks.bench import Bench, Values
    from tests.benchmarks.servers import Server

UPLOADERS: Final = 32
_ACCESS: Final = '[[rule]]\nprojects = ["*"]\nread = ["anyone"]\nupload = ["ci"]\n'


class PublishingSimpleindex(Simpleindex):
    """With uploads, over TLS, by a token."""

    name = "simpleindex --access"
    secret = ""

    def command(self) -> list[str]:
        access = self.place / "access.toml"
        access.write_text(_ACCESS)
        # By the command of its version, since another version may keep tokens in another form.
        command = [str(Path(self.program).with_name("simpleindex")), "token", "create", "--user", "ci"]
        command += ["--can", "upload", "--future-user", "--new-state", "--state", str(self.place / "state")]
        created = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=60)
        self.secret = created.stdout.strip()
        return [*super().command(), "--access", str(access)]


def uploads(bench: Bench) -> None:
    """What readers notice of 200 uploads by 32 at a time, and what a large one takes."""
    wide = repository.repository(bench.workplace.repositories, *bench.sizes.wide)
    with bench.started(bench.versions(PublishingSimpleindex), wide) as servers:
        bench.rounds(
            Part("answers while uploads arrive", servers, lambda server: _crowded(server, bench)),
            Part("upload of a large file TLS", servers, lambda server: _large(server, bench)),
        )


def _crowded(server: Server, bench: Bench) -> Values:
    names = list(server.repository.names())[1:]
    plan = bench.workplace.path / "uploads"
    plan.mkdir(exist_ok=True)
    jobs = []
    for number in range(bench.sizes.uploads):
        name, version = names[number * 7919 % len(names)], f"3.{number}.0"
        path = plan / wheel_name(name, version)
        path.write_bytes(wheel_bytes(name, version))
        jobs.append((str(path), name, version))
    try:
        begin = time.monotonic()
        uploading = _uploaders(server, jobs)
        pages, roots = latencies(server, lambda: uploading.poll() is not None)
        seconds = time.monotonic() - begin
        assert uploading.returncode == 0
        return {
            "page_p50_ms": percentile(pages, 50) * 1e3,
            "page_p99_ms": percentile(pages, 99) * 1e3,
            "page_max_ms": max(pages) * 1e3,
            "root_max_ms": max(roots) * 1e3,
            "uploads_per_s": len(jobs) / seconds,
        }
    finally:
        for sent, name, _ in jobs:
            Path(sent).unlink()
            (server.repository.path / name / Path(sent).name).unlink(missing_ok=True)
        settle(server)


def _large(server: Server, bench: Bench) -> Values:
    name = list(server.repository.names())[1]
    path = large_wheel(bench.workplace.path, name, bench.sizes.large_file, "3.0")
    try:
        server.running.forget_peak()
        before = server.running.weigh()
        begin = time.monotonic()
        uploading = _uploaders(server, [(str(path), name, "3.0")])
        assert uploading.wait() == 0
        seconds = time.monotonic() - begin
        after = server.running.weigh()
        return {
            "mb_per_s": bench.sizes.large_file / 1e6 / seconds,
            "cpu_s": after.cpu - before.cpu,
            "growth_mb": (after.peak - before.resident) / 1e6,
        }
    finally:
        (server.repository.path / name / path.name).unlink(missing_ok=True)
        path.unlink()
        settle(server)


def _uploaders(server: Server, jobs: list[tuple[str, str, str]]) -> subprocess.Popen[bytes]:
    assert isinstance(server, PublishingSimpleindex)
    given = {"port": server.tls_port, "secret": server.secret, "jobs": jobs}
    with on_processor(LOAD_PROCESSOR):
        started = subprocess.Popen([sys.executable, "-m", __name__], stdin=subprocess.PIPE)
    assert started.stdin is not None
    with started.stdin:
        started.stdin.write(json.dumps(given).encode())
    return started


def _upload(port: int, secret: str, job: tuple[str, str, str]) -> int:
    import ssl

    path, name, version = job
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    kind, body = form(Path(path), name, version)
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=120)
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": kind}
    connection.request("POST", "/legacy/", body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


def _main(given: dict[str, Any]) -> None:
    with ThreadPoolExecutor(UPLOADERS) as pool:
        statuses = list(pool.map(lambda job: _upload(given["port"], given["secret"], job), given["jobs"]))
    if set(statuses) != {200}:
        sys.exit(f"not all uploads were taken: {sorted(set(statuses))}")


if __name__ == "__main__":
    _main(json.load(sys.stdin))
