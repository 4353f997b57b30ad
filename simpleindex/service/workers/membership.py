"""An index that one of several workers serves: what it shares with the others, and what it leaves to the first."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from simpleindex.service.workers.event_queue import queue_view
from simpleindex.service.workers.supervised_serials import SupervisedSerials
from simpleindex.service.workers.supervised_watch import SupervisedWatch
from simpleindex.web.status.worker_statuses import OtherWorkers

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from simpleindex.core.names import ProjectName
    from simpleindex.service.composition.index import ComposedIndex
    from simpleindex.service.ports.index_url import IndexUrl
    from simpleindex.service.workers.link import SupervisorLink

    Announcement = Callable[[ProjectName], Coroutine[Any, Any, None]]


def _both(first: Announcement | None, second: Announcement) -> Announcement:
    """Return an announcement to other nodes, where there are any, and to the other workers."""
    if first is None:
        return second
    to_nodes = first

    async def announce(name: ProjectName) -> None:
        await to_nodes(name)
        await second(name)

    return announce


def join_workers(index: ComposedIndex, url: IndexUrl, link: SupervisorLink) -> None:
    """Let changes of this worker be listed by all, and theirs by this one; let each show the status and the metrics of all.

    A certificate that one of them got is served by all.
    """
    directories = {directory.name: directory for directory in index.sources.directories}
    for name, directory in directories.items():
        if directory.live.announce is None and not directory.live.serials.are_shared:
            serials = SupervisedSerials(name, directory.live, link.send, link.clock)
            directory.live.serials = link.serials[name] = serials
        directory.live.announce = _both(directory.live.announce, partial(link.announce, name))
        if directory.choice.method == "inotify":
            queue = queue_view(link.description.queues.get(name, ()))
            watch = SupervisedWatch(name, directory.path, directory.live, link.send, queue)
            directory.supervised_watch = link.watches[name] = watch

    async def changed(name: str, project: ProjectName) -> None:
        if (directory := directories.get(name)) is not None:
            await directory.live.changed(project)

    link.changed = changed
    status = index.http.status
    status.other_workers = OtherWorkers(link.description.count, partial(link.collect, "status"))
    link.reports["status"] = status.report
    if index.metrics is not None:
        index.metrics.other_workers = partial(link.collect, "metrics")
        link.reports["metrics"] = index.metrics.report
    if index.acme is not None:

        async def use_certificate() -> str:
            url.check_certificates(force=True)
            return ""

        link.reports["certificate"] = use_certificate
        index.acme.renewal.notify_workers = lambda: Deferred.fromCoroutine(link.collect("certificate"))
