"""The README's commands are marked, it stays a door, and the guide to options keeps up with the program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.options_guide import GUIDE, with_current_table

PROJECT = Path(__file__).parent.parent
README = PROJECT.joinpath("README.md").read_text(encoding="utf-8")


def test_the_guide_has_the_options_that_the_program_has() -> None:
    """``python -m tests.options_guide`` writes the table again."""
    guide = GUIDE.read_text(encoding="utf-8")
    assert guide == with_current_table(guide)


@pytest.mark.parametrize("mark", ["run command", "install command", "test command"])
def test_the_commands_are_marked(mark: str) -> None:
    """.ci/run and .ci/try-readme take the commands from the README by these marks."""
    assert re.search(rf"<!-- {mark} -->\n```sh\n(.+\n)+```\n", README)


def test_the_readme_is_a_door() -> None:
    """What is longer belongs into a guide."""
    assert len(README.splitlines()) <= 150
