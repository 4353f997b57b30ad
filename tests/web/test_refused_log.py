"""The log of refused downloads."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest
from twisted.internet.task import Clock

from simpleindex.access.errors import Unauthenticated
from simpleindex.access.identity import ANYONE, Action, Identity, TokenLimits
from simpleindex.core.errors import NotAllowed, NotHere, SimpleIndexError
from simpleindex.core.names import ProjectName
from simpleindex.policy.errors import FileWithheld
from simpleindex.web.http.response import RequestInfo, RequestRecord
from simpleindex.web.refused_log import RefusedDownloads
from simpleindex.web.routing.routes import FileRoute
from tests.fixtures.site import SiteFixture

if TYPE_CHECKING:
    from simpleindex.core.audit_entry import AuditEntry


class Audited(list[dict[str, Any]]):
    """Takes lines of the audit."""

    def __call__(self, entry: AuditEntry) -> None:
        self.append(asdict(entry))


class Log:
    """Takes events."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def warn(self, line: str, **fields: Any) -> None:
        self.events.append({"line": line.format(**fields), **fields})


def withheld(filename: str = "acme-1.0.zip", visible_from: float | None = 0.0) -> FileWithheld:
    """One."""
    return FileWithheld(
        "It is too new.", filename=filename, rule="age", source="pypi", visible_from=visible_from
    )


FILE = FileRoute(ProjectName("acme"), "acme-1.0.zip")
TOKEN = TokenLimits("ab12cd34", frozenset({Action.READ}), ("*",))


def asked_by(identity: Identity) -> RequestInfo:
    """A request for the file."""
    return RequestInfo(
        "GET", b"/acme/acme-1.0.zip", lambda _: None, address="192.0.2.7", record=RequestRecord(identity)
    )


def refuse(refused: RefusedDownloads, error: SimpleIndexError, identity: Identity = ANYONE) -> None:
    """Record a refusal."""
    refused(error, FILE, asked_by(identity))


@pytest.mark.parametrize(
    ("identity", "error", "lines"),
    [
        (Identity("bob"), NotAllowed("No."), [("bob", None)]),
        (Identity("bob", TOKEN), NotAllowed("No."), [("bob", "ab12cd34")]),
        (Identity(None, TOKEN), NotAllowed("No."), [(None, "ab12cd34")]),
        (ANYONE, NotAllowed("No."), []),
        (ANYONE, Unauthenticated("Log in."), []),
        (Identity("bob"), NotHere("file"), []),
        (Identity("bob"), withheld(), []),
    ],
)
def test_who_may_not_read_is_in_the_audit(
    identity: Identity, error: SimpleIndexError, lines: list[tuple[str | None, str | None]]
) -> None:
    """A user or token that may not read a file has one line a minute, with the file and the reason."""
    clock, audited = Clock(), Audited()
    refused = RefusedDownloads(clock.seconds, audited, Log())
    refuse(refused, error, identity)
    refuse(refused, error, identity)
    assert [(line["who"], line["token"]) for line in audited] == lines
    for line in audited:
        assert (line["event"], line["project"], line["filename"], line["address"], line["detail"]) == (
            "download-refused",
            "acme",
            "acme-1.0.zip",
            "192.0.2.7",
            "No.",
        )
    clock.advance(60)
    refuse(refused, error, identity)
    assert len(audited) == 2 * len(lines)


def test_once_a_minute() -> None:
    """Each file, with the rule, the source and its time, as text and as fields."""
    clock, log = Clock(), Log()
    refused = RefusedDownloads(clock.seconds, log=log)
    for _ in range(3):
        refuse(refused, withheld())
    refuse(refused, withheld("other-1.0.zip", None))
    assert [event["line"] for event in log.events] == [
        "Refused: It is too new. (withheld='age' source='pypi' visible_from=1970-01-01T00:00:00Z)",
        "Refused: It is too new. (withheld='age' source='pypi')",
    ]
    assert (log.events[0]["withheld"], log.events[0]["filename"]) == ("age", "acme-1.0.zip")
    clock.advance(60)
    refuse(refused, withheld())
    assert len(log.events) == 3


def test_memory_is_bounded() -> None:
    """What was refused long ago is forgotten."""
    log = Log()
    refused = RefusedDownloads(Clock().seconds, log=log)
    for number in range(1_001):
        refuse(refused, withheld(f"acme-{number}.zip"))
    refuse(refused, withheld("acme-0.zip"))
    assert len(log.events) == 1_002


def test_told_by_the_index() -> None:
    """A refused download is answered with the sentence, and told of."""
    index = SiteFixture()
    index.source.error = error = withheld()
    reply = index.get("/acme/acme-1.0.zip")
    assert (reply.status, reply.text) == (403, "It is too new.\n")
    assert index.refused == [error]
