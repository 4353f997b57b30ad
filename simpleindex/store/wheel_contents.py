"""What a wheel says of itself: WHEEL, RECORD, entry points, licences (PyPUG "binary-distribution-format").

Installers differ in which of it they check, so an index does it once for all of them.
"""

from __future__ import annotations

import csv
import re
from base64 import urlsafe_b64encode
from io import BytesIO
from typing import TYPE_CHECKING, Final

from packaging.tags import Tag, parse_tag
from packaging.utils import parse_wheel_filename

from simpleindex.core import bounds
from simpleindex.core.errors import BrokenArchive
from simpleindex.core.metadata import shown
from simpleindex.core.names import number_of_tags
from simpleindex.store.entry_points import read_entry_points
from simpleindex.store.paths import plain_path

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from simpleindex.core.names import DistributionName
    from simpleindex.store.paths import Paths

MAXIMUM_TEXT: Final = 1024 * 1024
"""Bytes of a WHEEL or entry_points.txt."""

_WHEEL_VERSION: Final = re.compile(
    r"^Wheel-Version:[ \t]*+([0-9]++)\.[0-9]++[ \t]*+$", re.MULTILINE | re.IGNORECASE
)
_REFERENCE: Final = re.compile(r"[\w.]++\s*+(:\s*+[\w.]++\s*+)?+(\[[\w\s,.-]*+\]\s*+)?+")
_TAG: Final = re.compile(r"^Tag:(.*)$", re.MULTILINE | re.IGNORECASE)
_SCRIPTS: Final = ("console_scripts", "gui_scripts")
# Those whose digest cannot be in the list: itself, and what is made of it.
_UNLISTED: Final = ("RECORD", "RECORD.jws", "RECORD.p7s")
# A word about a file; a digest and a size are longer.
_LISTED: Final = b"listed"


def judge_wheel_file(data: bytes, name: DistributionName, *, tags_must_match: bool) -> None:
    """Judge the WHEEL file.

    Args:
        data: Its content.
        name: What the wheel's file name says.
        tags_must_match: Whether other tags than the file name's are refused.

    Raises:
        BrokenArchive: It states no version of the format, or one that no installer knows, or other tags than the file name,
            which was changed by hand then.
    """
    text = _text(data, "WHEEL").replace("\r", "")
    for line in text.split("\n"):
        if excess := bounds.WHEEL_LINE.excess(len(line)):
            raise BrokenArchive(excess)
    stated = _tags(_TAG.findall(text))
    if tags_must_match and stated and stated != parse_wheel_filename(name.filename)[3]:
        raise BrokenArchive(
            "its WHEEL file states other tags than its file name; do not rename what was built"
        )
    version = _WHEEL_VERSION.search(text)
    if version is None:
        raise BrokenArchive("its WHEEL file states no Wheel-Version")
    if version[1] != "1":
        raise BrokenArchive(
            f"its Wheel-Version is {shown(version[0].partition(':')[2].strip())}, and only 1.x is known"
        )


def _tags(lines: Sequence[str]) -> frozenset[Tag]:
    """Expand compressed tags (PEP 425), whose number is computed before the first of them is made."""
    if excess := bounds.WHEEL_TAGS.excess(sum(map(number_of_tags, lines))):
        raise BrokenArchive(excess)
    found: set[Tag] = set()
    for line in lines:
        try:
            found |= parse_tag(line.strip())
        except ValueError:
            raise BrokenArchive(
                f"its WHEEL file states the tag {shown(line.strip())}, which is none"
            ) from None
    return frozenset(found)


def judge_entry_points(data: bytes) -> None:
    """Judge entry_points.txt (PyPUG "entry-points").

    Raises:
        BrokenArchive: It is not an INI file, or a script leads to no object.
    """
    groups = read_entry_points(_text(data, "entry_points.txt"))
    for group in _SCRIPTS:
        for name, reference in groups.get(group, {}).items():
            if not _REFERENCE.fullmatch(reference.strip()):
                raise BrokenArchive(
                    f"its entry point {shown(name)} leads to {shown(reference)}, which is no object"
                )


def judge_record(chunks: Iterable[bytes], paths: Paths, dist_info: str) -> int:
    """Compare RECORD with the archive; files that it lists are noted so.

    Args:
        chunks: Of RECORD.
        paths: With the fingerprint of every file as its word.
        dist_info: The directory's name.

    Returns:
        How many files it accounts for, the unlisted ones of the directory included.

    Raises:
        BrokenArchive: A line is no line of a RECORD, or says something else than the archive.
    """
    count = sum(paths.word(f"{dist_info}/{name}") is not None for name in _UNLISTED)
    for number, line in enumerate(_lines(chunks), 1):
        if excess := bounds.RECORD_LINES.excess(number):
            raise BrokenArchive(excess)
        # No field can hold a line feed, so each line is parsed by itself: a row over many lines would be kept whole.
        try:
            row = next(csv.reader([line]), [])
        except csv.Error as error:
            raise BrokenArchive(f"its RECORD cannot be parsed ({error})") from None
        if row:
            count += _judge_row(row, paths, dist_info)
    return count


def is_listed(path: str, paths: Paths, dist_info: str) -> bool:
    """Whether RECORD lists a file, or need not."""
    top, _, rest = path.partition("/")
    return (top == dist_info and rest in _UNLISTED) or paths.word(path) == _LISTED


def judge_licenses(files: Collection[str], directory: str, paths: Paths) -> None:
    """See that every licence file that the metadata name is there (PEP 639).

    Raises:
        BrokenArchive: One is not.
    """
    if excess := bounds.LICENSE_FILES.excess(len(files)):
        raise BrokenArchive(excess)
    for file in files:
        if paths.word(plain_path(f"{directory}/{file}".encode())) is None:
            raise BrokenArchive(
                f"its metadata name the License-File {shown(file)}, and {directory} has none of that name"
            )


def _judge_row(row: list[str], paths: Paths, dist_info: str) -> bool:
    """Compare a line with the archive; whether it accounts for a file that must be listed."""
    if len(row) != 3:
        raise BrokenArchive(f"its RECORD has a line of {len(row)} columns instead of three")
    raw, digest, size = row
    path = plain_path(raw.encode())
    word = paths.word(path)
    if word is None:
        raise BrokenArchive(f"its RECORD lists {shown(raw)}, which is not in it")
    if is_listed(path, paths, dist_info):
        if word == _LISTED:
            raise BrokenArchive(f"its RECORD lists {shown(raw)} twice")
        if digest or size:
            raise BrokenArchive(f"its RECORD has a digest or size of {shown(raw)}, which nobody can know")
        return False
    algorithm, _, encoded = digest.partition("=")
    if algorithm != "sha256":
        raise BrokenArchive(f"its RECORD has no sha256 digest of {shown(raw)}")
    there = int.from_bytes(word[32:])
    if encoded.rstrip("=").encode() != urlsafe_b64encode(word[:32]).rstrip(b"="):
        raise BrokenArchive(f"its RECORD has another digest of {shown(raw)} than the file")
    if size and size != str(there):
        raise BrokenArchive(f"its RECORD has another size of {shown(raw)} than the file")
    paths.note(path, _LISTED)
    return True


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Go through the lines of a text, each with its end, holding no more than one chunk and one line."""
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        for line in BytesIO(chunk):
            held.append(line)
            size += len(line)
            if excess := bounds.RECORD_LINE.excess(size):
                raise BrokenArchive(excess)
            if line.endswith(b"\n"):
                yield _text(b"".join(held), "RECORD")
                held, size = [], 0
    if held:
        yield _text(b"".join(held), "RECORD")


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BrokenArchive(f"its {name} is not UTF-8") from None
