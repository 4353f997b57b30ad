"""Uploads are examined strictly: whole to the last byte, and the same to every reader."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import tracemalloc
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from simpleindex.access.identity import UploadRules
from simpleindex.archives.errors import BrokenArchive
from simpleindex.archives.verification import verify as strictness
from simpleindex.archives.verification.verify import examine_strictly
from simpleindex.archives.verification.wheel_metadata import judge_wheel_file
from simpleindex.core import bounds
from simpleindex.core.metadata import CoreMetadata, VerifiedMetadata
from simpleindex.core.names import parse_distribution_name
from tests.fixtures.archives import (
    DIST_INFO,
    Part,
    deflated,
    own_record,
    raw_zip,
    record_line,
    tar,
    tar_gz,
    wheel_parts,
)
from tests.fixtures.depth import number_of
from tests.fixtures.distributions import metadata_text, sdist_bytes, sdist_name, wheel_bytes, wheel_name
from tests.fixtures.tables import for_each

if TYPE_CHECKING:
    from pathlib import Path

WHEEL = wheel_name()
SDIST = sdist_name()
GOOD = raw_zip(*wheel_parts())


def examined(data: bytes, filename: str = WHEEL, *, require_record: bool = True) -> VerifiedMetadata:
    """Examine what lies in memory."""
    return examine_strictly(
        io.BytesIO(data), parse_distribution_name(filename), UploadRules(require_record=require_record)
    )


def refusal(data: bytes, filename: str = WHEEL) -> str:
    """Examine what is not taken; return why."""
    with pytest.raises(BrokenArchive) as caught:
        examined(data, filename)
    return caught.value.reason


ZIP_SDIST = raw_zip(Part(b"acme-1.0/", method=0), Part(b"acme-1.0/PKG-INFO", metadata_text("acme", "1.0")))


@for_each(
    ("data", "filename"),
    [
        (wheel_bytes(), WHEEL),
        (wheel_bytes(files={"acme/data/\u00fc.txt": b"x" * 100_000, "acme/empty": b""}), WHEEL),
        (GOOD, WHEEL),
        (raw_zip(*(replace(part, method=0) for part in wheel_parts())), WHEEL),
        (raw_zip(Part(b"acme/", method=0), *wheel_parts()), WHEEL),
        (raw_zip(*wheel_parts(Part(b"acme-1.0.dist-info/RECORD.jws", b"{}"))), WHEEL),
        (
            raw_zip(
                *wheel_parts(
                    files={f"{DIST_INFO}/entry_points.txt": b"[console_scripts]\na = b:c.d [x, y]\n"}
                )
            ),
            WHEEL,
        ),
        (sdist_bytes(), SDIST),
        (tar(), "acme-1.0.tar"),
        (tar_gz(comment="0a1b2c"), SDIST),
        (tar_gz(form=tarfile.GNU_FORMAT), SDIST),
        (tar_gz((f"acme-1.0/{'d' * 90}/{'f' * 200}", b"x"), form=tarfile.GNU_FORMAT), SDIST),
        (tar_gz((f"acme-1.0/{'d' * 90}/{'f' * 200}", b"x")), SDIST),
        (ZIP_SDIST, "acme-1.0.zip"),
    ],
)
def test_what_honest_tools_write_is_taken(data: bytes, filename: str) -> None:
    """Whatever the tool, its metadata come back."""
    assert examined(data, filename) == VerifiedMetadata(CoreMetadata("acme", "1.0", None), "2.1")


def test_zip64_members_are_taken() -> None:
    """Tools that do not know a size beforehand leave room for a long one."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in wheel_parts():
            with archive.open(part.path.decode(), "w", force_zip64=True) as member:
                member.write(part.data)
    assert examined(out.getvalue()).metadata_version == "2.1"


@for_each("at", range(0, len(GOOD), 7))
def test_a_wheel_that_is_damaged_anywhere_is_refused(at: int) -> None:
    """Except in times and modes, which nobody checks: there the contents stay as they are."""
    data = GOOD[:at] + bytes([GOOD[at] ^ 0xFF]) + GOOD[at + 1 :]
    try:
        examined(data)
    except BrokenArchive:
        return
    with zipfile.ZipFile(io.BytesIO(data)) as theirs, zipfile.ZipFile(io.BytesIO(GOOD)) as ours:
        assert [(i.filename, theirs.read(i)) for i in theirs.infolist()] == [
            (i.filename, ours.read(i)) for i in ours.infolist()
        ]


def with_first(**changes: Any) -> bytes:
    """The good wheel with another first member."""
    first, *rest = wheel_parts()
    return raw_zip(replace(first, **changes), *rest)


LONG = struct.pack("<2HQ", 1, 8, 3)
ZIPS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "it is empty"),
    "text": (b"no archive at all", "it is not a zip archive"),
    "cut-off": (GOOD[:-30], "it is incomplete"),
    "before": (b"#!/bin/sh\n" + GOOD, "it is not a zip archive"),
    "before-and-shifted": (with_first(before=b"%PDF-1.7\n"), "other data lie before its member 'acme.py'"),
    "between": (with_first(after=b"hidden"), "other data lie before its member"),
    "before-directory": (
        raw_zip(*wheel_parts(), before_directory=b"hidden"),
        "other data lie before its zip directory",
    ),
    "after-directory": (raw_zip(*wheel_parts(), after_directory=b"hidden"), "it is incomplete"),
    "after-end": (GOOD + b"hidden", "6 bytes follow the end of its zip archive"),
    "records-in-comment": (
        raw_zip(*wheel_parts(), comment=b"x" * 30 + b"PK\1\2"),
        "a comment that looks like",
    ),
    "end-in-comment": (raw_zip(*wheel_parts(), comment=b"xxPK\5\6xx"), "it "),
    "zip-in-comment": (raw_zip(*wheel_parts(), comment=GOOD), "it is incomplete"),
    "twice": (raw_zip(*wheel_parts(), wheel_parts()[0]), "its member 'acme.py' is there twice"),
    "twice-in-other-words": (
        raw_zip(*wheel_parts(), Part(b"./acme.py", b"other")),
        "its member 'acme.py' is there twice",
    ),
    "file-and-directory": (
        raw_zip(*wheel_parts(), Part(b"acme.py/x")),
        "'acme.py' is both a file and a directory",
    ),
    "directory-and-file": (
        raw_zip(Part(b"x/y"), Part(b"x"), *wheel_parts()),
        "'x' is both a file and a directory",
    ),
    "directory-with-data": (raw_zip(Part(b"x/", b"data"), *wheel_parts()), "its directory 'x/' has data"),
    "absolute": (raw_zip(Part(b"/etc/passwd"), *wheel_parts()), "'/etc/passwd' leads out of the archive"),
    "climbing": (raw_zip(Part(b"a/../../x"), *wheel_parts()), "'a/../../x' leads out of the archive"),
    "drive": (raw_zip(Part(b"C:x"), *wheel_parts()), "'C:x' leads out of the archive"),
    "nowhere": (raw_zip(Part(b"./."), *wheel_parts()), "'./.' leads out of the archive"),
    "backslash": (raw_zip(Part(b"a\\b"), *wheel_parts()), "has a backslash or a control character"),
    "newline": (raw_zip(Part(b"a\nb"), *wheel_parts()), "has a backslash or a control character"),
    "unmarked": (raw_zip(Part(b"\xc3\xbc"), *wheel_parts()), "is not marked as UTF-8"),
    "latin-1": (raw_zip(Part(b"\xfc", flags=0x800), *wheel_parts()), "is not UTF-8"),
    "encrypted": (with_first(flags=1), "its 'acme.py' is encrypted"),
    "bzip2": (with_first(method=12, stored=b"x"), "compressed by method 12, not deflated"),
    "descriptor": (with_first(flags=8), "states its size only after its data"),
    "other-local-path": (with_first(central_path=b"other.py"), "its 'other.py' is not where"),
    "other-central-crc": (with_first(central_crc=1), "the two headers of its member 'acme.py' contradict"),
    "other-central-size": (with_first(central_size=1), "the two headers of its member 'acme.py' contradict"),
    "other-central-method": (
        with_first(central_method=0),
        "the two headers of its member 'acme.py' contradict",
    ),
    "other-central-flags": (
        with_first(central_flags=2),
        "the two headers of its member 'acme.py' contradict",
    ),
    "other-name": (
        with_first(extra=struct.pack("<2HBL", 0x7075, 8, 1, 0) + b"evi"),
        "has a second name or size in an extra field",
    ),
    "other-central-name": (
        with_first(central_extra=struct.pack("<2HBL", 0x7075, 8, 1, 0) + b"evi"),
        "has a second name or size in an extra field",
    ),
    "two-long-sizes": (with_first(extra=LONG + LONG), "has a second name or size in an extra field"),
    "extra-cut-off": (with_first(extra=b"\1\0\xff\0"), "its zip directory is damaged"),
    "wrong-crc": (with_first(crc=1), "its member 'acme.py' is damaged"),
    "shorter": (with_first(size=5), "its member 'acme.py' is damaged"),
    "longer": (with_first(size=5000), "its member 'acme.py' is damaged"),
    "no-deflate": (with_first(stored=b"\xff\xff\xff"), "its member 'acme.py' is damaged"),
    "deflate-cut-off": (
        with_first(stored=deflated(b"version = 1\n" * 100)[:-1]),
        "its member 'acme.py' is damaged",
    ),
    "hidden-in-deflate": (
        with_first(stored=deflated(b"version = 1\n" * 100) + b"hidden"),
        "its member 'acme.py' is damaged",
    ),
    "stored-longer": (
        with_first(method=0, data=b"abc", stored=b"abc", size=2, crc=0),
        "its 'acme.py' is not where the zip directory says",
    ),
}


@for_each("case", ZIPS)
def test_ambiguous_or_damaged_zips_are_refused(case: str) -> None:
    """Each with its sentence."""
    data, sentence = ZIPS[case]
    assert sentence in refusal(data)


def test_a_zip_that_is_a_tar_as_well_is_refused() -> None:
    """The first header's checksum can be made right."""
    path = b"x" * 94 + b"0" * 12 + b"x" * 12
    data = bytearray(raw_zip(Part(path, bytes(2000), method=0), *wheel_parts()))
    block = bytearray(data[:512])
    block[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(block)
    assert "it is a zip and a tar archive at once" in refusal(bytes(data))


META = f"{DIST_INFO}/METADATA"
LICENSED = b"Metadata-Version: 2.4\nName: acme\nVersion: 1.0\nLicense-File: LICENSE\nLicense-File: a/NOTICE\n"
RECORD = own_record()
WHEELS: dict[str, tuple[list[Part], str | None]] = {
    "no-wheel-file": (wheel_parts(wheel=None), "it has no WHEEL"),
    "empty-wheel-file": (wheel_parts(wheel=b""), "its WHEEL file states no Wheel-Version"),
    "wheel-2": (wheel_parts(wheel=b"Wheel-Version: 2.0\r\n"), "its Wheel-Version is '2.0'"),
    "wheel-1.9": (wheel_parts(wheel=b"Generator: x\r\nWheel-Version: 1.9\r\n"), None),
    "latin-1-wheel-file": (wheel_parts(wheel=b"Wheel-Version: 1.0\n\xff"), "its WHEEL is not UTF-8"),
    "no-record": (wheel_parts()[:-1], "it has no RECORD"),
    "unlisted": (wheel_parts(Part(b"more.py")), "its RECORD does not list 'more.py'"),
    "listed-and-absent": (
        wheel_parts(record=f"{RECORD}gone.py,,\n"),
        "its RECORD lists 'gone.py', which is not a file in it",
    ),
    "listed-twice": (
        wheel_parts(record=RECORD + record_line("acme.py", b"version = 1\n" * 100)),
        "its RECORD lists 'acme.py' twice",
    ),
    "other-digest": (
        wheel_parts(record=RECORD.replace("acme.py,sha256=", "acme.py,sha256=A")),
        "its RECORD has another digest of 'acme.py'",
    ),
    "other-size": (
        wheel_parts(record=RECORD.replace(",1200\n", ",1201\n")),
        "its RECORD has another size of 'acme.py'",
    ),
    "no-size": (wheel_parts(record=RECORD.replace(",1200\n", ",\n")), None),
    "crlf-and-dots": (
        wheel_parts(record=RECORD.replace("\n", "\r\n").replace("acme.py", "./acme.py")),
        None,
    ),
    "quoted": (
        wheel_parts(files={'a,"b.py': b"1"}, record=RECORD + record_line('"a,""b.py"', b"1")),
        None,
    ),
    "md5": (
        wheel_parts(record=RECORD.replace("acme.py,sha256=", "acme.py,md5=")),
        "no digest of 'acme.py' by sha256 or a better algorithm",
    ),
    "no-digest": (
        wheel_parts(record="acme.py,,\n" + RECORD),
        "no digest of 'acme.py' by sha256 or a better algorithm",
    ),
    "own-digest": (
        wheel_parts(record=RECORD.replace("RECORD,,", "RECORD,sha256=x,")),
        "its RECORD has a digest of 'acme-1.0.dist-info/RECORD'",
    ),
    "columns": (wheel_parts(record=f"{RECORD}a,b\n"), "a line of 2 columns"),
    "climbing-record": (wheel_parts(record=f"{RECORD}../x,,\n"), "'../x' leads out"),
    "endless-line": (
        wheel_parts(record="x" * 3_000_000),
        "a line of its RECORD has 1,048,576 bytes, and at most 16,384 are read",
    ),
    "long-line": (
        wheel_parts(record="x" * 140_000 + "\n"),
        "a line of its RECORD has 140,001 bytes, and at most 16,384 are read",
    ),
    "bare-cr": (wheel_parts(record="x\ry,,\n"), "its RECORD cannot be parsed"),
    "field-of-several-lines": (wheel_parts(record='"x\ny",,\n'), "has a line of 1 columns"),
    "latin-1-record": (
        [*wheel_parts()[:-1], Part(f"{DIST_INFO}/RECORD".encode(), b"\xff")],
        "its RECORD is not UTF-8",
    ),
    "entry-points": (
        wheel_parts(
            files={
                f"{DIST_INFO}/entry_points.txt": b"[console_scripts]\nAcme = acme:main\n[any]\nx = 1:2:3\n"
            }
        ),
        None,
    ),
    "no-ini": (
        wheel_parts(files={f"{DIST_INFO}/entry_points.txt": b"acme = acme:main\n"}),
        "cannot be parsed",
    ),
    "no-object": (
        wheel_parts(files={f"{DIST_INFO}/entry_points.txt": b"[gui_scripts]\nacme = acme main\n"}),
        "its entry point 'acme' leads to 'acme main'",
    ),
    "licenses": (
        wheel_parts(
            metadata=LICENSED,
            files={f"{DIST_INFO}/licenses/LICENSE": b"", f"{DIST_INFO}/licenses/a/NOTICE": b""},
        ),
        None,
    ),
    "no-license": (wheel_parts(metadata=LICENSED), "name the License-File 'LICENSE'"),
    "climbing-license": (
        wheel_parts(metadata=LICENSED.replace(b"LICENSE", b"../../x")),
        "leads out of the archive",
    ),
    "licenses-of-old": (wheel_parts(metadata=LICENSED.replace(b"2.4", b"2.1")), None),
    "no-metadata-version": (wheel_parts(metadata=b"Name: acme\nVersion: 1.0\n"), "no Metadata-Version"),
    "odd-metadata-version": (
        wheel_parts(metadata=b"Metadata-Version: two\nName: acme\nVersion: 1.0\n"),
        "no Metadata-Version",
    ),
    "other-metadata": (
        wheel_parts(metadata=metadata_text("other", "1.0")),
        "its metadata say 'other' '1.0', its name says acme 1.0",
    ),
    "two-dist-infos": (wheel_parts(Part(b"x-1.dist-info/METADATA")), "it has several .dist-info directories"),
}


LISTS: dict[str, tuple[list[Part], str]] = {
    "PATH": (wheel_parts(Part(b"a/b/c/d.py")), "the path of a member has"),
    "PATH_PARTS": (wheel_parts(Part(b"a/b/c/d.py")), "the path of a member has 4 parts, and at most 3"),
    "WHEEL_LINE": (wheel_parts(), "a line of its WHEEL file has"),
    "RECORD_LINES": (wheel_parts(), "its RECORD has"),
    "LICENSE_FILES": (
        wheel_parts(metadata=LICENSED.replace(b"a/NOTICE", b"a\nLicense-File: b\nLicense-File: c")),
        "the list of License-File in its metadata has 4 entries, and at most 3",
    ),
    "REQUIRES_DIST": (
        wheel_parts(metadata=metadata_text("acme", "1.0", *(["Requires-Dist: other"] * 4))),
        "the list of Requires-Dist in its metadata has 4 entries, and at most 3",
    ),
}


@pytest.mark.parametrize("bound", LISTS)
def test_what_a_wheel_lists_is_bounded(monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    """Each list and each line is refused before all of it is judged."""
    monkeypatch.setattr(bounds, bound, replace(getattr(bounds, bound), most=3))
    parts, sentence = LISTS[bound]
    assert sentence in refusal(raw_zip(*parts))


def test_a_version_that_uv_cannot_read_is_refused() -> None:
    """It counts in 64 bits."""
    filename = f"acme-{1 << 64}-py3-none-any.whl"
    assert "has a number of more than 64 bits, which uv cannot read" in refusal(GOOD, filename)


def test_a_wheel_has_one_data_directory() -> None:
    """The two installers choose differently among several."""
    parts = wheel_parts(Part(b"acme-1.0.data/scripts/x"), Part(b"Acme-1.0.data/scripts/y"))
    assert "it has several .data directories" in refusal(raw_zip(*parts))


def test_a_wheel_that_was_renamed_is_refused() -> None:
    """Its WHEEL file states other tags; more of them in one file name are fine if it states them all."""
    data = raw_zip(*wheel_parts())
    assert "states other tags than its file name" in refusal(data, "acme-1.0-cp311-cp311-linux_x86_64.whl")
    assert "states other tags" in refusal(data, "acme-1.0-py2.py3-none-any.whl")
    with pytest.raises(BrokenArchive, match="which is none"):
        judge_wheel_file(
            b"Wheel-Version: 1.0\nTag: py3\n",
            parse_distribution_name("acme-1.0-py3-none-any.whl"),
            tags_must_match=True,
        )
    both = b"Wheel-Version: 1.0\nTag: py2-none-any\r\nTag: py3-none-any\n"
    judge_wheel_file(both, parse_distribution_name("acme-1.0-py2.py3-none-any.whl"), tags_must_match=True)


@pytest.mark.parametrize(
    ("rules", "taken"),
    [
        (UploadRules(), False),
        (UploadRules(require_matching_tags=True), False),
        (UploadRules(require_matching_tags=False), True),
        (UploadRules(require_record=False), True),
        (UploadRules(require_record=False, require_matching_tags=True), False),
    ],
)
def test_who_may_rename_a_wheel(rules: UploadRules, taken: bool) -> None:
    """Such wheels are on the public index; who does not ask for a right RECORD need not ask for right tags."""
    name = parse_distribution_name("acme-1.0-cp311-cp311-linux_x86_64.whl")
    file = io.BytesIO(raw_zip(*wheel_parts()))
    if taken:
        assert examine_strictly(file, name, rules).metadata.version == "1.0"
    else:
        with pytest.raises(BrokenArchive, match="states other tags"):
            examine_strictly(file, name, rules)


@for_each("case", WHEELS)
def test_what_a_wheel_says_of_itself_must_be_true(case: str) -> None:
    """Each with its sentence, or taken."""
    parts, sentence = WHEELS[case]
    if sentence is None:
        assert examined(raw_zip(*parts)).metadata.version == "1.0"
    else:
        assert sentence in refusal(raw_zip(*parts))


@pytest.mark.parametrize("more", [0, 1, 100, 257, 258, 259, 300, 1 << 20])
def test_what_unpacks_to_more_than_a_chunk_is_unpacked_to_its_end(more: int) -> None:
    """The last bytes may come when all that was stored is taken already."""
    assert examined(raw_zip(*wheel_parts(files={"zeros": bytes((1 << 20) + more)})))


def test_texts_are_not_read_beyond_their_bounds() -> None:
    """Each is held in memory."""
    long = wheel_parts(files={f"{DIST_INFO}/entry_points.txt": b"#" * ((1 << 20) + 1)})
    assert "its 'acme-1.0.dist-info/entry_points.txt' is larger than 1 MiB" in refusal(raw_zip(*long))


def test_a_record_is_a_rule() -> None:
    """Without it nothing is compared with a RECORD, but all is unpacked still."""
    for parts in (wheel_parts()[:-1], wheel_parts(Part(b"more.py"))):
        assert examined(raw_zip(*parts), require_record=False)
    with pytest.raises(BrokenArchive, match="is damaged"):
        examined(with_first(crc=1), require_record=False)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (tar_gz(), None),
        (raw_zip(Part(b"acme-1.0/x")), "it has no PKG-INFO in its top directory"),
        (
            raw_zip(Part(b"acme-1.0/PKG-INFO", metadata_text("acme", "1.0")), Part(b"x")),
            "exactly one top directory",
        ),
        (
            raw_zip(Part(b"other-1.0/PKG-INFO", metadata_text("acme", "1.0"))),
            "its top directory is 'other-1.0'",
        ),
        (raw_zip(Part(b"acme-1.0/PKG-INFO", LICENSED)), "name the License-File 'LICENSE'"),
    ],
)
def test_zip_sdists_are_sdists(data: bytes, sentence: str | None) -> None:
    """What holds for a tar holds for them."""
    assert (sentence or "it is not a zip archive") in refusal(data, "acme-1.0.zip")


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """By what its directory says; and what it does not say is not unpacked either."""
    monkeypatch.setattr(strictness, "RATIO_FROM", 1 << 20)
    bomb = raw_zip(*wheel_parts(files={"zeros": bytes(4 << 20)}))
    assert "it unpacks to 41" in refusal(bomb)
    assert "its member 'zeros' is damaged" in refusal(
        raw_zip(Part(b"zeros", size=10, crc=1, stored=deflated(bytes(4 << 20))), *wheel_parts())
    )


def test_a_bomb_of_a_tar_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says nothing beforehand, so it is unpacked as far as it may go."""
    monkeypatch.setattr(strictness, "RATIO_FROM", 1 << 20)
    assert "it unpacks to more than 1048576 bytes" in refusal(
        tar_gz(("acme-1.0/zeros", bytes(2 << 20))), SDIST
    )


def test_too_many_members_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each costs memory."""
    monkeypatch.setattr(bounds, "MEMBERS", replace(bounds.MEMBERS, most=3))
    assert "the archive has 4 members, and at most 3 are read" in refusal(GOOD)
    monkeypatch.setattr(bounds, "DIRECTORIES", replace(bounds.DIRECTORIES, most=3))
    assert "the archive has 4 directories, and at most 3 are read" in refusal(
        raw_zip(*(Part(b"%d/" % i, method=0) for i in range(4)), *wheel_parts())
    )


def test_large_uploads_cost_little_memory(tmp_path: Path) -> None:
    """A wheel of 24 MB with a member of 200 MB, from a file, within a few MiB."""
    path = tmp_path / WHEEL
    noise = os.urandom(1 << 20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("acme/large", "w") as member:
            for _ in range(12):
                member.write(noise)
                member.write(bytes(8 << 20))
        for part in wheel_parts():
            archive.writestr(part.path.decode(), part.data)
    with path.open("rb", buffering=0) as file:
        tracemalloc.start()
        try:
            with pytest.raises(BrokenArchive, match="its RECORD does not list 'acme/large'"):
                examine_strictly(file, parse_distribution_name(WHEEL), UploadRules())
            assert tracemalloc.get_traced_memory()[1] < 8 << 20
        finally:
            tracemalloc.stop()


TAR_GZ = sdist_bytes()


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=number_of(200))
@given(
    st.sampled_from(
        [
            (GOOD, WHEEL),
            (TAR_GZ, SDIST),
            (gzip.decompress(TAR_GZ), "acme-1.0.tar"),
            (ZIP_SDIST, "acme-1.0.zip"),
        ]
    ),
    st.lists(st.tuples(st.integers(0, 12_000), st.binary(max_size=8), st.booleans()), min_size=1, max_size=4),
)
@example((GOOD, WHEEL), [(0, b"", True)])
def test_whatever_is_uploaded_is_judged(
    which: tuple[bytes, str], changes: list[tuple[int, bytes, bool]]
) -> None:
    """Archives that are changed, cut or lengthened anywhere: taken or refused, never another error."""
    data, filename = which
    for at, new, keeps_length in changes:
        position = at % (len(data) + 1)
        data = data[:position] + new + data[position + (len(new) if keeps_length else 0) :]
    try:
        examined(data, filename)
    except BrokenArchive as error:
        error.reason.encode("latin-1")


@pytest.mark.parametrize("lines", [1, 40])
def test_tags_are_counted_before_they_are_made(lines: int) -> None:
    """Of one line that stands for many, and of many lines."""
    parts = 11 if lines == 1 else 3
    tag = "-".join(".".join(f"{kind}{i}" for i in range(parts)) for kind in "abc")
    text = ("Wheel-Version: 1.0\n" + f"Tag: {tag}\n" * lines).encode()
    with pytest.raises(BrokenArchive, match=f"has {parts**3 * lines:,} members, and at most 1,000 are read"):
        judge_wheel_file(text, parse_distribution_name(WHEEL), tags_must_match=True)
