"""A test of a table tries every row, and its failure names those that fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fixtures.tables import for_each

if TYPE_CHECKING:
    from pathlib import Path


@for_each("second", [1, 2], ids=("one", "two"))
@for_each(("first", "text"), [(1, "a"), pytest.param(3, "b", id="three")])
def rows(first: int, text: str, second: int, tmp_path: Path) -> None:
    (tmp_path / f"{text}{second}").touch()
    assert first + second == 2


def test_all_rows_are_tried(tmp_path: Path) -> None:
    """Also behind one that fails; each failure has the names of its rows."""
    with pytest.raises(BaseExceptionGroup, match="of 2 rows") as caught:
        rows(tmp_path=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a1", "a2", "b1", "b2"]
    one, two = caught.value.exceptions
    assert one.__notes__ == ["in the row three", "in the row one"]
    assert isinstance(two, BaseExceptionGroup)
    assert [each.__notes__ for each in two.exceptions] == [["in the row 1, 'a'"], ["in the row three"]]


@for_each("value", [1])
def test_fixtures_are_given(value: int, tmp_path: Path) -> None:
    """Those that no row gives."""
    assert tmp_path.is_dir()
