"""The modes of an upstream, and what is offered of its projects in each: files from the cache, or from the upstream."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

from simpleindex.core.model import Project, Status, Withheld
from simpleindex.upstreams.pages.enrich import enriched, enriched_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.core.files import File
    from simpleindex.upstreams.pages.enrich import FileFacts
    from simpleindex.upstreams.pages.urls import HostPolicy


class Mode(Enum):
    """How clients get an upstream's files."""

    CACHE = "cache"
    """This index fetches, verifies, caches and serves them."""

    REDIRECT = "redirect"
    """This index redirects requests for them to the upstream, if they are listed. It caches none."""

    LISTING_ONLY = "listing-only"
    """Pages link to the upstream, so that this index sees no download."""


def cached_project(
    project: Project,
    file_facts: Mapping[str, FileFacts],
    first_seen: Mapping[str, int],
    *,
    host_policy: HostPolicy,
) -> Project:
    """Return an upstream's project as it is offered if files are served from the cache.

    A file that would be refused when it is fetched is withheld at once, so that every listed file can be downloaded.

    Args:
        project: As the upstream lists it.
        file_facts: As for :func:`~simpleindex.upstreams.pages.enrich.enriched`.
        first_seen: The same.
        host_policy: Where the upstream's links may lead.
    """
    refused = {
        file.filename: host_policy.refuses_file(file.url) for file in project.files if file.url is not None
    }
    withheld = [_refused(file, reason) for file in project.files if (reason := refused.get(file.filename))]
    if withheld:
        files = [file for file in project.files if not refused.get(file.filename)]
        project = replace(project, files=files, withheld=(*project.withheld, *withheld))
    return enriched(project, file_facts, first_seen)


def _refused(file: File, reason: str) -> Withheld:
    return Withheld(
        file.filename, f"{file.filename} is not offered: {reason}.", "url", file.source, public=True
    )


def redirected_project(
    project: Project, first_seen: Mapping[str, int], *, host_policy: HostPolicy, linked: bool
) -> Project:
    """Return an upstream's project as it is offered if clients get its files from the upstream.

    Sizes and hashes are those that the upstream states: this index does not read the files, and would not notice other bytes.

    Args:
        project: As the upstream lists it.
        first_seen: As for :func:`~simpleindex.upstreams.pages.enrich.enriched`.
        host_policy: Where the upstream's links may lead clients.
        linked: Whether pages link to the upstream.
    """
    files: list[File] = []
    withheld = list(project.withheld)
    for file in project.files:
        if file.url is None or project.status is Status.QUARANTINED:
            continue
        refusal = host_policy.refuses_link(file.url)
        if refusal is not None:
            withheld.append(_refused(file, refusal))
        else:
            ours = enriched_file(file, None, first_seen.get(file.filename))
            files.append(_linked(ours, file.url) if linked else ours)
    return replace(project, files=files, withheld=tuple(withheld), stale=False)


def _linked(file: File, url: str) -> File:
    """Return a file with its link to the upstream."""
    # A client appends the metadata's suffix to the whole URL (PEP 658), which does not work after a query.
    return replace(file, url=url, metadata=None if "?" in url else file.metadata)
