"""Examining distributions: whole or not, their digests, their metadata."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import tracemalloc
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from simpleindex.archives.archive_info import ArchiveInfo, MemberSpan
from simpleindex.archives.errors import BrokenArchive, CutOff
from simpleindex.archives.inspect import (
    examine_side_file,
    inspect_distribution,
    read_sidecar,
    read_wheel_metadata,
)
from simpleindex.core.files import Sidecar
from simpleindex.core.names import parse_distribution_name
from tests.fixtures.archives import Part, raw_zip, tar
from tests.fixtures.depth import number_of
from tests.fixtures.distributions import metadata_text, sdist_bytes, sdist_name, wheel_bytes, wheel_name
from tests.fixtures.tables import for_each

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NEEDS = "Requires-Python: >=3.9"
WHEEL = wheel_bytes("acme", "1.0", NEEDS)
SDIST = sdist_bytes("acme", "1.0", NEEDS)
TAR = gzip.decompress(SDIST)


def zip_bytes(*contents: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive with these members, of which several may have one path."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for path, data in contents:
            archive.writestr(path, data)
    return out.getvalue()


ZIP_SDIST = zip_bytes(("acme-1.0/setup.py", b""), ("acme-1.0/PKG-INFO", metadata_text("acme", "1.0", NEEDS)))

DISTRIBUTIONS = {
    wheel_name(): WHEEL,
    "acme-1.0.zip": ZIP_SDIST,
    "acme-1.0.tar.gz": SDIST,
    "acme-1.0.tgz": SDIST,
    "acme-1.0.tar.bz2": bz2.compress(TAR),
    "acme-1.0.tbz": bz2.compress(TAR),
    "acme-1.0.tar.xz": lzma.compress(TAR),
    "acme-1.0.txz": lzma.compress(TAR),
    "acme-1.0.tar": TAR,
}


def facts_of(data: bytes, filename: str = wheel_name()) -> ArchiveInfo:
    """Examine a distribution that lies in memory."""
    return inspect_distribution(io.BytesIO(data), parse_distribution_name(filename))


def refusal(data: bytes, filename: str = wheel_name()) -> BrokenArchive:
    """Examine what cannot be offered; return why."""
    with pytest.raises(BrokenArchive) as caught:
        facts_of(data, filename)
    return caught.value


@pytest.mark.parametrize("filename", DISTRIBUTIONS)
def test_row_16_every_form_states_its_digest_and_requires_python(filename: str, tmp_path: Path) -> None:
    """Every suffix, from memory, from a buffered and from an unbuffered file."""
    data = DISTRIBUTIONS[filename]
    facts = facts_of(data, filename)
    assert facts.sha256 == hashlib.sha256(data).hexdigest()
    assert facts.requires_python == ">=3.9"
    assert (facts.sidecar is None) is (facts.place is None) is not filename.endswith(".whl")
    path = tmp_path / filename
    path.write_bytes(data)
    with path.open("rb") as buffered, path.open("rb", buffering=0) as unbuffered:
        name = parse_distribution_name(filename)
        assert inspect_distribution(buffered, name) == inspect_distribution(unbuffered, name) == facts


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_row_14_row_15_the_sidecar_is_the_wheels_metadata_byte_for_byte(method: int, tmp_path: Path) -> None:
    """Odd line ends, trailing spaces and bytes that are no text included; read directly from the descriptor."""
    metadata = b"Name: acme \r\nVersion: 1.0\n\n\xff\xfe\r\r\n  " + b"long " * 10_000
    data = zip_bytes(("acme/__init__.py", b""), ("acme-1.0.dist-info/METADATA", metadata), method=method)
    facts = facts_of(data)
    assert facts.sidecar == Sidecar(hashlib.sha256(metadata).hexdigest(), len(metadata))
    path = tmp_path / "wheel"
    path.write_bytes(data)
    with path.open("rb") as file:
        assert read_sidecar(lambda length, offset: os.pread(file.fileno(), length, offset), facts) == metadata


@pytest.mark.parametrize(
    ("filename", "dist_info"),
    [
        ("acme-1.0-py3-none-any.whl", "acme-1.0.dist-info"),
        ("acme-1.0-py3-none-any.whl", "Acme-1.0.0.dist-info"),
        ("acme-1.0-1-py3-none-any.whl", "acme-1.0.dist-info"),
        ("A_b.C-1.0-py3-none-any.whl", "a-b-c-1.0.dist-info"),
        ("a_b_c-1.0+x.1-py3-none-any.whl", "A.B.C-1.0+x_1.dist-info"),
    ],
)
def test_row_14_the_directory_of_the_metadata_may_be_spelt_otherwise(filename: str, dist_info: str) -> None:
    """Names are compared normalized, versions by PEP 440."""
    name = parse_distribution_name(filename)
    data = wheel_bytes(name.project, name.version, dist_info=dist_info)
    assert facts_of(data, filename).sidecar


MINE = ("acme-1.0.dist-info/METADATA", metadata_text("acme", "1.0"))


@for_each(
    ("contents", "sentence"),
    [
        ([("acme.py", b"")], "it has no .dist-info directory, as every wheel has"),
        (
            [("acme/acme-1.0.dist-info/METADATA", MINE[1])],
            "it has no .dist-info directory, as every wheel has",
        ),
        ([("acme-1.0.dist-info/WHEEL", b"")], "it has no METADATA in its .dist-info directory"),
        ([("acme-1.0.dist-info/metadata", MINE[1])], "it has no METADATA in its .dist-info directory"),
        ([MINE, ("other-1.0.dist-info/METADATA", b"")], "it has several .dist-info directories"),
        ([MINE, ("Acme-1.0.dist-info/RECORD", b"")], "it has several .dist-info directories"),
        (
            [("other-1.0.dist-info/METADATA", MINE[1])],
            "its .dist-info directory is that of 'other-1.0', not of acme 1.0",
        ),
        (
            [("acme-1.1.dist-info/METADATA", MINE[1])],
            "its .dist-info directory is that of 'acme-1.1', not of acme 1.0",
        ),
        ([(".dist-info/METADATA", MINE[1])], "its .dist-info directory is that of '', not of acme 1.0"),
        (
            [("<b>\n-1.dist-info/METADATA", b"")],
            r"its .dist-info directory is that of '<b>\n-1', not of acme 1.0",
        ),
        (
            [(MINE[0], metadata_text("other", "1.0"))],
            "its metadata say 'other' '1.0', its name says acme 1.0",
        ),
        ([(MINE[0], metadata_text("acme", "2"))], "its metadata say 'acme' '2', its name says acme 1.0"),
        ([(MINE[0], b"")], "its metadata have no Name"),
        ([(MINE[0], b"\0" * ((16 << 20) + 1))], "its 'acme-1.0.dist-info/METADATA' is larger than 16 MiB"),
    ],
)
def test_row_15_a_wheel_without_metadata_of_its_own_is_refused(
    contents: list[tuple[str, bytes]], sentence: str
) -> None:
    """No client could install it, or two would see two things."""
    error = refusal(zip_bytes(*contents))
    assert str(error) == sentence
    assert not error.perhaps_unfinished


def test_row_15_metadata_that_are_there_twice_are_refused() -> None:
    """One installer takes the first, another the last."""
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = zip_bytes(MINE, MINE)
    assert str(refusal(data)) == "it has METADATA twice"


def test_row_15_metadata_whose_check_sum_is_wrong_are_refused() -> None:
    """The one part of a wheel that is served by itself is verified."""
    data = zip_bytes(MINE, method=zipfile.ZIP_STORED)
    assert (
        str(refusal(data.replace(b"Metadata-Version: 2.1", b"Metadata-Version: 2.2")))
        == "its metadata are damaged"
    )


def test_what_is_cheap_is_judged_before_anything_is_hashed() -> None:
    """A large file that is no wheel, or another project's, costs a few reads."""
    payload = ("acme/data", b"x" * (4 << 20))
    other = ("other-1.0.dist-info/METADATA", b"")
    for data in (b"text " * (1 << 20), zip_bytes(payload, other, method=zipfile.ZIP_STORED)):
        file = Counting(data)
        with pytest.raises(BrokenArchive):
            inspect_distribution(file, parse_distribution_name(wheel_name()))
        assert file.taken < 100_000


class Counting(io.BytesIO):
    """Counts the bytes that are read."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data


@for_each("filename", DISTRIBUTIONS)
def test_an_empty_file_may_be_unfinished(filename: str) -> None:
    """It was just created, or never filled."""
    error = refusal(b"", filename)
    assert str(error) == "it is empty"
    assert error.perhaps_unfinished


@for_each("filename", DISTRIBUTIONS)
def test_every_cut_is_seen(filename: str) -> None:
    """At whatever length (of a plain tar's end padding, whole blocks may be missing)."""
    data = DISTRIBUTIONS[filename]
    if filename.endswith(".tar"):
        data = data.rstrip(b"\0")
    for length in range(len(data)):
        assert refusal(data[:length], filename).perhaps_unfinished


@for_each("filename", DISTRIBUTIONS)
def test_a_web_page_or_a_directorys_junk_never_was_a_distribution(filename: str) -> None:
    """The saved answer of a proxy, for one."""
    error = refusal(b"<!doctype html><title>Please log in</title>\n" * 100, filename)
    assert str(error).startswith("it is not ")
    assert not error.perhaps_unfinished


FILENAMES = st.sampled_from(list(DISTRIBUTIONS))


@given(FILENAMES, st.binary(min_size=1), st.booleans())
def test_random_bytes_are_refused(filename: str, noise: bytes, with_magic: bool) -> None:
    """With nothing but a refusal."""
    assert str(refusal(DISTRIBUTIONS[filename][: 10 * with_magic] + noise, filename))


@st.composite
def mutations(draw: st.DrawFn) -> tuple[str, bytes]:
    """A distribution with some bytes changed, put in or taken out."""
    filename = draw(FILENAMES)
    data = bytearray(DISTRIBUTIONS[filename])
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 8))] = draw(
            st.one_of(st.binary(max_size=8), st.sampled_from([b"\xff" * 8, b"\0" * 8, b"\xff\xff\xff\x7f"]))
        )
    return filename, bytes(data)


@settings(max_examples=number_of(400), suppress_health_check=[HealthCheck.too_slow])
@given(mutations())
def test_mutations_are_judged_without_any_other_error(mutation: tuple[str, bytes]) -> None:
    """Either they did not matter, and then the facts hold, or they are refused in a sentence of one line."""
    filename, data = mutation
    try:
        facts = facts_of(data, filename)
    except BrokenArchive as error:
        reason = str(error)
    else:
        assert facts.sha256 == hashlib.sha256(data).hexdigest()
        reason = str(
            facts.sidecar and read_sidecar(lambda length, offset: data[offset : offset + length], facts)[:0]
        )
    assert reason.isprintable()
    assert len(reason) < 300


@settings(max_examples=number_of(300))
@given(st.binary(max_size=80), st.integers(0, 120))
@example(b"\xff" * 80, 60)
@example(b"PK\x06\x07" + b"\0" * 4 + b"\xff" * 8 + b"\1\0\0\0", 42)
def test_hostile_zip_ends_are_judged_without_any_other_error(noise: bytes, before_end: int) -> None:
    """The numbers of the directory and its end are where a crash would come from."""
    at = max(0, len(WHEEL) - before_end)
    data = WHEEL[:at] + noise + WHEEL[at + len(noise) :]
    try:
        facts = facts_of(data)
    except BrokenArchive:
        return
    assert facts.sidecar


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_an_sdist_may_have_no_pkg_info_but_no_strangers(suffix: str) -> None:
    """Old ones have none; one of another project means a wrong file name."""
    filename = f"acme-1.0{suffix}"

    def sdist(*contents: tuple[str, bytes]) -> bytes:
        if suffix == ".zip":
            return zip_bytes(*contents)
        name, version = contents[0][0].split("/")[0].rsplit("-", 1)
        return sdist_bytes(name, version)

    if suffix == ".zip":
        without = sdist(("acme-1.0/setup.py", b""), ("acme-1.0/acme.egg-info/PKG-INFO", b""))
        assert facts_of(without, filename).requires_python is None
        unread = zip_bytes(("acme-1.0/PKG-INFO", b""), ("acme-1.0/PKG-INFO2", b""), method=zipfile.ZIP_BZIP2)
        assert "compressed by method 12" in str(refusal(unread, filename))
    stranger = sdist(("other-1.0/PKG-INFO", metadata_text("other", "1.0")))
    assert str(refusal(stranger, filename)) == "its metadata say 'other' '1.0', its name says acme 1.0"


_PKG_INFO = b"Metadata-Version: 1.0\nName: %s\nVersion: %s\nRequires-Python: >=3\n"
_RIGHT = _PKG_INFO % (b"acme", b"1.0")
PKG_INFOS: dict[str, tuple[bytes, str | None]] = {
    "right": (_RIGHT, ">=3"),
    "byte-order-mark": (b"\xef\xbb\xbf" + _RIGHT, ">=3"),
    "crlf": (_RIGHT.replace(b"\n", b"\r\n"), ">=3"),
    "empty": (b"", None),
    "line-feed": (b"\n", None),
    "blank-first-line": (b"\n" + _RIGHT, None),
    "no-header-first": (b"garbage\n" + _RIGHT, None),
    "utf-16": (_RIGHT.decode().encode("utf-16"), None),
    "nul": (bytes(100), None),
    "no-name": (_RIGHT.replace(b"Name: acme\n", b""), ">=3"),
    "no-version": (_RIGHT.replace(b"\nVersion: 1.0", b""), ">=3"),
    "empty-name": (_RIGHT.replace(b"acme", b""), ">=3"),
    "latin-1": (_RIGHT + b"Author: J\xfcrgen\n", ">=3"),
    "no-metadata-version": (_RIGHT.partition(b"\n")[2], ">=3"),
}


@for_each("suffix", [".zip", ".tar.gz", ".tar"])
@for_each("case", PKG_INFOS)
def test_what_an_sdists_pkg_info_leaves_out_does_no_harm(suffix: str, case: str) -> None:
    """Installers build the sdist, and make metadata of that; only what contradicts the file name is another's."""
    info, requires_python = PKG_INFOS[case]
    contents = (("acme-1.0/setup.py", b""), ("acme-1.0/PKG-INFO", info))
    packed = tar(*contents, info=None)
    data = {".zip": zip_bytes(*contents), ".tar": packed, ".tar.gz": gzip.compress(packed)}[suffix]
    assert facts_of(data, f"acme-1.0{suffix}").requires_python == requires_python


@pytest.mark.parametrize(
    "info",
    [_PKG_INFO % (b"other", b"1.0"), _PKG_INFO % (b"acme", b"2.0"), _PKG_INFO % (b"UNKNOWN", b"0.0.0")],
)
def test_an_sdist_whose_pkg_info_is_anothers_is_withheld(info: bytes) -> None:
    """With a byte order mark or without."""
    for data in (info, b"\xef\xbb\xbf" + info, info.partition(b"\n")[2]):
        packed = gzip.compress(tar(("acme-1.0/PKG-INFO", data), info=None))
        assert "its metadata say" in str(refusal(packed, "acme-1.0.tar.gz"))


def test_an_sdists_version_may_be_spelt_otherwise() -> None:
    """Versions are compared by PEP 440."""
    assert facts_of(sdist_bytes("acme", "1.0.0"), sdist_name("acme", "1")).sidecar is None
    assert "its name says acme 1.1" in str(refusal(sdist_bytes("acme", "1.0"), sdist_name("acme", "1.1")))


class Changing(io.BytesIO):
    """Is longer or shorter than it says."""

    def __init__(self, data: bytes, stated: int) -> None:
        super().__init__(data)
        self.stated = stated

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self.stated if whence == os.SEEK_END else super().seek(offset, whence)


@pytest.mark.parametrize("stated", [len(SDIST) - 1, len(SDIST) + 1])
def test_a_file_that_grows_or_shrinks_meanwhile_may_be_unfinished(stated: int) -> None:
    """Its digest would be of nothing that ever lay there; one that grows for ever is not followed."""
    with pytest.raises(BrokenArchive, match="it changed while it was read") as caught:
        inspect_distribution(Changing(SDIST, stated), parse_distribution_name(sdist_name()))
    assert caught.value.perhaps_unfinished


def test_errors_of_the_file_itself_are_passed_on() -> None:
    """An unreadable file is not a broken archive: the disk may come back."""

    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    for filename, data in DISTRIBUTIONS.items():
        with pytest.raises(OSError, match="Input/output error"):
            inspect_distribution(Failing(data), parse_distribution_name(filename))


def test_a_large_wheel_costs_little_memory(tmp_path: Path) -> None:
    """256 MiB (with holes) are read within a few MiB."""
    path = tmp_path / wheel_name()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(*MINE)
        with archive.open("acme/data", "w", force_zip64=True) as member:
            for _ in range(256):
                member.write(bytes(1 << 20))
    tracemalloc.start()
    try:
        with path.open("rb") as file:
            assert inspect_distribution(file, parse_distribution_name(path.name)).sidecar
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


FACTS = facts_of(WHEEL)
PLACE = FACTS.place or MemberSpan(0, 0, 0)
SIDECAR = FACTS.sidecar or Sidecar("", 0)


@for_each(
    ("facts", "sentence"),
    [
        (ArchiveInfo("1.0", "", None, None, None), "it has no metadata to serve"),
        (replace(FACTS, place=None), "it has no metadata to serve"),
        (replace(FACTS, place=replace(PLACE, stored_size=-1)), "its metadata have another size"),
        (replace(FACTS, place=replace(PLACE, stored_size=1 << 30)), "its metadata have another size"),
        (replace(FACTS, sidecar=replace(SIDECAR, size=1 << 30)), "its metadata have another size"),
        (replace(FACTS, sidecar=replace(SIDECAR, size=SIDECAR.size - 1)), "its metadata have another size"),
        (
            replace(FACTS, sidecar=replace(SIDECAR, sha256="0" * 64)),
            "its metadata are not those that were listed",
        ),
        (replace(FACTS, place=replace(PLACE, offset=PLACE.offset + 1)), "its metadata are damaged"),
        (replace(FACTS, place=replace(PLACE, offset=1 << 62)), "it became shorter"),
    ],
)
def test_row_15_a_sidecar_that_is_not_the_listed_one_is_never_sent(facts: ArchiveInfo, sentence: str) -> None:
    """The cache that remembered its place may be corrupt, and the file replaced."""
    with pytest.raises(BrokenArchive, match=sentence):
        read_sidecar(lambda length, offset: WHEEL[offset : offset + length], facts)


def test_row_15_a_sidecar_of_a_replaced_wheel_is_never_sent() -> None:
    """Same size, same place, other bytes."""
    other = wheel_bytes("acme", "1.0", NEEDS.replace("3.9", "3.8"))
    with pytest.raises(BrokenArchive):
        read_sidecar(lambda length, offset: other[offset : offset + length], FACTS)


@pytest.mark.parametrize(
    ("data", "suffix"),
    [
        (b"-----BEGIN PGP SIGNATURE-----\n", ".asc"),
        (b"\x89\x01", ".sig"),
        (b' {"version": 1}\n', ".provenance"),
    ],
)
def test_side_files_are_hashed(data: bytes, suffix: str) -> None:
    """They are relayed as they are."""
    assert examine_side_file(io.BytesIO(data), suffix) == hashlib.sha256(data).hexdigest()


@for_each(
    ("data", "suffix", "sentence", "perhaps_unfinished"),
    [
        (b"", ".asc", "it is empty", True),
        (b"x" * ((1 << 20) + 1), ".sig", "it has 1,048,577 bytes, and at most 1,048,576 are read", False),
        (b"-----BEGIN PRIVATE KEY-----\nMC4=\n", ".sig", "it holds a private key", False),
        (b"\n-----BEGIN PGP PRIVATE KEY BLOCK-----\n", ".asc", "it holds a private key", False),
        (b'{"key": "-----BEGIN EC PRIVATE KEY-----"}', ".provenance", "it holds a private key", False),
        (b"[]", ".provenance", "it is not a JSON object", False),
        (b"\xff{}", ".provenance", "it is not a JSON object", False),
        (b"[" * 100_000, ".provenance", "it is not a JSON object", False),
        (b"1" * 5000, ".provenance", "it is not a JSON object", False),
        (json.dumps({"version": 1}).encode()[:-1], ".provenance", "it is not a JSON object", True),
    ],
)
def test_side_files_that_cannot_be_offered(
    data: bytes, suffix: str, sentence: str, perhaps_unfinished: bool
) -> None:
    """A provenance that a client cannot parse would make it refuse the distribution."""
    with pytest.raises(BrokenArchive) as caught:
        examine_side_file(io.BytesIO(data), suffix)
    assert (str(caught.value), caught.value.perhaps_unfinished) == (sentence, perhaps_unfinished)


def test_a_wheel_in_a_wheel_that_is_cut_behind_it_is_not_taken_for_it() -> None:
    """The bytes so far end with a whole archive, which is another one."""
    data = zip_bytes(("inner.whl", WHEEL), MINE, method=zipfile.ZIP_STORED)
    assert isinstance(refusal(data[: data.index(WHEEL) + len(WHEEL)]), CutOff)


def test_metadata_that_are_read_by_themselves_must_be_whole() -> None:
    """The archive's checksum of them is the only proof that there is."""
    name = parse_distribution_name(wheel_name())
    metadata = b"Name: acme\nVersion: 1.0\nRequires-Python: >=3.9\n"
    for crc in (None, 1):
        part = Part(b"acme-1.0.dist-info/METADATA", metadata, crc=crc)
        data = raw_zip(part)
        if crc is None:
            assert read_wheel_metadata(reader_of(data), len(data), name) == (metadata, ">=3.9")
        else:
            with pytest.raises(BrokenArchive, match="its metadata are damaged"):
                read_wheel_metadata(reader_of(data), len(data), name)


def reader_of(data: bytes) -> Callable[[int, int], bytes]:
    """Read from memory as pread does."""
    return lambda length, offset: data[offset : offset + length]
