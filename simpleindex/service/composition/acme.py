"""Put ``--acme`` together: what is requested for whom, the challenges, and the renewal; imported only with that option."""

from __future__ import annotations

import os
import ssl
from base64 import b64decode
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from simpleindex.config.acme_values import LETS_ENCRYPT_STAGING, parse_identifier
from simpleindex.core.errors import InvalidSetting, RefusedStart
from simpleindex.service.ending import THREAD_SECONDS, Patience, bound_joins
from simpleindex.service.places import own_directory
from simpleindex.system.threads import Threads
from simpleindex.tls.acme.alpn import select_protocol
from simpleindex.tls.acme.certificate_requests import CertificateRequests
from simpleindex.tls.acme.issuing import AcmeAuthority, names_of, read_certificate
from simpleindex.tls.acme.renewal import CertificateRenewal
from simpleindex.tls.acme.settings import AcmeSettings, ExternalAccount, public_identifiers, refuse_private
from simpleindex.tls.acme.state_files import AcmeState
from simpleindex.tls.acme.store import ANNOUNCED
from simpleindex.tls.certificate_files import ACME_DIRECTORY, why_unreadable
from simpleindex.tls.machine_names import this_machine
from simpleindex.tls.serving import AcmeServing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simpleindex.config.acme_values import Identifier
    from simpleindex.config.settings import Settings
    from simpleindex.records.interface import Records
    from simpleindex.service.runtime import Runtime
    from simpleindex.tls.acme.store import AcmeStore
    from simpleindex.tls.private_ca import Owner

_LARGEST_FILE = 1 << 20
"""Bytes; all roots of Mozilla are about 220 KiB."""

_TLS_PORT, _HTTP_PORT = 443, 80
"""Where authorities connect to (RFC 8737 section 3, RFC 8555 section 8.3)."""


@dataclass(frozen=True)
class AcmeParts:
    """The parts that serve and renew certificates of an ACME authority.

    Attributes:
        settings: What is requested, and where.
        serving: What the TLS server does for it.
        renewal: Requests certificates while the server runs.
    """

    settings: AcmeSettings
    certs: Path
    serving: AcmeServing
    renewal: CertificateRenewal

    @property
    def is_awaited(self) -> bool:
        """Whether there is no certificate for these names yet."""
        present = read_certificate(self.certs)
        return present is None or not names_of(present) >= self.serving.names

    def lines(self, settings: Settings) -> Iterator[str]:
        """Return the lines for the log at start: what is requested where, and what would surprise.

        Args:
            settings: Which ports are open.
        """
        directory, names = (
            self.settings.directory,
            ", ".join(each.value for each in self.settings.identifiers),
        )
        if self.is_awaited:
            yield (
                f"A certificate for {names} is requested from {directory}; until it is there, those above are served. "
                "By --acme you agree to the authority's terms of service."
            )
        else:
            yield f"{directory} certifies {names}; by --acme you agree to its terms of service."
        if directory == LETS_ENCRYPT_STAGING:
            yield "It is the authority to practise with: clients trust none of its certificates."
        if elsewhere := _ports_elsewhere(settings):
            yield (
                f"The authority connects to port {_TLS_PORT}, whatever --https says: let that lead to port {elsewhere} of this machine, "
                f"or give --http {_HTTP_PORT} and let port {_HTTP_PORT} be reached."
            )


def _ports_elsewhere(settings: Settings) -> str:
    """Return the ports of ``--https`` if no authority connects to any that is open; empty if one does, or an endpoint may be it."""
    https, http = ({each.port for each in option} for option in (settings.https, settings.http))
    if _TLS_PORT in https or _HTTP_PORT in http or None in https | http:
        return ""
    return " or ".join(sorted(map(str, https)))


def compose_acme(runtime: Runtime) -> AcmeParts:
    """Create what ``--acme`` needs; nothing is requested yet.

    Raises:
        RefusedStart: There is nothing to request a certificate for, or a file of the options cannot be used.
    """
    settings, reactor = runtime.settings, runtime.reactor
    acme = acme_settings(settings)
    _prepare_directories(settings, runtime.owner)
    state = open_acme_store(settings, acme, runtime.records)
    clock = partial(datetime.now, UTC)
    authority = AcmeAuthority(acme, state, settings.certs, clock)
    threads = Threads(reactor, "certificates", 1)
    bound_joins(threads.pool, Patience(THREAD_SECONDS))
    renewal = CertificateRenewal(
        CertificateRequests(authority, state, settings.certs, clock), threads, reactor
    )
    runtime.records.listeners.append(
        lambda place, _: reactor.callFromThread(renewal.check_soon) if place in ("", ANNOUNCED) else None
    )
    serving = AcmeServing(
        authority.names, select_protocol(state.read_challenge_certificates), state.read_key_authorization
    )
    return AcmeParts(acme, settings.certs, serving, renewal)


def open_acme_store(settings: Settings, acme: AcmeSettings, records: Records) -> AcmeStore:
    """Return where ACME keeps its account and what it remembers: with the records where nodes share them, else in ``--state``."""
    if settings.records is None:
        return AcmeState(settings.state, acme.directory)
    from simpleindex.records.postgresql.acme import SharedAcmeStore  # noqa: PLC0415  (only with --records)

    names = [each.value for each in acme.identifiers]
    return SharedAcmeStore(records, settings.records, acme.directory, names)


def acme_settings(settings: Settings) -> AcmeSettings:
    """Return what is requested, for which names.

    Raises:
        RefusedStart: There is no name and no address, or a file cannot be read.
    """
    assert settings.acme is not None, "only called with --acme"
    external = None
    if settings.acme_eab_id is not None:
        assert settings.acme_eab_key is not None, "the settings refuse one without the other"
        external = ExternalAccount(settings.acme_eab_id, _read_account_key(settings.acme_eab_key))
    if settings.acme_trust is not None:
        _refuse_no_roots(settings.acme_trust)
    return AcmeSettings(
        contact=settings.acme.email,
        directory=settings.acme_directory,
        identifiers=_identifiers(settings),
        profile=settings.acme_profile,
        external_account=external,
        trust=None if settings.acme_trust is None else str(settings.acme_trust),
        may_use_http=bool(settings.http),
    )


def _identifiers(settings: Settings) -> tuple[Identifier, ...]:
    requested = list(settings.acme_name)
    for each in requested:
        try:
            refuse_private(each, settings.acme_directory)
        except InvalidSetting as invalid:
            raise RefusedStart(f"--acme-name: {each.value!r} {invalid.reason}") from None
    host = urlsplit(settings.url).hostname if settings.url else None
    if host is not None:
        try:
            identifier = parse_identifier(host)
            refuse_private(identifier, settings.acme_directory)
            requested.insert(0, identifier)
        except InvalidSetting as invalid:
            if not requested:
                raise RefusedStart(
                    f"--acme: the host of --url, {host!r}, {invalid.reason}; or give --acme-name"
                ) from None
    requested = requested or list(public_identifiers(this_machine()))
    if not requested:
        raise RefusedStart(
            "--acme: this machine has neither a full public name nor a public address of its own; give the name or address "
            "under which clients reach it, as in --acme-name packages.example.org"
        )
    return tuple(dict.fromkeys(requested))


def _refuse_no_roots(path: Path) -> None:
    if os.path.exists(path) and not os.path.isfile(path):
        # A pipe would hold the start, and is empty for the second request.
        raise RefusedStart(f"--acme-trust: {path} is no file with roots")
    _read(path, "acme-trust")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        raise RefusedStart(f"--acme-trust: {path} holds no certificates in PEM form") from None


def _read_account_key(path: Path) -> str:
    """Return the key of ``--acme-eab-key``, base64url text with or without its padding (RFC 8555 section 7.3.4)."""
    text = _read(path, "acme-eab-key").strip().rstrip(b"=")
    try:
        key = b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        key = b""
    if not key:
        raise RefusedStart(
            f"--acme-eab-key: {path} holds no base64url text: copy the key again from the authority's page"
        )
    return text.decode("ascii")


def _read(path: Path, option: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_FILE)
    except OSError as error:
        raise RefusedStart(f"--{option}: {path} cannot be read: {error.strerror}") from None


def _prepare_directories(settings: Settings, owner: Owner) -> None:
    """Make the directories for the user that the service becomes, and refuse one that it cannot write to."""
    own_directory(settings.state, owner)
    own_directory(settings.certs, owner)
    directory = settings.certs / ACME_DIRECTORY
    own_directory(directory, owner)
    uid, gid = owner
    for path in (settings.state, directory):
        if uid is not None:
            sentence = why_unreadable(uid, gid, path, write=True) if path.is_dir() else None
        elif os.access(path, os.W_OK | os.X_OK):
            sentence = None
        else:
            sentence = f"{path} cannot be written to: let the service do so."
        if sentence:
            raise RefusedStart(f"--acme: {sentence}")
