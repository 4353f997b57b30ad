"""HTTP servers in a thread of the tests: an index as bandersnatch mirrors it, and one that sends slowly."""

from __future__ import annotations

import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

JSON = "application/vnd.pypi.simple.v1+json"

Page = tuple[str, bytes]
"""The type of a page, and its content."""


@contextmanager
def answering(
    pages: Callable[[str], Page | None], between: Callable[[int], object] = lambda _: None
) -> Iterator[str]:
    """Answer GET on loopback until the end; gives the URL.

    Args:
        pages: Returns what is at a path.
        between: Called after each 64 KiB of a body that was sent, with the number of bytes so far.
    """

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages(self.path)
            if page is None:
                self.send_error(404)
                return
            content_type, body = page
            self.send_response(200)
            headers = {
                "Content-Type": content_type,
                "Content-Length": str(len(body)),
                "X-PYPI-LAST-SERIAL": "5",
            }
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            for start in range(0, len(body), 1 << 16):
                self.wfile.write(body[start : start + (1 << 16)])
                between(start + (1 << 16))

        def handle_error(self, *_: object) -> None:
            """Clients may go away."""

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Clients may go away."""

    server = Server(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def public_index(files: Mapping[str, bytes], yanked: Mapping[str, str]) -> Callable[[str], Page | None]:
    """Return the pages of an index with PyPI's JSON, which bandersnatch reads.

    Args:
        files: Contents of wheels by name.
        yanked: Of some of them, why.
    """
    projects: dict[str, dict[str, list[dict[str, Any]]]] = {}
    contents = {}
    for filename, data in files.items():
        name, version = filename.split("-")[:2]
        digest = hashlib.sha256(data).hexdigest()
        path = f"/packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{filename}"
        contents[path] = data
        release = {
            "filename": filename,
            "url": f"https://files.example{path}",
            "digests": {"sha256": digest, "md5": hashlib.md5(data, usedforsecurity=False).hexdigest()},
            "size": len(data),
            "upload_time": "2020-01-02T03:04:05",
            "upload_time_iso_8601": "2020-01-02T03:04:05.000000Z",
            "requires_python": None,
            "packagetype": "bdist_wheel",
            "yanked": filename in yanked,
            "yanked_reason": yanked.get(filename),
        }
        projects.setdefault(name.replace("_", "-"), {}).setdefault(version, []).append(release)

    def pages(path: str) -> Page | None:
        if path.startswith("/simple"):
            names = [{"name": name, "_last-serial": 5} for name in projects]
            return JSON, json.dumps(
                {"meta": {"api-version": "1.1", "_last-serial": 5}, "projects": names}
            ).encode()
        if path.startswith("/pypi/"):
            name = path.split("/")[2]
            info = {"name": name, "version": max(projects[name])}
            return "application/json", json.dumps(
                {"info": info, "last_serial": 5, "releases": projects[name], "urls": []}
            ).encode()
        return ("application/octet-stream", contents[path]) if path in contents else None

    return pages
