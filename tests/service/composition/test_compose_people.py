"""Pages for people are made when one of them is first requested."""

from __future__ import annotations

from unittest.mock import AsyncMock, MagicMock, patch

from simpleindex.service.composition import pages
from simpleindex.service.composition.pages import ComposedPages, compose_pages
from simpleindex.service.composition.people import OWN_PAGES, compose_people
from simpleindex.service.composition.people_parts import PeopleParts
from simpleindex.web.http.response import Response
from tests.fixtures.stepping import at_once


def test_every_page_below_the_dash_is_composed() -> None:
    assert sorted(compose_pages(MagicMock(), MagicMock()).own) == sorted(OWN_PAGES)


def test_pages_are_composed_once_and_answer() -> None:
    parts = PeopleParts(MagicMock(), MagicMock(), None, MagicMock(), MagicMock(), MagicMock())
    page, response = AsyncMock(), Response(200, ())
    page.answer.return_value = response
    with patch.object(pages, "compose_pages") as composing:
        composing.return_value = ComposedPages(page, page, dict.fromkeys(OWN_PAGES, page))
        people = compose_people(parts)
        composing.assert_not_called()
        assert people.front is not None
        for each in (people.front, people.project, *people.own.values()):
            assert at_once(each.answer(MagicMock())) is response
        composing.assert_called_once()
