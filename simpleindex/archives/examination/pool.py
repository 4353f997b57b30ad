"""The pool of examining processes: started on demand, ended when idle, replaced when they fail.

Usable from any thread, and blocking: a caller that has a file examined reads a disk, writes to it or waits for a network in
the same function, in a thread already. A process that is free goes to who has waited longest.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from simpleindex.archives.examination.limits import ExaminationLimits, NotExamined
from simpleindex.archives.examination.line import Pipeline
from simpleindex.archives.examination.process import (
    EndCause,
    ExaminationProcess,
    ProcessEnded,
    UnexpectedError,
    default_program,
    not_begun,
    stopping,
    verdict,
)
from simpleindex.system.executables import cannot_run, not_run
from simpleindex.system.log import logger
from simpleindex.system.threads import core_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from simpleindex.archives.examination.process import Program
    from simpleindex.archives.examination.protocol import Outcome, Request

_log = logger(__name__)

Value = TypeVar("Value")

_TRIES: Final = 2
"""How often a file is examined by itself before it is held responsible for the end of the process."""


_SILENT_SECONDS: Final = 60.0
"""Between two lines of the log about processes that fail."""


class _Waiter:
    """A caller that waits for a process."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.process: ExaminationProcess | None = None


class ExaminationPool:
    """Processes that examine files, as many as there are cores at most.

    Args:
        program: What they run.
        limits: What they may use.
        most: How many there may be.
        monotonic: The clock by which idle processes end.

    Attributes:
        begun: Called, in any thread, whenever a process has been begun.
    """

    def __init__(
        self,
        program: Program,
        limits: ExaminationLimits,
        most: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.begun: Callable[[], None] = lambda: None
        self._program = program
        self._limits = limits
        self._most = most
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._idle: list[tuple[ExaminationProcess, float]] = []
        self._busy: set[ExaminationProcess] = set()
        self._starting = 0
        self._waiters: deque[_Waiter] = deque()
        self._is_stopped = False
        self._silent_until = float("-inf")

    @property
    def pids(self) -> tuple[int, ...]:
        """The numbers of the processes that there are."""
        with self._lock:
            return tuple(each.pid for each in (*self._busy, *(process for process, _ in self._idle)))

    def prepare(self) -> None:
        """Begin a process if there is none, so that it is ready when the first file comes."""
        with self._lock:
            if self._is_stopped or self._busy or self._idle or self._starting:
                return
            self._starting += 1
        with suppress(NotExamined):
            self.give_back(self._begin())

    def examine(self, requests: Sequence[Request[Value]]) -> list[Outcome[Value]]:
        """Examine files; see :class:`~simpleindex.archives.examination.protocol.Examiner`."""
        outcomes: dict[int, Outcome[Value]] = {}
        for batch in self._batches(requests):
            outcomes |= zip(batch, self._examine_batch([requests[index] for index in batch]), strict=True)
        return [outcomes[index] for index in range(len(requests))]

    def examine_in_turn(self, batches: Iterable[Sequence[Request[Value]]]) -> Iterator[list[Outcome[Value]]]:
        """Examine batches of files; see :class:`~simpleindex.archives.examination.protocol.Examiner`."""
        line: Pipeline[Value] = Pipeline(self)
        try:
            for batch in batches:
                line.send(batch)
                if len(line) > self._limits.batches_ahead:
                    yield line.receive()
            while line:
                yield line.receive()
        finally:
            line.close()

    def end_idle(self) -> None:
        """End the processes that have had nothing to do for long enough; to be called now and then."""
        latest = self._monotonic() - self._limits.idle_seconds
        with self._lock:
            ended = [process for process, since in self._idle if since <= latest]
            self._idle = [(process, since) for process, since in self._idle if since > latest]
        for process in ended:
            process.close()

    def stop(self) -> None:
        """End all processes at once, whatever they are doing; waiting calls fail because the service stops."""
        with self._lock:
            self._is_stopped = True
            busy, idle = [*self._busy], [process for process, _ in self._idle]
            waiters, self._waiters = self._waiters, deque()
            self._idle = []
        for process in (*busy, *idle):
            process.kill()
        for process in idle:
            process.close()
        for waiter in waiters:
            waiter.event.set()

    def _batches(self, requests: Sequence[Request[Value]]) -> Iterator[Sequence[int]]:
        """Put small files together, so that the way to the process and back costs little; gives their places."""
        small = []
        for index, request in enumerate(requests):
            if request.size > self._limits.batch_bytes:
                yield (index,)
            else:
                small.append(index)
        for start in range(0, len(small), self._limits.batch_files):
            yield small[start : start + self._limits.batch_files]

    def _examine_batch(self, batch: Sequence[Request[Value]]) -> list[Outcome[Value]]:
        if len(batch) > 1:
            try:
                return self._ask(batch, self._limits.batch_seconds)
            except ProcessEnded:
                # Which of them it was shows when each is examined by itself.
                pass
            except (NotExamined, OSError) as error:
                return [error for _ in batch]
        return self.examine_alone(batch)

    def examine_alone(self, batch: Sequence[Request[Value]]) -> list[Outcome[Value]]:
        """Examine each file by itself, so that it is known which of them ends the process."""
        return [self._examine_alone(request) for request in batch]

    def _examine_alone(self, request: Request[Value]) -> Outcome[Value]:
        is_description = request.kind == "description"
        seconds = (
            self._limits.description_seconds if is_description else self._limits.seconds_for(request.size)
        )
        error: Exception
        for _ in range(_TRIES):
            try:
                return self._ask([request], seconds)[0]
            except ProcessEnded as ended:
                error = verdict(ended, seconds, self._limits.memory)
                if ended.cause is EndCause.TIME:
                    break
            except (NotExamined, OSError) as other:
                return other
        if isinstance(error, NotExamined):
            self._complain(error)
        return error

    def _ask(self, requests: Sequence[Request[Value]], seconds: int) -> list[Outcome[Value]]:
        process = self.take()
        try:
            process.send(requests, seconds)
            outcomes = self.receive(process, requests, seconds)
        except BaseException:
            self.drop(process)
            if self._is_stopped:
                raise stopping() from None
            raise
        self.give_back(process)
        return outcomes

    # -- who has which process, also for longer than one answer -----------------------------------------------------

    def is_quick(self, batch: Sequence[Request[Any]]) -> bool:
        """Whether files are few and small, so that they are examined in one go."""
        limits = self._limits
        return 0 < len(batch) <= limits.batch_files and all(each.size <= limits.batch_bytes for each in batch)

    def send(self, process: ExaminationProcess, batch: Sequence[Request[Any]]) -> None:
        """Have a quick batch examined.

        Raises:
            ProcessEnded: The process is gone.
        """
        process.send(batch, self._limits.batch_seconds)

    def receive(
        self, process: ExaminationProcess, batch: Sequence[Request[Value]], seconds: int | None = None
    ) -> list[Outcome[Value]]:
        """Return what came of a batch.

        Raises:
            ProcessEnded: The process is gone, or must go.
        """
        seconds = self._limits.batch_seconds if seconds is None else seconds
        outcomes = process.receive(batch, self._limits.waiting_for(seconds))
        for request, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, UnexpectedError):
                _log.error(
                    "This should never happen; please report it. Examining {arguments}:\n{traceback}",
                    arguments=request.arguments,
                    traceback=outcome.traceback,
                )
        return outcomes

    def take(self) -> ExaminationProcess:
        """Return a process for the calling thread alone.

        Raises:
            NotExamined: None can be begun.
            InterruptedError: The service stops.
        """
        while True:
            with self._lock:
                if self._is_stopped:
                    raise stopping()
                if self._idle:
                    process, _ = self._idle.pop()
                    self._busy.add(process)
                    return process
                waiter = None
                if len(self._busy) + self._starting < self._most:
                    self._starting += 1
                else:
                    waiter = _Waiter()
                    self._waiters.append(waiter)
            if waiter is None:
                return self._begin()
            waiter.event.wait()
            if waiter.process is not None:
                return waiter.process

    def _begin(self) -> ExaminationProcess:
        try:
            process = ExaminationProcess(self._program, self._limits.memory)
        except OSError as error:
            with self._lock:
                self._starting -= 1
                self._wake()
            failed = not_begun(not_run(self._program.executable, error))
            self._complain(failed)
            raise failed from None
        with self._lock:
            self._starting -= 1
            self._busy.add(process)
            is_stopped = self._is_stopped
        if is_stopped:
            process.kill()
        self.begun()
        return process

    def give_back(self, process: ExaminationProcess) -> None:
        """Let others have a process that has answered every request."""
        with self._lock:
            if self._waiters and not self._is_stopped:
                waiter = self._waiters.popleft()
                waiter.process = process
                waiter.event.set()
                return
            self._busy.discard(process)
            if not self._is_stopped:
                self._idle.append((process, self._monotonic()))
                return
        process.close()

    def drop(self, process: ExaminationProcess) -> None:
        """End a process that cannot be used any more."""
        process.kill()
        process.close()
        with self._lock:
            self._busy.discard(process)
            self._wake()

    def _wake(self) -> None:
        """Let the caller that has waited longest start a process."""
        if self._waiters:
            self._waiters.popleft().event.set()

    def check(self) -> bool:
        """Return whether this user can run the program, and log why not; begins no process."""
        trouble = cannot_run(self._program.executable)
        if trouble is None:
            return True
        self._complain(not_begun(trouble))
        return False

    def _complain(self, error: NotExamined) -> None:
        now = self._monotonic()
        if now >= self._silent_until:
            self._silent_until = now + _SILENT_SECONDS
            if error.trouble is None:
                _log.warn("Files cannot be examined now, and are tried again: {error}.", error=error)
            else:
                _log.error("{trouble}", trouble=error.trouble.for_operator())


def open_examination() -> ExaminationPool:
    """Make the pool of this process; nothing is run before a file is to be examined."""
    return ExaminationPool(default_program(), ExaminationLimits(), core_count())
