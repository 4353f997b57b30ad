"""Parse RECORD: the files that a wheel lists, with their digests; :mod:`~simpleindex.archives.verification.verify` compares them with its members.

PyPUG "binary-distribution-format" and "recording-installed-packages".

The first asks for a digest of every file but RECORD itself and its signatures, by sha256 or a better algorithm. The second
says what a line looks like. Installers check little of both, so an index does it for all of them.
"""

from __future__ import annotations

import csv
import hashlib
import re
from base64 import urlsafe_b64encode
from io import BytesIO
from typing import TYPE_CHECKING, Final

from simpleindex.archives.errors import BrokenArchive
from simpleindex.archives.paths import plain_path
from simpleindex.core import bounds
from simpleindex.core.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from simpleindex.archives.paths import Paths

_COMPUTED: Final = "sha256"
"""The algorithm by which every file's digest is known when RECORD is read."""

_ALGORITHMS: Final = frozenset(
    {_COMPUTED, "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512", "blake2b", "blake2s"}
)
"""Those of ``hashlib.algorithms_guaranteed`` that are sha256 or better and have one length."""

_RECORD: Final = "RECORD"
_SIGNATURES: Final = ("RECORD.jws", "RECORD.p7s")
# What is noted about a file's path; a digest by sha256 and a size have 40 bytes.
_LISTED: Final = b"listed"
_OWED: Final = b"another digest by "
_COMPILED: Final = ".pyc"
"""What "recording installed packages" lets be without a digest, beside RECORD."""
_SIZE: Final = re.compile(r"\+?[0-9]{1,19}")


def judge_record(chunks: Iterable[bytes], paths: Paths, dist_info: str) -> tuple[int, int]:
    """Compare RECORD with the archive; files that it lists are noted so.

    Args:
        chunks: Of RECORD.
        paths: With the fingerprint of every file as its word.
        dist_info: The directory's name.

    Returns:
        How many files it accounts for, the unlisted ones of the directory included; and of how many of them it states a digest by
        another algorithm, which :func:`judge_owed_digest` has yet to compare.

    Raises:
        BrokenArchive: A line is no line of a RECORD, or says something else than the archive.
    """
    count = sum(paths.word(f"{dist_info}/{name}") is not None for name in (_RECORD, *_SIGNATURES))
    owed = 0
    for number, line in enumerate(_lines(chunks), 1):
        if excess := bounds.RECORD_LINES.excess(number):
            raise BrokenArchive(excess)
        # No field can hold a line feed, so each line is parsed by itself: a row over many lines would be kept whole.
        try:
            row = next(csv.reader([line]), [])
        except csv.Error as error:
            raise BrokenArchive(f"its RECORD cannot be parsed ({error})") from None
        is_new, is_owed = _judge_row(row, paths, dist_info)
        count, owed = count + is_new, owed + is_owed
    return count, owed


def is_listed(path: str, paths: Paths, dist_info: str) -> bool:
    """Whether RECORD lists a file, or need not."""
    word = paths.word(path)
    return _may_be_unlisted(path, dist_info) or word == _LISTED or (word or b"").startswith(_OWED)


def judge_owed_digest(path: str, data: Iterable[bytes], paths: Paths) -> None:
    """Compare a file's data with the digest that RECORD states of it, where that is by another algorithm than sha256.

    Args:
        path: Of the file.
        data: In chunks; taken only if there is something to compare.
        paths: As :func:`judge_record` left them.

    Raises:
        BrokenArchive: It is another digest.
    """
    word = paths.word(path)
    if word is None or not word.startswith(_OWED):
        return
    algorithm, _, stated = word.removeprefix(_OWED).partition(b" ")
    digest = hashlib.new(algorithm.decode())
    for chunk in data:
        digest.update(chunk)
    if _encoded(digest.digest()) != stated:
        raise _other_digest(path)
    paths.note(path, _LISTED)


def _may_be_unlisted(path: str, dist_info: str) -> bool:
    top, _, rest = path.partition("/")
    return top == dist_info and (rest == _RECORD or rest in _SIGNATURES)


def _judge_row(row: list[str], paths: Paths, dist_info: str) -> tuple[bool, bool]:
    """Compare a line with the archive; whether it accounts for a file that must be listed, and whether a digest is owed."""
    if not row:
        raise BrokenArchive("its RECORD has an empty line, at which pip stops")
    if len(row) != 3:
        raise BrokenArchive(f"its RECORD has a line of {len(row)} columns instead of three")
    raw, digest, size = row
    # "Recording installed packages" allows both separators; no member's name has a backslash.
    path = plain_path(raw.replace("\\", "/").encode())
    word = paths.word(path)
    if word is None or raw.endswith(("/", "\\")):
        raise BrokenArchive(f"its RECORD lists {shown(raw)}, which is not a file in it")
    if word == _LISTED or word.startswith(_OWED):
        raise BrokenArchive(f"its RECORD lists {shown(raw)} twice")
    if size and not (_SIZE.fullmatch(size) and int(size) == int.from_bytes(word[32:])):
        raise BrokenArchive(f"its RECORD has another size of {shown(raw)} than the file")
    if digest and path == f"{dist_info}/{_RECORD}":
        raise BrokenArchive(f"its RECORD has a digest of {shown(raw)}, which nobody can know")
    needs_none = _may_be_unlisted(path, dist_info) or path.endswith(_COMPILED)
    owed = None if needs_none and not digest else _judge_digest(digest, word, raw)
    paths.note(path, owed or _LISTED)
    return not _may_be_unlisted(path, dist_info), owed is not None


def _judge_digest(digest: str, word: bytes, raw: str) -> bytes | None:
    """Compare a digest; one by another algorithm is returned as what is to be noted."""
    algorithm, _, stated = digest.partition("=")
    algorithm = algorithm.lower()
    if algorithm not in _ALGORITHMS:
        raise BrokenArchive(
            f"its RECORD has no digest of {shown(raw)} by sha256 or a better algorithm, such as sha512"
        )
    encoded = stated.rstrip("=").encode()
    if algorithm != _COMPUTED:
        return _OWED + algorithm.encode() + b" " + encoded
    if encoded != _encoded(word[:32]):
        raise _other_digest(raw)
    return None


def _encoded(digest: bytes) -> bytes:
    return urlsafe_b64encode(digest).rstrip(b"=")


def _other_digest(path: str) -> BrokenArchive:
    return BrokenArchive(f"its RECORD has another digest of {shown(path)} than the file")


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Go through the lines of a text, each with its end, holding no more than one chunk and one line."""
    held: list[bytes] = []
    size, encoding = 0, "utf-8-sig"
    for chunk in chunks:
        for line in BytesIO(chunk):
            held.append(line)
            size += len(line)
            if excess := bounds.RECORD_LINE.excess(size):
                raise BrokenArchive(excess)
            if line.endswith(b"\n"):
                yield _text(b"".join(held), encoding)
                held, size, encoding = [], 0, "utf-8"
    if held:
        yield _text(b"".join(held), encoding)


def _text(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise BrokenArchive("its RECORD is not UTF-8") from None
