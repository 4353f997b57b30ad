"""Twisted's reactor in a thread of its own, for commands whose work blocks and makes requests."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import blockingCallFromThread

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


class ReactorThread:
    """A reactor that runs until the process ends.

    Args:
        reactor: The reactor, which does not run yet.
    """

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        # Signals are for the main thread, which waits for the work.
        self._thread = Thread(target=reactor.run, args=(False,), name="reactor", daemon=True)
        self._thread.start()

    def run(self, function: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Call an async function in the reactor; return or raise what comes of it. Called from any other thread."""
        return blockingCallFromThread(self.reactor, lambda: Deferred.fromCoroutine(function()))


def start_reactor() -> ReactorThread:
    """Start Twisted's reactor; called once in a process."""
    # TLS connections use the installed one, whatever is passed to them.
    from twisted.internet import reactor  # noqa: PLC0415  (importing it installs it)

    return ReactorThread(reactor)
