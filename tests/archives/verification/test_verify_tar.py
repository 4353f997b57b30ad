"""Sdists that are uploaded: one directory, nothing leading out, nothing hidden."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from simpleindex.access.identity import UploadRules
from simpleindex.archives.errors import BrokenArchive
from simpleindex.archives.verification.verify import examine_strictly
from simpleindex.core import bounds
from simpleindex.core.names import parse_distribution_name
from tests.fixtures.archives import entry, tar, tar_gz
from tests.fixtures.tables import for_each

if TYPE_CHECKING:
    from simpleindex.core.metadata import VerifiedMetadata

SDIST = "acme-1.0.tar.gz"
INFO = b"Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n"


def examined(data: bytes, filename: str = SDIST) -> VerifiedMetadata:
    """Examine what lies in memory."""
    return examine_strictly(io.BytesIO(data), parse_distribution_name(filename), UploadRules())


def refusal(data: bytes, filename: str = SDIST) -> str:
    """Examine what is not taken; return why."""
    with pytest.raises(BrokenArchive) as caught:
        examined(data, filename)
    return caught.value.reason


FILE, LINK, HARD, DIRECTORY = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE


def dated(mtime: int) -> tarfile.TarInfo:
    """A file of some time, seconds since 1970."""
    member = tarfile.TarInfo("acme-1.0/f")
    member.mtime = mtime
    return member


TAKEN: dict[str, bytes] = {
    "directories-twice": tar_gz(
        entry("acme-1.0/d", DIRECTORY), entry("acme-1.0/d/", DIRECTORY), ("acme-1.0/d/f", b"")
    ),
    "before-posix": tar_gz(entry("acme-1.0/d/", tarfile.AREGTYPE)),
    "with-dots": tar_gz(("acme-1.0//f", b"x"), ("acme-1.0/./g", b"x")),
    "link-inside": tar_gz(("acme-1.0/f", b""), entry("acme-1.0/l", LINK, "f")),
    "link-upwards": tar_gz(("acme-1.0/f", b""), entry("acme-1.0/d/e/l", LINK, "../../f")),
    "link-to-the-top": tar_gz(entry("acme-1.0/d/l", LINK, "..")),
    "link-to-itself": tar_gz(entry("acme-1.0/d/l", LINK, ".")),
    "link-to-nothing": tar_gz(entry("acme-1.0/l", LINK, "a/b")),
    "link-with-dots-in-its-name": tar_gz(entry("acme-1.0/l", LINK, "a../b..")),
    "long-link": tar_gz(entry("acme-1.0/l", LINK, f"{'x' * 150}/{'y' * 150}")),
    "long-link-gnu": tar_gz(entry("acme-1.0/l", LINK, f"{'x' * 150}/{'y' * 150}"), form=tarfile.GNU_FORMAT),
    "hard-link": tar_gz(("acme-1.0/f", b""), entry("acme-1.0/h", HARD, "acme-1.0/f")),
    "padded": gzip.compress(tar() + bytes(100_000)),
    "two-end-blocks": gzip.compress(tar().rstrip(b"\0").ljust(512 * 4, b"\0")),
}


@for_each("case", TAKEN)
def test_what_honest_tools_write_is_taken(case: str) -> None:
    """Links that stay inside among it."""
    assert examined(TAKEN[case]).metadata.name == "acme"


@pytest.mark.parametrize(
    ("filename", "compress"),
    [("acme-1.0.tar.bz2", bz2.compress), ("acme-1.0.tar.xz", lzma.compress), ("acme-1.0.tgz", gzip.compress)],
)
def test_every_compression_is_judged_alike(filename: str, compress: type[bytes]) -> None:
    """Several streams, or anything behind the first one, are refused in each."""
    data = compress(tar())
    assert examined(data, filename).metadata_version == "2.1"
    for more in (data, b"\0", b"hidden"):
        assert "other data follow the end of its compressed data" in refusal(data + more, filename)


REFUSED: dict[str, tuple[bytes, str]] = {
    "text": (b"no archive at all", "it is not compressed as its name says"),
    "gzipped-text": (gzip.compress(b"no archive at all"), "it is not a tar archive"),
    "cut-off": (tar_gz()[:-9], "it is incomplete"),
    "crc": (tar_gz()[:-8] + bytes(8), "incorrect data check"),
    "no-info": (gzip.compress(tar(("acme-1.0/f", b""), info=None)), "it has no PKG-INFO"),
    "info-too-deep": (gzip.compress(tar(("acme-1.0/x/PKG-INFO", INFO), info=None)), "it has no PKG-INFO"),
    "info-is-a-link": (
        gzip.compress(tar(entry("acme-1.0/PKG-INFO", LINK, "f"), ("acme-1.0/f", INFO), info=None)),
        "it has no PKG-INFO",
    ),
    "no-metadata-version": (gzip.compress(tar(info=INFO[22:])), "no Metadata-Version"),
    "other-info": (
        gzip.compress(tar(info=INFO.replace(b"1.0", b"2.0"))),
        "its metadata say 'acme' '2.0'",
    ),
    "no-license": (
        gzip.compress(tar(info=INFO.replace(b"2.1", b"2.4") + b"License-File: COPYING\n")),
        "the License-File 'COPYING', and acme-1.0 has none",
    ),
    "two-tops": (tar_gz(("other/f", b"")), "it has not exactly one top directory"),
    "file-beside": (tar_gz(("setup.py", b"")), "it has not exactly one top directory"),
    "other-top": (
        gzip.compress(tar(("x/PKG-INFO", INFO), info=None)),
        "its top directory is 'x', not acme-1.0",
    ),
    "twice": (tar_gz(("acme-1.0/f", b""), ("acme-1.0/./f", b"")), "'acme-1.0/f' is there twice"),
    "begins-with-dot": (tar_gz(("./acme-1.0/f", b"")), "begins with ./, for which pip finds no project"),
    "drive": (tar_gz(("acme-1.0/C:f", b"")), "has a part like a drive's name"),
    "one-end-block": (
        gzip.compress(tar().rstrip(b"\0").ljust(512 * 3, b"\0")),
        "does not end with two empty blocks",
    ),
    "old-in-pax": (tar_gz(dated(-5)), "has a time before 1970"),
    "old-in-gnu": (tar_gz(dated(-5), form=tarfile.GNU_FORMAT), "has a time before 1970"),
    "info-twice": (tar_gz(("acme-1.0/PKG-INFO", INFO)), "'acme-1.0/PKG-INFO' is there twice"),
    "file-and-directory": (
        tar_gz(("acme-1.0/f", b""), ("acme-1.0/f/g", b"")),
        "is both a file and a directory",
    ),
    "absolute": (tar_gz(("/acme-1.0/f", b"")), "leads out of the archive"),
    "climbing": (tar_gz(("acme-1.0/../f", b"")), "leads out of the archive"),
    "backslash": (tar_gz(("acme-1.0/..\\f", b"")), "has a backslash"),
    "device": (tar_gz(entry("acme-1.0/d", tarfile.CHRTYPE)), "neither a file nor a directory nor a link"),
    "fifo": (tar_gz(entry("acme-1.0/d", tarfile.FIFOTYPE)), "neither a file nor a directory nor a link"),
    "unknown-kind": (tar_gz(entry("acme-1.0/d", b"Z")), "neither a file nor a directory nor a link"),
    "sparse": (tar_gz(entry("acme-1.0/s", b"S"), form=tarfile.GNU_FORMAT), "has holes"),
    "sparse-pax": (tar_gz(entry("acme-1.0/s", FILE, GNU__sparse__major="1")), "has holes"),
    "link-with-size": (tar_gz(entry("acme-1.0/l", LINK, "f", size=512)), "has a size, and no data"),
    "directory-with-size": (tar_gz(entry("acme-1.0/l", DIRECTORY, size=512)), "has a size, and no data"),
    "link-out": (tar_gz(entry("acme-1.0/l", LINK, "../x")), "leads out of the archive, or through"),
    "link-to-above": (tar_gz(entry("acme-1.0/l", LINK, "..")), "leads out of the archive, or through"),
    "link-absolute": (tar_gz(entry("acme-1.0/l", LINK, "/etc/passwd")), "'/etc/passwd' leads out"),
    "link-climbing-late": (tar_gz(entry("acme-1.0/l", LINK, "a/../../../x")), "leads out"),
    "link-through-link": (
        tar_gz(entry("acme-1.0/a/l", LINK, "../b/m"), entry("acme-1.0/b", LINK, "a")),
        "leads out of the archive, or through another link",
    ),
    "file-under-link": (
        tar_gz(entry("acme-1.0/l", LINK, "d"), ("acme-1.0/l/f", b"")),
        "'acme-1.0/l' is both a file and a directory",
    ),
    "link-over-directory": (
        tar_gz(("acme-1.0/l/f", b""), entry("acme-1.0/l", LINK, "d")),
        "'acme-1.0/l' is both a file and a directory",
    ),
    "hard-link-out": (tar_gz(entry("acme-1.0/h", HARD, "../etc/passwd")), "leads out of the archive"),
    "hard-link-ahead": (
        tar_gz(entry("acme-1.0/h", HARD, "acme-1.0/f"), ("acme-1.0/f", b"")),
        "leads to no file before",
    ),
    "hard-link-to-link": (
        tar_gz(entry("acme-1.0/l", LINK, "f"), entry("acme-1.0/h", HARD, "acme-1.0/l")),
        "leads to no file before it",
    ),
    "global-path": (tar_gz(path="other"), "records for all members at once"),
    "global-sparse": (tar_gz(GNU__sparse__map="0,1"), "records for all members at once"),
    "second-archive": (gzip.compress(tar() + tar()), "other data follow the end of its tar archive"),
    "behind-the-end": (gzip.compress(tar() + b"hidden"), "other data follow the end of its tar archive"),
}


@for_each("case", REFUSED)
def test_ambiguous_or_damaged_tars_are_refused(case: str) -> None:
    """Each with its sentence."""
    data, sentence = REFUSED[case]
    assert sentence in refusal(data)


def test_plain_tars_must_be_whole_blocks() -> None:
    """No trailer vouches for their end."""
    assert "it is incomplete" in refusal(tar() + b"\0", "acme-1.0.tar")
    assert "other data follow" in refusal(tar() + b"x" * 512, "acme-1.0.tar")


def test_a_tar_that_is_a_zip_as_well_is_refused() -> None:
    """Pip unpacks it as a zip file, whatever it is called; others do not."""
    end = b"PK\x05\x06" + bytes(18)
    data = gzip.compress(tar(("acme-1.0/x", end)), compresslevel=0)
    assert "it is a tar and a zip archive at once" in refusal(data)


def test_the_target_of_a_link_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the length that a file system takes."""
    monkeypatch.setattr(bounds, "LINK", replace(bounds.LINK, most=3))
    data = tar_gz(entry("acme-1.0/l", LINK, "long"), ("acme-1.0/long", b""))
    assert "the target of a link has 4 bytes, and at most 3 are read" in refusal(data)


def test_the_number_of_links_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is kept until the end."""
    monkeypatch.setattr(bounds, "LINKS", replace(bounds.LINKS, most=2))
    links = [entry(f"acme-1.0/l{number}", LINK, "f") for number in range(3)]
    assert "the archive has 3 symbolic links, and at most 2 are read" in refusal(tar_gz(*links))


@pytest.mark.parametrize(
    ("filename", "top", "taken"),
    [
        ("acme_tools-1.0.tar.gz", "Acme.Tools-1.0", True),
        ("acme_tools-1.0.tar.gz", "acme-tools-1.0.0", True),
        ("acme_tools-1.0.tar.gz", "acme_tools-1.1", False),
        ("acme_tools-1.0.tar.gz", "acme_tools", False),
    ],
)
def test_the_top_directory_may_be_spelt_otherwise(filename: str, top: str, taken: bool) -> None:
    """Old tools did not normalize names."""
    info = b"Metadata-Version: 2.1\nName: acme-tools\nVersion: 1.0\n"
    data = gzip.compress(tar((f"{top}/PKG-INFO", info), info=None))
    if taken:
        assert examined(data, filename).metadata.name == "acme-tools"
    else:
        assert "its top directory is" in refusal(data, filename)
