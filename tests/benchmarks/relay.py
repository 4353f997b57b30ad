"""Distance on loopback: a relay that hands on the bytes of a connection later, in order, and nothing else.

It stands for the time that light takes, and for a narrow line where it is told how narrow; nothing is lost, and the kernel's
slow start happens on either side of it. A connection's first bytes wait one round trip more, as for TCP's own handshake.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from tests.benchmarks.processes import LOAD_PROCESSOR, on_processor
from tests.fixtures.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE: Final = 64 * 1024
_PIECES: Final = 256
"""On their way in one direction: 16 MiB in 25 ms are 670 MB/s."""

_Pieces = asyncio.Queue[tuple[float, bytes]]


@contextlib.contextmanager
def distant(port: int, round_trip: float, rate: float = math.inf) -> Iterator[int]:
    """Put a port of loopback so many seconds away, over lines of so many bytes a second; gives the port where it is reached."""
    if not round_trip and rate == math.inf:
        yield port
        return
    own = free_port()
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.relay",
        str(own),
        str(port),
        str(round_trip),
        str(rate),
    ]
    with (
        on_processor(LOAD_PROCESSOR),
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process,
    ):
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n", "the relay did not start"
            yield own
        finally:
            process.terminate()


async def _hand_on(
    reader: asyncio.StreamReader, pieces: _Pieces, first: float, delay: float, rate: float
) -> None:
    loop = asyncio.get_running_loop()
    piece, free = b"-", 0.0
    while piece:
        with contextlib.suppress(ConnectionError):
            piece = b""
            piece = await reader.read(_PIECE)
        # Each waits until the line is free of the one before.
        free = max(free, loop.time()) + len(piece) / rate
        await pieces.put((max(first, free + delay), piece))


async def _deliver(pieces: _Pieces, writer: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionError):
        while True:
            when, piece = await pieces.get()
            await asyncio.sleep(when - loop.time())
            if not piece:
                break
            writer.write(piece)
            await writer.drain()
    writer.close()
    # Clients that still send must not wait for room.
    while pieces.full():
        pieces.get_nowait()


async def _relay(
    target: int, round_trip: float, rate: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    first = asyncio.get_running_loop().time() + 1.5 * round_trip
    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target, limit=_PIECE)
    there: _Pieces = asyncio.Queue(_PIECES)
    back: _Pieces = asyncio.Queue(_PIECES)
    await asyncio.gather(
        _hand_on(reader, there, first, round_trip / 2, rate),
        _deliver(there, far_writer),
        _hand_on(far_reader, back, 0, round_trip / 2, rate),
        _deliver(back, writer),
    )


async def _serve(port: int, target: int, round_trip: float, rate: float) -> None:
    server = await asyncio.start_server(
        lambda reader, writer: _relay(target, round_trip, rate, reader, writer),
        "127.0.0.1",
        port,
        limit=_PIECE,
    )
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))
