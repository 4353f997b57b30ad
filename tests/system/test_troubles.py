"""The server's own troubles: in the log once a minute, with place and remedy, and on the status page for an hour."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from twisted.logger import LogEvent, Logger, LogLevel, LogPublisher, formatEvent
from twisted.python.failure import Failure

from simpleindex.core.errors import CannotStore, NotHere
from simpleindex.core.faults import Fault
from simpleindex.system.log import LOGGED_AGAIN, UNEXPECTED, TroubleFilter
from simpleindex.system.troubles import FORGOTTEN, Troubles
from simpleindex.web.http.respond import error_response, is_to_be_reported
from tests.fixtures.tables import for_each


class Clock:
    """The time."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def os_error(number: int, path: str | None = None) -> OSError:
    """As the system raises it."""
    return OSError(number, os.strerror(number), path)


class TroublesFixture:
    """The filter and the collection behind one logger."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.troubles = Troubles(self.clock)
        self.events: list[LogEvent] = []
        self.filter = TroubleFilter(self.events.append, self.clock)  # type: ignore[arg-type]
        self.log = Logger("test", observer=LogPublisher(self.filter, self.troubles))

    @property
    def lines(self) -> list[str]:
        """What reached the log, without traceback."""
        return [formatEvent(event) for event in self.events]


def test_a_trouble_is_logged_once_a_minute_and_counted_each_time() -> None:
    """However often it comes; another one beside it is logged at once."""
    world = TroublesFixture()
    for _ in range(100):
        world.log.failure("", Failure(os_error(errno.EMFILE, "/")))
    world.log.failure("", Failure(os_error(errno.EIO, "/")))
    assert [line.partition(":")[0] for line in world.lines] == [
        "/ cannot be used (Too many open files)",
        "/ cannot be used (Input/output error)",
    ]
    world.clock.now += LOGGED_AGAIN
    world.log.failure("", Failure(os_error(errno.EMFILE, "/")))
    assert len(world.lines) == 3
    assert {event["log_level"] for event in world.events} == {LogLevel.error}
    assert not any("log_failure" in event for event in world.events)
    (last, other) = world.troubles.shown()
    assert (last.count, last.first, last.last) == (101, 1_000_000.0, 1_000_060.0)
    assert other.count == 1
    world.clock.now += FORGOTTEN - 1
    assert world.troubles.shown() == (last,)
    world.clock.now += 2
    assert world.troubles.shown() == ()


def test_what_should_never_happen_is_logged_whole_each_time() -> None:
    """It is no trouble of the machine's."""
    world = TroublesFixture()
    for error in (KeyError("x"), KeyError("x"), os_error(errno.ENOENT, "/nothing")):
        world.log.failure("", Failure(error))
    assert world.lines == [UNEXPECTED] * 3
    assert all("log_failure" in event for event in world.events)
    assert world.troubles.shown() == ()


def test_what_an_operator_must_mend_is_shown_and_what_merely_happened_is_not() -> None:
    """Sentences of severity error are, and a trouble in words of its own."""
    world = TroublesFixture()
    world.log.info("{path} is new.", path="a{b}")
    world.log.warn("{path} is late.", path="a")
    world.log.error("{path} is broken.", path="a{b}")
    world.log.error("{trouble}", trouble="The disk is full.")
    assert [each.sentence for each in world.troubles.shown()] == ["The disk is full.", "a{b} is broken."]
    assert world.lines == ["a{b} is new.", "a is late.", "a{b} is broken.", "The disk is full."]


def test_there_is_a_bound() -> None:
    """A thousand places with trouble are not all kept."""
    world = TroublesFixture()
    for number in range(1500):
        world.log.error("{trouble}", trouble=f"{number} cannot be used.")
    shown = world.troubles.shown()
    assert len(shown) == 100
    assert shown[0].sentence == "1499 cannot be used."


RESPONSES: list[tuple[BaseException, int | None, str | None]] = [
    *((os_error(getattr(errno, name)), 503, "2") for name in ("EMFILE", "ENFILE", "ENOMEM", "EAGAIN")),
    *((os_error(getattr(errno, name)), 500, None) for name in ("EIO", "EACCES", "EROFS", "ESTALE")),
    *((os_error(getattr(errno, name)), 507, None) for name in ("ENOSPC", "EDQUOT")),
    (MemoryError(), 503, "2"),
    (CannotStore("In the way.", fault=Fault.MISPLACED), 500, None),
    (CannotStore("Another's.", fault=Fault.FORBIDDEN), 500, None),
    (CannotStore("Not now.", fault=Fault.BUSY), 503, "2"),
    (CannotStore("Full.", fault=Fault.FULL), 507, None),
    (CannotStore("The service uses that name itself."), 403, None),
    (os_error(errno.ENOENT), None, None),
    (OSError("without a number"), None, None),
]


@for_each(("error", "status", "retry_after"), RESPONSES, ids=repr)
def test_the_answer_to_a_trouble(error: BaseException, status: int | None, retry_after: str | None) -> None:
    """Never a status that blames the client, and a time to come back only for what passes by itself."""
    response: Any = error_response(error)
    assert getattr(response, "status", None) == status
    if response is not None:
        assert dict(response.headers).get("Retry-After") == retry_after
    assert is_to_be_reported(error) == (status != 403)


def test_what_a_client_did_is_not_reported() -> None:
    """It is answered, and no business of the operator's."""
    assert not is_to_be_reported(NotHere("project acme"))


def test_a_path_that_is_not_utf8_is_logged() -> None:
    """Such a line could not be written; others are as they were."""
    world = TroublesFixture()
    path = os.fsdecode(b"/srv/\xff")
    world.log.info("{text} {path}", text="Bücher", path=Path(path))
    world.log.info("{line}", line=f"Serving {path}.")
    assert [line.encode() for line in world.lines] == [
        "Bücher /srv/\\udcff".encode(),
        b"Serving /srv/\\udcff.",
    ]
