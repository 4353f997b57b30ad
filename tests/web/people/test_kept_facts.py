"""Facts that are kept for a reader: how many projects are looked at, for how long, and never for somebody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simpleindex.access.access_file import parse_access
from simpleindex.access.identity import ANYONE, Action, Identity, TokenLimits
from simpleindex.archives.distribution_reader import DistributionReader
from simpleindex.core.model import ProjectList
from simpleindex.core.names import ProjectName
from simpleindex.core.views import MAIN_VIEW
from simpleindex.web.admission import Admission
from simpleindex.web.http.response import RequestInfo
from simpleindex.web.people.index_address import IndexAddress
from simpleindex.web.people.kept_facts import KEPT_SECONDS, KeptFacts
from simpleindex.web.people.page_request import PageRequest
from simpleindex.web.people.project.project_page import PageServices, ProjectPage
from simpleindex.web.people.renderer import PageRenderer
from simpleindex.web.routing.routes import ProjectRoute, RootRoute
from tests.fixtures.deferreds import result
from tests.fixtures.examiner import InProcessExaminer
from tests.fixtures.guarded_site import BearerIdentities, Owning
from tests.fixtures.threads import InlineThreads
from tests.search.world import SearchWorld

if TYPE_CHECKING:
    from pathlib import Path

ALICE = Identity("alice")
OPEN = parse_access(b"# Anybody reads.")
GUARDED = parse_access(b'[[rule]]\nprojects = ["secret"]\nread = ["alice"]\n')


class Site:
    """The page of flask, which two projects require, one of which may become secret.

    Attributes:
        access: The rights now.
        time: The clock of the page.
    """

    def __init__(self, cache: Path) -> None:
        self.world = SearchWorld(cache)
        self.access, self.time = OPEN, 0.0
        self.world.add("flask")
        for name in ("login", "secret"):
            self.world.add(name, "1.0", "Requires-Dist: flask")
        self.world.index()
        self.admission = Admission(
            {MAIN_VIEW: self.world.source}, lambda: self.access, BearerIdentities(), Owning({})
        )
        threads = InlineThreads()
        services = PageServices(
            PageRenderer({}, threads, 1_000_000),
            DistributionReader(InProcessExaminer(), threads),
            threads,
            lambda _: IndexAddress("https://index.example/"),
            search=self.world.search,
            seconds=lambda: self.time,
        )
        self.page = ProjectPage(services)

    def dependents(self, reader: Identity = ANYONE) -> set[str]:
        """The projects that the page names as dependents."""
        source = self.admission.reading(reader)
        info = RequestInfo("GET", b"/flask/", lambda _: None)
        response = result(
            self.page.answer(PageRequest(ProjectRoute(ProjectName("flask")), info, reader, source))
        )
        return {name for name in ("login", "secret") if f'href="../{name}/"'.encode() in response.body}

    def looked_at(self) -> list[str]:
        """The other projects that were looked at since the last call."""
        names = [question[1] for question in self.world.source.asked if question[0] == "project"]
        self.world.source.asked.clear()
        return [name for name in names if name != "flask"]


def test_readers_of_one_list_have_facts_of_their_own(site: Site) -> None:
    """Projects of upstreams are on no list: who may read which of them shows in the facts alone."""
    facts: KeptFacts[Identity] = KeptFacts(5, lambda: 0.0)
    listed, info = ProjectList(), RequestInfo("GET", b"/", lambda _: None)
    token = TokenLimits("t1", frozenset({Action.READ}), ("*",))
    for reader in (ANYONE, ALICE, Identity("bob"), Identity("alice", token), Identity(None, token)) * 2:
        request = PageRequest(RootRoute(), info, reader, site.admission.reading(reader))

        async def find(reader: Identity = reader) -> Identity:
            return reader

        assert result(facts.get(request, listed, "front", find)) == reader


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.looked_at()
    return site


def test_a_page_that_is_shown_again_looks_at_no_other_project(site: Site) -> None:
    """A project that a hundred others require would cost a hundred looks each time."""
    assert site.dependents() == {"login", "secret"}
    assert site.looked_at() == ["login", "secret"]
    site.time += KEPT_SECONDS - 1
    assert site.dependents() == {"login", "secret"}
    assert site.looked_at() == []


def test_facts_are_found_again_after_some_seconds(site: Site) -> None:
    site.dependents()
    site.world.add("login", "2.0")
    site.world.index()
    site.world.finish()
    site.looked_at()
    site.time += KEPT_SECONDS
    site.dependents()
    assert site.looked_at() == ["login", "secret"]


def test_who_may_not_read_a_project_any_more_is_not_shown_it(site: Site) -> None:
    """At once: rights are not kept."""
    assert site.dependents() == {"login", "secret"}
    site.access = GUARDED
    assert site.dependents() == {"login"}
    assert site.dependents(ALICE) == {"login", "secret"}
    assert site.dependents() == {"login"}
    site.access = OPEN
    assert site.dependents() == {"login", "secret"}


def test_a_project_that_appears_is_shown_at_once(site: Site) -> None:
    site.world.source.pages.pop("secret")
    site.world.source.put(site.world.source.pages["login"])
    assert site.dependents() == {"login"}
    site.world.add("secret", "1.0", "Requires-Dist: flask")
    assert site.dependents() == {"login", "secret"}
