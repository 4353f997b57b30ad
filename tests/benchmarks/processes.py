"""Run a server on its processor, and weigh it: processor time and memory of its process tree, from /proc."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_TICKS: Final = os.sysconf("SC_CLK_TCK")

_STOP_SECONDS: Final = 15.0

_PROCESSORS: Final = sorted(os.sched_getaffinity(0))
SERVER_PROCESSOR: Final = _PROCESSORS[0]
LOAD_PROCESSOR: Final = _PROCESSORS[-1]


@dataclass(frozen=True)
class Weight:
    """What a process tree weighs.

    Attributes:
        cpu: Seconds of user and system time so far.
        peak: The sum of its processes' peak resident memory, in bytes; shared pages count in each.
        resident: The same for now.
    """

    cpu: float
    peak: int
    resident: int


@dataclass(frozen=True)
class Memory:
    """What memory a process takes (proc(5), smaps_rollup), in bytes.

    Attributes:
        share: What several processes share counts in parts (Pss).
        unshared: What would be free if the process ended.
    """

    share: int
    unshared: int


class Running:
    """A process and all that it starts, in a session of its own."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
        *,
        processor: int | None = SERVER_PROCESSOR,
    ) -> None:
        """Start it, with both outputs going to a file."""
        self.command = tuple(command)
        self.log = log
        with on_processor(processor), log.open("ab") as output:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
            )

    @property
    def pid(self) -> int:
        """The number of the process itself."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it is still there."""
        return self._process.poll() is None

    def weigh(self) -> Weight:
        """Weigh the tree."""
        cpu, peak, resident = 0.0, 0, 0
        for pid in processes_of(self._process.pid):
            with contextlib.suppress(OSError):
                cpu += cpu_of(pid)
                status = dict(
                    line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
                )
                peak += int(status.get("VmHWM", "0 kB").split()[0]) * 1024
                resident += int(status.get("VmRSS", "0 kB").split()[0]) * 1024
        return Weight(cpu, peak, resident)

    def memory(self) -> dict[int, Memory]:
        """Return the memory of each process, by its number."""
        found = {}
        for pid in processes_of(self._process.pid):
            with contextlib.suppress(OSError):
                found[pid] = memory_of(pid)
        return found

    def shares(self) -> list[int]:
        """Return the memory of each process in bytes; what several share counts in parts (proc(5), Pss)."""
        return [each.share for each in self.memory().values()]

    def forget_peak(self) -> None:
        """Let the peak begin anew (proc(5), clear_refs)."""
        for pid in processes_of(self._process.pid):
            with contextlib.suppress(OSError):
                Path(f"/proc/{pid}/clear_refs").write_text("5")

    def freeze(self) -> None:
        """Let it cost nothing while another one has its turn."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it."""
        self.thaw()
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            # The group is its own session's: nobody else's process can be in it.
            os.killpg(self._process.pid, number)


@contextlib.contextmanager
def on_processor(number: int | None) -> Iterator[None]:
    """What is started meanwhile stays on that processor; on all of them where it is None."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, _PROCESSORS if number is None else {number})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def wait_until(true: Callable[[], object], seconds: float, what: str, *, every: float = 0.005) -> None:
    """Wait until a call returns something true; ask so many seconds apart.

    Raises:
        TimeoutError: It did not.
    """
    begin = time.monotonic()
    while not true():
        if time.monotonic() - begin > seconds:
            raise TimeoutError(f"{what} did not happen within {seconds:.0f} s")
        time.sleep(every)


def cpu_of(pid: int) -> float:
    """Return the seconds of processor time that a process has used."""
    # proc(5): utime, stime, and those of children waited for; the name before them may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS


def memory_of(pid: int) -> Memory:
    """Return what memory a process takes."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
    return Memory(sizes["Pss"], sizes["Private_Clean"] + sizes["Private_Dirty"])


def processes_below(root: int) -> list[int]:
    """Return the processes that one started, and theirs."""
    return [pid for pid in processes_of(root) if pid != root]


def processes_of(root: int) -> list[int]:
    """Return a process and all that it started."""
    parents: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(entry))
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += parents.get(pid, [])
    return found
