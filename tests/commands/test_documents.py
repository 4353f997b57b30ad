"""``simpleindex docs``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpleindex.commands.main import main
from simpleindex.system.guides import read_documents

if TYPE_CHECKING:
    import pytest


def test_it_lists_the_guides_and_prints_one(capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each guide; a guide as it is."""
    assert main(["docs"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(read_documents())
    assert main(["docs", "clients"]) == 0
    assert capsys.readouterr().out == read_documents()["clients"]


def test_a_misspelt_topic_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """With the one that is meant."""
    assert main(["docs", "client"]) == 2
    assert "did you mean 'clients'?" in capsys.readouterr().err
