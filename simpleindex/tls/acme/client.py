"""Requests to a certificate authority: the account, an order, its challenges and the renewal advice.

Every call blocks, for seconds or a minute; make them in a thread. The protocol is the library's; what is here chooses,
bounds and turns its errors into sentences.
"""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from acme import errors, messages
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from josepy.jwa import ES256
from josepy.jwk import JWKEC

from simpleindex import __version__
from simpleindex.tls.acme.advice import Advice, parse_advice
from simpleindex.tls.acme.alpn_challenge import NAME as TLS_ALPN_01
from simpleindex.tls.acme.alpn_challenge import register
from simpleindex.tls.acme.challenge_certificates import make_challenge_certificates
from simpleindex.tls.acme.errors import AcmeFailed, ChallengeFailed, one_line
from simpleindex.tls.acme.network import BoundedNetwork
from simpleindex.tls.acme.orders import ReplacingClient, certificate_id, has_resource, offered_profiles
from simpleindex.tls.acme.sentences import ORDER_SECONDS, Sentences, printable_detail, problem_code
from simpleindex.tls.acme.settings import choose_profile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simpleindex.config.acme_values import Identifier
    from simpleindex.tls.acme.settings import AcmeSettings
    from simpleindex.tls.acme.store import AcmeStore

HTTP_01: Final = "http-01"

_LONGEST_TOKEN: Final = 200
"""Characters of a challenge's token, which is a file's name here; they have 43 (RFC 8555 section 8.1 wants 22 at least)."""

_SLOWEST: Final = timedelta(hours=1)
"""By how much this machine's clock may be slow: so far back Let's Encrypt dates certificates."""


class AcmeSession:
    """A session with an authority for one account, which is registered on first use.

    Args:
        settings: What the operator decided.
        state: The account's files, and the place of open challenges.

    Raises:
        AcmeFailed: The directory or the account cannot be used.
    """

    def __init__(self, settings: AcmeSettings, state: AcmeStore) -> None:
        register()
        self._settings = settings
        self._state = state
        self._key = JWKEC(key=_account_key(state))
        self._network = BoundedNetwork(
            self._key,
            alg=ES256,
            user_agent=f"simpleindex/{__version__}",
            # The library hands it to requests as it is: a path names the roots to trust.
            verify_ssl=settings.trust or True,
        )
        with self._sentences():
            directory = messages.Directory.from_json(self._network.get(settings.directory).json())
            if not has_resource(directory, "newOrder"):
                raise AcmeFailed(f"{settings.directory} is no ACME directory: check --acme-directory.")
            self._offered = offered_profiles(directory)
        self._client = ReplacingClient(directory, self._network)

    def ensure_account(self) -> None:
        """Register the account, or use the one that is registered already; its terms are agreed to by ``--acme``.

        Raises:
            AcmeFailed: The authority refuses.
        """
        url, contact = self._registered()
        if url is None:
            self._register()
            return
        account = messages.RegistrationResource(uri=url, body=messages.Registration.from_data(email=contact))
        self._network.account = account
        if contact != self._settings.contact:
            with self._sentences():
                self._client.update_registration(
                    account, messages.Registration.from_data(email=self._settings.contact, contact=())
                )
            self._remember(account.uri)

    def issue(self, kind: str, key: ec.EllipticCurvePrivateKey, now: datetime, replaces: bytes | None) -> str:
        """Order a certificate, answer the challenges, and return it with its chain.

        Args:
            kind: The challenge to answer: ``tls-alpn-01`` or ``http-01``.
            key: The new certificate's key.
            now: The time, UTC.
            replaces: The certificate that this one follows, as PEM; None for the first.

        Returns:
            PEM text, the certificate first.

        Raises:
            ChallengeFailed: The authority could not validate a name or an address.
            AcmeFailed: Anything else went wrong.
        """
        self._refuse_slow_clock(now)
        profile = self._profile()
        request = _signing_request(self._settings.identifiers, key)
        # The library compares its deadlines with local time.
        deadline = datetime.now() + timedelta(seconds=ORDER_SECONDS)  # noqa: DTZ005
        try:
            with self._sentences():
                order = self._client.new_order_replacing(request, profile, replaces)
                for authorization in order.authorizations:
                    self._answer(authorization, kind, now)
                self._client.poll_authorizations(order, deadline)
                finished = self._client.finalize_order(order, deadline)
        finally:
            self._state.close_challenges()
        return str(finished.fullchain_pem)

    def advice(self, certificate: bytes) -> Advice:
        """Return when the authority suggests to renew a certificate (RFC 9773 section 4).

        Raises:
            AcmeFailed: It cannot be read now.
        """
        identifier = certificate_id(certificate)
        if identifier is None or not has_resource(self._client.directory, "renewalInfo"):
            return Advice(None)
        with self._sentences():
            url = f"{self._client.directory['renewalInfo'].rstrip('/')}/{identifier}"
            content = self._network.get(url).json()
            # Not the library's own: it takes a window that ends before it begins, and leaves the explanation out.
            return parse_advice(content, self._network.retry_after, random.random())  # noqa: S311 (no secret)

    def close(self) -> None:
        """Close the connections."""
        self._network.session.close()

    def _refuse_slow_clock(self, now: datetime) -> None:
        """Order nothing that would not be valid yet: authorities limit how many certificates they issue for one name."""
        shown = self._network.shown_time
        if shown is not None and shown - now > _SLOWEST:
            raise AcmeFailed(
                f"At {urlsplit(self._settings.directory).netloc} it is {shown:%Y-%m-%d %H:%M} UTC, and this machine's clock shows "
                f"{now:%Y-%m-%d %H:%M}: set the clock right."
            )

    def _profile(self) -> str | None:
        profile = choose_profile(self._settings, self._offered)
        if profile is not None and profile not in self._offered:
            offered = one_line(", ".join(sorted(self._offered)))
            known = f"it offers {offered}" if offered else "it has no profiles"
            raise AcmeFailed(
                f"{self._settings.directory} does not offer the profile {profile!r}; {known}: correct --acme-profile, or leave it out."
            )
        return profile

    def _registered(self) -> tuple[str | None, str | None]:
        """Return the URL of the registered account and its contact; None where there is none, or its file is broken."""
        try:
            values = json.loads(self._state.read_account("account.json") or b"{}")
            url, contact = values["url"], values["contact"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return None, None
        is_usable = isinstance(url, str) and isinstance(contact, str | None)
        return (url, contact) if is_usable else (None, None)

    def _register(self) -> None:
        with self._sentences():
            registration = messages.NewRegistration.from_data(
                email=self._settings.contact,
                external_account_binding=self._external_account_binding(),
                terms_of_service_agreed=True,
            )
            try:
                url = self._client.new_account(registration).uri
            except errors.ConflictError as conflict:
                # The key is registered already, and only its URL was lost (RFC 8555 section 7.3.1).
                url = conflict.location
                self._network.account = messages.RegistrationResource(uri=url, body=registration)
            except messages.Error as error:
                if self._settings.external_account is None or problem_code(error) not in (
                    "unauthorized",
                    "malformed",
                ):
                    raise
                raise AcmeFailed(
                    f"{self._settings.directory} refuses the account of --acme-eab-id with the key of --acme-eab-key: "
                    f"{printable_detail(error.detail)} Copy both again from the authority's page."
                ) from error
        self._remember(url)

    def _external_account_binding(self) -> dict[str, Any] | None:
        """Return the proof that the account at the authority is the operator's (RFC 8555 section 7.3.4); None without one."""
        external = self._settings.external_account
        if external is None:
            if self._client.external_account_required():
                raise AcmeFailed(
                    f"{self._settings.directory} wants an account to be bound to one of theirs: give --acme-eab-id and --acme-eab-key."
                )
            return None
        binding: dict[str, Any] = messages.ExternalAccountBinding.from_data(
            self._key.public_key(), external.key_id, external.hmac_key, self._client.directory
        )
        return binding

    def _remember(self, url: str) -> None:
        values = {"directory": self._settings.directory, "url": url, "contact": self._settings.contact}
        self._state.write_account("account.json", json.dumps(values).encode())

    def _answer(self, authorization: messages.AuthorizationResource, kind: str, now: datetime) -> None:
        if authorization.body.status == messages.STATUS_VALID:
            return
        value = authorization.body.identifier.value
        identifier = next((each for each in self._settings.identifiers if each.value == value), None)
        if identifier is None:
            raise AcmeFailed(
                f"{self._settings.directory} wants {one_line(value)} to be validated, which was not ordered."
            )
        offered = {body.chall.typ: body for body in authorization.body.challenges}
        body = offered.get(kind)
        if body is None:
            known = one_line(", ".join(sorted(offered))) or "no challenge"
            raise ChallengeFailed(value, kind, f"the authority offers {known} only.")
        # Not the class's own validation, which differs between releases of the library: with 4.2 it was a certificate.
        answer, key_authorization = body.chall.response(self._key), body.chall.key_authorization(self._key)
        if kind == TLS_ALPN_01:
            certificates = make_challenge_certificates(identifier, key_authorization, now)
            self._state.open_challenge(kind, identifier.server_name, certificates)
        else:
            token = body.chall.encode("token")
            if len(token) > _LONGEST_TOKEN:
                raise AcmeFailed(
                    f"{self._settings.directory} sends a token of {len(token)} characters, which is too long."
                )
            self._state.open_challenge(kind, token, key_authorization.encode())
        self._client.answer_challenge(body, answer)

    def _sentences(self) -> Sentences:
        return Sentences(self._settings, self._state, lambda: self._network.retry_after)


def _account_key(state: AcmeStore) -> ec.EllipticCurvePrivateKey:
    """Return the account's key; a new one only where there is none, because an account is lost with its key."""
    stored = state.read_account("key.pem")
    if stored is None:
        key = ec.generate_private_key(ec.SECP256R1())
        state.write_account("key.pem", private_pem(key))
        return key
    try:
        present = load_pem_private_key(stored, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        present = None
    if isinstance(present, ec.EllipticCurvePrivateKey) and present.curve.name == ec.SECP256R1.name:
        return present
    problem = "is broken" if present is None else "is of a kind that is not used here"
    raise AcmeFailed(
        f"key.pem in {state.account_place} {problem}: restore it from a backup, or remove {state.account_place}."
    )


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a key as PEM text."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _signing_request(identifiers: tuple[Identifier, ...], key: ec.EllipticCurvePrivateKey) -> bytes:
    names: Iterator[x509.GeneralName] = (
        x509.DNSName(each.value) if each.address is None else x509.IPAddress(each.address)
        for each in identifiers
    )
    return (
        x509.CertificateSigningRequestBuilder()
        # No common name: names stand in the extension only (RFC 9525 section 2), and may be longer than a common name.
        .subject_name(x509.Name([]))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, SHA256())
        .public_bytes(Encoding.PEM)
    )
