"""Addresses: one form, who counts as whom, who is behind a proxy."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.core.addresses import (
    client_address,
    counted_as,
    is_loopback,
    is_public,
    is_within,
    plain_host,
    unmapped,
)
from tests.fixtures.tables import for_each

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("2001:db8:1::/48")]


@for_each(
    ("host", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:c000:201", "192.0.2.1"),
        ("0:0:0:0:0:ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::192.0.2.1", "::192.0.2.1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("no:address", "no:address"),
        ("", ""),
    ],
)
def test_unmapped(host: str, expected: str) -> None:
    """Only an IPv4 address in IPv6's clothes changes."""
    assert unmapped(host) == expected
    assert unmapped(unmapped(host)) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("no:address", "no:address"),
    ],
)
def test_counted_as(host: str, expected: str) -> None:
    """IPv4 counts by address, IPv6 by /64."""
    assert counted_as(host) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.0.2.1", False),
        ("localhost", False),
    ],
)
def test_is_loopback(host: str, expected: bool) -> None:
    """Every spelling of this machine, and no name."""
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("2001:db8:1::5", True),
        ("192.0.2.1", False),
        ("x", False),
    ],
)
def test_is_within(host: str, expected: bool) -> None:
    """Either family, mapped or not."""
    assert is_within(host, TRUSTED) is expected


@for_each(
    ("peer", "forwarded_for", "expected"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("::ffff:192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.66, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.66,203.0.113.9 , 10.0.0.2,10.0.0.3", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.4, 10.0.0.3", "10.0.0.4"),
        ("10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("10.0.0.1", "[2001:db8:2::1]:4711", "2001:db8:2::1"),
        ("10.0.0.1", "[2001:db8:2::1]", "2001:db8:2::1"),
        ("10.0.0.1", "2001:db8:2::1", "2001:db8:2::1"),
        ("10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9, unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, _hidden, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "203.0.113.9,", "10.0.0.1"),
        ("10.0.0.1", '1.2.3.4" "evil', "10.0.0.1"),
        ("2001:db8:1::1", "2001:db8:2::1", "2001:db8:2::1"),
        ("", "203.0.113.9", "203.0.113.9"),
        ("", "203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("", "", ""),
    ],
)
def test_client_address(peer: str, forwarded_for: str, expected: str) -> None:
    """The rightmost hop that is no trusted proxy; nothing is believed beyond it."""
    assert client_address(peer, forwarded_for, TRUSTED) == expected


@given(st.text(), st.ip_addresses().filter(lambda address: not is_within(str(address), TRUSTED)))
def test_claims_do_not_count(claim: str, client: object) -> None:
    """Whatever a client writes into the header, its own address stays what its proxy saw."""
    assert client_address("10.0.0.1", f"{claim}, {client}", TRUSTED) == unmapped(str(client))


@given(st.text())
def test_always_an_address(forwarded_for: str) -> None:
    """Nothing but an address comes out of the header."""
    ip_address(client_address("10.0.0.1", forwarded_for, TRUSTED))


@for_each(
    ("host", "expected"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("64:ff9b::5db8:d70e", True),
        ("64:ff9b::a00:1", False),
        ("127.0.0.1", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("::7f00:1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fec0::1", False),
        ("fd00::1", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("ff02::1", False),
        ("255.255.255.255", False),
        ("2002:7f00:1::1", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_public_addresses(host: str, expected: bool) -> None:
    """Only what is reached over the public Internet is public, whatever form hides another address."""
    assert is_public(host) is expected


@for_each(
    ("url", "host"),
    [
        ("http://box:8080/", "box:8080"),
        ("http://192.0.2.1/py/", "192.0.2.1"),
        ("http://[2001:db8::1]:80/", "[2001:db8::1]:80"),
        ("http://localhost:8080/", None),
        ("http://127.0.0.2/", None),
        ("http://[::1]:8080/", None),
        ("https://box/", None),
        ("", None),
    ],
)
def test_hosts_that_pip_passes_over(url: str, host: str | None) -> None:
    """As pip's list of secure origins has it."""
    assert plain_host(url) == host
