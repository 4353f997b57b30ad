"""Addresses of clients, as text: one form per address, which of them count as one client, and the client behind a proxy."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

Network = IPv4Network | IPv6Network

_COUNTED_PREFIX: Final = 64
"""Bits of an IPv6 address that stand for one client, who may choose the other 64 at will (RFC 4291 section 2.5.1)."""

_NAT64: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
"""Where the last 32 bits are an IPv4 address behind a gateway (RFC 6052, RFC 8215)."""


def unmapped(host: str) -> str:
    """Return an IPv4 address that a ``::`` socket reports as ``::ffff:a.b.c.d`` in its own form; all else as it is."""
    if ":" not in host:
        return host
    try:
        mapped = IPv6Address(host).ipv4_mapped
    except ValueError:
        return host
    return host if mapped is None else str(mapped)


@lru_cache(maxsize=1024)
def counted_as(host: str) -> str:
    """Return the name under which an address's connections are counted: itself, or its /64 for IPv6."""
    host = unmapped(host)
    if ":" not in host:
        return host
    try:
        # Without its zone (fe80::1%eth0), which no network has.
        return str(IPv6Network((IPv6Address(host).packed, _COUNTED_PREFIX), strict=False))
    except ValueError:
        return host


def is_address(host: str) -> bool:
    """Tell whether a text is an IP address."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Tell whether an address is this machine's own; text that is no address is not."""
    try:
        return ip_address(unmapped(host)).is_loopback
    except ValueError:
        return False


def plain_host(url: str) -> str | None:
    """Return the host and port of an index that pip passes over unless told to trust it: without TLS, on another machine.

    Args:
        url: The index's URL.
    """
    split = urlsplit(url)
    host = split.hostname or ""
    return split.netloc if split.scheme == "http" and host != "localhost" and not is_loopback(host) else None


def is_public(host: str) -> bool:
    """Tell whether an address is one of the public Internet's; text that is no address is not.

    An IPv6 address that a gateway turns into an IPv4 address is judged by that one.
    """
    try:
        address = ip_address(unmapped(host))
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        embedded = [address.sixtofour, *(address.teredo or ())]
        if any(address in network for network in _NAT64):
            embedded.append(IPv4Address(address.packed[-4:]))
        if (
            any(inner is not None and not is_public(str(inner)) for inner in embedded)
            or address.is_site_local
        ):
            return False
        # ::a.b.c.d is no longer in use, yet some systems take it for the IPv4 address (RFC 4291 section 2.5.5.1).
        if address.packed[:12] == bytes(12):
            return False
    return address.is_global and not address.is_multicast


def is_within(host: str, networks: Iterable[Network]) -> bool:
    """Tell whether an address lies in one of the networks; text that is no address does not."""
    try:
        address = ip_address(unmapped(host))
    except ValueError:
        return False
    return any(address in network for network in networks)


def client_address(peer: str, forwarded_for: str, trusted: Iterable[Network]) -> str:
    """Return the address of the client that a request comes from.

    ``X-Forwarded-For`` is read from its right end, where the proxies nearest to us wrote: the first hop that is no
    trusted proxy is the client, and what stands left of it is the client's own claim.

    Args:
        peer: The connection's other end; empty for a Unix socket, which only a proxy on this machine can be.
        forwarded_for: Every ``X-Forwarded-For`` header of the request, joined with commas; may be empty.
        trusted: The networks of the proxies whose word counts.

    Returns:
        An address without its port; the nearest valid one when a hop is not an address ("unknown"), and empty
        when even that is a Unix socket.
    """
    nearest = unmapped(peer)
    if not forwarded_for:
        return nearest
    trusted = tuple(trusted)
    for hop in reversed(forwarded_for.split(",")):
        if nearest and not is_within(nearest, trusted):
            break
        try:
            nearest = unmapped(str(ip_address(_without_port(hop.strip()))))
        except ValueError:
            break
    return nearest


def _without_port(hop: str) -> str:
    """Return an address without its port: some proxies write ``1.2.3.4:5678`` and ``[::1]:5678`` into the header."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
