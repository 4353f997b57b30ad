"""The status of an index that several workers serve: what each reports, and what that comes to for the whole. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

_OF_EACH = ("ready", "suspended", "projects", "files", "troubles")
"""Members of the status that are shown for each worker."""


@dataclass(frozen=True, slots=True)
class OtherWorkers:
    """The other workers, as one of them reaches them.

    Attributes:
        count: How many workers there are, with this one.
        collect: Returns the number of this worker, and what the others that answer in time report, by their numbers.
    """

    count: int
    collect: Callable[[], Awaitable[tuple[int, Mapping[int, str]]]]


def worker_report(content: Mapping[str, Any]) -> str:
    """Return what a worker reports of its status, which has the details."""
    members = (*_OF_EACH, "stale", "own-troubles")
    return json.dumps({name: content[name] for name in members}, separators=(",", ":"))


def status_of_all(
    content: dict[str, Any], number: int, others: Mapping[int, str], count: int
) -> dict[str, Any]:
    """Return the status of the whole index.

    Args:
        content: The status of the worker that answers, with the details; numbers that all workers see alike are taken from it.
        number: The number of that worker.
        others: The reports of the others.
        count: How many workers there are.
    """
    reports = {each: json.loads(text) for each, text in others.items()}
    reports[number] = content
    answered = [reports[each] for each in sorted(reports)]
    workers = [
        {"worker": each, **({name: reports[each][name] for name in _OF_EACH} if each in reports else _ABSENT)}
        for each in range(1, count + 1)
    ]
    troubles = _all_troubles(answered)
    return {
        **content,
        "ready": all(each["ready"] for each in workers),
        "suspended": next((each["suspended"] for each in answered if each["suspended"]), None),
        "stale": any(each["stale"] for each in answered),
        "troubles": len(troubles),
        "workers": workers,
        "own-troubles": troubles,
    }


_ABSENT: dict[str, Any] = {
    **dict.fromkeys(_OF_EACH),
    "ready": False,
    "suspended": "It does not answer, or is still starting.",
}


def _all_troubles(reports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the troubles of all, the latest first; one that several workers have comes once."""
    troubles: dict[str, dict[str, Any]] = {}
    for each in (trouble for report in reports for trouble in report["own-troubles"]):
        same = troubles.get(each["sentence"], each)
        troubles[each["sentence"]] = {
            "sentence": each["sentence"],
            "first": min(same["first"], each["first"]),
            "last": max(same["last"], each["last"]),
            "count": each["count"] if same is each else same["count"] + each["count"],
        }
    return sorted(troubles.values(), key=lambda trouble: str(trouble["last"]), reverse=True)
