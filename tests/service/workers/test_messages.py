"""Messages of supervisor and workers, and the account of announced changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.service.workers.announced_changes import AnnouncedChanges
from simpleindex.service.workers.messages import (
    Inherited,
    Message,
    WorkerDescription,
    decode,
    decode_description,
    encode,
    encode_description,
)


@given(st.builds(Message, st.text(), st.text(), st.text(), st.integers()))
def test_a_message_survives(message: Message) -> None:
    """Whatever a line of the log holds, it is one line of the connection."""
    line = encode(message)
    assert line.count(b"\n") == 1
    assert decode(line) == message


@pytest.mark.parametrize(
    "line",
    [b"", b"hello", b"[]", b'["a","b","c"]', b'["a","b","c","d"]', b'[1,"","",1]', b"[" * 100_000, b"\xff"],
)
def test_no_message(line: bytes) -> None:
    """What something else writes into the descriptor is passed over."""
    assert decode(line) is None


def test_a_description_survives() -> None:
    """With the options as twistd's options hold them: tuples for repeatable ones; and with the worker's own descriptors."""
    description = WorkerDescription(
        2,
        4,
        {"path": "x", "http": ("1", "2"), "immutable-files": True},
        "/here",
        {"http 0": Inherited(1, 2)},
        {"local": (2, 3), "other": ()},
        is_waiting=True,
    )
    decoded = decode_description(encode_description(description), [30, 31, 32, 33])
    queues: dict[str, tuple[int, ...]] = {"local": (32, 33), "other": ()}
    assert decoded == replace(description, sockets={"http 0": Inherited(31, 2)}, queues=queues)
    assert not decoded.is_first


def test_a_change_is_complete_when_all_list_it() -> None:
    changes = AnnouncedChanges()
    number = changes.begin(1, 7, {2, 3})
    assert number is not None
    assert changes.seen(number, 2) is None
    assert changes.seen(number, 3) == (1, 7)
    assert changes.seen(number, 3) is None


def test_without_others_there_is_nothing_to_wait_for() -> None:
    assert AnnouncedChanges().begin(1, 7, set()) is None


def test_nobody_waits_for_a_worker_that_ended() -> None:
    """Its own changes are forgotten; those of others are complete without it."""
    changes = AnnouncedChanges()
    of_first = changes.begin(1, 7, {2, 3})
    of_second = changes.begin(2, 1, {1, 3})
    of_third = changes.begin(3, 9, {2})
    assert None not in (of_first, of_second, of_third)
    assert changes.ended(2) == [(3, 9)]
    assert of_first is not None
    assert changes.seen(of_first, 3) == (1, 7)
