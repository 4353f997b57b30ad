"""An ACME authority that takes time and memory: every request ends, and the answer is a sentence."""

from __future__ import annotations

import json
import time
import zlib
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.config.acme_values import Identifier
from simpleindex.tls.acme import network
from simpleindex.tls.acme.settings import AcmeSettings
from tests.end_to_end.acme_place import Place
from tests.end_to_end.acme_servers import imitated_authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

GREETING = b"HTTP/1.1 200 OK\r\n"


def slowly(first: bytes, again: bytes) -> Iterator[bytes]:
    """Something, and then a little, for ever."""
    yield first
    while True:
        time.sleep(0.02)
        yield again


def without_end(first: bytes, again: bytes) -> Iterator[bytes]:
    """The same at once."""
    yield first
    while True:
        yield again


def compressed() -> Iterator[bytes]:
    """Megabytes of spaces in a few kilobytes."""
    yield GREETING + b"Content-Encoding: gzip\r\n\r\n"
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    while True:
        yield compressor.compress(b" " * (1 << 24)) + compressor.flush(zlib.Z_SYNC_FLUSH)


def redirection(url: str) -> Iterator[bytes]:
    """To another place."""
    yield b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % url.encode()


def directory(url: str) -> Iterator[bytes]:
    """A directory with such URLs."""
    body = json.dumps(dict.fromkeys(("newNonce", "newAccount", "newOrder"), url)).encode()
    yield GREETING + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


ANSWERS = {
    "a slow body": (
        lambda: slowly(GREETING + b"Content-Length: 100000\r\n\r\n", b" "),
        "timed out|more than",
    ),
    "a slow line": (lambda: slowly(GREETING + b"X: ", b"a"), "timed out|more than"),
    "slow lines": (lambda: slowly(GREETING, b"A: b\r\n"), "timed out|more than"),
    "provisional answers": (lambda: slowly(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "timed out|more than"),
    "a huge body": (lambda: without_end(GREETING + b"\r\n", b" " * 65536), "more than 1 MiB"),
    "huge pieces": (
        lambda: without_end(
            GREETING + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n%s\r\n" % (b" " * 65536)
        ),
        "more than 1 MiB",
    ),
    "a compressed body": (compressed, "more than 1 MiB"),
    "a circle": (lambda: redirection("/dir"), "Exceeded 3 redirects"),
    "to plain HTTP": (lambda: redirection("http://127.0.0.1:1/"), "names a URL that is not https"),
    "to a file": (lambda: redirection("file:///etc/passwd"), "names a URL that is not https"),
    "URLs of plain HTTP": (lambda: directory("http://127.0.0.1:1/"), "names a URL that is not https"),
    "URLs that are none": (lambda: directory("https://[/"), "names a URL that is not https"),
}


class Odd(BaseHTTPRequestHandler):
    """Answers each request in the way of the test."""

    protocol_version = "HTTP/1.1"
    server: HTTPServer
    answer: Callable[[], Iterator[bytes]]

    def do_GET(self) -> None:
        with suppress(OSError):
            for piece in self.answer():
                self.wfile.write(piece)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """What requests certificates from it."""
    with imitated_authority(tmp_path, Odd) as (url, trust):
        yield Place(tmp_path, AcmeSettings(None, url, (Identifier("packages.example.org"),), trust=trust))


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_request_ends(place: Place, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """A thread that waited for ever would renew nothing any more, and hold the lock of all workers."""
    answer, sentence = ANSWERS[kind]
    monkeypatch.setattr(Odd, "answer", staticmethod(answer), raising=False)
    if "timed out" in sentence:
        monkeypatch.setattr(network, "_ANSWER_SECONDS", 1.0)
    got = place.check()
    assert any(part in got for part in sentence.split("|")), got
    assert "The next try is at" in got
