"""What happened to projects, for feeds: new releases and yanks, as a reader may see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from simpleindex.core.model import Status
from simpleindex.core.selection import yanked_releases

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName


class Yank(NamedTuple):
    """A yanked release.

    Attributes:
        seen_ns: When it was first seen to be yanked, nanoseconds since 1970; when its project was first indexed, the time of upload.
    """

    project: str
    version: str
    seen_ns: int


class Event(NamedTuple):
    """A release or a yank.

    Attributes:
        is_yank: Whether the release was yanked; else it is new.
        time_ns: When its first file was uploaded, or when it was first seen to be yanked; nanoseconds since 1970.
        text: The summary of the project, or the reason of the yank; it may be empty.
    """

    project: ProjectName
    version: str
    is_yank: bool
    time_ns: int
    text: str


def release_events(project: Project, summary: str = "") -> list[Event]:
    """Return the releases of a project, also those that are yanked by now.

    Args:
        project: The project as its reader is offered it.
        summary: What the search index has for it, if the reader may see that.
    """
    if project.status is Status.QUARANTINED or project.denied is not None:
        return []
    times: dict[str, int] = {}
    for file in project.files:
        if file.uploaded_ns is not None:
            times[file.version] = min(file.uploaded_ns, times.get(file.version, file.uploaded_ns))
    return [
        Event(project.name, version, is_yank=False, time_ns=time, text=summary)
        for version, time in times.items()
    ]


def yank_event(yank: Yank, project: Project) -> Event | None:
    """Return a yank as a reader may see it; None if the reader is not offered the release, or it is not yanked."""
    reason = yanked_releases(project.files).get(yank.version)
    if reason is None:
        return None
    return Event(project.name, yank.version, is_yank=True, time_ns=yank.seen_ns, text=reason)


def newest_events(events: Iterable[Event], limit: int) -> tuple[Event, ...]:
    """Return the newest of some events, newest first."""
    order = sorted(events, key=lambda event: (-event.time_ns, event.project, event.version, event.is_yank))
    return tuple(order[:limit])
