"""Ports: what an option listens on, what is said where it cannot, and the URL that follows."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor

from simpleindex.config.values import to_listen
from simpleindex.core.errors import RefusedStart
from simpleindex.service.ports.listening import base_url, endpoint, listen_now, machine_has_ipv6, where
from tests.fixtures.tables import for_each

if TYPE_CHECKING:
    from collections.abc import Sequence


class Port:
    """A port that listens somewhere."""

    def __init__(self, host: object) -> None:
        self._host = host

    def getHost(self) -> object:
        return self._host


def tcp(number: int, host: str = "0.0.0.0") -> Any:
    """A port of TCP."""
    return Port(IPv4Address("TCP", host, number))


def unix(path: str | bytes = "/run/simpleindex.sock") -> Any:
    """A port of a Unix socket."""
    return Port(UNIXAddress(path))


class Failing:
    """An endpoint that cannot listen."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    def listen(self, factory: object) -> Deferred[Any]:
        return Deferred() if self._error is None else fail(self._error)


def refusal(text: str, error: Exception | None) -> str:
    """What is said when an option's endpoint fails like this."""
    where: Any = Failing(error)
    with pytest.raises(RefusedStart) as caught:
        listen_now(where, Factory(), to_listen(text), "https")
    return str(caught.value)


@pytest.mark.parametrize(("has_ipv6", "interface"), [(True, "::"), (False, "")])
def test_a_bare_port_listens_on_everything(has_ipv6: bool, interface: str) -> None:
    """One socket for both families where there is IPv6, else one for all of IPv4."""
    reactor = MemoryReactor()
    made = endpoint(reactor, to_listen("443"), "https", has_ipv6=lambda: has_ipv6)
    factory = Factory()
    assert listen_now(made, factory, to_listen("443"), "https") is not None
    assert [(server[0], server[1], server[3]) for server in reactor.tcpServers] == [(443, factory, interface)]


def test_an_endpoint_is_twisteds() -> None:
    """Anything that Twisted can listen on will do, and IPv6 is not asked about."""

    def unexpected() -> bool:
        raise AssertionError

    made = endpoint(MemoryReactor(), to_listen("tcp:443:interface=192.0.2.1"), "https", has_ipv6=unexpected)
    assert isinstance(made, TCP4ServerEndpoint)
    assert (made._port, made._interface) == (443, "192.0.2.1")


@pytest.mark.parametrize(
    "text",
    [
        "tpc:443",
        "tcp:x",
        "tcp:443:bogus=1",
        "ssl:443:privateKey=/nonexistent",
        # A unit that belongs to a socket was started without it.
        "systemd:domain=INET6:index=0",
        # Its parser is OpenSSL's, with an error of its own.
        "ssl:443:privateKey=/dev/null",
    ],
)
def test_no_endpoint(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the parser of an endpoint has to complain of becomes one sentence that names the option."""
    monkeypatch.delenv("LISTEN_PID", raising=False)
    with pytest.raises(RefusedStart) as caught:
        endpoint(MemoryReactor(), to_listen(text), "https", has_ipv6=bool)
    sentence = str(caught.value)
    assert sentence.startswith(f"--https {text!r} is not an endpoint that Twisted can listen on (")
    assert sentence.endswith("give a port, or a text such as tcp:443:interface=192.0.2.1.")


def taken(port: object = 443) -> CannotListenError:
    """What Twisted says of an address in use."""
    return CannotListenError("::", port, OSError(errno.EADDRINUSE, "Address already in use"))


@pytest.mark.parametrize(
    ("text", "error", "why"),
    [
        (
            "443",
            taken(),
            "Address already in use; see who has it with: ss -ltnp 'sport = :443'",
        ),
        (
            "tcp:443:interface=127.0.0.1",
            taken(),
            "Address already in use; see who has it with: ss -ltnp 'sport = :443'",
        ),
        ("unix:/run/x", taken("/run/x"), "Address already in use"),
        ("unix:/run/x", CannotListenError(None, "/run/x", "Cannot acquire lock"), "Cannot acquire lock"),
        (
            "443",
            CannotListenError("", 443, PermissionError(errno.EACCES, "Permission denied")),
            "Permission denied; ports below 1024 need root, CAP_NET_BIND_SERVICE or a socket from systemd",
        ),
        ("fd:7", OSError(errno.EBADF, "Bad file descriptor"), "Bad file descriptor"),
        ("x:1", ValueError("no such address"), "no such address"),
        ("x:1", None, "it did not answer at once"),
    ],
)
def test_not_listened_on(text: str, error: Exception | None, why: str) -> None:
    """One sentence: which option, why, and what to do where that is known."""
    assert refusal(text, error) == f"--https {text} cannot be listened on: {why}."


def test_ipv6_is_probed() -> None:
    """The answer is what a real dual-stack socket says."""
    assert machine_has_ipv6() == socket.has_dualstack_ipv6()


def test_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a Python without it nor a kernel that refuses it is an error."""

    def refuse(*_: object) -> socket.socket:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", refuse)
    assert not machine_has_ipv6()
    monkeypatch.setattr(socket, "has_ipv6", False)
    monkeypatch.setattr(socket, "socket", None)
    assert not machine_has_ipv6()


@for_each(
    ("ports", "names", "url"),
    [
        ([("http", tcp(80))], None, "http://localhost/"),
        ([("http", tcp(8080))], None, "http://localhost:8080/"),
        ([("http", unix())], None, "http://localhost/"),
        ([("https", tcp(443))], ["a.example.com", "b.example.com"], "https://a.example.com/"),
        # A port left to the system is known by the number that it gave.
        ([("https", tcp(40123))], ["a.example.com"], "https://a.example.com:40123/"),
        (
            [("http", tcp(80)), ("https", unix()), ("https", tcp(8443))],
            ["a.example.com"],
            "https://a.example.com:8443/",
        ),
        ([("https", tcp(443))], ["*.w.example.com", "a.example.com"], "https://a.example.com/"),
        ([("https", tcp(443))], ["*.w.example.com"], "https://localhost/"),
        ([("https", tcp(443))], ["2001:db8::1"], "https://[2001:db8::1]/"),
        ([("https", tcp(8443))], ["2001:db8::1"], "https://[2001:db8::1]:8443/"),
        ([("https", tcp(8443))], [], "https://localhost:8443/"),
    ],
)
def test_base_url(ports: list[tuple[str, Any]], names: Sequence[str] | None, url: str) -> None:
    """The certificate's first name that is one, and the port if it is not the usual."""
    assert base_url(ports, names) == url


@pytest.mark.parametrize(
    ("port", "words"),
    [
        (tcp(443), "port 443 of all addresses"),
        (Port(IPv6Address("TCP", "::", 443)), "port 443 of all addresses"),
        (tcp(8080, "127.0.0.1"), "port 8080 of 127.0.0.1"),
        (Port(IPv6Address("TCP", "::1", 443)), "port 443 of ::1"),
        (unix(), "/run/simpleindex.sock"),
        (unix(b"\0index"), r"\x00index"),
        (Port("elsewhere"), "elsewhere"),
    ],
)
def test_where(port: Any, words: str) -> None:
    """A listener in words, for the log."""
    assert where(port) == words
