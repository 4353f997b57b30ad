"""Measure what the machine grants: room, watches, open files, and what its clock can be compared with. Blocking."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from simpleindex.diagnosis.machine import Clock, DiskSpace, WatchLimits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simpleindex.config.settings import Settings
    from simpleindex.diagnosis.upstreams import UpstreamProbe

_MAX_WATCHES: Final = Path("/proc/sys/fs/inotify/max_user_watches")


def disk_spaces(settings: Settings) -> list[DiskSpace]:
    """Return the room where the packages, the state and the cache lie."""
    options = ("state", "cache") if settings.bucket is not None else ("path", "state", "cache")
    return [space for option in options if (space := _space(option, getattr(settings, option))) is not None]


def _space(option: str, path: Path) -> DiskSpace | None:
    place = path
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        status = os.statvfs(place)
    except OSError:
        return None
    inodes = status.f_favail if status.f_files else None
    return DiskSpace(
        option, str(path), status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize, inodes
    )


def watch_limits(directories: Sequence[Path]) -> WatchLimits:
    """Return how many directories of packages there are, and how many may be watched."""
    needed = len(directories)
    for path in directories:
        with suppress(OSError), os.scandir(path) as entries:
            needed += sum(entry.is_dir() for entry in entries)
    granted = None
    with suppress(OSError, ValueError):
        granted = int(_MAX_WATCHES.read_text())
    return WatchLimits(needed, granted)


def open_files_limit() -> int:
    """Return how many files a process may open at most here."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return 1 << 30 if hard == resource.RLIM_INFINITY else hard


def clock_of(settings: Settings, now: float, probes: Sequence[UpstreamProbe]) -> Clock:
    """Return what the clock can be compared with: the files in the state directory, and upstreams."""
    times = []
    with suppress(OSError), os.scandir(settings.state) as entries:
        times = [(entry.stat(follow_symlinks=False).st_mtime, entry.path) for entry in entries]
    offsets = tuple((each.name, each.clock_offset) for each in probes if each.clock_offset is not None)
    return Clock(now, max(times, default=None), offsets)
