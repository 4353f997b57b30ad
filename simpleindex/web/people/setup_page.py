"""``/-/setup/``: the settings of each tool for this index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simpleindex.core.errors import NotHere
from simpleindex.web.people.index_address import CA_FILE, trust_command
from simpleindex.web.people.renderer import PageContent
from simpleindex.web.people.tool_settings import settings_of_tools

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.web.http.response import Response
    from simpleindex.web.people.page_request import PageRequest
    from simpleindex.web.people.project.project_page import PageServices


class SetupPage:
    """Answers ``/-/setup/``."""

    def __init__(self, services: PageServices) -> None:
        self._services = services

    async def answer(self, request: PageRequest) -> Response:
        """Return the page.

        Raises:
            NotHere: There is no such page.
        """
        if getattr(request.route, "name", "") not in ("setup", "setup/"):
            raise NotHere("page")
        address = self._services.address(request)

        def values() -> Mapping[str, Any]:
            return {
                "address": address,
                "tools": settings_of_tools(address),
                "trust": trust_command(address),
                "ca_file": CA_FILE,
            }

        return await self._services.renderer.answer(
            request, PageContent("setup.html", values, "setup", (address,))
        )
