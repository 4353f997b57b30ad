"""The log of refused downloads."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from simpleindex.core.errors import FileWithheld
from simpleindex.web.refused import RefusedDownloads
from tests.web.memory_client import Index


class Log:
    """Takes events."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def info(self, line: str, **fields: Any) -> None:
        self.events.append({"line": line.format(**fields), **fields})


def withheld(filename: str = "acme-1.0.zip", visible_from: float | None = 0.0) -> FileWithheld:
    """One."""
    return FileWithheld(
        "It is too new.", filename=filename, rule="age", source="pypi", visible_from=visible_from
    )


def test_once_a_minute() -> None:
    """Each file, with the rule, the source and its time, as text and as fields."""
    clock, log = Clock(), Log()
    refused = RefusedDownloads(clock.seconds, log)
    for _ in range(3):
        refused(withheld())
    refused(withheld("other-1.0.zip", None))
    assert [event["line"] for event in log.events] == [
        "Refused: It is too new. (withheld='age' source='pypi' visible_from=1970-01-01T00:00:00Z)",
        "Refused: It is too new. (withheld='age' source='pypi')",
    ]
    assert (log.events[0]["withheld"], log.events[0]["filename"]) == ("age", "acme-1.0.zip")
    clock.advance(60)
    refused(withheld())
    assert len(log.events) == 3


def test_memory_is_bounded() -> None:
    """What was refused long ago is forgotten."""
    log = Log()
    refused = RefusedDownloads(Clock().seconds, log)
    for number in range(1_001):
        refused(withheld(f"acme-{number}.zip"))
    refused(withheld("acme-0.zip"))
    assert len(log.events) == 1_002


def test_told_by_the_index() -> None:
    """A refused download is answered with the sentence, and told of."""
    index = Index()
    index.source.error = error = withheld()
    reply = index.get("/acme/acme-1.0.zip")
    assert (reply.status, reply.text) == (403, "It is too new.\n")
    assert index.refused == [error]
