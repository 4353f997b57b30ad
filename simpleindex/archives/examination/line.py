"""Pipelining: batches of files are sent to one examining process before the previous batch is answered."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from simpleindex.archives.examination.limits import NotExamined
from simpleindex.archives.examination.process import ProcessEnded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simpleindex.archives.examination.process import ExaminationProcess
    from simpleindex.archives.examination.protocol import Outcome, Request

Value = TypeVar("Value")


class ProcessPool(Protocol):
    """The processes of which a pipeline takes one."""

    def is_quick(self, batch: Sequence[Request[Any]], /) -> bool:
        """Tell whether a batch can be sent before the answer to the one before it has come."""
        ...

    def take(self) -> ExaminationProcess:
        """Return a process for the caller alone.

        Raises:
            NotExamined: None can be begun.
        """
        ...

    def send(self, process: ExaminationProcess, batch: Sequence[Request[Any]], /) -> None:
        """Send a batch to a process.

        Raises:
            ProcessEnded: The process is gone.
        """
        ...

    def receive(
        self, process: ExaminationProcess, batch: Sequence[Request[Value]], /
    ) -> list[Outcome[Value]]:
        """Return what came of the first batch that was sent and not answered.

        Raises:
            ProcessEnded: The process is gone, or must go.
        """
        ...

    def examine(self, requests: Sequence[Request[Value]], /) -> list[Outcome[Value]]:
        """Examine files in any process."""
        ...

    def examine_alone(self, batch: Sequence[Request[Value]], /) -> list[Outcome[Value]]:
        """Examine each file by itself, so that one which ends its process costs no other."""
        ...

    def give_back(self, process: ExaminationProcess, /) -> None:
        """Let others have a process."""
        ...

    def drop(self, process: ExaminationProcess, /) -> None:
        """End a process."""
        ...


class Pipeline(Generic[Value]):
    """One process, and the batches that are to be examined in their order, of which some were sent to it.

    While the process has something to do, nothing else is requested from the pool: there may be only the one process.
    """

    def __init__(self, pool: ProcessPool) -> None:
        self._pool = pool
        self._process: ExaminationProcess | None = None
        self._sent: deque[Sequence[Request[Value]]] = deque()
        self._unsent: deque[Sequence[Request[Value]]] = deque()

    def __len__(self) -> int:
        return len(self._sent) + len(self._unsent)

    def send(self, batch: Sequence[Request[Value]]) -> None:
        """Take in one more batch."""
        if self._unsent or not self._pool.is_quick(batch):
            self._unsent.append(batch)
            return
        try:
            if self._process is None:
                self._process = self._pool.take()
            self._sent.append(batch)
            self._pool.send(self._process, batch)
        except ProcessEnded:
            self._lose()
        except (NotExamined, OSError):
            # The same shows when it is this batch's turn.
            self._unsent.append(batch)

    def receive(self) -> list[Outcome[Value]]:
        """Return what came of the first batch."""
        if self._process is not None and self._sent:
            try:
                outcomes = self._pool.receive(self._process, self._sent[0])
            except ProcessEnded:
                self._lose()
                return self._pool.examine_alone(self._unsent.popleft())
            self._sent.popleft()
            return outcomes
        self.close()
        return self._pool.examine(self._unsent.popleft())

    def close(self) -> None:
        """Let others have the process."""
        if self._process is not None:
            process, self._process = self._process, None
            if self._sent:
                self._pool.drop(process)
            else:
                self._pool.give_back(process)

    def _lose(self) -> None:
        """Give up a process that is gone: what it was sent has to be examined again."""
        self.close()
        self._unsent.extendleft(reversed(self._sent))
        self._sent.clear()
