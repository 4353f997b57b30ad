"""Make real, tiny distributions in a temporary directory; no binary file is kept in git."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import tarfile
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def metadata_text(name: str, version: str, *lines: str, body: str = "") -> bytes:
    """Core metadata with the given further header lines."""
    head = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *lines]
    return ("\n".join(head) + "\n\n" + body).encode()


def wheel_bytes(
    name: str = "acme",
    version: str = "1.0",
    *lines: str,
    metadata: bytes | None = None,
    files: dict[str, bytes] | None = None,
    dist_info: str | None = None,
) -> bytes:
    """A whole wheel that pip installs: one module, METADATA with further header lines, WHEEL, RECORD."""
    escaped = name.replace("-", "_")
    dist_info = dist_info or f"{escaped}-{version}.dist-info"
    contents = {
        f"{escaped.replace('.', '_').lower()}.py": f"version = {version!r}\n".encode(),
        **(files or {}),
        f"{dist_info}/METADATA": metadata if metadata is not None else metadata_text(name, version, *lines),
        f"{dist_info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"
        for path, data in contents.items()
    )
    contents[f"{dist_info}/RECORD"] = f"{record}{dist_info}/RECORD,,\n".encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in contents.items():
            archive.writestr(zipfile.ZipInfo(path, (2024, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def wheel_name(name: str = "acme", version: str = "1.0", tags: str = "py3-none-any") -> str:
    """The file name of that wheel."""
    return f"{name.replace('-', '_')}-{version}-{tags}.whl"


def sdist_bytes(name: str = "acme", version: str = "1.0", *lines: str) -> bytes:
    """A whole .tar.gz that pip can build with setuptools."""
    escaped = name.replace("-", "_")
    top = f"{escaped}-{version}"
    contents = {
        f"{top}/PKG-INFO": metadata_text(name, version, *lines),
        f"{top}/setup.py": f"from setuptools import setup\nsetup(name={name!r}, version={version!r}, "
        f"py_modules=[{escaped!r}])\n".encode(),
        f"{top}/{escaped}.py": f"version = {version!r}\n".encode(),
    }
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, data in contents.items():
            member = tarfile.TarInfo(path)
            member.size = len(data)
            member.mtime = 1_704_067_200
            archive.addfile(member, io.BytesIO(data))
    return gzip.compress(raw.getvalue(), mtime=0)


def sdist_name(name: str = "acme", version: str = "1.0") -> str:
    """The file name of that sdist."""
    return f"{name.replace('-', '_')}-{version}.tar.gz"


def add_wheel(
    root: Path, name: str = "acme", version: str = "1.0", *lines: str, directory: str | None = None
) -> Path:
    """Put a wheel where the manual layout wants it, atomically; return its path."""
    return put(root / (directory or name) / wheel_name(name, version), wheel_bytes(name, version, *lines))


def add_sdist(root: Path, name: str = "acme", version: str = "1.0", *lines: str) -> Path:
    """Put an sdist where the manual layout wants it, atomically; return its path."""
    return put(root / name / sdist_name(name, version), sdist_bytes(name, version, *lines))


def put(path: Path, data: bytes) -> Path:
    """Write a file aside and rename it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.part")
    aside.write_bytes(data)
    aside.rename(path)
    return path
