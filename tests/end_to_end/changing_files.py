"""A look at files that a server changes meanwhile."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Value = TypeVar("Value")


def looked_at(look: Callable[[], Value]) -> Value:
    """Look at files that others change, again where one of them was removed meanwhile."""
    for _ in range(50):
        with suppress(FileNotFoundError):
            return look()
    return look()


def files_below(*directories: Path) -> list[Path]:
    """The files below directories that others change."""
    return looked_at(
        lambda: [path for directory in directories for path in directory.rglob("*") if path.is_file()]
    )
