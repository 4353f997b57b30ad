"""The request of a person, as pages see it: the address, the reader, and the part of the index that the reader may read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from simpleindex.core.views import MAIN_VIEW
from simpleindex.web.routing.routes import FileRoute, OwnPageRoute, ProjectRoute, ReleaseRoute, RootRoute
from simpleindex.web.routing.targets import split_target, way_to_root

if TYPE_CHECKING:
    from simpleindex.access.identity import Identity
    from simpleindex.core.source import Source
    from simpleindex.web.http.response import RequestInfo
    from simpleindex.web.pages.negotiation import Encoding

PageRoute = RootRoute | ProjectRoute | ReleaseRoute | FileRoute | OwnPageRoute


@dataclass(frozen=True, slots=True)
class PageForm:
    """The form in which a browser gets pages, as its headers decide.

    Attributes:
        encoding: The content encoding.
        coding: The header that names it, if it has one.
        is_trustworthy: Whether the browser deems the connection so, by its Sec-Fetch fields; it obeys more policies then.
    """

    encoding: Encoding
    coding: tuple[tuple[str, str], ...]
    is_trustworthy: bool


@dataclass(frozen=True)
class PageRequest:
    """A request for a page.

    Attributes:
        info: The method, target and headers.
        reader: The identity of the reader.
        source: The part of the view that the reader may read; a page shows nothing that comes from elsewhere.
        form: The form that was chosen by the headers already; None if it was not.
    """

    route: PageRoute
    info: RequestInfo
    reader: Identity
    source: Source
    view: str = MAIN_VIEW
    form: PageForm | None = None

    @property
    def root(self) -> str:
        """The URL of the index's root relative to this request's, so that links hold below any prefix of a proxy."""
        return way_to_root(self.info.target)

    @cached_property
    def parameters(self) -> dict[str, list[str]]:
        """The query's parameters with their values."""
        return query_of(self.info)

    def parameter(self, name: str) -> str:
        """Return the last value of a parameter of the query, or an empty text."""
        if b"?" not in self.info.target:
            return ""  # As nearly always; and what is kept with the request takes a lock.
        return self.parameters.get(name, [""])[-1]

    @property
    def addresses(self) -> dict[str, Any]:
        """The variables of every template that addresses and names follow from."""
        home = self.root if self.view == MAIN_VIEW else f"{self.root}{self.view}/"
        return {"root": self.root, "home": home, "view": self.view, "reader": self.reader}


def query_of(info: RequestInfo) -> dict[str, list[str]]:
    """Return the parameters of a request's query; too many, or those that are no text, are none."""
    try:
        return parse_qs(split_target(info.target)[1].decode("latin-1"), max_num_fields=20)
    except ValueError:
        return {}
