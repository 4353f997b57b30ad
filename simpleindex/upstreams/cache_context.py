"""What the parts of one upstream's cached source have in common: the upstream, its cache, the clock and threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simpleindex.upstreams.cache.file_keys import UpstreamFileKey

if TYPE_CHECKING:
    from simpleindex.core.names import ProjectName
    from simpleindex.system.threads import Threads
    from simpleindex.upstreams.cache.cache import UpstreamCache
    from simpleindex.upstreams.fetching.wheel_examiner import WheelExaminer
    from simpleindex.upstreams.interface import Upstream


@dataclass(frozen=True, slots=True)
class CacheContext:
    """One upstream and what its cached source works with.

    Attributes:
        upstream: The index that is requested.
        identity: What tells this index from others in the cache: its URL, and the name of its credentials.
        cache: Stores listings and files.
        threads: For reading and writing the cache.
        wheels: Examines wheels; None if nothing is read from them.
    """

    upstream: Upstream
    identity: str
    cache: UpstreamCache
    clock: Any
    threads: Threads
    wheels: WheelExaminer | None

    def key(self, project: ProjectName, filename: str) -> UpstreamFileKey:
        """Return the key of a file of this upstream in the cache."""
        return UpstreamFileKey(self.identity, project, filename)
