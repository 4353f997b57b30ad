"""What the answer to a request depends on, read from Twisted's request: method, headers, and where the client is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from simpleindex.core.addresses import Network, client_address, is_loopback, is_within, unmapped
from simpleindex.web.http.response import RequestInfo, RequestRecord
from simpleindex.web.http.site import IndexRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twisted.web.server import Request

READ_METHODS = ("GET", "HEAD")


_OF_PROXIES = (
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "forwarded",
    "via",
)


_OWN_PAGES = b"/-/"


def request_info(request: Request, trusted: Sequence[Network]) -> RequestInfo:
    """Return what the answer to a request depends on."""
    headers = request.requestHeaders

    def header(name: str) -> str | None:
        # As bytes, because Twisted's text is UTF-8 or an exception.
        values = headers.getRawHeaders(name.encode())
        return None if values is None else b", ".join(values).decode("latin-1")

    method = request.method.decode("latin-1")
    info = RequestInfo(method, request.uri, header, record=_record_of(request))
    if request.uri.startswith(_OWN_PAGES):
        address = _direct_address(request, header, trusted)
        own = unmapped(getattr(request.getHost(), "host", None) or "")
        has_own_address = bool(address) and address == own and not is_loopback(address)
        info = replace(
            info,
            is_local=_is_local(request, header, trusted),
            direct_address=address,
            has_own_address=has_own_address,
        )
    if method in READ_METHODS and header("authorization") is None:
        return info
    peer = getattr(request.getClientAddress(), "host", None) or ""
    return replace(
        info,
        address=client_address(peer, header("x-forwarded-for") or "", trusted),
        is_secure=request.isSecure() or _is_secure_way(peer, header("x-forwarded-proto"), trusted),
        body=getattr(request, "intake", None),
    )


def _record_of(request: Request) -> RequestRecord:
    """Return the record of a request; its head is judged before its body comes, and both times by the same record."""
    if not isinstance(request, IndexRequest):
        return RequestRecord()
    if request.record is None:
        request.record = RequestRecord()
    return request.record


def _is_secure_way(peer: str, forwarded: str | None, trusted: Sequence[Network]) -> bool:
    """Return whether a request without TLS was private: from this machine, or from a proxy that received it by TLS."""
    is_here = not peer or is_loopback(peer)
    if forwarded is None:
        return is_here
    return (is_here or is_within(peer, trusted)) and forwarded.rpartition(",")[2].strip().lower() == "https"


def _is_local(request: Request, header: Callable[[str], str | None], trusted: Sequence[Network]) -> bool:
    """Return whether the client runs on this machine; a proxy or a browser on it may act for a client elsewhere."""
    peer = getattr(request.getClientAddress(), "host", "")
    if header("origin") is not None:
        # A web page of another site, which may read the answer by CORS.
        return False
    if all(header(name) is None for name in _OF_PROXIES):
        return is_loopback(peer)
    # Without the peer: a proxy that states no client need not be the client.
    client = client_address("", header("x-forwarded-for") or "", trusted)
    return is_within(peer, trusted) and is_loopback(client)


def _direct_address(request: Request, header: Callable[[str], str | None], trusted: Sequence[Network]) -> str:
    """Return the client's address where no proxy hides it and no other site's page sends the request; else nothing."""
    peer = unmapped(getattr(request.getClientAddress(), "host", None) or "")
    if header("origin") is not None:
        return ""
    if all(header(name) is None for name in _OF_PROXIES):
        return peer
    return client_address("", header("x-forwarded-for") or "", trusted) if is_within(peer, trusted) else ""
