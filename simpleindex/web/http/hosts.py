"""The Host header of requests that come from this machine."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit

from simpleindex.core.addresses import is_address


@lru_cache(maxsize=64)
def is_own_host(host: str | None, own_url: str | None) -> bool:
    """Return whether a request that came over loopback was meant for this index.

    A web page can have its name resolve to 127.0.0.1 and so make a browser on this machine send requests here ("DNS
    rebinding"), with that name as the Host. An address, ``localhost`` and the index's own name cannot be made so.

    Args:
        host: The Host header (RFC 9110 section 7.2); None if there is none, which no browser sends.
        own_url: The URL under which clients use the index; None if it is not certain.
    """
    if host is None:
        return True
    try:
        name = urlsplit(f"//{host}").hostname or ""
        own_host = urlsplit(own_url or "").hostname
    except ValueError:
        return False
    name = name.rstrip(".")
    if (
        name == "localhost"
        or name.endswith(".localhost")
        or (own_host is not None and name == own_host.rstrip("."))
    ):
        return True
    return is_address(name)
