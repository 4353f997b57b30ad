"""What the composition root makes itself."""

from __future__ import annotations

from twisted.internet.task import Clock

from simpleindex.core.names import ProjectName
from simpleindex.service.compose import _for_a_second


def test_records_are_asked_about_a_name_once_a_second() -> None:
    """Each name by itself, and again when a second has passed."""
    clock, asked = Clock(), []

    def ask(name: ProjectName) -> bool:
        asked.append(name)
        return len(asked) > 2

    once = _for_a_second(ask, clock.seconds)
    acme, other = ProjectName("acme"), ProjectName("other")
    assert [once(acme), once(acme), once(other), once(acme)] == [False] * 4
    assert asked == [acme, other]
    clock.advance(1)
    assert once(acme)
    assert asked == [acme, other, acme]
