"""OpenSSL contexts: versions and ciphers of TLS, and the certificate for a name, an unknown name or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from OpenSSL import SSL

from simpleindex.tls.host_names import canonical, choose_certificates, wildcard_for
from simpleindex.tls.pem import UnusableCertificate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cryptography import x509

    from simpleindex.tls.certificates import ServerCertificate

    SelectProtocol = Callable[[SSL.Connection, list[bytes]], bytes]

HTTP: Final = b"http/1.1"
"""The protocol that we speak, as ALPN calls it (RFC 7301 section 6)."""

_TLS13_SUITES: Final = b"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
"""AES-128 first: unbroken, and the cheapest."""

_TLS12_SUITES: Final = b":".join(
    b"ECDHE-%s-%s" % (signed, cipher)
    for signed in (b"ECDSA", b"RSA")
    for cipher in (b"AES128-GCM-SHA256", b"AES256-GCM-SHA384", b"CHACHA20-POLY1305")
)
"""Forward secrecy and authenticated encryption only (RFC 9325 section 4.2), ECDSA first."""

_PARTIAL_WRITE: Final = 1
"""SSL_MODE_ENABLE_PARTIAL_WRITE (SSL_CTX_set_mode(3)), which pyOpenSSL sets and has no name for."""


@dataclass(frozen=True, slots=True)
class Served:
    """What is served at one time; replaced whole by a reload.

    Attributes:
        certificates: All of them.
        default: Those that answer a client that sends no name, or an unknown one.
        contexts: The context for each name of each certificate.
    """

    certificates: tuple[ServerCertificate, ...]
    default: tuple[ServerCertificate, ...]
    default_context: SSL.Context
    contexts: dict[str, SSL.Context]

    def context_for(self, server_name: bytes | None) -> SSL.Context:
        """Return the context for the name in the client's greeting (SNI, RFC 6066 section 3), which may be anything."""
        name = canonical((server_name or b"").decode("ascii", "replace"))
        return self.contexts.get(name) or self.contexts.get(wildcard_for(name)) or self.default_context


def select_http(connection: SSL.Connection, offered: list[bytes]) -> bytes:  # noqa: ARG001 (pyOpenSSL passes it)
    """Select the protocol of a connection whose client offers some by ALPN (RFC 7301).

    Raises:
        SSL.Error: HTTP/1.1 is not among them.
    """
    if HTTP in offered:
        return HTTP
    # Ends in the alert no_application_protocol (RFC 7301 section 3.2) and an error that Twisted expects.
    raise SSL.Error([("SSL routines", "", "no application protocol")])


def prepare_contexts(
    certificates: Sequence[ServerCertificate],
    url_host: str | None,
    select_protocol: SelectProtocol,
) -> Served:
    """Prepare the contexts for certificates.

    The default is what covers ``url_host``; else the operator's first certificate, else the authority's, else the private CA's.

    Args:
        certificates: At least one.
        url_host: The host of ``--url``, or None.
        select_protocol: Selects a protocol among those that a client offers by ALPN.
    """
    prepared: dict[tuple[str, ...], SSL.Context] = {}

    def context_with(chosen: Sequence[ServerCertificate]) -> SSL.Context:
        key = tuple(each.where for each in chosen)
        if key not in prepared:
            prepared[key] = certificate_context(chosen, select_protocol)
        return prepared[key]

    first = min(certificates, key=lambda each: each.origin)
    default = choose_certificates(certificates, canonical(url_host or "")) or choose_certificates(
        certificates, first.names[0]
    )
    names = dict.fromkeys(name for each in certificates for name in each.names)
    contexts = {name: context_with(choose_certificates(certificates, name)) for name in names}
    return Served(tuple(certificates), default, context_with(default), contexts)


def certificate_context(
    certificates: Sequence[ServerCertificate], select_protocol: SelectProtocol = select_http
) -> SSL.Context:
    """Return a context that answers with the first of ``certificates`` whose kind of signature the client knows.

    Args:
        certificates: One of each type of key.
        select_protocol: Selects a protocol among those that a client offers by ALPN.

    Raises:
        UnusableCertificate: OpenSSL does not take one of them.
    """
    context = new_context(select_protocol)
    issuers: dict[x509.Certificate, None] = {}
    for each in certificates:
        try:
            context.use_certificate(each.leaf)
            context.use_privatekey(each.key)
        except SSL.Error as error:
            reason = "; ".join(entry[2] for entry in error.args[0])
            raise UnusableCertificate(
                each.where, f"is not good enough for OpenSSL ({reason}): have it issued anew."
            ) from error
        issuers.update(dict.fromkeys(each.chain[1:]))
    # pyOpenSSL cannot give each certificate a chain of its own; issuers that are not needed are allowed (RFC 8446, 4.4.2).
    for issuer in issuers:
        context.add_extra_chain_cert(issuer)
    return context


def new_context(select_protocol: SelectProtocol = select_http) -> SSL.Context:
    """Return a context without certificate, with all that holds for every connection.

    Args:
        select_protocol: Selects a protocol among those that a client offers by ALPN.
    """
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    # Level 2, which is 112 bits of security, whatever OpenSSL was built with (SSL_CTX_set_security_level(3)).
    context.set_cipher_list(_TLS12_SUITES + b":@SECLEVEL=2")
    context.set_tls13_ciphersuites(_TLS13_SUITES)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE)
    # An idle connection then holds 34 kB less (SSL_CTX_set_mode(3)).
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    # All of a piece is taken, record by record; pyOpenSSL's default is one record, and a call for each.
    context.clear_mode(_PARTIAL_WRITE)
    # Sessions travel in tickets, so none is kept here. One id everywhere: a session is refused under another one's.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_session_id(b"simpleindex")
    context.set_alpn_select_callback(select_protocol)
    return context
