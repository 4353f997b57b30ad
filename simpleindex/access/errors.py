"""Errors of credentials; the sentences of refused logins are in the folder ``logins``."""

from __future__ import annotations

from simpleindex.core.errors import SimpleIndexError


class Unauthenticated(SimpleIndexError):
    """The client is not known: credentials are missing or wrong (401 with a challenge, RFC 9110 section 15.5.2).

    Attributes:
        reason: What is wrong, as a sentence fit for the client: it tells no user that exists from one that does not.
    """

    reason: str


class TooManyFailures(SimpleIndexError):
    """Passwords from an address are not checked for a while (429): too many were wrong, or too many wait.

    Attributes:
        retry_after: Whole seconds, at least one.
    """

    template = (
        "Too many passwords from your address were wrong, or too many are waiting to be checked; "
        "try again in {retry_after} s. Tokens are not delayed."
    )
    retry_after: int


class InsecureCredentials(SimpleIndexError):
    """Credentials came unencrypted over a network, where anybody on the way has read them (403)."""

    template = (
        "Your credentials came over plain HTTP, where others can read them: use https, and change the password "
        "or have the token revoked. Nothing was looked at."
    )


class UnusableToken(SimpleIndexError):
    """A token that gives no rights.

    Attributes:
        id: The token's name, or None when it is unknown.
        reason: What is wrong; the sentence is for the operator, for the client must not learn which it is.
    """

    id: str | None
    reason: str

    def __str__(self) -> str:
        return "unknown token" if self.id is None else f"token {self.id} {self.reason}"


class FormWasSent(SimpleIndexError):
    """A form that makes a token was sent once more: loaded again, or sent twice (409).

    Attributes:
        id: The token that it made.
    """

    template = (
        "This form has made the token {id} already. Its secret was shown that once and is kept nowhere: if you have not copied it, "
        "revoke {id}. Send the form once more, as it stands below, to make another token."
    )
    id: str


class TooManyTokens(SimpleIndexError):
    """A user has as many tokens that can be used as one may have (409).

    Attributes:
        count: How many those are.
        most: How many one may have.
        idle: The ids of those that were not used for the longest time.
    """

    template = (
        "{user} has {count} tokens that can be used, and one user may have {most}: revoke what is not needed. "
        "Unused for the longest time: {names}."
    )
    user: str
    count: int
    most: int
    idle: tuple[str, ...]

    def __str__(self) -> str:
        return self.template.format(**vars(self), names=", ".join(self.idle))
