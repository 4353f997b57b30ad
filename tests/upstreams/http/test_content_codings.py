"""Content codings: every form that their specifications allow is read, and what is not whole is no shorter text."""

from __future__ import annotations

import gzip
import struct
import sys
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.upstreams.errors import UnusableAnswer
from simpleindex.upstreams.http import content_codings
from simpleindex.upstreams.http.content_codings import codings, decoder_of
from tests.fixtures.tables import for_each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TEXT = b"".join(b"<a href='acme-%d.zip'>x</a>\n" % number for number in range(900))
MOST = 100_000


def raw_deflate(data: bytes) -> bytes:
    """Without zlib's frame."""
    encoder = zlib.compressobj(wbits=-15)
    return encoder.compress(data) + encoder.flush()


def two_members(data: bytes) -> bytes:
    """As programs make them that compress in parallel."""
    return gzip.compress(data[:100]) + gzip.compress(b"") + gzip.compress(data[100:])


def named_member(data: bytes) -> bytes:
    """With all that a header can have: extra field, name, comment and checksum of the header (RFC 1952)."""
    head = b"\x1f\x8b\x08\x1e" + bytes(6) + b"\x03\x00abc" + b"page.html\0" + b"a comment\0"
    crc = struct.pack("<H", zlib.crc32(head) & 0xFFFF)
    return head + crc + raw_deflate(data) + struct.pack("<II", zlib.crc32(data), len(data))


def zstandard(data: bytes) -> bytes:
    """Two frames, and one that is to be skipped (RFC 8878)."""
    compress = pytest.importorskip("zstandard").compress
    skipped = struct.pack("<II", 0x184D2A53, 5) + b"hello"
    return bytes(skipped + compress(data[:300]) + skipped + compress(data[300:]))


def brotli(data: bytes) -> bytes:
    """RFC 7932."""
    return bytes(pytest.importorskip("brotli").compress(data))


FORMS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "nothing": ("", bytes),
    "identity": ("identity", bytes),
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "capitals": ("GZip", gzip.compress),
    "gzip in members": ("gzip", two_members),
    "gzip with a full header": ("gzip", named_member),
    "stored gzip": ("gzip", lambda data: gzip.compress(data, 0)),
    "deflate": ("deflate", zlib.compress),
    "deflate, fastest": ("deflate", lambda data: zlib.compress(data, 1)),
    "raw deflate": ("deflate", raw_deflate),
    "zstd": ("zstd", zstandard),
    "br": ("br", brotli),
    "empty elements": (" , gzip,,", gzip.compress),
    "identity in a list": ("identity, gzip, identity", gzip.compress),
    "stacked": ("deflate, gzip", lambda data: gzip.compress(zlib.compress(data))),
    "twice": ("gzip, x-gzip", lambda data: two_members(two_members(data))),
    "no coding by a wrong word": ("utf-8", bytes),
    "replayed upload": ("aws-chunked,gzip", gzip.compress),
}


def decode(header: str, data: bytes, cut: int = 1 << 20, most: int = MOST) -> bytes:
    """Decode a body that comes in pieces."""
    decoder = decoder_of(codings(header), most)
    found = b"".join(
        piece for start in range(0, len(data), cut) for piece in decoder.feed(data[start : start + cut])
    )
    decoder.finish()
    return found


@for_each("form", FORMS)
@for_each("cut", [1, 7, 1000, 1 << 20])
def test_every_form_is_read(form: str, cut: int) -> None:
    """However it is cut into pieces."""
    header, encode = FORMS[form]
    assert decode(header, encode(TEXT), cut) == TEXT


@for_each("form", [form for form in FORMS if FORMS[form][1] is not bytes])
def test_what_is_not_whole_is_no_shorter_text(form: str) -> None:
    """A body that ends early, goes on behind its end or is damaged fails, wherever that is."""
    header, encode = FORMS[form]
    data = encode(TEXT)
    ends = {0, 1, 2, 5, len(data) // 2, len(data) - 9, len(data) - 5, len(data) - 1}
    for end in sorted(ends):
        with pytest.raises(UnusableAnswer):
            decode(header, data[:end])
    for more in (b"garbage", b"<html>", b"\x00\x00", data[:11]):
        with pytest.raises(UnusableAnswer):
            decode(header, data + more)
    with pytest.raises(UnusableAnswer):
        decode(header, TEXT)


@given(
    st.lists(st.sampled_from(["gzip", "x-gzip", "deflate", "identity", "none"]), max_size=4),
    st.binary(max_size=3000),
    st.integers(1, 500),
)
def test_what_was_encoded_is_decoded(names: list[str], data: bytes, cut: int) -> None:
    """The last coding first (RFC 9110 section 8.4)."""
    encoders: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.compress,
        "x-gzip": two_members,
        "deflate": zlib.compress,
    }
    encoded = data
    for name in names:
        encoded = encoders.get(name, bytes)(encoded)
    assert decode(", ".join(names), encoded, cut) == data


@given(st.sampled_from(["gzip", "deflate", "zstd", "br", "gzip, gzip", "compress", "x"]), st.binary())
def test_any_bytes_are_read_or_refused(header: str, data: bytes) -> None:
    """Nothing else comes of them."""
    try:
        assert isinstance(decode(header, data), bytes)
    except UnusableAnswer:
        return


@for_each(
    ("header", "data", "reason"),
    [
        ("gzip", gzip.compress(bytes(10 * MOST)), "larger"),
        ("deflate", zlib.compress(bytes(10 * MOST)), "larger"),
        ("gzip, gzip", gzip.compress(gzip.compress(bytes(10_000_000))), "larger"),
        # What comes out of the first is the endless name of a file (RFC 1952), of which nothing comes out.
        ("gzip, gzip", gzip.compress(b"\x1f\x8b\x08\x08" + bytes(6) + b"a" * (2 * MOST)), "larger"),
        ("gzip", gzip.compress(b"") * 10_001, "parts"),
        ("compress", b"\x1f\x9d\x90", r"not known here \(compress\)"),
        ("bzip2", b"BZh", r"not known here \(bzip2\)"),
        ("gzip, " * 6, b"", "more than 5"),
        ("a\x1b[1mb", b"", r"not known here \(a\?\[1mb\)"),
    ],
)
def test_what_is_refused(header: str, data: bytes, reason: str) -> None:
    """Bombs, endless parts, and what nobody here knows, by its name."""
    with pytest.raises(UnusableAnswer, match=reason):
        decode(header, data)


def test_what_follows_the_end_of_deflate_is_refused_whenever_it_comes() -> None:
    """Also in a piece of its own."""
    with pytest.raises(UnusableAnswer, match="other data behind its end"):
        decode("deflate", zlib.compress(TEXT) + b"x", cut=len(zlib.compress(TEXT)))


@pytest.mark.parametrize(("name", "library"), [("zstd", "zstandard"), ("br", "brotli")])
def test_a_coding_whose_library_is_missing_is_not_known(
    monkeypatch: pytest.MonkeyPatch, name: str, library: str
) -> None:
    """It was not asked for either, so its upstream is to blame."""
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setitem(sys.modules, "compression", None)
    with pytest.raises(UnusableAnswer, match="not known here"):
        decode(name, b"x")


@pytest.mark.parametrize("name", ["zstd", "br"])
def test_bombs_of_other_codings(name: str) -> None:
    """No more comes out than may."""
    encode: Any = {"zstd": zstandard, "br": brotli}[name]
    with pytest.raises(UnusableAnswer, match="larger"):
        decode(name, encode(bytes(5_000_000)))


def test_members_are_not_copied_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is behind the end of a member is copied; twice the members are twice the bytes that are looked at."""
    looked_at = []
    inflated = content_codings._inflated

    def counted(decoder: Any, data: bytes) -> Iterator[bytes]:
        looked_at.append(len(data))
        return inflated(decoder, data)

    monkeypatch.setattr(content_codings, "_inflated", counted)
    work = []
    for members in (1000, 2000):
        looked_at.clear()
        decoder = decoder_of(("gzip",), 1000)
        assert list(decoder.feed(gzip.compress(b"", mtime=0) * members)) == []
        work.append(sum(looked_at))
    assert work[1] <= 2.1 * work[0]
