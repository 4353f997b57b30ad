"""Where ACME keeps its account, its challenges and what it remembers: files of one server, or a database that nodes share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from cryptography import x509

    from simpleindex.tls.acme.status import RenewalStatus


ANNOUNCED: Final = "acme"
"""The place under which nodes announce a new certificate to each other."""


class AcmeStore(Protocol):
    """The store of one authority and one set of names. Blocking, but for the answers to challenges.

    Every other method raises OSError where the store cannot be used.
    """

    @property
    def account_place(self) -> str:
        """Where the account is, for messages."""
        ...

    def sentence_about(self, error: OSError) -> str:
        """Return what is wrong and what to do, for the operator."""
        ...

    def prepare(self) -> None:
        """Make what is missing."""
        ...

    def locked(self) -> AbstractContextManager[bool]:
        """Hold the lock of the one server that requests certificates; False if another one holds it."""
        ...

    def read_account(self, name: str) -> bytes | None:
        """Return a file of the account; None if it is not there."""
        ...

    def write_account(self, name: str, data: bytes) -> None:
        """Write a file of the account, whole or not at all."""
        ...

    def forget_account(self) -> None:
        """Remove the account's URL, because the authority does not know it any more; the key is kept, and finds it again."""
        ...

    def open_challenge(self, kind: str, name: str, data: bytes) -> None:
        """Publish the answer to a challenge; every server can give it once this returns."""
        ...

    def close_challenges(self) -> None:
        """Remove all open challenges; call it with the lock held, when none is awaited."""
        ...

    def read_challenge_certificates(self, server_name: str) -> bytes | None:
        """Return the certificates and keys that answer a TLS-ALPN-01 challenge for a name; None if none is open."""
        ...

    def read_key_authorization(self, token: str) -> bytes | None:
        """Return the answer to an HTTP-01 challenge; None if none is open."""
        ...

    def read_status(self) -> RenewalStatus:
        """Return what was remembered; an empty status if there is none."""
        ...

    def write_status(self, status: RenewalStatus) -> None:
        """Remember a status."""
        ...

    def read_certificate(self) -> bytes | None:
        """Return the key and certificate that nodes share, as PEM text; None without one."""
        ...

    def write_certificate(self, data: bytes) -> None:
        """Share a key and certificate with the other nodes, which take it at once."""
        ...

    def counts(self, certificate: x509.Certificate) -> bool:
        """Return whether a certificate below ``--certs`` is one of this store's."""
        ...
