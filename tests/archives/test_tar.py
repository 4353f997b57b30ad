"""Tar archives in their compressions: read to the very end, in little memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import tracemalloc
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from simpleindex.archives import compression as decompression
from simpleindex.archives.errors import BrokenArchive, CutOff
from simpleindex.archives.tar import read_tar
from simpleindex.core import bounds
from tests.fixtures.depth import every
from tests.fixtures.tables import for_each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

INFO = b"Name: acme\nVersion: 1.0\n"
BLOCK = 512
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    ".tar": bytes,
    ".tar.gz": gzip.compress,
    ".tgz": gzip.compress,
    ".tar.bz2": bz2.compress,
    ".tbz": bz2.compress,
    ".tar.xz": lzma.compress,
    ".txz": lzma.compress,
}
COMPRESSED = sorted(set(COMPRESSIONS) - {".tar"})


def tar_bytes(*contents: tuple[str, bytes] | tarfile.TarInfo, format: int = tarfile.PAX_FORMAT) -> bytes:  # noqa: A002  (tarfile's own word)
    """A tar archive as Python writes it, from (path, data) and from members without data."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for content in contents:
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            member = tarfile.TarInfo(content[0])
            member.size = len(content[1])
            archive.addfile(member, io.BytesIO(content[1]))
    return out.getvalue()


SMALL = tar_bytes(("acme-1.0/setup.py", b"x" * 700), ("acme-1.0/PKG-INFO", INFO))


def chunks(data: bytes, size: int = 64 * 1024) -> Iterator[bytes]:
    """These bytes in portions."""
    return (data[at : at + size] for at in range(0, len(data), size))


def read(data: bytes, suffix: str = ".tar", size: int = 64 * 1024) -> bytes | None:
    """Read an archive that lies in memory."""
    return read_tar(chunks(data, size), len(data), suffix)


def header(path: bytes, size: bytes = b"0" * 11, kind: bytes = b"0", *, signed: bool = False) -> bytes:
    """One tar header, as only old or odd writers make it."""
    block = bytearray(BLOCK)
    block[: len(path)] = path
    block[124 : 124 + len(size)] = size
    block[148:156] = b" " * 8
    block[156:157] = kind
    total = sum(struct.unpack("512b", block)) if signed else sum(block)
    block[148:156] = b"%06o\0 " % total
    return bytes(block)


END = bytes(2 * BLOCK)


@for_each("suffix", COMPRESSIONS)
@for_each("size", [1, 7, 1000, 1 << 20])
def test_row_16_pkg_info_is_found_in_every_form(suffix: str, size: int) -> None:
    """Every suffix of an sdist, read in chunks of any size."""
    assert read(COMPRESSIONS[suffix](SMALL), suffix, size) == INFO


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_that_are_not_plain_files_are_passed_over(format: int) -> None:  # noqa: A002  (tarfile's own word)
    """Directories, links with a size, long and non-ASCII names in the three formats, deeper PKG-INFOs."""
    directory, link, long_link = (tarfile.TarInfo(f"acme-1.0/{name}") for name in ("d", "l", "m"))
    directory.type, link.type, long_link.type = tarfile.DIRTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE
    link.linkname, link.size = "acme-1.0/x", 10_000
    long_link.linkname = "y" * 90 if format == tarfile.USTAR_FORMAT else "y" * 3000
    long_name = "acme-1.0/" + "z" * 80 + "/" + "z" * 80
    data = tar_bytes(
        directory,
        link,
        long_link,
        (long_name, b"1" * 513),
        ("acme-1.0/ü", b"2"),
        ("acme-1.0/acme.egg-info/PKG-INFO", b"deeper"),
        ("acme-1.0/PKG-INFO", INFO),
        ("acme-1.0/PKG-INFO", b"the first wins"),
        format=format,
    )
    assert read(data) == INFO


def test_a_pkg_info_under_a_long_name_is_found() -> None:
    """The path of a pax header or of GNU's long name is the true one; the header's is cut to 100 characters."""
    top = "a" * 120
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT):
        assert read(tar_bytes((f"{top}/PKG-INFO", INFO), format=form)) == INFO
        beyond = ("b" * 91 + "/PKG-INFO" + "x" * 50, b"no")
        if form != tarfile.USTAR_FORMAT:
            assert read(tar_bytes(beyond, format=form)) is None


def test_an_old_sdist_has_no_pkg_info() -> None:
    """That is allowed."""
    assert read(tar_bytes(("acme-1.0/setup.py", b""))) is None


def pax(*records: bytes, kind: bytes = b"x") -> bytes:
    """A pax header with these records."""
    body = b"".join(records)
    return header(b"pax", b"%011o" % len(body), kind) + body.ljust(BLOCK, b"\0")


@for_each(
    "members",
    [
        header(b"acme-1.0/x", b"\x80" + (600).to_bytes(11)) + bytes(1024),
        header(b"acme-1.0/x", b" 1130 \0") + bytes(1024),
        header(b"acme-1.0/x", b"") + header(b"acme-1.0/y", b"\0" * 12),
        header("acme-1.0/ü".encode(), signed=True),
        header(b"acme-1.0/d/", b"%011o" % 5000, b"\0"),
        header(b"acme-1.0/f", b"%011o" % 512, b"\0") + b"f" * 512,
        pax(b"12 size=600\n") + header(b"acme-1.0/x") + bytes(1024),
        pax(b"12 size=600\n", kind=b"g") + header(b"acme-1.0/x"),
        pax(b"13 path=a/b\n\n", b"no record")
        + header(b"acme-1.0/PKG-INFO", b"%011o" % 3)
        + b"two".ljust(512),
        pax(b"18 path=a/PKG-INF\n", b"0012 path=ab\n") + header(b"x"),
    ],
    ids=[
        "base256",
        "spaces",
        "blank-size",
        "signed",
        "old-dir",
        "old-file",
        "pax-size",
        "global",
        "pax-path",
        "twice",
    ],
)
def test_headers_of_old_and_odd_writers(members: bytes) -> None:
    """What follows them is found."""
    assert (
        read(members + header(b"acme-1.0/PKG-INFO", b"%011o" % len(INFO)) + INFO.ljust(512, b"\0") + END)
        == INFO
    )


def test_sparse_files_with_a_continued_map_are_passed_over() -> None:
    """GNU's map of holes goes on in blocks that the size does not count."""
    sparse = bytearray(header(b"acme-1.0/s", b"%011o" % 100, b"S"))
    sparse[482] = 1
    sparse[148:156] = b" " * 8
    sparse[148:156] = b"%06o\0 " % sum(sparse)
    more = bytes(504) + b"\1" + bytes(7)
    assert read(bytes(sparse) + more + bytes(BLOCK) + bytes(BLOCK) + SMALL) == INFO


@for_each(
    "data",
    [
        b"not a tar archive, but more than a block of text\n" * 20,
        b"x" * 100,
        SMALL[1:] + b"\0",
        header(b"acme-1.0/x", b"garbage!") + END,
        header(b"acme-1.0/x", b"\xff" * 12) + END,
        header(b"a")[:148] + b"\xff" * 8 + header(b"a")[156:] + END,
    ],
)
@for_each("suffix", COMPRESSIONS)
def test_what_is_no_tar_archive(data: bytes, suffix: str) -> None:
    """Its first block must be a header."""
    with pytest.raises(BrokenArchive, match=r"^it is not a tar archive$"):
        read(COMPRESSIONS[suffix](data), suffix)


@pytest.mark.parametrize("suffix", COMPRESSIONS)
def test_an_empty_archive_is_none(suffix: str) -> None:
    """Nothing but an end."""
    with pytest.raises(BrokenArchive, match=r"^it is an empty tar archive$"):
        read(COMPRESSIONS[suffix](END), suffix)


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        (b"x" * 512, "its tar archive is damaged"),
        (pax(b"0 path=x\n"), "its tar archive is damaged"),
        (pax(b"9 path=x\n", b"5 no\n", b"99 size=-1\n"), "its tar archive is damaged"),
        (pax(b"9 size=x\n") + header(b"x"), "its tar archive is damaged"),
        (pax(b"12 size=6_0\n") + header(b"x"), "its tar archive is damaged"),
        (header(b"acme-1.0/PKG-INFO", b"%011o" % (17 << 20)), "it has metadata of more than 16 MiB"),
        (
            header(b"x", b"%011o" % (2 << 20), b"x"),
            "what the extended headers say of one member has 2,097,152 bytes, and at most 1,048,576 are read",
        ),
    ],
)
def test_a_damaged_archive_is_refused(members: bytes, sentence: str) -> None:
    """A bad header is the end for tarfile, which then installs what came before."""
    with pytest.raises(BrokenArchive, match=sentence) as caught:
        read(header(b"acme-1.0/first") + members + END)
    assert not caught.value.perhaps_unfinished


@pytest.mark.parametrize("suffix", COMPRESSED)
def test_every_cut_of_a_compressed_archive_is_seen(suffix: str) -> None:
    """At whatever length, and it may be unfinished."""
    data = COMPRESSIONS[suffix](SMALL)
    for length in range(1, len(data)):
        with pytest.raises(BrokenArchive) as caught:
            read(data[:length], suffix)
        assert caught.value.perhaps_unfinished


def test_every_cut_of_a_plain_archive_is_seen_up_to_its_end_mark() -> None:
    """What is missing of the padding behind it, if whole blocks, cannot be known."""
    mark = len(SMALL.rstrip(b"\0"))
    mark += -mark % BLOCK + 2 * BLOCK
    for length in [*range(1, mark, every(3)), *range(mark + 1, mark + BLOCK, every(3))]:
        with pytest.raises(BrokenArchive) as caught:
            read(SMALL[:length])
        assert caught.value.perhaps_unfinished
    assert read(SMALL[:mark]) == INFO


@for_each("suffix", COMPRESSED)
@for_each("length", [1024, 1500, 1536, 2048, 2100])
def test_a_cut_archive_in_a_whole_stream_is_seen(suffix: str, length: int) -> None:
    """As when a file of several streams is cut between two of them."""
    with pytest.raises(CutOff):
        read(COMPRESSIONS[suffix](SMALL[:length]), suffix)


def test_a_cut_extended_header_is_seen() -> None:
    """It is taken whole or not at all."""
    with pytest.raises(CutOff):
        read(gzip.compress(header(b"x", b"%011o" % 1000, b"x") + bytes(512)), ".tar.gz")


def test_a_compressed_archive_needs_one_block_at_its_end() -> None:
    """As for tarfile; its trailer vouches for the rest. A plain one needs both."""
    one = header(b"acme-1.0/x") + bytes(BLOCK)
    assert read(gzip.compress(one), ".tar.gz") is None
    with pytest.raises(CutOff):
        read(one)


@for_each("suffix", COMPRESSED)
@for_each("size", [1, 100, 1 << 20])
def test_several_streams_and_zeros_after_them_are_one_archive(suffix: str, size: int) -> None:
    """pigz, pbzip2 and tapes make such files."""
    compress = COMPRESSIONS[suffix]
    data = compress(SMALL[:700]) + bytes(5) + compress(b"") + compress(SMALL[700:]) + bytes(5000)
    assert read(data, suffix, size) == INFO


BEHIND = [
    b"\n",
    b"\0\n",
    b"x" * 30_000,
    b"\x1f\x8bgarbage",
    b"BZh9garbage",
    b"\xfd7zXZ\0garbage",
    b"PK\x03\x04",
]


@for_each("suffix", COMPRESSIONS)
@for_each("more", BEHIND)
@for_each("size", [1, 7, 1 << 20])
def test_other_data_behind_the_end_do_no_harm(suffix: str, more: bytes, size: int) -> None:
    """The archive's end mark and its stream's trailer prove it whole, and pip and uv read no further."""
    taken = 0

    def raw() -> Iterator[bytes]:
        nonlocal taken
        for chunk in chunks(data, size):
            taken += len(chunk)
            yield chunk

    for streams in ([SMALL], [SMALL[:700], SMALL[700:]]):
        data = b"".join(map(COMPRESSIONS[suffix], streams)) + more
        taken = 0
        assert read_tar(raw(), len(data), suffix) == INFO
        # A digest is made of all bytes.
        assert taken == len(data)


@for_each("suffix", COMPRESSED)
@for_each("more", BEHIND)
def test_other_data_before_the_end_are_refused(suffix: str, more: bytes) -> None:
    """The end mark is in the second stream."""
    compress = COMPRESSIONS[suffix]
    for data in (compress(SMALL[:700]) + more, compress(SMALL[:700]) + more + compress(SMALL[700:])):
        with pytest.raises(BrokenArchive):
            read(data, suffix)


@pytest.mark.parametrize("suffix", COMPRESSED)
def test_a_second_stream_that_is_cut_off_may_be_unfinished(suffix: str) -> None:
    """Zeros behind the end mark can fill many streams, of which the last has not arrived yet."""
    stream = COMPRESSIONS[suffix](random.Random(2).randbytes(3000))
    for length in (7, len(stream) // 2, len(stream) - 1):
        with pytest.raises(CutOff):
            read(COMPRESSIONS[suffix](SMALL) + stream[:length], suffix)
    assert read(COMPRESSIONS[suffix](SMALL) + stream, suffix) == INFO


@pytest.mark.parametrize("suffix", COMPRESSED)
def test_what_is_not_compressed_as_its_name_says(suffix: str) -> None:
    """A text, or the other compression."""
    for data in (b"<html>Not found</html>" * 10, SMALL, zlib.compress(SMALL)):
        with pytest.raises(BrokenArchive, match="it is not compressed as its name says") as caught:
            read(data, suffix)
        assert not caught.value.perhaps_unfinished


@pytest.mark.parametrize("suffix", [".tgz", ".tbz", ".txz"])
def test_damaged_data_are_refused(suffix: str) -> None:
    """The check sum at the end tells, if nothing before does."""
    noise = tar_bytes(("acme-1.0/x", random.Random(1).randbytes(2 << 20)))
    data = bytearray(COMPRESSIONS[suffix](noise))
    data[len(data) * 3 // 4] ^= 0x10
    with pytest.raises(BrokenArchive, match="damaged") as caught:
        read(bytes(data), suffix)
    assert not caught.value.perhaps_unfinished


@pytest.mark.parametrize(
    ("suffix", "most"), [(".tar.gz", 4 << 20), (".tar.bz2", 4 << 20), (".tar.xz", 12 << 20)]
)
def test_memory_stays_flat(suffix: str, most: int) -> None:
    """24 MiB unpacked pass through within a few MiB (and xz's own dictionary, here 8 MiB)."""
    data = COMPRESSIONS[suffix](tar_bytes(("acme-1.0/x", bytes(24 << 20)), ("acme-1.0/PKG-INFO", INFO)))
    tracemalloc.start()
    try:
        assert read(data, suffix) == INFO
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


def test_an_xz_that_asks_for_much_memory_is_refused() -> None:
    """A header can ask for 4 GiB; the best preset's 65 MiB are given."""
    hostile = bytearray(lzma.compress(SMALL, preset=9))
    assert read(bytes(hostile), ".tar.xz") == INFO
    # The dictionary's size is the one byte of LZMA2's properties in the block header, which has a check sum of its own.
    size = (hostile[12] + 1) * 4
    at = hostile.index(b"\x21\x01", 12) + 2
    hostile[at] = 40
    hostile[12 + size - 4 : 12 + size] = struct.pack("<L", zlib.crc32(hostile[12 : 12 + size - 4]))
    with pytest.raises(BrokenArchive, match="Memory usage limit exceeded"):
        read(bytes(hostile), ".tar.xz")


@pytest.mark.parametrize("suffix", COMPRESSED)
def test_a_bomb_is_refused(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than the bound, and out of proportion; either alone is allowed."""
    data = COMPRESSIONS[suffix](tar_bytes(("acme-1.0/x", bytes(3 << 20))))
    monkeypatch.setattr(decompression, "BOMB_SIZE", 2 << 20)
    with pytest.raises(BrokenArchive, match="out of all proportion to its size"):
        read(data, suffix)
    monkeypatch.setattr(decompression, "BOMB_RATIO", (4 << 20) // len(data))
    assert read(data, suffix) is None
    monkeypatch.setattr(decompression, "BOMB_RATIO", 1)
    monkeypatch.setattr(decompression, "BOMB_SIZE", 4 << 20)
    assert read(data, suffix) is None


def test_endless_streams_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each costs a copy, so their number is bounded."""
    monkeypatch.setattr(bounds, "STREAMS", replace(bounds.STREAMS, most=3))
    two = gzip.compress(SMALL) + gzip.compress(b"")
    assert read(two + gzip.compress(b""), ".tar.gz") == INFO
    with pytest.raises(BrokenArchive, match="its compressed data has 4 streams, and at most 3 are read"):
        read(two + gzip.compress(b"") * 2, ".tar.gz")


def test_endless_headers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """They need no data, and are packed very small."""
    monkeypatch.setattr(bounds, "TAR_HEADERS", replace(bounds.TAR_HEADERS, most=3))
    assert read(header(b"x") * 3 + END, ".tar") is None
    with pytest.raises(BrokenArchive, match="the archive has 4 headers, and at most 3 are read"):
        read(header(b"x") * 4 + END, ".tar")
