"""Hand bytes from a channel to its transport: as Twisted does it, or in the way of the fast lane if that is in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Sending(Protocol):
    """A way to send."""

    def write(self, transport: Any, data: bytes) -> None:
        """Write all of an answer, or a part of it, as soon as possible."""

    def send_file(self, transport: Any, send: Callable[[int], int | None]) -> int | None:
        """Let the kernel send from a file.

        Args:
            transport: The channel's.
            send: Sends to a socket's descriptor; returns how many bytes it took, or None.

        Returns:
            What that returned; None where the bytes have to be written.
        """


class PlainSending:
    """Leave everything to Twisted's transport."""

    def write(self, transport: Any, data: bytes) -> None:
        """Write; the bytes leave in the reactor's next turn."""
        transport.write(data)

    def send_file(self, _transport: Any, _send: Callable[[int], int | None]) -> int | None:
        """Return None: the bytes have to be written."""
        return None
