"""Who sees ``/-/metrics``: this machine, the networks of ``--metrics-for``, and those who administer every project."""

from __future__ import annotations

from typing import Final

import pytest
from twisted.internet.address import IPv4Address

from simpleindex.access.access_file import parse_access
from simpleindex.config.values import to_network
from simpleindex.core.views import MAIN_VIEW
from simpleindex.web.admission import Admission, NoOwners, open_admission
from simpleindex.web.status.metrics_page import MetricsPage
from tests.fixtures.guarded_site import BearerIdentities
from tests.fixtures.site import FAR, NEAR, SiteFixture
from tests.fixtures.stub_source import StubSource

ACCESS: Final = b"""
private = true

[[rule]]
projects = ["*"]
admin = ["carol"]
read = ["alice", "carol"]
"""

PROXY: Final = IPv4Address("TCP", "10.0.0.5", 4000)


class PageFixture(SiteFixture):
    """A site with metrics for loopback and one network.

    Args:
        access: The access file of an index where people can log in; None for one without.
        trusted: Networks of trusted proxies.
    """

    def __init__(self, *, access: bytes | None = None, trusted: tuple[str, ...] = ()) -> None:
        source = StubSource()
        rules = None if access is None else parse_access(access)
        admission = (
            Admission({MAIN_VIEW: source}, lambda: rules, BearerIdentities(), NoOwners())
            if rules is not None
            else open_admission({MAIN_VIEW: source})
        )
        super().__init__(source, admission=admission, trusted=tuple(map(to_network, trusted)))
        networks = tuple(map(to_network, ("127.0.0.0/8", "10.0.0.0/24")))
        page = MetricsPage(networks, admission, self._text, self._facts)
        self.resource.metrics = self.resource._status.metrics = page

    async def _text(self) -> tuple[bytes, str]:
        return b"up 1\n", "text/plain; version=0.0.4; charset=utf-8"

    async def _facts(self) -> dict[str, object]:
        return {"simpleindex_ready": 1}


def test_this_machine() -> None:
    reply = PageFixture(access=ACCESS).get("/-/metrics", ("Host", "localhost"), peer=NEAR)
    assert (reply.status, reply.body) == (200, b"up 1\n")
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert reply.headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in reply.headers


def test_a_network() -> None:
    assert PageFixture().get("/-/metrics", peer=PROXY).status == 200


@pytest.mark.parametrize(
    "header",
    [
        ("Origin", "https://evil.example"),
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Forwarded-For", "10.0.0.7"),
        ("Via", "1.1 proxy"),
    ],
)
def test_a_page_or_a_proxy_of_that_network_speaks_for_others(header: tuple[str, str]) -> None:
    assert PageFixture().get("/-/metrics", header, peer=PROXY).status == 403


def test_a_trusted_proxy_states_the_client() -> None:
    site = PageFixture(trusted=("10.0.0.5",))
    statuses = {
        client: site.get("/-/metrics", ("X-Forwarded-For", client), peer=PROXY).status
        for client in ("10.0.0.7", "192.0.2.1")
    }
    assert statuses == {"10.0.0.7": 200, "192.0.2.1": 403}
    # One that states nobody may bring anybody.
    assert site.get("/-/metrics", ("Via", "1.1 proxy"), peer=PROXY).status == 403


def test_a_browser_that_was_led_here() -> None:
    assert PageFixture().get("/-/metrics", ("Host", "evil.example"), peer=NEAR).status == 403


@pytest.mark.parametrize(
    ("reader", "status"), [(None, 401), ("alice", 403), ("carol", 200), ("carol-upload", 403)]
)
def test_logins(reader: str | None, status: int) -> None:
    headers = () if reader is None else (("Authorization", f"Bearer {reader}"),)
    reply = PageFixture(access=ACCESS).get("/-/metrics", *headers, peer=FAR)
    assert reply.status == status
    assert (b"up 1" in reply.body) == (status == 200)


def test_a_public_index_asks_for_a_login() -> None:
    """Which pip and Prometheus send only then."""
    reply = PageFixture(access=ACCESS.replace(b"private = true", b"")).get("/-/metrics", peer=FAR)
    assert reply.status == 401
    assert "administer every project" in reply.text


@pytest.mark.parametrize(
    ("reader", "peer", "sees"), [("alice", FAR, False), ("carol", FAR, True), ("alice", NEAR, True)]
)
def test_the_status_has_them_too(reader: str, peer: IPv4Address, sees: bool) -> None:
    """For the same clients, also for those who log in without need."""
    headers = (("Authorization", f"Bearer {reader}"), ("Host", "localhost"))
    status = PageFixture(access=ACCESS).get("/-/status", *headers, peer=peer).json
    assert ("metrics" in status) == sees


def test_an_index_without_logins_says_how() -> None:
    reply = PageFixture().get("/-/metrics", peer=FAR)
    assert (reply.status, reply.text) == (
        403,
        "Metrics are for the addresses of --metrics-for; on the server itself use localhost as the host.\n",
    )


def test_nothing_is_here_without_metrics() -> None:
    reply = SiteFixture().get("/-/metrics", peer=NEAR)
    assert reply.status == 404
    assert "it needs the extra metrics" in reply.text
