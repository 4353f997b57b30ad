"""Turn what the ACME library raises into sentences for the operator."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import urlsplit
from urllib.request import getproxies

import requests
from acme import errors, messages
from josepy import errors as josepy_errors

from simpleindex.tls.acme.errors import AcmeFailed, ChallengeFailed, one_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from simpleindex.tls.acme.settings import AcmeSettings
    from simpleindex.tls.acme.store import AcmeStore

ORDER_SECONDS: Final = 120
"""For the validation and the signing of one order; Let's Encrypt takes a few."""


class Sentences:
    """Turn what the library raises into :class:`AcmeFailed`, and note an account that the authority does not know."""

    def __init__(
        self, settings: AcmeSettings, state: AcmeStore, retry_after: Callable[[], timedelta | None]
    ) -> None:
        self._settings = settings
        self._state = state
        self._retry_after = retry_after

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if error is None or isinstance(error, AcmeFailed):
            return
        host = urlsplit(self._settings.directory).netloc
        match error:
            case errors.ValidationError():
                raise _challenge_failed(error) from error
            case messages.Error():
                self._raise_problem(error, host)
            case errors.IssuanceError():
                self._raise_problem(error.error, host)
            case errors.TimeoutError():
                raise AcmeFailed(
                    f"{host} has not finished within {ORDER_SECONDS} s; it is tried again."
                ) from error
            case requests.exceptions.SSLError() if _is_outside_its_time(error):
                raise AcmeFailed(
                    f"The certificate of {host} is not valid at this time, and this machine's clock shows {datetime.now(UTC):%Y-%m-%d %H:%M} "
                    "UTC: set the clock right."
                ) from error
            case requests.exceptions.SSLError() if self._settings.trust is not None:
                raise AcmeFailed(
                    f"The certificate of {host} leads to no root in {self._settings.trust}: correct --acme-trust."
                ) from error
            case requests.exceptions.SSLError():
                raise AcmeFailed(
                    f"The certificate of {host} is not trusted: for an authority of your own give its root with --acme-trust."
                ) from error
            case requests.exceptions.ProxyError():
                raise AcmeFailed(
                    f"{host} cannot be reached by the proxy of HTTPS_PROXY ({_cause(error)}): check that."
                ) from error
            case requests.exceptions.InvalidURL() if getproxies().get("https") or getproxies().get("all"):
                raise AcmeFailed(
                    f"The proxy of HTTPS_PROXY or a URL of {host} is none ({_cause(error)}): write the proxy like "
                    "http://proxy.example.org:3128."
                ) from error
            case requests.exceptions.InvalidSchema() | requests.exceptions.InvalidURL():
                raise AcmeFailed(
                    f"{host} names a URL that is not https ({_cause(error)}): check --acme-directory."
                ) from error
            case requests.RequestException():
                raise AcmeFailed(
                    f"{host} cannot be reached ({_cause(error)}): check the network and --acme-directory."
                ) from error
            case errors.ClientError(args=(requests.Response(status_code=code),)) if (
                code == 429 or code >= 500
            ):
                # An authority with much to do, or one that is maintained, may answer without a problem document.
                raise AcmeFailed(f"{host} cannot answer now (status {code}).", self._retry_after()) from error
            case OSError(errno=None):
                # The only one of the library without a number.
                raise AcmeFailed(
                    f"The file of --acme-trust cannot be used: {one_line(str(error))}."
                ) from error
            case (
                errors.Error()
                | josepy_errors.Error()
                | ValueError()
                | LookupError()
                | AttributeError()
                | TypeError()
                | OverflowError()
                | RecursionError()
            ):
                raise AcmeFailed(
                    f"{host} does not answer as an ACME server does: check --acme-directory."
                ) from error

    def _raise_problem(self, problem: messages.Error, host: str) -> NoReturn:
        detail = printable_detail(problem.detail)
        match problem_code(problem):
            case "rateLimited":
                raise AcmeFailed(
                    f"{host} refuses more requests for now: {detail}", self._retry_after()
                ) from problem
            case "accountDoesNotExist":
                self._state.forget_account()
                raise AcmeFailed(
                    f"{host} does not know the account any more; a new one is registered at the next try."
                ) from problem
            case "malformed":
                # As where the account's URL has changed.
                self._state.forget_account()
            case "unauthorized":
                raise AcmeFailed(
                    f"{host} refuses the account: {detail} To register another one, remove {self._state.account_place}."
                ) from problem
            case "userActionRequired":
                raise AcmeFailed(
                    f"{host} wants you to do something first: {detail} Where its terms have changed, remove {self._state.account_place}, and "
                    "an account is registered that agrees to them."
                ) from problem
            case "externalAccountRequired":
                raise AcmeFailed(
                    f"{host} wants an account to be bound to one of theirs: give --acme-eab-id and --acme-eab-key."
                ) from problem
            case "caa":
                raise AcmeFailed(
                    f"{host} may not certify this: {detail} Permit it in the DNS, in the name's CAA record."
                ) from problem
            case "rejectedIdentifier" | "unsupportedIdentifier":
                raise AcmeFailed(
                    f"{host} does not certify this: {detail} Correct --url or --acme-name."
                ) from problem
            case "invalidContact" | "unsupportedContact" | "invalidEmail":
                raise AcmeFailed(f"{host} does not take the e-mail address of --acme: {detail}") from problem
            case "invalidProfile":
                raise AcmeFailed(f"{host} refuses the profile of --acme-profile: {detail}") from problem
        raise AcmeFailed(f"{host} refuses: {detail}", self._retry_after()) from problem


def problem_code(problem: messages.Error) -> str:
    """Return the last part of a problem's type (RFC 8555 section 6.7); the library leaves out what it does not know."""
    return str(problem.typ).rpartition(":")[2]


def printable_detail(detail: object) -> str:
    """Return an authority's explanation as one bounded line that ends with a full stop."""
    text = one_line(detail) or "no reason given"
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _challenge_failed(error: errors.ValidationError) -> ChallengeFailed:
    for authorization in error.failed_authzrs:
        for body in authorization.body.challenges:
            if body.error is not None:
                return ChallengeFailed(
                    authorization.body.identifier.value,
                    body.chall.typ,
                    printable_detail(body.error.detail),
                    is_name_unknown=problem_code(body.error) == "dns",
                )
    return ChallengeFailed("a name", "challenge", "no reason given.")


def _is_outside_its_time(error: BaseException) -> bool:
    """Return whether a handshake failed because the authority's certificate is not valid yet or not any more."""
    return any(text in str(error) for text in ("certificate has expired", "certificate is not yet valid"))


def _cause(error: BaseException) -> str:
    """Return the innermost reason of a failed connection, in a few words."""
    while error.__context__ is not None or error.__cause__ is not None:
        error = error.__cause__ or error.__context__ or error
    text = str(error) or type(error).__name__
    if "@" in text:
        text = f"...@{text.rpartition('@')[2]}"  # a proxy's password may stand before it
    return printable_detail(text).rstrip(".")
