"""Name the extra that brings a missing library, and how to install it where this installation came from.

No command that fetches the project by its name from an index: what has that name there may be somebody else's.
"""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from typing import Final
from urllib.parse import unquote, urlsplit

_DISTRIBUTION: Final = "twisted-simpleindex"
_LOGIN: Final = re.compile(r"//[^/@]*@")


def has_pages() -> bool:
    """Return whether the extra ``pages`` is installed: people's pages, and the search."""
    return find_spec("jinja2") is not None and find_spec("readme_renderer") is not None


def has_metrics() -> bool:
    """Return whether the extra ``metrics`` is installed."""
    return find_spec("prometheus_client") is not None


def missing(module: str | None, extra: str) -> str:
    """Return a sentence about a library that is not installed.

    Args:
        module: What could not be imported.
        extra: The extra of this project that brings it.
    """
    return f"Python's {module} is not installed, which the extra {extra!r} of simpleindex brings: {how_to_install(extra, *_installed())}"


def how_to_install(extra: str, version: str | None, direct_url: str | None) -> str:
    """Return how an extra is added to what is installed, as the end of a sentence.

    Args:
        extra: Its name.
        version: Of what is installed; None where it is not installed at all.
        direct_url: The content of ``direct_url.json``, which says where it came from unless that was an index (PEP 610).
    """
    if version is None:
        return f"install this copy of it with the extra, as in pip install '.[{extra}]' in its directory."
    origin = _origin(direct_url)
    if origin is None:
        return f"install {_DISTRIBUTION} {version} with the extra {extra!r} from where you had it."
    return f"it was installed from {origin}; install it again from there: pip install '{origin}[{extra}]'."


def _origin(direct_url: str | None) -> str | None:
    try:
        url = str(json.loads(direct_url or "null")["url"])
        parts = urlsplit(url)
    except (ValueError, TypeError, KeyError):
        return None
    if parts.scheme == "file":
        return unquote(parts.path)
    return _LOGIN.sub("//", url) if parts.scheme and "[" not in url else None


def _installed() -> tuple[str | None, str | None]:
    # Only for a sentence: a server without one has 0.25 MB less.
    from importlib.metadata import PackageNotFoundError, distribution  # noqa: PLC0415

    try:
        found = distribution(_DISTRIBUTION)
    except PackageNotFoundError:
        return None, None
    return found.version, found.read_text("direct_url.json")
