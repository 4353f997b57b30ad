"""The one resource: from a Twisted request to a route, to an answer."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from twisted.web.resource import Resource

from simpleindex.core.addresses import client_address, is_loopback, is_within
from simpleindex.core.errors import NotHere
from simpleindex.web.respond import respond
from simpleindex.web.response import Asked, Response, sentence
from simpleindex.web.routes import (
    AcmeChallenge,
    OwnPage,
    ProjectFile,
    ProjectPage,
    Redirect,
    Root,
    Upload,
    requoted,
    route,
    split_target,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twisted.python.failure import Failure
    from twisted.web.server import Request

    from simpleindex.core.addresses import Network
    from simpleindex.web.files import Files
    from simpleindex.web.index import Listings
    from simpleindex.web.status import StatusPages

_READ_METHODS = ("GET", "HEAD")
_ALLOW = ("Allow", "GET, HEAD, OPTIONS")

_CHALLENGES = b"/.well-known/acme-challenge/"

_OF_PROXIES = (
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "forwarded",
    "via",
)


class IndexResource(Resource):
    """Everything that an index serves.

    Args:
        listings: Project pages and their list.
        files: The files beside them.
        status: The pages below ``/-/``.
        acme_challenge: Gives the answer to a certificate authority's challenge token, or None.
        trusted: Networks whose word on the client's address is believed.
        cors: The origin whose pages may read the index, ``*`` for all, None for none.
        failed: Told of what should never happen.
    """

    isLeaf = True  # noqa: N815  (Twisted's name)

    def __init__(
        self,
        *,
        listings: Listings,
        files: Files,
        status: StatusPages,
        acme_challenge: Callable[[str], bytes | None],
        trusted: Sequence[Network],
        cors: str | None,
        failed: Callable[[Failure], None],
    ) -> None:
        super().__init__()
        self.listings = listings
        self.files = files
        self.trusted = trusted
        self.cors = cors
        self._status = status
        self._acme_challenge = acme_challenge
        self._failed = failed

    def render(self, request: Request) -> int:
        asked = asked_of(request, self.trusted)
        return respond(request, self.answer(asked), also=self.also(), failed=self._failed)

    def also(self) -> tuple[tuple[str, str], ...]:
        """The headers that every response carries."""
        return _cors_headers(self.cors)

    async def answer(self, asked: Asked) -> Response:
        """Answer one request.

        Raises:
            SimpleIndexError: See the table in :mod:`simpleindex.web.respond`.
        """
        try:
            found = route(asked.target)
        except NotHere:
            # "PUT /<file>" is an upload too, and a file's name need not be a project's.
            if asked.method in (*_READ_METHODS, "OPTIONS"):
                raise
            return _read_only()
        if isinstance(found, Upload):
            return _upload_refused(asked)
        if asked.method == "OPTIONS":
            return _preflight(self.cors)
        if asked.method not in _READ_METHODS:
            return _read_only()
        match found:
            case Root():
                return await self.listings.root(asked)
            case ProjectPage(name):
                return await self.listings.project(name, asked)
            case ProjectFile(name, filename):
                return await self.files.answer(name, filename, asked)
            case Redirect(location):
                return moved(301, location)
            case OwnPage(page):
                return self._status.answer(page, asked)
            case AcmeChallenge(token):
                return acme_response(self._acme_challenge(token))


class RedirectResource(Resource):
    """Sends readers from plain HTTP to HTTPS, and refuses the rest.

    Args:
        base_url: Where the index is, with a slash at its end; never taken from the Host header.
        acme_challenge: As in :class:`IndexResource`.
        failed: Told of what should never happen.
        cors: As in :class:`IndexResource`; a web page follows a redirect only if it may read it (SPEC T23).
    """

    isLeaf = True  # noqa: N815  (Twisted's name)

    def __init__(
        self,
        base_url: str,
        acme_challenge: Callable[[str], bytes | None],
        failed: Callable[[Failure], None],
        *,
        cors: str | None = None,
    ) -> None:
        super().__init__()
        self.base_url = base_url
        self.cors = cors
        self._acme_challenge = acme_challenge
        self._failed = failed

    def render(self, request: Request) -> int:
        return respond(
            request, self.answer(asked_of(request, ())), also=_cors_headers(self.cors), failed=self._failed
        )

    async def answer(self, asked: Asked) -> Response:
        """Answer one request."""
        if asked.method not in _READ_METHODS:
            text = f"Nothing is taken without TLS here; use {self.base_url} instead."
            return sentence(405, text, ("Allow", "GET, HEAD"))
        path, query = split_target(asked.target)
        if path.startswith(_CHALLENGES):
            return acme_response(self._acme_challenge(path.removeprefix(_CHALLENGES).decode("latin-1")))
        rest = path.lstrip(b"/") + (b"?" + query if query else b"")
        return moved(308, self.base_url + requoted(rest))


def asked_of(request: Request, trusted: Sequence[Network]) -> Asked:
    """Take from a request what answers are decided by."""
    headers = request.requestHeaders

    def header(name: str) -> str | None:
        # As bytes, because Twisted's text is UTF-8 or an exception.
        values = headers.getRawHeaders(name.encode())
        return None if values is None else b", ".join(values).decode("latin-1")

    return Asked(request.method.decode("latin-1"), request.uri, header, _is_local(request, header, trusted))


def _is_local(request: Request, header: Callable[[str], str | None], trusted: Sequence[Network]) -> bool:
    """Whether the client sits on this machine; a proxy or a browser on it may speak for anybody."""
    peer = getattr(request.getClientAddress(), "host", "")
    if header("origin") is not None:
        # A web page of anybody's, to whom CORS lets a browser here hand our answer on.
        return False
    if all(header(name) is None for name in _OF_PROXIES):
        return is_loopback(peer)
    # Without the peer: a proxy that does not say who its client is has not said that it is itself.
    client = client_address("", header("x-forwarded-for") or "", trusted)
    return is_within(peer, trusted) and is_loopback(client)


def acme_response(content: bytes | None) -> Response:
    """Answer a certificate authority's challenge."""
    if content is None:
        raise NotHere("challenge")
    return Response(
        200, (("Content-Type", "application/octet-stream"), ("Cache-Control", "no-store")), content
    )


def moved(status: int, location: str) -> Response:
    """The same thing elsewhere for good, so clients may keep it (SPEC U7, N12)."""
    response = sentence(status, f"It is at {location}")
    headers = tuple(item for item in response.headers if item[0] != "Cache-Control")
    return Response(
        status, (("Location", location), ("Vary", "Accept, Accept-Encoding"), *headers), response.body
    )


def _read_only() -> Response:
    return sentence(405, "This index is read-only: uploads are not enabled on it.", _ALLOW)


def _upload_refused(asked: Asked) -> Response:
    if asked.method == "OPTIONS":
        return Response(204, (("Allow", "OPTIONS"),))
    return sentence(405, "Uploads are not enabled on this index.", ("Allow", "OPTIONS"))


def _preflight(cors: str | None) -> Response:
    headers = [_ALLOW]
    if cors is not None:
        headers += [
            ("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS"),
            (
                "Access-Control-Allow-Headers",
                "If-None-Match, If-Modified-Since, If-Range, Range, Cache-Control",
            ),
            ("Access-Control-Max-Age", "86400"),
        ]
    return Response(204, tuple(headers))


@lru_cache(maxsize=2)
def _cors_headers(cors: str | None) -> tuple[tuple[str, str], ...]:
    if cors is None:
        return ()
    return (
        ("Access-Control-Allow-Origin", cors),
        ("Access-Control-Expose-Headers", "ETag, Content-Length, Content-Range, Accept-Ranges"),
    )
