"""Units as text, and the notification protocol, without systemd."""

from __future__ import annotations

import os
import socket
import sys
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from simpleindex.commands.server.systemd_unit import (
    SERVICE,
    SOCKET,
    UnitOptions,
    quote,
    read_unit_options,
    render_unit,
    unit_text,
)
from simpleindex.config.options import OPTION_NAMES
from simpleindex.config.resolution import resolve
from simpleindex.core.errors import RefusedStart
from simpleindex.service.systemd import Notifier, start_watchdog
from tests.end_to_end.seccomp import settings_of

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOY = files("simpleindex") / "deploy"
PREFIX = Path("/opt/simpleindex")
HERE = Path("/srv/here")
ADOPTED = "systemd:domain=INET6:index="


def unit(*arguments: str) -> dict[str, list[str]]:
    """The settings of the unit for these arguments, in an ordinary place."""
    return settings_of(unit_text(arguments, PREFIX, HERE))


def command(*arguments: str) -> str:
    """What follows ``simpleindex`` in ExecStart."""
    (line,) = unit(*arguments)["ExecStart"]
    return line.partition(" -n --pidfile= simpleindex ")[2]


def directories(*arguments: str) -> dict[str, str]:
    """Every setting that makes something writable, unless it is empty."""
    settings = unit(*arguments)
    names = ("StateDirectory", "CacheDirectory", "LogsDirectory", "RuntimeDirectory", "ReadWritePaths")
    return {name: settings[name][0] for name in names if settings[name][0]}


ORDINARY = {"StateDirectory": "simpleindex", "CacheDirectory": "simpleindex"}


class TestUnit:
    def test_further_directories(self, tmp_path: Path) -> None:
        """Those of the sources file are waited for and visible; that file may be written later, but not be wrong."""
        sources = tmp_path / "sources.toml"
        text = '[[directory]]\nname = "{0}"\npath = "{1}"\n'
        sources.write_text(text.format("staging", "../staging") + text.format("home", "/home/me/packages"))
        settings = unit("--path", "/srv/packages", "--sources", str(sources))
        assert settings["RequiresMountsFor"] == [
            f"/srv/packages {tmp_path.parent / 'staging'} /home/me/packages"
        ]
        assert settings["ProtectHome"] == ["read-only"]
        sources.write_text("nonsense = 1")
        with pytest.raises(RefusedStart, match="unknown key"):
            unit("--path", "/srv/packages", "--sources", str(sources))
        sources.unlink()
        settings = unit("--path", "/srv/packages", "--sources", str(sources))
        assert settings["RequiresMountsFor"] == ["/srv/packages"]

    def test_shipped_unit_is_the_rendered_one(self) -> None:
        """The file in deploy/ is what the README's command prints, so both are right or both are wrong."""
        printed = unit_text(["--path", "/srv/packages", "--https", "443"], PREFIX, HERE)
        assert printed == (DEPLOY / SERVICE).read_text()

    def test_shipped_socket_is_the_rendered_one(self) -> None:
        """The same for the socket; both units are printed, each under its name."""
        printed = unit_text(["--path", "/srv/packages", "--https", "443", "--socket"], PREFIX, HERE)
        assert printed.startswith(f"# ---- {SOCKET}\n{(DEPLOY / SOCKET).read_text()}\n# ---- {SERVICE}\n")

    def test_a_service_of_sockets_needs_them(self) -> None:
        """Started alone it would have nothing to listen on; both units say how to enable both."""
        service = unit_text(["--https", "443", "--socket"], PREFIX, HERE).partition(f"# ---- {SERVICE}\n")[2]
        assert f"\nAfter=network.target {SOCKET}\nRequires={SOCKET}\n" in service
        assert f"enable --now {SOCKET} {SERVICE}\n" in service

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ([], "--path /srv/here"),
            (["--path", "."], "--path /srv/here"),
            (["--path=../it"], "--path /srv/it"),
            (["--path", "a", "--path", "b"], "--path /srv/here/b"),
            (["--https", "443", "--https=8443"], "--path /srv/here --https 443 --https 8443"),
            (["--http", "80", "--serve-http"], "--path /srv/here --http 80 --serve-http"),
            (["--access-log", "-"], "--path /srv/here --access-log=-"),
            (["--access-log", "off"], "--path /srv/here --access-log off"),
            (["--cors", "*"], '--path /srv/here --cors "*"'),
            (["--certs", "tls"], "--path /srv/here --certs /srv/here/tls"),
            (["--path", "/srv/a $HOME 50%"], '--path "/srv/a $$HOME 50%%"'),
            (
                ["--socket", "--http", "80", "--https", "443", "--https", "8443"],
                f"--path /srv/here --https {ADOPTED}0 --https {ADOPTED}1 --http {ADOPTED}2",
            ),
        ],
    )
    def test_command(self, arguments: list[str], words: str) -> None:
        """Options pass through in one order, with paths absolute and quoted as systemd reads them."""
        assert command(*arguments) == words

    @pytest.mark.parametrize(
        ("arguments", "capability"),
        [
            (["--https", "443"], "CAP_NET_BIND_SERVICE"),
            (["--https", "tcp6:443:interface=\\:\\:1"], "CAP_NET_BIND_SERVICE"),
            (["--https", "haproxy:tcp:port=443"], "CAP_NET_BIND_SERVICE"),
            (["--https", "8443", "--http", "80"], "CAP_NET_BIND_SERVICE"),
            (["--https", "8443"], ""),
            (["--https", "0"], ""),
            (["--https", "tcp:8443:backlog=50"], ""),
            (["--https", "443", "--socket"], ""),
            ([], ""),
        ],
    )
    def test_capability(self, arguments: list[str], capability: str) -> None:
        """The one capability is there only when the service itself opens a port below 1024."""
        settings = unit(*arguments)
        assert settings["CapabilityBoundingSet"] == settings["AmbientCapabilities"] == [capability]

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["--https", "443"], ORDINARY),
            (["--certs", "/etc/letsencrypt/live/a"], ORDINARY),
            (["--certs", "/var/lib/simpleindex/tls"], ORDINARY),
            (["--access-log", "off"], ORDINARY),
            (["--access-log", "/var/log/simpleindex/access"], ORDINARY | {"LogsDirectory": "simpleindex"}),
            (["--access-log", "/var/log/nginx/access"], ORDINARY | {"ReadWritePaths": "/var/log/nginx"}),
            (
                ["--state", "/var/lib/simpleindex-2"],
                ORDINARY | {"StateDirectory": "simpleindex simpleindex-2"},
            ),
            (
                ["--state", "/var/lib/other", "--cache", "/mnt/a b"],
                {"StateDirectory": "simpleindex", "ReadWritePaths": '/var/lib/other "/mnt/a b"'},
            ),
            (
                ["--http", "unix:/run/simpleindex/http:mode=666"],
                ORDINARY | {"RuntimeDirectory": "simpleindex"},
            ),
            (["--http", "unix:address=/srv/s\\:1/http"], ORDINARY | {"ReadWritePaths": "/srv/s:1"}),
        ],
    )
    def test_writable(self, arguments: list[str], expected: dict[str, str]) -> None:
        """Nothing is writable but what the options write, and systemd makes only directories that bear our name."""
        assert directories(*arguments) == expected

    @pytest.mark.parametrize(
        ("arguments", "prefix", "home", "temporary"),
        [
            ([], PREFIX, "yes", "yes"),
            (["--path", "/home/ann/packages"], PREFIX, "read-only", "yes"),
            (["--path", "/homes"], PREFIX, "yes", "yes"),
            (["--certs", "/root/tls"], PREFIX, "read-only", "yes"),
            ([], Path("/home/ann/venv"), "read-only", "yes"),
            (["--path", "/tmp/packages"], PREFIX, "yes", "no"),
            (["--acme-webroot", "/var/tmp/w", "--http", "8080"], PREFIX, "yes", "no"),
            (["--acme", "none", "--https", "443", "--acme-trust", "/var/tmp/roots.pem"], PREFIX, "yes", "no"),
        ],
    )
    def test_hidden(self, arguments: list[str], prefix: Path, home: str, temporary: str) -> None:
        """Homes and temporary files are hidden unless something of ours lies there, the interpreter included."""
        settings = settings_of(unit_text(arguments, prefix, HERE))
        assert (settings["ProtectHome"], settings["PrivateTmp"]) == ([home], [temporary])

    def test_a_bucket(self) -> None:
        """No directory of packages is mounted or written; the store's credentials come from a file."""
        words = ("--path", "s3://packages/python", "--http", "8080", "--users", "/etc/users")
        settings = unit(*words)
        assert command(*words).startswith("--path s3://packages/python ")
        assert settings["RequiresMountsFor"] == [""]
        assert settings["EnvironmentFile"] == ["-/etc/simpleindex/s3.env"]
        assert directories(*words) == ORDINARY

    def test_interpreter_in_a_home_directory(self, tmp_path: Path) -> None:
        """A virtual environment elsewhere whose interpreter is a link into a home directory must still start."""
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin/python3").symlink_to("/home/ann/.local/python3")
        assert Path("/home/ann/.local/python3") in read_unit_options([], tmp_path, HERE).reads

    def test_configuration_file_counts(self, tmp_path: Path) -> None:
        """Ports and paths that only the file names have their consequences, and are not overridden."""
        config = tmp_path / "a.toml"
        config.write_text('path = "pkg"\nhttps = 443\nstate = "/srv/state"\n')
        settings = unit("--config", str(config))
        assert settings["ExecStart"][0].endswith(f"simpleindex --config {config}")
        assert settings["RequiresMountsFor"] == [str(tmp_path / "pkg")]
        assert settings["CapabilityBoundingSet"] == ["CAP_NET_BIND_SERVICE"]
        assert settings["ReadWritePaths"] == ["/srv/state"]

    def test_configuration_file_without_path(self, tmp_path: Path) -> None:
        """Where nobody names the directory of packages it is the one in which the unit was asked for."""
        config = tmp_path / "a.toml"
        config.write_text("https = 8443\n")
        assert command("--config", str(config)) == f"--path /srv/here --config {config}"

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--prot", "80"], "unrecognized arguments: --prot 80"),
            (["--https"], "expected one argument"),
            (["--https", "99999"], "not a port"),
            (["--path", "~/packages"], "write the whole path"),
            (["--path", "/srv/a\nExecStart=/bin/sh"], "cannot hold"),
            (["--path", "/srv/\udc80"], "cannot hold"),
            (["--socket"], "give --https PORT"),
            (["--socket", "--https", "tcp:443"], "instead of 'tcp:443'"),
            (["--socket", "--https", "0"], "instead of '0'"),
            (["--serve-http"], "means nothing without --http"),
        ],
    )
    def test_refused(self, arguments: list[str], words: str) -> None:
        """What the server would refuse, or a unit cannot hold, is refused in one sentence."""
        with pytest.raises(RefusedStart) as caught:
            unit_text(arguments, PREFIX, HERE)
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_acme_writes_beside_the_certificates(self) -> None:
        """With ``--acme`` the directory of certificates must be writable."""
        arguments = ["--https", "443", "--certs", "/etc/simpleindex/certs"]
        (without,) = settings_of(unit_text(arguments, PREFIX, HERE))["ReadWritePaths"]
        (with_acme,) = settings_of(unit_text([*arguments, "--acme", "none"], PREFIX, HERE))["ReadWritePaths"]
        assert (without, with_acme) == ("", "/etc/simpleindex/certs")

    def test_environment_has_no_part(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The shell in which a unit is printed does not leak into it."""
        monkeypatch.setenv("SIMPLEINDEX_HTTPS", "443")
        monkeypatch.setenv("XDG_STATE_HOME", "/elsewhere")
        assert directories() == ORDINARY
        assert command() == "--path /srv/here"

    def test_never_denies_writable_executable_memory(self) -> None:
        """Under MemoryDenyWriteExecute pyOpenSSL's callbacks cannot be made."""
        assert "MemoryDenyWriteExecute" not in unit()

    @given(st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), min_size=1))
    def test_quoted_word_stays_one_line_without_specifiers(self, word: str) -> None:
        """Whatever the word, no % or $ is left single, so nothing of it is replaced, and the line goes on."""
        options = UnitOptions(PREFIX / "bin/twistd", ("--cors", word), HERE)
        (line,) = settings_of(render_unit(options))["ExecStart"]
        quoted = line.partition(" --cors ")[2]
        assert quoted == quote(word, variables=True)
        assert "%" not in quoted.replace("%%", "")
        assert "$" not in quoted.replace("$$", "")
        assert not line.endswith("\\")


class TestExampleConfiguration:
    def test_names_every_option_once(self) -> None:
        """The example is complete: uncommented, it has exactly the keys there are."""
        assert sorted(tomllib.loads(self.uncommented())) == sorted(set(OPTION_NAMES) - {"config"})

    def test_is_accepted(self, tmp_path: Path) -> None:
        """Uncommented, the server would start with it; as shipped, it changes nothing."""
        shipped = tmp_path / "shipped.toml"
        shipped.write_text((DEPLOY / "simpleindex.toml").read_text())
        whole = tmp_path / "whole.toml"
        whole.write_text(
            (DEPLOY / "simpleindex.toml").read_text().replace("\n#", "\n").replace("\n ", "\n# ")
        )
        environment = {"HOME": "/root"}
        resolve({"config": str(whole)}, environment, tmp_path, root_may_be_gone=True)
        named = resolve({"config": str(shipped)}, environment, tmp_path, root_may_be_gone=True)
        unnamed = resolve({}, environment, tmp_path, root_may_be_gone=True)
        assert named.config == shipped
        assert all(
            getattr(named, name.replace("-", "_")) == getattr(unnamed, name.replace("-", "_"))
            for name in OPTION_NAMES
            if name != "config"
        )

    @staticmethod
    def uncommented() -> str:
        text = (DEPLOY / "simpleindex.toml").read_text()
        lines = [line[1:] for line in text.splitlines() if line.startswith("#") and not line.startswith("# ")]
        return "\n".join(lines)


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    """Systemd's end of the notification socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.setblocking(False)
        yield receiver


def notifier(systemd: socket.socket, **environ: str) -> Notifier:
    """A notifier of process 7 that speaks to it."""
    return Notifier({"NOTIFY_SOCKET": systemd.getsockname(), **environ}, 7, monotonic_ns=lambda: 5_000_999)


class TestNotifier:
    def test_messages(self, systemd: socket.socket) -> None:
        """Each state is one datagram, in the words of sd_notify(3)."""
        telling = notifier(systemd)
        telling.ready()
        telling.reloading()
        telling.status("3 projects")
        telling.watchdog()
        telling.stopping()
        assert [systemd.recv(999) for _ in range(5)] == [
            b"READY=1",
            b"RELOADING=1\nMONOTONIC_USEC=5000",
            b"STATUS=3 projects",
            b"WATCHDOG=1",
            b"STOPPING=1",
        ]

    def test_status_is_one_assignment(self, systemd: socket.socket) -> None:
        """Text with line breaks cannot tell systemd anything else, and odd characters do no harm."""
        notifier(systemd).status("a\nMAINPID=1\r\n\udc80b")
        assert systemd.recv(999) == b"STATUS=a MAINPID=1 ?b"

    @pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")
    def test_abstract_address(self) -> None:
        """An address that begins with @ is in the abstract namespace."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
            receiver.bind(b"")  # the kernel chooses a free abstract address
            receiver.setblocking(False)
            name = os.fsdecode(receiver.getsockname()[1:])
            Notifier({"NOTIFY_SOCKET": "@" + name}, 7).ready()
            assert receiver.recv(99) == b"READY=1"

    @pytest.mark.parametrize("address", [None, "", "vsock:2:1", "relative/path"])
    def test_silent_without_an_address(self, address: str | None) -> None:
        """Where systemd did not ask, or asks in a way not spoken here, no socket is made and no beat expected."""

        def unexpected() -> socket.socket:
            raise AssertionError

        environ = {"WATCHDOG_USEC": "1000000"} | ({} if address is None else {"NOTIFY_SOCKET": address})
        silent = Notifier(environ, 7, unexpected)
        silent.ready()
        assert silent.watchdog_interval is None

    @pytest.mark.parametrize("address", ["/nonexistent/notify", "/" + "long" * 99])
    def test_never_fails(self, address: str) -> None:
        """A socket that is gone or cannot be is a line in the log, not an end of the service."""
        Notifier({"NOTIFY_SOCKET": address}, 7).ready()

    @pytest.mark.parametrize(
        ("environ", "seconds"),
        [
            ({"WATCHDOG_USEC": "30000000"}, 15.0),
            ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 15.0),
            ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
            ({"WATCHDOG_USEC": "0"}, None),
            ({"WATCHDOG_USEC": "soon"}, None),
            ({}, None),
        ],
    )
    def test_interval(self, systemd: socket.socket, environ: dict[str, str], seconds: float | None) -> None:
        """Beats come at half the time allowed, and only if this process is the one asked."""
        assert notifier(systemd, **environ).watchdog_interval == seconds

    def test_watchdog_beats_from_the_clock(self, systemd: socket.socket) -> None:
        """At once and then at every interval, until stopped; a loop that does not turn does not beat."""
        clock = Clock()
        beat = start_watchdog(notifier(systemd, WATCHDOG_USEC="30000000"), clock)
        assert beat is not None
        assert systemd.recv(99) == b"WATCHDOG=1"
        clock.advance(14)
        with pytest.raises(BlockingIOError):
            systemd.recv(99)
        clock.advance(1)
        assert systemd.recv(99) == b"WATCHDOG=1"
        beat.stop()
        assert not clock.getDelayedCalls()

    def test_no_watchdog_no_call(self, systemd: socket.socket) -> None:
        """Without a watchdog nothing is scheduled."""
        clock = Clock()
        assert start_watchdog(notifier(systemd), clock) is None
        assert not clock.getDelayedCalls()
