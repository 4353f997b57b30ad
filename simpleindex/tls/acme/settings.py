"""What the operator decides about ACME, and what follows from it: names and profile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from simpleindex.config.acme_values import (
    LETS_ENCRYPT,
    LETS_ENCRYPT_STAGING,
    Identifier,
    parse_identifier,
)
from simpleindex.core.errors import InvalidSetting

if TYPE_CHECKING:
    from collections.abc import Collection

    from simpleindex.tls.machine_names import MachineIdentity

_NOT_PUBLIC: Final = frozenset(
    {
        "alt",
        "arpa",
        "corp",
        "example",
        "home",
        "internal",
        "intranet",
        "invalid",
        "lan",
        "local",
        "localdomain",
        "localhost",
        "novalocal",
        "onion",
        "openstacklocal",
        "private",
        "test",
    }
)
"""Top-level names that no public authority certifies (RFC 6761, RFC 8375, RFC 9476, and those in use on local networks and in clouds)."""

SHORT_LIVED: Final = "shortlived"
"""The profile with which Let's Encrypt certifies addresses (letsencrypt.org/docs/profiles)."""


@dataclass(frozen=True, slots=True)
class ExternalAccount:
    """An account at the certificate authority that ours is bound to (RFC 8555 section 7.3.4).

    Attributes:
        key_id: The identifier that the authority gave.
        hmac_key: Its key, base64url text. A secret.
    """

    key_id: str
    hmac_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AcmeSettings:
    """How certificates are requested.

    Attributes:
        contact: The e-mail address of the account; None for none.
        directory: The URL of the authority's directory (RFC 8555 section 7.1.1).
        identifiers: What the certificate is for; at least one.
        profile: The profile to request; None lets :func:`choose_profile` decide.
        external_account: Binds the account to one at the authority; None for none.
        trust: A PEM file with the roots to trust for the directory; None for the system's.
        may_use_http: Whether challenges can be answered over plain HTTP too (``--http``).
    """

    contact: str | None
    directory: str
    identifiers: tuple[Identifier, ...]
    profile: str | None = None
    external_account: ExternalAccount | None = None
    trust: str | None = None
    may_use_http: bool = False


def public_identifiers(identity: MachineIdentity) -> tuple[Identifier, ...]:
    """Return what a public authority may certify of a machine: its full name, else its public addresses.

    Args:
        identity: The machine's names and addresses. No resolver is queried, so whether the name leads here is unknown.
    """
    names = []
    for text in identity.names:
        try:
            names.append(parse_identifier(text))
        except InvalidSetting:
            continue
    addresses = (Identifier(str(address)) for address in identity.addresses)
    public = next(filter(_is_public, names), None)
    return tuple(filter(_is_public, addresses)) if public is None else (public,)


def _is_public(identifier: Identifier) -> bool:
    """Return whether a public authority may certify a name or an address; whether it leads here is another question."""
    address = identifier.address
    return identifier.value.rpartition(".")[2] not in _NOT_PUBLIC if address is None else address.is_global


def refuse_private(identifier: Identifier, directory: str) -> None:
    """Refuse what Let's Encrypt certifies to nobody; an authority of the operator's own may certify it.

    Args:
        identifier: What is to be requested.
        directory: The URL of the authority's directory.

    Raises:
        InvalidSetting: Every request would fail.
    """
    if directory in (LETS_ENCRYPT, LETS_ENCRYPT_STAGING) and not _is_public(identifier):
        raise InvalidSetting(
            "is private or reserved, and no public authority certifies that: give a name or an address under which the internet reaches this "
            "server, or the --acme-directory of an authority of your own"
        )


def choose_profile(settings: AcmeSettings, offered: Collection[str]) -> str | None:
    """Return the profile to request (draft-ietf-acme-profiles); None for the authority's default.

    Addresses need the short-lived one where it is offered; a name gets the default unless the operator chose.

    Args:
        settings: What the operator decided.
        offered: The names of the profiles in the authority's directory.
    """
    if settings.profile is not None:
        return settings.profile
    has_address = any(identifier.address is not None for identifier in settings.identifiers)
    return SHORT_LIVED if has_address and SHORT_LIVED in offered else None
