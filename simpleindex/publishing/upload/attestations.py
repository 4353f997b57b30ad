"""Verify attestations of uploads (PEP 740), and make provenance of those that name a publisher.

It works without network: the root of trust is the one that comes with sigstore, or the operator's own. Blocking; runs in a
thread. Needs the extra "attestations"; without it the field is ignored (docs/protocol.md).
"""

from __future__ import annotations

import json
import re
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote

from simpleindex.core import bounds
from simpleindex.core.parsing.json_text import load_json
from simpleindex.core.text import shown
from simpleindex.publishing.errors import RefusedUpload

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from pypi_attestations import Attestation, Publisher
    from sigstore.models import Bundle

_PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
_STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
_PREDICATES: Final = ("https://slsa.dev/provenance/v1", "https://docs.pypi.org/attestations/publish/v1")

# Not its own way to the root: that copies the root into a cache in the user's home, and from then on believes the copy.
_ROOT: Final = ("_store", quote("https://tuf-repo-cdn.sigstore.dev", safe=""), "trusted_root.json")

# What Fulcio writes into certificates (its document "oid-info").
_ISSUER: Final = "1.3.6.1.4.1.57264.1.8"
_REPOSITORY: Final = "1.3.6.1.4.1.57264.1.12"
_BUILD: Final = "1.3.6.1.4.1.57264.1.18"
_GITHUB: Final = re.compile(
    r"https://github\.com/([\w.-]++/[\w.-]++)/\.github/workflows/([^@/]++)@.+", re.ASCII
)
_GITLAB: Final = re.compile(r"https://gitlab\.com/((?:[\w.-]++/)+[\w.-]++)//([^@]++)@.+", re.ASCII)


class BundleVerifier(Protocol):
    """The part of :class:`sigstore.verify.Verifier` that is used."""

    def verify_dsse(self, bundle: Bundle, policy: Any) -> tuple[str, bytes]:
        """Verify a bundle, and return the type and bytes of what was signed."""
        ...


class _AnyIdentity:
    """Accepts every signer: the token allows an upload; the builder is only reported."""

    def verify(self, cert: Certificate) -> None:
        """Accept a certificate that the root of trust vouches for."""


class Attestations:
    """Verifies the attestations of uploads.

    Args:
        verifier: Made by :func:`load_attestations`.
    """

    def __init__(self, verifier: BundleVerifier) -> None:
        self._verifier = verifier

    def provenance(self, text: str, filename: str, sha256: str) -> bytes | None:
        """Verify the attestations of an upload, and return the provenance object to store beside the file.

        Args:
            text: The JSON array of the field.
            filename: Of the upload.
            sha256: The file's digest, lower-case hex.

        Returns:
            The object's JSON text; None if they name no publisher, as for files that were signed by hand.

        Raises:
            RefusedUpload: With 400; an attestation is not valid, or is about another file.
        """
        from pypi_attestations import AttestationBundle, Provenance  # noqa: PLC0415  (the extra "attestations")

        bundles: dict[str, AttestationBundle] = {}
        for number, item in enumerate(_items(text), 1):
            # The text is parsed by three libraries; after any error in them it is not verified.
            try:
                attestation, publisher = self._verified(item, filename, sha256)
            except Exception as error:
                raise RefusedUpload(
                    400,
                    f"Attestation {number} of {shown(filename)} is not valid: {_reason(error)} Upload without it.",
                ) from error
            if publisher is not None:
                key = publisher.model_dump_json()
                bundle = bundles.setdefault(key, AttestationBundle(publisher=publisher, attestations=[]))
                bundle.attestations.append(attestation)
        if not bundles:
            return None
        provenance: str = Provenance(attestation_bundles=list(bundles.values())).model_dump_json()
        return provenance.encode()

    def _verified(self, item: object, filename: str, sha256: str) -> tuple[Attestation, Publisher | None]:
        from pypi_attestations import Attestation  # noqa: PLC0415  (the extra "attestations")

        attestation = Attestation.model_validate_json(json.dumps(item))
        kind, payload = self._verifier.verify_dsse(attestation.to_bundle(), _AnyIdentity())
        if kind != _PAYLOAD_TYPE:
            raise ValueError("what it signs is no in-toto statement.")
        _judge_statement(load_json(payload.decode(), bounds.ATTESTATION_VALUES), filename, sha256)
        return attestation, _publisher(attestation.certificate_claims)


def load_attestations(trusted_root: str | None = None) -> Attestations | None:
    """Load the verifier of attestations; importing the libraries takes a second.

    Args:
        trusted_root: Path of a trusted_root.json of another sigstore than the public one.

    Returns:
        None without the extra.

    Raises:
        OSError: The root of trust cannot be read.
        ValueError: It is not valid.
    """
    try:
        import pypi_attestations  # noqa: F401, PLC0415
        from sigstore.errors import Error  # noqa: PLC0415  (the extra "attestations")
        from sigstore.models import TrustedRoot  # noqa: PLC0415
        from sigstore.verify import Verifier  # noqa: PLC0415
    except ImportError:
        return None
    try:
        if trusted_root is not None:
            return Attestations(Verifier(trusted_root=TrustedRoot.from_file(trusted_root)))
        with as_file(files("sigstore").joinpath(*_ROOT)) as path:
            return Attestations(Verifier(trusted_root=TrustedRoot.from_file(str(path))))
    except (Error, ValueError) as error:
        raise ValueError(f"it is not a root of trust: {_reason(error)}") from error


def _items(text: str) -> list[object]:
    excess = bounds.ATTESTATIONS_TEXT.excess(len(text))
    try:
        items = None if excess else load_json(text, bounds.ATTESTATION_VALUES)
    except ValueError:
        items = None
    if excess:
        raise RefusedUpload(400, f"The attestations cannot be read: {excess}; upload without them.")
    if not isinstance(items, list):
        raise RefusedUpload(400, "The field attestations is not a JSON array (PEP 740); upload without it.")
    if excess := bounds.ATTESTATIONS.excess(len(items)):
        raise RefusedUpload(400, f"The attestations cannot be read: {excess}; send one of each kind.")
    return items


def _judge_statement(statement: Any, filename: str, sha256: str) -> None:
    """See that a statement, which was signed, is about this very file (docs/protocol.md)."""
    if not isinstance(statement, dict) or statement.get("_type") != _STATEMENT_TYPE:
        raise ValueError("what it signs is no in-toto statement.")
    if statement.get("predicateType") not in _PREDICATES:
        raise ValueError(f"it is of the unknown kind {shown(str(statement.get('predicateType')))}.")
    subjects = statement.get("subject")
    if not isinstance(subjects, list) or len(subjects) != 1 or not isinstance(subjects[0], dict):
        raise ValueError("it has not exactly one subject.")
    if subjects[0].get("name") != filename:
        raise ValueError(f"it is about {shown(str(subjects[0].get('name')))}.")
    digest = subjects[0].get("digest")
    if not isinstance(digest, dict) or digest.get("sha256") != sha256:
        raise ValueError("it is about a file with another sha256.")


def _publisher(claims: dict[str, str]) -> Publisher | None:
    """Return the publisher that the verified certificate names; None for an unknown one."""
    from pypi_attestations import GitHubPublisher, GitLabPublisher  # noqa: PLC0415  (the extra "attestations")

    issuer, repository, build = (claims.get(key, "") for key in (_ISSUER, _REPOSITORY, _BUILD))
    if bounds.BUILD_URI.excess(len(build)):
        return None
    if issuer == "https://token.actions.githubusercontent.com":
        match = _GITHUB.fullmatch(build)
        if match and repository == f"https://github.com/{match[1]}":
            return GitHubPublisher(repository=match[1], workflow=match[2])
    elif issuer == "https://gitlab.com":
        match = _GITLAB.fullmatch(build)
        if match and repository == f"https://gitlab.com/{match[1]}":
            return GitLabPublisher(repository=match[1], workflow_filepath=match[2])
    return None


def _reason(error: Exception) -> str:
    """Return the first line of an error's text as a sentence of at most 200 characters."""
    line = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return f"{line.rstrip('.')[:200]}."
