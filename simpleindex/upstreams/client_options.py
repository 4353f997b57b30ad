"""Settings of one upstream that its client needs: limits, timeouts, and statuses that mean "missing"."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UpstreamLimits:
    """How long and how much an upstream may take.

    Attributes:
        idle: Seconds for the beginning of an answer, and then for each next bytes of it.
        file: Seconds for the beginning of a file. Indexes that fetch it themselves first need long; no client waits so long, but
            the next attempt finds it.
        listing: Seconds for a whole listing, redirects included; pip gives up after 15, uv after 30.
        project_bytes: Of a project's page, as it comes and when decoded; the largest have some 20 MB.
        flat_bytes: Of a page with the files of all projects; 100,000 links or so.
        projects_bytes: Of the page of all projects, which has 40 MB where there are 700,000.
    """

    idle: float = 10.0
    file: float = 120.0
    listing: float = 30.0
    project_bytes: int = 64_000_000
    flat_bytes: int = 16_000_000
    projects_bytes: int = 200_000_000


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """What an operator says of one upstream.

    Attributes:
        limits: How long and how much it may take.
        missing: Statuses of a project's page that mean "no such project", beside 404 and 410.
        lists: Whether its projects are in our list, so that all that it lists should be found.
        user_agent: What we call ourselves; operators of indexes want to know.
    """

    limits: UpstreamLimits = UpstreamLimits()
    missing: frozenset[int] = frozenset()
    lists: bool = False
    user_agent: str = "simpleindex"
