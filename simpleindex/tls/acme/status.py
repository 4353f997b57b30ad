"""What is remembered about a certificate and about failed tries to get one, and its form as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from simpleindex.tls.acme.errors import LONGEST_SENTENCE, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simpleindex.tls.acme.errors import AcmeFailed

_BEFORE: Final = " The failure before that: "

_ADVICE_AT: Final = "ask-at"
"""The key of :attr:`CertificateStatus.advice_at`. To a server that does not find it there is no status of the certificate, and none of the
failed tries that belong to it, so it would request again at once."""


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """What is remembered of the certificate that is there.

    Attributes:
        serial: Its serial number, in hexadecimal digits.
        directory: The URL of the authority's directory that issued it; empty if that is unknown.
        renew_at: When it is to be renewed, UTC.
        advice_at: When advice is fetched from the authority again, UTC (RFC 9773 section 4.3.2); None for at once.
        explanation: The URL of the page on which the authority explains its advice; empty without one.
    """

    serial: str
    directory: str
    renew_at: datetime
    advice_at: datetime | None
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class FailedTries:
    """Tries to get a certificate that failed since the last success.

    Attributes:
        request: What they were for, as :func:`request_text` writes it.
        count: How many there were.
        sentence: What was wrong with the last one.
        last: When that was, UTC.
        next_try: Before this no request is made, UTC.
        is_wait_requested: Whether the authority requests the wait until then.
    """

    request: str
    count: int
    sentence: str
    last: datetime
    next_try: datetime
    is_wait_requested: bool


def failure_sentence(failed: AcmeFailed, former: FailedTries | None) -> str:
    """Return what is wrong, in one line.

    An authority that refuses more requests does so because of the failures before: the last of these is named beside it, or
    nobody would learn what to mend.

    Args:
        failed: What failed now.
        former: What failed before; None if nothing did.
    """
    sentence = str(failed)
    if failed.retry_after is not None and former is not None:
        own, is_chain, cause = former.sentence.partition(_BEFORE)
        if not is_chain and not former.is_wait_requested:
            cause = own
        sentence += f"{_BEFORE}{cause}" if cause else ""
    return one_line(sentence, LONGEST_SENTENCE)


@dataclass(frozen=True, slots=True)
class RenewalStatus:
    """What is remembered between two checks.

    Attributes:
        certificate: Of the certificate; None before the first.
        failed: Of failed tries; None if the last one succeeded.
    """

    certificate: CertificateStatus | None = None
    failed: FailedTries | None = None


def request_text(directory: str, names: Iterable[str]) -> str:
    """Return what is requested, where, as one line; failures of another request mean nothing for this one."""
    return " ".join((directory, *sorted(names)))


def parse_status(data: bytes) -> RenewalStatus:
    """Return the status that a file holds; what cannot be read of it is not there."""
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        return RenewalStatus()
    if not isinstance(values, dict):
        return RenewalStatus()
    return RenewalStatus(_certificate(values.get("certificate")), _failed(values.get("failed")))


def status_json(status: RenewalStatus) -> bytes:
    """Return a status as its file holds it."""
    certificate, failed = status.certificate, status.failed
    values = {
        "certificate": certificate
        and {
            "serial": certificate.serial,
            "directory": certificate.directory,
            "renew-at": certificate.renew_at.isoformat(),
            _ADVICE_AT: certificate.advice_at and certificate.advice_at.isoformat(),
            "explanation": certificate.explanation,
        },
        "failed": failed
        and {
            "request": failed.request,
            "count": failed.count,
            "sentence": failed.sentence,
            "last": failed.last.isoformat(),
            "next-try": failed.next_try.isoformat(),
            "is-wait-requested": failed.is_wait_requested,
        },
    }
    return json.dumps(values, indent=1).encode()


def _certificate(values: Any) -> CertificateStatus | None:
    try:
        advice_at = None if values[_ADVICE_AT] is None else _moment(values[_ADVICE_AT])
        return CertificateStatus(
            str(values["serial"]),
            str(values["directory"]),
            _moment(values["renew-at"]),
            advice_at,
            str(values.get("explanation", "")),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _failed(values: Any) -> FailedTries | None:
    try:
        return FailedTries(
            str(values["request"]),
            int(values["count"]),
            one_line(str(values["sentence"]), LONGEST_SENTENCE),
            _moment(values["last"]),
            _moment(values["next-try"]),
            bool(values["is-wait-requested"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _moment(text: str) -> datetime:
    """Parse a time with its zone; UTC."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("a time without a zone")
    return time.astimezone(UTC)
