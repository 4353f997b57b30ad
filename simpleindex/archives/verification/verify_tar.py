"""A tar archive that is uploaded: one directory, no path or link leading out, nothing hidden behind its end."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from simpleindex.archives.compression import is_compressed, unpacked
from simpleindex.archives.errors import BrokenArchive, CutOff
from simpleindex.archives.paths import Paths, plain_path, shown_path
from simpleindex.archives.tar import SPARSE, TarStream, body_of, headers, pass_over, pax_keywords
from simpleindex.core import bounds
from simpleindex.core.metadata import MAXIMUM_SIZE, is_sdist_metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simpleindex.archives.tar import TarHeader

_BLOCK: Final = 512
_DRIVE: Final = re.compile(r"[A-Za-z]:")
_PLAIN: Final = b"\x000"
_HARD_LINK: Final = b"1"
_SYMBOLIC_LINK: Final = b"2"
_DIRECTORY: Final = b"5"
_GLOBAL: Final = b"g"
_MAXIMUM_GLOBAL: Final = 64 * 1024
# Records that hold for all members, and that some readers heed and others do not.
_TELLING: Final = ("path", "size", "linkpath", "GNU.sparse.", "hdrcharset")


def read_tar_strictly(raw: Iterator[bytes], size: int, suffix: str, most: int) -> tuple[Paths, bytes | None]:
    """Read a tar archive to the end of its last byte.

    Args:
        raw: The file's bytes in chunks, of which none is kept.
        size: Their number.
        suffix: Of the file's name; says how they are compressed.
        most: Bytes that may come out.

    Returns:
        The paths of its members, and the content of the PKG-INFO in the top directory.

    Raises:
        BrokenArchive: It is damaged, a bomb, or ambiguous in any way.
    """
    compressed = is_compressed(suffix)
    stream = TarStream(unpacked(raw, size, suffix, most=most, single=True) if compressed else raw)
    paths, links = Paths(), dict[str, tuple[int, str]]()
    metadata: bytes | None = None
    for header in headers(stream):
        if header.kind == _GLOBAL:
            _judge_global(body_of(stream, header.size, _MAXIMUM_GLOBAL))
            continue
        path = _judge(header, paths, links)
        if header.kind in _PLAIN and header.size and is_sdist_metadata(path.encode()):
            metadata = body_of(stream, header.size, MAXIMUM_SIZE)
        else:
            pass_over(stream, header.size)
    for path, (up, rest) in links.items():
        _judge_link(path, up, rest, paths)
    _judge_end(stream, whole_blocks=compressed or size % 512 == 0)
    return paths, metadata


def _judge(header: TarHeader, paths: Paths, links: dict[str, tuple[int, str]]) -> str:
    """Judge one member, and return its path."""
    path = plain_path(header.path)
    kind = header.kind
    if kind == b"S" or SPARSE in header.extensions:
        raise BrokenArchive(f"its member {shown_path(header.path)} has holes (a sparse file)")
    if kind not in _PLAIN + _HARD_LINK + _SYMBOLIC_LINK + _DIRECTORY:
        raise BrokenArchive(
            f"its member {shown_path(header.path)} is neither a file nor a directory nor a link"
        )
    if header.path.startswith(b"./"):
        raise BrokenArchive(
            f"its member {shown_path(header.path)} begins with ./, for which pip finds no project in it; "
            "name the directory when you pack it"
        )
    if any(map(_DRIVE.match, path.split("/"))):
        raise BrokenArchive(
            f"its member {shown_path(header.path)} has a part like a drive's name; uv unpacks none such"
        )
    if header.is_negative:
        raise BrokenArchive(
            f"its member {shown_path(header.path)} has a time before 1970, or an owner below zero; uv unpacks none such"
        )
    is_directory = kind == _DIRECTORY or header.path.endswith(b"/")
    if header.stated_size and (is_directory or kind not in _PLAIN):
        raise BrokenArchive(f"its member {shown_path(header.path)} has a size, and no data")
    if kind == _SYMBOLIC_LINK:
        links[path] = _target(header)
        if excess := bounds.LINKS.excess(len(links)):
            raise BrokenArchive(excess)
    if kind == _HARD_LINK:
        target = plain_path(header.link)
        if paths.word(target) is None or paths.is_link(target):
            raise BrokenArchive(f"its link {shown_path(header.path)} leads to no file before it")
    paths.add(path, is_directory=is_directory, is_link=kind == _SYMBOLIC_LINK)
    return path


def _target(header: TarHeader) -> tuple[int, str]:
    """Return how many steps upwards a symbolic link's target begins with, and what follows them."""
    if excess := bounds.LINK.excess(len(header.link)):
        raise BrokenArchive(excess)
    parts = header.link.split(b"/")
    up = at = 0
    while at < len(parts) and parts[at] in {b".", b".."}:
        up += parts[at] == b".."
        at += 1
    rest = b"/".join(parts[at:])
    return up, plain_path(rest) if rest else ""


def _judge_link(path: str, up: int, rest: str, paths: Paths) -> None:
    """Judge a symbolic link once every other is known: it stays in the top directory, and leads through no other."""
    parts = path.split("/")[:-1]
    there = parts[: len(parts) - up] + (rest.split("/") if rest else [])
    if up >= len(parts) or paths.leads_through_link(there):
        raise BrokenArchive(
            f"its link {shown_path(path.encode())} leads out of the archive, or through another link"
        )


def _judge_global(records: bytes) -> None:
    if any(keyword.startswith(_TELLING) for keyword in pax_keywords(records)):
        raise BrokenArchive(
            "its tar archive has records for all members at once that readers understand differently"
        )


def _judge_end(stream: TarStream, *, whole_blocks: bool) -> None:
    """Judge what follows the first block of the end mark: its second one, and perhaps more zeros (POSIX, pax)."""
    if not whole_blocks:
        raise CutOff
    if stream.take(_BLOCK) != bytes(_BLOCK):
        raise BrokenArchive(
            "its tar archive does not end with two empty blocks, without which uv does not unpack it"
        )
    while block := stream.take(64 * 1024):
        if block.count(0) != len(block):
            raise BrokenArchive("other data follow the end of its tar archive")
