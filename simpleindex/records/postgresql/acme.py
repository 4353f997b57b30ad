"""The account, certificates and challenges of ACME in PostgreSQL: one node requests, every node answers and serves."""

from __future__ import annotations

import errno
import re
import time
from contextlib import ExitStack, closing, contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from simpleindex.core.errors import CannotStore, Unavailable
from simpleindex.records.postgresql.locks import AdvisoryLocks
from simpleindex.tls.acme.errors import cannot_write
from simpleindex.tls.acme.issuing import parse_certificate
from simpleindex.tls.acme.status import parse_status, request_text, status_json
from simpleindex.tls.acme.store import ANNOUNCED, AcmeStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cryptography import x509

    from simpleindex.records.interface import Records
    from simpleindex.tls.acme.status import RenewalStatus

SPREAD_SECONDS: Final = 1.0
"""From a challenge to the request that the authority validate it: the other nodes hear of it within milliseconds."""

_LOCK_SECONDS: Final = 0.5

_PUT: Final = "INSERT INTO acme_files (path, content) VALUES (?, ?) ON CONFLICT (path) DO UPDATE SET content = excluded.content"
_OPEN: Final = (
    "INSERT INTO acme_challenges (kind, name, request, content) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (kind, name) DO UPDATE SET request = excluded.request, content = excluded.content"
)


class SharedAcmeStore(AcmeStore):
    """The store of nodes that share records in PostgreSQL.

    Keys and certificates are read where they are. Open challenges are in the copy of the records that each node has in memory, because
    strangers may request their answers at any rate.

    Args:
        records: The records.
        url: Their database.
        directory: The URL of the authority's directory.
        names: The names and addresses that the certificate is to be for.
        sleep: Waits for some seconds.
    """

    def __init__(
        self,
        records: Records,
        url: str,
        directory: str,
        names: Iterable[str],
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        parts = urlsplit(directory)
        self._account = (
            f"accounts/{re.sub(r'[^a-z0-9.-]+', '-', f'{parts.netloc}{parts.path}'.lower()).strip('-.')}"
        )
        self._request = sha256(request_text(directory, names).encode()).hexdigest()[:32]
        self._records = records
        self._url = url
        self._sleep = sleep

    @property
    def account_place(self) -> str:
        """The rows of the account."""
        return f"{self._account} of the table simpleindex.acme_files in {self._records.path}"

    def sentence_about(self, error: OSError) -> str:
        """Return what is wrong and what to do: the database is away, or a file below ``--certs`` cannot be written."""
        if error.filename != self._records.path:
            return cannot_write(error, self._records.path)
        return f"Nodes share certificates in {self._records.path}, which cannot be used now ({error.strerror}); see that it runs."

    def prepare(self) -> None:
        """Do nothing: the tables are made with those of the records."""

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Hold the lock of the one node that requests certificates; False if another one holds it."""
        with closing(AdvisoryLocks(self._url, ANNOUNCED, _LOCK_SECONDS)) as locks, ExitStack() as held:
            try:
                held.enter_context(locks.held(self._request))
                is_held = True
            except CannotStore:
                is_held = False
            except Unavailable:
                raise OSError(errno.EHOSTDOWN, "the server cannot be reached", self._records.path) from None
            yield is_held

    def read_account(self, name: str) -> bytes | None:
        """Return a file of the account; None if it is not there."""
        return self._read(f"{self._account}/{name}")

    def write_account(self, name: str, data: bytes) -> None:
        """Write a file of the account."""
        self._write(f"{self._account}/{name}", data)

    def forget_account(self) -> None:
        """Remove the account's URL; the key is kept, and finds it again."""
        path = f"{self._account}/account.json"
        self._records.writer.write(
            lambda transaction: transaction.execute("DELETE FROM acme_files WHERE path = ?", (path,))
        )

    def open_challenge(self, kind: str, name: str, data: bytes) -> None:
        """Publish the answer to a challenge; every node can give it once this returns."""
        row = (kind, name, self._request, data.decode("ascii"))
        self._records.writer.write(lambda transaction: transaction.execute(_OPEN, row))
        self._sleep(SPREAD_SECONDS)

    def close_challenges(self) -> None:
        """Remove the open challenges of this request."""
        values = (self._request,)
        self._records.writer.write(
            lambda transaction: transaction.execute("DELETE FROM acme_challenges WHERE request = ?", values)
        )

    def read_challenge_certificates(self, server_name: str) -> bytes | None:
        """Return the certificates and keys that answer a TLS-ALPN-01 challenge for a name; None if none is open."""
        return self._answer("tls-alpn-01", server_name)

    def read_key_authorization(self, token: str) -> bytes | None:
        """Return the answer to an HTTP-01 challenge; None if none is open."""
        return self._answer("http-01", token)

    def read_status(self) -> RenewalStatus:
        """Return what was remembered by any node; an empty status if there is none."""
        return parse_status(self._read(f"status/{self._request}") or b"{}")

    def write_status(self, status: RenewalStatus) -> None:
        """Remember a status."""
        self._write(f"status/{self._request}", status_json(status))

    def read_certificate(self) -> bytes | None:
        """Return the key and certificate that nodes share, as PEM text; None without one."""
        return self._read(f"certificates/{self._request}")

    def write_certificate(self, data: bytes) -> None:
        """Share a key and certificate with the other nodes, and notify them."""
        self._write(f"certificates/{self._request}", data)
        self._records.announce(ANNOUNCED, "")

    def counts(self, certificate: x509.Certificate) -> bool:
        """Return whether it is the one that nodes share: another was requested before there was a database, or of another authority."""
        shared = parse_certificate(self.read_certificate() or b"")
        return shared is not None and shared == certificate

    def _read(self, path: str) -> bytes | None:
        rows = self._records.writer.read("SELECT content FROM acme_files WHERE path = ?", (path,))
        return bytes(rows[0][0]) if rows else None

    def _write(self, path: str, data: bytes) -> None:
        self._records.writer.write(lambda transaction: transaction.execute(_PUT, (path, data)))

    def _answer(self, kind: str, name: str) -> bytes | None:
        try:
            rows = self._records.read(
                "SELECT content FROM acme_challenges WHERE kind = ? AND name = ?", (kind, name)
            )
        except Unavailable:
            return None
        return str(rows[0][0]).encode() if rows else None
