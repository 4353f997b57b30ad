"""Notify systemd of the state of the service (sd_notify(3)), and beat for its watchdog (sd_watchdog_enabled(3))."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, Final, Protocol

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twisted.internet.interfaces import IReactorTime


_LOG: Final = Logger(namespace="simpleindex")


class ServiceNotifier(Protocol):
    """Reports the state of a service to whatever started it.

    Attributes:
        watchdog_interval: Seconds from one sign of life to the next; None if none is expected.
    """

    watchdog_interval: float | None

    def ready(self) -> None:
        """Report that start, or reload, is complete."""

    def reloading(self) -> None:
        """Report that a reload begins; :meth:`ready` ends it."""

    def stopping(self) -> None:
        """Report that shutdown begins."""

    def status(self, text: str) -> None:
        """Set the line that shows the state of the service."""

    def watchdog(self) -> None:
        """Give one sign of life."""


class Notifier:
    """Notifies systemd of the state of the service (sd_notify(3)); does nothing without NOTIFY_SOCKET, and never fails.

    Attributes:
        watchdog_interval: Seconds from one beat to the next, half of what systemd allows (sd_watchdog_enabled(3)); None
            if it expects none of this process.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        pid: int,
        open_socket: Callable[[], socket.socket] | None = None,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Read the address of notifications from the environment.

        Args:
            environ: The process's environment.
            pid: The process's own number, after any fork.
            open_socket: Makes an unconnected datagram socket; it is closed after every message.
            monotonic_ns: The system's monotonic clock, in nanoseconds.
        """
        self._address = _notify_address(environ.get("NOTIFY_SOCKET", ""))
        self._open_socket = open_socket or _datagram_socket
        self._monotonic_ns = monotonic_ns
        self.watchdog_interval = _watchdog_interval(environ, pid) if self._address else None

    def ready(self) -> None:
        """Report that the start, or a reload, is complete."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Report that a reload begins; :meth:`ready` ends it."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={self._monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Report that the shutdown begins."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Set the line that ``systemctl status`` shows."""
        # Every line is an assignment of its own; text with a line break must not become one.
        self._send("STATUS=" + " ".join(text.split()))

    def watchdog(self) -> None:
        """Give one sign of life."""
        self._send("WATCHDOG=1")

    def _send(self, *assignments: str) -> None:
        if not self._address:
            return
        try:
            with self._open_socket() as sender:
                sender.sendto("\n".join(assignments).encode(errors="replace"), self._address)
        except OSError as error:
            _LOG.warn(
                "systemd could not be notified of {what}: {error}.",
                what=assignments[0].partition("=")[0],
                error=error,
            )


def start_watchdog(notifier: ServiceNotifier, clock: IReactorTime) -> LoopingCall | None:
    """Beat from the event loop, so that a loop that hangs stops beating; return the call to stop, or None."""
    if notifier.watchdog_interval is None:
        return None
    beat = LoopingCall(notifier.watchdog)
    beat.clock = clock
    beat.start(notifier.watchdog_interval)
    return beat


def _notify_address(text: str) -> bytes:
    """Return the address of NOTIFY_SOCKET; empty without one of a supported kind."""
    if text.startswith("@"):
        return b"\0" + os.fsencode(text[1:])
    return os.fsencode(text) if text.startswith("/") else b""


def _watchdog_interval(environ: Mapping[str, str], pid: int) -> float | None:
    if environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    microseconds = environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 2_000_000 if microseconds.isdecimal() and int(microseconds) else None


def _datagram_socket() -> socket.socket:
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    # PID 1 may be busy; the event loop waits for it a moment, not for ever.
    sender.settimeout(1.0)
    return sender
