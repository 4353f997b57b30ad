"""The server's own troubles: in the log once a minute, with place and remedy, and on the status page for an hour."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest
from twisted.python.failure import Failure

from simpleindex.core.errors import CannotStore, NotHere
from simpleindex.core.faults import Fault
from simpleindex.web.http.respond import error_response, is_to_be_reported
from simpleindex.web.troubles import FORGOTTEN, LOGGED_AGAIN, Troubles


class Log:
    """Takes what is logged."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.failures: list[Failure] = []

    def error(self, _: str, *, sentence: str) -> None:
        """Take a sentence."""
        self.errors.append(sentence)

    def failure(self, _: str, *, failure: Failure) -> None:
        """Take what should never happen."""
        self.failures.append(failure)


class Clock:
    """The time."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def os_error(number: int, path: str | None = None) -> OSError:
    """As the system raises it."""
    return OSError(number, os.strerror(number), path)


def test_a_trouble_is_logged_once_a_minute_and_counted() -> None:
    """However often it comes; another one beside it is logged at once."""
    log, clock = Log(), Clock()
    troubles = Troubles(clock, log)
    for _ in range(100):
        troubles.failed(Failure(os_error(errno.EMFILE, "/")))
    troubles.failed(Failure(os_error(errno.EIO, "/")))
    assert [line.partition(":")[0] for line in log.errors] == [
        "/ cannot be used (Too many open files)",
        "/ cannot be used (Input/output error)",
    ]
    clock.now += LOGGED_AGAIN
    troubles.failed(Failure(os_error(errno.EMFILE, "/")))
    assert len(log.errors) == 3
    (last, other) = troubles.shown()
    assert (last.count, last.first, last.last) == (101, 1_000_000.0, 1_000_060.0)
    assert other.count == 1
    clock.now += FORGOTTEN - 1
    assert troubles.shown() == (last,)
    clock.now += 2
    assert troubles.shown() == ()
    assert not log.failures


def test_what_should_never_happen_is_logged_whole() -> None:
    """It is no trouble of the machine's."""
    log = Log()
    troubles = Troubles(Clock(), log)
    troubles.failed(Failure(KeyError("x")))
    troubles.failed(Failure(os_error(errno.ENOENT, "/nothing")))
    assert (len(log.failures), log.errors, troubles.shown()) == (2, [], ())


def test_there_is_a_bound() -> None:
    """A thousand places with trouble are not all kept."""
    troubles = Troubles(Clock(), Log())
    for number in range(1000):
        troubles.note(f"{number} cannot be used.")
    shown = troubles.shown()
    assert len(shown) == 100
    assert shown[0].sentence == "999 cannot be used."


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


@pytest.mark.parametrize(("error", "status", "retry_after"), RESPONSES, ids=repr)
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
