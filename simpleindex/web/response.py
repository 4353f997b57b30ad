"""What is asked and what is answered, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.sources.interface import Body


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, as far as anybody decides by it.

    Attributes:
        method: Upper case as it came.
        target: The request target's path and query, raw (RFC 9112 section 3.2).
        header: Gives a field's value by lower-case name, several joined by comma; None if absent.
        is_local: Whether the client sits on this machine, and no proxy speaks for another.
    """

    method: str
    target: bytes
    header: Callable[[str], str | None]
    is_local: bool = False


@dataclass(frozen=True, slots=True)
class Content:
    """A range of an opened body, which whoever sends it closes.

    Attributes:
        body: Opened.
        start: First byte.
        stop: One past the last byte.
    """

    body: Body
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Response:
    """An answer.

    Attributes:
        status: HTTP status code.
        headers: Fields in order; Date, Server and Connection are the channel's.
        body: What follows; the Content-Length is made from it.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes | Content = b""


def sentence(status: int, text: str, *headers: tuple[str, str]) -> Response:
    """A short text answer that no cache keeps (SPEC T12, T24)."""
    return Response(
        status,
        (
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            *headers,
        ),
        f"{text}\n".encode("utf-8", "backslashreplace"),
    )
