"""``/-/status`` for people; tools get the same as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from simpleindex.web.people.navigation import is_navigation
from simpleindex.web.people.renderer import PageContent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.web.http.response import Response
    from simpleindex.web.people.page_request import PageRequest
    from simpleindex.web.people.project.project_page import PageServices
    from simpleindex.web.status.status import StatusPages


class StatusPage:
    """Answers ``/-/status``.

    Args:
        services: What pages are made with.
        status: The status as JSON, of which the page shows each member.
    """

    def __init__(self, services: PageServices, status: StatusPages) -> None:
        self._services = services
        self._status = status

    async def answer(self, request: PageRequest) -> Response:
        """Return the status, in the form that the client reads.

        Raises:
            NotHere: The URL has more segments.
        """
        response = await self._status.answer(getattr(request.route, "name", ""), request.info)
        if not is_navigation(request.info.method, request.info.header) or request.parameter("format"):
            return response
        assert isinstance(response.body, bytes), "a status is made in memory"
        facts: dict[str, Any] = json.loads(response.body)

        def values() -> Mapping[str, Any]:
            return {
                "facts": facts,
                "is_well": facts["ready"] and not facts["suspended"] and not facts["troubles"],
                "has_details": "withheld-files" in facts,
            }

        content = PageContent("status.html", values, is_kept_by_clients=False)
        return await self._services.renderer.answer(request, content)
