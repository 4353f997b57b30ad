"""What the machine grants the service: room on its disks, watches of inotify, open files, the right time. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simpleindex.core.text import duration, human_size, printable
from simpleindex.diagnosis.finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LEAST_ROOM: Final = 64 << 20
"""Bytes that an upload has to leave free."""

LITTLE_ROOM: Final = 1 << 30
_LITTLE_SHARE: Final = 0.05
LEAST_FILES: Final = 1024
"""Open files; a quarter of them is kept for the directory and the records, and each client needs two."""

_SPARE_WATCHES: Final = 1.1
_BEHIND: Final = 120.0
"""Seconds by which files may be from the future: clocks of a network file system differ a little."""

_CLOCK_OFF: Final = 60.0
"""Seconds between this clock and an upstream's; tokens and signed URLs begin to fail."""


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """The room where a path lies.

    Attributes:
        option: The option that names the path.
        path: The path.
        free: Bytes that the service's user may use.
        size: Bytes of the file system.
        free_inodes: Files that can be made; None where the file system does not count them.
    """

    option: str
    path: str
    free: int
    size: int
    free_inodes: int | None


@dataclass(frozen=True, slots=True)
class WatchLimits:
    """What inotify(7) grants.

    Attributes:
        needed: The directories that have to be watched.
        granted: How many each user may watch; None where there is no inotify.
    """

    needed: int
    granted: int | None


@dataclass(frozen=True, slots=True)
class Clock:
    """The machine's clock, and what it can be compared with.

    Attributes:
        now: Seconds since 1970.
        newest: The time of the newest file that the service wrote, and its path; None if there is none.
        offsets: By upstream, the seconds by which its clock is ahead of ours.
    """

    now: float
    newest: tuple[float, str] | None = None
    offsets: tuple[tuple[str, float], ...] = ()


def judge_space(spaces: Sequence[DiskSpace], *, takes_uploads: bool) -> Iterator[Finding]:
    """Yield disks that are full, or nearly so; one finding for each file system and size."""
    reported: set[tuple[int, int]] = set()
    for each in spaces:
        if (each.free, each.size) in reported:
            continue
        where = f"{printable(each.path)} (--{each.option})"
        remedy = (
            "simpleindex purge"
            if each.option == "path"
            else f"du -xh -d 2 {shlex.quote(each.path)} | sort -h"
        )
        if each.free_inodes is not None and each.free_inodes < 1000:
            yield Finding(
                Severity.ERROR,
                f"The file system of {where} takes only {each.free_inodes:,} more files.",
                remedy,
            )
        if each.free < LEAST_ROOM:
            follows = (
                "no upload is taken"
                if each.option == "path" and takes_uploads
                else "nothing can be written there"
            )
            sentence = f"The disk of {where} has {human_size(each.free)} left: {follows}."
            yield Finding(Severity.ERROR, sentence, remedy)
        elif each.free < min(LITTLE_ROOM, _LITTLE_SHARE * each.size):
            sentence = (
                f"The disk of {where} has only {human_size(each.free)} of {human_size(each.size)} left."
            )
            yield Finding(Severity.WARNING, sentence, remedy)
        else:
            continue
        reported.add((each.free, each.size))


def judge_watches(limits: WatchLimits) -> Iterator[Finding]:
    """Yield a finding if changes cannot be watched."""
    needed = int(limits.needed * _SPARE_WATCHES) + 100
    if limits.granted is None or limits.granted >= needed:
        return
    sentence = (
        f"inotify lets a user watch {limits.granted:,} directories, and the packages are in {limits.needed:,}: "
        "changes are noticed late, by looking again and again."
    )
    number = max(needed, 524_288)
    setting = f"fs.inotify.max_user_watches={number}"
    remedy = f"echo {setting} > /etc/sysctl.d/60-simpleindex.conf && sysctl -q {setting}"
    yield Finding(Severity.WARNING, sentence, remedy)


def judge_open_files(limit: int) -> Iterator[Finding]:
    """Yield a finding if a process may open too few files."""
    if limit < LEAST_FILES:
        sentence = f"A process may open only {limit:,} files here, so that a crowd of clients has to wait."
        yield Finding(
            Severity.WARNING, sentence, "systemctl edit simpleindex    # [Service] LimitNOFILE=65536"
        )


def judge_clock(clock: Clock) -> Iterator[Finding]:
    """Yield a finding if the clock is wrong: certificates, tokens and upload times depend on it."""
    if clock.newest is not None and clock.newest[0] > clock.now + _BEHIND:
        ahead, path = clock.newest[0] - clock.now, clock.newest[1]
        sentence = f"{printable(path)} was written {duration(round(ahead))} from now: the clock is behind, or was ahead when it was written."
        yield Finding(Severity.ERROR, sentence, "timedatectl set-ntp true")
    off = [(name, offset) for name, offset in clock.offsets if abs(offset) > _CLOCK_OFF]
    if off and len(off) == len(clock.offsets):
        name, offset = off[0]
        word = "behind" if offset > 0 else "ahead of"
        sentence = (
            f"The clock of this machine is {duration(round(abs(offset)))} {word} that of the upstream {name}."
        )
        yield Finding(Severity.ERROR, sentence, "timedatectl set-ntp true")
