"""Sinks for request bodies: a form with a file in it, a bare file, a little JSON; which fields count, and how large they may be. Blocking; each is fed in a thread.

PyPI's upload form has its fields in any order (docs/protocol.md, "The upload form"): the file goes to a draft
as it comes, the few texts stay in memory.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from simpleindex.core import bounds
from simpleindex.core.names import distribution_suffix
from simpleindex.core.text import shown
from simpleindex.publishing.errors import RefusedUpload
from simpleindex.publishing.upload.incoming_upload import IncomingUpload
from simpleindex.web.publish.line_feeds import LineFeedForm

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from multipart import MultipartSegment

    from simpleindex.publishing.interface import Draft

MOST_TEXT: Final = 8 * 1024 * 1024
"""Bytes of all fields but the file; a description may well have one."""

MOST_PARTS: Final = 4096
"""A package with a thousand classifiers and requirements exists."""

_MOST_HEADER: Final = 16 * 1024
"""Bytes of a line in the head of a part, of which there may be eight."""

_SIGNATURE_FIELD: Final = "gpg_signature"
_FILE_FIELDS: Final = frozenset({"content", "package", "file"})
"""PyPI's name for the file, and those of hosted services."""

_LONGEST_NAME: Final = 64
"""Characters of a field's name that are kept."""

_FIELD_NAME: Final = re.compile(r"[A-Za-z0-9_:.-]{1,64}\Z")


class FileSink:
    """Takes a bare file, as ``curl -T`` sends it.

    Args:
        filename: From the URL.
        open_draft: Judges what has arrived before the file's first byte, and opens its draft.
        most: Bytes that the file may have; 0 for any number.
    """

    def __init__(self, filename: str, open_draft: Callable[[IncomingUpload], Draft], most: int) -> None:
        self.upload = IncomingUpload(filename=filename)
        self._open_draft = open_draft
        self._most = most

    def feed(self, data: bytes) -> None:
        """Take the next piece."""
        if self.upload.draft is None:
            self.upload.draft = self._open_draft(self.upload)
        self.upload.write(data, self._most)

    def finish(self) -> IncomingUpload:
        """Return the upload, once all of it has arrived."""
        return self.upload

    def close(self) -> None:
        """Discard the file, unless it was committed."""
        self.upload.close()


class FormSink:
    """Take a form (``multipart/form-data``, RFC 7578).

    Args:
        boundary: Divides its parts.
        open_draft: Judges what has arrived before the file's first byte, and opens its draft.
        most: Bytes that the file may have; 0 for any number.
    """

    def __init__(self, boundary: bytes, open_draft: Callable[[IncomingUpload], Draft], most: int) -> None:
        from multipart import PushMultipartParser  # noqa: PLC0415  (the extra "publish")

        self.upload = IncomingUpload()
        self._open_draft = open_draft
        self._most = most
        self._line_feeds = LineFeedForm(boundary)
        # latin-1 refuses no byte. Names are UTF-8 (RFC 7578 section 5.1), but need not be.
        self._parser = PushMultipartParser(boundary, max_header_size=_MOST_HEADER, header_charset="latin-1")
        self._parts = 0
        self._name = ""
        self._text: bytearray | None = None
        self._text_sizes: Counter[str] = Counter()

    def feed(self, data: bytes) -> None:
        """Take the next piece."""
        from multipart import MultipartError  # noqa: PLC0415  (the extra "publish")

        # An empty piece would end the form.
        if not (piece := self._line_feeds.feed(data)):
            return
        try:
            for event in self._parser.parse(piece):
                if event is None:
                    self._end_part()
                elif isinstance(event, bytes):
                    self._add(event)
                else:
                    self._begin_part(event)
        except MultipartError:
            raise _malformed() from None

    def finish(self) -> IncomingUpload:
        """Return the upload, once all of it has arrived.

        Raises:
            RefusedUpload: The form is cut off.
        """
        from multipart import MultipartError  # noqa: PLC0415  (the extra "publish")

        try:
            self._parser.close()
        except MultipartError:
            raise _malformed() from None
        return self.upload

    def close(self) -> None:
        """Discard the file, unless it was committed."""
        self.upload.close()

    def _begin_part(self, part: MultipartSegment) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise RefusedUpload(400, f"The form has more than {MOST_PARTS} fields.")
        self._name = _utf8(part.name or "")
        self._text = bytearray()
        if not self._name:
            raise _malformed()
        if part.filename is None or self._name == _SIGNATURE_FIELD:
            # PyPI drops signatures since 2023, and refuses none: old configurations of twine still send them.
            return
        filename = _utf8(part.filename)
        if self._name in _FILE_FIELDS or distribution_suffix(filename) is not None:
            self._begin_file(filename, part.header("Content-Type"))
        else:
            self.upload.file_fields.add(self._name)

    def _begin_file(self, filename: str, content_type: str | None) -> None:
        if self.upload.draft is not None:
            raise RefusedUpload(400, "The form has more than one file; upload them one by one.")
        self._text = None
        self.upload.filename = filename
        self.upload.content_type = content_type
        self.upload.draft = self._open_draft(self.upload)

    def _add(self, data: bytes) -> None:
        if self._text is None:
            self.upload.write(data, self._most)
            return
        self._text_sizes[self._name[:_LONGEST_NAME]] += len(data)
        if self._text_sizes.total() > MOST_TEXT:
            raise _too_much_text(self._text_sizes)
        self._text += data

    def _end_part(self) -> None:
        if self._text is not None and _FIELD_NAME.match(self._name):
            self.upload.fields.setdefault(self._name, []).append(self._text.decode("utf-8", "replace"))


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
        """Do nothing: the text is in memory."""


def _too_much_text(sizes: Mapping[str, int]) -> RefusedUpload:
    """Return the refusal that names the longest field; its size so far is nearly all that it may have."""
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
    from multipart import parse_options_header  # noqa: PLC0415  (the extra "publish")

    kind, options = parse_options_header(content_type or "")
    boundary: bytes = options.get("boundary", "").encode("latin-1")
    if kind != "multipart/form-data" or not boundary:
        raise RefusedUpload(
            400, "An upload is a form (multipart/form-data), as twine, uv publish and curl -F send it."
        )
    if excess := bounds.BOUNDARY.excess(len(boundary)):
        raise RefusedUpload(400, f"The form cannot be read: {excess}.")
    return boundary


def _utf8(text: str) -> str:
    """Return text of a part's head, which the parser decodes as latin-1."""
    return text.encode("latin-1").decode("utf-8", "replace")


def _malformed() -> RefusedUpload:
    return RefusedUpload(400, "The form is malformed or cut off.")
