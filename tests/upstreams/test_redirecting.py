"""An upstream to which clients are sent for files: what is listed, where they are sent, and what is never kept."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.core.errors import NotAllowed, NotHere
from simpleindex.core.model import Status
from simpleindex.core.names import Kind, ProjectName
from simpleindex.core.source import Elsewhere
from simpleindex.policy.filtered import FilteredSource
from simpleindex.policy.judgement import Policy
from simpleindex.policy.rules import PolicyAction, PolicyRule
from simpleindex.upstreams.cached import CacheOptions
from simpleindex.upstreams.errors import UpstreamFailed
from simpleindex.upstreams.listings.store import ListingHooks
from simpleindex.upstreams.modes import redirected_project
from simpleindex.upstreams.pages.urls import HostPolicy
from simpleindex.upstreams.redirecting import RedirectingSource
from tests.fixtures.cached_upstream import ACME, DATA, METADATA, SIDECAR, WHEEL, CachedUpstreamFixture, read
from tests.fixtures.deferreds import error, result
from tests.fixtures.distributions import sdist_name
from tests.fixtures.memory_upstream import HOST
from tests.fixtures.site import JSON, SiteFixture
from tests.fixtures.stepping import at_once

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simpleindex.core.model import Project

URL = f"{HOST}acme/{WHEEL}"
SDIST = sdist_name("acme", "2.0")


def offer(linked: bool, *listing: Any) -> Project:
    """What is offered of a project."""
    project, _, first_seen = listing
    host_policy = HostPolicy("https://pypi.example.org/simple/")
    return redirected_project(project, first_seen, host_policy=host_policy, linked=linked)


class RedirectingUpstreamFixture(CachedUpstreamFixture):
    """The upstream has a wheel with metadata, and an sdist without; clients are sent to it."""

    linked = False

    def options(self) -> CacheOptions:
        """Offer the projects of the mode."""
        return CacheOptions(listings=ListingHooks(offer=partial(offer, self.linked)))

    def restart(self) -> None:
        """Begin anew with what is in the cache directory."""
        super().restart()
        self.redirecting = RedirectingSource(self.source)
        self.index = SiteFixture(self.redirecting)

    def where(self, filename: str, name: ProjectName = ACME) -> Any:
        """Where somebody is sent who wants a file."""
        return result(self.redirecting.file(name, filename))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[RedirectingUpstreamFixture]:
    """Nothing is ever failed unexpectedly, nor any file fetched."""
    world = RedirectingUpstreamFixture(tmp_path / "cache")
    world.upstream.add(WHEEL, DATA, metadata=METADATA)
    world.upstream.add(SDIST, b"sdist", bare=True)
    yield world
    assert world.failures == []
    assert world.upstream.opens() == []
    assert not [*(tmp_path / "cache").glob("**/files/*")]


def test_files_are_elsewhere(world: RedirectingUpstreamFixture) -> None:
    """The file and its metadata; nothing that is not listed, nor metadata that the upstream has not got."""
    assert world.where(WHEEL) == Elsewhere(URL)
    assert world.where(SIDECAR) == Elsewhere(f"{URL}.metadata")
    assert world.where(SDIST) == Elsewhere(f"{HOST}acme/{SDIST}")
    for filename in (f"{SDIST}.metadata", "acme-9.0.zip", f"{WHEEL}.asc", f"{WHEEL}.provenance", "x"):
        assert isinstance(error(world.redirecting.file(ACME, filename)), NotHere)
    assert isinstance(error(world.redirecting.file(ProjectName("other"), "other-1.0.zip")), NotHere)


def test_metadata_of_a_signed_url(world: RedirectingUpstreamFixture) -> None:
    """It lies beside the file, whatever follows its path."""
    world.upstream.add(WHEEL, DATA, metadata=METADATA, url=f"{URL}?signature=a%26b")
    assert world.where(WHEEL) == Elsewhere(f"{URL}?signature=a%26b")
    assert world.where(SIDECAR) == Elsewhere(f"{URL}.metadata?signature=a%26b")


def test_quarantine(world: RedirectingUpstreamFixture) -> None:
    """Nobody is sent to a file that is considered unsafe."""
    page = world.upstream.pages[ACME].project
    world.upstream.put(replace(page, status=Status.QUARANTINED))
    assert isinstance(error(world.redirecting.file(ACME, WHEEL)), NotAllowed)


def test_nobody_is_sent_where_a_listing_must_not_lead(world: RedirectingUpstreamFixture) -> None:
    """A file that is withheld for its URL is not had by its name either."""
    world.upstream.add(WHEEL, DATA, url=f"http://files.example.org/acme/{WHEEL}")
    refused = error(world.redirecting.file(ACME, WHEEL))
    assert isinstance(refused, NotAllowed)
    assert "its URL is http" in str(refused)
    assert [item.rule for item in result(world.redirecting.project(ACME)).withheld] == ["url"]


def test_the_other_questions_pass(world: RedirectingUpstreamFixture) -> None:
    """They are answered as from the cache, and at once while that is fresh."""
    assert result(world.redirecting.projects()) is at_once(world.redirecting.projects())
    assert result(world.redirecting.project(ACME)) is at_once(world.redirecting.project(ACME))


def test_over_http(world: RedirectingUpstreamFixture) -> None:
    """The page has our URLs and the upstream's hashes; the answer for a file is kept by nobody, and has no bytes of it."""
    page = world.index.get("/simple/acme/", ("Accept", JSON))
    first, second = page.json["files"]
    assert (first["url"], first["hashes"]) == (WHEEL, {"sha256": hashlib.sha256(DATA).hexdigest()})
    assert first["core-metadata"] == {"sha256": hashlib.sha256(METADATA).hexdigest()}
    assert (second["url"], second["hashes"]) == (SDIST, {})
    for path, url in ((WHEEL, URL), (SIDECAR, f"{URL}.metadata")):
        reply = world.index.get(f"/simple/acme/{path}", ("Range", "bytes=0-1"))
        assert (reply.status, reply.headers["location"]) == (302, url)
        assert reply.headers["cache-control"] == "no-store"
        assert world.index.head(f"/acme/{path}").headers["location"] == url


def test_listing_only(world: RedirectingUpstreamFixture) -> None:
    """URLs are the upstream's; a client that requests a file here is redirected there."""
    world.linked = True
    world.restart()
    page = world.index.get("/simple/acme/", ("Accept", JSON))
    assert [file["url"] for file in page.json["files"]] == [URL, f"{HOST}acme/{SDIST}"]
    assert f'href="{URL}#sha256=' in world.index.get("/acme/", ("Accept", "text/html")).text
    assert world.index.get(f"/simple/acme/{WHEEL}").headers["location"] == URL


def test_pages_do_not_change_without_cause(world: RedirectingUpstreamFixture) -> None:
    """Asked again, restarted, or with the upstream away, a page has the same tag."""
    tags = [world.index.get("/simple/acme/").headers["etag"]]
    world.clock.advance(601)
    tags.append(world.index.get("/simple/acme/").headers["etag"])
    world.restart()
    world.upstream.error = UpstreamFailed("pypi", "it is away.")
    world.clock.advance(601)
    tags.append(world.index.get("/simple/acme/").headers["etag"])
    assert len(set(tags)) == 1
    assert world.where(WHEEL) == Elsewhere(URL)


def test_what_a_cache_learnt_is_not_said(tmp_path: Path) -> None:
    """What was found out of a file while it was fetched through here may not be so any more, and nobody would notice."""
    before = CachedUpstreamFixture(tmp_path / "cache")
    before.upstream.add(WHEEL, DATA, bare=True)
    assert read(result(before.open())) == DATA
    assert before.project().files[0].sha256 is not None
    world = RedirectingUpstreamFixture(tmp_path / "cache")
    world.upstream.error = UpstreamFailed("pypi", "it is away.")
    (file,) = result(world.redirecting.project(ACME)).files
    assert (file.sha256, file.size) == (None, None)


def test_behind_rules(world: RedirectingUpstreamFixture) -> None:
    """What one withholds is refused in words, and nobody is told where it is; the rest is sent there."""
    policy = Policy(
        (
            PolicyRule(
                "wheels", PolicyAction.DENY, kinds=frozenset({Kind.WHEEL}), message="Ask the platform team."
            ),
        )
    )
    index = SiteFixture(FilteredSource(world.redirecting, "pypi", lambda: policy, world.clock, world.threads))
    page = index.get("/simple/acme/", ("Accept", JSON))
    assert [file["filename"] for file in page.json["files"]] == [SDIST]
    for filename in (WHEEL, SIDECAR):
        refused = index.get(f"/simple/acme/{filename}")
        assert refused.status == 403
        assert "Ask the platform team." in refused.text
        assert HOST not in refused.text + str(refused.headers)
    assert index.get(f"/simple/acme/{SDIST}").status == 302
