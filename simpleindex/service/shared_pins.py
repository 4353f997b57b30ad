"""Keep the pins of this node like those of all nodes: pin what another one has pinned, and unpin what it has unpinned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import SimpleIndexError, Unavailable
from simpleindex.core.source import Elsewhere
from simpleindex.system.log import logger
from simpleindex.upstreams.modes import Mode
from simpleindex.upstreams.pages.flat import page_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simpleindex.core.names import ProjectName
    from simpleindex.records.pins import NotedPin, PinTable
    from simpleindex.service.upstreams import ConnectedUpstream
    from simpleindex.system.threads import Threads
    from simpleindex.upstreams.cache.cache import UpstreamCache
    from simpleindex.upstreams.cache.pins import Pins

RETRY_SECONDS: Final = 600.0
"""Until a file is requested again that an upstream did not give."""

_CHUNK: Final = 1 << 20

_log: Final = logger(__name__)


class PinSharing:
    """Follows the pins of other nodes; bytes come from this node's cache, or from the upstream.

    Args:
        table: The pins of all nodes.
        pins: Those of this node; they tell no other node of changes.
        cache: The files of upstreams.
        upstreams: The upstreams.
        threads: For calls that block.
        seconds: The time.
    """

    def __init__(
        self,
        table: PinTable,
        pins: Pins,
        cache: UpstreamCache,
        upstreams: Sequence[ConnectedUpstream],
        threads: Threads,
        seconds: Callable[[], float],
    ) -> None:
        self._table = table
        self._pins = pins
        self._cache = cache
        self._upstreams = [each for each in upstreams if each.settings.mode is Mode.CACHE]
        self._threads = threads
        self._seconds = seconds
        self._state: object = None
        self._is_complete = False
        self._next_tries: dict[tuple[str, str], float] = {}

    async def follow(self) -> None:
        """Pin and unpin what has to be; a file that is not here is fetched, and pinned by a later call."""
        identities = [each.settings.identity for each in self._upstreams]
        state = (self._table.changes, *map(self._pins.state, identities))
        if self._is_complete and state == self._state:
            return
        self._state, is_complete = state, True
        for upstream in self._upstreams:
            try:
                missing = await self._threads.run(self._settle, upstream)
            except (Unavailable, OSError):
                # The records are away, or the disk is full: both are in the log.
                is_complete = False
                continue
            for pin in missing:
                is_complete = False
                await self._fetch(upstream, pin)
        self._is_complete = is_complete

    def _settle(self, upstream: ConnectedUpstream) -> list[NotedPin]:
        """Pin and unpin what can be now, note what is pinned here alone, and return what has to be fetched."""
        identity = upstream.settings.identity
        noted = {(each.project, each.filename): each for each in self._table.of(identity)}
        here = set()
        for name in self._pins.names(identity):
            digests = self._pins.digests(identity, name)
            here |= {(name, filename) for filename in digests}
            if more := {each: digest for each, digest in digests.items() if (name, each) not in noted}:
                self._table.pin(identity, name, more)
        for name, filename in here:
            if (name, filename) in noted and not noted[name, filename].is_pinned:
                self._unpin(identity, name, filename)
        return [
            pin
            for place, pin in noted.items()
            if pin.is_pinned and place not in here and not self._pin(upstream, pin)
        ]

    def _unpin(self, identity: str, name: ProjectName, filename: str) -> None:
        self._pins.unpin(identity, name, lambda file: file.filename == filename)

    def _pin(self, upstream: ConnectedUpstream, pin: NotedPin) -> bool:
        identity = upstream.settings.identity
        listing = self._cache.listing(identity, page_name(pin.project, is_flat=upstream.settings.flat))
        if listing is None:
            return False
        files = [
            file
            for file in listing.project.files
            if file.filename == pin.filename and file.sha256 in (None, pin.sha256)
        ]
        return bool(files and self._pins.pin(identity, listing, files, self._cache))

    async def _fetch(self, upstream: ConnectedUpstream, pin: NotedPin) -> None:
        place = (upstream.settings.identity, pin.filename)
        is_first, now = place not in self._next_tries, self._seconds()
        if now < self._next_tries.get(place, 0.0):
            return
        self._next_tries[place] = now + RETRY_SECONDS
        source = upstream.member.source
        try:
            await source.project(pin.project)
            body = await source.file(pin.project, pin.filename)
            assert not isinstance(body, Elsewhere)  # an upstream of this mode gives its files itself
            try:
                size = body.size or 0
                for offset in range(0, size, _CHUNK):
                    await body.read(offset, min(_CHUNK, size - offset))
            finally:
                body.close()
        except SimpleIndexError as error:
            if is_first:
                _log.warn(
                    "{filename} of {upstream} is pinned on another node, and is not available here: {cause} It is tried again every "
                    "{minutes} minutes.",
                    filename=pin.filename,
                    upstream=upstream.settings.name,
                    cause=str(error),
                    minutes=round(RETRY_SECONDS / 60),
                )
