"""What rules say to people. No sentence depends on the moment at which it is said, so that a page made of it stays the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simpleindex.core.dates import day_and_time

if TYPE_CHECKING:
    from simpleindex.core.names import ProjectName

NO_HASH: Final = "no hash of it is known"

_UNITS: Final = (("day", 86_400), ("hour", 3600), ("minute", 60))


def denied(name: ProjectName, rule: str, message: str, why: str = "") -> str:
    """Why nothing of a project is offered."""
    return _sentence(f"{name} is denied by the rule {rule}", why, message)


def quarantined(name: ProjectName, rule: str, message: str) -> str:
    """Why a project is quarantined."""
    return _sentence(f"{name} is quarantined by the rule {rule}", "", message)


def withheld(filename: str, rule: str, why: str, message: str) -> str:
    """Why a file is withheld.

    Args:
        filename: Which.
        rule: By which rule.
        why: What it has or lacks, as the end of a sentence; empty if the rule names it.
        message: The rule's own.
    """
    return _sentence(f"{filename} is withheld by the rule {rule}", why, message)


def too_young(uploaded: float | None, min_age: float) -> str:
    """Why a minimum age is not met.

    Args:
        uploaded: Seconds since 1970; None if not known.
        min_age: Seconds.
    """
    if uploaded is None:
        return "when it was uploaded is not known"
    return (
        f"uploaded {day_and_time(uploaded // 60 * 60)}, it is offered when it is {duration(min_age)} old, "
        f"from {day_and_time(uploaded + min_age)}"
    )


def too_late(uploaded: float | None, not_after: float) -> str:
    """Why a date is not met; the arguments are as in :func:`too_young`."""
    if uploaded is None:
        return "when it was uploaded is not known"
    return f"it was uploaded {day_and_time(uploaded // 60 * 60)}, after {day_and_time(not_after)}"


def too_large(size: int | None, max_size: int) -> str:
    """Why a size is not met, both in bytes."""
    if size is None:
        return "its size is not known"
    return f"it has {size:,} bytes, more than {max_size:,}"


def duration(seconds: float) -> str:
    """A time in the largest unit in which it is a whole number."""
    for unit, length in _UNITS:
        if seconds >= length and not seconds % length:
            number = int(seconds // length)
            return f"{number:,} {unit}{'' if number == 1 else 's'}"
    return f"{seconds:,.0f} seconds"


def _sentence(beginning: str, why: str, message: str) -> str:
    end = f"{beginning}: {why}." if why else f"{beginning}."
    return f"{end} {message}" if message else end
