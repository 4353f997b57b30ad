"""``simpleindex cache pin`` and ``unpin``: keep the files of a release for good."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from simpleindex.core.errors import InvalidProjectName, RefusedStart, Unavailable
from simpleindex.core.names import parse_project_name
from simpleindex.upstreams.pages.flat import page_name, project_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName

from simpleindex.commands.cache.cache_listing import CacheContents


def pin(arguments: argparse.Namespace) -> int:
    """Pin the files of a release that are in the cache; return 1 if there are none.

    Raises:
        RefusedStart: They cannot be kept.
    """
    with closing(CacheContents(arguments)) as contents:
        return _pin(contents, arguments.release)


def _pin(contents: CacheContents, release: str) -> int:
    name, is_selected = _release(release)
    status = 1
    for upstream in contents.upstreams:
        listing = contents.cache.listing(upstream.identity, page_name(name, is_flat=upstream.flat))
        files = [file for file in ([] if listing is None else listing.project.files) if is_selected(file)]
        if upstream.flat:
            files = [file for file in files if project_of(file) == name]
        if listing is None or not files:
            continue
        try:
            pinned = contents.pins.pin(upstream.identity, listing, files, contents.cache)
        except OSError as error:
            raise RefusedStart(f"it cannot be pinned under --state: {error.strerror}") from None
        contents.record("pinned", name, pinned, upstream.name)
        for filename in pinned:
            print(f"Pinned {filename} of {upstream.name}.")
        left = len(files) - len(pinned)
        if left:
            print(f"Not in the cache: {left:,} more of {upstream.name}; simpleindex cache warm fetches them.")
        status = 0 if pinned else status
    if status:
        print(
            f"No file of {release} is in the cache ({contents.directory}); simpleindex cache warm, or an installation, fetches it."
        )
    return status


def unpin(arguments: argparse.Namespace) -> int:
    """Unpin the files of a release; return 1 if none was pinned.

    Raises:
        RefusedStart: The sources file cannot be read.
    """
    with closing(CacheContents(arguments)) as contents:
        return _unpin(contents, arguments.release)


def _unpin(contents: CacheContents, release: str) -> int:
    name, is_selected = _release(release)
    status = 1
    for upstream in contents.upstreams:
        try:
            filenames = contents.pins.unpin(upstream.identity, name, is_selected)
        except Unavailable as error:
            raise RefusedStart(f"it stays pinned, because other nodes cannot be notified: {error}") from None
        contents.record("unpinned", name, filenames, upstream.name)
        for filename in filenames:
            print(f"{filename} of {upstream.name} is no longer pinned.")
            status = 0
    if status:
        print(f"No file of {release} was pinned.")
    return status


def _release(text: str) -> tuple[ProjectName, Callable[[File], bool]]:
    name, equals, version = text.partition("==")
    try:
        project = parse_project_name(name.strip())
        selected = str(Version(version)) if equals else None
    except (InvalidProjectName, InvalidVersion):
        raise RefusedStart(f"{text!r} is neither a project nor a release such as litellm==1.2.3") from None
    return project, lambda file: selected is None or file.version == selected
