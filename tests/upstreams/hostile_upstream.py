"""An upstream that misbehaves in every way that we could think of, each by name, with what a question must come to."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any

from tests.upstreams.network import Close, Pause, Request, Step, response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

JSON = "Content-Type: application/vnd.pypi.simple.v1+json"
HTML = "Content-Type: text/html"
WHEEL = "acme-1.0-py3-none-any.whl"

NAMES = {
    "up.example": ("93.184.215.14",),
    "listed.example": ("93.184.215.15",),
    "other.example": ("93.184.215.16",),
    "rebound.example": ("127.0.0.1",),
    "inner.listed.example": ("10.0.0.7",),
    "mixed.example": ("10.0.0.8", "169.254.169.254", "::1", "fd00::1"),
    "refusing.example": ("93.184.215.99",),
}
CLOSED = frozenset({"93.184.215.99"})

MOST = 200_000
"""Bytes that a listing may have in these tests."""


def listing(*files: Any, **more: Any) -> bytes:
    """A JSON page."""
    return json.dumps({"meta": {"api-version": "1.1"}, "name": "acme", "files": files, **more}).encode()


def entry(filename: str = WHEEL, /, **more: Any) -> dict[str, Any]:
    """A file of it."""
    return {"filename": filename, "url": filename, "hashes": {"sha256": "ab" * 32}, **more}


GOOD = listing(entry())


@dataclass(frozen=True)
class Misbehaviour:
    """One way to be wrong.

    Attributes:
        script: What it answers; gets the request.
        says: Part of the reason that our error gives; None if the question is answered all the same.
        asks: ``project``; ``file``; or ``rest`` for a file from its tenth byte.
        timed_out: Whether the error says that it took too long.
        url: The file's, or the upstream's.
        takes: Bytes that may be taken from one connection.
    """

    script: Callable[[Request], Iterable[Step]]
    says: str | None
    asks: str = "project"
    timed_out: bool = False
    url: str = ""
    takes: int = 2 * MOST

    @property
    def is_passing(self) -> bool:
        """Whether the same question may well be answered next time: clients retry these, and no others."""
        return self.timed_out or (self.says or "").startswith(PASSING)


PASSING = ("connected to", "resolved", "broke off", "cut short", "429", "500", "503", "999")


def always(*steps: Step) -> Callable[[Request], Iterator[Step]]:
    """The same to every request."""
    return lambda _: iter(steps)


def endless(*steps: Step) -> Callable[[Request], Iterator[Step]]:
    """The last step again and again."""

    def script(_: Request) -> Iterator[Step]:
        yield from steps[:-1]
        yield from repeat(steps[-1])

    return script


def drip(head: bytes, body: bytes, seconds: float) -> Callable[[Request], Iterator[Step]]:
    """One byte at a time."""

    def script(_: Request) -> Iterator[Step]:
        yield head
        for byte in body:
            yield Pause(seconds)
            yield bytes([byte])

    return script


def redirect(location: str | None, status: str = "302 Found") -> Callable[[Request], Iterator[Step]]:
    """To one place, whatever is asked."""
    lines = [] if location is None else [f"Location: {location}"]
    return always(response(b"moved", *lines, status=status))


def page(body: bytes, *lines: str, status: str = "200 OK") -> Callable[[Request], Iterator[Step]]:
    """A whole answer."""
    return always(response(body, *(lines or (JSON,)), status=status))


def first(
    path: str, script: Callable[[Request], Iterable[Step]], then: Callable[[Request], Iterable[Step]]
) -> Any:
    """One answer at a path, another everywhere else."""
    return lambda request: script(request) if request.path == path else then(request)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.pypi.simple.v1+json\r\n"
HTML_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
GZIP = "Content-Encoding: gzip"
FILE = b"0123456789abcdefghij"
REST = "Content-Range: bytes 10-19/20"
PART = "206 Partial Content"

LISTINGS: dict[str, Misbehaviour] = {
    # -- connections and heads
    "refuses connections": Misbehaviour(page(GOOD), "connected to", url="http://refusing.example/"),
    "has no address": Misbehaviour(page(GOOD), "resolved", url="http://nowhere.example/"),
    "closes at once": Misbehaviour(always(Close()), "broke off"),
    "closes within the headers": Misbehaviour(always(HEAD, Close()), "broke off"),
    "says nothing": Misbehaviour(always(), "too long", timed_out=True),
    "says its headers slowly": Misbehaviour(drip(b"", HEAD * 9, 1.0), "too long", timed_out=True),
    "endless headers": Misbehaviour(endless(HEAD, b"X-A: b\r\n" * 100), "headers are too long"),
    "headers without names": Misbehaviour(endless(HEAD, b":\r\n" * 100), "no HTTP"),
    "endless folded header": Misbehaviour(endless(HEAD, b" x\r\n" * 100), "headers are too long"),
    "huge header": Misbehaviour(endless(HEAD + b"X-A: ", b"b" * 1000), "broke off"),
    "endless interim answers": Misbehaviour(
        endless(b"HTTP/1.1 100 Continue\r\n\r\n"), "headers are too long"
    ),
    "odd interim answers": Misbehaviour(endless(b"HTTP/1.1 +1_0_0 \r\nA: b\r\n\n"), "headers are too long"),
    "speaks ssh": Misbehaviour(always(b"SSH-2.0-OpenSSH_9.2\r\n", Close()), "no HTTP"),
    "speaks tls": Misbehaviour(always(b"\x15\x03\x01\x00\x02\x02\x46", Close()), "broke off"),
    "status is no number": Misbehaviour(always(b"HTTP/1.1 OK 200\r\n\r\n"), "no HTTP"),
    "header without a colon": Misbehaviour(always(b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"), "no HTTP"),
    "two lengths": Misbehaviour(always(HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n"), "no HTTP"),
    "length is no number": Misbehaviour(always(HEAD + b"Content-Length: -5\r\n\r\n"), "no HTTP"),
    "unknown transfer encoding": Misbehaviour(always(HEAD + b"Transfer-Encoding: rot13\r\n\r\n"), "no HTTP"),
    # -- bodies
    "length beyond the limit": Misbehaviour(
        always(HEAD + b"Content-Length: 999999999999999999999\r\n\r\n"), "larger"
    ),
    "truncated": Misbehaviour(always(response(GOOD, JSON, length=len(GOOD) + 1), Close()), "broke off"),
    "truncated in a chunk": Misbehaviour(always(CHUNKED, b"ff\r\n{", Close()), "broke off"),
    "no last chunk": Misbehaviour(always(CHUNKED, b"2\r\n{}\r\n", Close()), "broke off"),
    "chunk size is no number": Misbehaviour(always(CHUNKED, b"zz\r\n{}\r\n"), "no HTTP"),
    "endless chunk extension": Misbehaviour(endless(CHUNKED, b"1;" + b"a" * 1000), "no HTTP"),
    "truncated json without a length": Misbehaviour(always(HEAD + b"\r\n" + GOOD[:-9], Close()), "no JSON"),
    "truncated html without a length": Misbehaviour(
        always(HTML_HEAD + b"\r\n<html><a href='" + WHEEL.encode() + b"'>x</a>", Close()), "cut short"
    ),
    "endless body": Misbehaviour(endless(HEAD + b"\r\n", b" " * 65536), "larger"),
    "endless chunks": Misbehaviour(endless(CHUNKED, b"400\r\n" + b" " * 1024 + b"\r\n"), "larger"),
    "stops midway": Misbehaviour(
        always(response(GOOD[:20], JSON, length=len(GOOD))), "too long", timed_out=True
    ),
    "drips": Misbehaviour(drip(response(b"", JSON, length=len(GOOD)), GOOD, 5.0), "too long", timed_out=True),
    "gzip bomb": Misbehaviour(page(gzip.compress(bytes(50_000_000)), JSON, GZIP), "larger"),
    "gzip of gzip bombs": Misbehaviour(page(gzip.compress(bytes(9 * MOST)) * 3, JSON, GZIP), "larger"),
    "truncated gzip": Misbehaviour(page(gzip.compress(GOOD)[:-9], JSON, GZIP), "cut short"),
    "broken gzip": Misbehaviour(page(b"\x1f\x8b\x08" + b"\xff" * 50, JSON, GZIP), "not compressed"),
    "not gzip at all": Misbehaviour(page(GOOD, JSON, GZIP), "not compressed"),
    "endless bytes after gzip": Misbehaviour(
        endless(HEAD + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(GOOD), bytes(65536)),
        "other data behind",
    ),
    "unknown encoding": Misbehaviour(page(GOOD, JSON, "Content-Encoding: compress"), "not known here"),
    "two encodings": Misbehaviour(page(GOOD, JSON, "Content-Encoding: gzip, gzip"), "not compressed"),
    "no encoding by another word": Misbehaviour(page(GOOD, JSON, "Content-Encoding: utf-8"), None),
    "unasked deflate": Misbehaviour(
        page(zlib.compress(GOOD), JSON, "Content-Encoding: identity", "Content-Encoding: Deflate"), None
    ),
    # -- pages
    "bad json": Misbehaviour(page(b"{"), "no JSON"),
    "deep json": Misbehaviour(page(b"[" * 100_000), "no JSON"),
    "huge number": Misbehaviour(page(b'{"files": [{"size": ' + b"9" * 10_000 + b"}]}"), "no JSON"),
    "invalid utf-8": Misbehaviour(page(b'{"files": [], "x": "\xff"}'), "no JSON"),
    "html as json": Misbehaviour(page(b"<html></html>"), "no JSON"),
    "json as html": Misbehaviour(page(GOOD, HTML), "is HTML"),
    "login page": Misbehaviour(page(b"<html><form><a href='/x'>Log in</a></form></html>", HTML), "is HTML"),
    "wrong type": Misbehaviour(page(GOOD, "Content-Type: text/plain"), "type"),
    "no type": Misbehaviour(page(GOOD, "X-A: b"), "no type"),
    "version 2": Misbehaviour(page(listing(meta={"api-version": "2.0"})), "version"),
    "name of another project": Misbehaviour(page(listing(name="other")), "not of acme"),
    "list instead of object": Misbehaviour(page(b"[]"), "no object"),
    "nulls": Misbehaviour(
        page(listing(dict.fromkeys(("size", "yanked", "upload-time", "requires-python"), None) | entry())),
        None,
    ),
    "path tricks": Misbehaviour(
        page(
            listing(entry(), entry("../acme-2.0.zip"), entry("..\\acme-2.0.zip"), entry("acme-2.0\x00.zip"))
        ),
        None,
    ),
    "odd headers": Misbehaviour(
        page(
            GOOD, JSON, 'ETag: "a\x01b"', "Cache-Control: max-age=1e9, =,,", "Age: -1", "Last-Modified: \xff"
        ),
        None,
    ),
    "an interim answer": Misbehaviour(
        always(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", response(GOOD, JSON)), None
    ),
    "more than it said": Misbehaviour(always(response(GOOD, JSON) + b"HTTP/1.1 200 OK\r\n\r\n"), None),
    # -- status codes
    "304 without being asked": Misbehaviour(page(b"", status="304 Not Modified"), "not conditional"),
    "203 for a listing": Misbehaviour(page(GOOD, JSON, status="203 x"), None),
    "201 for a listing": Misbehaviour(page(GOOD, JSON, status="201 x"), "201"),
    "202 for a listing": Misbehaviour(page(GOOD, JSON, status="202 x"), "202"),
    "206 for a listing": Misbehaviour(page(GOOD, JSON, status=PART), "206"),
    "204 for a listing": Misbehaviour(page(b"", status="204 No Content"), "204"),
    "300": Misbehaviour(page(GOOD, status="300 Multiple Choices"), "300"),
    "401": Misbehaviour(page(b"", status="401 Unauthorized"), "credentials"),
    "403": Misbehaviour(page(b"", status="403 Forbidden"), "403"),
    "429": Misbehaviour(page(b"", "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT", status="429 No"), "429"),
    "500 with an endless body": Misbehaviour(endless(b"HTTP/1.1 500 No\r\n\r\n", bytes(65536)), "500"),
    "999": Misbehaviour(page(b"", status="999 x"), "999"),
    # -- redirects
    "redirect loop": Misbehaviour(redirect("/simple/acme/"), "redirects more than 5 times"),
    "redirect without end": Misbehaviour(
        lambda request: iter([response(b"", f"Location: {request.path}x/", status="301 x")]),
        "more than 5 times",
    ),
    "redirect with an endless body": Misbehaviour(
        first(
            "/simple/acme/",
            endless(b"HTTP/1.1 302 x\r\nLocation: /there/\r\n\r\n", bytes(65536)),
            page(GOOD),
        ),
        None,
    ),
    "redirect without a place": Misbehaviour(redirect(None), "redirects to what is no"),
    "redirect to two places": Misbehaviour(
        always(response(b"", "Location: /a", "Location: http://127.0.0.1/", status="302 x")), "more than 5"
    ),
    "redirect to a file": Misbehaviour(redirect("file:///etc/passwd"), "redirects to what is no"),
    "redirect to another host": Misbehaviour(redirect("http://other.example/"), "not in its `hosts`"),
    "redirect with credentials": Misbehaviour(
        redirect("http://me:s3cret@up.example/"), "redirects to what is no"
    ),
    "redirect to loopback": Misbehaviour(redirect("http://127.0.0.1/"), "not in its `hosts`"),
    "redirect to the metadata service": Misbehaviour(
        redirect("http://169.254.169.254/latest/"), "not in its `hosts`"
    ),
    "redirect to another port": Misbehaviour(
        lambda request: (page(GOOD) if request.port == 6379 else redirect("http://up.example:6379/"))(
            request
        ),
        None,
    ),
    "endless url": Misbehaviour(redirect("/" + "a" * 9000), "redirects to what is no"),
    "host with a line break": Misbehaviour(redirect("http://up.example%0d%0aX:/"), "redirects to what is no"),
}

FILES: dict[str, Misbehaviour] = {
    "is truncated": Misbehaviour(always(response(FILE, length=21), Close()), "broke off", "file"),
    "is longer than it said": Misbehaviour(always(response(FILE + b"more", length=20)), None, "file"),
    "stops midway": Misbehaviour(always(response(FILE, length=21)), "too long", "file", timed_out=True),
    "drips": Misbehaviour(drip(response(length=500), bytes(500), 4.0), "too long", "file", timed_out=True),
    "says that it is compressed": Misbehaviour(page(FILE, GZIP), None, "file"),
    "is compressed on the way, and cut": Misbehaviour(
        page(gzip.compress(FILE)[:-3], GZIP), "cut short", "file", url="http://up.example/acme-1.0.tar"
    ),
    "is compressed on the way, and longer": Misbehaviour(
        page(gzip.compress(FILE) + b"x", GZIP), "cut short", "file", url="http://up.example/acme-1.0.tar"
    ),
    "is another one's by a proxy's word": Misbehaviour(page(FILE, status="203 x"), None, "file"),
    "is being made": Misbehaviour(page(FILE, status="202 x"), "202", "file"),
    "is a part": Misbehaviour(page(FILE, REST, status=PART), "206", "file"),
    "is not modified": Misbehaviour(page(b"", status="304 x"), "304", "file"),
    "wants a login": Misbehaviour(page(b"", status="401 x"), "wants credentials", "file"),
    "server error": Misbehaviour(page(b"", status="503 x"), "503", "file"),
    "redirects to loopback": Misbehaviour(redirect("http://127.0.0.1/x"), "private", "file"),
    "redirects to a private name": Misbehaviour(redirect("http://rebound.example/x"), "private", "file"),
    "redirects to credentials": Misbehaviour(
        redirect("http://a:s3cret@up.example/x"), "redirects to what", "file"
    ),
    "redirects in a circle": Misbehaviour(redirect("http://other.example/x"), "more than 5", "file"),
    "lies at loopback": Misbehaviour(page(FILE), "private", "file", url="http://127.0.0.1/x"),
    "lies at loopback in other words": Misbehaviour(
        page(FILE), "private", "file", url="http://[::ffff:7f00:1]/x"
    ),
    "lies at a name for loopback": Misbehaviour(
        page(FILE), "private", "file", url="http://rebound.example/x"
    ),
    "lies at a name for many": Misbehaviour(page(FILE), "private", "file", url="http://mixed.example/x"),
    "lies at a private address": Misbehaviour(page(FILE), "private", "file", url="http://192.168.1.1:8080/x"),
    "lies below a listed name": Misbehaviour(
        page(FILE), "private", "file", url="http://inner.listed.example/x"
    ),
    "lies nowhere": Misbehaviour(page(FILE), "invalid URL", "file", url="ftp://up.example/x"),
    "has credentials": Misbehaviour(page(FILE), "invalid URL", "file", url="http://a:b@up.example/x"),
    "another part": Misbehaviour(
        page(FILE[9:], "Content-Range: bytes 9-19/20", status=PART), "another part", "rest"
    ),
    "part without a range": Misbehaviour(page(FILE[10:], status=PART), "another part", "rest"),
    "part that ends early": Misbehaviour(
        page(FILE[10:15], "Content-Range: bytes 10-14/20", status=PART), "another part", "rest"
    ),
    "part beyond its file": Misbehaviour(
        page(FILE[10:], "Content-Range: bytes 10-19/15", status=PART), "another part", "rest"
    ),
    "part of another length": Misbehaviour(page(FILE, REST, status=PART), "more or less", "rest"),
    "parts": Misbehaviour(
        page(FILE, "Content-Type: multipart/byteranges; boundary=x", status=PART), "another part", "rest"
    ),
    "unsatisfiable": Misbehaviour(page(b"", "Content-Range: bytes */5", status="416 x"), "416", "rest"),
    "part without a length is truncated": Misbehaviour(
        always(b"HTTP/1.1 206 x\r\nContent-Range: bytes 10-19/20\r\n\r\n01234", Close()), "broke off", "rest"
    ),
    "part without a length is longer": Misbehaviour(
        always(b"HTTP/1.1 206 x\r\nContent-Range: bytes 10-19/20\r\n\r\n0123456789x"),
        "more of a file",
        "rest",
    ),
    "whole instead of a part": Misbehaviour(page(FILE), None, "rest"),
}
