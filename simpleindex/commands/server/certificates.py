"""``simpleindex certificates``: the certificates of the server: names, end, and when ``--acme`` renews them."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509

from simpleindex.commands.arguments import Parser
from simpleindex.commands.server_options import add_server_options, server_settings
from simpleindex.core.errors import RefusedStart
from simpleindex.core.text import plural, printable
from simpleindex.records.opening import open_postgresql
from simpleindex.tls.acme.schedule import CHECK_INTERVAL
from simpleindex.tls.acme.state_files import AcmeState
from simpleindex.tls.acme.status import RenewalStatus
from simpleindex.tls.certificate_files import places, read_place
from simpleindex.tls.certificates import ServerCertificate, refuse_invalid_now
from simpleindex.tls.issuing import is_made_here
from simpleindex.tls.pem import UnusableCertificate
from simpleindex.tls.private_ca import find_orphans

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simpleindex.config.settings import Settings
    from simpleindex.tls.certificate_files import CertificatePlace

_ORIGINS = {
    "operator": "yours",
    "authority": "from the authority of --acme",
    "private-ca": "from the private CA",
    "former-private-ca": "from a private CA that is gone",
}


def certificates(words: list[str]) -> int:
    """Run the command.

    Returns:
        The exit status: 0 if all certificates can be served and the last request for one succeeded, 1 otherwise.
    """
    parser = Parser(
        prog="simpleindex certificates",
        description="Show the server's certificates: names, end, and when --acme renews them.",
        epilog="Exit status 0: all can be served; 1: one cannot, or the last request for a new one failed.",
    )
    add_server_options(parser, "certs", "state", "config")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(words)
    settings = server_settings(arguments, root_may_be_gone=True)
    report = certificate_report(settings, datetime.now(UTC))
    if arguments.json:
        print(json.dumps(report, indent=2))
    else:
        print("\n".join(_lines(settings, report)))
    problems = [each["problem"] for each in report["certificates"] if each["problem"]]
    return 1 if problems or (report["acme"] and report["acme"]["last-error"]) else 0


def certificate_report(settings: Settings, now: datetime) -> dict[str, Any]:
    """Return the facts about certificates, as the command prints them with ``--json``.

    Args:
        settings: Where they lie.
        now: The time, UTC.

    Returns:
        ``certificates`` (each with ``file``, ``names``, ``origin``, ``expires``, ``problem``) and ``acme``, which is None if none was
        requested yet (else ``renew-at``, ``explanation``, ``next-try``, ``failures`` and ``last-error``). Times are RFC 3339 texts.

    Raises:
        RefusedStart: The directory of certificates cannot be read.
    """
    ca = _private_ca(settings)
    orphans = frozenset() if ca is None else find_orphans(settings.certs, settings.state)
    try:
        present = [_describe(place, ca, now) for place in places(settings.certs)]
    except RefusedStart as refused:
        # Its advice is for the server, and a user who may not read here need not change that.
        raise RefusedStart(_why_unreadable(refused) or str(refused)) from None
    for each in present:
        if each["file"] in orphans:
            sentence = f"{each['file']} is not served, because its private CA is not in {settings.state / 'ca'} any more: remove it."
            each.update({"origin": "former-private-ca", "problem": sentence})
    try:
        status = _status(settings)
    except OSError as error:
        unknown = {"renew-at": None, "explanation": None, "next-try": None, "failures": 0}
        sentence = f"It is not known: {settings.records} cannot be read ({error.strerror})."
        return {"certificates": present, "acme": {**unknown, "last-error": sentence}}
    return {"certificates": present, "acme": None if status == RenewalStatus() else _renewal(status)}


def _status(settings: Settings) -> RenewalStatus:
    if settings.config is not None and settings.acme is None:
        return RenewalStatus()  # left by a server that had the option; nobody tries again
    if settings.records is None or settings.acme is None:
        return AcmeState(settings.state, settings.acme_directory).read_status()
    from simpleindex.service.composition.acme import acme_settings, open_acme_store  # noqa: PLC0415  (few have nodes)

    records = open_postgresql(settings.records)
    try:
        return open_acme_store(settings, acme_settings(settings), records).read_status()
    finally:
        records.close()


def _describe(place: CertificatePlace, ca: x509.Certificate | None, now: datetime) -> dict[str, Any]:
    try:
        certificate = read_place(place, ca)
    except UnusableCertificate as error:
        problem = _why_unreadable(error) or str(error)
        return {"file": place.where, "names": [], "origin": None, "expires": None, "problem": problem}
    return {
        "file": place.where,
        "names": list(certificate.names),
        # Where --state is another user's, whose CA it was cannot be seen, but not that it was one of ours.
        "origin": "private-ca"
        if is_made_here(certificate.leaf)
        else certificate.origin.name.lower().replace("_", "-"),
        "expires": certificate.expires.isoformat(),
        "problem": _problem(certificate, now),
    }


def _why_unreadable(error: Exception) -> str | None:
    """Return a sentence about what this user may not read; None if that is not what is wrong."""
    cause = error.__cause__
    if not isinstance(cause, PermissionError):
        return None
    return f"{cause.filename} cannot be read ({cause.strerror}): run the command as root, or as the service's user."


def _problem(certificate: ServerCertificate, now: datetime) -> str | None:
    try:
        refuse_invalid_now(certificate, now)
    except UnusableCertificate as error:
        return str(error)
    return None


def _renewal(status: RenewalStatus) -> dict[str, Any]:
    certificate, failed = status.certificate, status.failed
    return {
        "renew-at": certificate and certificate.renew_at.isoformat(timespec="seconds"),
        "explanation": (certificate and certificate.explanation) or None,
        "next-try": failed and failed.next_try.isoformat(timespec="seconds"),
        "failures": 0 if failed is None else failed.count,
        "last-error": failed and failed.sentence,
    }


def _private_ca(settings: Settings) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate((settings.state / "ca" / "cert.pem").read_bytes())
    except (OSError, ValueError):
        return None


def _lines(settings: Settings, report: dict[str, Any]) -> Iterator[str]:
    now = datetime.now(UTC)
    if not report["certificates"]:
        yield f"{settings.certs} holds no certificate; the server makes one with a private CA when it starts with --https."
    for each in report["certificates"]:
        if each["names"]:
            end = datetime.fromisoformat(each["expires"])
            yield f"{each['file']}: {', '.join(each['names'])}"
            yield f"  {_ORIGINS[each['origin']]}, until {end:%Y-%m-%d %H:%M} UTC ({_left(end - now)})"
        if each["problem"]:
            yield f"  {each['problem']}"
    if (acme := report["acme"]) is not None:
        if acme["last-error"]:
            yield f"Last request to the authority of --acme: {acme['last-error']}"
            if acme["failures"]:
                yield f"Failed tries: {acme['failures']}; {_when('the next try is', acme['next-try'], now)}"
        elif acme["renew-at"]:
            yield f"{_when('The certificate of --acme is renewed', acme['renew-at'], now)}"
        if acme["explanation"]:
            yield f"The authority explains when it suggests to renew: {printable(acme['explanation'])}"
    elif os.path.exists(settings.state) and not os.access(settings.state, os.X_OK):
        yield f"{settings.state} cannot be read: requests of --acme are shown to root and to the service's user."
    elif settings.acme is not None or (settings.config is None and os.path.isdir(settings.state / "acme")):
        yield "No certificate of --acme yet: a server that runs with it requests one, and its log says what comes of that."


def _left(left: timedelta) -> str:
    if left <= timedelta(0):
        return "over"
    hours = int(left.total_seconds()) // 3600
    return f"{plural(hours // 24, 'day') if hours >= 48 else plural(hours, 'hour')} left"


def _when(what: str, text: str | None, now: datetime) -> str:
    """Return the end of a sentence about something that a running server does at a time."""
    if text is None:
        return f"{what} at once."
    time = datetime.fromisoformat(text)
    is_missed = time < now - CHECK_INTERVAL
    return f"{what} at {time:%Y-%m-%d %H:%M} UTC{', which has passed: does the server run with --acme?' if is_missed else '.'}"
