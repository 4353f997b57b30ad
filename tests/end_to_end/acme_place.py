"""Requests to an authority in the process of the test: a state directory and certificates of a server that does not run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from simpleindex.config.acme_values import Identifier
from simpleindex.tls.acme.certificate_requests import CertificateRequests
from simpleindex.tls.acme.issuing import AcmeAuthority, certificate_path, read_certificate
from simpleindex.tls.acme.settings import AcmeSettings
from simpleindex.tls.acme.state_files import AcmeState
from simpleindex.tls.acme.status import CertificateStatus, RenewalStatus

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography import x509

    from tests.end_to_end.acme_servers import Pebble


@dataclass
class Place:
    """A state directory and certificates of a server that does not run.

    Attributes:
        home: Its files.
        settings: What is requested.
        late_by: By how much its clock is late.
    """

    home: Path
    settings: AcmeSettings
    late_by: timedelta = field(default_factory=timedelta)

    @classmethod
    def at(cls, pebble: Pebble, home: Path, name: str) -> Place:
        """A place that requests a certificate for a name."""
        home.mkdir()
        return cls(home, AcmeSettings(None, pebble.directory, (Identifier(name),), trust=pebble.trust))

    @property
    def certs(self) -> Path:
        return self.home / "certs"

    @property
    def state(self) -> AcmeState:
        return AcmeState(self.home / "state", self.settings.directory)

    @property
    def certificate(self) -> x509.Certificate | None:
        return read_certificate(self.certs)

    def clock(self) -> datetime:
        return datetime.now(UTC) - self.late_by

    def check(self) -> str:
        """Check as a server does that starts; returns the sentence about a failure, empty without one."""
        return self.requests().check().error

    def requests(self) -> CertificateRequests:
        """What a server checks with that starts."""
        authority = AcmeAuthority(self.settings, self.state, self.certs, self.clock)
        return CertificateRequests(authority, self.state, self.certs, self.clock)

    def renew(self) -> str:
        """Check when the certificate is to be renewed, and no failure is remembered."""
        self.let_time_come()
        return self.check()

    def let_time_come(self) -> None:
        """Remember that the certificate is to be renewed now, and no failure."""
        certificate, past = self.certificate, datetime(2000, 1, 1, tzinfo=UTC)
        status = None
        if certificate is not None:
            status = CertificateStatus(f"{certificate.serial_number:x}", "", past, None)
        self.state.prepare()
        self.state.write_status(RenewalStatus(status))

    def with_settings(self, **values: Any) -> Place:
        """The same place with other options."""
        return Place(self.home, replace(self.settings, **values), self.late_by)

    def copy(self) -> bytes:
        """The certificate with its key."""
        return certificate_path(self.certs).read_bytes()

    def put_back(self, copy: bytes) -> None:
        """Let a former certificate be there again."""
        certificate_path(self.certs).write_bytes(copy)
