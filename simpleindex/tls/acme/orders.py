"""The library's client, with nonces that are tried again and orders that name the certificate which they replace."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from acme import client, errors, messages
from cryptography import x509
from josepy import json_util
from josepy.b64 import b64encode

from simpleindex.tls.acme.advice import requested_wait
from simpleindex.tls.acme.sentences import problem_code

if TYPE_CHECKING:
    import requests


class _ReplacingOrder(messages.NewOrder):
    """An order that names the certificate that it follows (RFC 9773 section 5)."""

    replaces: str = json_util.field("replaces", omitempty=True)


class ReplacingClient(client.ClientV2):
    """Add ``replaces`` to orders where the authority has renewal information."""

    _replaces: str | None = None

    @classmethod
    def retry_after(cls, response: requests.Response, default: int) -> datetime:
        """Return the local time of the next request; never now, because the library makes requests without a pause then."""
        wait = requested_wait(response.headers)
        seconds = timedelta(seconds=default) if wait is None else wait
        return datetime.now() + max(seconds, timedelta(seconds=1))  # noqa: DTZ005 (the library compares it with such)

    def new_order_replacing(
        self, request: bytes, profile: str | None, replaces: bytes | None
    ) -> messages.OrderResource:
        """Order a certificate; without ``replaces`` where the authority refuses it, because it was replaced already."""
        if replaces is not None and has_resource(self.directory, "renewalInfo"):
            self._replaces = certificate_id(replaces)
        if self._replaces is not None:
            try:
                return self.new_order(request, profile)
            except (errors.ConflictError, messages.Error) as error:
                if isinstance(error, messages.Error) and problem_code(error) in (
                    "rateLimited",
                    "rejectedIdentifier",
                    "accountDoesNotExist",
                ):
                    raise
            finally:
                self._replaces = None
        return self.new_order(request, profile)

    def _post(self, *args: Any, **kwargs: Any) -> requests.Response:
        order = args[1] if len(args) > 1 else None
        if not isinstance(order, messages.NewOrder):
            return super()._post(*args, **kwargs)
        if self._replaces is not None:
            order = _ReplacingOrder(
                identifiers=order.identifiers, profile=order.profile, replaces=self._replaces
            )
        response = super()._post(args[0], order, *args[2:], **kwargs)
        # The library requests all of them, however many an answer lists; there is one for each identifier.
        if len(response.json()["authorizations"]) > len(order.identifiers):
            raise errors.ClientError("more authorizations than identifiers")
        return response


def certificate_id(pem: bytes) -> str | None:
    """Return a certificate's unique identifier (RFC 9773 section 4.1); None if it does not name its issuer's key."""
    certificate = x509.load_pem_x509_certificate(pem)
    try:
        authority = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    except x509.ExtensionNotFound:
        return None
    number = certificate.serial_number
    serial = number.to_bytes(number.bit_length() // 8 + 1, "big")
    return f"{b64encode(authority.key_identifier or b'').decode()}.{b64encode(serial).decode()}"


def has_resource(directory: messages.Directory, name: str) -> bool:
    """Return whether a directory names a resource; the library's class has no ``in``."""
    try:
        return bool(directory[name])
    except KeyError:
        return False


def offered_profiles(directory: messages.Directory) -> frozenset[str]:
    """Return the names of the profiles in a directory."""
    try:
        return frozenset(directory.meta.profiles or ())
    except AttributeError:
        return frozenset()
