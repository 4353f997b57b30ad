"""An upload while it arrives: the fields of its form, its file, and the name that is reserved for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simpleindex.publishing.errors import RefusedUpload
from simpleindex.publishing.upload.form import UploadForm

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.publishing.interface import Draft


@dataclass
class IncomingUpload:
    """The part of an upload that has arrived.

    Attributes:
        fields: Texts by field name, in their order.
        filename: The file's name; None before it arrives.
        content_type: The media type that the client states for the file, or None.
        file_fields: Names of other fields that were sent as files.
        size: Bytes of the file.
        draft: The file; None before its first byte arrives.
        release_name: Ends the reservation of the project's name, which is requested from no upstream while the upload runs; None
            before the name is reserved.
    """

    fields: dict[str, list[str]] = field(default_factory=dict)
    filename: str | None = None
    content_type: str | None = None
    file_fields: set[str] = field(default_factory=set)
    size: int = 0
    draft: Draft | None = None
    release_name: Callable[[], None] | None = None

    @property
    def form(self) -> UploadForm:
        """The form as far as it has arrived."""
        return UploadForm(
            {name: tuple(values) for name, values in self.fields.items()},
            self.filename,
            self.content_type,
            frozenset(self.file_fields),
        )

    def write(self, data: bytes, most: int) -> None:
        """Append to the file, whose draft is open; blocking.

        Args:
            data: The next bytes.
            most: Bytes that the file may have; 0 for any number.

        Raises:
            RefusedUpload: It would become longer.
            CannotStore: There is no room for it.
        """
        assert self.draft is not None  # opened before
        self.size += len(data)
        if most and self.size > most:
            raise file_too_large(most)
        self.draft.write(data)

    def close(self) -> None:
        """Discard the file, unless it was committed, and end the reservation of the project's name."""
        try:
            if self.draft is not None:
                self.draft.discard()
        finally:
            if self.release_name is not None:
                self.release_name()


def file_missing() -> RefusedUpload:
    """Return the refusal of an upload without a file."""
    return RefusedUpload(400, "Upload payload does not have a file.")


def file_too_large(most: int) -> RefusedUpload:
    """Return the refusal of a file that is longer than it may be."""
    size = f"{most:,} bytes" if most < 1 << 20 else f"{most / (1 << 20):,.0f} MiB"
    return RefusedUpload(413, f"File too large. The limit here is {size} for a file.")
