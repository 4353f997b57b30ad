"""Options of the HTTP client for one upstream: timeouts, sizes, and statuses that mean "no such project"."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UpstreamLimits:
    """Timeouts and sizes of an upstream's answers.

    Attributes:
        idle: Seconds for the first byte of an answer, and then between bytes.
        file: Seconds for the first byte of a file. Indexes that fetch it themselves first are slow; no client waits so long, but
            its next attempt finds the file.
        listing: Seconds for a whole listing, redirects included; pip gives up after 15, uv after 30.
        project_bytes: Bytes of a project's page, compressed and not; the largest have some 20 MB.
        flat_bytes: Bytes of a flat page with the files of all projects; 100,000 links or so.
        projects_bytes: Bytes of the list of projects, which has 40 MB for 700,000.
    """

    idle: float = 10.0
    file: float = 120.0
    listing: float = 30.0
    project_bytes: int = 64_000_000
    flat_bytes: int = 16_000_000
    projects_bytes: int = 200_000_000


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """How the client treats one upstream.

    Attributes:
        name: The upstream's name in the sources file.
        missing: Statuses of a project's page that mean "no such project", beside 404 and 410.
        lists: Whether its projects are in our list of projects, so that each of them should be found.
        user_agent: The User-Agent of requests; operators of indexes want to know it.
    """

    name: str
    limits: UpstreamLimits = UpstreamLimits()
    missing: frozenset[int] = frozenset()
    lists: bool = False
    user_agent: str = "simpleindex"
