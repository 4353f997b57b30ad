"""Examining an upload: what is new must be beyond doubt (docs/protocol.md, "Checks of an upload").

What lies in the directory already is only checked for being whole (:mod:`simpleindex.archives.inspect`); what is uploaded
is unpacked to its last byte, in little memory, and must look the same to every installer. Blocking; runs in a thread.
"""

from __future__ import annotations

import re
import zipfile
from os import SEEK_END
from typing import TYPE_CHECKING, Final

from packaging.version import Version

from simpleindex.archives.archive_info import MemberSpan
from simpleindex.archives.errors import BrokenArchive
from simpleindex.archives.inspect import sdist_metadata, wheel_metadata
from simpleindex.archives.paths import plain_path
from simpleindex.archives.verification import verify_tar as strict_tars
from simpleindex.archives.verification import verify_zip as strict_zips
from simpleindex.archives.verification.strict_metadata import (
    fits_64_bits,
    judge_dependencies,
    judge_installable,
)
from simpleindex.archives.verification.wheel_layout import WheelLayout
from simpleindex.archives.verification.wheel_metadata import (
    MAXIMUM_TEXT,
    judge_entry_points,
    judge_licenses,
    judge_wheel_file,
)
from simpleindex.archives.verification.wheel_record import is_listed, judge_owed_digest, judge_record
from simpleindex.archives.zip import pread_of, zip_members
from simpleindex.archives.zip_members import data_start, read_local_header
from simpleindex.core.errors import InvalidMetadata
from simpleindex.core.metadata import MAXIMUM_SIZE, VerifiedMetadata, read_details, read_metadata, states
from simpleindex.core.names import Kind, distribution_suffix
from simpleindex.core.text import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from simpleindex.access.identity import UploadRules
    from simpleindex.archives.paths import Paths
    from simpleindex.archives.zip import Pread, ZipDirectory, ZipMember
    from simpleindex.core.metadata import Details
    from simpleindex.core.names import DistributionName

MAXIMUM_UNPACKED: Final = 16 * 1024**3
"""Bytes; the largest wheels known unpack to some 5 GB."""
RATIO: Final = 50
RATIO_FROM: Final = 64 * 1024 * 1024
"""An upload that unpacks to more than this many bytes and to more than the ratio times its own size is refused."""

_TEXTS: Final = frozenset({b"WHEEL", b"RECORD", b"entry_points.txt"})
_COMPRESSED_CHUNK: Final = 64 * 1024
_METADATA_VERSION: Final = re.compile(r"[1-9][0-9]{0,3}\.[0-9]{1,4}")
# Before this version License-File was an invention of setuptools, whose paths meant something else.
_LICENSES_SINCE: Final = Version("2.4")
# PEP 643: from then on an sdist's metadata are those of its wheels, where they are not called dynamic.
_STATIC_SINCE: Final = Version("2.2")


def examine_strictly(file: BinaryIO, name: DistributionName, rules: UploadRules) -> VerifiedMetadata:
    """Examine an upload.

    Args:
        file: Seekable.
        name: What its file name says.
        rules: For its project.

    Raises:
        BrokenArchive: It cannot be taken; the reason is fit for the client.
        OSError: It cannot be read.
    """
    size = file.seek(0, SEEK_END)
    if not size:
        raise BrokenArchive("it is empty")
    if not fits_64_bits(Version(name.version)):
        raise BrokenArchive(
            f"its version {shown(name.version)} has a number of more than 64 bits, which uv cannot read"
        )
    suffix = distribution_suffix(name.filename) or ""
    most = min(MAXIMUM_UNPACKED, max(RATIO_FROM, RATIO * size))
    try:
        if suffix in {".whl", ".zip"}:
            return _examine_zip(file, size, name, rules, most)
        return _examine_tar(file, size, suffix, name, most)
    except InvalidMetadata as error:
        raise BrokenArchive(error.reason) from error


def _examine_tar(
    file: BinaryIO, size: int, suffix: str, name: DistributionName, most: int
) -> VerifiedMetadata:
    paths, data = strict_tars.read_tar_strictly(_chunks(file), size, suffix, most)
    # pip unpacks whatever ends like a zip file as one, even if it is called .tar.gz.
    if zipfile.is_zipfile(file):
        raise BrokenArchive("it is a tar and a zip archive at once")
    return _judge_sdist(paths, data, name)


def _examine_zip(
    file: BinaryIO, size: int, name: DistributionName, rules: UploadRules, most: int
) -> VerifiedMetadata:
    pread = pread_of(file)
    directory = strict_zips.find_strictly(pread, size)
    is_wheel = name.kind is Kind.WHEEL
    choose = wheel_metadata if is_wheel else sdist_metadata
    texts: dict[bytes, ZipMember] = {}
    layout = WheelLayout()
    judge_path = layout.judge if is_wheel else None
    member = choose(_noting(zip_members(pread, directory), texts, judge_path), name)
    with_digests = is_wheel and rules.require_record
    paths = strict_zips.read_zip_strictly(pread, directory, most, with_digests=with_digests)
    data = None if member is None else _read(pread, member, directory, MAXIMUM_SIZE)
    if not is_wheel:
        return _judge_sdist(paths, data, name)
    assert member is not None  # chosen, or refused
    assert data is not None
    dist_info = plain_path(member.path).partition("/")[0]
    layout.finish(dist_info)
    examined, details = _judge_metadata(data, name)
    judge_installable(data)
    _judge_texts(pread, directory, texts, name, rules)
    if rules.require_record:
        _judge_record(pread, directory, texts.get(b"RECORD"), paths, dist_info)
    if Version(examined.metadata_version) >= _LICENSES_SINCE:
        judge_licenses(details.license_files, f"{dist_info}/licenses", paths)
    return examined


def _noting(
    found: Iterator[ZipMember], texts: dict[bytes, ZipMember], judge_path: Callable[[bytes], None] | None
) -> Iterator[ZipMember]:
    """Note on the way the members that are read later, by their names in the .dist-info directory, and judge all paths."""
    for member in found:
        if judge_path is not None:
            judge_path(member.path)
        top, _, rest = member.path.partition(b"/")
        if rest in _TEXTS and top.endswith(b".dist-info"):
            texts[rest] = member
        yield member


def _judge_texts(
    pread: Pread,
    directory: ZipDirectory,
    texts: dict[bytes, ZipMember],
    name: DistributionName,
    rules: UploadRules,
) -> None:
    if (wheel := texts.get(b"WHEEL")) is None:
        raise BrokenArchive("it has no WHEEL in its .dist-info directory")
    judge_wheel_file(
        _read(pread, wheel, directory, MAXIMUM_TEXT), name, tags_must_match=rules.tags_must_match
    )
    if (entry_points := texts.get(b"entry_points.txt")) is not None:
        judge_entry_points(_read(pread, entry_points, directory, MAXIMUM_TEXT))


def _judge_record(
    pread: Pread, directory: ZipDirectory, record: ZipMember | None, paths: Paths, dist_info: str
) -> None:
    if record is None:
        raise BrokenArchive("it has no RECORD in its .dist-info directory")
    place = data_start(pread, record, directory)
    listed, owed = judge_record(strict_zips.unpacked_member(pread, record, place), paths, dist_info)
    if listed == len(paths) and not owed:
        return
    # Of the paths only digests were kept, so who is missing must be looked for; and others were not computed yet.
    for member in zip_members(pread, directory):
        path = plain_path(member.path)
        if member.path.endswith(b"/"):
            continue
        if not is_listed(path, paths, dist_info):
            raise BrokenArchive(f"its RECORD does not list {shown(path)}")
        judge_owed_digest(path, _data_of(pread, member, directory), paths)


def _data_of(pread: Pread, member: ZipMember, directory: ZipDirectory) -> Iterator[bytes]:
    _, offset = read_local_header(pread, member, directory)
    place = MemberSpan(offset, member.stored_size, member.method)
    yield from strict_zips.unpacked_member(pread, member, place)


def _judge_sdist(paths: Paths, data: bytes | None, name: DistributionName) -> VerifiedMetadata:
    if len(paths.tops) != 1:
        raise BrokenArchive("it has not exactly one top directory, as every sdist has")
    (top,) = paths.tops
    if not _is_top(top, name):
        raise BrokenArchive(f"its top directory is {shown(top)}, not {name.project}-{name.version}")
    if data is None:
        raise BrokenArchive("it has no PKG-INFO in its top directory")
    examined, details = _judge_metadata(data, name)
    if Version(examined.metadata_version) >= _STATIC_SINCE:
        judge_dependencies(data)
    if Version(examined.metadata_version) >= _LICENSES_SINCE:
        judge_licenses(details.license_files, top, paths)
    return examined


def _is_top(top: str, name: DistributionName) -> bool:
    """Whether a top directory is spelt like the distribution: name and version may both hold hyphens."""
    cuts = (match.start() for match in re.finditer("-", top))
    return any(states(top[:cut], top[cut + 1 :], name) for cut in cuts)


def _judge_metadata(data: bytes, name: DistributionName) -> tuple[VerifiedMetadata, Details]:
    metadata, details = read_metadata(data, name), read_details(data)
    version = details.metadata_version
    if version is None or not _METADATA_VERSION.fullmatch(version):
        raise BrokenArchive("its metadata have no Metadata-Version, or one that is not a version")
    return VerifiedMetadata(metadata, version), details


def _read(pread: Pread, member: ZipMember, directory: ZipDirectory, most: int) -> bytes:
    """Read a small member whole."""
    if member.size > most:
        raise BrokenArchive(f"its {shown(plain_path(member.path))} is larger than {most >> 20} MiB")
    place = data_start(pread, member, directory)
    return b"".join(strict_zips.unpacked_member(pread, member, place))


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(_COMPRESSED_CHUNK):
        yield chunk
