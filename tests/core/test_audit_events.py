"""The kinds of events of the audit: all that are recorded are listed, in the code and in the guide."""

from __future__ import annotations

import re
from pathlib import Path

import simpleindex
from simpleindex.core.audit_entry import EVENTS, matching_events

HOUSE = Path(simpleindex.__file__).parent


def test_every_event_that_is_recorded_is_listed() -> None:
    """An event that nobody can look for is of no use."""
    written = {
        event
        for path in HOUSE.rglob("*.py")
        for event in re.findall(
            r'AuditEntry\(\s*"([^"]*)"(?: if .* else "([^"]*)")?', path.read_text("utf-8")
        )
        for event in event
        if event
    }
    assert "upload" in written
    assert written <= EVENTS.keys()


def test_the_guide_lists_every_event() -> None:
    """With its meaning."""
    rows = re.findall(
        r"^\| `([a-z-]+)` \| (.*) \|$", (HOUSE / "docs/events.md").read_text("utf-8"), re.MULTILINE
    )
    assert {event: meaning for event, meaning in rows if event in EVENTS} == EVENTS


def test_patterns_of_events() -> None:
    """A name is itself; a pattern is all that match."""
    assert matching_events("yank") == {"yank"}
    assert matching_events("token-*") == {"token-created", "token-revoked"}
    assert matching_events("*") == EVENTS.keys()
    assert matching_events("") == set()
