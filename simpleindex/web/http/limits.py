"""Limits of time and size for one client; numbers with their units and their evidence."""

from __future__ import annotations

from typing import Final

HEAD_SECONDS: Final = 20.0
"""For a request's line and headers altogether, and for what precedes the first (the TLS handshake). Apache's
mod_reqtimeout gives 20 to 40 s."""

IDLE_SECONDS: Final = 75.0
"""Between two requests; nginx's keepalive_timeout. Clients keep an unused connection for less."""

REQUEST_LINE_BYTES: Final = 8 * 1024
"""RFC 9112 section 3 recommends at least 8000; nginx and Apache take 8 KiB."""

HEADER_BYTES: Final = 16 * 1024
"""One header line, and all of them with their line ends; node's limit too. pip sends 600 bytes."""

HEADER_LINES: Final = 100
"""Apache's LimitRequestFields. pip sends 7."""

BODY_BYTES: Final = 64 * 1024
"""What is read of a body, and dropped, as long as there are no uploads."""

BODY_WINDOW_SECONDS: Final = 20.0
BODY_WINDOW_BYTES: Final = 20 * 1024
"""In each such window a body advances so far (1 KiB/s) or ends; a window, so that a short hiccup costs nothing."""

SLICE_BYTES: Final = 128 * 1024
"""How much is given to the transport at a time: as much as it gives to the socket in one call
(FileDescriptor.SEND_LIMIT), and more than it holds before it pauses us (FileDescriptor.bufferSize)."""

SLICES_AT_ONCE: Final = 3
"""So many slices one connection may give to the socket in a turn of the reactor, before one waits for the next turn: 0.5 MB,
which takes about a millisecond over TLS."""

WRITE_SECONDS: Final = 60.0
"""A transport that is full has to empty within this.

A transport pauses us when it holds more than 64 KiB and resumes us when it holds nothing, over TLS too; as it gets
one slice at a time, it never holds more than one and a half. So a resume means that between 128 and 192 KiB were taken, and
one per 60 s a rate of 2.2 to 3.3 KB/s, which includes the least average that we want (512 B/s). nginx's send_timeout
is the same rule. Measured with slices of 64 KiB on loopback with Linux's default buffers, where the kernel reports room only in thirds of
its 2.5 MB: a reader of 10 KB/s lets us wait for 20 s, 27 s if it had read 200 MB at full speed before. The exception:
``curl --limit-rate`` over TLS takes 1.6 MB at once and then nothing until its average fits, so it is cut below 27 KB/s.
"""

DISCARD_SECONDS: Final = 600.0
DISCARD_SILENCE_SECONDS: Final = 5.0
DISCARD_BYTES: Final = 4 * 1024**3
"""After a refusal, what the client still sends is read and dropped (docs/protocol.md): closing at once would reset the connection
and destroy the answer on its way. As long as the largest upload takes, because requests (twine, poetry, flit) sees a broken TLS
connection as no answer but a reason to send all of it again, ten times: with the bound of 16 MiB that was here once, one wrong password
with a wheel of 100 MiB counted as six, and the user read of a 429. It costs us less than ten connections would. The silence is
nginx's lingering_timeout."""
