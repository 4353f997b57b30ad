"""The log of refused downloads: who is kept from which file by which rule is for the operator to see without being asked."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger

from simpleindex.core.dates import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.core.errors import FileWithheld

_AGAIN: Final = 60.0
"""Seconds after which one file is logged again; an installer that tries again and again must not fill the disk."""

_MOST: Final = 1_000


class RefusedDownloads:
    """Logs each refused file once a minute.

    Every line has the fields ``withheld`` (the rule), ``source``, ``filename`` and ``visible_from`` for those who collect logs as
    structures.

    Args:
        seconds: A clock.
        log: Where to.
    """

    def __init__(self, seconds: Callable[[], float], log: Any = None) -> None:
        self._seconds = seconds
        self._log = log or Logger(namespace="simpleindex")
        self._told: OrderedDict[str, float] = OrderedDict()

    def __call__(self, error: FileWithheld) -> None:
        """Log one."""
        now = self._seconds()
        if now < self._told.get(error.filename, 0.0):
            return
        self._told[error.filename] = now + _AGAIN
        self._told.move_to_end(error.filename)
        if len(self._told) > _MOST:
            self._told.popitem(last=False)
        until = None if error.visible_from is None else timestamp(error.visible_from)
        self._log.info(
            "Refused: {sentence} (withheld={withheld!r} source={source!r}{until})",
            sentence=str(error),
            withheld=error.rule,
            source=error.source,
            filename=error.filename,
            visible_from=until,
            until=f" visible_from={until}" if until else "",
        )
