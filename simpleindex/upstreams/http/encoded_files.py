"""Files with a Content-Encoding that was not requested: decide whether the bytes are the file or an encoding of it.

Many servers derive the field from a file's name (``Content-Encoding: gzip`` for every ``.tar.gz``: ``twistd web``, Apache's
AddEncoding), and object stores repeat what the upload stated. pip and uv take the bytes as they are. A layer that really
compresses what passes through it exists too, so that the bytes have another digest than the listed one.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from simpleindex.upstreams.errors import UnusableAnswer
from simpleindex.upstreams.http.content_codings import can_decode, codings, decoder_of

HEAD: Final = 512
"""Bytes of a body that are enough to tell; a tar archive has its mark within them."""

_MAGIC: Final = {
    ".whl": b"PK",
    ".zip": b"PK",
    ".tar.gz": b"\x1f\x8b",
    ".tgz": b"\x1f\x8b",
    ".tar.bz2": b"BZh",
    ".tbz": b"BZh",
    ".tar.xz": b"\xfd7zXZ",
    ".txz": b"\xfd7zXZ",
}
"""How distributions begin. Other files that are fetched (a bare tar, metadata) begin with none of these."""

_ARCHIVES: Final = tuple(set(_MAGIC.values()))


def coding_of_file(field: str) -> str | None:
    """Return the coding in which a file could be, as its Content-Encoding says; None if the bytes are surely the file.

    A file that somebody encoded twice is not expected; a list of codings is one that servers made of names.
    """
    decodable = [name for name in codings(field) if can_decode(name)]
    return decodable[0] if len(decodable) == 1 else None


def is_encoded(coding: str, url: str, head: bytes, *, length: int | None, size: int | None) -> bool:
    """Judge whether a body must be decoded to be the file.

    Where the listing states the size, and the answer its length, these decide. Else the first bytes do: of what is sent, and of
    what is decoded from them, that counts which begins as a file of this name does.

    Args:
        coding: As :func:`coding_of_file` returns it.
        url: The file's, with its name at the end of the path.
        head: The first :data:`HEAD` bytes of the body, or all of it.
        length: Of the body, in bytes, if the answer states it.
        size: Of the file, in bytes, if the listing states it.
    """
    if size is not None and size == length:
        return False
    opened = _opened(coding, head)
    if opened is None:
        return False
    if None not in (size, length):
        return True
    path = urlsplit(url).path.rstrip("/").lower()
    magic = next((magic for suffix, magic in _MAGIC.items() if path.endswith(suffix)), None)
    if magic is not None and head.startswith(magic) != opened.startswith(magic):
        return opened.startswith(magic)
    if path.endswith((".tar", ".metadata")):
        return True
    # A name without a known suffix, or an archive within an archive: what is decoded is a distribution, or the bytes are.
    return opened.startswith(_ARCHIVES) or not head.startswith(_ARCHIVES)


def _opened(coding: str, head: bytes) -> bytes | None:
    """Decode the beginning of a body; None if it is not encoded so."""
    try:
        return next(iter(decoder_of((coding,), 1 << 20, "file").feed(head)), b"")
    except UnusableAnswer:
        return None
