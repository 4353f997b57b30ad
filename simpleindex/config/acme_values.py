"""Values of the options for ACME: what a certificate is for, the authority's directory, and the contact."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

from simpleindex.core.errors import InvalidSetting

LETS_ENCRYPT: Final = "https://acme-v02.api.letsencrypt.org/directory"
LETS_ENCRYPT_STAGING: Final = "https://acme-staging-v02.api.letsencrypt.org/directory"

_DIRECTORIES: Final = {"letsencrypt": LETS_ENCRYPT, "staging": LETS_ENCRYPT_STAGING}
"""Directories that have a word of their own (letsencrypt.org/docs/staging-environment)."""

_LABEL: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)\Z")
"""One label of a host name (RFC 1123 section 2.1), in lower case."""

_LONGEST_NAME: Final = 253
"""Characters of a host name (RFC 1035 section 3.1, as text)."""

_NOT_IN_ADDRESSES: Final = frozenset(' ,;:<>?&"\\')
"""Characters that a mailto URL of a contact cannot have as they are (RFC 8555 section 7.3 allows one address each), and its colon."""


@dataclass(frozen=True, slots=True)
class AcmeContact:
    """Whom an authority can write to (RFC 8555 section 7.3).

    Attributes:
        email: The e-mail address; None if there is none.
    """

    email: str | None


@dataclass(frozen=True, slots=True, order=True)
class Identifier:
    """A DNS name or an IP address, as an ACME order names it (RFC 8555 section 9.7.7, RFC 8738).

    Attributes:
        value: A DNS name in lower case, or an address as RFC 5952 writes it.
    """

    value: str

    @property
    def address(self) -> IPv4Address | IPv6Address | None:
        """The address, or None for a DNS name."""
        try:
            return ip_address(self.value)
        except ValueError:
            return None

    @property
    def server_name(self) -> str:
        """The name that a validator sends in its ClientHello: for an address, its reverse name (RFC 8738 section 6)."""
        address = self.address
        return self.value if address is None else address.reverse_pointer


def parse_identifier(text: str) -> Identifier:
    """Parse a host name or an address that a certificate can be requested for.

    Raises:
        InvalidSetting: It is neither, or a wildcard, which needs a DNS challenge.
    """
    stripped = text.strip().removeprefix("[").removesuffix("]")
    try:
        address = ip_address(stripped)
    except ValueError:
        value = stripped.lower().rstrip(".")
    else:
        if "%" in stripped or address.is_unspecified or address.is_multicast:
            raise InvalidSetting("is no address by which clients reach a server: write it like 203.0.113.7")
        return Identifier(str(address))
    if not value.isascii():
        raise InvalidSetting("is not ASCII; write an international name in its xn-- form")
    if value.startswith("*."):
        raise InvalidSetting(
            "is a wildcard, which needs a DNS challenge: name each host, or use certbot with --certs"
        )
    labels = value.split(".")
    if len(value) > _LONGEST_NAME or not all(_LABEL.match(label) for label in labels):
        raise InvalidSetting("is no host name and no IP address: write it like packages.example.org")
    if len(labels) < 2 or labels[-1].isdigit():
        raise InvalidSetting(
            "is no complete host name: write it like packages.example.org, or give an IP address"
        )
    return Identifier(value)


def parse_acme_directory(text: str) -> str:
    """Return the URL of an authority's directory from a URL or one of the words ``letsencrypt`` and ``staging``.

    Raises:
        InvalidSetting: It is neither.
    """
    url = _DIRECTORIES.get(text.strip().lower(), text.strip())
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme == "https" and bool(parts.hostname) and parts.username is None
        is_usable = is_usable and parts.port != 0 and url.isprintable() and " " not in url
    except ValueError:
        is_usable = False
    if not is_usable:
        raise InvalidSetting(
            "is no https URL of an ACME directory, and none of the words letsencrypt and staging"
        )
    return url


def parse_contact(text: str) -> AcmeContact:
    """Return the contact that ``--acme`` names: an e-mail address, or the word ``none``.

    Raises:
        InvalidSetting: It is no address.
    """
    address = text.strip()
    if address.lower() == "none":
        return AcmeContact(None)
    local, _, host = address.rpartition("@")
    if not local or "." not in host or not address.isprintable() or _NOT_IN_ADDRESSES & {*address}:
        raise InvalidSetting("is not one e-mail address: give one like you@example.org, or the word none")
    return AcmeContact(address)
