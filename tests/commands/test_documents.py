"""``simpleindex docs``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpleindex.commands.main import main
from simpleindex.system.guides import read_documents

if TYPE_CHECKING:
    import pytest


def test_it_lists_the_guides_and_prints_one(capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each guide, in groups; a guide as it is."""
    assert main(["docs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.split()[0] for line in lines if line.startswith("  ")) == list(read_documents())
    assert lines[:2] == ["Start:", f"  {'try-it':{max(map(len, read_documents()))}}  Try it"]
    assert main(["docs", "clients"]) == 0
    assert capsys.readouterr().out == read_documents()["clients"]


def test_a_misspelt_topic_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """With the one that is meant."""
    assert main(["docs", "client"]) == 2
    assert "did you mean 'clients'?" in capsys.readouterr().err
