"""The upload form: its fields, and the checks of those that are not about the distribution (docs/protocol.md, "The upload form")."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simpleindex.core.text import shown
from simpleindex.publishing.errors import RefusedUpload

if TYPE_CHECKING:
    from collections.abc import Mapping

CONTENT: Final = "content"
"""The name of the part that holds the file; uploads by curl may use another."""

# twine and pdm send a signature beside the file; it is ignored, as PyPI does.
_MAY_BE_FILES: Final = frozenset({CONTENT, "gpg_signature"})
_GONE_ACTIONS: Final = frozenset({"submit", "submit_pkg_info", "doc_upload"})
_HEX_64: Final = re.compile(r"[0-9A-Fa-f]{64}", re.ASCII)
_HEX_32: Final = re.compile(r"[0-9A-Fa-f]{32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class UploadForm:
    """The parts of a request.

    Attributes:
        fields: The text parts by name, raw; several with one name in their order.
        filename: The file's name; None without a file. The file is the part ``content``, or else the only part with a file name.
        content_type: The type of that part, if it has one.
        file_fields: Names of the other parts with a file name.
    """

    fields: Mapping[str, tuple[str, ...]]
    filename: str | None
    content_type: str | None = None
    file_fields: frozenset[str] = frozenset()

    def value(self, key: str) -> str | None:
        """Return the value of a field; None if it is absent, empty or ``UNKNOWN``, which old clients send.

        Raises:
            RefusedUpload: It has several values.
        """
        values = {value.strip() for value in self.fields.get(key, ())} - {"", "UNKNOWN"}
        if len(values) > 1:
            raise RefusedUpload(400, f"The field {key} has {len(values)} different values; send it once.")
        return values.pop() if values else None


@dataclass(frozen=True, slots=True)
class StatedDigests:
    """The digests in the form, as lower-case hex; None for those that are missing."""

    sha256: str | None = None
    blake2_256: str | None = None
    md5: str | None = None


def judge_protocol(form: UploadForm) -> None:
    """Check the protocol version and the action (docs/protocol.md, "The upload form").

    Raises:
        RefusedUpload: With 400; 410 for the actions of former protocols.
    """
    version, action = form.value("protocol_version"), form.value(":action")
    if version not in {None, "1"}:
        raise RefusedUpload(400, "Unknown protocol version. This index knows only protocol_version 1.")
    if action in _GONE_ACTIONS:
        raise RefusedUpload(
            410, f"The action {action} is no more; upload the files themselves, for example with twine."
        )
    if action not in {None, "file_upload"}:
        raise RefusedUpload(
            400, f"The :action {shown(action or '')} is unknown here; only file_upload is known."
        )
    for name in sorted(form.file_fields - _MAY_BE_FILES):
        raise RefusedUpload(
            400,
            f"The field {shown(name)} should not be a file; send it as text, and one file in the field content.",
        )


def stated_digests(form: UploadForm) -> StatedDigests:
    """Return the digests in the form; all are optional.

    Raises:
        RefusedUpload: With 400; one is not a digest.
    """
    return StatedDigests(
        sha256=_hex_digest(form, "sha256_digest"),
        blake2_256=_hex_digest(form, "blake2_256_digest"),
        md5=_md5(form.value("md5_digest")),
    )


def _hex_digest(form: UploadForm, key: str) -> str | None:
    value = form.value(key)
    if value is None:
        return None
    if not _HEX_64.fullmatch(value):
        raise invalid(key, value, "Send 64 hexadecimal digits.")
    return value.lower()


def _md5(value: str | None) -> str | None:
    """Parse an MD5 digest in hex, as all clients send it, or in URL-safe base64, as PyPI's documentation says."""
    if value is None:
        return None
    if _HEX_32.fullmatch(value):
        return value.lower()
    try:
        digest = base64.b64decode(value.rstrip("=") + "==", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != 16:
        raise invalid("md5_digest", value, "Send 32 hexadecimal digits, or leave it out.")
    return digest.hex()


def invalid(label: str, value: str, advice: str) -> RefusedUpload:
    """Return the refusal of a field's value, in PyPI's words."""
    return RefusedUpload(400, f"{shown(value)} is an invalid value for {label}. Error: {advice}")


@dataclass(frozen=True, slots=True)
class FileDigests:
    """Size and digests of an uploaded file; digests in lower-case hex.

    Attributes:
        sha256: SHA-256.
        blake2_256: BLAKE2b with 32 bytes, as the upload form has it.
        md5: MD5, for old clients that send no other.
        size: Bytes.
    """

    sha256: str
    blake2_256: str
    md5: str
    size: int
