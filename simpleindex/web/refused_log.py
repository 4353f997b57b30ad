"""Record what is refused: files withheld by a rule in the log; private files, uploads and other changes in the audit."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from cachetools import TTLCache
from twisted.logger import Logger

from simpleindex.core.audit_entry import AuditEntry
from simpleindex.core.errors import NotAllowed
from simpleindex.core.text import timestamp
from simpleindex.policy.errors import FileWithheld

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from simpleindex.core.errors import SimpleIndexError
    from simpleindex.web.http.response import RequestInfo
    from simpleindex.web.routing.routes import FileRoute

_AGAIN: Final = 60.0
"""Seconds after which the same refusal is recorded again: an installer that tries in a loop must not fill the disk."""

_MOST: Final = 1_000


class RefusedDownloads:
    """Records each refused download once a minute.

    A file that a rule withholds is logged; every line has the fields ``withheld`` (the rule), ``source``, ``filename`` and
    ``visible_from`` for those who collect logs as structures. A file that a user or token may not read is a line of the
    audit. A reader without credentials is in the access log only: every installer first tries without.

    Args:
        seconds: A clock.
        audit: Writes a line of the audit; None where nobody can log in.
        log: Where to log.

    Attributes:
        withheld: How often files were refused, by the rule that withholds them; also where that is not logged again.
    """

    def __init__(
        self,
        seconds: Callable[[], float],
        audit: Callable[[AuditEntry], object] | None = None,
        log: Any = None,
    ) -> None:
        self._audit = audit
        self._log = log or Logger(namespace="simpleindex")
        self.withheld: Counter[str] = Counter()
        self._recorded: TTLCache[Hashable, None] = TTLCache(_MOST, _AGAIN, timer=seconds)

    def __call__(self, error: SimpleIndexError, file: FileRoute, request: RequestInfo) -> None:
        """Record one refusal.

        Args:
            error: Why the file was not sent.
            file: The file that was requested.
            request: The request.
        """
        match error:
            case FileWithheld():
                self.withheld[error.rule] += 1
                if self._is_new(error.filename):
                    self._log_withheld(error)
            case NotAllowed():
                self._audit_refused(error, file, request)

    def _audit_refused(self, error: NotAllowed, file: FileRoute, request: RequestInfo) -> None:
        if self._audit is None or request.record is None or not request.record.identity.authenticated:
            return
        identity = request.record.identity
        if self._is_new((str(identity), request.address, file.name, file.filename)):
            self._audit(
                AuditEntry(
                    "download-refused",
                    who=identity.user,
                    token=identity.token_id,
                    address=request.address,
                    project=file.name,
                    filename=file.filename,
                    detail=str(error),
                )
            )

    def _is_new(self, refusal: Hashable) -> bool:
        if refusal in self._recorded:
            return False
        self._recorded[refusal] = None
        return True

    def _log_withheld(self, error: FileWithheld) -> None:
        until = None if error.visible_from is None else timestamp(error.visible_from)
        self._log.warn(
            "Refused: {sentence} (withheld={withheld!r} source={source!r}{until})",
            sentence=str(error),
            withheld=error.rule,
            source=error.source,
            filename=error.filename,
            visible_from=until,
            until=f" visible_from={until}" if until else "",
        )


class RefusedChanges:
    """Records refused uploads and other changes in the audit."""

    def __init__(self, audit: Callable[[AuditEntry], object]) -> None:
        self._audit = audit

    def __call__(self, event: str, request: RequestInfo, status: int, reason: str) -> None:
        """Record one refusal of a change that a user or token tried; failed logins have their own lines.

        Args:
            event: ``upload-refused`` or ``change-refused``.
            request: The request.
            status: The status code of the answer.
            reason: The sentence of the answer.
        """
        if request.record is None or not request.record.identity.authenticated:
            return
        identity = request.record.identity
        self._audit(
            AuditEntry(
                event,
                who=identity.user,
                token=identity.token_id,
                address=request.address,
                project=request.record.project,
                filename=request.record.filename,
                detail=f"{request.method} {status}: {reason}",
            )
        )
