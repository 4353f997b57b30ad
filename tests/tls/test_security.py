"""Certificates put together: the operator's or our own, looked after while the service runs."""

from __future__ import annotations

from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from simpleindex.core.errors import RefusedStart
from simpleindex.tls import security
from simpleindex.tls.machine_names import MachineIdentity
from simpleindex.tls.security import Security
from tests.fixtures.certificates import NOW, issue
from tests.fixtures.log import CapturedLog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class SecurityFixture:
    """A machine with a name, a clock, and its two directories."""

    def __init__(self, root: Path) -> None:
        self.certs = root / "certs"
        self.state = root / "state"
        self.own = self.certs / "simpleindex.pem"
        self.names: tuple[str, ...] = ("box.example.com", "localhost")
        self.url_hosts: list[str | None] = []
        self.now = NOW
        self.log = CapturedLog()

    def identity(self, url_host: str | None) -> MachineIdentity:
        """What stands for this machine's real names."""
        self.url_hosts.append(url_host)
        return MachineIdentity(self.names, (ip_address("127.0.0.1"),))

    def start(self, url: str | None = None) -> Security:
        """What a start makes."""
        return Security(
            self.certs,
            self.state,
            url=url,
            owner=(None, None),
            now=lambda: self.now,
        )

    def taken(self) -> list[str]:
        """What was logged since the last time."""
        lines = self.log.lines
        self.log.clear()
        return lines


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SecurityFixture]:
    """Neither directory exists yet."""
    made = SecurityFixture(tmp_path)
    monkeypatch.setattr(security, "this_machine", made.identity)
    with made.log:
        yield made


def test_our_own(world: SecurityFixture) -> None:
    """Without a certificate one is made, and the log says for what, until when, and that it is the default."""
    made = world.start()
    assert world.taken() == []
    assert made.ca_path == str(world.state / "ca" / "cert.pem")
    ends = NOW + timedelta(days=90)
    assert list(made.lines()) == [
        f"Certificate {world.own} for box.example.com, localhost, 127.0.0.1, good until {ends:%Y-%m-%d}; the default."
    ]


def test_the_operators(world: SecurityFixture) -> None:
    """No CA is made, none is offered, and each certificate has its line."""
    issue("a.example.com").put(world.certs / "a.pem")
    issue("b.example.com").put(world.certs / "b.pem")
    made = world.start()
    assert made.ca_path is None
    assert not world.state.exists()
    first, second = made.lines()
    assert first.startswith(f"Certificate {world.certs / 'a.pem'} for a.example.com, ")
    assert [line.endswith("; the default.") for line in (first, second)] == [True, False]


@pytest.mark.parametrize(
    ("url", "host"),
    [(None, None), ("https://a.example.com:8443/", "a.example.com"), ("https://[::1]/", "::1")],
)
def test_the_url_is_a_name_of_this_machine(world: SecurityFixture, url: str | None, host: str | None) -> None:
    """Only its host counts."""
    issue("a.example.com", "::1").put(world.certs / "a.pem")
    world.start(url)
    assert world.url_hosts == [host]


def test_a_certificate_for_another_host(world: SecurityFixture) -> None:
    """What no client could verify is refused."""
    issue("a.example.com").put(world.certs / "a.pem")
    with pytest.raises(RefusedStart, match=r"is for c\.example\.com, the host of --url"):
        world.start("https://c.example.com/")


def test_a_host_that_the_private_ca_may_not_certify(world: SecurityFixture) -> None:
    """``--url`` came after the first start: the refusal names what to remove, for nothing is logged before a start."""
    world.start()
    world.names = ("box.example.com", "c.example.com", "localhost")
    with pytest.raises(
        RefusedStart, match=rf"the host of --url: .* remove {world.state / 'ca'} and .* new ones"
    ):
        world.start("https://c.example.com/")


def test_the_end_is_announced(world: SecurityFixture) -> None:
    """A certificate about to end is said at the start."""
    issue("a.example.com", end=timedelta(days=5)).put(world.certs / "a.pem")
    world.start()
    (line,) = world.taken()
    assert "a.pem" in line


def test_the_end_is_announced_while_it_runs(world: SecurityFixture) -> None:
    """Who never restarts hears of it too, once."""
    issue("a.example.com", end=timedelta(days=60)).put(world.certs / "a.pem")
    made = world.start()
    made.check()
    assert world.taken() == []
    world.now += timedelta(days=50)
    for _ in range(3):
        made.check()
    (line,) = world.taken()
    assert "a.pem" in line


def test_renewal(world: SecurityFixture) -> None:
    """Our own is renewed when it is due and taken up by the same check; its CA stays."""
    made = world.start()
    ca = made.certificates.ca_pem
    world.now += timedelta(days=40)
    made.check()
    assert world.taken() == []
    world.now += timedelta(days=21)
    made.check()
    assert world.taken() == [
        f"{world.own} is in use now; it is good until {world.now + timedelta(days=90):%Y-%m-%d}."
    ]
    assert made.certificates.ca_pem == ca


def test_a_renewed_one_of_the_operators(world: SecurityFixture) -> None:
    """It is taken up without a restart; nothing of ours is made."""
    issue("a.example.com").put(world.certs / "a.pem")
    made = world.start()
    issue("b.example.com").put(world.certs / "a.pem")
    made.check()
    assert made.certificates.names == ("b.example.com",)
    assert not world.state.exists()


def test_certificates_that_are_gone_for_a_moment(world: SecurityFixture) -> None:
    """The operator's stay in use: clients do not trust a CA that nobody asked for."""
    path = issue("a.example.com").put(world.certs / "a.pem")
    made = world.start()
    aside = path.rename(world.certs.parent / "a.pem")
    made.check()
    assert made.certificates.names == ("a.example.com",)
    assert "holds no certificate any more" in world.taken()[0]
    assert not world.state.exists()
    aside.rename(path)
    made.check()
    assert made.certificates.names == ("a.example.com",)


def test_force(world: SecurityFixture) -> None:
    """SIGHUP makes it complain again of what it has complained of, the minute's check does not."""
    path = issue("a.example.com").put(world.certs / "a.pem")
    made = world.start()
    path.write_bytes(b"broken")
    made.check()
    (complaint,) = world.taken()
    made.check()
    assert world.taken() == []
    made.check(force=True)
    assert world.taken() == [complaint]


def test_warnings_are_said_once(world: SecurityFixture) -> None:
    """A name that the CA may not certify is told when it appears and not every minute."""
    made = world.start()
    world.names = ("box.example.com", "localhost", "other.example.net")
    for _ in range(3):
        made.check()
    (line,) = [line for line in world.taken() if "may not certify" in line]
    assert "other.example.net" in line


def test_the_operator_takes_over(world: SecurityFixture) -> None:
    """Once ours is removed nothing of ours is made again, nor offered."""
    made = world.start()
    issue("a.example.com").put(world.certs / "a.pem")
    world.own.unlink()
    made.check()
    assert made.certificates.names == ("a.example.com",)
    assert made.ca_path is None
    assert not world.own.exists()


def test_a_renewal_that_fails(world: SecurityFixture) -> None:
    """It is said once, what is there goes on, and when it can be had again it is."""
    made = world.start()
    broken = world.state / "ca" / "cert.pem"
    pem = broken.read_bytes()
    broken.write_bytes(b"broken")
    for _ in range(2):
        made.check()
    (line,) = world.taken()
    assert "cert.pem is broken" in line
    assert made.certificates.names == ("box.example.com", "localhost", "127.0.0.1")
    broken.write_bytes(pem)
    world.now += timedelta(days=61)
    made.check()
    assert "is in use now" in world.taken()[-1]


def test_real_time_and_real_names(tmp_path: Path) -> None:
    """Without a clock of its own it is now, and the machine is this one."""
    before = datetime.now(NOW.tzinfo)
    made = Security(tmp_path / "certs", tmp_path / "state", url=None, owner=(None, None))
    (described,) = made.certificates.describe()
    assert "localhost" in described.names
    assert timedelta(days=89) < described.expires - before < timedelta(days=91)


def test_files_that_are_not_read_are_named(world: SecurityFixture) -> None:
    """An operator with a key pair there under other names would wonder whose certificate is served."""
    world.certs.mkdir()
    (world.certs / "localhost.crt").touch()
    world.start()
    (line,) = world.taken()
    assert "localhost.crt: a private CA is used." in line
