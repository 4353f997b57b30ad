"""``/-/why/<project>[/<version>]``: why something is or is not offered, for those who may read the project."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from simpleindex.access.errors import Unauthenticated
from simpleindex.access.identity import Action
from simpleindex.core.errors import InvalidProjectName, NotAllowed, NotHere, SimpleIndexError, Unavailable
from simpleindex.core.names import parse_project_name
from simpleindex.core.views import MAIN_VIEW
from simpleindex.upstreams.errors import UpstreamFailed
from simpleindex.views.explain import SourceNote, explain
from simpleindex.web.http.response import Response
from simpleindex.web.pages.explain import why_html, why_json, why_text
from simpleindex.web.pages.templates import content_security_policy
from simpleindex.web.routing.targets import split_target, way_to_root

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from simpleindex.access.identity import Identity
    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName
    from simpleindex.views.explain import Explanation
    from simpleindex.web.admission import Admission
    from simpleindex.web.http.response import RequestInfo

    SourceNotes = Callable[[str, ProjectName], Awaitable[tuple[SourceNote, ...]]]

_VERSION: Final = re.compile(r"[ -~]{1,200}")


class WhyPages:
    """Explains.

    Args:
        admission: Decides who reads what.
        notes: Returns what the sources of a view state about a project.
    """

    def __init__(self, admission: Admission, notes: SourceNotes) -> None:
        self._admission = admission
        self._notes = notes

    async def answer(self, page: str, reader: Identity, request: RequestInfo) -> Response:
        """Answer a GET or HEAD; arguments and errors are those of :meth:`explanation`."""
        explanation = await self.explanation(page, reader, request)
        query = parse_qs(split_target(request.target)[1].decode("latin-1"))
        kind, body = _form(query.get("format", [""])[-1], request.header("accept") or "")
        if kind == "html":
            content = why_html(explanation, way_to_root(request.target))
        else:
            content = why_json(explanation) if kind == "json" else why_text(explanation).encode()
        headers = [
            ("Content-Type", body),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        if kind == "html":
            headers += [
                ("Content-Security-Policy", content_security_policy),
                ("Referrer-Policy", "no-referrer"),
            ]
        # Also in a public index: an administrator reads more than others.
        return Response(200, (*headers, ("Vary", "Accept")), content, is_private=True)

    async def explanation(self, page: str, reader: Identity, request: RequestInfo) -> Explanation:
        """Return the explanation that a request is for.

        Args:
            page: What follows ``/-/why/``.
            reader: The identity of the client.
            request: The request.

        Raises:
            NotHere: It can be no project's name, or there is no such view.
            SimpleIndexError: The reader may not read the project.
        """
        name, version = _subject(page)
        query = parse_qs(split_target(request.target)[1].decode("latin-1"))
        view = query.get("view", [MAIN_VIEW])[-1]
        if view not in self._admission.public:
            raise NotHere("view")
        outcome: Project | SimpleIndexError
        try:
            outcome = await self._admission.reading(reader, view).project(name)
        except Unauthenticated:
            raise
        except (NotHere, NotAllowed, Unavailable, UpstreamFailed) as error:
            self._admission.require(reader, Action.READ, name)
            outcome = error
        return explain(
            name,
            version,
            view,
            await self._notes(view, name),
            outcome,
            is_operator=request.is_local or self._admission.decide(reader, Action.ADMIN, name).allowed,
        )


def _subject(page: str) -> tuple[ProjectName, str | None]:
    text, _, version = page.rstrip("/").partition("/")
    try:
        name = parse_project_name(text)
    except InvalidProjectName:
        raise NotHere("page") from None
    if version and not _VERSION.fullmatch(version):
        raise NotHere("page")
    return name, version or None


_TYPES: Final = {
    "json": "application/json",
    "html": "text/html; charset=utf-8",
    "text": "text/plain; charset=utf-8",
}


def _form(form: str, accept: str) -> tuple[str, str]:
    """Return the form and its content type; browsers name HTML, programs JSON, and a terminal gets text."""
    if form not in _TYPES:
        form = next((kind for kind in ("html", "json") if kind in accept.lower()), "text")
    return form, _TYPES[form]
