"""What the user of the service may not read or write, and what others may read that is secret. Pure."""

from __future__ import annotations

import shlex
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simpleindex.core.text import plural, printable
from simpleindex.diagnosis.finding import Finding, Severity
from simpleindex.system.path_steps import blocking_step

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from simpleindex.system.path_steps import PathStep


INTERPRETER: Final = "the Python of the server"
"""The role of the interpreter, which the service's user has to run."""


@dataclass(frozen=True, slots=True)
class ServiceUser:
    """The user as whom the service runs.

    Attributes:
        name: The name, or the number where there is no name.
        group: The name of the primary group.
        groups: The numbers of all groups.
    """

    name: str
    uid: int
    group: str
    groups: frozenset[int]


@dataclass(frozen=True, slots=True)
class ServicePlace:
    """A path that the service uses.

    Attributes:
        role: What it is to the service: the option that names it, mostly.
        path: The path.
        steps: The directories on the way to it, and itself; empty if it does not exist.
        is_written: Whether the service writes there, so that it is a directory.
        is_secret: Whether nobody else may read it.
        is_required: Whether the service needs it to be there; it makes the others itself.
    """

    role: str
    path: str
    steps: tuple[PathStep, ...]
    is_written: bool = False
    is_secret: bool = False
    is_required: bool = True


@dataclass(frozen=True, slots=True)
class ForeignEntries:
    """Files and directories below a place that the service cannot use."""

    place: str
    count: int
    example: str
    is_written: bool


def judge_permissions(
    places: Sequence[ServicePlace], entries: Sequence[ForeignEntries], user: ServiceUser
) -> Iterator[Finding]:
    """Yield what keeps the service from its places and from what lies in them, and what others may read of them.

    Args:
        places: The places.
        entries: What lies in them and cannot be used: files of root's, mostly, that a command has left there.
        user: The service's user.
    """
    reported: set[str] = set()
    for place in places:
        if not place.steps:
            yield from _missing(place, user)
            continue
        blocked = blocking_step(place.steps, user.uid, user.groups, write=place.is_written)
        if blocked is not None and blocked[0].path not in reported:
            step, verb = blocked
            reported.add(step.path)
            sentence = f"{printable(step.path)} cannot be {verb} by {user.name}, the user of the service"
            if step.path != place.path:
                purpose = "to write to " if place.is_written else ""
                sentence += f", who needs {purpose}{printable(place.path)}"
            yield Finding(Severity.ERROR, f"{sentence} ({place.role}).", _way_in(place, step, user))
        last = place.steps[-1]
        if place.is_secret and last.mode & (stat.S_IROTH | stat.S_IWOTH | (stat.S_IXOTH * place.is_written)):
            sentence = f"{printable(place.path)} ({place.role}) is secret, and every user of this machine can read it."
            yield Finding(Severity.WARNING, sentence, f"chmod o= {shlex.quote(place.path)}")
    for each in entries:
        # What lets the service in lets it in whole.
        if each.place not in reported or not each.is_written:
            yield _below(each, user)


def _missing(place: ServicePlace, user: ServiceUser) -> Iterator[Finding]:
    if place.is_required:
        sentence = f"{printable(place.path)} does not exist, which {place.role} names."
        remedy = f"install -d -o {user.name} {shlex.quote(place.path)}" if place.is_written else ""
        yield Finding(Severity.ERROR, sentence, remedy)


def _way_in(place: ServicePlace, step: PathStep, user: ServiceUser) -> str:
    """Return the command that lets the service's user do what it has to."""
    if place.role == INTERPRETER:
        # Rather than to open root's home, where pyenv and uv put theirs.
        return "cd CLONE && /usr/bin/python3 -m venv /opt/simpleindex && /opt/simpleindex/bin/pip install ."
    path = shlex.quote(step.path)
    if step is place.steps[-1] and place.is_written:
        return f"chown -R {user.name}: {path} && chmod u+rwx {path}"
    right = "x"
    if step is place.steps[-1]:
        right = "rx" if stat.S_ISDIR(step.mode) else "r"
    if step.uid == user.uid:
        return f"chmod u+{right} {path}"
    if step.gid in user.groups:
        return f"chmod g+{right} {path}"
    if place.is_secret and step is place.steps[-1]:
        return f"chgrp {user.group} {path} && chmod g+{right} {path}"
    return f"chmod o+{right} {path}"


def _below(entries: ForeignEntries, user: ServiceUser) -> Finding:
    sentence = (
        f"{plural(entries.count, 'entry')} below {printable(entries.place)} cannot be "
        f"{'written' if entries.is_written else 'read'} by {user.name}, the user of the service, for example "
        f"{printable(entries.example)}."
    )
    path = shlex.quote(entries.place)
    remedy = f"chown -R {user.name}: {path}" if entries.is_written else f"chmod -R a+rX {path}"
    return Finding(Severity.ERROR, sentence, remedy)
