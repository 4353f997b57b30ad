"""Requests and responses as values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from simpleindex.access.identity import ANYONE, Identity
from simpleindex.web.http.problems import Problem
from simpleindex.web.http.problems import sentence_as_phrase as phrase_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Body, FileOrigin
    from simpleindex.web.routing.routes import Route


class Sink(Protocol):
    """Takes a body; blocks, and is called in one thread at a time."""

    def feed(self, data: bytes) -> None:
        """Take the next piece.

        Raises:
            SimpleIndexError: It is refused, and with it the request.
        """

    def close(self) -> None:
        """Release everything: the body did not arrive whole, or is not wanted."""


class RequestBody(Protocol):
    """A request's body that is taken as it comes."""

    async def sink(self) -> Sink:
        """Wait until the sink has all of the body; the caller closes it.

        Raises:
            SimpleIndexError: It was refused.
        """


@dataclass(frozen=True, slots=True)
class OfferedDownload:
    """A distribution file that an answer gives to its end; a download, once all bytes of the answer are sent.

    Attributes:
        length: The bytes of the answer's body: all of the file, or the rest that its client did not have yet.
        origin: Where the bytes come from.
    """

    project: ProjectName
    filename: str
    length: int
    origin: FileOrigin


@dataclass(slots=True)
class RequestRecord:
    """Hold what becomes known of a request while it is answered, for the access log, the audit and the counts.

    Attributes:
        route: What its target means; None for one that has no meaning here.
        identity: The user or token whose credentials were accepted; anonymous before that.
        project: The project that an upload or a change is for, once it is read.
        filename: The distribution file that it is for, once it is read.
        download: The file that the answer gives to its end; None for every other answer.
    """

    identity: Identity = ANYONE
    project: ProjectName | None = None
    filename: str | None = None
    route: Route | None = None
    download: OfferedDownload | None = None


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """A request, as far as answers depend on it.

    Attributes:
        method: Upper case as it came.
        target: The request target's path and query, raw (RFC 9112 section 3.2).
        header: Returns a field's value by lower-case name, several joined by comma; None if absent.
        is_local: Of requests below ``/-/``: whether the client runs on this machine, and is no proxy for another.
        address: The client's, as stated by trusted proxies; empty for a Unix socket.
        is_secure: Whether nobody on the way could read it: TLS, to this server or to a trusted proxy, or loopback.
        body: What comes with it, where that is taken; see :mod:`simpleindex.web.http.request_body`.
        record: What the logs and counts record of it; None where nothing is recorded.
        has_own_address: Of requests below ``/-/``: whether the client has an address of this machine that no proxy has, which is not loopback.
        direct_address: Of requests below ``/-/``: the client's address where that is certain and no other site's page speaks for the
            client; else empty.
    """

    method: str
    target: bytes
    header: Callable[[str], str | None]
    is_local: bool = False
    address: str = ""
    is_secure: bool = True
    body: RequestBody | None = None
    record: RequestRecord | None = None
    direct_address: str = ""
    has_own_address: bool = False


@dataclass(frozen=True, slots=True)
class Content:
    """A range of an opened body, which the sender closes.

    Attributes:
        body: Opened.
        start: First byte.
        stop: One past the last byte.
        by_kernel: Whether the bytes never change, so that the kernel may send them from the file itself: it takes pages, and
            sends what is on them by then (docs/measurements.md, "Speed").
    """

    body: Body
    start: int
    stop: int
    by_kernel: bool = False


@dataclass(frozen=True, slots=True)
class Response:
    """An answer.

    Attributes:
        status: HTTP status code.
        headers: Fields in order; Date, Server and Connection are the channel's.
        body: What follows; the Content-Length is made from it.
        problem: What is refused and why, from which the reason phrase follows and a body in the form that the client reads;
            None for every answer that is no refusal.
        is_private: Whether it is for this reader only: no shared cache may keep it, and no other site's page read it.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes | Content = b""
    problem: Problem | None = None
    is_private: bool = False

    def for_this_reader(self) -> Response:
        """Return the same answer, kept by no shared cache (RFC 9111 section 5.2.2.7; docs/protocol.md, "Logins for reading")."""
        headers = tuple(
            (name, value.removeprefix("public, ")) if name == "Cache-Control" else (name, value)
            for name, value in self.headers
        )
        headers = tuple(
            (name, f"private, {value}")
            if name == "Cache-Control" and not value.startswith(("private", "no-store"))
            else (name, value)
            for name, value in headers
        )
        if all(name != "Cache-Control" for name, _ in headers):
            headers = (*headers, ("Cache-Control", "private"))
        return replace(self, headers=headers, is_private=True)


class OwnPageChanges(Protocol):
    """Makes the changes for which requests come to a page below ``/-/``."""

    async def judge(self, request: RequestInfo, length: int | None) -> Sink:
        """Judge a request's head, and return what takes its body."""
        ...

    async def answer(self, page: str, request: RequestInfo) -> Response:
        """Answer a request.

        Args:
            page: The page, behind the first segment.
            request: The request.
        """
        ...


def sentence(status: int, text: str, *headers: tuple[str, str], **facts: str | int | None) -> Response:
    """Make a short text answer that no cache keeps; from 400 on it is a refusal, sent in the form that its client reads.

    Args:
        status: HTTP status code.
        text: The sentence.
        headers: Further fields.
        facts: Members of a refusal's JSON form, with "_" for "-"; None is left out.
    """
    problem = None
    if status >= 400:
        members = tuple((name.replace("_", "-"), value) for name, value in facts.items() if value is not None)
        problem = Problem(status, text, members)
    return Response(
        status,
        (
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            *headers,
        ),
        f"{text}\n".encode("utf-8", "backslashreplace"),
        problem,
    )


def see_other(location: str) -> Response:
    """Return a redirect to a page that is read next (RFC 9110 section 15.4.4), for this client only."""
    response = sentence(303, f"It is at {location}", ("Location", location))
    return replace(response, is_private=True)


def reason_phrase(response: Response) -> bytes | None:
    """Return an answer's reason phrase, or None for the one that Twisted knows of its status."""
    if response.problem is not None:
        return phrase_of(response.problem.sentence)
    # Those that Twisted does not know (429) from the standard library.
    return HTTPStatus(response.status).phrase.encode() if response.status > 417 else None
