"""The server's status below ``/-/``: health, readiness, counts, and the certificate to trust."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from simpleindex.core.errors import NotHere
from simpleindex.core.text import timestamp
from simpleindex.web.http.response import Response, sentence
from simpleindex.web.status.worker_statuses import status_of_all, worker_report

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simpleindex.directory.layout.unserved import Unserved
    from simpleindex.system.troubles import ServerTrouble
    from simpleindex.web.http.response import RequestInfo
    from simpleindex.web.status.worker_statuses import OtherWorkers


OPEN_PAGES: Final = frozenset({"health", "ready", "ca.pem"})
"""Pages that probes and new clients need before they can log in."""


@dataclass(frozen=True, slots=True)
class StatusReport:
    """The state of an index.

    Attributes:
        ready: Whether the first catalogue has been built.
        suspended: Why nothing is answered, or None.
        projects: Number of projects.
        files: Number of files offered.
        size: Their bytes.
        withheld: Files that are there and not offered: project, file name, rule, reason.
        watch: The way in which changes are noticed.
        version: Of simpleindex.
        passed_over: Files that are meant to be served and are not, one item for each cause.
        stale: Why what is served may be out of date, as a sentence, or None.
        names_by_entries: Names that are the index's own only because something of that name lies in the directory.
    """

    ready: bool
    suspended: str | None
    projects: int
    files: int
    size: int
    withheld: tuple[tuple[str, str, str, str], ...]
    watch: str
    version: str
    passed_over: tuple[Unserved, ...] = ()
    names_by_entries: tuple[str, ...] = ()
    stale: str | None = None


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether an index answers for all projects.

    Attributes:
        is_complete: Whether the first catalogue has been built.
        suspended: Why nothing is answered; None normally.
        unread: The names of the directories that are still being read for the first time, where there are several directories.
    """

    is_complete: bool
    suspended: str | None = None
    unread: tuple[str, ...] = ()


class MeasuredFacts(Protocol):
    """Metrics as JSON, for those who may see them."""

    def may_see(self, request: RequestInfo) -> bool:
        """Tell whether a client may see them."""
        ...

    async def facts(self) -> dict[str, object]:
        """Return them; of all workers, where there are several."""
        ...


class StatusPages:
    """The pages below ``/-/``.

    Args:
        report: Returns the state now; it counts every file, so it is called only where the counts are shown.
        readiness: Returns whether the index answers; probes call it every second or so.
        ca_certificate: Returns the PEM of the private CA, or None while certificates come from elsewhere.
        troubles: Returns the troubles of this server within the last hour, the latest first.

    Attributes:
        metrics: Metrics, as a part of the status; None where there are none.
        other_workers: The other workers that serve this index; None without any.
    """

    def __init__(
        self,
        report: Callable[[], StatusReport],
        readiness: Callable[[], Readiness],
        ca_certificate: Callable[[], bytes | None],
        troubles: Callable[[], Sequence[ServerTrouble]] = tuple,
    ) -> None:
        self._report = report
        self._readiness = readiness
        self._ca_certificate = ca_certificate
        self._troubles = troubles
        self.metrics: MeasuredFacts | None = None
        self.other_workers: OtherWorkers | None = None

    async def answer(self, page: str, request: RequestInfo) -> Response:
        """Answer a GET or HEAD.

        Raises:
            NotHere: There is no such page.
        """
        match page:
            case "health":
                return sentence(200, "alive")
            case "ready":
                return self._ready()
            case "status":
                return await self._status(request)
            case "ca.pem" if (certificate := self._ca_certificate()) is not None:
                headers = (("Content-Type", "application/x-pem-file"), ("Cache-Control", "no-cache"))
                return Response(200, headers, certificate)
        raise NotHere("page")

    def _ready(self) -> Response:
        readiness = self._readiness()
        if readiness.suspended:
            return sentence(503, readiness.suspended, ("Retry-After", "30"))
        if not readiness.is_complete:
            text = "The index is still being read for the first time."
            if readiness.unread:
                text = f"{text} Not read yet: {', '.join(readiness.unread)}."
            return sentence(503, text, ("Retry-After", "2"))
        return sentence(200, "ready")

    async def report(self) -> str:
        """Return the status of this process for another worker."""
        return worker_report(self._content())

    def _content(self) -> dict[str, object]:
        report, troubles = self._report(), self._troubles()
        return {**_status(report, troubles), **_details(report, troubles)}

    async def _status(self, request: RequestInfo) -> Response:
        content = self._content()
        if self.other_workers is not None:
            number, others = await self.other_workers.collect()
            content = status_of_all(content, number, others, self.other_workers.count)
        if not request.is_local:
            # Names and reasons may show the content of a private file, so only clients on this machine get them.
            content = {name: value for name, value in content.items() if name not in _DETAILS}
        if self.metrics is not None and self.metrics.may_see(request):
            content["metrics"] = await self.metrics.facts()
        body = json.dumps(content, indent=2).encode() + b"\n"
        return Response(200, (("Content-Type", "application/json"), ("Cache-Control", "no-store")), body)


_DETAILS: Final = frozenset({"stale-because", "withheld-files", "passed-over-files", "own-troubles"})


def _status(report: StatusReport, troubles: Sequence[ServerTrouble]) -> dict[str, object]:
    return {
        "version": report.version,
        "ready": report.ready,
        "suspended": report.suspended,
        "projects": report.projects,
        "files": report.files,
        "bytes": report.size,
        "withheld": len(report.withheld),
        "passed-over": sum(item.count for item in report.passed_over),
        "watch": report.watch,
        "stale": report.stale is not None,
        "troubles": len(troubles),
    }


def _details(report: StatusReport, troubles: Sequence[ServerTrouble]) -> dict[str, object]:
    return {
        "stale-because": report.stale,
        "withheld-files": [
            {"project": project, "filename": filename, "rule": rule, "reason": reason}
            for project, filename, rule, reason in report.withheld
        ],
        "passed-over-files": [
            {"cause": item.cause.value, "count": item.count, "example": item.example, "reason": str(item)}
            for item in report.passed_over
        ],
        "own-troubles": [
            {
                "sentence": each.sentence,
                "first": timestamp(each.first),
                "last": timestamp(each.last),
                "count": each.count,
            }
            for each in troubles
        ],
    }
