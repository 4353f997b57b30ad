"""``simpleindex docs``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from simpleindex.commands.guides import wrapped
from simpleindex.commands.main import main
from simpleindex.system.guides import read_documents

if TYPE_CHECKING:
    import pytest


def test_it_lists_the_guides_and_prints_one(capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each guide, in groups; a guide as it is."""
    assert main(["docs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.split()[0] for line in lines if line.startswith("  ")) == list(read_documents())
    assert lines[:3] == [
        "Start:",
        "  try-it           Try it",
        "  directory        The directory: what is served from it",
    ]
    assert main(["docs", "clients"]) == 0
    assert capsys.readouterr().out == read_documents()["clients"]


def test_a_misspelt_topic_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """With the one that is meant."""
    assert main(["docs", "client"]) == 2
    assert "did you mean 'clients'?" in capsys.readouterr().err


def test_a_guide_in_a_terminal() -> None:
    """No line breaks within a word; code, rows and items stay lines of their own."""
    text = (
        "# A heading that is longer than all\n\nWords that go\non here, --in-one paragraph.\n\n"
        "- an item of a list\n  that goes on\n- two\n\n    code that is never wrapped, however long\n\n"
        "```toml\na = 1\nb = 2                         # fenced\n```\nAfter.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    )
    assert wrapped(text, 24) == (
        "# A heading that is\n  longer than all\n\nWords that go on here,\n--in-one paragraph.\n\n"
        "- an item of a list that\n  goes on\n- two\n\n    code that is never wrapped, however long\n\n"
        "```toml\na = 1\nb = 2                         # fenced\n```\nAfter.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    )


def test_only_a_terminal_gets_it_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["docs", "try-it"]) == 0
    assert capsys.readouterr().out == wrapped(read_documents()["try-it"], 60)


def test_no_guide_loses_a_word_in_a_terminal() -> None:
    for text in read_documents().values():
        assert wrapped(text, 80).split() == text.split()
