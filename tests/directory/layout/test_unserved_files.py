"""Looking for distributions that lie too deep, within bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simpleindex.directory.layout import unserved_files
from simpleindex.directory.layout.unserved import UnservedCause
from simpleindex.directory.layout.unserved_files import PassedOver

if TYPE_CHECKING:
    from pathlib import Path

DEEPER = UnservedCause.DEEPER


def looked(root: Path, *directories: str) -> PassedOver:
    """Look into directories."""
    passed_over = PassedOver()
    passed_over.look_into(str(root), directories, DEEPER)
    return passed_over


def test_distributions_below_are_named(tmp_path: Path) -> None:
    """A half of one is a trace, and is not named; a directory that vanished is passed over."""
    (tmp_path / "acme" / "dist").mkdir(parents=True)
    (tmp_path / "acme" / "dist" / "acme-1.0.zip").touch()
    found = looked(tmp_path, "gone", "acme")
    assert found.has_traces
    assert found.looked_into == ["acme", "acme/dist"]
    assert [(item.cause, item.example) for item in found.items()] == [(DEEPER, "acme/dist/acme-1.0.zip")]


def test_half_a_distribution_is_a_trace(tmp_path: Path) -> None:
    """Somebody copies it."""
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "acme-1.0.zip.part").touch()
    found = looked(tmp_path, "acme")
    assert (found.has_traces, found.items()) == (True, ())


@pytest.mark.parametrize("bound", ["_MOST_ENTRIES", "_MOST_DIRECTORIES"])
def test_where_looking_ends_there_may_be_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    """So nobody else is asked for the project."""
    for number in range(5):
        (tmp_path / "acme" / f"directory{number}").mkdir(parents=True)
    assert not looked(tmp_path, "acme").has_traces
    monkeypatch.setattr(unserved_files, bound, 2)
    assert looked(tmp_path, "acme").has_traces
