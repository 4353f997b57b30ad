"""Files whose answers name a content coding: which bytes are the file."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from typing import TYPE_CHECKING, Any, Literal

from simpleindex.upstreams.http.encoded_files import HEAD, coding_of_file, is_encoded
from tests.fixtures.tables import for_each

if TYPE_CHECKING:
    from collections.abc import Callable


def tar(mode: Literal["", "gz", "bz2", "xz"]) -> bytes:
    """A small archive."""
    out = io.BytesIO()
    compressed: Any = f"w:{mode}"
    with tarfile.open(fileobj=out, mode=compressed) as archive:
        member = tarfile.TarInfo("acme-1.0/PKG-INFO")
        member.size = 5
        archive.addfile(member, io.BytesIO(b"Name:"))
    return out.getvalue()


METADATA = b"Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n"
FILES = {
    "acme-1.0-py3-none-any.whl": b"PK\x03\x04" + bytes(600),
    "acme-1.0.zip": b"PK\x03\x04" + bytes(600),
    "acme-1.0.tar.gz": tar("gz"),
    "acme-1.0.tgz": tar("gz"),
    "acme-1.0.tar.bz2": tar("bz2"),
    "acme-1.0.tar.xz": tar("xz"),
    "acme-1.0.tar": tar(""),
    "acme-1.0-py3-none-any.whl.metadata": METADATA,
}
ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
}


def judge(header: str, name: str, sent: bytes, size: int | None, *, says_length: bool) -> bool:
    """Whether what is sent is to be decoded."""
    coding = coding_of_file(header)
    if coding is None:
        return False
    length = len(sent) if says_length else None
    url = f"https://up.example/files/{name}?signature=x.tar.bz2"
    return is_encoded(coding, url, sent[:HEAD], length=length, size=size)


@for_each("name", FILES)
@for_each("says_length", [True, False])
@for_each("says_size", [True, False])
@for_each(
    "header",
    [
        *("gzip", "x-gzip", "GZIP", "deflate", "bzip2", "x-bzip2", "aws-chunked", "none", "utf-8", "binary"),
        *("", ",", "identity", "gzip, aws-chunked", "aws-chunked,gzip", "gzip, gzip", "compress", "rot13"),
    ],
)
def test_a_file_that_is_sent_as_it_is(name: str, header: str, *, says_size: bool, says_length: bool) -> None:
    """Whatever coding a server derives from its name, or repeats from its upload."""
    data = FILES[name]
    assert not judge(header, name, data, len(data) if says_size else None, says_length=says_length)


@for_each("name", FILES)
@for_each("says_length", [True, False])
@for_each("says_size", [True, False])
@for_each("header", [*ENCODERS, "aws-chunked, gzip"])
def test_a_file_that_is_encoded_on_the_way(
    name: str, header: str, *, says_size: bool, says_length: bool
) -> None:
    """By a layer that compresses whatever passes."""
    data = FILES[name]
    sent = ENCODERS.get(header, gzip.compress)(data)
    assert judge(header, name, sent, len(data) if says_size else None, says_length=says_length)


def test_a_file_that_its_maker_compressed_twice() -> None:
    """The size that is listed tells it from one that is compressed on the way; without it nothing does."""
    data = gzip.compress(tar("gz"))
    assert not judge("gzip", "acme-1.0.tar.gz", data, len(data), says_length=True)
    assert judge("gzip", "acme-1.0.tar.gz", gzip.compress(data), len(data), says_length=True)


def test_a_url_without_a_name() -> None:
    """As object stores have them: what is a distribution counts."""
    for data in (FILES["acme-1.0.tar.gz"], FILES["acme-1.0-py3-none-any.whl"], FILES["acme-1.0.tar.bz2"]):
        assert not is_encoded("gzip", "https://up.example/blob/17", data[:HEAD], length=None, size=None)
        sent = gzip.compress(data)
        assert is_encoded("gzip", "https://up.example/blob/17", sent[:HEAD], length=None, size=None)
