"""``/-/login``: log in with the browser's own dialog (Basic, RFC 7617), and go back to the page before."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from simpleindex.access.errors import Unauthenticated
from simpleindex.core.errors import NotHere
from simpleindex.web.http.response import see_other
from simpleindex.web.publish.cross_site import is_cross_site
from simpleindex.web.routing.routes import OwnPageRoute
from simpleindex.web.routing.targets import split_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.web.http.response import RequestInfo, Response
    from simpleindex.web.people.page_request import PageRequest

_QUERY: Final = "login"

_TARGET: Final = re.compile(r"/(?![/\\])[!-~]*")
"""A path that names no other host: browsers read ``//host`` and ``/\\host`` as such."""


class LoginPage:
    """Answers ``/-/login``, and ``/?login`` behind it.

    Browsers send a password again only at and below the directory of the URL that required it (RFC 7617, section 2.2).
    Elsewhere they would go on as strangers where strangers see something, so the root requires it as well.

    Args:
        index_url: Returns the URL under which clients use this index, if it is certain.
    """

    def __init__(self, index_url: Callable[[], str | None]) -> None:
        self._index_url = index_url

    async def answer(self, request: PageRequest) -> Response:
        """Return the way on for a person who is logged in.

        Raises:
            NotHere: There is no such page.
            Unauthenticated: The person is not logged in yet.
        """
        route = request.route
        if isinstance(route, OwnPageRoute) and route.name != "login":
            raise NotHere("page")
        if not request.reader.authenticated:
            raise Unauthenticated(
                "Log in with your user name and password, or with the user name __token__ and a token."
            )
        if isinstance(route, OwnPageRoute):
            return see_other(f"{request.root}?{_QUERY}")
        return see_other(page_before(request.info, self._index_url()) or f"{request.root}-/account/")


def is_login(info: RequestInfo) -> bool:
    """Tell whether a request for the root is for logging in."""
    return split_target(info.target)[1] == _QUERY.encode()


def page_before(info: RequestInfo, index_url: str | None) -> str | None:
    """Return the path and query of the page that led to a request, if it is one of this index.

    Args:
        info: The request; through redirects browsers keep naming the page with the link.
        index_url: The URL under which clients use this index, if it is certain.
    """
    try:
        url = urlsplit(info.header("referer") or "")
    except ValueError:
        return None
    if is_cross_site(None, f"{url.scheme}://{url.netloc}", (info.header("host"), index_url)):
        return None
    target = f"{url.path}?{url.query}" if url.query else url.path
    is_within = url.path.startswith(urlsplit(index_url or "").path or "/")
    leads_here = url.path.endswith("/-/login") or url.query == _QUERY
    return target if is_within and not leads_here and _TARGET.fullmatch(target) else None
