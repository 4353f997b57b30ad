"""People and tokens in memory: a clock, a thread that works when told to, hashes that are plain, and a log."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from simpleindex.access.authentication import Authentication
from simpleindex.access.credentials import Token
from simpleindex.access.failed_logins import FailedLogins
from simpleindex.access.htpasswd import Users
from simpleindex.access.identity import Action, Identity
from simpleindex.access.password_checks import PasswordChecks
from simpleindex.access.token_checks import TokenChecks
from simpleindex.core.errors import UnusableToken
from simpleindex.system.clocks import Clocks
from simpleindex.system.threads import Threads
from tests.fixtures.log import CapturedLog
from tests.fixtures.threads import InlineThreads

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "sidx-" + "A" * 43
TOKEN = Token("ab12cd34", "alice", frozenset({Action.UPLOAD}), ("acme-*",), 0, None, "ci")
NEAR, FAR = "127.0.0.1", "192.0.2.7"


def basic(user: str, password: str) -> str:
    """The header as a client writes it."""
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


class Thread(Threads):
    """One that works when a test lets it."""

    def __init__(self) -> None:
        super().__init__(None, "test", 1)
        self.waiting: list[Callable[[], None]] = []
        self.calls = 0

    def run(self, function: Any, *arguments: Any, **options: Any) -> Deferred[Any]:
        """Call a function later."""
        done: Deferred[Any] = Deferred()
        self.calls += 1

        def work() -> None:
            try:
                result = function(*arguments, **options)
            except Exception as error:
                done.errback(error)
            else:
                done.callback(result)

        self.waiting.append(work)
        return done

    def work(self) -> int:
        """Do all that there is, also what comes of it; returns how much that was."""
        done = 0
        while self.waiting:
            self.waiting.pop(0)()
            done += 1
        return done


class Hashes:
    """Each password's hash is ``hash of`` it."""

    def __init__(self) -> None:
        self.verified: list[tuple[str, bytes]] = []
        self.failure: Exception | None = None

    def verify(self, hash_: str, password: bytes, /) -> bool:
        self.verified.append((hash_, password))
        if self.failure:
            raise self.failure
        return hash_ == f"hash of {password.decode()}"

    def dummy_hash(self, like: str | None, /) -> str:
        return f"dummy like {like}"


class Tokens:
    """The records' tokens."""

    def __init__(self) -> None:
        self.by_secret: dict[str, Token] = {SECRET: TOKEN}
        self.touched: list[tuple[str, float]] = []
        self.failure: Exception | None = None

    def find_token(self, secret: str, now: float, /) -> Token:
        if self.failure:
            raise self.failure
        token = self.by_secret.get(secret)
        if token is None:
            raise UnusableToken(None, "unknown")
        if refusal := token.refusal(now):
            raise UnusableToken(token.id, refusal)
        return token

    def touch(self, id_: str, now: float, /) -> None:
        if self.failure:
            raise self.failure
        self.touched.append((id_, now))


class Audited(list[dict[str, Any]]):
    """An audit that is a list."""

    def record(self, event: str, **facts: Any) -> bool:
        self.append({"event": event, **{key: value for key, value in facts.items() if value is not None}})
        return True


class LoginTestCase(SynchronousTestCase):
    """Two people, alice and bob, and a token of alice's."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.hashes = Hashes()
        self.tokens = Tokens()
        self.thread = Thread()
        self.log = CapturedLog()
        self.log.__enter__()
        self.addCleanup(self.log.__exit__)
        self.audited = Audited()
        self.users = Users({"alice": "hash of secret", "bob": "hash of hunter2"})
        self.authentication = self.make()

    @property
    def said(self) -> list[str]:
        """What was logged."""
        return self.log.lines

    def make(self, *, users: bool = True, threads: Threads | None = None) -> Authentication:
        """Another one, perhaps without a users file or with other threads for the records."""
        clocks = Clocks(self.clock.seconds, lambda: 1_700_000_000 + self.clock.seconds())
        follow = (lambda: self.users) if users else None
        failed_logins = FailedLogins(self.audited, clocks.seconds)
        passwords = follow and PasswordChecks(follow, self.hashes, self.thread, failed_logins, clocks.seconds)
        tokens = TokenChecks(self.tokens, follow, failed_logins, threads or InlineThreads(), clocks)
        return Authentication(passwords, tokens, failed_logins)

    def begin(self, header: str | None, address: str = FAR, secure: bool = True) -> Deferred[Identity]:
        """Ask who that is."""
        return Deferred.fromCoroutine(self.authentication.identify(header, address, secure))

    def log_in(self, user: str, password: str, address: str = FAR) -> Identity:
        """Ask who that is, and let the thread work."""
        asking = self.begin(basic(user, password), address)
        self.thread.work()
        return self.successResultOf(asking)

    def refused(self, error: type[Exception], header: str, address: str = FAR, secure: bool = True) -> Any:
        """Ask who that is, let the thread work, and be refused."""
        asking = self.begin(header, address, secure)
        self.thread.work()
        return self.failureResultOf(asking, error).value
