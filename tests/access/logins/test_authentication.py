"""Who is asking: credentials of every kind, right and wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.defer import fail

from simpleindex.access.errors import InsecureCredentials, Unauthenticated
from simpleindex.access.identity import ANYONE, Identity
from simpleindex.core.errors import Unavailable
from tests.fixtures.login import FAR, NEAR, SECRET, TOKEN, LoginTestCase, basic
from tests.fixtures.threads import InlineThreads


class IdentifyTests(LoginTestCase):
    """Kinds of credentials."""

    def test_nobody(self) -> None:
        """Without credentials it is anyone, also with a mere name, over TLS and without, and nothing is counted or said."""
        for header in (None, basic("alice", ""), basic("__token__", "")):
            for secure in (True, False):
                self.assertEqual(self.successResultOf(self.begin(header, secure=secure)), ANYONE)
        self.assertEqual((self.said, self.audited, self.thread.count), ([], [], 0))

    def test_password(self) -> None:
        """The right one is its user, without a token."""
        self.assertEqual(self.log_in("alice", "secret"), Identity("alice"))
        self.assertEqual(self.said, [])

    def test_recorded_logins(self) -> None:
        """A user or token from an address is recorded once a day; a failure is none."""
        for _ in range(2):
            self.log_in("alice", "secret")
            self.log_in("alice", "secret", "2001:db8::1")
            self.log_in("alice", "secret", "2001:db8::2")
            self.successResultOf(self.begin(f"Bearer {SECRET}", ""))
        self.refused(Unauthenticated, basic("bob", "wrong"))
        first = [
            {"event": "login", "who": "alice", "address": FAR},
            {"event": "login", "who": "alice", "address": "2001:db8::1"},
            {"event": "login", "who": "alice", "token": TOKEN.id},
        ]
        self.assertEqual(self.logged_in, first)
        self.clock.advance(86_400)
        self.log_in("alice", "secret")
        self.assertEqual(self.logged_in, [*first, first[0]])

    def test_wrong_password(self) -> None:
        """Known and unknown users get the same answer; only the log tells them apart."""
        answers = {str(self.refused(Unauthenticated, basic(user, "x"))) for user in ("alice", "mallory")}
        self.assertEqual(answers, {"The user name or the password is wrong."})
        self.assertEqual(
            self.said,
            [
                "Login failed for 'alice' from 192.0.2.7: wrong password",
                "Login failed for 'mallory' from 192.0.2.7: no such user",
            ],
        )
        self.assertEqual(
            self.audited[0],
            {"event": "login-failed", "who": "alice", "address": FAR, "detail": "wrong password"},
        )

    def test_without_users(self) -> None:
        """Nobody has a password then, and no hash is computed; tokens are their makers' business."""
        self.authentication = self.make(users=False)
        self.refused(Unauthenticated, basic("alice", "secret"))
        self.assertEqual(self.said, ["Login failed for 'alice' from 192.0.2.7: there is no users file"])
        self.assertEqual(self.thread.count, 0)
        self.assertEqual(self.successResultOf(self.begin(f"Bearer {SECRET}")).user, "alice")

    def test_tokens(self) -> None:
        """In every form; the identity carries the token's limits and its user, also where another name is sent with it."""
        for header in (
            basic("__token__", SECRET),
            basic("__token__", f"{SECRET}\n"),
            basic("bob", SECRET),
            f"Bearer {SECRET}",
            f"token {SECRET}",
        ):
            identity = self.successResultOf(self.begin(header))
            self.assertEqual(identity, Identity("alice", TOKEN.limits))
        self.assertEqual(self.thread.count, 0)

    def test_a_token_of_another_node(self) -> None:
        """One that was created a moment ago counts, although its creation is not known here yet; so does that it was revoked."""
        new, revoked = "sidx-" + "N" * 43, "sidx-" + "R" * 43
        self.tokens.elsewhere = {
            new: replace(TOKEN, id="new00000"),
            revoked: replace(TOKEN, id="rev00000", revoked=1),
        }
        self.catch_ups.held = True
        asking = self.begin(f"Bearer {new}")
        self.assertNoResult(asking)
        self.catch_ups.deliver_all()
        self.assertEqual(self.successResultOf(asking).user, "alice")
        self.refused(Unauthenticated, f"Bearer {revoked}")
        self.assertEqual(self.said, ["Login failed for '__token__' from 192.0.2.7: token rev00000 revoked"])

    def test_many_unknown_tokens_at_once(self) -> None:
        """Those that come while another one is looked up share the next reading: who sends wrong ones keeps one thread busy at most."""
        self.catch_ups.held = True
        header = f"Bearer sidx-{'N' * 43}"
        first, *others = [self.begin(header) for _ in range(9)]
        gone = self.begin(header)
        gone.addErrback(lambda _: None)
        gone.cancel()
        self.catch_ups.deliver()
        self.failureResultOf(first, Unauthenticated)
        for asking in others:
            self.assertNoResult(asking)
        self.catch_ups.deliver_all()
        for asking in others:
            self.failureResultOf(asking, Unauthenticated)
        self.assertEqual(self.tokens.readings, 2)

    def test_unknown_tokens_where_all_is_known(self) -> None:
        """As with a file of records: nothing is read once more."""
        self.tokens.may_be_behind = False
        self.refused(Unauthenticated, f"Bearer sidx-{'N' * 43}")
        self.assertEqual(self.tokens.readings, 0)

    def test_a_token_that_cannot_be_looked_up(self) -> None:
        """Whether it was created elsewhere cannot be known while the records are away: that is no wrong token."""
        self.catch_ups.held = True
        asking = self.begin(f"Bearer sidx-{'N' * 43}")
        self.tokens.failure = Unavailable("no records")
        self.catch_ups.deliver_all()
        self.failureResultOf(asking, Unavailable)
        self.assertEqual(self.said, [])

    def test_a_token_of_nobody(self) -> None:
        """It needs no user in the file."""
        self.tokens.by_secret[SECRET] = replace(TOKEN, user=None)
        self.assertEqual(self.successResultOf(self.begin(f"Bearer {SECRET}")), Identity(None, TOKEN.limits))

    def test_wrong_tokens(self) -> None:
        """The client is told one thing; the log and the audit say which it is."""
        other = "sidx-" + "B" * 43
        self.tokens.by_secret = {
            SECRET: replace(TOKEN, expires=1),
            other: replace(TOKEN, id="zz99zz99", revoked=1),
        }
        answers = {
            str(self.refused(Unauthenticated, header))
            for header in (
                f"Bearer {SECRET}",
                basic("alice", other),
                basic("__token__", "pypi-x"),
                f"token sidx-{'C' * 43}",
                "Bearer",
            )
        }
        self.assertEqual(answers, {"The token is unknown, expired or revoked."})
        self.assertEqual(
            self.said,
            [
                "Login failed for '__token__' from 192.0.2.7: token ab12cd34 expired",
                "Login failed for 'alice' from 192.0.2.7: token zz99zz99 revoked",
                *["Login failed for '__token__' from 192.0.2.7: unknown token"] * 3,
            ],
        )
        self.assertEqual(
            [line.get("token") for line in self.audited], ["ab12cd34", "zz99zz99", None, None, None]
        )

    def test_a_token_whose_user_is_gone(self) -> None:
        """Who is taken out of the users file is out, with every token; and back in with the line."""
        users = self.users
        self.users = replace(users, hashes={"bob": "hash of hunter2"})
        self.refused(Unauthenticated, f"Bearer {SECRET}")
        self.assertIn("token ab12cd34 belongs to 'alice', who is not in the users file", self.said[0])
        self.users = users
        self.successResultOf(self.begin(f"Bearer {SECRET}"))

    def test_records_out_of_order(self) -> None:
        """That is "can't tell now", never anyone and never a wrong token."""
        self.tokens.failure = Unavailable("no records")
        self.refused(Unavailable, f"Bearer {SECRET}")
        self.assertEqual(self.said, [])

    def test_malformed(self) -> None:
        """It is a wrong login, with nothing of it in the log."""
        for header in ("", "Basic ?sidx", "Digest a=b", "Basic YWJj"):
            self.refused(Unauthenticated, header)
        self.assertEqual(len(self.said), 4)
        self.assertEqual(
            self.said[1], "Login failed for '' from 192.0.2.7: malformed credentials: it is not base64"
        )

    def test_names_cannot_forge_lines(self) -> None:
        """Whatever a client calls itself, the line says one thing and its address is the client's."""
        for user, shown in (
            ("x' from 10.0.0.1", r"'x\x27 from 10.0.0.1'"),
            ("a\nLogin failed", r"'a\x0ALogin failed'"),
            ("é\\\x1b", r"'\xC3\xA9\x5C\x1B'"),
            ("a" * 70, f"'{'a' * 64}...'"),
        ):
            self.refused(Unauthenticated, basic(user, "x"), address="192.0.2.8")
            self.assertEqual(self.said[-1], f"Login failed for {shown} from 192.0.2.8: no such user")
            self.assertEqual(self.audited[-1]["who"], shown[1:-1])
            self.clock.advance(400)

    def test_no_secret_is_said(self) -> None:
        """Neither in the log, nor in the audit, nor to the client."""
        said = [
            str(self.refused(Unauthenticated, header))
            for header in (basic("alice", "pa55word"), f"Bearer sidx-pa55word{'x' * 34}", "Basic pa55word")
        ]
        self.assertNotIn("pa55word", repr((said, self.said, self.audited)))


class InsecureTests(LoginTestCase):
    """Credentials over plain HTTP."""

    def test_refused(self) -> None:
        """Of every kind, before anything is looked at; said, so that the operator knows that they are out."""
        for header in (basic("alice", "secret"), f"Bearer {SECRET}", "nonsense"):
            self.refused(InsecureCredentials, header, secure=False)
        self.assertEqual(self.thread.count, 0)
        self.assertEqual(
            self.said[0], "Login failed for 'alice' from 192.0.2.7: credentials sent over plain HTTP"
        )
        self.assertEqual({line["event"] for line in self.audited}, {"login-insecure"})

    def test_on_this_machine(self) -> None:
        """Nobody else can listen there."""
        for address in (NEAR, "::1", "::ffff:127.0.0.1"):
            self.successResultOf(self.begin(f"Bearer {SECRET}", address, secure=False))

    def test_of_nobody_knows_where(self) -> None:
        """Text that is no address is not this machine."""
        self.refused(InsecureCredentials, f"Bearer {SECRET}", "", secure=False)
        self.assertIn("from a local socket:", self.said[0])

    def test_allowed(self) -> None:
        """Every part that says so; also while it runs."""
        self.authentication.insecure_auth = True
        self.successResultOf(self.begin(f"Bearer {SECRET}", secure=False))


class FullDisk(InlineThreads):
    """Threads in which no write succeeds."""

    def run(self, *arguments: Any, **_: Any) -> Any:
        """Fail."""
        self.calls += 1
        return fail(Unavailable("full"))


class TouchTests(LoginTestCase):
    """When a token was last used."""

    def use(self) -> None:
        self.successResultOf(self.begin(f"Bearer {SECRET}"))

    def test_once_a_minute(self) -> None:
        """However often it is used, and whatever the records say meanwhile."""
        for _ in range(130):
            self.use()
            self.clock.advance(1)
        self.assertEqual(
            self.tokens.touched,
            [("ab12cd34", 1_700_001_000), ("ab12cd34", 1_700_001_060), ("ab12cd34", 1_700_001_120)],
        )

    def test_another_server_did(self) -> None:
        """Then it need not be written again."""
        self.tokens.by_secret[SECRET] = replace(TOKEN, last_used=1_700_000_990)
        self.use()
        self.assertEqual(self.tokens.touched, [])
        self.clock.advance(50)
        self.use()
        self.assertEqual(len(self.tokens.touched), 1)

    def test_that_fails(self) -> None:
        """A full disk refuses nobody, and is not tried with every request."""
        threads = FullDisk()
        self.authentication = self.make(threads=threads)
        for _ in range(10):
            self.use()
        self.assertEqual(threads.calls, 1)


class FloodTests(LoginTestCase):
    """Many failed logins."""

    def test_of_one_address(self) -> None:
        """Thirty lines a minute, then one that says how many more; others have theirs."""
        for _ in range(100):
            self.refused(Unauthenticated, "Bearer x")
        self.refused(Unauthenticated, "Bearer x", "192.0.2.8")
        self.assertEqual(len(self.said), 31)
        self.clock.advance(60)
        self.refused(Unauthenticated, "Bearer x")
        self.assertEqual(
            self.said[31:],
            [
                "70 more logins failed within a minute and have no lines of their own.",
                "Login failed for '__token__' from 192.0.2.7: unknown token",
            ],
        )
        self.assertEqual(len(self.audited), len(self.said))
        self.assertEqual(self.audited[31]["event"], "logins-failed")

    def test_of_many_addresses(self) -> None:
        """Of all together too; and an IPv6 network is one."""
        for number in range(1000):
            self.refused(Unauthenticated, "Bearer x", f"2001:db8::{number:x}")
        self.assertEqual(len(self.said), 30)
        for number in range(1000):
            self.refused(Unauthenticated, "Bearer x", f"2001:db8:{number:x}::1")
        self.assertEqual(len(self.said), 600)
        self.assertLessEqual(len(self.authentication._failed_logins._lines), 600)
