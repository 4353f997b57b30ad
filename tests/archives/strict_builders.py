"""Archives as no honest tool writes them."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import struct
import tarfile
import zlib
from dataclasses import dataclass, field

from tests.builders import metadata_text

DIST_INFO = "acme-1.0.dist-info"
WHEEL_TEXT = b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@dataclass
class Part:
    """One member of a zip archive; what is not None replaces what an honest tool would write."""

    path: bytes
    data: bytes = b""
    method: int = 8
    flags: int = 0
    stored: bytes | None = None
    crc: int | None = None
    size: int | None = None
    central_path: bytes | None = None
    central_size: int | None = None
    central_crc: int | None = None
    central_method: int | None = None
    central_flags: int | None = None
    extra: bytes = b""
    central_extra: bytes = b""
    after: bytes = b""
    before: bytes = field(default=b"", kw_only=True)


def deflated(data: bytes) -> bytes:
    """A raw deflate stream."""
    deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
    return deflater.compress(data) + deflater.flush()


def raw_zip(
    *parts: Part, before_directory: bytes = b"", after_directory: bytes = b"", comment: bytes = b""
) -> bytes:
    """A zip archive of these members."""
    out, central = b"", b""
    for part in parts:
        out += part.before
        stored = part.stored
        if stored is None:
            stored = deflated(part.data) if part.method == 8 else part.data
        crc = zlib.crc32(part.data) if part.crc is None else part.crc
        size = len(part.data) if part.size is None else part.size
        offset = len(out)
        out += struct.pack(
            "<4s5H3L2H", b"PK\x03\x04", 20, part.flags, part.method, 0, 33, crc, len(stored), size,
            len(part.path), len(part.extra),
        )  # fmt: skip
        out += part.path + part.extra + stored + part.after
        path = part.path if part.central_path is None else part.central_path
        central += struct.pack(
            "<4s6H3L5H2L", b"PK\x01\x02", 0x0314, 20,
            part.flags if part.central_flags is None else part.central_flags,
            part.method if part.central_method is None else part.central_method,
            0, 33,
            crc if part.central_crc is None else part.central_crc,
            len(stored),
            size if part.central_size is None else part.central_size,
            len(path), len(part.central_extra), 0, 0, 0, 0o100644 << 16, offset,
        )  # fmt: skip
        central += path + part.central_extra
    out += before_directory
    end = struct.pack(
        "<4s4H2LH", b"PK\x05\x06", 0, 0, len(parts), len(parts), len(central), len(out), len(comment)
    )
    return out + central + after_directory + end + comment


def record_line(path: str, data: bytes) -> str:
    """One line of a RECORD."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(data)}\n"


def wheel_parts(
    *further: Part,
    metadata: bytes | None = None,
    wheel: bytes | None = WHEEL_TEXT,
    record: str | None = None,
    files: dict[str, bytes] | None = None,
) -> list[Part]:
    """A wheel's members; the further ones are not in the RECORD that is made."""
    contents = {
        "acme.py": b"version = 1\n" * 100,
        **(files or {}),
        f"{DIST_INFO}/METADATA": metadata_text("acme", "1.0") if metadata is None else metadata,
    }
    if wheel is not None:
        contents[f"{DIST_INFO}/WHEEL"] = wheel
    if record is None:
        record = (
            "".join(record_line(path, data) for path, data in contents.items()) + f"{DIST_INFO}/RECORD,,\n"
        )
    contents[f"{DIST_INFO}/RECORD"] = record.encode()
    return [*further, *(Part(path.encode(), data) for path, data in contents.items())]


def own_record() -> str:
    """The RECORD of the plain wheel."""
    return wheel_parts()[-1].data.decode()


def tar_gz(
    *members: tuple[str, bytes] | tarfile.TarInfo, form: int = tarfile.PAX_FORMAT, **pax: str
) -> bytes:
    """An sdist with a PKG-INFO and these members; ``pax`` are global records."""
    return gzip.compress(tar(*members, form=form, pax=pax), mtime=0)


def tar(
    *members: tuple[str, bytes] | tarfile.TarInfo,
    form: int = tarfile.PAX_FORMAT,
    info: bytes | None = b"Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n",
    pax: dict[str, str] | None = None,
) -> bytes:
    """The same, unpacked."""
    out = io.BytesIO()
    headers = {key.replace("__", "."): value for key, value in (pax or {}).items()}
    with tarfile.open(fileobj=out, mode="w", format=form, pax_headers=headers) as archive:
        for member in [*([("acme-1.0/PKG-INFO", info)] if info is not None else []), *members]:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member, io.BytesIO(b"x" * member.size))
                continue
            path, data = member
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def entry(path: str, kind: bytes, link: str = "", size: int = 0, **records: str) -> tarfile.TarInfo:
    """One member of a tar archive without data."""
    member = tarfile.TarInfo(path)
    member.type, member.linkname, member.size = kind, link, size
    member.pax_headers = {key.replace("__", "."): value for key, value in records.items()}
    return member
