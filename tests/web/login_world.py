"""People and tokens in memory: a clock, a thread that works when told to, hashes that are plain, a log that is a list."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from simpleindex.access.authentication import Authentication
from simpleindex.access.htpasswd import Users
from simpleindex.access.identity import Action, Identity
from simpleindex.access.tokens import Token
from simpleindex.core.errors import UnusableToken

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "sidx-" + "A" * 43
TOKEN = Token("ab12cd34", "alice", frozenset({Action.UPLOAD}), ("acme-*",), 0, None, "ci")
NEAR, FAR = "127.0.0.1", "192.0.2.7"


def basic(user: str, password: str) -> str:
    """The header as a client writes it."""
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


class Thread:
    """One that does its work when told to."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []
        self.calls = 0

    def __call__(self, function: Callable[..., Any], *arguments: object) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self.calls += 1

        def work() -> None:
            try:
                result = function(*arguments)
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
        self.said: list[str] = []
        self.audited = Audited()
        self.users = Users({"alice": "hash of secret", "bob": "hash of hunter2"})
        self.authentication = self.make()

    def make(self, **changes: Any) -> Authentication:
        """Another with changes."""
        options: dict[str, Any] = {
            "users": lambda: self.users,
            "tokens": self.tokens,
            "hashes": self.hashes,
            "audit": self.audited,
            "in_password_thread": self.thread,
            "in_thread": lambda function, *arguments: succeed(function(*arguments)),
            "say": self.said.append,
            "seconds": self.clock.seconds,
            "now": lambda: 1_700_000_000 + self.clock.seconds(),
            **changes,
        }
        return Authentication(**options)

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
