"""What the server says of itself, and to whom."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.system.troubles import ServerTrouble
from simpleindex.web.http.response import RequestInfo
from simpleindex.web.status.status import Readiness, StatusPages
from simpleindex.web.status.worker_statuses import OtherWorkers
from tests.fixtures.deferreds import result
from tests.fixtures.site import FAR, NEAR, REPORT, SiteFixture

if TYPE_CHECKING:
    from simpleindex.web.status.status import StatusReport

CA = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def index_with(report: StatusReport = REPORT, ca_certificate: bytes | None = None) -> SiteFixture:
    """An index in that state."""
    return SiteFixture(report=lambda: report, ca_certificate=ca_certificate)


def test_health() -> None:
    """Alive is who answers, in whatever state; a probe asks no source."""
    index = index_with(replace(REPORT, ready=False, suspended="Gone."))
    reply = index.get("/-/health")
    assert (reply.status, reply.text) == (200, "alive\n")
    assert reply.headers["cache-control"] == "no-store"
    assert not index.source.asked


@pytest.mark.parametrize(
    ("report", "status", "text", "retry_after"),
    [
        (REPORT, 200, "ready\n", None),
        (replace(REPORT, ready=False), 503, "The index is still being read for the first time.\n", "2"),
        (replace(REPORT, suspended="The root is gone."), 503, "The root is gone.\n", "30"),
        (replace(REPORT, ready=False, suspended="The root is gone."), 503, "The root is gone.\n", "30"),
    ],
)
def test_ready(report: StatusReport, status: int, text: str, retry_after: str | None) -> None:
    """Ready is who can answer for every project; a balancer reads the status, a person the sentence."""
    reply = index_with(report).get("/-/ready")
    assert (reply.status, reply.text) == (status, text)
    assert reply.headers.get("retry-after") == retry_after
    assert reply.headers["cache-control"] == "no-store"
    kind = "text/plain; charset=utf-8" if status == 200 else "application/problem+json"
    assert reply.headers["content-type"] == kind


def test_ready_names_the_directories_that_are_not_read() -> None:
    """Where there are several."""
    pages = StatusPages(
        lambda: REPORT, lambda: Readiness(is_complete=False, unread=("local", "staging")), lambda: None
    )
    response = result(pages.answer("ready", RequestInfo("GET", b"/-/ready", lambda _: None)))
    assert response.status == 503
    assert response.problem is not None
    assert response.problem.sentence == (
        "The index is still being read for the first time. Not read yet: local, staging."
    )


NUMBERS = {
    "version": "1.0",
    "ready": True,
    "suspended": None,
    "projects": 2,
    "files": 3,
    "bytes": 4096,
    "withheld": 1,
    "passed-over": 0,
    "watch": "inotify",
    "stale": False,
    "troubles": 0,
}


def test_status_for_everybody() -> None:
    """Anybody may know how many; names and reasons may tell of private files."""
    reply = index_with().get("/-/status", peer=FAR)
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.json == NUMBERS
    assert "acme" not in reply.text


def test_status_at_the_machine() -> None:
    """Readers on this machine see what is withheld, and why."""
    reply = index_with().get("/-/status", ("Host", "localhost:8443"), peer=NEAR)
    withheld = {
        "project": "acme",
        "filename": "acme-2.0.zip",
        "rule": "archive",
        "reason": "it is incomplete",
    }
    assert reply.json == NUMBERS | {
        "stale-because": None,
        "withheld-files": [withheld],
        "own-troubles": [],
        "passed-over-files": [],
    }


def test_a_page_in_a_browser_at_the_machine() -> None:
    """A page whose name was made to lead here is told no more than anybody."""
    assert index_with().get("/-/status", ("Host", "evil.example"), peer=NEAR).json == NUMBERS


def test_status_tells_the_state_now() -> None:
    """The report is made for each request."""
    reports = [REPORT, replace(REPORT, projects=7, suspended="Gone.")]
    index = SiteFixture(report=lambda: reports.pop(0))
    assert index.get("/-/status").json["projects"] == 2
    assert index.get("/-/status").json | {"projects": 7} == NUMBERS | {"projects": 7, "suspended": "Gone."}


def status_pages(report: StatusReport, *troubles: ServerTrouble) -> StatusPages:
    """The pages of one process."""
    return StatusPages(lambda: report, lambda: Readiness(True), lambda: None, lambda: troubles)


def status_of(pages: StatusPages, *, is_local: bool = True) -> dict[str, Any]:
    """What a client reads."""
    info = RequestInfo("GET", b"/-/status", lambda _: None, is_local)
    body = result(pages.answer("status", info)).body
    assert isinstance(body, bytes)
    content: dict[str, Any] = json.loads(body)
    return content


def test_status_of_several_workers() -> None:
    """Of the whole, whichever of them answers, and of each; one that does not answer is named."""
    here = status_pages(REPORT, ServerTrouble("The disk is full.", 0, 60, 2))
    others = [
        status_pages(replace(REPORT, stale="The store is away."), ServerTrouble("The disk is full.", 30, 90)),
        status_pages(
            replace(REPORT, suspended="The root is gone."), ServerTrouble("Too many files.", 95, 95)
        ),
    ]

    async def collect() -> tuple[int, dict[int, str]]:
        return 2, {number: await each.report() for number, each in zip((1, 3), others, strict=True)}

    here.other_workers = OtherWorkers(4, collect)
    whole = status_of(here)
    assert (whole["ready"], whole["suspended"], whole["stale"], whole["projects"]) == (
        *(False, "The root is gone.", True, REPORT.projects),
    )
    assert whole["troubles"] == 2
    assert [
        (each["sentence"][:8], each["count"], each["first"][14:19]) for each in whole["own-troubles"]
    ] == [
        ("Too many", 1, "01:35"),
        ("The disk", 3, "00:00"),
    ]
    assert [(each["worker"], each["ready"], each["troubles"]) for each in whole["workers"]] == [
        *((1, True, 1), (2, True, 1), (3, True, 1), (4, False, None)),
    ]
    assert "own-troubles" not in status_of(here, is_local=False)
    here.other_workers = OtherWorkers(3, collect)
    assert status_of(here)["ready"]


def test_odd_names() -> None:
    """File names that are no text come out as JSON all the same."""
    odd = replace(REPORT, withheld=(("", "a\udcff\0.whl", "name", 'it is "odd"'),))
    assert (
        index_with(odd)
        .get("/-/status", ("Host", "127.0.0.1"), peer=NEAR)
        .json["withheld-files"][0]["filename"]
        == "a\udcff\0.whl"
    )


def test_ca_certificate() -> None:
    """The certificate that clients are to trust can be fetched, where it is ours."""
    reply = index_with(ca_certificate=CA).get("/-/ca.pem")
    assert (reply.status, reply.body) == (200, CA)
    assert reply.headers["content-type"] == "application/x-pem-file"
    assert reply.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "page", ["ca.pem", "", "nothing", "status/", "status/x", "Status", "ca.key", "%2e%2e/ca.pem"]
)
def test_nothing(page: str) -> None:
    """There is no other page, and without a CA of ours no certificate either."""
    reply = index_with().get(f"/-/{page}")
    assert (reply.status, reply.text) == (404, "There is no page here.\n")


def test_query_is_ignored() -> None:
    """A monitor may add what it likes."""
    assert index_with().get("/-/health?t=1").status == 200
