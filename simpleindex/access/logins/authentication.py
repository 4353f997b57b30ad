"""Authentication of requests: from the Authorization header to an identity.

A request without credentials is anonymous; the access rules decide whether that is enough. Wrong credentials are refused
even where none are needed, because a client that sends them relies on them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simpleindex.access.errors import InsecureCredentials, Unauthenticated
from simpleindex.access.identity import ANYONE, Identity
from simpleindex.access.logins.credentials import (
    MalformedCredentials,
    PasswordCredentials,
    TokenCredentials,
    parse_authorization,
)
from simpleindex.core.addresses import is_loopback

if TYPE_CHECKING:
    from simpleindex.access.logins.credentials import Credentials
    from simpleindex.access.logins.failed_logins import FailedLogins
    from simpleindex.access.logins.password_checks import PasswordChecks
    from simpleindex.access.logins.recent_logins import RecentLogins
    from simpleindex.access.logins.token_checks import TokenChecks

_WRONG_PASSWORD: Final = "The user name or the password is wrong."  # noqa: S105  (a sentence)
_MALFORMED: Final = "The Authorization header cannot be read: send a user and a password, or a token."


class Authentication:
    """Finds the identity behind a request.

    Args:
        passwords: Checks passwords; None without a users file: then no password is right.
        tokens: Checks tokens.
        failed_logins: Logs failures.
        recent_logins: Records successes.
        insecure_auth: Whether credentials may come over plain HTTP from another machine.
    """

    def __init__(
        self,
        passwords: PasswordChecks | None,
        tokens: TokenChecks,
        failed_logins: FailedLogins,
        recent_logins: RecentLogins,
        *,
        insecure_auth: bool = False,
    ) -> None:
        self._passwords = passwords
        self._tokens = tokens
        self._failed_logins = failed_logins
        self._recent_logins = recent_logins
        self.insecure_auth = insecure_auth

    async def identify(self, authorization: str | None, address: str, secure: bool) -> Identity:
        """Return the identity behind a request.

        Args:
            authorization: The Authorization header, as latin-1; None if there is none.
            address: The client's address.
            secure: Whether the request came over TLS, as far as is known also to the proxy in front.

        Raises:
            Unauthenticated: The credentials are wrong.
            TooManyFailures: They are not checked now.
            InsecureCredentials: They must not be sent without TLS.
            Unavailable: They cannot be checked now.
        """
        credentials = None if authorization is None else parse_authorization(authorization)
        if credentials is None:
            return ANYONE
        if not (secure or self.insecure_auth or is_loopback(address)):
            self._failed_logins.record(
                _user_of(credentials), address, "credentials sent over plain HTTP", event="login-insecure"
            )
            raise InsecureCredentials
        match credentials:
            case TokenCredentials():
                identity = await self._tokens.identity(credentials, address)
            case PasswordCredentials():
                identity = await self._by_password(credentials, address)
            case MalformedCredentials(reason):
                self._failed_logins.record("", address, f"malformed credentials: {reason}")
                raise Unauthenticated(_MALFORMED)
        self._recent_logins.note(identity, address)
        return identity

    async def _by_password(self, credentials: PasswordCredentials, address: str) -> Identity:
        if self._passwords is None:
            self._failed_logins.record(credentials.user, address, "there is no users file")
        elif await self._passwords.is_right(credentials, address):
            return Identity(credentials.user)
        raise Unauthenticated(_WRONG_PASSWORD)


def _user_of(credentials: Credentials) -> str:
    return "" if isinstance(credentials, MalformedCredentials) else credentials.user
