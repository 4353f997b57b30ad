"""Check the metadata of a wheel beside METADATA: WHEEL, entry points, licences (PyPUG "binary-distribution-format").

Installers differ in which of it they check, so an index does it once for all of them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from packaging.tags import Tag, parse_tag
from packaging.utils import parse_wheel_filename

from simpleindex.archives.entry_points import (
    SCRIPT_GROUPS,
    judge_reference,
    judge_script_name,
    read_entry_points,
)
from simpleindex.archives.errors import BrokenArchive
from simpleindex.archives.paths import plain_path
from simpleindex.core import bounds
from simpleindex.core.metadata import header_fields
from simpleindex.core.names import number_of_tags
from simpleindex.core.text import shown

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from simpleindex.archives.paths import Paths
    from simpleindex.core.names import DistributionName

MAXIMUM_TEXT: Final = 1024 * 1024
"""Bytes of a WHEEL or entry_points.txt."""

_VERSION_KEY: Final = b"Wheel-Version"
"""Exactly so: uv reads no other spelling."""
_VERSION: Final = re.compile(r"([0-9]++)(?>(?:\.[0-9]++)+)", re.ASCII)


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
    text = _text(data, "WHEEL")
    for line in text.splitlines():
        if excess := bounds.WHEEL_LINE.excess(len(line)):
            raise BrokenArchive(excess)
    version: tuple[bytes, str] | None = None
    tags: list[str] = []
    for key, raw in header_fields(data):
        value = " ".join(raw.decode().split())
        if key.lower() == b"tag":
            tags.append(value)
        elif key.lower() == _VERSION_KEY.lower() and version is None:
            version = key, value
    if version is None or version[0] != _VERSION_KEY:
        raise BrokenArchive("its WHEEL file states no Wheel-Version before its first empty line")
    _judge_version(version[1])
    if tags_must_match:
        stated = _tags(tags)
        if stated and stated != parse_wheel_filename(name.filename)[3]:
            raise BrokenArchive(
                "its WHEEL file states other tags than its file name; build it again instead of renaming it"
            )


def _judge_version(text: str) -> None:
    match = _VERSION.fullmatch(text)
    if match is None or match[1] != "1":
        raise BrokenArchive(f"its Wheel-Version is {shown(text)}, and only 1.x is known")


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
        BrokenArchive: Installers cannot read it, or a script leads to no function or would lie elsewhere.
    """
    groups = read_entry_points(_text(data, "entry_points.txt"))
    for group in SCRIPT_GROUPS:
        for name, reference in groups.get(group, {}).items():
            judge_script_name(name)
            judge_reference(name, reference)


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


def _text(data: bytes, name: str) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise BrokenArchive(f"its {name} is not UTF-8") from None
    if text.startswith("\ufeff"):
        raise BrokenArchive(f"its {name} begins with a byte order mark, at which installers stop")
    return text
