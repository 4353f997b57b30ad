"""Progress bars: on terminals only, gone at the end, and what is left of stopped work."""

from __future__ import annotations

import io

import pytest

from simpleindex.commands.progress import Progress


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("unit", "shown"), [("files", "1/2 [00:00"), ("B", "1.00/2.00 [00:00")])
def test_a_terminal(unit: str, shown: str) -> None:
    terminal = Terminal()
    with Progress(terminal, unit) as progress:
        progress.expect(2)
        progress.advance()
        progress._bar.refresh()
        assert progress.left == 1
    assert "50%" in terminal.getvalue()
    assert shown in terminal.getvalue()
    assert terminal.getvalue().endswith("\r")


def test_no_terminal() -> None:
    pipe = io.StringIO()
    with Progress(pipe, total=2) as progress:
        progress.advance(2)
    assert pipe.getvalue() == ""


def test_stopped() -> None:
    """What is left is written even where no bar is."""
    pipe = io.StringIO()
    progress = Progress(pipe, total=30)
    progress.advance(18)
    progress.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert pipe.getvalue() == "Stopped; 12 of 30 files are left.\n"
