"""``simpleindex cache why``: where a file is, and what its upstreams list of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from simpleindex.commands.cache.judging import reasons_against
from simpleindex.core.errors import InvalidFilename, RefusedStart
from simpleindex.core.names import parse_distribution_name
from simpleindex.upstreams.cache.file_keys import UpstreamFileKey
from simpleindex.upstreams.modes import Mode
from simpleindex.upstreams.pages.enrich import enriched, with_modification_times
from simpleindex.upstreams.pages.flat import page_name, project_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName
    from simpleindex.upstreams.cache.cached_listings import CachedListing
    from simpleindex.upstreams.settings import UpstreamSettings

from simpleindex.commands.cache.cache_listing import CacheContents, minute_of_past


def cache_why(arguments: argparse.Namespace) -> int:
    """Print where a file is, and what its upstreams list of it; return the exit status.

    Raises:
        RefusedStart: The file name or the sources file is not valid.
    """
    try:
        name = parse_distribution_name(arguments.filename).project
    except InvalidFilename as error:
        raise RefusedStart(str(error)) from None
    contents = CacheContents(arguments)
    for upstream in contents.upstreams:
        print("\n".join(_upstream_lines(contents, upstream, name, arguments.filename)))
    return 0


def _upstream_lines(
    contents: CacheContents, upstream: UpstreamSettings, name: ProjectName, filename: str
) -> Iterator[str]:
    listing = contents.cache.listing(upstream.identity, page_name(name, is_flat=upstream.flat))
    if listing is None:
        yield f"{upstream.name}: the cache has no page of {name}."
        return
    page = "its page" if upstream.flat else f"the page of {name}"
    yield f"{upstream.name}: {page} was fetched on {minute_of_past(listing.fetched_at)}."
    file = listing.project.file(filename)
    if file is None:
        yield f"  It did not list {filename} then."
        return
    if filename in contents.pinned(upstream.identity, name):
        yield "  The file is pinned: kept for good under --state."
    yield f"  It lists the file at {file.url}, with {_stated_hash(file)}."
    cached = contents.find(UpstreamFileKey(upstream.identity, listing.project.name, filename), listing, file)
    if cached is None:
        yield f"  The file is not in the cache: {_why_not_cached(contents, upstream, listing, file)}."
        return
    hashed = (
        "hashed since the machine started" if cached.is_verified else "to be hashed before it is served again"
    )
    yield f"  The file is in the cache at {cached.path}: {cached.size:,} bytes, sha256 {cached.sha256}, {hashed}."
    yield f"  It was fetched on {minute_of_past(cached.fetched_at)}, and last used on {minute_of_past(cached.used_at)}."


def _stated_hash(file: File) -> str:
    if file.sha256:
        return f"sha256 {file.sha256}"
    return " ".join(file.other_hash) if file.other_hash else "no hash"


def _why_not_cached(
    contents: CacheContents, upstream: UpstreamSettings, listing: CachedListing, file: File
) -> str:
    """Return, as a clause, why a file is not in the cache; what a rule withholds is never fetched."""
    if upstream.mode is not Mode.CACHE:
        return f"clients fetch it from {upstream.name} itself, whose mode is {upstream.mode.value}"
    project = enriched(
        with_modification_times(listing.project, listing.file_facts, listing.modified),
        listing.file_facts,
        {},
    )
    project = replace(project, name=project_of(file) if upstream.flat else project.name)
    against = reasons_against(contents.settings, upstream.name, project, {file.filename})
    fault = listing.faults.get(file.filename)
    if against:
        return f"it is not offered now. {against[0].rstrip('.')}"
    if fault is not None:
        return f"it is not offered now. {fault.reason.rstrip('.')}"
    return "it is fetched when a client asks for it"
