"""Identify who sends an upload or another change; refuse other sites' pages and clients that did not log in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpleindex.access.errors import Unauthenticated
from simpleindex.core.errors import NotAllowed
from simpleindex.web.publish.cross_site import is_cross_site

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.access.identity import Identity
    from simpleindex.core.names import ProjectName
    from simpleindex.web.admission import Admission
    from simpleindex.web.http.response import RequestInfo


class Writers:
    """Identifies those who change something.

    Args:
        admission: Judges credentials.
        index_url: Returns the URL under which clients use this index, if it is certain.
    """

    def __init__(self, admission: Admission, index_url: Callable[[], str | None]) -> None:
        self._admission = admission
        self._index_url = index_url

    async def identify(self, request: RequestInfo) -> Identity:
        """Return who sent a request for a change.

        Raises:
            NotAllowed: Another site's page sent it.
            Unauthenticated: The client did not log in.
        """
        refuse_cross_site(request, self._index_url())
        identity = await self._admission.identify(request)
        if not identity.authenticated:
            raise Unauthenticated(
                "Uploads and other changes need a login: give a user and password, or __token__ and a token."
            )
        return identity


def refuse_cross_site(request: RequestInfo, index_url: str | None) -> None:
    """Refuse what another site's page has a browser send here.

    Raises:
        NotAllowed: It is such a request.
    """
    hosts = (request.header("host"), index_url)
    if is_cross_site(request.header("sec-fetch-site"), request.header("origin"), hosts):
        raise NotAllowed("Another site's page asked for this change in your name; it was not made.")


def note_subject(request: RequestInfo, project: ProjectName, filename: str | None) -> None:
    """Note what a request is for, so that the audit can name it if it is refused."""
    if request.record is not None:
        request.record.project, request.record.filename = project, filename
