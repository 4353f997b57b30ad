"""Decide how changes are noticed: by events, by polling, or not at all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

WatchMode = Literal["auto", "inotify", "poll", "off"]

# Changes made by another machine, by the host of a virtual machine, or below a FUSE file system make no event here. "fuseblk" is
# left out: it is a local disk, changed through this kernel only.
_NETWORK = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "fuse",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "prl_fs",
        "pvfs2",
        "smb3",
        "smbfs",
        "vboxsf",
        "virtiofs",
        "vmhgfs",
    }
)


@dataclass(frozen=True, slots=True)
class WatchMethod:
    """How to notice changes.

    Attributes:
        method: By what.
        sentence: The same and why, for the log.
    """

    method: Literal["inotify", "poll", "bucket", "off"]
    sentence: str


def choose_watch_method(
    mode: WatchMode, *, interval: float, filesystem: str | None = None, unavailable: str | None = None
) -> WatchMethod:
    """Decide how to notice changes; to be decided again when events turn out to be unavailable.

    Args:
        mode: What the operator wants.
        interval: Seconds between two looks when polling.
        filesystem: What :func:`network_filesystem` says of the root.
        unavailable: Why events are not available, as a sentence; None if they are.
    """
    polling = f"looking for changes every {interval:g} s"
    if mode == "off":
        return WatchMethod("off", "Not watching: what is changed by hand is seen after a restart.")
    if mode == "poll":
        return WatchMethod("poll", f"{polling.capitalize()}.")
    if unavailable is not None:
        return WatchMethod("poll", f"{unavailable} {polling.capitalize()} instead.")
    if filesystem is None:
        return WatchMethod("inotify", "Waiting for the file system's events (inotify).")
    if mode == "inotify":
        return WatchMethod(
            "inotify",
            f"Waiting for the file system's events as configured, but {filesystem} makes none for changes made elsewhere:"
            " those are missed.",
        )
    return WatchMethod(
        "poll", f"The directory lies on {filesystem}, where changes made elsewhere make no event: {polling}."
    )


@dataclass(frozen=True, slots=True)
class _Mount:
    number: str
    parent: str
    point: str
    filesystem: str


def network_filesystem(root: str, mountinfo: str) -> str | None:
    """Return the type of the file system that holds ``root`` if its events cannot be trusted, else None.

    Args:
        root: Absolute path without links.
        mountinfo: The text of ``/proc/self/mountinfo`` (proc_pid_mountinfo(5)), empty where there is none.
    """
    mount = _mount_of(root, [mount for mount in map(_parse, mountinfo.split("\n")) if mount is not None])
    if mount is None or not (mount.filesystem in _NETWORK or mount.filesystem.startswith("fuse.")):
        return None
    return mount.filesystem


def _parse(line: str) -> _Mount | None:
    # The fields before the dash vary in number.
    left, dash, right = line.partition(" - ")
    fields = left.split(" ")
    if not dash or len(fields) < 6:
        return None
    point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
    return _Mount(fields[0], fields[1], point, right.split(" ")[0])


def _mount_of(root: str, mounts: list[_Mount]) -> _Mount | None:
    """Walk down as the kernel does, from mount to the mount on it: so one that another was mounted over does not count."""
    left = [mount for mount in mounts if f"{root}/".startswith(f"{mount.point.rstrip('/')}/")]
    numbers = {mount.number for mount in left}
    # The outermost hangs on a mount that is not seen from here, or on itself.
    step = [mount for mount in left if mount.parent not in numbers or mount.parent == mount.number]
    reached = None
    while step:
        # The walk meets the shortest first; of two in one place the later one lies on top.
        reached = min(reversed(step), key=lambda mount: len(mount.point))
        left.remove(reached)
        step = [mount for mount in left if mount.parent == reached.number]
    return reached
