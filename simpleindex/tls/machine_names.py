"""The names and addresses by which clients may reach this machine, found without requests to the network."""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

Address: TypeAlias = IPv4Address | IPv6Address

_DNS_NAME: Final = re.compile(
    r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
)
"""RFC 1123 section 2.1 with RFC 1035's limits; underscores, since host names in the field have them."""

_TEMPORARY_OR_UNFIT: Final = 0x01 | 0x08 | 0x20 | 0x40
"""Of an IPv6 address (linux/if_addr.h): temporary (RFC 8981, changes daily), failed, deprecated, tentative."""


@dataclass(frozen=True, slots=True)
class MachineIdentity:
    """What clients may call this machine.

    Attributes:
        names: DNS names, lower case, the one for a URL first.
        addresses: Loopback and interface addresses.
    """

    names: tuple[str, ...]
    addresses: tuple[Address, ...]


def this_machine(
    url_host: str | None = None, hostname: str | None = None, root: Path = Path("/")
) -> MachineIdentity:
    """Find this machine's names and addresses.

    No resolver is requested, as ``socket.getfqdn`` does: one that does not answer would hold up the start for a minute.

    Args:
        url_host: The host of ``--url``, a name or an address, if it is given.
        hostname: The machine's own name; by default as the kernel has it.
        root: Where ``etc`` and ``proc`` are read.
    """
    hostname = (socket.gethostname() if hostname is None else hostname).lower().rstrip(".")
    hosts, resolver = _text(root / "etc/hosts"), _text(root / "etc/resolv.conf")
    found = [*qualified_names(hostname, hosts, resolver), hostname]
    if "." not in hostname and hostname != "localhost":
        # What multicast DNS calls a machine on a local network without name server (RFC 6762 section 3).
        found.append(f"{hostname}.local")
    found.append("localhost")
    own = _proc_addresses(_text(root / "proc/self/net/fib_trie"), _text(root / "proc/self/net/if_inet6"))
    addresses = {ip_address("127.0.0.1"), ip_address("::1"), *(own or _outgoing_addresses())}
    if url_host is not None:
        try:
            addresses.add(ip_address(url_host))
        except ValueError:
            found.insert(0, url_host.lower().rstrip("."))
    return MachineIdentity(
        tuple(name for name in dict.fromkeys(found) if _DNS_NAME.fullmatch(name)),
        tuple(sorted(addresses, key=lambda address: (address.version, int(address)))),
    )


def qualified_names(hostname: str, hosts: str, resolver: str) -> tuple[str, ...]:
    """Return the full names of ``hostname``: its own lines of ``/etc/hosts`` (hosts(5)), and its resolver's first domain.

    Args:
        hostname: The machine's own name.
        hosts: The text of ``/etc/hosts``.
        resolver: The text of ``/etc/resolv.conf``.
    """
    if "." in hostname:
        return (hostname,)
    found = []
    for line in hosts.lower().splitlines():
        names = line.partition("#")[0].split()[1:]
        if hostname in names:
            found += [name for name in names if name.startswith(f"{hostname}.")]
    for line in resolver.lower().splitlines():
        words = line.split()
        # The last of several such lines holds (resolv.conf(5)); in practice there is one.
        if len(words) > 1 and words[0] in {"search", "domain"} and words[1].strip("."):
            found.append(f"{hostname}.{words[1].strip('.')}")
            break
    return tuple(dict.fromkeys(found))


def _proc_addresses(fib_trie: str, if_inet6: str) -> set[Address]:
    return {
        address
        for address in (*_ipv4_addresses(fib_trie), *_ipv6_addresses(if_inet6))
        if not address.is_link_local and not address.is_unspecified
    }


def _ipv4_addresses(fib_trie: str) -> Iterator[Address]:
    # A leaf "|-- 10.0.0.5" is followed by its routes; the machine's own addresses have "/32 host LOCAL".
    leaf = ""
    for line in fib_trie.splitlines():
        if "|-- " in line:
            leaf = line.rpartition(" ")[2]
        elif "/32 host LOCAL" in line:
            yield ip_address(leaf)


def _ipv6_addresses(if_inet6: str) -> Iterator[Address]:
    # "00000000000000000000000000000001 01 80 10 80 lo": address, interface, prefix, scope, flags, name; all hexadecimal.
    for line in if_inet6.splitlines():
        fields = line.split()
        if not int(fields[4], 16) & _TEMPORARY_OR_UNFIT:
            yield IPv6Address(bytes.fromhex(fields[0]))


def _outgoing_addresses() -> Iterator[Address]:
    # Connecting a datagram socket sends nothing; the addresses are those set aside for documentation (RFC 5737, 3849).
    for family, target in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((target, 9))
            yield ip_address(probe.getsockname()[0])


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError:
        return ""
