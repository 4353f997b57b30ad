"""The process: daemons, users, signals, refusals, and what a kill at any moment leaves behind.

SIMPLEINDEX_KILLS says how often it is killed while files arrive.
"""

from __future__ import annotations

import http.client
import os
import pwd
import random
import re
import shutil
import signal
import socket
import sys
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from simpleindex import __version__
from tests.end_to_end.changing_files import looked_at
from tests.end_to_end.running import PATIENCE, Server, ask, wait_until
from tests.end_to_end.slow_client import slowly
from tests.fixtures.distributions import add_wheel, put, wheel_bytes, wheel_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.end_to_end.running import Installed

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("SIMPLEINDEX_KILLS", "2"))
NOBODY = pwd.getpwnam("nobody")


# -- starting and ending ------------------------------------------------------------------------------------------------


def test_daemon(new_server: Callable[..., Server]) -> None:
    """Without -n it goes to the background, with its own umask; the pidfile says who to end, and goes with it."""
    server = new_server()
    add_wheel(server.root, "acme")
    pidfile, log = server.home / "pid", server.home / "daemon.log"
    server.twistd_options = (f"--pidfile={pidfile}", f"--logfile={log}")
    server.launch()
    assert server.process.wait(PATIENCE) == 0
    wait_until(lambda: log.exists() and "for https." in log.read_text(), "it serves")
    process = int(pidfile.read_text())
    try:
        found = re.search(r"Serving .*port[= ](\d+).* for https\.", log.read_text())
        assert found is not None
        server.port = int(found[1])
        server.await_ready()
        assert len(server.project("acme")["files"]) == 1
        os.kill(process, signal.SIGHUP)
        wait_until(lambda: "Configuration read again" in log.read_text(), "the reload")
    finally:
        os.kill(process, signal.SIGTERM)
    wait_until(lambda: not pidfile.exists(), "it has ended")
    assert "Traceback" not in log.read_text()


def test_a_daemon_that_cannot_start_says_so(index: Server, new_server: Callable[..., Server]) -> None:
    """Its parent waits for word from it, and must get one: a boot script would hang for ever."""
    first, second = index, new_server(name="second")
    log = second.home / "daemon.log"
    second.listen = ("--https", str(first.port))
    second.twistd_options = (f"--pidfile={second.home / 'pid'}", f"--logfile={log}")
    second.launch()
    assert second.process.wait(PATIENCE) == 1
    second.is_over = True
    assert f"--https {first.port} cannot be listened on" in second.log
    assert not (second.home / "pid").exists()


@pytest.fixture
def for_nobody(installed: Installed, open_directory: Path) -> Iterator[Path]:
    """A directory that the user nobody can reach; so must be the Python that goes on as that user."""
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    reachable = all(
        path.stat().st_mode & 0o001
        for prefix in (sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(installed.python)))
        for path in (Path(prefix), *Path(prefix).parents)
    )
    if not reachable:
        pytest.skip("this Python lies where the user nobody cannot reach it")
    path = open_directory / "nobody"
    path.mkdir()
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def test_becomes_another_user(installed: Installed, for_nobody: Path) -> None:
    """What it makes belongs to that user; TLS, the watch, digests and reloads work without root."""
    server = Server(installed, for_nobody / "home", for_nobody / "packages")
    server.twistd_options = ("--nodaemon", "--pidfile=", f"--uid={NOBODY.pw_uid}", f"--gid={NOBODY.pw_gid}")
    server.options = ("--access-log=off",)
    add_wheel(server.root, "acme")
    server.start()
    try:
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        assert re.search(rf"^Uid:\s+{NOBODY.pw_uid}\s+{NOBODY.pw_uid}\s", status, re.MULTILINE)
        add_wheel(server.root, "later")
        assert len(server.project("later")["files"]) == 1
        server.reload()
        assert len(server.project("acme")["files"]) == 1
        places = (server.certs, server.cache, server.home / "state")

        def owners() -> dict[Path, tuple[int, int]]:
            made = [path for place in places for path in (place, *place.rglob("*"))]
            return {path: (path.stat().st_uid, path.stat().st_gid) for path in made}

        found = looked_at(owners)
        assert "digests.sqlite3" in {path.name for path in found}
        assert {*found.values()} == {(NOBODY.pw_uid, NOBODY.pw_gid)}
    finally:
        server.stop()


LONG = {"service.ending._FORCE_SECONDS": PATIENCE}
"""After SIGTERM a process has ten seconds, and is ended by force before they are over."""


def test_sigterm_lets_a_download_end(new_server: Callable[..., Server]) -> None:
    """Nobody new gets in, but who is being served is served to the end."""
    server = new_server()
    server.installed = replace(
        server.installed, limits={**LONG, "service.shutdown.DRAIN_SECONDS": PATIENCE - 10}
    )
    data = wheel_bytes("large", files={"blob": random.Random(6).randbytes(12 << 20)})
    path = put(server.root / "large" / wheel_name("large"), data)
    server.start()
    with slowly(server, f"/simple/large/{path.name}") as client:
        begun = client.response.read(1 << 20)
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not accepts(server), "it accepts nobody any more")
        assert begun + client.rest() == data
    server.stop()


def accepts(server: Server) -> bool:
    """Whether it still takes connections."""
    try:
        server.get("/-/health")
    except OSError:
        return False
    return True


def test_sigterm_does_not_wait_for_ever(new_server: Callable[..., Server]) -> None:
    """A client that never reads holds the end up for 10 s and no longer."""
    server = new_server()
    server.installed = replace(server.installed, limits=LONG)
    data = wheel_bytes("large", files={"blob": random.Random(6).randbytes(12 << 20)})
    path = put(server.root / "large" / wheel_name("large"), data)
    server.start()
    with slowly(server, f"/simple/large/{path.name}"):
        server.stop()


def test_an_early_sighup_does_no_harm(new_server: Callable[..., Server]) -> None:
    """Reloads that come while it starts, as from an impatient deploy hook, do not end it."""
    server = new_server()
    for count in range(150):
        add_wheel(server.root, f"p{count}")
    server.launch()
    server.await_line("twistd .* starting up")
    for _ in range(50):
        server.process.send_signal(signal.SIGHUP)
    server.await_listening()
    server.process.send_signal(signal.SIGHUP)
    server.await_ready()
    assert len(server.catalogue()) == 150


def test_sighup_reopens_the_access_log(index: Server) -> None:
    """As logrotate wants it: after the move and the signal, lines go to a new file."""
    server = index
    server.requests()
    log = server.home / "access.log"
    log.rename(log.with_name("access.log.1"))
    server.reload()
    server.get("/simple/after/")
    assert [seen.path for seen in server.requests()] == ["/simple/after/"]


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="there is no IPv6 here")
def test_a_bare_port_serves_both_families(index: Server) -> None:
    """One number is enough for all addresses; its certificate is for them too."""
    for address in ("127.0.0.1", "::1", "localhost"):
        connection = http.client.HTTPSConnection(address, index.port, context=index.trust, timeout=PATIENCE)
        with closing(connection):
            assert ask(connection, "/-/health").status == 200


def test_a_unix_socket(new_server: Callable[..., Server]) -> None:
    """An endpoint of Twisted's, as a proxy in front would use it; nothing is said of HTTPS then."""
    server = new_server()
    add_wheel(server.root, "acme")
    server.listen = ("--http=unix:socket",)
    server.launch().await_line("Serving .* for http")
    connection = http.client.HTTPConnection("localhost", timeout=PATIENCE)
    with closing(connection):
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(os.path.relpath(server.home / "socket"))
        assert b"acme" in ask(connection, "/simple/acme/").body
    assert not server.certs.exists()


# -- refusals -----------------------------------------------------------------------------------------------------------


def test_a_taken_port(index: Server, new_server: Callable[..., Server]) -> None:
    """One sentence with the port and what to do."""
    first, second = index, new_server(name="second")
    second.listen = ("--https", str(first.port))
    said = second.refused()
    (line,) = re.findall(r"simpleindex: .*\n", said)
    assert line.startswith(f"simpleindex: --https {first.port} cannot be listened on: ")
    assert "ss -ltnp" in line


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--htps=443"], r"simpleindex: .*--htps.*; did you mean --https\?.*\n"),
        (["--watch=inotfy"], r"simpleindex: .*--watch.*inotify.*\n"),
        (["--poll-interval=soon"], r"simpleindex: .*--poll-interval.*\n"),
        (["--config=/nowhere.toml"], r"simpleindex: .*/nowhere\.toml.*\n"),
        (["--path=/nowhere"], r"simpleindex: .*/nowhere.*\n"),
        (["surplus"], r"simpleindex: .*\n"),
    ],
)
def test_a_bad_option(options: list[str], sentence: str, new_server: Callable[..., Server]) -> None:
    """One sentence, never the whole usage nor a traceback."""
    assert re.fullmatch(sentence, new_server(*options).refused())


# -- the command --------------------------------------------------------------------------------------------------------


def test_version(installed: Installed, tmp_path: Path) -> None:
    """As a module, and as the script that the wheel installs."""
    as_module = installed.run("-m", "simpleindex", "--version", home=tmp_path)
    as_script = installed.run(installed.python.with_name("simpleindex"), "--version", home=tmp_path)
    assert as_module.stdout == as_script.stdout == f"simpleindex {__version__}\n"


def test_check(installed: Installed, tmp_path: Path) -> None:
    """It says what would be served and what not, and its status says whether all is."""
    root = tmp_path / "packages"
    add_wheel(root, "acme")
    own = [f"--{option}={tmp_path / option}" for option in ("certs", "state", "cache")]

    def check(path: Path) -> tuple[int, str, str]:
        ended = installed.run("-m", "simpleindex", "check", f"--path={path}", *own, home=tmp_path)
        return ended.returncode, ended.stdout, ended.stderr

    status, said, complaint = check(root)
    assert (status, complaint) == (0, "")
    assert re.fullmatch(r"1 project, 1 file, \d+ bytes\.\n", said)
    (root / "acme" / wheel_name("acme", "2.0")).write_bytes(b"not a zip")
    status, said, complaint = check(root)
    assert (status, complaint) == (1, "")
    assert re.fullmatch(
        r"1 project, 1 file, \d+ bytes\.\nWithheld: acme/acme-2\.0-py3-none-any\.whl .*\n", said
    )
    (tmp_path / "wrong" / "packages").mkdir(parents=True)
    assert "did you mean --path" in check(tmp_path / "wrong")[1]
    status, said, complaint = check(tmp_path / "nowhere")
    assert (status, said) == (2, "")
    assert re.fullmatch(r"simpleindex: .*nowhere.*\n", complaint)


# -- kill -9 ------------------------------------------------------------------------------------------------------------


class Feeder:
    """Changes a root in every way there is, until it is told to stop."""

    def __init__(self, root: Path, seed: int) -> None:
        self._root = root
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._feed)
        self._thread.start()

    def stop(self) -> None:
        """Let the change that is under way end."""
        self._stop.set()
        self._thread.join(PATIENCE)

    def _feed(self) -> None:
        while not self._stop.wait(self._random.random() * 0.004):
            name = f"p{self._random.randrange(12)}"
            version = f"1.{self._random.randrange(30)}"
            path = self._root / name / wheel_name(name, version)
            blob = self._random.randbytes(self._random.choice([10, 1000, 300_000]))
            data = wheel_bytes(name, version, files={"blob": blob})
            path.parent.mkdir(exist_ok=True)
            match self._random.randrange(8):
                case 0 | 1 | 2:
                    put(path, data)
                case 3 | 4:
                    path.write_bytes(data)
                case 5:
                    path.write_bytes(data[: len(data) // 2])
                case 6:
                    path.unlink(missing_ok=True)
                case 7:
                    put(path.with_name("simpleindex.toml"), f'[yanked]\n"{version}" = true\n'.encode())


def test_killed_at_any_moment(new_server: Callable[..., Server]) -> None:
    """What it remembers across kill -9 is either right or not believed: the catalogue equals one built from scratch."""
    server = new_server()
    add_wheel(server.root, "steady")
    chance = random.Random(7)
    for round_number in range(KILLS):
        feeder = Feeder(server.root, round_number)
        server.launch()
        try:
            # Every other time it is killed while it starts.
            if round_number % 2:
                server.await_listening()
                server.await_ready()
            feeder._stop.wait(chance.random() * 1.5)
            server.kill()
            # Files go on changing while nobody looks.
            feeder._stop.wait(chance.random() * 0.2)
        finally:
            feeder.stop()
        server.start()
        scratch = new_server(name=f"scratch-{round_number}", root=server.root).start()
        try:
            remembered, built = server.catalogue(), scratch.catalogue()
        finally:
            server.stop()
            scratch.stop()
        assert remembered == built, f"round {round_number}"
        assert len(built) > 1
