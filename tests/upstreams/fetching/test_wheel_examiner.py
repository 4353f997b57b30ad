"""What the examination of a wheel's end comes to, and where its parts are put."""

from __future__ import annotations

import errno
import os
import tempfile
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.archives.errors import BrokenArchive
from simpleindex.archives.examination.limits import NotExamined
from simpleindex.archives.examination.process import UnexpectedError
from simpleindex.archives.examination.protocol import MissingSpan, WheelMetadata
from simpleindex.upstreams.fetching.wheel_examiner import WheelExaminer, WheelParts
from tests.fixtures.deferreds import result
from tests.fixtures.distributions import wheel_name
from tests.fixtures.examiner import InProcessExaminer
from tests.fixtures.threads import InlineThreads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simpleindex.core.errors import SimpleIndexError

SIZE = 100_000


class FixedExaminer(InProcessExaminer):
    """An examiner with one outcome."""

    def __init__(self, outcome: Any) -> None:
        self.outcome = outcome

    def examine(self, requests: Sequence[Any]) -> list[Any]:
        return [self.outcome for _ in requests]


def end(outcome: Any) -> Any:
    """Read the end of a wheel that examining comes to this outcome of."""
    examiner = WheelExaminer(FixedExaminer(outcome), InlineThreads())
    with WheelParts() as parts:
        return result(examiner.end(parts, wheel_name(), SIZE))


@pytest.mark.parametrize(
    ("outcome", "value"),
    [
        (WheelMetadata(b"Name: acme", None), WheelMetadata(b"Name: acme", None)),
        (MissingSpan(10, 5_000), MissingSpan(10, 5_000)),
        (MissingSpan(10, 5), MissingSpan(10, 4_096)),
    ],
)
def test_metadata_or_the_bytes_that_are_missing(outcome: Any, value: Any) -> None:
    """A few bytes are never requested by themselves."""
    assert end(outcome) == value


@pytest.mark.parametrize(
    ("outcome", "kind", "words"),
    [
        (MissingSpan(SIZE - 4, 5), BrokenArchive, "it is incomplete"),
        (UnexpectedError("Traceback"), BrokenArchive, "an error of this index"),
        (OSError(errno.EIO, "Input/output error"), NotExamined, "it cannot be read: Input/output error"),
        (NotExamined("it takes too long"), NotExamined, "it takes too long"),
    ],
)
def test_what_cannot_be_examined(outcome: Any, kind: type[SimpleIndexError], words: str) -> None:
    """Each error is one that the caller knows."""
    with pytest.raises(kind, match=words):
        end(outcome)


def _refuse(*_: object, **__: object) -> Any:
    raise OSError(errno.EPERM, "Operation not permitted")


def test_parts_lie_in_a_temporary_file_where_the_system_has_no_memory_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They are read as from any other."""
    monkeypatch.setattr(os, "memfd_create", _refuse, raising=False)
    with WheelParts() as parts:
        parts.add(3, b"abc")
        assert os.pread(parts.file.fileno(), 10, 0) == b"\0\0\0abc"
        assert (parts.spans, parts.size) == ([(3, 3)], 3)


def test_without_any_room_for_parts_nothing_is_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is the system's."""
    monkeypatch.setattr(os, "memfd_create", _refuse, raising=False)
    monkeypatch.setattr(tempfile, "TemporaryFile", _refuse)
    with pytest.raises(NotExamined, match="there is no room for a part of it: Operation not permitted"):
        WheelParts()


def test_a_part_beyond_any_file_is_broken() -> None:
    """An upstream states where its parts lie."""
    with WheelParts() as parts, pytest.raises(BrokenArchive, match="it is too large to be read"):
        parts.add(1 << 63, b"abc")
