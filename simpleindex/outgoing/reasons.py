"""What went wrong with a request, in words: no address, no URL, nothing that came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.error import ConnectError, ConnectionClosed, DNSLookupError
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.python.failure import Failure
from twisted.web.client import ResponseFailed
from twisted.web.http import PotentialDataLoss

from simpleindex.core.errors import SimpleIndexError

if TYPE_CHECKING:
    from collections.abc import Iterator


def explain(error: BaseException) -> tuple[str, bool]:
    """Say why a request failed, as a clause whose subject is the upstream, and whether it took too long."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, TimeoutError | ConnectTimeout):
            return "it takes too long", True
        if isinstance(cause, SimpleIndexError):
            return str(cause), False
        if isinstance(cause, SSL.Error | VerificationError):
            return "no trusted TLS connection with it is possible; its certificate may be wrong", False
        if isinstance(cause, DNSLookupError):
            return "its name cannot be resolved", False
        if isinstance(cause, ConnectError | OSError):
            return "it cannot be connected to", False
    if causes and all(
        isinstance(cause, ConnectionClosed | ResponseFailed | PotentialDataLoss)
        or "DataLoss" in type(cause).__name__
        for cause in causes
    ):
        return "the connection with it broke off", False
    return "what it answers is no HTTP that can be understood", False


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Twisted wraps one failure, or several, in another."""
    yield error
    for reason in getattr(error, "reasons", None) or ():
        if isinstance(reason, Failure) and reason.value is not None:
            yield from _causes(reason.value)
