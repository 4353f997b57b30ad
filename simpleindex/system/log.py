"""The log of every module: Twisted's ``Logger``, behind one filter that keeps troubles short and rare.

A module writes ``_log = logger(__name__)`` and calls ``_log.info("{path} is new.", path=path)``: the format is a constant,
and what varies is a field, because a file's name may hold braces. An unexpected exception goes to
``_log.failure("")``: if it is a trouble of the machine, its sentence is logged instead of a traceback, at most once a minute.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import ILogObserver, Logger, LogLevel, LogPublisher, eventAsText, globalLogPublisher
from zope.interface import implementer

from simpleindex.system.errors import own_trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from twisted.logger import LogEvent

LOGGED_AGAIN: Final = 60.0
"""Seconds after which a trouble that goes on is logged once more."""

_MOST: Final = 1000
"""Sentences whose last time is remembered."""

UNEXPECTED: Final = "This should never happen; please report it."


def trouble_in(event: LogEvent) -> str | None:
    """Return the sentence of a trouble that an event is about; None for every other event.

    An event is about a trouble if it has the field ``trouble``, or the exception that it carries is one of the machine.
    """
    sentence = event.get("trouble")
    if sentence is not None:
        return str(sentence)
    failure = event.get("log_failure")
    trouble = None if failure is None else own_trouble(failure.value)
    return None if trouble is None else trouble.for_operator()


def log_each(log: Logger, lines: Iterable[str]) -> None:
    """Log each line by itself."""
    for line in lines:
        log.info("{line}", line=line)


@implementer(ILogObserver)
class TroubleFilter:
    """Passes events on: a trouble as its sentence, and at most once a minute; everything else as it is.

    Args:
        observer: Where events go.
        seconds: A clock that is never set back.
    """

    def __init__(self, observer: ILogObserver, seconds: Callable[[], float] = time.monotonic) -> None:
        self._observer = observer
        self._seconds = seconds
        self._logged: dict[str, float] = {}

    def __call__(self, event: LogEvent) -> None:
        sentence = trouble_in(event)
        if sentence is not None:
            if not self._is_due(sentence):
                return
            event = {**event, "log_format": "{trouble}", "trouble": sentence, "log_level": LogLevel.error}
            event.pop("log_failure", None)
        elif "log_failure" in event and not event.get("log_format"):
            event = {**event, "log_format": UNEXPECTED}
        self._observer(_encodable(event))

    def forget(self) -> None:
        """Log every trouble again, as if none had been logged."""
        self._logged.clear()

    def _is_due(self, sentence: str) -> bool:
        now = self._seconds()
        if now - self._logged.get(sentence, now - LOGGED_AGAIN) < LOGGED_AGAIN:
            return False
        if len(self._logged) >= _MOST:
            self._logged.clear()
        self._logged[sentence] = now
        return True


def _encodable(event: LogEvent) -> LogEvent:
    """Return an event whose texts can be written as UTF-8: Twisted drops a line with a path that has other bytes."""
    fields = {name: value for name, value in event.items() if isinstance(value, (str, PurePath))}
    changed = {name: _escaped(str(value)) for name, value in fields.items() if not str(value).isascii()}
    return {**event, **changed} if changed else event


def _escaped(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


FILTER: Final = TroubleFilter(globalLogPublisher)

PUBLISHER: Final = LogPublisher(FILTER)
"""Receives every event of this project's modules, also those that the filter keeps from the log."""


_reporting: Final[list[ILogObserver]] = []
"""The observers of :func:`log_to`, of which the last one gets everything."""


@contextmanager
def log_to(report: Callable[[str], None], warn: Callable[[str], None] | None = None) -> Iterator[None]:
    """Pass every sentence that is logged meanwhile to a function, for commands; within another such block to the inner one alone.

    Args:
        report: Called with each sentence.
        warn: Called instead with those that are logged as warnings or errors.
    """

    @implementer(ILogObserver)
    class Observer:
        def __call__(self, event: LogEvent) -> None:
            is_warning = event.get("log_level") not in (LogLevel.debug, LogLevel.info)
            take = warn if warn is not None and is_warning else report
            take(trouble_in(event) or eventAsText(event, False, False, False))

    observer = Observer()
    for outer in _reporting[-1:]:
        PUBLISHER.removeObserver(outer)
    PUBLISHER.addObserver(observer)
    _reporting.append(observer)
    try:
        yield
    finally:
        _reporting.pop()
        PUBLISHER.removeObserver(observer)
        for outer in _reporting[-1:]:
            PUBLISHER.addObserver(outer)


class _PrefixedLogger(Logger):
    """Puts a name before every sentence."""

    def __init__(self, namespace: str, prefix: str) -> None:
        super().__init__(namespace, observer=PUBLISHER)
        self._prefix = prefix

    def emit(self, level: Any, format: str | None = None, **fields: object) -> None:  # noqa: A002 (Twisted's name)
        """Log a sentence."""
        super().emit(level, f"{{log_prefix}}: {format}", log_prefix=self._prefix, **fields)


def logger(name: str, prefix: str = "") -> Logger:
    """Return the logger of a module.

    Args:
        name: The module's ``__name__``.
        prefix: A name to put before its sentences, as of one of several directories.
    """
    return _PrefixedLogger(name, prefix) if prefix else Logger(name, observer=PUBLISHER)
