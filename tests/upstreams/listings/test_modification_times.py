"""When files were modified is requested once for all who wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from simpleindex.core.files import File
from simpleindex.core.names import Kind, ProjectName
from simpleindex.upstreams.listings.modification_times import ModificationTimes
from tests.fixtures.deferreds import pending, result

if TYPE_CHECKING:
    from collections.abc import Mapping

ACME = ProjectName("acme")
FILE = File("acme-1.0.zip", "1.0", Kind.SDIST, None, None, None, url="https://up.example/acme-1.0.zip")


def test_several_readers_cause_one_request() -> None:
    """One that leaves meanwhile disturbs neither the request nor the others; one that waits too long goes on without."""
    asked: list[Deferred[int | None]] = []
    reported: list[Mapping[str, int]] = []

    async def modified(url: str) -> int | None:
        asked.append(Deferred())
        return await asked[-1]

    async def report(name: ProjectName, times: Mapping[str, int]) -> None:
        assert name == ACME
        reported.append(times)

    clock = Clock()
    times = ModificationTimes(modified, clock, report)
    impatient = Deferred.fromCoroutine(times.read(ACME, (FILE,)))
    clock.advance(3600)
    assert result(impatient) is None
    assert reported == [{}]
    first, leaving, last = (Deferred.fromCoroutine(times.read(ACME, (FILE,))) for _ in range(3))
    leaving.addErrback(lambda failed: failed.trap(CancelledError))
    leaving.cancel()
    assert pending(first)
    asked[0].callback(5)
    assert result(first) is result(last) is None
    assert reported == [{}, {FILE.filename: 5}]
    assert len(asked) == 1
