"""Examining files in the tests' own process, by the way of a real one: what is asked and answered goes through JSON."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from simpleindex.archives.examination.child import _answer
from simpleindex.archives.examination.judgements import JUDGEMENTS
from simpleindex.archives.examination.process import Surprise, _outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from simpleindex.archives.examination.requests import Outcome, Request

Value = TypeVar("Value")


def through_json(value: Any) -> Any:
    """What arrives of a value on the other side."""
    return json.loads(json.dumps(value))


class ExaminesHere:
    """An examiner without processes: quick, and no limit holds.

    Attributes:
        pids: Of its processes.
    """

    pids: tuple[int, ...] = ()

    def begun(self) -> None:
        """Nothing begins."""

    def prepare(self) -> None:
        """Nothing has to be made ready."""

    def check(self) -> bool:
        """There is nothing to be run."""
        return True

    def end_idle(self) -> None:
        """Nothing idles."""

    def stop(self) -> None:
        """Nothing runs."""

    def examine(self, requests: Sequence[Request[Value]]) -> list[Outcome[Value]]:
        """Judge each file; a surprise is the test's."""
        outcomes: list[Outcome[Value]] = []
        for request in requests:
            kind, arguments = through_json([request.kind, request.arguments])
            answer = through_json(_answer(JUDGEMENTS[kind], request.descriptor, arguments))
            outcome = _outcome(request, answer)
            assert not isinstance(outcome, Surprise), outcome.traceback
            outcomes.append(outcome)
        return outcomes

    def examine_in_turn(self, batches: Iterable[Sequence[Request[Value]]]) -> Iterator[list[Outcome[Value]]]:
        """Judge batches, always one behind what is taken."""
        taken = list(islice(iterator := iter(batches), 1))
        while taken:
            following = list(islice(iterator, 1))
            yield self.examine(taken[0])
            taken = following


class FailsFor(ExaminesHere):
    """An examiner that fails for some files.

    Attributes:
        errors: By file name, what comes of them.
    """

    def __init__(self, **errors: Exception) -> None:
        self.errors: dict[str, Exception] = errors

    def examine(self, requests: Sequence[Request[Value]]) -> list[Outcome[Value]]:
        """Judge each file, but for those."""
        outcomes: list[Outcome[Value]] = []
        for request in requests:
            error = self.errors.get(str(request.arguments[0]))
            outcomes += super().examine([request]) if error is None else [error]
        return outcomes
