"""The order of the tests where several processes run them: each begins with long ones, and all end with short ones.

pytest-xdist's ``worksteal`` gives each process an equal number of tests, one behind the other, and later halves of what
others still have. So every share gets files of slow tests that take about as long together, and quick tests between them,
which use the processor in the time that the slow ones of other processes wait.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

_SECONDS: Final = {
    "end_to_end/test_acme.py": 60,
    "end_to_end/test_many_uploads.py": 50,
    "end_to_end/test_process.py": 45,
    "end_to_end/test_browser.py": 40,
    "end_to_end/test_live.py": 40,
    "end_to_end/test_odd_uploads.py": 40,
    "end_to_end/test_examination.py": 30,
    "end_to_end/test_import.py": 30,
    "end_to_end/test_peers.py": 30,
    "end_to_end/test_publish.py": 30,
    "end_to_end/test_bucket.py": 25,
    "end_to_end/test_nodes.py": 25,
    "end_to_end/test_real_packages.py": 25,
    "end_to_end/test_workers.py": 25,
    "publishing/test_crash_sweep.py": 20,
}
"""How long the slow tests of a file take on two processors, where that is long; it only has to be about right."""

_OTHERWISE: Final = 8


def in_shares(items: Sequence[pytest.Item], count: int) -> list[pytest.Item]:
    """Return tests in the order in which ``count`` processes with equal shares of them are done at the same time."""
    files = [[*group] for _, group in groupby(items, lambda item: item.path)]
    slow = sorted(filter(_is_slow, files), key=_seconds, reverse=True)
    quick = [item for file in files if not _is_slow(file) for item in file]
    shares: list[list[list[pytest.Item]]] = [[] for _ in range(count)]
    for file in slow:
        min(shares, key=lambda share: sum(map(_seconds, share))).append(file)
    ordered: list[pytest.Item] = []
    left = len(items)
    for number, share in enumerate(shares):
        # As worksteal cuts them.
        size = left // (count - number)
        left -= size
        fill = max(0, size - sum(map(len, share)))
        filling, quick = quick[:fill], quick[fill:]
        parts = len(share) + 1
        for place, file in enumerate([*share, []]):
            ordered += file
            ordered += filling[len(filling) * place // parts : len(filling) * (place + 1) // parts]
    return [*ordered, *quick]


def _is_slow(file: Sequence[pytest.Item]) -> bool:
    return any(item.get_closest_marker("slow") for item in file)


def _seconds(file: Sequence[pytest.Item]) -> int:
    path = file[0].path
    return _SECONDS.get(f"{path.parent.name}/{path.name}", _OTHERWISE)
