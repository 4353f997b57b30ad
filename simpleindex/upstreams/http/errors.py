"""Explain why a request failed, without addresses, URLs, and text of the other side."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.error import ConnectError, ConnectionClosed, DNSLookupError
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.python.failure import Failure
from twisted.web.client import ResponseFailed
from twisted.web.http import PotentialDataLoss

from simpleindex.core.errors import SimpleIndexError
from simpleindex.upstreams.errors import UnusableAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator


class RequestFault(NamedTuple):
    """Why a request failed.

    Attributes:
        reason: A clause whose subject is the upstream.
        timed_out: Whether it took too long.
        is_passing: Whether the next request may well succeed.
    """

    reason: str
    timed_out: bool = False
    is_passing: bool = False


def failure_reason(error: BaseException) -> RequestFault:
    """Return why a request failed."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, TimeoutError | ConnectTimeout):
            return RequestFault("it takes too long", timed_out=True, is_passing=True)
        if isinstance(cause, SimpleIndexError):
            return RequestFault(str(cause), is_passing=isinstance(cause, UnusableAnswer) and cause.is_passing)
        if isinstance(cause, SSL.Error | VerificationError):
            return RequestFault("no trusted TLS connection with it is possible; its certificate may be wrong")
        if isinstance(cause, DNSLookupError):
            return RequestFault("its name cannot be resolved", is_passing=True)
        if isinstance(cause, ConnectError | OSError):
            return RequestFault("it cannot be connected to", is_passing=True)
    if causes and all(
        isinstance(cause, ConnectionClosed | ResponseFailed | PotentialDataLoss)
        or "DataLoss" in type(cause).__name__
        for cause in causes
    ):
        return RequestFault("the connection with it broke off", is_passing=True)
    return RequestFault("its answer is no valid HTTP")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes: Twisted wraps one failure, or several, in another."""
    yield error
    for reason in getattr(error, "reasons", None) or ():
        if isinstance(reason, Failure) and reason.value is not None:
            yield from _causes(reason.value)
