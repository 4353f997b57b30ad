"""A progress bar for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import TextIO

_BAR: Final = 30  # characters


class Progress:
    """A progress bar of files; it writes nothing to a stream that is no terminal.

    Args:
        stream: Standard error, usually.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_shown = stream.isatty()
        self._total = self._done = 0

    def expect(self, total: int) -> None:
        """Set the number of files."""
        self._total = total
        self._show()

    def advance(self) -> None:
        """Count one more file."""
        self._done += 1
        self._show()

    def end(self) -> None:
        """Erase the bar."""
        if self._is_shown:
            self._write("\r\x1b[K")

    def _show(self) -> None:
        if self._is_shown and self._total:
            filled = _BAR * self._done // self._total
            self._write(f"\r[{'#' * filled}{'.' * (_BAR - filled)}] {self._done:,} of {self._total:,} files")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
