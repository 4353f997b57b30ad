"""What is wrong with the certificates of the server: their end, their names, the last request for one. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from simpleindex.core.text import plural, printable
from simpleindex.diagnosis.finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

_WARN_BEFORE: Final = timedelta(days=14)
_BY_CERTBOT: Final = "/etc/letsencrypt/"


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """A certificate in ``--certs``.

    Attributes:
        real_path: The same, with links followed.
        names: What it is for.
        origin: ``operator``, ``authority``, ``private-ca`` or ``former-private-ca``; None if it cannot be read.
        expires: Its end; None if it cannot be read.
        problem: Why it cannot be served, as a sentence; None if it can.
    """

    path: str
    real_path: str
    names: tuple[str, ...]
    origin: str | None
    expires: datetime | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class ServedNames:
    """What the certificates are served for.

    Attributes:
        host: The host of ``--url``; None if no URL is configured.
        is_acme: Whether ``--acme`` requests certificates.
        last_error: Why the last request failed, as a sentence; None if it did not.
    """

    host: str | None
    is_acme: bool = False
    last_error: str | None = None


def judge_certificates(
    certificates: Sequence[CertificateFacts], served: ServedNames, now: datetime
) -> Iterator[Finding]:
    """Yield what is wrong with certificates.

    Args:
        certificates: Those in ``--certs``.
        served: What they are served for.
        now: The time, UTC.
    """
    usable = [each for each in certificates if each.problem is None]
    for each in certificates:
        if each.problem is not None:
            # Beside one that can be served, it is only passed over.
            severity = Severity.WARNING if usable else Severity.ERROR
            yield Finding(severity, each.problem, _renewal(each, served))
        elif each.origin == "operator" and each.expires is not None and each.expires - now < _WARN_BEFORE:
            left = plural((each.expires - now).days, "day")
            sentence = (
                f"{printable(each.path)} ends in {left}, on {each.expires:%Y-%m-%d}; clients refuse it then."
            )
            yield Finding(Severity.WARNING, sentence, _renewal(each, served))
    if served.last_error is not None:
        severity = Severity.WARNING if usable else Severity.ERROR
        yield Finding(
            severity,
            f"The last request to the authority of --acme failed: {served.last_error}",
            "simpleindex certificates",
        )
    if (
        served.host is not None
        and usable
        and not any(_covers(name, served.host) for each in usable for name in each.names)
    ):
        sentence = f"No certificate is for {served.host}, the host of --url: clients refuse the connection."
        is_private = all(each.origin == "private-ca" for each in usable)
        remedy = "systemctl restart simpleindex" if is_private else "simpleindex certificates"
        yield Finding(Severity.ERROR, sentence, remedy)


def _renewal(certificate: CertificateFacts, served: ServedNames) -> str:
    """Return the command by which another certificate takes its place."""
    if certificate.real_path.startswith(_BY_CERTBOT):
        return "certbot renew"
    is_left_behind = certificate.origin == "authority" and not served.is_acme
    if certificate.origin == "former-private-ca" or is_left_behind:
        return f"rm {shlex.quote(certificate.path)}"
    if certificate.origin in ("private-ca", "authority") or served.is_acme:
        return "systemctl restart simpleindex"
    return f"cp NEW-CHAIN-AND-KEY.pem {shlex.quote(certificate.path)}"


def _covers(name: str, host: str) -> bool:
    """Return whether a name of a certificate is a host's (RFC 6125 section 6.4.3)."""
    name, host = name.lower(), host.lower().rstrip(".")
    return name == host or (name.startswith("*.") and host.partition(".")[2] == name[2:])
