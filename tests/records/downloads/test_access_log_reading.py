"""Access logs are read back as they were written, whatever rotated and compressed them."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.core.names import ProjectName
from simpleindex.records.downloads.access_log_reading import LoggedRequest, access_logs, read_requests
from simpleindex.web.http.access_log import LogEntry, combined

if TYPE_CHECKING:
    from pathlib import Path

ACME = ProjectName("acme")
WHEEL = "acme-1.0-py3-none-any.whl"
NOW = 1_795_910_400


def line(
    target: str = f"/simple/acme/{WHEEL}",
    *,
    method: str = "GET",
    status: int = 200,
    size: int = 10,
    agent: bytes = b"pip/26.3 {}",
    when: float = NOW,
    user: str = "alice",
) -> bytes:
    request_line = f"{method} {target} HTTP/1.1".encode()
    return combined(LogEntry("192.0.2.7", user, when, request_line, status, size, b"", agent)).encode()


def read(*paths: Path) -> list[LoggedRequest]:
    return [*read_requests([str(path) for path in paths], ACME, lambda _: True)]


def test_a_request(tmp_path: Path) -> None:
    """All that the log has of it."""
    log = tmp_path / "log"
    log.write_bytes(line(agent=b'pip/26.3 {"ci":"\\\xe4"}', user="J\u00fcrgen"))
    assert read(log) == [
        LoggedRequest(NOW, "192.0.2.7", "J\u00fcrgen", WHEEL, 200, 10, 'pip/26.3 {"ci":"\\\ufffd"}')
    ]


@pytest.mark.parametrize(
    "target",
    [
        f"/acme/{WHEEL}",
        f"/stable/simple/acme/{WHEEL}?x=1",
        f"//simple//acme/{WHEEL}",
        f"/simple/acme/{WHEEL.replace('-', '%2D')}",
    ],
)
def test_every_url_of_a_file(tmp_path: Path, target: str) -> None:
    """With and without the customary prefix, below a view, escaped."""
    log = tmp_path / "log"
    log.write_bytes(line(target))
    assert [request.filename for request in read(log)] == [WHEEL]


def test_what_is_left_out(tmp_path: Path) -> None:
    """Other projects, pages and metadata, other methods and answers, lines of others, and lines that are cut off."""
    log = tmp_path / "log"
    log.write_bytes(
        b"".join(
            [
                line("/simple/other/acme/x/y"),
                line("/simple/acme/\xff".replace("\xff", "%ff")),
                line("/acme/"),
                line("/pypi/acme/json"),
                line(f"/acme/{WHEEL}.metadata"),
                line("/-/why/acme/1.0"),
                line(f"/-/trial/simple/acme/{WHEEL}"),
                line(method="HEAD"),
                line(status=304, size=0),
                line(status=404),
                b"nonsense /acme/\n",
                line().replace(b"Nov", b"XXX"),
                line().replace(b"/Nov/", b"/Nov"),
                line()[:-30],
            ]
        )
    )
    assert read(log) == []
    assert [*read_requests([str(log)], ACME, lambda filename: filename == WHEEL)] == []


def test_other_time_zones(tmp_path: Path) -> None:
    """As other servers write them."""
    log = tmp_path / "log"
    log.write_bytes(line().replace(b"+0000", b"-0130") + line().replace(b"+0000", b"+0200"))
    assert [request.time - NOW for request in read(log)] == [5400, -7200]


def test_rotated_files(tmp_path: Path) -> None:
    """By number or date, compressed in any way that logrotate knows; the oldest first, and nothing else beside them."""
    log = tmp_path / "access.log"
    rotated = {
        "access.log": line(when=NOW),
        "access.log.1": line(when=NOW - 1),
        "access.log.2.gz": gzip.compress(line(when=NOW - 2)),
        "access.log-20261101.bz2": bz2.compress(line(when=NOW - 3)),
        "access.log-2026110112.xz": lzma.compress(line(when=NOW - 4)),
        # Being written just now.
        "access.log.3.gz": gzip.compress(line(when=NOW - 5) * 1000)[:-20],
    }
    for age, (name, data) in enumerate(rotated.items()):
        (tmp_path / name).write_bytes(data)
        os.utime(tmp_path / name, (NOW - age, NOW - age))
    for name in ("access.log.bak", "access.logs", "access.log.1.txt", "other.log"):
        (tmp_path / name).write_bytes(line())
    paths = access_logs(str(log))
    assert [os.path.basename(path) for path in paths] == [*reversed(rotated)]
    times = [request.time - NOW for path in paths for request in read(tmp_path / path)]
    assert sorted(set(times)) in ([-5, -4, -3, -2, -1, 0], [-4, -3, -2, -1, 0])
    assert access_logs(str(tmp_path / "nothing")) == []


def test_a_log_that_goes_while_it_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the oldest then, and reading it fails."""
    (tmp_path / "log").write_bytes(line())

    def gone(path: str) -> os.stat_result:
        raise FileNotFoundError(path)

    with monkeypatch.context() as patching:
        patching.setattr(os, "stat", gone)
        assert access_logs(str(tmp_path / "log")) == [str(tmp_path / "log")]


@given(st.binary(max_size=40), st.text(max_size=20).map("{}-1.0.tar.gz".format))
def test_whatever_clients_send(tmp_path_factory: pytest.TempPathFactory, agent: bytes, name: str) -> None:
    """A line is read back as the request that it was, and no text of a client makes it another."""
    log = tmp_path_factory.mktemp("log") / "log"
    quoted = "".join(f"%{byte:02x}" for byte in name.encode())
    log.write_bytes(line(f"/acme/{quoted}", agent=agent))
    (request,) = read(log)
    assert (request.filename, request.user, request.status) == (name, "alice", 200)
    assert request.agent == ("" if agent == b"-" else agent.decode("utf-8", "replace"))
