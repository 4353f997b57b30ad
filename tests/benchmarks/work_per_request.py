"""Count the work of a request without a clock: the Python functions called from its bytes' arrival to its answer's.

The real site over a real directory, in memory and without threads, so that the count is the same every time.
``python -m tests.benchmarks.work_per_request`` prints the counts and where most of them are spent.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from simpleindex.sources.local import LocalSource
from simpleindex.web.express import Express
from tests.builders import add_wheel
from tests.live_world import World
from tests.web.memory_client import JSON, Index, read, request

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_PAGE: Final = "/simple/acme/"
_FILE: Final = "/simple/acme/acme-1.0-py3-none-any.whl"

# The express lane knows neither, so these requests go the ordinary way and get the same answer.
_ORDINARY: Final = ("X-Anything", "1")

_GZIP: Final = ("Accept-Encoding", "gzip")

_WARM_AFTER: Final = 3
"""Requests after which everything that is kept is kept."""


def work_per_request() -> dict[str, Counter[str]]:
    """Count the calls of each kind of request, by module and function."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory, "packages")
        root.mkdir()
        for version in ("1.0", "1.1", "1.2", "1.3", "1.4"):
            add_wheel(root, "acme", version, "Requires-Python: >=3.9")
        add_wheel(root, "other")
        world = World(root).begin()
        index = Index(LocalSource(world.live, world.directory, world.reads))
        index.site.express = Express(index.listings, index.resource.also)
        tag = index.get(_PAGE).headers["etag"]
        requests = {
            "page": request("GET", _PAGE),
            "page, ordinary lane": request("GET", _PAGE, _ORDINARY),
            "page JSON gzip": request("GET", _PAGE, ("Accept", JSON), _GZIP),
            "page JSON gzip, ordinary lane": request("GET", _PAGE, ("Accept", JSON), _GZIP, _ORDINARY),
            "page 304": request("GET", _PAGE, ("If-None-Match", tag)),
            "page 304, ordinary lane": request("GET", _PAGE, ("If-None-Match", tag), _ORDINARY),
            "root": request("GET", "/simple/"),
            ".metadata": request("GET", f"{_FILE}.metadata"),
            "file of one chunk": request("GET", _FILE),
        }
        return {what: _counted(index, raw, 304 if "304" in what else 200) for what, raw in requests.items()}


def _counted(index: Index, raw: bytes, status: int) -> Counter[str]:
    connection = index.connect()

    def once() -> None:
        connection.protocol.dataReceived(raw)
        reply = read(connection)
        assert reply.status == status, reply
        if reply.headers.get("content-encoding") == "gzip":
            assert gzip.decompress(reply.body)

    for _ in range(_WARM_AFTER):
        once()
    return calls(lambda: connection.protocol.dataReceived(raw))


def calls(function: Callable[[], object]) -> Counter[str]:
    """Count the Python functions that a call calls."""
    counted: Counter[str] = Counter()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            code = frame.f_code
            counted[f"{Path(code.co_filename).stem}.{code.co_qualname}"] += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(before)
    return counted


if __name__ == "__main__":
    for what, found in work_per_request().items():
        print(f"{what}: {found.total()}")
        for name, count in found.most_common(8):
            print(f"    {count:4} {name}")
