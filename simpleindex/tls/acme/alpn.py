"""Answer TLS-ALPN-01 challenges among ordinary connections (RFC 8737)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpleindex.tls.acme.challenge_certificates import (
    TLS_ALPN_PROTOCOL,
    requested_name,
    use_challenge_certificates,
)
from simpleindex.tls.contexts import select_http

if TYPE_CHECKING:
    from collections.abc import Callable

    from OpenSSL import SSL

    from simpleindex.tls.contexts import SelectProtocol


def select_protocol(read_challenge: Callable[[str], bytes | None]) -> SelectProtocol:
    """Return a function that selects HTTP/1.1, or the protocol of a challenge that is open.

    Args:
        read_challenge: Returns the certificates that answer a challenge for a server name; None if none is open.
    """

    def select(connection: SSL.Connection, offered: list[bytes]) -> bytes:
        # A validator offers this protocol alone (RFC 8737 section 3).
        if offered == [TLS_ALPN_PROTOCOL]:
            pem = read_challenge(requested_name(connection))
            if pem is not None and use_challenge_certificates(connection, pem):
                return TLS_ALPN_PROTOCOL
        return select_http(connection, offered)

    return select
