"""The server's end of one examining process, and what the end of one means for the file that it examined."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeVar

import packaging

import simpleindex
from simpleindex.archives.errors import BrokenArchive
from simpleindex.archives.examination import frames
from simpleindex.archives.examination.child import OUT_OF_MEMORY, PROTOCOL
from simpleindex.archives.examination.limits import ExaminationOverrun, NotExamined
from simpleindex.archives.examination.protocol import BadAnswer, text
from simpleindex.core.errors import InvalidFilename

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simpleindex.archives.examination.protocol import Outcome, Request
    from simpleindex.core.faults import Trouble

Value = TypeVar("Value")

# No site-packages, environment or working directory: the child imports what its parent has imported, from the same places.
_ISOLATED: Final = ("-I", "-S", "-B", "-c")
_CODE: Final = (
    # ^C on a terminal reaches every process there; this one ends when its parent does.
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    "import json, sys; descriptor, memory, module, paths = json.loads(sys.argv[1]); sys.path += paths; "
    "from simpleindex.archives.examination.child import main; main(descriptor, module, memory)"
)

# Where an interpreter that was moved finds its libraries; nothing else of the environment, which may hold passwords.
_ENVIRONMENT: Final = ("LD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE")

_START_SECONDS: Final = 60.0
_END_SECONDS: Final = 2.0

# Signals that a process brings upon itself; SIGKILL is the kernel's or an operator's, and says nothing of the file.
_OWN_SIGNALS: Final = frozenset({"SIGSEGV", "SIGBUS", "SIGABRT", "SIGFPE", "SIGILL", "SIGSYS", "SIGTRAP"})


class EndCause(Enum):
    """Why a process ended before it had answered."""

    TIME = "it computed for too long"
    MEMORY = "it needed too much memory"
    CRASH = "it crashed"
    BAD_ANSWER = "it gave an answer that is none"
    OUTSIDE = "it was ended from outside, or could not begin"
    WAITING = "it did not answer in time"


class ProcessEnded(Exception):
    """A process that was examining files is gone."""

    def __init__(self, cause: EndCause, detail: str) -> None:
        super().__init__(cause, detail)
        self.cause = cause
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Program:
    """How to run a process that examines files.

    Attributes:
        module: Whose ``JUDGEMENTS`` it has.
        paths: Where modules are imported from, beside the standard library.
    """

    module: str
    paths: tuple[str, ...]
    executable: str

    def command(self, descriptor: int, memory: int) -> list[str]:
        """Return its command line."""
        given = json.dumps([descriptor, memory, self.module, self.paths])
        return [self.executable, *_ISOLATED, _CODE, given]


def default_program() -> Program:
    """Return the program of this installation; to be called before the process changes its directory."""
    modules = (simpleindex.__file__, packaging.__file__)
    paths = dict.fromkeys(os.path.dirname(os.path.dirname(os.path.abspath(each))) for each in modules)
    return Program("simpleindex.archives.examination.judgements", tuple(paths), sys.executable)


class ExaminationProcess:
    """A running process; used by one thread at a time, but for :meth:`kill`.

    Args:
        program: What to run.
        memory: Bytes that it may add to what it begins with.

    Raises:
        OSError: It cannot be run.
    """

    def __init__(self, program: Program, memory: int) -> None:
        self._is_greeted = False
        self._channel, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
                    program.command(theirs.fileno(), memory),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    cwd="/",
                    env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                )
        except BaseException:
            self._channel.close()
            raise

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def send(self, requests: Sequence[Request[Any]], seconds: int) -> None:
        """Have files examined, after all that were sent before.

        Args:
            requests: No more than :data:`~simpleindex.archives.examination.frames.MOST_DESCRIPTORS`.
            seconds: Of computing time for all of them.

        Raises:
            ProcessEnded: It is gone.
        """
        items = [(request.kind, request.arguments) for request in requests]
        try:
            self._channel.settimeout(_START_SECONDS)
            frames.send(self._channel, (seconds, items), [request.descriptor for request in requests])
        except OSError:
            raise self._ended() from None

    def receive(self, requests: Sequence[Request[Value]], waiting: float) -> list[Outcome[Value]]:
        """Return what came of those that were sent first of all that are not yet answered.

        Args:
            requests: The same.
            waiting: Seconds to wait for it.

        Raises:
            ProcessEnded: It is gone, or must be killed for its answer.
        """
        most = sum(request.longest_answer for request in requests)
        try:
            if not self._is_greeted:
                self._greet()
            answers = self._receive(most, time.monotonic() + waiting)
            if not isinstance(answers, list) or len(answers) != len(requests):
                raise BadAnswer("another number of answers")
            return [_outcome(each, answer) for each, answer in zip(requests, answers, strict=True)]
        except TimeoutError:
            raise ProcessEnded(EndCause.WAITING, f"it did not answer within {waiting:.0f} seconds") from None
        except (BadAnswer, frames.BadFrame) as error:
            raise ProcessEnded(EndCause.BAD_ANSWER, f"it answered what it never should ({error})") from None
        except (EOFError, OSError):
            raise self._ended() from None

    def _greet(self) -> None:
        greeting = self._receive(100, time.monotonic() + _START_SECONDS)
        if greeting != PROTOCOL:
            raise ProcessEnded(EndCause.OUTSIDE, "another version is installed now; restart the server")
        self._is_greeted = True

    def _receive(self, most: int, end: float) -> Any:
        return frames.receive(_DeadlineSocket(self._channel, end), most)

    def _ended(self) -> ProcessEnded:
        """Find out why it is gone."""
        status = self._wait()
        if status is None:
            return ProcessEnded(EndCause.OUTSIDE, "it closed its socket")
        if status == OUT_OF_MEMORY:
            return ProcessEnded(EndCause.MEMORY, "it needed too much memory")
        if status >= 0:
            return ProcessEnded(EndCause.OUTSIDE, f"it ended with status {status}")
        name = signal.Signals(-status).name
        if name == "SIGXCPU":
            return ProcessEnded(EndCause.TIME, "it computed for too long")
        return ProcessEnded(
            EndCause.CRASH if name in _OWN_SIGNALS else EndCause.OUTSIDE, f"it was ended by {name}"
        )

    def kill(self) -> None:
        """End it at once; from any thread. A call that waits for its answer raises an error."""
        self._process.kill()

    def close(self) -> None:
        """Close the connection to the process, which ends then."""
        self._channel.close()
        if self._wait() is None:
            self.kill()
            # If it waits for a disk, the kernel ends it when that is over.
            self._wait()

    def _wait(self) -> int | None:
        try:
            return self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            return None


class _DeadlineSocket:
    """A socket whose timeouts together end at one time, however slowly something arrives."""

    def __init__(self, channel: socket.socket, end: float) -> None:
        self._channel = channel
        self._end = end

    def recv(self, length: int) -> bytes:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._channel.settimeout(left)
        return self._channel.recv(length)


def _outcome(request: Request[Value], answer: object) -> Outcome[Value]:
    match answer:
        case ["value", value]:
            return request.read(value)
        case ["broken", reason, bool(perhaps_unfinished)]:
            return BrokenArchive(text(reason), perhaps_unfinished=perhaps_unfinished)
        case ["name", _, reason]:
            return InvalidFilename(str(request.arguments[0]), text(reason))
        case ["system", int(number)]:
            return OSError(number, os.strerror(number & 0xFFFF))
        case ["surprise", str(words)]:
            return UnexpectedError(words)
    raise BadAnswer(repr(answer)[:100])


class UnexpectedError(Exception):
    """An error of this program that a file brought about; the pool has logged it."""

    def __init__(self, traceback: str) -> None:
        super().__init__("examining it came upon an error of this index, which its log describes")
        self.traceback = traceback


def verdict(ended: ProcessEnded, seconds: int, memory: int) -> ExaminationOverrun | NotExamined:
    """Return what the end of a process means for the one file that it examined.

    Args:
        ended: How it ended.
        seconds: Of computing time that it was allowed.
        memory: Bytes that it was allowed.
    """
    match ended.cause:
        case EndCause.TIME:
            return ExaminationOverrun(f"examining it takes more than {seconds} seconds of computing time")
        case EndCause.MEMORY:
            return ExaminationOverrun(f"examining it takes more than {memory >> 20} MiB of memory")
        case EndCause.CRASH | EndCause.BAD_ANSWER:
            return ExaminationOverrun(f"examining it ended the process that did so: {ended.detail}")
    return NotExamined(f"the process that examines files failed: {ended.detail}")


def not_begun(trouble: Trouble) -> NotExamined:
    """Return the error for a file where no process can be begun."""
    reason = f"no process that examines files can be begun: {trouble.cause}"
    return NotExamined(reason, None if trouble.is_passing else trouble)


def stopping() -> InterruptedError:
    """Return the error for a file whose examination the end of the service interrupts."""
    return InterruptedError(errno.EINTR, "the service is stopping")
