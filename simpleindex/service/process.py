"""The process that a service runs in: how it refuses to start, how it ends, and who supervises it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.core.errors import RefusedStart
    from simpleindex.service.workers.link import SupervisorLink


def in_the_foreground(error: RefusedStart) -> BaseException:
    """Return what ends a start in the foreground: one sentence, because other exceptions print a traceback."""
    return SystemExit(f"simpleindex: {error}")


def as_daemon(error: RefusedStart) -> BaseException:
    """Return what ends a daemon's start: its parent waits for the text of an ordinary exception, for ever if there is none."""
    return error


@dataclass(frozen=True)
class ServiceProcess:
    """The process of a service.

    Attributes:
        refusal: Returns the exception for a start that is refused after twistd began; twistd in the foreground and the parent of
            a daemon need different ones.
        end_by_force: Ensures that the process ends in time; called when its end begins.
        supervisor: The connection to the supervisor; None for a service without ``--workers``.
    """

    refusal: Callable[[RefusedStart], BaseException] = in_the_foreground
    end_by_force: Callable[[], None] = lambda: None
    supervisor: SupervisorLink | None = None
