"""What a URL of the index can mean: one class for each kind of route."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final, final

from simpleindex.core.views import MAIN_VIEW

if TYPE_CHECKING:
    from simpleindex.core.names import ProjectName


FEED: Final = "feed.xml"
"""The name of feeds: below ``/-/`` that of a view, beside a project's page that of the project."""

STATIC_PREFIX: Final = "static/"
"""Below ``/-/``: style sheets and scripts of the pages for people."""

WHY_PREFIX: Final = "why/"
"""Below ``/-/``: why something is or is not offered."""

COUNTS_PAGE: Final = "downloads"
WHO_PAGE: Final = "who"

TRIAL: Final = "trial"
"""Below ``/-/``: the index once more, for the installations of ``simpleindex doctor``."""

DOWNLOAD_PAGES: Final = frozenset({COUNTS_PAGE, WHO_PAGE})
"""The first segments of the pages about downloads below ``/-/``."""


@dataclass(frozen=True, slots=True)
class RootRoute:
    """The list of projects of a view.

    Attributes:
        is_simple: Whether the URL has the customary prefix, below which all readers get the simple pages.
    """

    name: ClassVar[None] = None
    view: str = MAIN_VIEW
    is_simple: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class ProjectRoute:
    """One project's page in a view.

    Attributes:
        is_simple: As in :class:`RootRoute`.
    """

    name: ProjectName
    view: str = MAIN_VIEW
    is_simple: bool = field(default=False, compare=False)


@final
@dataclass(frozen=True, slots=True)
class ReleaseRoute:
    """One version of a project: a page for people alone, without which there is nothing at this URL.

    Attributes:
        version: The version as it stands in the URL.
    """

    is_simple: ClassVar[bool] = False
    name: ProjectName
    version: str
    view: str = MAIN_VIEW


@dataclass(frozen=True, slots=True)
class FileRoute:
    """A file beside a project's page.

    Attributes:
        is_trial: Whether the URL is one of ``simpleindex doctor``, whose installations are no downloads; for this machine only.
    """

    name: ProjectName
    filename: str
    view: str = MAIN_VIEW
    is_trial: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class PypiJsonRoute:
    """A project, or one release of it, at its URL of PyPI's JSON API.

    Attributes:
        version: The version as it stands in the URL; None for the latest release, with the files of all.
    """

    name: ProjectName
    version: str | None
    view: str


@dataclass(frozen=True, slots=True)
class RedirectRoute:
    """The same thing at its canonical URL, in one hop.

    Attributes:
        location: Path and query below the index's root, which :func:`relative_location` makes a Location of.
    """

    location: str


@dataclass(frozen=True, slots=True)
class OwnPageRoute:
    """Something below ``/-/`` that is not index."""

    name: str


@dataclass(frozen=True, slots=True)
class AcmeRoute:
    """A token of the certificate authority's HTTP challenge (RFC 8555 section 8.3)."""

    token: str


@dataclass(frozen=True, slots=True)
class UploadRoute:
    """The URL of uploads."""


@dataclass(frozen=True, slots=True)
class SiteFileRoute:
    """A file that browsers and crawlers request from every host."""

    name: str


Route = (
    RootRoute
    | ProjectRoute
    | ReleaseRoute
    | FileRoute
    | PypiJsonRoute
    | RedirectRoute
    | OwnPageRoute
    | SiteFileRoute
    | AcmeRoute
    | UploadRoute
)


def first_segment(route: OwnPageRoute) -> str:
    """Return the first segment behind ``/-/``."""
    return route.name.partition("/")[0]
