"""The bodies that are taken: a form with a file in it, a bare file, a little JSON. Blocking; each is fed in a thread.

PyPI's upload form has its fields in any order (docs/protocol.md): the file goes to a draft as it comes, the few texts are kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from simpleindex.core import bounds
from simpleindex.core.errors import RefusedUpload
from simpleindex.core.metadata import shown
from simpleindex.core.names import distribution_suffix
from simpleindex.web.publish.line_feeds import LineFeedForm

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simpleindex.publishing.interface import Draft

MOST_TEXT: Final = 8 * 1024 * 1024
"""Bytes of all fields but the file; a description may well have one."""

MOST_PARTS: Final = 4096
"""A package with a thousand classifiers and requirements exists."""

_MOST_HEADERS: Final = 16 * 1024
"""Bytes of one part's headers; the parser's own bounds came with a later version than the oldest that is good enough."""

_SIGNATURE_FIELD: Final = "gpg_signature"
_FILE_FIELDS: Final = frozenset({"content", "package", "file"})
"""PyPI's name for the file, and those that hosted services have taught people."""

_LONGEST_NAME: Final = 64
"""Characters of a field's name that are kept."""

_FIELD_NAME: Final = re.compile(r"[A-Za-z0-9_:.-]{1,64}\Z")


@dataclass
class Received:
    """What a body held.

    Attributes:
        fields: Texts by field name, in their order.
        filename: The file's name; None while none has come.
        content_type: What the client calls its bytes, or None.
        file_fields: Names of other fields that came as files.
        size: Bytes of the file.
        draft: The file; None while none has come.
        release: Gives back the project's name, which is this index's own while the upload is on its way; None before it is taken.
    """

    fields: dict[str, list[str]] = field(default_factory=dict)
    filename: str | None = None
    content_type: str | None = None
    file_fields: set[str] = field(default_factory=set)
    size: int = 0
    draft: Draft | None = None
    release: Callable[[], None] | None = None

    def close(self) -> None:
        """Throw the file away, unless it was committed, and give back the project's name."""
        try:
            if self.draft is not None:
                self.draft.discard()
        finally:
            if self.release is not None:
                self.release()


class FileSink:
    """Takes a bare file, as ``curl -T`` sends it.

    Args:
        filename: From the URL.
        open_draft: Judges what is known before the file's first byte, and opens its draft.
        most: Bytes that the file may have; 0 for any number.
    """

    def __init__(self, filename: str, open_draft: Callable[[Received], Draft], most: int) -> None:
        self.received = Received(filename=filename)
        self._open_draft = open_draft
        self._most = most

    def feed(self, data: bytes) -> None:
        """Take the next piece."""
        if self.received.draft is None:
            self.received.draft = self._open_draft(self.received)
        add_to_draft(self.received, data, self._most)

    def finish(self) -> Received:
        """Say what has come, once all has."""
        return self.received

    def close(self) -> None:
        """Throw the file away, unless it was committed."""
        self.received.close()


class FormSink:
    """Takes a form (``multipart/form-data``, RFC 7578).

    Args:
        boundary: What divides its parts.
        open_draft: Judges what is known before the file's first byte, and opens its draft.
        most: Bytes that the file may have; 0 for any number.
    """

    def __init__(self, boundary: bytes, open_draft: Callable[[Received], Draft], most: int) -> None:
        from python_multipart.multipart import MultipartParser  # noqa: PLC0415  (the extra "publish")

        self.received = Received()
        self._open_draft = open_draft
        self._most = most
        self._text_left = MOST_TEXT
        self._text_sizes: dict[str, int] = {}
        self._parts_left = MOST_PARTS
        self._headers: dict[str, str] = {}
        self._header = [b"", b""]
        self._header_left = _MOST_HEADERS
        self._text: list[bytes] | None = None
        self._name = ""
        self._is_file = False
        self._is_over = False
        self._line_feeds = LineFeedForm(boundary)
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": lambda data, start, end: self._add_to_header(0, data[start:end]),
                    "on_header_value": lambda data, start, end: self._add_to_header(1, data[start:end]),
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._end_headers,
                    "on_part_data": lambda data, start, end: self._add(data[start:end]),
                    "on_part_end": self._end_part,
                    "on_end": self._end,
                },
            )
        except ValueError:
            raise _malformed() from None

    def feed(self, data: bytes) -> None:
        """Take the next piece."""
        from python_multipart.exceptions import FormParserError  # noqa: PLC0415  (the extra "publish")

        try:
            self._parser.write(self._line_feeds.feed(data))
        except FormParserError:
            raise _malformed() from None

    def finish(self) -> Received:
        """Say what has come, once all has.

        Raises:
            RefusedUpload: The form is cut off.
        """
        if not self._is_over:
            raise _malformed()
        return self.received

    def close(self) -> None:
        """Throw the file away, unless it was committed."""
        self.received.close()

    def _begin_part(self) -> None:
        self._parts_left -= 1
        if self._parts_left < 0:
            raise RefusedUpload(400, f"The form has more than {MOST_PARTS} fields.")
        self._headers = {}
        self._header = [b"", b""]
        self._header_left = _MOST_HEADERS

    def _add_to_header(self, which: int, data: bytes) -> None:
        self._header_left -= len(data)
        if self._header_left < 0:
            raise _malformed()
        self._header[which] += data

    def _end_header(self) -> None:
        name, value = self._header
        # latin-1, because the parser turns it back into bytes by that; what it holds is UTF-8 (RFC 7578 section 5.1).
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")
        self._header = [b"", b""]

    def _end_headers(self) -> None:
        from python_multipart.multipart import parse_options_header  # noqa: PLC0415  (the extra "publish")

        text = self._headers.get("content-disposition", "")
        if excess := bounds.HEADER_PARAMETERS.excess(text.count(";") + 1):
            raise RefusedUpload(400, f"The form cannot be read: {excess}.")
        disposition, options = parse_options_header(text)
        if disposition != b"form-data" or b"name" not in options:
            raise _malformed()
        self._name = options[b"name"].decode("utf-8", "replace")
        filename = options.get(b"filename")
        self._text, self._is_file = [], False
        if filename is None:
            return
        if self._is_the_file(filename.decode("utf-8", "replace")):
            self._begin_file(filename.decode("utf-8", "replace"))
        elif (
            self._name != _SIGNATURE_FIELD
        ):  # which is taken from nobody, and refused to nobody (docs/protocol.md)
            self.received.file_fields.add(self._name)

    def _is_the_file(self, filename: str) -> bool:
        """Whether this is the distribution: PyPI's field, or whatever curl was told to call it."""
        is_named = self._name in _FILE_FIELDS or distribution_suffix(filename) is not None
        return is_named and self._name != _SIGNATURE_FIELD

    def _begin_file(self, filename: str) -> None:
        received = self.received
        if received.draft is not None:
            raise RefusedUpload(400, "The form has more than one file; upload them one by one.")
        self._text, self._is_file = None, True
        received.filename = filename
        received.content_type = self._headers.get("content-type")
        received.draft = self._open_draft(received)

    def _add(self, data: bytes) -> None:
        if self._is_file:
            add_to_draft(self.received, data, self._most)
            return
        self._text_left -= len(data)
        name = self._name[:_LONGEST_NAME]
        self._text_sizes[name] = self._text_sizes.get(name, 0) + len(data)
        if self._text_left < 0:
            raise _too_much_text(self._text_sizes)
        assert self._text is not None  # begun with the part
        self._text.append(data)

    def _end_part(self) -> None:
        if not self._is_file and self._text is not None and _FIELD_NAME.match(self._name):
            text = b"".join(self._text).decode("utf-8", "replace")
            self.received.fields.setdefault(self._name, []).append(text)
        self._text, self._is_file = None, False

    def _end(self) -> None:
        self._is_over = True


class TextSink:
    """Takes a little text, such as JSON.

    Args:
        most: Bytes.
    """

    def __init__(self, most: int) -> None:
        self.content = b""
        self._most = most

    def feed(self, data: bytes) -> None:
        """Take the next piece."""
        self.content += data
        if len(self.content) > self._most:
            raise RefusedUpload(413, f"The request's body is longer than {self._most >> 10} KiB.")

    def close(self) -> None:
        """Nothing is held."""


def add_to_draft(received: Received, data: bytes, most: int) -> None:
    """Add to a file, if it may become so long.

    Raises:
        RefusedUpload: It may not.
    """
    assert received.draft is not None  # opened before
    received.size += len(data)
    if most and received.size > most:
        raise too_large(most)
    received.draft.write(data)


def too_large(most: int) -> RefusedUpload:
    """A file that is longer than it may be (docs/protocol.md, "Checks of an upload")."""
    size = f"{most:,} bytes" if most < 1 << 20 else f"{most / (1 << 20):,.0f} MiB"
    return RefusedUpload(413, f"File too large. The limit here is {size} for a file.")


def _too_much_text(sizes: Mapping[str, int]) -> RefusedUpload:
    """Say which field is to be shortened; what has come of it so far is nearly all that may come."""
    longest = max(sizes, key=lambda name: sizes[name])
    return RefusedUpload(
        413,
        f"The fields of the form are longer than {MOST_TEXT >> 20} MiB together. "
        f"The longest is {shown(longest)}, of which {sizes[longest] / (1 << 20):.1f} MiB came so far: shorten it.",
    )


def boundary_of(content_type: str | None) -> bytes:
    """Take the boundary from a Content-Type (RFC 7578 section 4.1).

    Raises:
        RefusedUpload: It is another type, or has none.
    """
    from python_multipart.multipart import parse_options_header  # noqa: PLC0415  (the extra "publish")

    if excess := bounds.HEADER_PARAMETERS.excess((content_type or "").count(";") + 1):
        raise RefusedUpload(400, f"The form cannot be read: {excess}.")
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise RefusedUpload(
            400, "An upload is a form (multipart/form-data), as twine, uv publish and curl -F send it."
        )
    boundary = options[b"boundary"]
    if excess := bounds.BOUNDARY.excess(len(boundary)):
        raise RefusedUpload(400, f"The form cannot be read: {excess}.")
    return boundary


def _malformed() -> RefusedUpload:
    return RefusedUpload(400, "The form is malformed or cut off.")
