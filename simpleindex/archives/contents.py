"""Look inside a distribution: its members, the text of some of them, and how the text differs from another release's."""

from __future__ import annotations

import difflib
import hashlib
import re
import zlib
from dataclasses import dataclass
from os import SEEK_END
from typing import TYPE_CHECKING, Final

from simpleindex.archives.compression import is_compressed, unpacked
from simpleindex.archives.errors import BrokenArchive, CutOff
from simpleindex.archives.member_text import MemberText, decode_member
from simpleindex.archives.tar import REGULAR, TarStream, headers, pass_over
from simpleindex.archives.zip import find_directory, pread_of, read_exactly, zip_members
from simpleindex.archives.zip_members import DEFLATED, check_readable, misplaced, read_local_header
from simpleindex.core import bounds
from simpleindex.core.metadata import is_sdist_metadata
from simpleindex.core.names import distribution_suffix
from simpleindex.core.text import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from typing import BinaryIO

    from simpleindex.archives.tar import TarHeader
    from simpleindex.archives.zip import Pread, ZipDirectory, ZipMember
    from simpleindex.core.bounds import Bound

_ZIP_SUFFIXES: Final = (".whl", ".zip")
_CHUNK: Final = 64 * 1024
_BLOCK: Final = 512
_CONTEXT_LINES: Final = 3
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_LINKS: Final = {b"1": "hard link", b"2": "symbolic link"}


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive, or in a tar archive a link.

    Attributes:
        path: As the archive has it; what is not UTF-8 is escaped.
        size: Bytes, unpacked; 0 for a link.
        fingerprint: Equal for equal bytes in archives of one format: a CRC in a zip file, a shortened sha256 in a tar archive, there
            of a link's target too.
        link: What kind of link it is, in words; empty for a file.
        target: Where a link leads as the archive has it, which nobody follows here; cut off where it is longer than any real one.
    """

    path: str
    size: int
    fingerprint: str
    link: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class MemberList:
    """The files in an archive, and links.

    Attributes:
        members: In the order of the archive.
        is_complete: False if there are more than are listed (``LISTED_MEMBERS`` of :mod:`simpleindex.core.bounds`).
    """

    members: tuple[Member, ...]
    is_complete: bool


def list_members(file: BinaryIO, filename: str) -> MemberList:
    """List the files in a distribution, and the links of an sdist.

    Raises:
        BrokenArchive: It cannot be read.
    """
    listed: list[Member] = []
    characters = 0
    for member in _members(file, filename, None):
        characters += len(member.path) + len(member.target)
        if bounds.LISTED_MEMBERS.excess(len(listed) + 1) or bounds.LISTED_PATHS.excess(characters):
            return MemberList(tuple(listed), is_complete=False)
        listed.append(Member(member.path, member.size, member.fingerprint, member.link, member.target))
    return MemberList(tuple(listed), is_complete=True)


def read_texts(file: BinaryIO, filename: str, paths: Collection[str]) -> dict[str, MemberText | None]:
    """Read members that are text.

    Args:
        file: The distribution, seekable.
        filename: Its name.
        paths: The members' paths, as :class:`Member` has them.

    Returns:
        By path; None for a member that is no text (:func:`~simpleindex.archives.member_text.decode_member`), or is too large
        (``MEMBER_TEXT``, which an sdist's metadata may exceed, and ``MEMBER_TEXTS`` for all together). A path that is not in the archive, or a link, is missing.

    Raises:
        BrokenArchive: It cannot be read.
    """
    texts: dict[str, MemberText | None] = {}
    size = 0
    wanted = set(paths)
    for member in _members(file, filename, wanted):
        if member.path in texts or member.path not in wanted:
            continue
        size += member.size
        is_small = not _bound(member.path).excess(member.size) and not bounds.MEMBER_TEXTS.excess(size)
        texts[member.path] = decode_member(member.read(), member.path) if is_small else None
        if len(texts) == len(wanted):
            break
    return texts


def compare_texts(file: BinaryIO, filename: str, former: Mapping[str, str]) -> dict[str, str]:
    """Compare members with the text that they had in another release.

    Args:
        file: The newer distribution, seekable.
        filename: Its name.
        former: The former text of each member, by path.

    Returns:
        A unified difference for each member that can be compared, by path.

    Raises:
        BrokenArchive: It cannot be read.
    """
    present = read_texts(file, filename, former.keys())
    return {path: difference(former[path], each.text) for path, each in present.items() if each is not None}


def difference(before: str, after: str) -> str:
    """Return a unified difference of two texts without file names; empty if they have too many lines (``DIFFERENCE_LINES``)."""
    lines = lines_of(before), lines_of(after)
    if any(bounds.DIFFERENCE_LINES.excess(len(each)) for each in lines):
        return ""
    compared = difflib.unified_diff(*lines, lineterm="", n=_CONTEXT_LINES)
    return "\n".join(list(compared)[2:])


def lines_of(text: str) -> list[str]:
    """Return the lines of a text as editors and Python count them: a form feed or a line separator ends none."""
    lines = _LINE_END.split(text)
    return lines if lines[-1] else lines[:-1]


@dataclass(frozen=True, slots=True)
class _ReadableMember:
    """A member, and how to read it: at once, before the next member is requested."""

    path: str
    size: int
    fingerprint: str
    read: Callable[[], bytes]
    link: str = ""
    target: str = ""


def _members(file: BinaryIO, filename: str, wanted: Collection[str] | None) -> Iterator[_ReadableMember]:
    """Go through the files of an archive; only those that are wanted can be read."""
    size = file.seek(0, SEEK_END)
    suffix = distribution_suffix(filename) or ""
    if suffix in _ZIP_SUFFIXES:
        return _zip_members(file, size)
    return _tar_members(file, size, suffix, wanted)


def _zip_members(file: BinaryIO, size: int) -> Iterator[_ReadableMember]:
    pread = pread_of(file)
    directory = find_directory(pread, size)
    for number, member in enumerate(zip_members(pread, directory), 1):
        if excess := bounds.MEMBERS.excess(number):
            raise BrokenArchive(excess)
        if not member.path.endswith(b"/"):
            yield _ReadableMember(
                _shown(member.path),
                member.size,
                f"{member.crc:08x}",
                lambda member=member: _read_zip_member(pread, member, directory),  # type: ignore[misc]
            )


def _read_zip_member(pread: Pread, member: ZipMember, directory: ZipDirectory) -> bytes:
    check_readable(member)
    local, offset = read_local_header(pread, member, directory)
    if local.path != member.path or offset + member.stored_size > directory.offset:
        raise misplaced(member)
    if member.stored_size > bounds.MEMBER_TEXTS.most:
        raise BrokenArchive(
            f"its member {shown(_shown(member.path))} is packed into more bytes than are read"
        )
    data = read_exactly(pread, member.stored_size, offset)
    if member.method == DEFLATED:
        try:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, member.size + 1)
        except zlib.error as error:
            raise BrokenArchive(f"its member {shown(_shown(member.path))} is damaged") from error
    if len(data) != member.size or zlib.crc32(data) != member.crc:
        raise BrokenArchive(f"its member {shown(_shown(member.path))} is damaged")
    return data


def _tar_members(
    file: BinaryIO, size: int, suffix: str, wanted: Collection[str] | None
) -> Iterator[_ReadableMember]:
    file.seek(0)
    raw = iter(lambda: file.read(_CHUNK), b"")
    stream = TarStream(unpacked(raw, size, suffix) if is_compressed(suffix) else raw)
    for number, header in enumerate(headers(stream), 1):
        if excess := bounds.MEMBERS.excess(number):
            raise BrokenArchive(excess)
        path = _shown(header.path)
        if header.kind in _LINKS and wanted is None:
            yield _link(header, path)
        elif header.kind not in REGULAR or path.endswith("/"):
            pass_over(stream, header.size)
        elif wanted is None:
            yield _ReadableMember(path, header.size, _tar_fingerprint(stream, header.size), bytes)
        elif path in wanted and not _bound(path).excess(header.size):
            data = _tar_data(stream, header.size)
            yield _ReadableMember(path, header.size, "", lambda data=data: data)  # type: ignore[misc]
        else:
            pass_over(stream, header.size)
            yield _ReadableMember(path, header.size, "", bytes)


def _link(header: TarHeader, path: str) -> _ReadableMember:
    """Return a link, behind which no data follow."""
    target, digest = header.link[: bounds.LINK.most], hashlib.sha256(header.link)
    return _ReadableMember(path, 0, digest.hexdigest()[:16], bytes, _LINKS[header.kind], _shown(target))


def _bound(path: str) -> Bound:
    """Return how large a text may be: an sdist's metadata, which project pages show, as large as all texts together."""
    is_metadata = is_sdist_metadata(path.encode("utf-8", "surrogatepass"))
    return bounds.MEMBER_TEXTS if is_metadata else bounds.MEMBER_TEXT


def _tar_fingerprint(stream: TarStream, size: int) -> str:
    digest, left = hashlib.sha256(), size
    while left:
        portion = stream.take(min(left, _CHUNK))
        if not portion:
            raise CutOff
        digest.update(portion)
        left -= len(portion)
    _pass_over_padding(stream, size)
    return digest.hexdigest()[:16]


def _tar_data(stream: TarStream, size: int) -> bytes:
    data = stream.take(size)
    if len(data) < size:
        raise CutOff
    _pass_over_padding(stream, size)
    return data


def _pass_over_padding(stream: TarStream, size: int) -> None:
    if not stream.skip(-size % _BLOCK):
        raise CutOff


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")
