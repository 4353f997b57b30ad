"""Finding out what this machine is called."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from simpleindex.tls.machine_names import qualified_names, this_machine

if TYPE_CHECKING:
    from pathlib import Path

FIB_TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.1.0.0/16 2 0 2
        |-- 10.1.0.0
           /16 link UNICAST
        |-- 10.1.0.5
           /32 host LOCAL
        |-- 10.1.255.255
           /32 link BROADCAST
     |-- 169.254.3.4
        /32 host LOCAL
     |-- 127.0.0.1
        /32 host LOCAL
"""
IF_INET6 = """\
00000000000000000000000000000001 01 80 10 80       lo
20010db8000000000000000000000005 02 40 00 00     eth0
20010db800000000aaaabbbbccccdddd 02 40 00 01     eth0
20010db8000000000000000000000006 02 40 00 40     eth0
fe80000000000000fc00000000000001 02 40 20 80     eth0
"""


def lay_down(root: Path, **files: str) -> Path:
    """An imitation of the root directory; two underscores in a name stand for a slash."""
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("etc/resolv", "etc/resolv.conf")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("hostname", "hosts", "resolver", "names"),
    [
        ("box.example.com", "", "search lan", ("box.example.com",)),
        ("box", "", "", ()),
        ("box", "127.0.1.1 box.example.com box # main", "", ("box.example.com",)),
        ("box", "127.0.1.1 Box.Example.com BOX", "search example.com", ("box.example.com",)),
        ("box", "# 127.0.1.1 box.example.com box\n127.0.0.1 other.example.com other", "", ()),
        ("box", "127.0.1.1", "nameserver 192.0.2.1\nsearch\nsearch lan. home\ndomain x", ("box.lan",)),
        ("box", "", "search .", ()),
    ],
)
def test_full_names_without_asking_anyone(
    hostname: str, hosts: str, resolver: str, names: tuple[str, ...]
) -> None:
    """The machine's own files say its full name, if it has one."""
    assert qualified_names(hostname, hosts, resolver) == names


def test_everything_a_machine_is_called(tmp_path: Path) -> None:
    """The URL's host first, then full name, name, its name in multicast DNS, localhost; lasting addresses in order."""
    root = lay_down(
        tmp_path,
        etc__resolv="search example.com\n",
        proc__self__net__fib_trie=FIB_TRIE,
        proc__self__net__if_inet6=IF_INET6,
    )
    identity = this_machine("Python.Example.com.", "Box", root)
    assert identity.names == ("python.example.com", "box.example.com", "box", "box.local", "localhost")
    assert [str(address) for address in identity.addresses] == ["10.1.0.5", "127.0.0.1", "::1", "2001:db8::5"]


def test_a_url_by_address(tmp_path: Path) -> None:
    """An address in --url is an address, not a name."""
    identity = this_machine(
        "192.0.2.9", "box.example.com", lay_down(tmp_path, proc__self__net__fib_trie=FIB_TRIE)
    )
    assert identity.names == ("box.example.com", "localhost")
    assert ip_address("192.0.2.9") in identity.addresses


@pytest.mark.parametrize("hostname", ["", "bad name", "b" * 64, "-b", "bücher", "localhost"])
def test_a_name_that_cannot_be_certified_is_left_out(tmp_path: Path, hostname: str) -> None:
    """Whatever the kernel says, only names that a certificate can hold come out."""
    names = this_machine(None, hostname, lay_down(tmp_path, proc__self__net__fib_trie=FIB_TRIE)).names
    assert names == ("localhost",)


def test_without_proc_the_way_out_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no /proc/net, the address that packets would leave by is taken, if there is one."""

    class Probe(socket.socket):
        def connect(self, address: object) -> None:
            if self.family == socket.AF_INET6:
                raise OSError

        def getsockname(self) -> tuple[str, int]:
            return ("198.51.100.4", 1)

    monkeypatch.setattr(socket, "socket", Probe)
    addresses = this_machine(None, "box", tmp_path).addresses
    assert [str(address) for address in addresses] == ["127.0.0.1", "198.51.100.4", "::1"]


def test_this_very_machine() -> None:
    """On the real machine there is an answer at once."""
    identity = this_machine()
    assert identity.names[-1] == "localhost"
    assert ip_address("127.0.0.1") in identity.addresses
