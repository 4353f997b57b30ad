"""The forms in which a listing is sent, and a listing in one of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simpleindex.web.pages.negotiation import Encoding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from simpleindex.core.model import Project, ProjectList
    from simpleindex.web.http.response import Content
    from simpleindex.web.pages.negotiation import Representation

    Subject = Project | ProjectList


@dataclass(frozen=True, slots=True, eq=False)
class ListingForm:
    """The form in which a page is sent; one object for each, so that it is looked up by its identity, which costs least.

    Attributes:
        is_absolute: Whether the URLs of files are absolute, as scripts in web pages want them.
    """

    representation: Representation
    encoding: Encoding
    is_absolute: bool

    def tag(self, pieces: Iterable[bytes]) -> str:
        """Return the tag of a page in this form, made from all of its bytes before they are compressed."""
        # One tag for each type, for the two of HTML have the same bytes, and for each encoding (docs/protocol.md, "Caching").
        digest = hashlib.sha256(self.representation.value.encode())
        for piece in pieces:
            digest.update(piece)
        tag = digest.hexdigest()[:32]
        return tag if self.encoding is Encoding.IDENTITY else f"{tag}-{self.encoding.value}"


@dataclass(frozen=True, slots=True)
class RenderedListing:
    """One representation of a page.

    Attributes:
        subject: The project or list; the page is current as long as the source answers with this very object.
        body: As sent; empty where it is in a file.
        etag: Made from the content, so that a restart keeps it.
        open_file: Opens the file that it is in, for one response; None where it is in memory.
    """

    subject: Subject
    body: bytes
    etag: str
    open_file: Callable[[], Content] | None = None
