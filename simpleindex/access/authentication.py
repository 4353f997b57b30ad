"""Who is asking: from the Authorization header to an identity.

Without credentials it is anyone, and whether that is enough is decided by the rights. Credentials that are wrong are
refused also where none are needed: whoever shows them believes in them.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Protocol

from twisted.internet.defer import Deferred

from simpleindex.access.credentials import (
    MalformedCredentials,
    PasswordCredentials,
    TokenCredentials,
    parse_authorization,
)
from simpleindex.access.failed_logins import FailedLogins
from simpleindex.access.identity import ANYONE, Identity
from simpleindex.access.password_checks import PasswordChecks
from simpleindex.core.addresses import is_loopback
from simpleindex.core.errors import InsecureCredentials, Unauthenticated, UnusableToken

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from simpleindex.access.credentials import Credentials
    from simpleindex.access.failed_logins import Recorder
    from simpleindex.access.htpasswd import Users
    from simpleindex.access.password_checks import PasswordVerifier
    from simpleindex.access.tokens import Token

_TOUCH_SECONDS: Final = 60.0
"""Between two notes of a token's use."""

_MOST_TOUCHED: Final = 4096

_WRONG_PASSWORD: Final = "The user name or the password is wrong."  # noqa: S105  (a sentence)
_WRONG_TOKEN: Final = "The token is unknown, expired or revoked."  # noqa: S105
_MALFORMED: Final = "The Authorization header cannot be read: send a user and a password, or a token."


class Tokens(Protocol):
    """What is asked of the records."""

    def find_token(self, secret: str, now: float, /) -> Token:
        """Return the token, or raise UnusableToken or Unavailable; takes microseconds."""
        ...

    def touch(self, id: str, now: float, /) -> None:  # noqa: A002
        """Note its use; takes a write to disk."""
        ...


class Authentication:
    """Finds out who is asking.

    Args:
        users: Gives the users as they are now; None without a users file. Then nobody has a password, and the users of
            tokens are whoever their maker said.
        tokens: The records.
        hashes: Verifies passwords, blocking.
        audit: Records failures.
        in_password_thread: Calls a blocking function in a thread that does nothing else.
        in_thread: Calls one in any thread.
        say: Takes a sentence for the operator.
        insecure_auth: Whether credentials are taken over plain HTTP from elsewhere than this machine.
        seconds: A clock that only goes on.
        now: The time, seconds since 1970.
    """

    def __init__(
        self,
        *,
        users: Callable[[], Users] | None,
        tokens: Tokens,
        hashes: PasswordVerifier,
        audit: Recorder,
        in_password_thread: Callable[..., Awaitable[bool]],
        in_thread: Callable[..., Awaitable[None]],
        say: Callable[[str], None],
        insecure_auth: bool = False,
        seconds: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._users = users
        self._tokens = tokens
        self._in_thread = in_thread
        self._seconds = seconds
        self._now = now
        self.insecure_auth = insecure_auth
        self._failed_logins = FailedLogins(say, audit, seconds)
        self._passwords = users and PasswordChecks(
            users, hashes, in_password_thread, seconds, self._failed_logins
        )
        self._touched: OrderedDict[str, float] = OrderedDict()

    async def identify(self, authorization: str | None, address: str, secure: bool) -> Identity:
        """Find out who sends a request.

        Args:
            authorization: That header, as latin-1; None if there is none.
            address: The client's.
            secure: Whether it came over TLS, all the way as far as we know.

        Raises:
            Unauthenticated: The credentials are wrong.
            TooManyFailures: They are not looked at now.
            InsecureCredentials: They must not be sent like this.
            Unavailable: It cannot be told now.
        """
        shown = None if authorization is None else parse_authorization(authorization)
        if shown is None:
            return ANYONE
        if not (secure or self.insecure_auth or is_loopback(address)):
            self._failed_logins.tell(
                _user_of(shown), address, "credentials sent over plain HTTP", event="login-insecure"
            )
            raise InsecureCredentials
        match shown:
            case TokenCredentials():
                return self._by_token(shown, address)
            case PasswordCredentials():
                return await self._by_password(shown, address)
            case MalformedCredentials(reason):
                self._failed_logins.tell("", address, f"malformed credentials: {reason}")
                raise Unauthenticated(_MALFORMED)

    async def _by_password(self, shown: PasswordCredentials, address: str) -> Identity:
        if self._passwords is None:
            self._failed_logins.tell(shown.user, address, "there is no users file")
        elif await self._passwords.is_right(shown, address):
            return Identity(shown.user)
        raise Unauthenticated(_WRONG_PASSWORD)

    def _by_token(self, shown: TokenCredentials, address: str) -> Identity:
        now = self._now()
        try:
            token = self._tokens.find_token(shown.secret, now)
            if token.user is not None and self._users and token.user not in self._users().hashes:
                # Whoever is no longer a user must not come in by a token made before.
                raise UnusableToken(token.id, f"belongs to {token.user!r}, who is not in the users file")
        except UnusableToken as error:
            self._failed_logins.tell(shown.user, address, str(error), token=error.id)
            raise Unauthenticated(_WRONG_TOKEN) from None
        self._touch(token, now)
        return Identity(token.user, token.limits)

    def _touch(self, token: Token, now: float) -> None:
        """Note that a token is used; nobody waits for it, and a disk that is full is no reason to refuse."""
        if token.last_used is not None and now - token.last_used < _TOUCH_SECONDS:
            return
        seconds = self._seconds()
        if seconds - self._touched.get(token.id, -_TOUCH_SECONDS) < _TOUCH_SECONDS:
            return
        self._touched[token.id] = seconds
        self._touched.move_to_end(token.id)
        if len(self._touched) > _MOST_TOUCHED:
            self._touched.popitem(last=False)
        Deferred.fromCoroutine(self._note_use(token.id, now)).addErrback(lambda _: None)

    async def _note_use(self, id_: str, now: float) -> None:
        await self._in_thread(self._tokens.touch, id_, now)


def _user_of(shown: Credentials) -> str:
    return "" if isinstance(shown, MalformedCredentials) else shown.user
