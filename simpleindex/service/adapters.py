"""Functions that log for parts which take ``say`` and ``failed`` instead of a logger of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.logger import LogLevel

from simpleindex.core.severity import severity_of
from simpleindex.system.log import logger

if TYPE_CHECKING:
    from twisted.python.failure import Failure

_log = logger(__name__)


def say(sentence: str) -> None:
    """Log a sentence with its severity."""
    level = LogLevel.lookupByName(severity_of(sentence).value)
    _log.emit(level, "{sentence}", sentence=sentence)


def failed(failure: Failure) -> None:
    """Log an unexpected exception."""
    _log.failure("", failure)
