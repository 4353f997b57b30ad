"""Composition of the pages for people, of which each is made when the first of them is requested; only with the extra ``pages``."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from simpleindex.web.pages.negotiation import available_encodings
from simpleindex.web.people.pages import LatePage, PeoplePages
from simpleindex.web.routing.routes import FEED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.service.composition.pages import ComposedPages
    from simpleindex.service.composition.people_parts import PeopleParts
    from simpleindex.web.people.pages import PeoplePage
    from simpleindex.web.people.renderer import PageRenderer

_RENDERED_BYTES: Final = 16 * 1024 * 1024
"""Rendered pages that are kept; a project's has some 20 KiB compressed."""

OWN_PAGES: Final = ("setup", "inside", "diff", "search.json", FEED, "badge", "status", "why", "docs")
"""The pages below ``/-/`` that every index has, by the first segment behind it."""


def compose_people(parts: PeopleParts) -> PeoplePages:
    """Create the pages, those of accounts at once and the others when one of them is first requested.

    So a start without readers is 25 ms shorter, of 480, and the process smaller by as many modules.
    """

    @cache
    def renderer() -> PageRenderer:
        return _renderer(parts)

    @cache
    def composed() -> ComposedPages:
        from simpleindex.service.composition.pages import compose_pages  # noqa: PLC0415

        return compose_pages(parts, renderer())

    def own(name: str) -> PeoplePage:
        return LatePage(lambda: composed().own[name])

    pages: Mapping[str, PeoplePage] = {name: own(name) for name in OWN_PAGES}
    front, project = LatePage(lambda: composed().front), LatePage(lambda: composed().project)
    if parts.logins is None:
        return PeoplePages(renderer, parts.admission, front, project, pages)
    from simpleindex.service.composition.account import compose_account  # noqa: PLC0415  (only where there are accounts)

    account = compose_account(parts.runtime, parts.logins, renderer(), lambda: parts.listings.base_url)
    return PeoplePages(renderer, parts.admission, front, project, {**pages, **account.pages}, account.forms)


def _renderer(parts: PeopleParts) -> PageRenderer:
    from simpleindex.web.people.renderer import PageRenderer, SiteDescription  # noqa: PLC0415

    title, views = parts.runtime.settings.title, tuple(parts.sources.views)
    site = SiteDescription(title, views, can_log_in=parts.logins is not None)
    return PageRenderer(available_encodings(), parts.runtime.threads.pages, _RENDERED_BYTES, site)
