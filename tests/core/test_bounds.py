"""Bounds say what is too large, and how large it is."""

from __future__ import annotations

import re
from pathlib import Path

import simpleindex
from simpleindex.core import bounds
from simpleindex.core.bounds import Bound
from tests.fixtures.tables import for_each

ALL = {name: value for name, value in vars(bounds).items() if isinstance(value, Bound)}


def test_a_bound_names_field_size_and_limit() -> None:
    """What a client sees of it."""
    lines = Bound("its list", 2_000, "lines")
    assert lines.excess(2_000) is None
    assert lines.excess(2_001) == "its list has 2,001 lines, and at most 2,000 are read"


@for_each("name", ALL)
def test_every_bound_is_a_positive_number_with_its_unit(name: str) -> None:
    """In the plural, for no bound is one."""
    bound = ALL[name]
    assert bound.most > 1
    assert bound.unit
    assert bound.what == bound.what.strip()


@for_each("name", ALL)
def test_every_bound_is_in_the_documentation(name: str) -> None:
    """With its number and unit."""
    text = (Path(simpleindex.__file__).parent / "docs" / "limits.md").read_text(encoding="utf-8")
    bound = ALL[name]
    row = next((line for line in text.splitlines() if f" {name}: " in line), "")
    assert f" {name}: {bound.most:,} {bound.unit}" in row


def test_the_documentation_names_files_that_there_are() -> None:
    """Where each thing is read."""
    package = Path(simpleindex.__file__).parent
    text = (package / "docs" / "limits.md").read_text(encoding="utf-8")
    files = re.findall(r"`((?!tests)[a-z]+/[a-z_/]+\.py)`", text)
    assert len(files) > 30
    assert [file for file in files if not (package / file).exists()] == []
