"""Fill the servers that do not serve a directory."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_BOUNDARY: Final = "--------simpleindex-benchmarks"


def basic(user: str, password: str) -> str:
    """The value of an Authorization header (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def form(path: Path, name: str, version: str, **more: str) -> tuple[str, bytes]:
    """A file as twine sends it, with further fields: the Content-Type and the body."""
    content = path.read_bytes()
    is_wheel = path.suffix == ".whl"
    fields = {
        ":action": "file_upload",
        "protocol_version": "1",
        "metadata_version": "2.1",
        "name": name,
        "version": version,
        "filetype": "bdist_wheel" if is_wheel else "sdist",
        "pyversion": "py3" if is_wheel else "source",
        "sha256_digest": hashlib.sha256(content).hexdigest(),
        **more,
    }
    parts = [
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
    ]
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="content"; filename="{path.name}"\r\n'
    parts.append(f"{head}Content-Type: application/octet-stream\r\n\r\n".encode() + content)
    parts.append(f"\r\n--{_BOUNDARY}--\r\n".encode())
    return f"multipart/form-data; boundary={_BOUNDARY}", b"".join(parts)


def devpi_login(port: int, root_password: str = "benchmark") -> dict[str, str]:
    """Log in to a devpi-server, make the index ``root/bench``, and return the headers that uploads need."""
    return devpi_index(port, "bench", {"type": "stage", "bases": [], "volatile": True}, root_password)


def devpi_index(
    port: int, name: str, index: dict[str, object], root_password: str = "benchmark"
) -> dict[str, str]:
    """Log in to a devpi-server, make an index of root's, and return the headers that uploads need."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    said = _json(connection, "POST", "/+login", {"user": "root", "password": root_password}, {})
    token = said["result"]["password"]
    headers = {"X-Devpi-Auth": base64.b64encode(f"root:{token}".encode()).decode()}
    _json(connection, "PUT", f"/root/{name}", index, headers)
    connection.close()
    return headers


def _json(
    connection: http.client.HTTPConnection, method: str, path: str, body: object, headers: dict[str, str]
) -> dict[str, dict[str, str]]:
    more = {"Content-Type": "application/json", "Accept": "application/json", **headers}
    connection.request(method, path, json.dumps(body), more)
    response = connection.getresponse()
    said = response.read()
    assert response.status in (200, 201), (path, response.status, said[:300])
    decoded: dict[str, dict[str, str]] = json.loads(said)
    return decoded
