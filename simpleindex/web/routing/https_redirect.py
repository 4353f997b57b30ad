"""Redirect plain HTTP to HTTPS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.web.resource import Resource

from simpleindex.web.http.request_info import request_info
from simpleindex.web.http.respond import respond
from simpleindex.web.http.response import Response, sentence
from simpleindex.web.resource import acme_response, moved
from simpleindex.web.routing.allowed_methods import cors_headers
from simpleindex.web.routing.targets import requoted, split_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.web.server import Request

    from simpleindex.web.http.response import RequestInfo

_CHALLENGES: Final = b"/.well-known/acme-challenge/"


class RedirectResource(Resource):
    """Sends readers from plain HTTP to HTTPS, and refuses the rest.

    Args:
        base_url: Where the index is, with a slash at its end; never taken from the Host header.
        acme_challenge: As in :class:`IndexResource`.
        cors: As in :class:`IndexResource`; a web page follows a redirect only if it may read it (docs/protocol.md).
    """

    isLeaf = True  # noqa: N815  (Twisted's name)

    def __init__(
        self,
        base_url: str,
        acme_challenge: Callable[[str], bytes | None],
        *,
        cors: str | None = None,
    ) -> None:
        super().__init__()
        self.base_url = base_url
        self.cors = cors
        self._acme_challenge = acme_challenge

    def render(self, request: Request) -> int:
        return respond(request, self.answer(request_info(request, ())), also=cors_headers(self.cors))

    async def answer(self, request: RequestInfo) -> Response:
        """Answer one request."""
        if request.method not in ("GET", "HEAD"):
            text = f"Nothing is taken without TLS here; use {self.base_url} instead."
            return sentence(405, text, ("Allow", "GET, HEAD"))
        path, query = split_target(request.target)
        if path.startswith(_CHALLENGES):
            return acme_response(self._acme_challenge(path.removeprefix(_CHALLENGES).decode("latin-1")))
        rest = path.lstrip(b"/") + (b"?" + query if query else b"")
        return moved(308, self.base_url + requoted(rest))
