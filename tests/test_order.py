"""The order of the tests in parallel processes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from tests.order import in_shares

if TYPE_CHECKING:
    import pytest


@dataclass(frozen=True)
class _Item:
    path: Path
    number: int

    def get_closest_marker(self, name: str) -> bool:
        return name == "slow" and self.path.name.startswith("test_slow")


def items(**files: int) -> list[pytest.Item]:
    made = [
        _Item(Path(f"tests/{name}.py"), number) for name, count in files.items() for number in range(count)
    ]
    return cast("list[pytest.Item]", made)


def test_every_share_begins_with_slow_files_and_ends_with_quick_ones() -> None:
    given = items(test_a=40, test_slow_1=3, test_slow_2=5, test_slow_3=2, test_slow_4=1, test_z=49)
    ordered = in_shares(given, 4)
    assert len(ordered) == 100
    assert set(ordered) == set(given)
    shares = [ordered[start : start + 25] for start in range(0, 100, 25)]
    assert sorted(share[0].path.name for share in shares) == [f"test_slow_{n}.py" for n in (1, 2, 3, 4)]
    assert {share[-1].path.name for share in shares} <= {"test_a.py", "test_z.py"}


def test_tests_of_a_slow_file_stay_together_in_their_order() -> None:
    ordered = in_shares(items(test_slow_1=4, test_a=2, test_slow_2=3), 2)
    names = [(item.path.stem, cast("_Item", item).number) for item in ordered]
    start = names.index(("test_slow_1", 0))
    assert names[start : start + 4] == [("test_slow_1", number) for number in range(4)]


def test_more_processes_than_tests() -> None:
    given = items(test_a=2)
    assert in_shares(given, 5) == given
