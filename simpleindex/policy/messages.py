"""Sentences about rules. None depends on the current time, so that a page made of them stays the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simpleindex.core.files import FIRST_SEEN, LAST_MODIFIED
from simpleindex.core.text import day_and_time, duration

if TYPE_CHECKING:
    from simpleindex.core.names import ProjectName

NO_HASH: Final = "no hash of it is known"


def denied(name: ProjectName, rule: str, message: str, why: str = "") -> str:
    """Say why nothing of a project is offered."""
    return _sentence(f"{name} is denied by the rule {rule}", why, message)


def quarantined(name: ProjectName, rule: str, message: str) -> str:
    """Say why a project is quarantined."""
    return _sentence(f"{name} is quarantined by the rule {rule}", "", message)


def withheld(filename: str, rule: str, why: str, message: str) -> str:
    """Say why a file is not offered.

    Args:
        filename: The file.
        rule: The rule's name.
        why: The reason, as the end of a sentence; empty if the rule names the file.
        message: The rule's own message.
    """
    return _sentence(f"{filename} is not offered (withheld by the rule {rule})", why, message)


def too_young(uploaded: float | None, min_age: float, dated_by: str | None) -> str:
    """Say why a minimum age is not met.

    Args:
        uploaded: Seconds since 1970; None if not known.
        min_age: Seconds.
        dated_by: The origin of the time where the upstream does not state it (:attr:`simpleindex.core.files.File.dated_by`).
    """
    if uploaded is None:
        return "when it was uploaded is not known"
    return (
        f"{_dated(uploaded, dated_by)}, it is offered when it is {duration(min_age)} old, "
        f"from {day_and_time(uploaded + min_age)}"
    )


def too_late(uploaded: float | None, not_after: float, dated_by: str | None) -> str:
    """Say why a date is not met; arguments as in :func:`too_young`."""
    if uploaded is None:
        return "when it was uploaded is not known"
    return f"it was {_dated(uploaded, dated_by)}, after {day_and_time(not_after)}"


def no_upload_times(upstream: str, rules: tuple[str, ...]) -> str:
    """Warn the operator of rules about the age of files for which the upstream states no upload time."""
    names = ", ".join(rules)
    return (
        f"{upstream} states no upload times for some files, so the rule{'' if len(rules) == 1 else 's'} {names} judge"
        f"{'s' if len(rules) == 1 else ''} them by their last modification there, or, where that is not known either, "
        "by when they were first seen here."
    )


def _dated(time: float, dated_by: str | None) -> str:
    when = day_and_time(time // 60 * 60)
    if dated_by == FIRST_SEEN:
        return f"first seen here {when} (the upstream states no upload time)"
    if dated_by == LAST_MODIFIED:
        return f"last modified there {when} (the upstream states no upload time)"
    return f"uploaded {when}"


def too_large(size: int | None, max_size: int) -> str:
    """Say why a size is not met; both in bytes."""
    if size is None:
        return "its size is not known"
    return f"it has {size:,} bytes, more than {max_size:,}"


def _sentence(beginning: str, why: str, message: str) -> str:
    end = f"{beginning}: {why}." if why else f"{beginning}."
    return f"{end} {message}" if message else end
