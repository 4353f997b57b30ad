"""Zip containers: only what every installer reads alike is whole."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
import zlib
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from simpleindex.archives import zip as zips
from simpleindex.archives.archive_info import MemberSpan
from simpleindex.archives.errors import BrokenArchive, CutOff
from simpleindex.archives.zip import ZipMember, find_directory, read_exactly, zip_members
from simpleindex.archives.zip_members import DEFLATED, STORED, data_start, unpack
from tests.fixtures.depth import THOROUGH
from tests.fixtures.tables import for_each

if TYPE_CHECKING:
    from simpleindex.archives.zip import Pread


def pread_of(data: bytes) -> Pread:
    """Positional reads of these bytes."""
    return lambda length, offset: data[offset : offset + length]


def zip_bytes(contents: dict[str, bytes], comment: bytes = b"", method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip archive as Python writes it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for path, data in contents.items():
            archive.writestr(path, data)
        archive.comment = comment
    return out.getvalue()


SMALL = zip_bytes({"a/b": b"one", "c": b"two"})
END = SMALL.rindex(b"PK\x05\x06")
ENTRIES, SIZE, OFFSET = struct.unpack_from("<H2L", SMALL, END + 10)


def zip64_bytes(
    *, entries: int = ENTRIES, size: int = SIZE, offset: int = OFFSET, short: int = 0xFFFFFFFF
) -> bytes:
    """SMALL with a zip64 end record that says this; the short one says ``short`` everywhere."""
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, entries, entries, size, offset)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, END, 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, short & 0xFFFF, short & 0xFFFF, short, short, 0)
    return SMALL[:END] + record + locator + end


def walk(data: bytes) -> list[ZipMember]:
    """All members, checked."""
    pread = pread_of(data)
    return list(zip_members(pread, find_directory(pread, len(data))))


def patched(data: bytes, at: int, new: bytes) -> bytes:
    """These bytes with others in one place."""
    return data[:at] + new + data[at + len(new) :]


@pytest.mark.parametrize(
    "data",
    [
        SMALL,
        zip_bytes({"a/b": b"one", "c": b"two"}, comment=b"a comment"),
        zip_bytes({"a/b": b"one", "c": b"two"}, comment=b"x" * 65535),
        zip64_bytes(),
    ],
    ids=["plain", "comment", "longest-comment", "zip64"],
)
def test_a_whole_archive_is_walked(data: bytes) -> None:
    """Whatever the form of its end, the same members are found as by zipfile."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        theirs = [(i.filename, i.file_size, i.CRC, i.header_offset) for i in archive.infolist()]
    assert [(m.path.decode(), m.size, m.crc, m.header_offset) for m in walk(data)] == theirs


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        b"just a text that is called acme.whl\n" * 10,
        b"\0" * 100,
        b"junk before it" + SMALL,
        b"PKzip is a program",
    ],
)
def test_what_never_was_a_zip_archive(data: bytes) -> None:
    """No more bytes will mend these."""
    with pytest.raises(BrokenArchive, match=r"^it is not a zip archive$") as caught:
        walk(data)
    assert not caught.value.perhaps_unfinished


@for_each(
    "data",
    [
        b"P",
        b"PK\x03\x04",
        SMALL[:END],
        SMALL[:-1],
        zip_bytes({"c": b"two"}, comment=b"a comment")[:-1],
        zip_bytes({"nested.whl": SMALL})[: zip_bytes({"nested.whl": SMALL}).index(SMALL) + len(SMALL)],
        zip64_bytes()[:-22] + zip64_bytes()[-22:-1],
        patched(zip64_bytes(), END, b"XX"),
        patched(zip64_bytes(), END + 4, b"\x2d"),
        patched(zip64_bytes(), len(zip64_bytes()) - 42 + 8, struct.pack("<Q", 2**64 - 1)),
        zip64_bytes(offset=2**64 - 1),
        patched(SMALL, END + 16, struct.pack("<L", OFFSET + 1)),
        SMALL[:END] + b"1234" + SMALL[END:],
        patched(SMALL, END + 12, struct.pack("<L", 0)),
    ],
)
def test_what_begins_like_one_and_does_not_end_like_one_may_be_unfinished(data: bytes) -> None:
    """The end record must lie exactly at the end, and the directory right before it; a nested archive's is another's."""
    with pytest.raises(CutOff):
        walk(data)


@for_each("more", [b"\n", b"\0\0\0", b"trailing", b"PK\x05\x06", bytes(60_000)])
@for_each("comment", [b"", b"a comment"])
def test_bytes_after_the_end_are_named(more: bytes, comment: bytes) -> None:
    """Such a file is whole, and not "cut off"; an archive at the end of which another's end record lies is another matter."""
    data = zip_bytes({"a": b"one"}, comment=comment)
    with pytest.raises(
        BrokenArchive, match=f"^{len(more)} bytes follow the end of its zip archive$"
    ) as caught:
        walk(data + more)
    assert not caught.value.perhaps_unfinished


def test_an_empty_archive_is_none() -> None:
    """An end record alone."""
    with pytest.raises(BrokenArchive, match="it is an empty zip archive"):
        walk(zip_bytes({}))


@pytest.mark.parametrize("short", [7, 0])
def test_contradicting_end_records_are_refused(short: int) -> None:
    """Installers differ in which of the two they believe."""
    with pytest.raises(BrokenArchive, match="contradict each other"):
        walk(zip64_bytes(short=short))


def test_a_huge_directory_is_not_read() -> None:
    """Its size alone decides."""
    size = zips.MAXIMUM_DIRECTORY + 1
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, size, 0, 0)
    pread = pread_of(end)
    with pytest.raises(BrokenArchive, match="its zip directory is larger than 32 MiB"):
        find_directory(lambda length, offset: pread(length, offset - size).rjust(length, b"\0"), size + 22)


@pytest.mark.parametrize(
    ("at", "new", "sentence"),
    [
        (OFFSET, b"PK\x01\x03", "damaged"),
        (OFFSET + 28, b"\xff\xff", "damaged"),
        (OFFSET + 28, b"\x04\x00", "damaged"),
        (OFFSET + 46, b"a\0b", "damaged"),
        (OFFSET + 42, b"\xf0\x00\x00\x00", "its member 'a/b' lies outside of the archive"),
        (OFFSET + 20, b"\xff\x00\x00\x00", "its member 'a/b' lies outside of the archive"),
        (OFFSET + 20, b"\xff\xff\xff\xff", "damaged"),
        (END + 10, b"\x03", "not as many entries"),
    ],
    ids=[
        "signature",
        "long-path",
        "shifted",
        "nul-in-path",
        "offset",
        "stored-size",
        "no-zip64-field",
        "count",
    ],
)
def test_a_damaged_directory_is_refused(at: int, new: bytes, sentence: str) -> None:
    """Before anything is hashed."""
    with pytest.raises(BrokenArchive, match=sentence) as caught:
        walk(patched(SMALL, at, new))
    assert not caught.value.perhaps_unfinished


def test_a_directory_that_ends_within_an_entry_is_refused() -> None:
    """Its size is as stated, and its last entry is not whole."""
    data = SMALL[:END] + b"PK\x01\x02" + patched(SMALL[END:], 12, struct.pack("<L", SIZE + 4))
    with pytest.raises(BrokenArchive, match="its zip directory is damaged"):
        walk(data)


def with_extra(extra: bytes, numbers: tuple[int, int, int]) -> bytes:
    """One stored member "c" whose entry has (stored size, size, offset) and an extra field."""
    local = zip_bytes({"c": b"two"})
    begin = local.index(b"PK\x01\x02")
    entry = bytearray(local[begin : begin + 47])
    struct.pack_into("<2L", entry, 20, *numbers[:2])
    struct.pack_into("<H", entry, 30, len(extra))
    struct.pack_into("<L", entry, 42, numbers[2])
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 47 + len(extra), begin, 0)
    return local[:begin] + bytes(entry) + extra + end


BIG = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("extra", "numbers"),
    [
        (struct.pack("<2H3Q", 1, 24, 3, 3, 0), (BIG, BIG, BIG)),
        (struct.pack("<2H1Q", 1, 8, 0), (3, 3, BIG)),
        (struct.pack("<2H4s", 0x5455, 4, b"time") + struct.pack("<2H1Q", 1, 8, 3), (3, BIG, 0)),
        (struct.pack("<2H4s", 0x5455, 4, b"time"), (3, 3, 0)),
    ],
)
def test_zip64_sizes_of_members_are_read(extra: bytes, numbers: tuple[int, int, int]) -> None:
    """Only the numbers that do not fit are in the extra field, in a fixed order."""
    (member,) = walk(with_extra(extra, numbers))
    assert (member.stored_size, member.size, member.header_offset) == (3, 3, 0)


@pytest.mark.parametrize(
    "extra", [b"", b"\1", struct.pack("<2H1Q", 1, 8, 3), struct.pack("<2H", 1, 24), b"\5\0\0\0"]
)
def test_missing_zip64_sizes_are_refused(extra: bytes) -> None:
    """Three numbers do not fit, fewer are there."""
    with pytest.raises(BrokenArchive, match="its zip directory is damaged"):
        walk(with_extra(extra, (BIG, BIG, BIG)))


def test_many_members_cost_no_memory() -> None:
    """70,000 of them (more than fit the count of a plain end record) are walked within a few MiB."""
    local = SMALL[:OFFSET]
    entry = SMALL[OFFSET : OFFSET + 46] + b"a/b"
    directory = entry * 70_000
    count = 70_000 % 65536
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(directory), len(local), 0)
    data = local + directory + end
    pread = pread_of(data)
    tracemalloc.start()
    try:
        members = zip_members(pread, find_directory(pread, len(data)))
        # Beside the directory there is room for less than so many take; tracing takes most of the time.
        traced = sum(1 for _ in islice(members, 70_000 if THOROUGH else 20_000))
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert traced + sum(1 for _ in members) == 70_000


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_is_read_from_its_place(method: int) -> None:
    """Directly, without the directory."""
    data = zip_bytes({"x": b"before", "c": b"two " * 100}, method=method)
    pread = pread_of(data)
    directory = find_directory(pread, len(data))
    member = list(zip_members(pread, directory))[1]
    place = data_start(pread, member, directory)
    assert place.method == method
    assert unpack(pread, place, member.size) == b"two " * 100


@pytest.mark.parametrize(
    ("at", "new", "sentence"),
    [
        (OFFSET + 8, b"\x01", "its 'a/b' is encrypted"),
        (OFFSET + 8, b"\x40", "its 'a/b' is encrypted"),
        (OFFSET + 9, b"\x20", "its 'a/b' is encrypted"),
        (OFFSET + 10, b"\x0c", "its 'a/b' is compressed by method 12, not deflated"),
        (OFFSET + 24, b"\xff\xff\xff\x7f", "its 'a/b' is larger than 16 MiB"),
        (0, b"PK\x03\x05", "its 'a/b' is not where the zip directory says"),
        (30, b"b", "its 'a/b' is not where the zip directory says"),
        (28, b"\xff", "its 'a/b' is not where the zip directory says"),
    ],
)
def test_a_member_that_cannot_be_served_is_refused(at: int, new: bytes, sentence: str) -> None:
    """Encrypted, compressed in a new way, a bomb, or with a local header that says something else."""
    pread = pread_of(patched(SMALL, at, new))
    directory = find_directory(pread, len(SMALL))
    member = next(zip_members(pread, directory))
    with pytest.raises(BrokenArchive, match=sentence):
        data_start(pread, member, directory)


def deflated(data: bytes) -> bytes:
    """A raw deflate stream."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflater.compress(data) + deflater.flush()


@pytest.mark.parametrize(
    ("data", "method", "size", "sentence"),
    [
        (b"abc", STORED, 4, "its metadata have another size"),
        (deflated(b"abc"), DEFLATED, 4, "its metadata have another size"),
        (deflated(b"abc")[:-1], DEFLATED, 3, "its metadata do not end where they should"),
        (deflated(b"abc" * 1000), DEFLATED, 3, "its metadata do not end where they should"),
        (b"\xff\xff", DEFLATED, 3, "its metadata are damaged"),
    ],
)
def test_damaged_data_are_refused(data: bytes, method: int, size: int, sentence: str) -> None:
    """Whatever is wrong with them, exactly the stated bytes come out or none."""
    with pytest.raises(BrokenArchive, match=sentence):
        unpack(pread_of(data), MemberSpan(0, len(data), method), size)


def test_a_bomb_is_unpacked_no_further_than_its_size() -> None:
    """32 MiB of zeros that call themselves 1 KiB cost little more."""
    data = deflated(b"\0" * (1 << 25))
    tracemalloc.start()
    try:
        with pytest.raises(BrokenArchive):
            unpack(pread_of(data), MemberSpan(0, len(data), DEFLATED), 1024)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_short_reads_are_tried_on() -> None:
    """A read may return fewer bytes than asked for, on some file systems; none means that the file has shrunk."""
    data = bytes(range(200))
    assert (
        read_exactly(lambda length, offset: data[offset : offset + min(length, 7)], 100, 50) == data[50:150]
    )
    with pytest.raises(BrokenArchive, match="became shorter") as caught:
        read_exactly(pread_of(data), 100, 150)
    assert caught.value.perhaps_unfinished
