"""The TLS-ALPN-01 challenge for the library ``acme``, which removed it in 5.0; the class of a later release that has it again wins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from acme import challenges

if TYPE_CHECKING:
    from josepy.jwk import JWK

NAME: Final = "tls-alpn-01"


class TLSALPN01Response(challenges.KeyAuthorizationChallengeResponse):
    """The answer by which the authority is to validate (RFC 8737 section 3)."""

    typ = NAME


class TLSALPN01(challenges.KeyAuthorizationChallenge):
    """Hold the token of a challenge that a TLS server answers (RFC 8737 section 3)."""

    response_cls = TLSALPN01Response
    typ = NAME

    def validation(self, account_key: JWK, **kwargs: Any) -> str:  # noqa: ARG002 (the library's signature)
        """Return the key authorization, of which the certificate holds the digest."""
        return self.key_authorization(account_key)


def register() -> None:
    """Let the library recognise the challenge; a second call changes nothing."""
    if NAME not in challenges.Challenge.TYPES:
        challenges.Challenge.register(TLSALPN01)
    if NAME not in challenges.ChallengeResponse.TYPES:
        challenges.ChallengeResponse.register(TLSALPN01Response)
