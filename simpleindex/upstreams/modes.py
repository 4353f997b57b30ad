"""Who gives an upstream's files: we, from the cache, or the upstream itself."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

from simpleindex.core.model import Project, Status, Withheld
from simpleindex.core.packed import PackedFiles
from simpleindex.upstreams.pages.enrich import enriched, enriched_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.core.model import File
    from simpleindex.upstreams.pages.enrich import FileFacts
    from simpleindex.upstreams.pages.urls import HostPolicy


class Mode(Enum):
    """What is done with an upstream's files."""

    CACHE = "cache"
    """They are fetched, proven, kept and given from here."""

    REDIRECT = "redirect"
    """Their URLs are ours, and whoever asks for one is sent on, if it is listed. Nothing of them is kept."""

    LISTING_ONLY = "listing-only"
    """Their URLs are the upstream's, so that we never hear of a download."""


def cached_project(
    project: Project,
    file_facts: Mapping[str, FileFacts],
    first_seen: Mapping[str, int],
    generation: int,
    *,
    host_policy: HostPolicy,
) -> Project:
    """An upstream's project as it is offered where its files are fetched and given from here.

    What would be refused when it is fetched is withheld at once, so that nothing is listed that nobody can have.

    Args:
        project: As the upstream has it.
        file_facts: As for :func:`~simpleindex.upstreams.pages.enrich.enriched`.
        first_seen: The same.
        generation: Of the result.
        host_policy: Where the upstream may lead us.
    """
    refused = {
        file.filename: host_policy.refuses_file(file.url) for file in project.files if file.url is not None
    }
    withheld = [_refused(file, reason) for file in project.files if (reason := refused.get(file.filename))]
    if withheld:
        files = PackedFiles(file for file in project.files if not refused.get(file.filename))
        project = replace(project, files=files, withheld=(*project.withheld, *withheld))
    return enriched(project, file_facts, first_seen, generation)


def _refused(file: File, reason: str) -> Withheld:
    return Withheld(
        file.filename, f"{file.filename} is not offered: {reason}.", "url", file.source, public=True
    )


def redirected_project(
    project: Project, first_seen: Mapping[str, int], generation: int, *, host_policy: HostPolicy, linked: bool
) -> Project:
    """An upstream's project as it is offered where clients get its files from the upstream themselves.

    Nothing is said of a file's bytes but what the upstream states: nobody here looks at them, or would notice that they are others.

    Args:
        project: As the upstream has it.
        first_seen: As for :func:`~simpleindex.upstreams.pages.enrich.enriched`.
        generation: Of the result.
        host_policy: Where the upstream may send others.
        linked: Whether the files' URLs are the upstream's.
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
    return replace(
        project, files=PackedFiles(files), withheld=tuple(withheld), generation=generation, stale=False
    )


def _linked(file: File, url: str) -> File:
    """A file that clients get from the upstream without asking us."""
    # A client appends the sidecar's suffix to the whole URL (PEP 658); after a query nothing is there.
    return replace(file, url=url, metadata=None if "?" in url else file.metadata)
