"""``/-/logout/``: have a browser forget the password that it remembers (Basic, RFC 7617, which knows no way to log out)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from simpleindex.access.identity import ANYONE
from simpleindex.core.errors import NotHere
from simpleindex.web.http.respond import LOGIN_CHALLENGE
from simpleindex.web.http.response import see_other, sentence
from simpleindex.web.people.page_request import PageRequest
from simpleindex.web.people.renderer import PageContent
from simpleindex.web.publish.sinks import TextSink
from simpleindex.web.publish.writers import refuse_cross_site
from simpleindex.web.routing.routes import OwnPageRoute
from simpleindex.web.routing.targets import split_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.web.admission import Admission
    from simpleindex.web.http.response import RequestInfo, Response
    from simpleindex.web.people.renderer import PageRenderer

_MOST: Final = 1024
"""Bytes of the form, which has no field."""

_CHECK: Final = b"check"
"""The query of the form that sees whether a browser has forgotten the password."""

_NO_DIALOG: Final = ("WWW-Authenticate", 'Bearer realm="simpleindex"')
"""A challenge without a dialog: no browser knows Bearer, which tools may send here. For Chromium a 401 without the scheme of
its password means that the password is wrong (``HttpAuth::HandleChallengeResponse``), so it forgets it; Firefox does not."""

_NO_PAGES_BEFORE: Final = ("Clear-Site-Data", '"cache"')
"""Lets the way back show no page that only the user may read (Clear Site Data, section 3.1; browsers obey over TLS). With "cookies"
browsers would end the logins of all other programs below the same domain."""


class LogoutPage:
    """Answers ``/-/logout/``: a page with a button.

    Args:
        renderer: Renders its template.
    """

    def __init__(self, renderer: PageRenderer) -> None:
        self._renderer = renderer

    async def answer(self, request: PageRequest) -> Response:
        """Return the page.

        Raises:
            NotHere: There is no such page.
        """
        if request.route == OwnPageRoute("logout"):
            return see_other("logout/")
        if request.route != OwnPageRoute("logout/"):
            raise NotHere("page")
        return await self.show(request, "ready" if request.reader.authenticated else "out", 200)

    async def show(
        self, request: PageRequest, state: str, status: int, *headers: tuple[str, str]
    ) -> Response:
        """Return the page in a state: ``ready``, ``requested``, ``cancelled`` or ``out``."""
        content = PageContent(
            "logout.html", lambda: {"state": state}, status=status, is_kept_by_clients=False
        )
        response = await self._renderer.answer(request, content)
        return replace(response, headers=(*response.headers, *headers))


class LogoutForm:
    """Takes the form behind the button.

    Nobody is identified for it: a password that is no longer right is to be forgotten too.

    Args:
        page: Shows the result.
        admission: Knows what strangers may read.
        index_url: Returns the URL under which clients use this index, if it is certain.
    """

    def __init__(self, page: LogoutPage, admission: Admission, index_url: Callable[[], str | None]) -> None:
        self._page = page
        self._admission = admission
        self._index_url = index_url

    async def judge(self, request: RequestInfo, length: int | None) -> TextSink:  # noqa: ARG002  (the sink counts)
        """Judge a request's head, and return what takes its body.

        Raises:
            NotAllowed: Another site's page sent it.
        """
        refuse_cross_site(request, self._index_url())
        return TextSink(_MOST)

    async def answer(self, page: str, request: RequestInfo) -> Response:
        """Answer the form.

        Raises:
            NotHere: There is no such page.
            NotAllowed: Another site's page sent it.
        """
        if page:
            raise NotHere("page")
        if request.method != "POST":
            return sentence(405, "Send the form by POST.", ("Allow", "GET, HEAD, OPTIONS, POST"))
        refuse_cross_site(request, self._index_url())
        shown = PageRequest(OwnPageRoute("logout/"), request, ANYONE, self._admission.reading(ANYONE))
        # Browsers send this field where they obey; elsewhere they complain in the console.
        clearing = () if request.header("sec-fetch-dest") is None else (_NO_PAGES_BEFORE,)
        if request.header("authorization") is None:
            return await self._page.show(shown, "out", 200, *clearing)
        if split_target(request.target)[1] == _CHECK:
            # Every browser forgets a password that is refused for the realm that it is for, once its dialog is closed.
            return await self._page.show(shown, "cancelled", 401, LOGIN_CHALLENGE, *clearing)
        return await self._page.show(shown, "requested", 401, _NO_DIALOG, *clearing)
