"""Put the fast lane in place, if its folder is there: :mod:`simpleindex.web.fast` can be deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.protocols.tls import TLSMemoryBIOFactory

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.protocols.tls import TLSMemoryBIOProtocol

    from simpleindex.web.http.site import IndexSite
    from simpleindex.web.listings import Listings
    from simpleindex.web.people.pages import PeoplePages

    Also = tuple[tuple[str, str], ...]


def open_fast_lane(
    site: IndexSite, listings: Listings, people: PeoplePages | None, also: Callable[[], Also]
) -> bool:
    """Let a site answer simple requests for pages before they are parsed, and send at once.

    Args:
        site: The site.
        listings: Its simple pages.
        people: Its pages for people; None if there are none.
        also: Gives the headers that every response carries.

    Returns:
        Whether there is a fast lane.
    """
    try:
        from simpleindex.web.fast.express import Express  # noqa: PLC0415  (the folder can be deleted)
        from simpleindex.web.fast.tcp import FastSending  # noqa: PLC0415  (the same)
    except ImportError:
        return False
    site.fast_lane = Express(listings, people, also)
    site.sending = FastSending()
    return True


def tls_protocol() -> tuple[type[TLSMemoryBIOProtocol], str | None]:
    """Return the class that serves TLS, and a sentence for the operator where it is slower than it could be."""
    try:
        from simpleindex.web.fast.tls import protocol_class  # noqa: PLC0415  (the folder can be deleted)
    except ImportError:
        return TLSMemoryBIOFactory.protocol, None
    return protocol_class()
