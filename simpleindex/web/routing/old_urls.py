"""URLs of other index servers that people moved away from: where what they had lies here. Pure.

No page or file of ours lies at such a URL, so that nothing is hidden by them; and where they lead to is read from the URL alone, so that
nobody learns what there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from simpleindex.core.errors import InvalidFilename, InvalidProjectName
from simpleindex.core.names import (
    METADATA_SUFFIX,
    SIDE_FILE_SUFFIXES,
    parse_distribution_name,
    parse_project_name,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

PACKAGES: Final = "packages"
"""The directory of files of pypiserver and bandersnatch."""

_SUFFIXES: Final = (METADATA_SUFFIX, *SIDE_FILE_SUFFIXES)


def new_path(segments: Sequence[str], views: Collection[str]) -> str | None:
    """Return the path of the page or file for which another server had a URL; None if none has had such a one.

    Args:
        segments: The path's, decoded, below the index's root or a view's.
        views: Names of views, of which one may be called like an index of devpi; empty below a view.
    """
    match segments:
        case [first, filename] if first == PACKAGES:
            # pypiserver.
            path = _file(filename)
            # That file lies there.
            return None if path == f"/simple/{PACKAGES}/{quote(filename)}" else path
        case [first, *_, part, filename] if first == PACKAGES:
            # Our documents of PyPI's JSON API, with the project; bandersnatch, and whatever mirrors the public index, with digits
            # of a digest.
            return _file(filename, project=part) or _file(filename)
        case [_, index, "+simple", *rest]:
            return _page(rest, f"/{index}" if index in views else "")
        case [_, index, "+f", _, _, filename]:
            return _file(filename, f"/{index}" if index in views else "")
        case ["api", "package", _, filename]:
            # pypicloud.
            return _file(filename)
    return None


def _page(rest: Sequence[str], prefix: str) -> str | None:
    """Return the path of devpi's pages."""
    match rest:
        case [] | [""]:
            return f"{prefix}/simple/"
        case [name] | [name, ""]:
            try:
                return f"{prefix}/simple/{parse_project_name(name)}/"
            except InvalidProjectName:
                return None
    return None


def _file(filename: str, prefix: str = "", project: str | None = None) -> str | None:
    distribution = filename
    for suffix in _SUFFIXES:
        distribution = distribution.removesuffix(suffix)
    try:
        name = None if project is None else parse_project_name(project)
        name = parse_distribution_name(distribution, name).project
    except (InvalidFilename, InvalidProjectName):
        return None
    return f"{prefix}/simple/{name}/{quote(filename)}"
