"""Certificates of an ACME authority for several nodes: one requests them, all have them and answer its challenges."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("psycopg")

from simpleindex.records.opening import open_postgresql
from simpleindex.records.postgresql.acme import SharedAcmeStore
from simpleindex.tls.acme.certificate_requests import CertificateRequests
from simpleindex.tls.acme.errors import AcmeFailed
from simpleindex.tls.acme.issuing import certificate_path, read_certificate
from simpleindex.tls.acme.store import ANNOUNCED
from tests.fixtures.acme import DAY, DIRECTORY, NAME, FakeAuthority
from tests.fixtures.certificates import NOW, issue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from simpleindex.tls.acme.certificate_requests import Outcome
    from tests.fixtures.postgresql import PostgreSQL

PATIENCE = 120.0


class Node:
    """A node that does not run, but follows the records."""

    def __init__(self, url: str, certs: Path) -> None:
        self.now = NOW
        self.certs = certs
        self.records = open_postgresql(url)
        self.slept: list[float] = []
        self.state = SharedAcmeStore(self.records, url, DIRECTORY, [NAME], self.slept.append)
        self.authority = FakeAuthority(self, NAME)
        self.heard = threading.Event()
        self.records.listeners.append(lambda place, _: self.heard.set() if place == ANNOUNCED else None)

    def check(self) -> Outcome:
        """Look as a server does."""
        return CertificateRequests(
            self.authority, self.state, self.certs, lambda: self.now, lambda: 0.0
        ).check()


@pytest.fixture
def new_node(tmp_path: Path, postgresql: PostgreSQL) -> Iterator[Callable[[str], Node]]:
    """Makes nodes of one database."""
    url, nodes = postgresql.create_database(), []

    def make(name: str) -> Node:
        nodes.append(node := Node(url, tmp_path / name))
        node.records.prepare()
        return node

    yield make
    for node in nodes:
        node.records.close()


def test_one_of_two_requests(new_node: Callable[[str], Node]) -> None:
    """The other takes its certificate at once, and the other way round the next time."""
    one, two = new_node("one"), new_node("two")
    two.records.follow()
    obtained = one.check().certificate
    assert obtained is not None
    assert two.heard.wait(PATIENCE)
    assert two.check().certificate == obtained
    assert certificate_path(two.certs).read_bytes() == certificate_path(one.certs).read_bytes()
    assert two.check().certificate is None
    two.now = one.now = NOW + 61 * DAY
    again = two.check().certificate
    assert again not in (None, obtained)
    assert one.check().certificate == again
    assert (one.authority.tries, two.authority.tries) == (1, 1)


def test_while_one_requests_the_other_waits(new_node: Callable[[str], Node]) -> None:
    one, two = new_node("one"), new_node("two")
    with one.state.locked() as is_held:
        assert is_held
        assert two.check().next_check == NOW + timedelta(minutes=1)
    assert two.check().certificate


def test_failures_are_those_of_all(new_node: Callable[[str], Node]) -> None:
    """An authority that refuses is not tried by each node."""
    one, two = new_node("one"), new_node("two")
    one.authority.failure = two.authority.failure = AcmeFailed("Too many.", timedelta(hours=3))
    assert one.check().error
    assert not two.check().error
    two.now += timedelta(hours=2)
    assert not two.check().error
    assert two.authority.tries == 0


def test_a_certificate_of_before(new_node: Callable[[str], Node]) -> None:
    """Of a server that had files, perhaps of another authority: nodes request one that they share; one of other names is not taken."""
    node = new_node("one")
    issue(NAME, now=NOW, end=89 * DAY).put(certificate_path(node.certs))
    assert node.check().certificate
    issue("other.example.org", now=NOW, end=89 * DAY).put(other := node.certs / "other.pem")
    node.state.write_certificate(other.read_bytes())
    assert node.check().certificate  # another request
    node.state.write_certificate(b"broken")
    assert node.check().certificate
    assert node.authority.tries == 3


def test_every_node_answers_challenges(new_node: Callable[[str], Node]) -> None:
    """From memory, until they are closed; the authority is let in once the others have heard."""
    one, two = new_node("one"), new_node("two")
    two.records.follow()
    one.state.open_challenge("tls-alpn-01", NAME, b"certificates")
    one.state.open_challenge("http-01", "token", b"token.thumbprint")
    assert one.slept == [1.0, 1.0]
    await_that(two, lambda: two.state.read_key_authorization("token") == b"token.thumbprint")
    assert two.state.read_challenge_certificates(NAME) == b"certificates"
    assert one.state.read_challenge_certificates("../key.pem") is None
    SharedAcmeStore(two.records, "postgresql://x", DIRECTORY, ["other.example.org"]).close_challenges()
    assert one.state.read_key_authorization("token")
    one.state.close_challenges()
    await_that(two, lambda: two.state.read_key_authorization("token") is None)


def await_that(node: Node, is_so: Callable[[], bool]) -> None:
    """Wait until a node has heard of something."""
    end = threading.Event()
    for _ in range(int(PATIENCE / 0.01)):
        if is_so():
            return
        end.wait(0.01)
    pytest.fail("it was not heard of")


def test_one_account_for_all(new_node: Callable[[str], Node]) -> None:
    one, two = new_node("one"), new_node("two")
    one.state.prepare()
    one.state.write_account("key.pem", b"secret")
    one.state.write_account("account.json", b"{}")
    assert two.state.read_account("key.pem") == b"secret"
    two.state.forget_account()
    assert one.state.read_account("account.json") is None
    assert one.state.read_account("key.pem") == b"secret"
    assert "simpleindex.acme_files in postgresql://" in one.state.account_place


def test_a_database_that_is_away(tmp_path: Path) -> None:
    """Nothing is requested, what lies here is served on, and no challenge is answered."""
    node = Node("postgresql://127.0.0.1:1/none", tmp_path)
    issue(NAME, now=NOW, end=89 * DAY).put(certificate_path(node.certs))
    outcome = node.check()
    assert (
        "in postgresql://127.0.0.1:1/none, which cannot be used now (the server cannot be reached); see that"
        in outcome.error
    )
    assert "certs cannot be written" in node.state.sentence_about(OSError(28, "No space", "certs"))
    assert not outcome.is_urgent
    assert outcome.next_check == NOW + timedelta(minutes=10)
    assert read_certificate(node.certs)
    assert node.state.read_key_authorization("token") is None
    with pytest.raises(OSError, match="cannot be reached"), node.state.locked():
        pytest.fail("nobody holds it")
