"""Messages between the supervisor, its workers and their fork server: one JSON object a line. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_BYTES: Final = 1024 * 1024
"""A longer line is no message: log lines are a few kilobytes."""


@dataclass(frozen=True, slots=True)
class Inherited:
    """A listening socket that a worker inherits.

    Attributes:
        descriptor: Its place among the worker's descriptors; once the worker has them, its number.
        family: Its address family, as in :mod:`socket`.
    """

    descriptor: int
    family: int


@dataclass(frozen=True, slots=True)
class WorkerDescription:
    """What a worker needs at its start; the first line that it reads.

    Attributes:
        number: From 1 on.
        count: How many workers there are.
        given: The options of the command line, as twistd's options hold them.
        directory: The working directory at the start.
        sockets: By option and its place among the option's values ("https 0"), the socket to listen on.
        queues: By a directory's name, the descriptors by which the queue of its events is seen; as in :class:`Inherited`.
        is_waiting: Whether it accepts connections only once it has read everything, because other workers serve meanwhile.
    """

    number: int
    count: int
    given: dict[str, Any]
    directory: str
    sockets: dict[str, Inherited] = field(default_factory=dict)
    queues: dict[str, tuple[int, ...]] = field(default_factory=dict)
    is_waiting: bool = False

    @property
    def is_first(self) -> bool:
        """Whether this worker does what one process must do for all."""
        return self.number == 1


def encode_description(description: WorkerDescription) -> bytes:
    """Return a description as a line."""
    return json.dumps(asdict(description)).encode() + b"\n"


def decode_description(line: bytes, descriptors: Sequence[int]) -> WorkerDescription:
    """Return the description in a line of :func:`encode_description`."""
    content = json.loads(line)
    # JSON has no tuples; repeatable options are compared as tuples.
    given = {
        name: tuple(value) if isinstance(value, list) else value for name, value in content["given"].items()
    }
    sockets = {
        name: Inherited(descriptors[each["descriptor"]], each["family"])
        for name, each in content["sockets"].items()
    }
    queues = {
        name: tuple(descriptors[place] for place in places) for name, places in content["queues"].items()
    }
    return WorkerDescription(
        *(content["number"], content["count"], given, content["directory"]),
        sockets,
        queues,
        is_waiting=content["is_waiting"],
    )


@dataclass(frozen=True, slots=True)
class Message:
    """A message in either direction.

    Attributes:
        kind: ``state`` (``ready``, ``complete``, ``reloading``, ``stopping``), ``status``, ``log``, ``alive``, ``changed`` and ``seen`` of a
            worker; ``ping``, ``changed`` and ``seen`` of the supervisor. ``collect``, ``report`` and, at the end, ``collected`` in both
            directions, about metrics. About a directory that the supervisor watches: ``watch``, ``heard`` and ``catch-up`` of a worker;
            ``watching``, ``unwatched``, ``events`` and ``reported`` of the supervisor. About serials: ``serials`` and ``serial`` of a
            worker, ``serials`` of the supervisor.
        text: The state, a line for ``systemctl status``, a line of the log, a project, metrics, the path of a directory, why one is
            not watched, what happened in it, or ``requested`` if the worker requested that.
        detail: The level of a line of the log, the directory, or the number of the worker whose metrics they are.
        number: Of the change that ``changed`` and ``seen`` are about, of the collection of metrics, or of the events; how often events
            were taken that are reported to a worker; 1 if a directory was watched before; the digest of a listing, or the first serial.
    """

    kind: str
    text: str = ""
    detail: str = ""
    number: int = 0


def encode(message: Message) -> bytes:
    """Return a message as a line."""
    return json.dumps([message.kind, message.text, message.detail, message.number]).encode() + b"\n"


def decode(line: bytes) -> Message | None:
    """Return the message in a line; None if it is none, as of a process that writes into a descriptor that is not its own."""
    try:
        kind, text, detail, number = json.loads(line)
    except (ValueError, TypeError, RecursionError):
        return None
    if not (isinstance(kind, str) and isinstance(text, str) and isinstance(detail, str)):
        return None
    return Message(kind, text, detail, number) if isinstance(number, int) else None
