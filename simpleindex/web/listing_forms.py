"""The forms in which a listing is sent, and a listing in one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simpleindex.core.model import Project, ProjectList
    from simpleindex.web.pages.negotiation import Encoding, Representation

    Subject = Project | ProjectList


@dataclass(frozen=True, slots=True, eq=False)
class ListingForm:
    """The form in which a page is sent; one object for each, so that it is looked up by its identity, which costs least.

    Attributes:
        representation: Its content type.
        encoding: Its content encoding.
        is_absolute: Whether the URLs of files are absolute, as scripts in web pages want them.
    """

    representation: Representation
    encoding: Encoding
    is_absolute: bool = False


@dataclass(frozen=True, slots=True)
class RenderedListing:
    """One representation of a page.

    Attributes:
        subject: The project or list; the page is current as long as the source answers with this very object.
        body: As sent.
        etag: Made from the content, so that a restart keeps it.
    """

    subject: Subject
    body: bytes
    etag: str
