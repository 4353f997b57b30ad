"""Uploads made by hand: many at once, huge ones, broken ones."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import zipfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.end_to_end.changing_files import looked_at
from tests.end_to_end.running import Answer
from tests.fixtures.distributions import wheel_bytes, wheel_name

if TYPE_CHECKING:
    import http.client
    from collections.abc import Iterator

    from tests.end_to_end.running import Server

_BOUNDARY: Final = b"0123456789abcdef"
_CHUNK: Final = 1 << 20


def form_ends(filename: str, name: str, version: str) -> tuple[bytes, bytes]:
    """What comes before and after a wheel's bytes in a form, as twine has it."""
    fields = {
        ":action": "file_upload",
        "protocol_version": "1",
        "metadata_version": "2.1",
        "name": name,
        "version": version,
        "filetype": "bdist_wheel",
        "pyversion": "py3",
    }
    before = "".join(
        f'--{_BOUNDARY.decode()}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
        for key, value in fields.items()
    )
    before += f'--{_BOUNDARY.decode()}\r\nContent-Disposition: form-data; name="content"; filename="{filename}"\r\n\r\n'
    return before.encode(), b"\r\n--" + _BOUNDARY + b"--\r\n"


def head_of(server: Server, token: str, length: int) -> bytes:
    """The head of such a request."""
    return (
        f"POST /legacy/ HTTP/1.1\r\nHost: localhost:{server.port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: multipart/form-data; boundary={_BOUNDARY.decode()}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def upload(server: Server, token: str, name: str, version: str, content: bytes | Path) -> Answer:
    """Send a wheel as twine does; a file is read piece by piece."""
    filename = wheel_name(name, version)
    before, after = form_ends(filename, name, version)
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    with closing(server.connect()) as connection:
        connection.timeout = 600
        connection.putrequest("POST", "/legacy/")
        connection.putheader("Authorization", f"Bearer {token}")
        connection.putheader("Content-Type", f"multipart/form-data; boundary={_BOUNDARY.decode()}")
        connection.putheader("Content-Length", str(len(before) + size + len(after)))
        connection.endheaders()
        try:
            for piece in (before, *_pieces(content), after):
                connection.send(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # Refused early; the answer says so.
        return _answer(connection)


def _pieces(content: bytes | Path) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as file:
        while piece := file.read(_CHUNK):
            yield piece


def _answer(connection: http.client.HTTPConnection) -> Answer:
    with connection.getresponse() as response:
        return Answer(response.status, dict(response.getheaders()), response.read())


def large_wheel(directory: Path, name: str, size: int, version: str = "1.0") -> Path:
    """A wheel on disk with one stored member of so many bytes that no two pieces of are alike."""
    path = directory / wheel_name(name, version)
    small = wheel_bytes(name, version)
    digest = hashlib.sha256()
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive,
        zipfile.ZipFile(io.BytesIO(small)) as other,
    ):
        with archive.open(
            zipfile.ZipInfo("blob.bin", (2024, 1, 1, 0, 0, 0)), "w", force_zip64=True
        ) as member:
            block = hashlib.shake_256(name.encode()).digest(_CHUNK)
            for number in range(0, size, _CHUNK):
                piece = (number.to_bytes(8) + block)[: min(_CHUNK, size - number)]
                digest.update(piece)
                member.write(piece)
        for info in other.infolist():
            data = other.read(info)
            if info.filename.endswith("RECORD"):
                encoded = base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
                data = f"blob.bin,sha256={encoded},{size}\n".encode() + data
            archive.writestr(info, data)
    return path


def peak_memory(server: Server) -> int:
    """The most bytes that a server has had in memory (VmHWM)."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def litter(root: Path) -> list[str]:
    """What lies below a root that was not meant to stay."""
    return looked_at(lambda: _litter(root))


def _litter(root: Path) -> list[str]:
    return sorted(
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.name.startswith(".simpleindex-copy")
        or path.parent.name == ".simpleindex-uploads"
        or (path.is_dir() and path.name != ".simpleindex-uploads" and not any(path.iterdir()))
    )
