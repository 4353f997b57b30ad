"""``/-/why/<project>[/<version>]`` for people; tools get the same as JSON or text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simpleindex.views.explain import Answer
from simpleindex.web.pages.explain import further_facts, rest_line, source_lines
from simpleindex.web.people.navigation import is_navigation
from simpleindex.web.people.renderer import PageContent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.views.explain import Explanation
    from simpleindex.web.http.response import Response
    from simpleindex.web.people.page_request import PageRequest
    from simpleindex.web.people.project.project_page import PageServices
    from simpleindex.web.why import WhyPages


class WhyPage:
    """Answers ``/-/why/``."""

    def __init__(self, services: PageServices, why: WhyPages) -> None:
        self._services = services
        self._why = why

    async def answer(self, request: PageRequest) -> Response:
        """Return the explanation, in the form that the client reads.

        Raises:
            NotHere: It can be no project's name, or there is no such view.
            SimpleIndexError: The reader may not read the project.
        """
        _, _, subject = getattr(request.route, "name", "").partition("/")
        if not is_navigation(request.info.method, request.info.header) or request.parameter("format"):
            return await self._why.answer(subject, request.reader, request.info)
        explanation = await self._why.explanation(subject, request.reader, request.info)

        def values() -> Mapping[str, Any]:
            return _values(explanation)

        content = PageContent("why.html", values, is_kept_by_clients=False)
        return await self._services.renderer.answer(request, content)


def _values(explanation: Explanation) -> dict[str, Any]:
    files = [(file, further_facts(file)) for file in explanation.files]
    return {
        "explanation": explanation,
        "is_offered": explanation.answer is Answer.OFFERED,
        "sources": source_lines(explanation),
        "groups": [
            (title, [each for each in files if each[0].is_offered is is_offered])
            for title, is_offered in (("Not offered", False), ("Offered", True))
        ],
        "rest": rest_line(explanation),
    }
