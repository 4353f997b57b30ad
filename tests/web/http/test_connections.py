"""How many connections an address may hold."""

from __future__ import annotations

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress

from tests.fixtures.connection import ConnectionFixture, LinesTestCase, get


class BoundTests(LinesTestCase):
    """The bound per address."""

    def setUp(self) -> None:
        super().setUp()
        self.wire = ConnectionFixture(
            max_connections_per_address=2, exempt=lambda host: host == "198.51.100.1"
        )

    def taken(self, *hosts: str) -> list[bool]:
        """Connect from each host in turn; tell which were taken."""
        found = []
        for host in hosts:
            address = (IPv6Address if ":" in host else IPv4Address)("TCP", host, 50000)
            found.append(not self.wire.connect(address).aborted)
        return found

    def test_one_too_many(self) -> None:
        """A further connection of the same address is closed at once; others are not concerned."""
        self.assertEqual(
            [True, True, False, True], self.taken("192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2")
        )

    def test_one_address_two_spellings(self) -> None:
        """An IPv4 address seen through a ``::`` socket is the same address; IPv6 is counted by /64."""
        self.assertEqual([True, True, False], self.taken("192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.1"))
        self.assertEqual(
            [True, True, False, True],
            self.taken("2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::3", "2001:db8:0:1::1"),
        )

    def test_exempt(self) -> None:
        """Loopback, Unix sockets and trusted proxies hold everybody's connections and are not counted."""
        for host in ("127.0.0.1", "::ffff:127.0.0.1", "::1", "198.51.100.1", "::ffff:198.51.100.1"):
            self.assertEqual([True] * 5, self.taken(*[host] * 5), host)
        for _ in range(5):
            self.assertFalse(self.wire.connect(UNIXAddress("/run/index.sock")).aborted)

    def test_unbounded(self) -> None:
        """0 is any number."""
        self.wire = ConnectionFixture(max_connections_per_address=0)
        self.assertEqual([True] * 500, self.taken(*["192.0.2.1"] * 500))

    def test_closed_connections_do_not_count(self) -> None:
        """A place is free again when a connection ends, and nothing is kept of an address without connections."""
        transports = [self.wire.connect() for _ in range(3)]
        self.assertEqual([False, False, True], [transport.aborted for transport in transports])
        self.wire.wait(1)
        transports[0].leave()
        self.assertFalse(self.wire.connect().aborted)
        self.assertTrue(self.wire.connect().aborted)
        self.wire.site.abort_all()
        self.wire.wait(1)
        self.assertEqual(0, len(self.wire.site.connections))
        self.assertEqual({}, self.wire.site.connections._count)

    def test_logged_once_a_minute(self) -> None:
        """One line per address and minute, however many connections are refused."""
        for _ in range(2):
            self.taken(*["192.0.2.1"] * 9, *["192.0.2.2"] * 9)
            self.assertEqual(2, len(self.lines))
            self.wire.wait(9)
        self.wire.clock.advance(50)
        self.taken(*["192.0.2.1"] * 9)
        self.assertEqual(3, len(self.lines))
        self.assertEqual(["192.0.2.1"], list(self.wire.site.connections._logged))
        self.assertEqual(
            "192.0.2.1 holds 2 connections, the most that one address may; closed a further one (logged once a minute).",
            self.lines[-1],
        )

    def test_no_descriptors(self) -> None:
        """Without room for another connection it is closed; those that ask for nothing give way, the oldest first."""
        wire = ConnectionFixture()
        first, second = wire.connect(), wire.connect()
        wire.wait(1)
        young = wire.connect()
        wire.send(second, get(b"/slow")[:-2])
        wire.site.connections.retire_idle(9)
        self.assertFalse(first.disconnecting)
        wire.wait(1)
        wire.site.connections.retire_idle(9)
        self.assertEqual([True, False, False], [each.disconnecting for each in (first, second, young)])
        wire.site.connections.has_room = lambda: False
        self.assertTrue(wire.connect().aborted)
