"""Names once used stay used, whatever else stands in the ledger."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.directory.ledger import used_names, with_deleted, with_freed

NAME = "acme-1.0.zip"


def test_one_line_for_each() -> None:
    """Digest, name, time in UTC, and who: what a person needs who reads it."""
    assert (
        with_deleted(b"", "ab", NAME, now=0.9, who="alice") == b"ab acme-1.0.zip 1970-01-01T00:00:00Z alice\n"
    )


def test_the_last_word_counts() -> None:
    """Deleted, freed, and deleted again."""
    ledger = with_deleted(b"", "ab", NAME, now=0, who="alice")
    assert used_names(ledger) == {NAME}
    ledger = with_freed(ledger, NAME, now=1, who="bob")
    assert used_names(ledger) == frozenset()
    assert used_names(with_deleted(ledger, "-", NAME, now=2, who="alice")) == {NAME}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n\n",
        b"# a comment of somebody\n",
        b"ab\n",
        b"ab acme-1.0.zip\n",
        b"\xff\n",
        b"ab  1970 alice\n",
    ],
)
def test_what_is_no_line_is_passed_over(text: bytes) -> None:
    """Somebody edited it; what is understood still counts, and nothing is joined to a line without an end."""
    assert used_names(text) == frozenset()
    assert used_names(with_deleted(text.rstrip(b"\n"), "ab", NAME, now=0, who="alice")) == {NAME}


@given(who=st.text(), before=st.binary(max_size=50))
def test_nobody_is_called_so_that_a_line_breaks(who: str, before: bytes) -> None:
    """A user's name is one line's end and nothing else."""
    ledger = with_deleted(before, "ab", NAME, now=0, who=who)
    assert NAME in used_names(ledger)
    assert used_names(ledger) - used_names(before) == {NAME} - used_names(before)
    assert ledger.count(b"\n") <= before.count(b"\n") + 2
