"""Checks of passwords: one at a time, remembered, delayed, bounded."""

from __future__ import annotations

import math
from dataclasses import replace

from twisted.internet.defer import CancelledError

from simpleindex.access.errors import TooManyFailures, Unauthenticated
from simpleindex.access.identity import Identity
from simpleindex.access.logins import password_checks
from simpleindex.access.logins.htpasswd import Users
from simpleindex.access.logins.password_checks import _MOST_ADDRESSES, _MOST_RIGHT
from simpleindex.core.errors import Unavailable
from tests.fixtures.depth import THOROUGH
from tests.fixtures.login import FAR, SECRET, LoginTestCase, basic


class RememberedTests(LoginTestCase):
    """Right passwords."""

    def test_for_a_minute(self) -> None:
        """A client sends it with every request; it is hashed once a minute."""
        for _ in range(120):
            self.assertEqual(self.log_in("alice", "secret"), Identity("alice"))
            self.clock.advance(1)
        self.assertEqual(self.thread.count, 2)

    def test_at_once(self) -> None:
        """What is remembered does not wait for those who are hashed."""
        self.log_in("alice", "secret")
        waiting = self.begin(basic("bob", "hunter2"))
        self.assertNoResult(waiting)
        self.successResultOf(self.begin(basic("alice", "secret")))
        self.thread.deliver_all()
        self.successResultOf(waiting)

    def test_only_that_pair(self) -> None:
        """Another password, or another's, is not."""
        self.log_in("alice", "secret")
        self.refused(Unauthenticated, basic("alice", "secreT"))
        self.refused(Unauthenticated, basic("bob", "secret"))
        self.refused(Unauthenticated, basic("alic", "esecret"))
        self.assertEqual(self.thread.count, 4)

    def test_until_the_password_changes(self) -> None:
        """The old one is refused from the moment in which the file says so, and so is who is taken out."""
        self.log_in("alice", "secret")
        self.users = replace(self.users, hashes={**self.users.hashes, "alice": "hash of new"})
        self.refused(Unauthenticated, basic("alice", "secret"))
        self.log_in("alice", "new")
        self.users = replace(self.users, hashes={"bob": "hash of hunter2"})
        self.refused(Unauthenticated, basic("alice", "new"))

    def test_wrong_ones_are_not(self) -> None:
        """They are hashed each time."""
        for _ in range(3):
            self.refused(Unauthenticated, basic("alice", "x"))
        self.assertEqual(self.thread.count, 3)

    def test_memory_is_bounded(self) -> None:
        """However many people there are."""
        most = _MOST_RIGHT if THOROUGH else 300
        self.patch(password_checks, "_MOST_RIGHT", most)
        self.authentication = self.make()
        count = most + most // 5
        self.users = replace(self.users, hashes={f"u{number}": "hash of x" for number in range(count)})
        for number in range(count):
            self.log_in(f"u{number}", "x")
        assert self.authentication._passwords
        self.assertEqual(len(self.authentication._passwords._right), most)

    def test_nothing_of_it_is_in_memory(self) -> None:
        """Neither the password nor what could be tried quickly elsewhere: every process keys it differently."""
        self.log_in("alice", "secret")
        first = self.authentication._passwords
        self.authentication = self.make()
        self.log_in("alice", "secret")
        second = self.authentication._passwords
        assert first
        assert second
        self.assertFalse(first._right.keys() & second._right.keys())


class TurnTests(LoginTestCase):
    """One at a time."""

    def test_one_hash_at_a_time(self) -> None:
        """The others wait, in their order."""
        asking = [self.begin(basic(user, "x"), f"192.0.2.{user}") for user in "123"]
        for _ in range(3):
            self.assertEqual(len(self.thread.calls), 1)
            self.thread.deliver()
        for one in asking:
            self.failureResultOf(one, Unauthenticated)
        self.assertIn("192.0.2.1", self.said[0])
        self.assertIn("192.0.2.3", self.said[2])

    def test_many_requests_with_one_password(self) -> None:
        """A client that sends fifty at its start makes one hash, and one failure."""
        right = [self.begin(basic("alice", "secret")) for _ in range(50)]
        wrong = [self.begin(basic("alice", "x")) for _ in range(50)]
        self.assertEqual(self.thread.deliver_all(), 2)
        for one in right:
            self.assertEqual(self.successResultOf(one), Identity("alice"))
        for one in wrong:
            self.failureResultOf(one, Unauthenticated)
        self.assertEqual(len(self.said), 1)

    def test_a_client_that_leaves(self) -> None:
        """Others that wait for the same check are not harmed, and the failure counts although nobody waits for it."""
        first, second = (self.begin(basic("alice", "secret")) for _ in range(2))
        first.cancel()
        self.failureResultOf(first, CancelledError)
        alone = self.begin(basic("alice", "x"))
        alone.cancel()
        self.failureResultOf(alone, CancelledError)
        self.thread.deliver_all()
        self.successResultOf(second)
        self.assertEqual(len(self.said), 1)

    def test_what_fails_in_the_thread(self) -> None:
        """It is everybody's error who waits for it, no failed login, and over with the next."""
        self.hashes.failure = Unavailable("no memory")
        asking = [self.begin(basic("alice", "secret")) for _ in range(2)]
        self.thread.deliver_all()
        for one in asking:
            self.failureResultOf(one, Unavailable)
        self.hashes.failure = None
        self.log_in("alice", "secret")
        self.assertEqual(self.said, [])

    def fill(self, most: int, networks: int = 1) -> int:
        """Ask until there is no room, from so many addresses in turn; returns for how many there was, and lets them go."""
        waiting = [
            self.begin(basic(f"a{number}", "x"), f"192.0.2.{number % networks}") for number in range(most)
        ]
        refused = [one for one in waiting if one.called]
        for one in refused:
            self.assertEqual(self.failureResultOf(one, TooManyFailures).value.retry_after, 2)
        self.clock.advance(1000)
        self.thread.deliver_all()
        for one in waiting:
            if one not in refused:
                self.failureResultOf(one)
        return most - len(refused)

    def test_room(self) -> None:
        """Eight seconds' worth wait, of one address half of it; there is room again when they are through."""
        self.assertEqual(self.fill(50), 20)
        self.authentication = self.make()
        self.assertEqual(self.fill(50, networks=50), 40)
        self.log_in("alice", "secret", "192.0.3.9")

    def test_room_by_what_it_takes(self) -> None:
        """Slower hashes, on a slower machine, make the queue shorter, and faster ones longer."""
        for cost, room in ((0.8, 10), (0.1, 80), (100, 4), (0, 100)):  # seconds, passwords
            self.authentication = self.make()
            for number in range(20):
                asking = self.begin(basic(f"u{number}", "x"), f"192.0.4.{number}")
                self.clock.advance(cost)
                self.thread.deliver_all()
                self.failureResultOf(asking, Unauthenticated)
            self.assertEqual(self.fill(100, networks=100), room)

    def test_who_has_waited_too_long(self) -> None:
        """Nobody waits for the answer any more, so nothing is hashed for it."""
        first, second = (self.begin(basic("alice", "secret"), f"192.0.2.{number}") for number in range(2))
        self.clock.advance(8.5)
        self.assertEqual(self.thread.deliver_all(), 1)
        self.successResultOf(first)
        self.failureResultOf(second, TooManyFailures)
        self.log_in("alice", "secret", "192.0.2.1")

    def test_whom_we_know_comes_first(self) -> None:
        """A password that was right today waits for one hash, however many others wait and however long they take."""
        self.log_in("alice", "secret")
        self.authentication._passwords._cost = 0.2  # type: ignore[union-attr]
        self.clock.advance(61)
        others = [self.begin(basic(f"a{number}", "x"), f"192.0.3.{number}") for number in range(40)]
        asking = self.begin(basic("alice", "secret"))
        self.failureResultOf(self.begin(basic("bob", "hunter2")), TooManyFailures)
        for _ in range(2):
            self.assertNoResult(asking)
            self.thread.deliver()
        self.assertEqual(self.successResultOf(asking), Identity("alice"))
        self.thread.deliver_all()
        for one in others:
            self.failureResultOf(one, Unauthenticated)

    def test_nothing_is_left_behind(self) -> None:
        """When all is done."""
        self.log_in("alice", "secret")
        self.refused(Unauthenticated, basic("alice", "x"))
        assert self.authentication._passwords
        self.assertEqual(self.authentication._passwords._checks, {})
        self.assertEqual(dict(self.authentication._passwords._waiting), {})


class TimingTests(LoginTestCase):
    """What time tells of who exists: nothing."""

    def test_an_unknown_user(self) -> None:
        """Costs a hash like that of some user, always the same one for a name."""
        for _ in range(2):
            self.refused(Unauthenticated, basic("mallory", "x"))
        first, second = self.hashes.verified
        self.assertEqual(first, second)
        self.assertIn(first[0], [f"dummy like {hash_}" for hash_ in self.users.hashes.values()])

    def test_a_dummy_is_nobodys_password(self) -> None:
        """Were it to match, nobody would be let in by it."""
        self.hashes.dummy_hash = lambda _: "hash of x"  # type: ignore[method-assign]
        self.refused(Unauthenticated, basic("mallory", "x"))

    def test_all_kinds_occur(self) -> None:
        """Where people have hashes of several kinds, so have those who do not exist."""
        for number in range(64):
            self.refused(Unauthenticated, basic(f"mallory{number}", "x"), f"192.0.3.{number}")
        self.assertEqual(len({hash_ for hash_, _ in self.hashes.verified}), 2)

    def test_without_any_user(self) -> None:
        """Nothing is hashed: there is nobody to be found out."""
        self.users = Users()
        self.refused(Unauthenticated, basic("mallory", "x"))
        self.assertEqual(self.thread.count, 0)


class DelayTests(LoginTestCase):
    """Wrong passwords."""

    def guess(self, times: int = 5, address: str = FAR) -> None:
        for _ in range(times):
            self.refused(Unauthenticated, basic("alice", "x"), address)

    def delayed(self, address: str = FAR, user: str = "bob", password: str = "hunter2") -> int:
        """For how long a password from there is delayed."""
        before = self.thread.count
        error = self.refused(TooManyFailures, basic(user, password), address)
        self.assertEqual(self.thread.count, before)
        assert isinstance(error.retry_after, int)
        return error.retry_after

    def test_after_five(self) -> None:
        """Further ones are not hashed, also right ones; after a second they are."""
        self.guess()
        self.assertEqual(self.delayed(), 1)
        self.clock.advance(1)
        self.assertEqual(self.log_in("bob", "hunter2"), Identity("bob"))

    def test_growing(self) -> None:
        """Each further failure doubles it, up to a minute; asking meanwhile does not."""
        self.guess(4)
        delays = []
        for _ in range(8):
            self.guess(1)
            delays.append(self.delayed())
            self.clock.advance(delays[-1] / 2)
            self.assertEqual(self.delayed(), math.ceil(delays[-1] / 2))
            self.clock.advance(delays[-1] / 2)
        self.assertEqual(delays, [1, 2, 4, 8, 16, 32, 60, 60])

    def test_by_address(self) -> None:
        """Neighbours are not delayed, but an IPv6 client has its whole network."""
        self.guess(5)
        self.log_in("bob", "hunter2", "192.0.2.8")
        self.guess(5, "2001:db8::1")
        self.delayed("2001:db8::ffff", password="y")
        self.delayed(f"::ffff:{FAR}", password="y")
        self.log_in("bob", "hunter2", "2001:db8:0:1::1")

    def test_never_a_token(self) -> None:
        """Nor who shows nothing; and wrong tokens count as no guess, for nobody guesses them."""
        for _ in range(20):
            self.refused(Unauthenticated, "Bearer x")
            self.refused(Unauthenticated, "nonsense")
            self.successResultOf(self.begin(None))
            self.successResultOf(self.begin(basic("alice", "")))
        self.log_in("bob", "hunter2")
        self.guess()
        self.delayed(user="alice", password="y")
        self.successResultOf(self.begin(f"Bearer {SECRET}"))
        self.successResultOf(self.begin(None))

    def test_not_who_was_right_today(self) -> None:
        """A build farm's right password goes on working while a neighbour types wrong ones; it is verified though."""
        self.log_in("bob", "hunter2")
        self.clock.advance(86_000)
        self.guess()
        before = self.thread.count
        self.log_in("bob", "hunter2")
        self.assertEqual(self.thread.count, before + 1)

    def test_right_long_ago(self) -> None:
        """After a day it is like any other."""
        self.log_in("bob", "hunter2")
        self.clock.advance(86_400)
        self.guess()
        self.delayed()

    def test_right_once_and_wrong_now(self) -> None:
        """When the password has changed, the old one is verified once and then delayed like any other."""
        self.log_in("bob", "hunter2")
        self.users = replace(self.users, hashes={"alice": "hash of secret", "bob": "hash of new"})
        self.guess()
        self.refused(Unauthenticated, basic("bob", "hunter2"))
        self.assertEqual(self.delayed(), 2)

    def test_success_forgives_nothing(self) -> None:
        """Else a user could guess at others' passwords for ever, with one of his own in between."""
        for _ in range(4):
            self.guess(1)
            self.log_in("bob", "hunter2")
            self.clock.advance(61)
        self.guess(1)
        self.delayed(user="alice", password="secret")

    def test_who_waits_is_judged_again(self) -> None:
        """Of a hundred guesses at once five are hashed."""
        asking = [self.begin(basic(f"a{number}", "x")) for number in range(20)]
        self.assertEqual(self.thread.deliver_all(), 5)
        for one in asking[:5]:
            self.failureResultOf(one, Unauthenticated)
        for one in asking[5:]:
            self.failureResultOf(one, TooManyFailures)

    def test_memory_is_bounded(self) -> None:
        """However many addresses there are."""
        most = _MOST_ADDRESSES if THOROUGH else 900
        self.patch(password_checks, "_MOST_ADDRESSES", most)
        self.authentication = self.make()
        self.users = Users()
        for number in range(most + 100):
            self.guess(1, f"10.0.{number >> 8}.{number & 255}")
        assert self.authentication._passwords
        self.assertEqual(len(self.authentication._passwords._failures), most)
