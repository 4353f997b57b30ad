"""Those who look at finished requests, put together."""

from __future__ import annotations

from typing import Any

from simpleindex.web.http.finished_requests import observe_all


def test_nobody_one_and_several() -> None:
    """Each is called once, in order; one alone is called without a detour."""
    seen: list[Any] = []

    def first(request: Any) -> None:
        seen.append(("first", request))

    def second(request: Any) -> None:
        seen.append(("second", request))

    assert observe_all([]) is None
    assert observe_all([first]) is first
    both = observe_all([first, second])
    assert both is not None
    both("request")
    assert seen == [("first", "request"), ("second", "request")]
