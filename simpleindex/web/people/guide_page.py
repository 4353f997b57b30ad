"""``/-/docs/[<topic>]`` for people: the guides as pages, with links; tools get them as text."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from simpleindex.system.guides import document, grouped_topics, title
from simpleindex.web.guides import DOCS_PREFIX, document_response
from simpleindex.web.people.guide_document import guide_document
from simpleindex.web.people.navigation import VARYING, is_navigation
from simpleindex.web.people.renderer import PageContent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.web.http.response import Response
    from simpleindex.web.people.page_request import PageRequest
    from simpleindex.web.people.project.project_page import PageServices

_VARY: Final = ("Vary", f"Accept, Sec-Fetch-Mode, {VARYING}")


class GuidePage:
    """Answers ``/-/docs/``."""

    def __init__(self, services: PageServices) -> None:
        self._services = services

    async def answer(self, request: PageRequest) -> Response:
        """Return a guide, or the list of guides, in the form that the client reads.

        Raises:
            NotHere: There is no such guide.
        """
        topic = getattr(request.route, "name", "").partition("/")[2]
        response = document_response(topic, request.info)
        if not is_navigation(request.info.method, request.info.header) or request.parameter("format"):
            return replace(response, headers=(*response.headers, _VARY))

        def values() -> Mapping[str, Any]:
            return _values(topic)

        content = PageContent("guide.html", values, key=DOCS_PREFIX + topic)
        return await self._services.renderer.answer(request, content)


def _values(topic: str) -> dict[str, Any]:
    text = document(topic)
    if text is None:
        return {"heading": "Guides", "groups": grouped_topics()}
    return {"heading": title(text).replace("`", ""), "groups": {}, "guide": guide_document(text)}
