"""Renewal with an authority in memory, of one server and of nodes with a database: what is requested when, what is remembered, and what the operator reads."""

from __future__ import annotations

import errno
import os
from datetime import timedelta
from functools import cache, partial
from typing import TYPE_CHECKING

import pytest
from twisted.internet.task import Clock

from simpleindex.records.opening import open_postgresql
from simpleindex.records.postgresql.acme import SharedAcmeStore
from simpleindex.tls.acme.certificate_requests import CertificateRequests, Outcome
from simpleindex.tls.acme.errors import AcmeFailed, IssuedUnusable
from simpleindex.tls.acme.issuing import read_certificate
from simpleindex.tls.acme.renewal import CertificateRenewal
from simpleindex.tls.acme.state_files import AcmeState
from tests.fixtures.acme import DAY, NAME, FakeAuthority
from tests.fixtures.certificates import NOW, issue
from tests.fixtures.faults import Faults
from tests.fixtures.log import logged_failures
from tests.fixtures.threads import InlineThreads, PausedThreads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cryptography import x509

    from simpleindex.records.interface import Records
    from simpleindex.tls.acme.store import AcmeStore
    from tests.fixtures.postgresql import PostgreSQL

    OpenStore = Callable[[str, frozenset[str]], AcmeStore]


class StartedThreads(PausedThreads):
    """Those of a renewal, which starts and stops them."""

    def start(self, index: int = 0) -> None:
        """They wait for the test all the same."""


class World:
    """A state directory, certificates and a time."""

    def __init__(self, home: Path, open_store: OpenStore) -> None:
        self.now = NOW
        self.certs = home / "certs"
        self._open = cache(open_store)
        self.authority = FakeAuthority(self, NAME)

    @property
    def state(self) -> AcmeStore:
        """What a server with these options keeps."""
        return self._open(self.authority.directory, self.authority.names)

    @property
    def requests(self) -> CertificateRequests:
        """The requests of a server that has just started."""
        return CertificateRequests(self.authority, self.state, self.certs, lambda: self.now, lambda: 0.0)

    @property
    def failures(self) -> int:
        """Failed tries that are remembered."""
        failed = self.state.read_status().failed
        return 0 if failed is None else failed.count

    def settle(self) -> None:
        """Check until there is nothing to do."""
        requests = self.requests
        for _ in range(4):
            if requests.check().next_check > self.now:
                return
        raise AssertionError("it never waits")

    def fail(self, sentence: str = "It failed.", retry_after: timedelta | None = None) -> None:
        self.authority.failure = AcmeFailed(sentence, retry_after)


@pytest.fixture
def files_world(tmp_path: Path) -> World:
    """A server with files."""
    return World(tmp_path, lambda directory, _: AcmeState(tmp_path, directory))


@pytest.fixture(scope="session")
def shared_records(postgresql: PostgreSQL) -> Iterator[Records]:
    """Records in PostgreSQL, for one test after the other."""
    records = open_postgresql(postgresql.create_database())
    records.prepare()
    yield records
    records.close()


@pytest.fixture(params=["files", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """A server with files, or one of several nodes."""
    if request.param == "files":
        made: World = request.getfixturevalue("files_world")
        return made
    postgresql: PostgreSQL = request.getfixturevalue("postgresql")
    records: Records = request.getfixturevalue("shared_records")
    records.writer.write(lambda transaction: transaction.execute("TRUNCATE acme_files, acme_challenges"))
    url = postgresql.url(records.path.rpartition("/")[2])
    return World(
        tmp_path, lambda directory, names: SharedAcmeStore(records, url, directory, names, lambda _: None)
    )


def test_one_certificate_serves_for_two_thirds_of_its_lifetime(world: World) -> None:
    world.settle()
    assert world.authority.tries == 1
    world.now += 58 * DAY
    world.settle()
    assert world.authority.tries == 1
    world.now += 2 * DAY
    world.settle()
    assert world.authority.tries == 2


def test_the_authoritys_advice_goes_before_that(world: World) -> None:
    world.authority.advice = NOW + 2 * DAY
    world.settle()
    world.now += DAY
    world.settle()
    world.settle()
    assert world.authority.tries == 1
    world.now += DAY
    world.authority.advice = NOW + 80 * DAY  # of the next one
    world.settle()
    assert world.authority.tries == 2
    for days in (1, 60):
        world.now += days * DAY
        world.settle()
        assert world.authority.tries == 2


@pytest.mark.parametrize(
    ("requested", "length", "questions"),
    [
        (30 * DAY, DAY, 2),
        (DAY, DAY, 2),
        (None, DAY, 5),
        (timedelta(hours=1), DAY, 24),
        (timedelta(seconds=-9), timedelta(minutes=20), 20),
    ],
)
def test_how_often_advice_is_requested_is_the_authoritys_within_bounds(
    files_world: World, requested: timedelta | None, length: timedelta, questions: int
) -> None:
    """At least once a day and at most once a minute (RFC 9773 section 4.3.2), by checks that come when the last one said."""
    files_world.authority.advice = NOW + 80 * DAY
    files_world.authority.wait = requested
    files_world.settle()
    requests = files_world.requests
    files_world.now += timedelta(hours=6)
    end = files_world.now + length
    while files_world.now < end:
        files_world.now = max(requests.check().next_check, files_world.now + timedelta(seconds=5))
    assert questions - 2 <= files_world.authority.questions <= questions


def test_an_explanation_of_the_advice_is_shown_once_and_remembered(world: World) -> None:
    """RFC 9773 section 4.2: the authority says why, as where certificates are revoked."""
    world.settle()
    page = "https://ca.example.org/incident"
    world.authority.advice, world.authority.explanation = NOW + 20 * DAY, page
    world.now += DAY
    explained = world.requests.check().explained
    assert explained is not None
    assert (explained.explanation, explained.renew_at) == (page, NOW + 20 * DAY)
    assert world.state.read_status().certificate == explained
    world.now += DAY
    assert world.requests.check().explained is None
    world.authority.explanation = ""
    world.now += DAY
    assert world.requests.check().explained is None
    status = world.state.read_status().certificate
    assert status is not None
    assert status.explanation == ""


def test_an_authority_that_always_advises_to_renew_is_not_followed_without_end(world: World) -> None:
    world.authority.advice = NOW - DAY
    world.settle()
    for _ in range(24 * 4):
        world.now += timedelta(minutes=15)
        world.settle()
    assert world.authority.tries == 5


@pytest.mark.parametrize("start", [-890 * DAY, DAY / 24])
def test_a_certificate_that_is_dated_otherwise_is_not_renewed_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch, start: timedelta
) -> None:
    """Most of its lifetime is over when it comes, or none has begun."""
    monkeypatch.setattr("tests.fixtures.acme.issue", partial(issue, start=start))
    for _ in range(24):
        world.settle()
        world.now += timedelta(hours=1)
    assert world.authority.tries == 1


def test_a_certificate_for_further_names_is_used(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of authorities that add ``www.``: with any other name it was requested again every five seconds."""
    monkeypatch.setattr("tests.fixtures.acme.issue", partial(issue, f"www.{NAME}"))
    for _ in range(3):
        world.settle()
    assert world.authority.tries == 1


def test_nothing_is_requested_whose_failure_could_not_be_remembered(files_world: World) -> None:
    """It would be requested every ten minutes, which is more than public authorities allow."""
    files_world.state.prepare()
    (files_world.certs.parent / "acme" / "status.json").mkdir()
    outcome = files_world.requests.check()
    assert "status.json cannot be written (Is a directory)" in outcome.error
    assert files_world.authority.tries == 0


def test_a_failure_is_remembered_over_a_restart_until_its_time_has_come(world: World) -> None:
    world.fail()
    outcome = world.requests.check()
    assert outcome.error == f"It failed. The next try is at {NOW + timedelta(minutes=2):%Y-%m-%d %H:%M} UTC."
    assert outcome.is_urgent
    failed = world.state.read_status().failed
    assert failed is not None
    assert failed.sentence == "It failed."
    world.now += timedelta(minutes=1)
    assert world.requests.check() == Outcome(NOW + timedelta(minutes=2))
    # To somebody who starts the server, or sends SIGHUP, it is said what is waited for.
    assert world.requests.check(is_for_operator=True) == outcome
    assert world.authority.tries == 1
    world.now += timedelta(minutes=1)
    world.requests.check()
    assert (world.authority.tries, world.failures) == (2, 2)


def test_the_operator_need_not_wait_for_the_next_try(world: World) -> None:
    """After a night of failures the wait is twelve hours; who has opened the port meanwhile starts the server again."""
    world.fail()
    for _ in range(11):
        world.now = world.requests.check().next_check
        while world.authority.tries <= world.failures and world.requests.check().error == "":
            world.now += timedelta(hours=1)
    world.now += timedelta(minutes=20)
    before = world.authority.tries
    world.requests.check()
    assert world.authority.tries == before
    world.authority.failure = None
    assert world.requests.check(is_for_operator=True).certificate is not None
    assert world.failures == 0


def test_certificates_that_are_issued_in_vain_are_few(world: World) -> None:
    """Such as those that have ended by this machine's clock: Let's Encrypt issues five for the same names in a week."""
    world.authority.failure = IssuedUnusable("The new certificate has ended.")
    for _ in range(2 * 24 * 6):
        world.requests.check()
        world.now += timedelta(minutes=10)
    assert world.authority.tries == 4
    world.authority.failure = None
    assert world.requests.check(is_for_operator=True).certificate is not None


def test_an_authority_that_requests_no_wait_leaves_it_to_the_operator(world: World) -> None:
    """Some send ``Retry-After: 0`` with every answer, or a date that has passed."""
    world.fail("Busy.", retry_after=timedelta())
    for _ in range(9):
        world.requests.check()
        world.now += DAY
    before = world.authority.tries
    world.requests.check()
    world.now += timedelta(minutes=16)
    world.requests.check()
    assert world.authority.tries == before + 1
    world.requests.check(is_for_operator=True)
    assert world.authority.tries == before + 2


def test_a_wait_that_the_authority_requests_is_kept_whatever_the_operator_does(world: World) -> None:
    world.fail("Too many.", retry_after=timedelta(hours=30))
    world.requests.check()
    world.now += timedelta(hours=29)
    world.requests.check(is_for_operator=True)
    assert world.authority.tries == 1
    world.now += timedelta(hours=1)
    world.requests.check()
    assert world.authority.tries == 2


def test_a_limit_does_not_hide_the_failures_that_it_comes_from(world: World) -> None:
    """Else the operator reads "too many requests" for hours, and nowhere that a port is closed."""
    world.fail("Too many.", retry_after=DAY)
    first = world.requests.check()
    assert "failure before" not in first.error
    world.now += DAY
    assert "failure before" not in world.requests.check().error, "a limit is no cause of itself"
    world.now += DAY
    world.fail("Port 443 is closed.")
    world.requests.check()
    world.fail("Too many.", retry_after=DAY)
    for _ in range(3):
        world.now += DAY
        assert (
            "Too many. The failure before that: Port 443 is closed. The next try"
            in world.requests.check().error
        )
    world.now += DAY
    world.fail("Another trouble.")
    assert world.requests.check().error.startswith("Another trouble. The next try")


def test_other_names_are_requested_at_once_and_their_failures_are_not_those_of_the_former(
    world: World,
) -> None:
    world.settle()
    first, world.authority = world.authority, FakeAuthority(world, NAME, "typo.example.org")
    world.fail("No such name.", retry_after=DAY)
    world.settle()
    assert world.authority.tries == 1
    # Corrected: the wait was for another request.
    world.authority = FakeAuthority(world, NAME, "other.example.org")
    world.settle()
    assert world.authority.tries == 1
    assert world.failures == 0
    # And back to what the present one is for too; a database has the former one.
    world.authority = first
    world.settle()
    assert world.authority.tries == 1
    # And to what it is not for.
    world.authority = FakeAuthority(world, NAME, "third.example.org")
    world.settle()
    assert world.authority.tries == 1


def test_the_former_names_certificate_is_still_good_after_a_failure_of_others(world: World) -> None:
    world.settle()
    first, world.authority = world.authority, FakeAuthority(world, "typo.example.org")
    world.fail("No such name.")
    world.settle()
    world.authority = first
    world.settle()
    assert world.authority.tries == 1


def test_another_authority_is_used_at_once(world: World) -> None:
    """As after practising with the staging directory."""
    world.settle()
    world.authority = FakeAuthority(world, NAME, directory="https://other.example.org/directory")
    world.settle()
    assert world.authority.tries == 1
    world.settle()
    assert world.authority.tries == 1


def test_a_certificate_whose_status_was_lost_is_used(world: World) -> None:
    """Also after a crash between the two writes; what failed before it was issued is over."""
    world.fail()
    world.settle()
    world.authority.failure = None
    world.authority.obtain()
    before = world.authority.tries
    world.settle()
    assert world.authority.tries == before
    assert world.failures == 0


def test_failures_of_a_certificate_that_the_status_does_not_know_are_counted(world: World) -> None:
    world.authority.obtain()
    world.now += 70 * DAY
    world.fail()
    for count in range(1, 4):
        assert world.requests.check().error
        assert not world.requests.check().error  # it waits
        assert world.failures == count
        world.now += DAY


def test_an_expired_certificate_is_urgent(world: World) -> None:
    world.settle()
    world.fail()
    world.now += 60 * DAY
    assert not world.requests.check().is_urgent
    world.now += 40 * DAY
    assert world.requests.check().is_urgent


def test_while_another_server_requests_this_one_waits(world: World) -> None:
    world.state.prepare()
    with world.state.locked() as is_held:
        assert is_held
        assert world.requests.check().next_check == NOW + timedelta(minutes=1)
    assert world.authority.tries == 0


@pytest.mark.parametrize("error", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_a_state_that_cannot_be_written_is_a_sentence(files_world: World, error: int) -> None:
    """Wherever it begins; the certificate that is there stays."""
    files_world.settle()
    present = read_certificate(files_world.certs)
    files_world.now += 70 * DAY
    with Faults().between() as counted:
        files_world.fail()
        files_world.requests.check()
    for at in range(1, len(counted.calls) + 1):
        files_world.now += DAY
        with Faults(at, error, for_ever=True).between():
            outcome = files_world.requests.check()
        assert os.strerror(error) in outcome.error
        assert str(files_world.certs.parent / "acme") in outcome.error
        assert outcome.next_check == files_world.now + timedelta(minutes=10)
        assert read_certificate(files_world.certs) == present


class TestTheReactorsHalf:
    @pytest.fixture
    def clock(self, world: World) -> Clock:
        clock = Clock()
        clock.advance(world.now.timestamp())
        return clock

    @staticmethod
    def pass_time(world: World, clock: Clock, length: timedelta) -> None:
        end = world.now + length
        while world.now < end:
            step = min(DAY, end - world.now)
            world.now += step
            clock.advance(step.total_seconds())

    def test_a_new_certificate_is_used_and_renewed(self, world: World, clock: Clock) -> None:
        used: list[x509.Certificate | None] = []
        renewal = CertificateRenewal(world.requests, InlineThreads(), clock)
        renewal.start(lambda: used.append(read_certificate(world.certs)))
        clock.advance(0)
        assert len(used) == 1
        self.pass_time(world, clock, 61 * DAY)
        assert len(used) == 2
        assert used[0] != used[1]
        renewal.stop()
        assert not clock.getDelayedCalls()

    @pytest.mark.parametrize(
        ("wrong_by", "requested"),
        [(-400 * DAY, 7 * DAY), (-2 * DAY, None), (5 * DAY, None), (5 * DAY, 7 * DAY), (400 * DAY, None)],
    )
    def test_a_clock_that_is_set_right_ends_a_wait_within_an_hour(
        self, files_world: World, wrong_by: timedelta, requested: timedelta | None
    ) -> None:
        """Requests failed because of it; the reactor's time, by which waits end, goes on steadily."""
        clock, world = Clock(), files_world
        right, world.now = world.now, world.now + wrong_by
        world.fail("The clock is wrong.", requested)
        renewal = CertificateRenewal(world.requests, InlineThreads(), clock)
        renewal.start(lambda: None)
        for _ in range(6 * 24):
            self.tick(world, clock)
        assert world.authority.tries == 1 if requested else 5 < world.authority.tries < 15
        world.authority.failure = None
        world.now = right + DAY
        for _ in range(7):
            self.tick(world, clock)
        assert read_certificate(world.certs) is not None
        renewal.stop()

    @staticmethod
    def tick(world: World, clock: Clock) -> None:
        """Let ten minutes pass."""
        world.now += timedelta(minutes=10)
        clock.advance(600)

    @pytest.mark.parametrize("set_by", [-20 * DAY, 20 * DAY])
    def test_a_renewal_comes_by_the_clock_however_it_is_set(
        self, files_world: World, set_by: timedelta
    ) -> None:
        """Sixty days after its beginning by the clock of then, and not by the time that the server ran."""
        clock, world = Clock(), files_world
        renewal = CertificateRenewal(world.requests, InlineThreads(), clock)
        renewal.start(lambda: None)
        clock.advance(0)
        due = NOW + 59 * DAY
        world.now += 30 * DAY + set_by
        while world.authority.tries == 1:
            self.tick(world, clock)
            assert world.now < due + timedelta(hours=2)
        assert world.now >= due - DAY
        renewal.stop()

    def test_after_an_unexpected_failure_it_goes_on(self, world: World, clock: Clock) -> None:
        """Of the authority's or of the server's: a renewal that stopped would be noticed when the certificate ends."""
        failures = logged_failures()
        world.authority.failure = RuntimeError("a fault of ours")
        renewal = CertificateRenewal(world.requests, InlineThreads(), clock)

        def use() -> None:
            raise RuntimeError("another")

        renewal.start(use)
        clock.advance(0)
        assert len(failures) == 1
        world.authority.failure = None
        self.pass_time(world, clock, timedelta(minutes=11))
        assert len(failures) == 2
        self.pass_time(world, clock, 61 * DAY)
        assert world.authority.tries == 3
        assert len(failures) == 3
        renewal.stop()

    def test_sighup_checks_at_once_but_not_twice_at_a_time(self, world: World, clock: Clock) -> None:
        threads = StartedThreads(held=True)
        renewal = CertificateRenewal(world.requests, threads, clock)
        renewal.start(lambda: None)
        clock.advance(0)
        renewal.check_now()
        renewal.check_now()
        clock.advance(0)
        assert threads.count == 1
        threads.deliver()
        clock.advance(0)
        assert threads.count == 2
        threads.deliver()
        clock.advance(1)
        assert threads.count == 2
        renewal.check_now()
        clock.advance(0)
        assert threads.count == 3
        threads.deliver()
        renewal.stop()
        renewal.check_now()
        assert not clock.getDelayedCalls()

    def test_news_of_another_node(self, world: World, clock: Clock) -> None:
        """Are taken at once, or after the present check."""
        threads = StartedThreads(held=True)
        renewal = CertificateRenewal(world.requests, threads, clock)
        renewal.check_soon()  # before the start
        renewal.start(lambda: None)
        clock.advance(0)
        renewal.check_soon()
        threads.deliver()
        clock.advance(0)
        assert threads.count == 2
        threads.deliver()
        clock.advance(1)
        assert threads.count == 2
        renewal.check_soon()
        clock.advance(0)
        assert threads.count == 3
        threads.deliver()
        renewal.stop()
