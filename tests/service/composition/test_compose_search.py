"""The search of a running index: it follows the directories and the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from twisted.internet.defer import Deferred

from simpleindex.access.logins.hashes import hash_password
from simpleindex.core.files import File
from simpleindex.core.model import Project
from simpleindex.core.names import Kind, ProjectName
from simpleindex.core.views import MAIN_VIEW
from simpleindex.search.query import parse_query
from simpleindex.system import extras
from simpleindex.upstreams.cache.cached_listings import CachedListing
from tests.fixtures.deferreds import result
from tests.fixtures.distributions import add_wheel, metadata_text
from tests.fixtures.login import basic
from tests.fixtures.service import ServiceFixture, service_fixture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simpleindex.service.service import IndexService

ACME = ProjectName("acme")
SOURCES = '[[upstream]]\nname = "behind"\nurl = "https://index.example/simple/"\n'


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceFixture]:
    """Services of one root, with the extra."""
    monkeypatch.setattr(extras, "find_spec", lambda _: object())
    yield from service_fixture(tmp_path, monkeypatch)


def names(world: ServiceFixture, service: IndexService, text: str) -> list[str]:
    """Return what a reader of everything finds, once nothing is left to be indexed."""
    assert service.index.search is not None
    for _ in range(100):
        world.reactor.advance(0.1)
        if service.index.search.indexer.is_idle:
            break
    source = service.index.sources.views[MAIN_VIEW]
    finding = service.index.search.search.search(source, parse_query(text))
    return [hit.project for hit in result(Deferred.fromCoroutine(finding)).hits]


def test_projects_of_the_directory_are_found(world: ServiceFixture) -> None:
    add_wheel(world.root, "acme", "1.0", "Summary: Rockets")
    service = world.start()
    assert names(world, service, "rockets") == ["acme"]
    add_wheel(world.root, "acme", "2.0", "Summary: Traps")
    result(Deferred.fromCoroutine(service.index.sources.directories[0].live.changed(ACME)))
    assert names(world, service, "traps") == ["acme"]
    assert names(world, service, "rockets") == []


def test_what_the_cache_holds_of_upstreams_is_indexed(world: ServiceFixture) -> None:
    (world.place / "sources.toml").write_text(SOURCES)
    service = world.start(sources="sources.toml")
    assert service.index.search is not None
    upstreams = service.index.sources.upstreams
    assert upstreams is not None
    identity = upstreams.connected[0].settings.identity
    names(world, service, "acme")
    name = "acme-1.0-py3-none-any.whl"
    file = File(name, "1.0", Kind.WHEEL, 10, "0" * 64, 5, url="https://index.example/" + name)
    upstreams.cache.store_listing(identity, CachedListing(Project(ACME, (file,)), None, None, None, 0.0, {}))
    upstreams.cache.store_metadata(identity, ACME, file, metadata_text("acme", "1.0"))
    names(world, service, "acme")
    assert result(service.index.search.search.cached_names(["behind"])) == {"acme"}


def test_without_the_extra_there_is_no_search(world: ServiceFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    add_wheel(world.root)
    service = world.start()
    assert service.index.search is None
    assert not [*(world.place / "cache").glob("search-*")]


BROWSER = ("Accept", "text/html,application/xhtml+xml")


def test_pages_feeds_and_badges_are_served(world: ServiceFixture) -> None:
    add_wheel(world.root, "acme", "1.0", "Summary: Rockets")
    service = world.start(title="Packages of Example", notice="Ask **us**.")
    names(world, service, "rockets")
    front = world.ask("/", BROWSER).body.decode()
    assert "<h1>Packages of Example</h1>" in front
    assert "Ask <strong>us</strong>." in front
    assert "Rockets" in front
    assert "Rockets" in world.ask("/?q=rockets", BROWSER).body.decode()
    assert b'"project": "acme"' in world.ask("/-/search.json?q=rockets").body
    assert b"<title>acme 1.0</title>" in world.ask("/-/feed.xml").body
    assert b"<title>acme 1.0</title>" in world.ask("/acme/feed.xml").body
    assert b"acme: v1.0" in world.ask("/-/badge/acme.svg").body
    assert world.ask("/other/feed.xml").status == 404


def test_tools_get_the_simple_page_at_the_front(world: ServiceFixture) -> None:
    add_wheel(world.root)
    world.start()
    simple = world.ask("/simple/")
    assert world.ask("/", ("Accept", "text/html")).body == simple.body
    assert world.ask("/simple/", BROWSER).body == simple.body


def test_another_title_needs_no_restart(world: ServiceFixture) -> None:
    world.start()
    world.reload(title="Other", notice="New **here**.")
    front = world.ask("/", BROWSER).body.decode()
    assert "<h1>Other</h1>" in front
    assert "New <strong>here</strong>." in front


def test_without_the_extra_there_are_no_feeds(world: ServiceFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    add_wheel(world.root)
    world.start()
    assert {
        world.ask(target).status for target in ("/-/feed.xml", "/acme/feed.xml", "/-/search.json?q=a")
    } == {404}
    assert world.ask("/", BROWSER).body == world.ask("/simple/").body


RULES = '[[rule]]\nprojects = ["secret-*"]\nread = ["alice"]\n'


def test_private_projects_are_found_by_their_readers_alone(world: ServiceFixture) -> None:
    (world.place / "users").write_text(f"alice:{hash_password('correct horse')}\n")
    (world.place / "access.toml").write_text(RULES)
    add_wheel(world.root, "acme", "1.0", "Summary: Rockets", "Requires-Dist: secret-plans")
    add_wheel(world.root, "secret-plans", "1.0", "Summary: Zebras", "Requires-Dist: acme", "Author: Jane")
    service = world.start(users="users", access="access.toml")
    names(world, service, "rockets")
    login = ("Authorization", basic("alice", "correct horse"))
    targets = (
        "/",
        *("/?q=secret", "/?q=zebras", "/?q=author:jane", "/?q=depends:acme", "/?q=se", "/acme/"),
        *("/-/search.json?q=secret", "/-/feed.xml", "/-/badge/secret-plans.svg", "/secret-plans/feed.xml"),
    )
    for target in targets:
        # What a page repeats of the query is no secret.
        anonymous = world.ask(target, BROWSER)
        body = anonymous.body.replace(b"depends:acme", b"").decode()
        assert "Zebras" not in body, target
        assert 'href="./secret-plans/"' not in body, target
        assert '"project": "secret-plans"' not in body, target
        reader = world.ask(target, BROWSER, login)
        assert reader.status == 200, target
        assert "secret-plans" in reader.body.decode(), target
        assert "private" in reader.headers["cache-control"], target
    assert world.ask("/-/badge/secret-plans.svg").status == 401
    assert world.ask("/secret-plans/feed.xml").status == 401
