"""The end of the service: how long requests in flight may go on, and the order in which the parts are stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, DeferredList

from simpleindex.service.ending import SECONDS, THREAD_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twisted.internet.interfaces import IListeningPort, IReactorTime

    from simpleindex.service.composition.index import ComposedIndex

KEEP_SECONDS: Final = 1.0
"""How long files that came whole from upstreams may take to be kept after the last request."""

DRAIN_SECONDS: Final = SECONDS - KEEP_SECONDS - 2 * THREAD_SECONDS
"""How long requests in flight may go on after SIGTERM; the rest is for what comes after them."""


def drain(index: ComposedIndex, ports: Iterable[IListeningPort], clock: IReactorTime) -> Deferred[Any]:
    """Close the ports, and let requests and fetched files come to their end within bounds.

    Returns:
        Fires when no request is left, or the time is over.
    """
    closing: list[Any] = [Deferred.fromCoroutine(_close(port)) for port in ports]
    closing += [site.drain() for site in index.http.sites]
    drained: Deferred[Any] = DeferredList(closing, consumeErrors=True)
    drained.addTimeout(DRAIN_SECONDS, clock)
    return drained.addBoth(lambda _: _keep_whole_files(index, clock))


async def _close(port: IListeningPort) -> None:
    closing = port.stopListening()
    if closing is not None:
        await closing


def _keep_whole_files(index: ComposedIndex, clock: IReactorTime) -> Deferred[Any]:
    """Let files that came whole from upstreams be examined and kept: a client has them already."""
    keeping = [] if index.sources.upstreams is None else index.sources.upstreams.keeping()
    keeping_all: Deferred[Any] = DeferredList(keeping, consumeErrors=True)
    return keeping_all.addTimeout(KEEP_SECONDS, clock)


def stop_parts(index: ComposedIndex) -> None:
    """Stop all parts of an index, those that use others first."""
    for site in index.http.sites:
        site.abort_all()
    for directory in index.sources.directories:
        directory.stop()
    if index.search is not None:
        index.search.indexer.stop()
    if index.hand_changes is not None:
        index.hand_changes.stop()
    if index.hooks is not None:
        index.hooks.stop()
    index.runtime.idle_processes.stop()
    index.runtime.examination.stop()
    index.runtime.threads.stop()
    for directory in index.sources.directories:
        directory.digests.close()
    if index.search is not None:
        index.search.database.close()
    index.runtime.audit.close()
    if index.runtime.audit_sharing is not None:
        index.runtime.audit_sharing.end()
    if index.sources.upstreams is not None:
        index.sources.upstreams.stop()
    index.downloads.close()
    index.runtime.records.close()
    index.runtime.downloads.close()
