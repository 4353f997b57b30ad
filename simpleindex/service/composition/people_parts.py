"""The parts of the index that pages for people are made from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from simpleindex.web.admission import open_admission

if TYPE_CHECKING:
    from simpleindex.service.composition.logins import Logins
    from simpleindex.service.composition.search import ComposedSearch
    from simpleindex.service.composition.sources import ComposedSources
    from simpleindex.service.runtime import Runtime
    from simpleindex.web.admission import Admission
    from simpleindex.web.listings import Listings
    from simpleindex.web.status.status import StatusPages


@dataclass(frozen=True)
class PeopleParts:
    """What the pages are made of.

    Attributes:
        runtime: What all parts share.
        sources: What is served.
        logins: Users and rights; None if nobody can log in.
        listings: The simple pages, which know the URL of the index.
    """

    runtime: Runtime
    sources: ComposedSources
    logins: Logins | None
    listings: Listings
    search: ComposedSearch
    status: StatusPages

    @cached_property
    def admission(self) -> Admission:
        """The decision about who reads what."""
        return open_admission(self.sources.views) if self.logins is None else self.logins.admission
