"""Requests that are over, as the access log and counts see them; both lanes report theirs here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twisted.internet.interfaces import IAddress

    from simpleindex.web.http.response import RequestRecord


_WITH_CONTENT: Final = (200, 206)


class FinishedRequest(Protocol):
    """A request that is over: answered, refused, or left by its client.

    Attributes:
        method: As it came.
        uri: The request target, as it came.
        code: The status of the answer; 499 if the client left before it.
        sentLength: Bytes of the answer's body that were given to the transport.
        received: When its head had come whole, in seconds of the reactor's clock; None if it never had.
        record: What became known of it; None if it was refused before anything did.
    """

    @property
    def method(self) -> bytes: ...
    @property
    def uri(self) -> bytes: ...
    @property
    def clientproto(self) -> bytes: ...
    @property
    def code(self) -> int: ...
    @property
    def sentLength(self) -> int: ...
    @property
    def received(self) -> float | None: ...
    @property
    def record(self) -> RequestRecord | None: ...
    @property
    def requestHeaders(self) -> Any: ...

    def getClientAddress(self) -> IAddress:
        """Return the address of the other end of the connection."""
        ...

    def getHeader(self, name: bytes) -> bytes | None:
        """Return a field of the request; None if it is absent."""
        ...


class RequestCounts(Protocol):
    """Counts requests that are over."""

    def record(self, request: Any) -> None:
        """Count a request."""
        ...

    def count(self, kind: object, code: int, size: int, received: float | None) -> None:
        """Count a request by the class of its route, the status and the bytes of its answer, and when it came."""
        ...


def is_finished_download(request: Any) -> bool:
    """Tell whether a request that is over gave all of a distribution, or the rest of it to a client that had its beginning.

    Answers without the file (304, HEAD, refusals), parts of it, its metadata and answers that broke off are none.
    """
    record: RequestRecord | None = getattr(request, "record", None)
    if record is None or record.download is None:
        return False
    return bool(request.code in _WITH_CONTENT and request.sentLength >= record.download.length)


def observe_all(observers: Sequence[Callable[[Any], None]]) -> Callable[[Any], None] | None:
    """Return one function that calls each observer of finished requests; None if there are none."""
    if not observers:
        return None
    if len(observers) == 1:
        return observers[0]
    several = tuple(observers)

    def observe(request: FinishedRequest) -> None:
        for each in several:
            each(request)

    return observe
