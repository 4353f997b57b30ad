"""The README's commands are marked, it stays a door, and the guide to options keeps up with the program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from simpleindex.config.options import OPTIONS, Option

PROJECT = Path(__file__).parent.parent
README = PROJECT.joinpath("README.md").read_text(encoding="utf-8")
GUIDE = PROJECT.joinpath("simpleindex/docs/options.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_is_in_the_table_as_the_help_has_it(option: Option) -> None:
    """A row per option with its default and its help sentence, to the letter."""
    metavar = " " + option.metavar.replace("|", "\\|") if option.metavar else ""
    repeatable = " (repeatable)" if option.repeatable else ""
    default = option.default.replace("|", "\\|") or "off"
    assert f"| `--{option.name}{metavar}`{repeatable} | {default} | {option.help} |\n" in GUIDE


def test_no_option_is_there_that_the_program_has_not() -> None:
    """Rows of options that were removed are removed."""
    assert set(re.findall(r"^\| `--([a-z0-9-]+)", GUIDE, re.MULTILINE)) == {option.name for option in OPTIONS}


@pytest.mark.parametrize("mark", ["run command", "install command", "test command"])
def test_the_commands_are_marked(mark: str) -> None:
    """.ci/run and .ci/try-readme take the commands from the README by these marks."""
    assert re.search(rf"<!-- {mark} -->\n```sh\n(.+\n)+```\n", README)


def test_the_readme_is_a_door() -> None:
    """What is longer belongs into a guide."""
    assert len(README.splitlines()) <= 150
