"""Progress bars for work that takes long, on a terminal; and what is left of it when it is stopped."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Final, Self

from tqdm import tqdm

if TYPE_CHECKING:
    from types import TracebackType
    from typing import TextIO

INTERRUPTED: Final = 130
"""The exit status of a command that ^C ended, as a shell has it (128 + SIGINT)."""


class Progress:
    """A progress bar; without a terminal nothing is shown of it but what is left of stopped work.

    Used as a context manager it erases the bar at the end, and writes what is left if the work was stopped by ^C. Usable from
    several threads.

    Args:
        stream: Standard error, usually.
        unit: What is counted, in the plural: "files", or "B" for bytes.
        total: Their number, if it is known already.
    """

    def __init__(self, stream: TextIO, unit: str = "files", total: int = 0) -> None:
        self._stream = stream
        self._unit = unit
        self._lock = Lock()
        is_bytes = unit == "B"
        self._bar = tqdm(
            total=total,
            file=stream,
            disable=not stream.isatty(),
            leave=False,
            unit=unit if is_bytes else f" {unit}",
            unit_scale=is_bytes,
            unit_divisor=1000,
            dynamic_ncols=True,
        )
        self._total, self._done = total, 0

    @property
    def left(self) -> int:
        """How much is not done yet."""
        return max(self._total - self._done, 0)

    def expect(self, total: int) -> None:
        """Set how much there is to do."""
        self._total = total
        if not self._bar.disable:
            self._bar.reset(total)
            self._bar.update(self._done)

    def advance(self, count: int = 1) -> None:
        """Count what was done."""
        with self._lock:
            self._done += count
            self._bar.update(count)

    def end(self) -> None:
        """Erase the bar."""
        self._bar.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self._stream.write(f"Stopped; {self.left:,} of {self._total:,} {self._unit} are left.\n")
            self._stream.flush()
