"""The log as a person reads it, and as the journal does."""

from __future__ import annotations

import io
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from twisted.application.service import Application
from twisted.logger import ILogObserver, LogLevel
from twisted.python.failure import Failure

from simpleindex.service.log_lines import foreground_observer, is_journal, line_of
from simpleindex.tap import Options, makeService

if TYPE_CHECKING:
    from pathlib import Path


def event(
    text: str, level: Any = LogLevel.info, namespace: str = "simpleindex", **more: Any
) -> dict[str, Any]:
    """An event as Twisted's logger makes them."""
    return {
        "log_format": "{text}",
        "text": text,
        "log_level": level,
        "log_namespace": namespace,
        "log_time": 1_700_000_000.0,
        **more,
    }


@pytest.mark.parametrize(
    ("level", "priority"), [("debug", 7), ("info", 6), ("warn", 4), ("error", 3), ("critical", 2)]
)
def test_a_line_has_its_severity(level: str, priority: int) -> None:
    """With the time for a person; in the journal's own form, without a second time, for the journal."""
    given = event("six-1.0.zip is not served: it is empty.", LogLevel.lookupByName(level))
    line = line_of(given)
    assert line is not None
    time, _, rest = line.partition(" ")
    assert time.startswith("2023-11-1")
    assert rest == f"{level}: six-1.0.zip is not served: it is empty.\n"
    assert line_of(given, journal=True) == f"<{priority}>six-1.0.zip is not served: it is empty.\n"


@pytest.mark.parametrize(
    ("text", "namespace"),
    [
        (
            "Starting factory <simpleindex.web.http.site.IndexSite object at 0x7f>",
            "simpleindex.web.http.site",
        ),
        ("IndexSite (TLS) starting on 8443", "log_legacy"),
        ("(TCP Port 8443 Closed)", "log_legacy"),
        ("reactor class: twisted.internet.epollreactor.EPollReactor.", "twisted.scripts._twistd_unix"),
        ("Main loop terminated.", "twisted.internet.base"),
    ],
)
def test_what_twisted_does_inside_is_no_line(text: str, namespace: str) -> None:
    """Classes and objects are of no use to an operator; what goes wrong there is shown all the same."""
    noise = namespace.startswith("simpleindex")  # The site itself is quiet (IndexSite.noisy).
    assert (line_of(event(text, namespace=namespace)) is None) is not noise
    assert line_of(event(text, LogLevel.warn, namespace)) is not None
    assert line_of(event(text, namespace=namespace, isError=1)) is not None


def test_the_beginning_and_the_end_are_lines() -> None:
    """Which version starts, and which signal ends it."""
    for text in ("twistd 26.10.0 (python 3.11) starting up.", "Received SIGTERM, shutting down."):
        assert line_of(event(text, namespace="twisted.internet.base")) is not None


def test_a_failure_is_critical_on_every_line() -> None:
    """A traceback is indented for a person, and has its priority on each of its lines in the journal."""
    given = event("It failed.", LogLevel.critical, log_failure=Failure(ValueError("one\ntwo")))
    line, entries = line_of(given), line_of(given, journal=True)
    assert line is not None
    assert entries is not None
    assert all(each.startswith("<2>") for each in entries.splitlines())
    assert all(each.startswith("\t") for each in line.splitlines()[1:])


def test_an_empty_event_is_no_line() -> None:
    """As with Twisted's own observer."""
    assert line_of(event("")) is None


def test_the_journal_is_recognised_by_its_stream(tmp_path: Path) -> None:
    """By the device and the number that systemd states, and only while the output still is that stream."""
    with (tmp_path / "log").open("w+") as stream:
        status = os.fstat(stream.fileno())
        here = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert is_journal(here, stream)
        assert not is_journal({"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino + 1}"}, stream)
        assert not is_journal({}, stream)
        foreground_observer(here, stream)(event("Hello."))
        foreground_observer({}, stream)(event("Hello."))
        stream.seek(0)
        assert stream.readline() == "<6>Hello.\n"
        assert stream.readline().endswith(" info: Hello.\n")
    assert not is_journal(here, io.StringIO())
    assert not is_journal(here, stream)


@pytest.mark.parametrize(
    ("twistd", "is_ours"),
    [
        ({"nodaemon": 1}, True),
        ({"nodaemon": 1, "logfile": "-"}, True),
        ({"nodaemon": 1, "logfile": "x.log"}, False),
        ({"nodaemon": 1, "syslog": 1}, False),
        ({"nodaemon": 1, "logger": "a.b"}, False),
        ({}, False),
    ],
)
def test_twistd_keeps_its_other_logs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, twistd: dict[str, Any], is_ours: bool
) -> None:
    """Only what goes to the standard output is in this form."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    (tmp_path / "packages").mkdir()
    options = Options()
    options.parseOptions(
        [
            "--path",
            str(tmp_path / "packages"),
            "--cache",
            str(tmp_path / "c"),
            "--http",
            "tcp:0:interface=127.0.0.1",
        ]
    )
    options.parent = twistd  # type: ignore[assignment]  # twistd passes a mapping of its own
    application = Application("simpleindex")
    makeService(options).setServiceParent(application)
    assert (application.getComponent(ILogObserver, None) is not None) is is_ours
