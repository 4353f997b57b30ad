"""Numbers of bytes in words."""

from __future__ import annotations


def human_size(size: int) -> str:
    """Return a number of bytes in the largest unit that keeps a digit before the point."""
    value = float(size)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
