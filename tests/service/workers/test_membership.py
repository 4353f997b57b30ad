"""Changes of one worker reach all, and theirs reach it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from simpleindex.core.names import ProjectName
from simpleindex.service.workers.membership import join_workers

ACME = ProjectName("acme")


class Live:
    """A directory that counts what it hears of."""

    def __init__(self, announce: Any = None) -> None:
        self.announce = announce
        self.changes: list[str] = []
        self.serials: Any = SimpleNamespace(are_shared=False)

    def serials_changed(self) -> None:
        """Nothing is listed here."""

    async def changed(self, name: str) -> None:
        self.changes.append(name)


class Link:
    """A supervisor's end that notes what a worker announces."""

    def __init__(self) -> None:
        self.changed: Any = None
        self.announced: list[tuple[str, str]] = []
        self.collected: list[str] = []
        self.reports: dict[str, Any] = {}
        self.watches: dict[str, Any] = {}
        self.serials: dict[str, Any] = {}
        self.clock = Clock()
        self.description = SimpleNamespace(count=2, queues={})

    async def collect(self, subject: str) -> None:
        self.collected.append(subject)

    def send(self, message: object) -> None:
        """Nothing is sent here."""

    async def announce(self, directory: str, name: str) -> None:
        self.announced.append((directory, name))


def joined(announce: Any = None, *, acme: Any = None, url: Any = None) -> tuple[Live, Link]:
    """An index of one directory that is served by a worker."""
    live, link = Live(announce), Link()
    directory = SimpleNamespace(
        name="local",
        path="/packages",
        live=live,
        choice=SimpleNamespace(method="inotify"),
        supervised_watch=None,
    )
    index: Any = SimpleNamespace(
        sources=SimpleNamespace(directories=[directory]),
        metrics=None,
        acme=acme,
        http=SimpleNamespace(status=SimpleNamespace(report="the status", other_workers=None)),
    )
    join_workers(index, url, link)  # type: ignore[arg-type]
    Deferred.fromCoroutine(index.http.status.other_workers.collect())
    assert link.collected == ["status"]
    assert link.reports["status"] == "the status"
    assert len(link.reports) == 1 + (acme is not None)
    # Nodes of one directory have nobody who gives out serials for all.
    assert link.serials == ({} if announce else {"local": live.serials})
    assert link.watches == {"local": directory.supervised_watch}
    return live, link


@pytest.mark.parametrize("has_nodes", [True, False])
def test_a_change_is_announced_to_nodes_first_and_to_the_workers(has_nodes: bool) -> None:
    nodes: list[str] = []

    async def announce(name: ProjectName) -> None:
        nodes.append(name)

    live, link = joined(announce if has_nodes else None)
    Deferred.fromCoroutine(live.announce(ACME))
    assert nodes == (["acme"] if has_nodes else [])
    assert link.announced == [("local", "acme")]


def test_a_new_certificate_is_served_by_all_at_once() -> None:
    """Also by those that did not request it, which read the files once a minute otherwise."""
    checks: list[bool] = []
    url = SimpleNamespace(check_certificates=lambda *, force: checks.append(force))
    acme = SimpleNamespace(renewal=SimpleNamespace(notify_workers=None))
    _, link = joined(acme=acme, url=url)
    acme.renewal.notify_workers()
    assert link.collected[1:] == ["certificate"]
    Deferred.fromCoroutine(link.reports["certificate"]())
    assert checks == [True]


def test_changes_of_others_are_looked_at_where_there_is_such_a_directory() -> None:
    live, link = joined()
    for directory in ("local", "gone"):
        Deferred.fromCoroutine(link.changed(directory, ACME))
    assert live.changes == ["acme"]
