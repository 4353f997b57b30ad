"""Files are examined in processes that cannot do more than that, and that end when they overrun; nobody else is harmed."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import os
import re
import signal
import struct
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from twisted.logger import LogLevel

from simpleindex.access.identity import UploadRules
from simpleindex.archives.distribution_reader import DistributionReader
from simpleindex.archives.errors import BrokenArchive
from simpleindex.archives.examination import process as process_module
from simpleindex.archives.examination.limits import ExaminationLimits, ExaminationOverrun, NotExamined
from simpleindex.archives.examination.pool import ExaminationPool
from simpleindex.archives.examination.process import Program, UnexpectedError, default_program
from simpleindex.archives.examination.protocol import (
    BadAnswer,
    MissingSpan,
    Request,
    WheelMetadata,
    distribution,
    read_number,
    side_file,
    text,
    upload,
    wheel_end,
)
from simpleindex.archives.inspect import inspect_distribution
from simpleindex.core.errors import InvalidFilename
from simpleindex.core.names import ProjectName, parse_distribution_name
from simpleindex.directory.layout.package_directory import PackageDirectory
from simpleindex.directory.scan.digest_cache import DigestCache
from simpleindex.directory.scan.scanner import Scanner
from simpleindex.directory.scan.snapshot import NO_SNAPSHOT, ScanJob
from simpleindex.upstreams.fetching.wheel_examiner import WheelParts
from tests.fixtures.deferreds import error, result
from tests.fixtures.depth import THOROUGH
from tests.fixtures.distributions import add_wheel, sdist_bytes, sdist_name, wheel_bytes, wheel_name
from tests.fixtures.examiner import InProcessExaminer
from tests.fixtures.log import CapturedLog, log_with
from tests.fixtures.tables import for_each
from tests.fixtures.threads import InlineThreads
from tests.fixtures.trees import FAR_NS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ACME = ProjectName("acme")
MIB = 1 << 20

# Seconds of computing are the kernel's, and whole.
LIMITS = ExaminationLimits(cpu_seconds=1, batch_seconds=1, memory=64 * MIB)


def wayward_program() -> Program:
    """What runs the judgements of :mod:`tests.archives.wayward`."""
    here = str(Path(__file__).parent.parent.parent)
    program = default_program()
    return replace(program, module="tests.archives.wayward", paths=(*program.paths, here))


@dataclass
class Bench:
    """A pool, and files to be examined by it.

    Attributes:
        pool: Of processes that run :mod:`tests.archives.wayward`.
        place: Where files are made.
        now: The time by which processes idle.
        log: What was logged.
        opened: Descriptors.
    """

    pool: ExaminationPool
    place: Path
    now: float
    log: CapturedLog
    opened: list[int]

    @property
    def lines(self) -> list[str]:
        """What was logged."""
        return self.log.lines

    def request(
        self, kind: str, *arguments: Any, content: str = "content", size: int | None = None
    ) -> Request[Any]:
        """Ask something of a new file."""
        path = self.place / f"file{len(self.opened)}"
        path.write_text(content)
        self.opened.append(os.open(path, os.O_RDWR))
        return Request(
            kind, arguments, self.opened[-1], len(content) if size is None else size, lambda value: value
        )

    def outcomes(self, *requests: Request[Any]) -> list[Any]:
        """What comes of them."""
        return self.pool.examine(requests)

    def assert_works(self) -> None:
        """See that files are examined."""
        assert self.outcomes(self.request("content", content="well")) == ["well"]


@contextmanager
def running(
    place: Path, limits: ExaminationLimits = LIMITS, most: int = 2, program: Program | None = None
) -> Iterator[Bench]:
    """A pool that is stopped at the end, and leaves no process."""
    log = CapturedLog()
    bench = Bench(None, place, 0.0, log, [])  # type: ignore[arg-type]
    bench.pool = ExaminationPool(program or wayward_program(), limits, most, lambda: bench.now)
    try:
        with log:
            yield bench
    finally:
        pids = bench.pool.pids
        bench.pool.stop()
        for descriptor in bench.opened:
            os.close(descriptor)
    assert not any(map(is_alive, pids))


def is_alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """The usual one."""
    with running(tmp_path) as made:
        yield made


# -- what is asked of real files ----------------------------------------------------------------------------------------


def test_real_judgements_are_the_same_as_here(tmp_path: Path) -> None:
    """A process says of each kind of file what the functions themselves say, also of those that are broken."""
    data = {
        wheel_name(): wheel_bytes(),
        sdist_name(): sdist_bytes(),
        wheel_name("acme", "2.0"): wheel_bytes("acme", "2.0")[:-1],
        "acme-3.0.tar.gz": b"no archive",
        "acme-x.whl": wheel_bytes(),
        "other-1.0.tar.gz": sdist_bytes("other"),
        "empty-1.0.tar.gz": b"",
    }
    with running(tmp_path, ExaminationLimits(), program=default_program()) as bench:
        requests: list[Request[Any]] = []
        for filename, content in data.items():
            path = tmp_path / filename
            path.write_bytes(content)
            bench.opened.append(os.open(path, os.O_RDONLY))
            requests.append(distribution(bench.opened[-1], len(content), filename, ACME))
        requests += [
            upload(
                bench.opened[0], len(data[wheel_name()]), parse_distribution_name(wheel_name()), UploadRules()
            ),
            upload(
                bench.opened[1], len(data[sdist_name()]), parse_distribution_name(sdist_name()), UploadRules()
            ),
            side_file(bench.opened[3], 10, ".asc"),
        ]
        there, here = bench.outcomes(*requests), InProcessExaminer().examine(requests)
    assert [*map(repr, there)] == [*map(repr, here)]
    assert there[0] == inspect_distribution(io.BytesIO(wheel_bytes()), parse_distribution_name(wheel_name()))
    assert [*map(type, there[2:6])] == [BrokenArchive, BrokenArchive, InvalidFilename, InvalidFilename]


def test_no_process_is_begun_for_what_is_known(tmp_path: Path) -> None:
    """A start with everything remembered begins none."""
    root = tmp_path / "root"
    for version in ("1.0", "2.0"):
        add_wheel(root, "acme", version)
    directory = PackageDirectory(str(root))
    for begun in (1, 0):
        digests = DigestCache(str(tmp_path / "cache"), str(root), log_with(pytest.fail))
        digests.open()
        with running(tmp_path, ExaminationLimits(), program=default_program()) as bench:
            reader = Scanner(directory, digests, lambda: FAR_NS, examiner=bench.pool)
            snapshot = reader.read_project(ScanJob(ACME, ("acme",), (), NO_SNAPSHOT), budget=MIB)
            assert snapshot.project is not None
            assert len(snapshot.project.files) == 2
            assert len(bench.pool.pids) == begun
        digests.close()


def test_the_end_of_a_wheel(tmp_path: Path) -> None:
    """From parts of it a process says which others are needed, and then what the metadata are."""
    data = wheel_bytes("acme", "1.0", "Requires-Python: >=3.9")
    with running(tmp_path, ExaminationLimits(), program=default_program()) as bench, WheelParts() as parts:
        asked = []
        for _ in range(20):
            (outcome,) = bench.outcomes(wheel_end(parts.file.fileno(), wheel_name(), len(data), parts.spans))
            if not isinstance(outcome, MissingSpan):
                break
            asked.append((outcome.offset, outcome.length))
            parts.add(outcome.offset, data[outcome.offset : outcome.offset + outcome.length])
        assert isinstance(outcome, WheelMetadata)
        assert outcome.requires_python == ">=3.9"
        assert b"Requires-Python: >=3.9" in outcome.data
        assert asked
        (broken,) = bench.outcomes(
            wheel_end(parts.file.fileno(), wheel_name("other"), len(data), parts.spans)
        )
        assert isinstance(broken, BrokenArchive)


@for_each(
    "answer",
    [
        ["missing", -1, 5],
        ["missing", 0, "5"],
        ["missing", 0],
        ["metadata", "\u0100", None],
        ["metadata", "x", "two\nlines"],
        ["metadata", None, None],
        ["other", 0, 0],
        "missing",
        None,
        {},
    ],
    ids=repr,
)
def test_answers_about_ends_that_are_none(answer: Any) -> None:
    """Numbers of bytes are not negative, and bytes are bytes."""
    with pytest.raises(BadAnswer):
        wheel_end(0, wheel_name(), 1000, ()).read(answer)


GOOD_ANSWER: list[Any] = ["1.0", "0" * 64, None, ["f" * 64, 3], [1, 2, 8]]


@for_each(
    ("place", "value"),
    [
        *(
            (0, None),
            (0, "x" * 5000),
            (0, "1.0\n"),
            (1, "0" * 63),
            (1, "F" * 64),
            (1, None),
            (2, 7),
            (2, "\x1b[31m"),
        ),
        *(
            (3, None),
            (3, ["f" * 64]),
            (3, ["f" * 64, -3]),
            (3, "f" * 64),
            (4, None),
            (4, [1, 2]),
            (4, [1, 2, True]),
        ),
    ],
)
def test_facts_that_are_none(place: int, value: Any) -> None:
    """What goes into listings and logs is looked at twice."""
    read = distribution(0, 1, wheel_name(), None).read
    assert read(GOOD_ANSWER).version == "1.0"
    with pytest.raises(BadAnswer):
        read([*GOOD_ANSWER[:place], value, *GOOD_ANSWER[place + 1 :]])
    wrongs: list[Any] = [[], GOOD_ANSWER[:4], [*GOOD_ANSWER, 1], "facts", None, {}]
    for wrong in wrongs:
        with pytest.raises(BadAnswer):
            read(wrong)


# -- what a process may do ----------------------------------------------------------------------------------------------


def test_confined(bench: Bench) -> None:
    """It has nothing of its parent's but the files that it was given, and can get nothing else."""
    (seen,) = bench.outcomes(bench.request("see"))
    assert seen["refused"] == {"open": errno.EMFILE, "socket": errno.EMFILE, "write": errno.EFBIG}
    assert {*seen["environment"]} <= {"LD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE"}
    assert seen["directory"] == "/"
    assert seen["limits"] == {"RLIMIT_NPROC": [0, 0], "RLIMIT_CORE": [0, 0]}
    heavy = re.compile(r"twisted|asyncio|ssl|sqlite3|cryptography|multiprocessing|ctypes\.util")
    assert not [name for name in seen["modules"] if heavy.match(name)]
    (pid,) = bench.pool.pids
    if sys.platform == "linux":
        assert "NoNewPrivs:\t1" in Path(f"/proc/{pid}/status").read_text()
        kinds = [
            os.readlink(f"/proc/{pid}/fd/{number}").partition(":")[0]
            for number in os.listdir(f"/proc/{pid}/fd")
        ]
        assert sorted(kinds) == ["/dev/null", "/dev/null", "/dev/null", "socket"]


def test_signals_to_the_whole_group_do_not_end_it(bench: Bench) -> None:
    """Ctrl-C, or a service that is stopped: the parent decides when nobody waits for an answer any more."""
    bench.assert_works()
    (pid,) = bench.pool.pids
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, each)
    bench.assert_works()
    assert bench.pool.pids == (pid,)


def test_nothing_is_loaded_while_files_are_examined(bench: Bench) -> None:
    """What a judgement would load on its way could not be loaded there, and would be an error of ours."""
    with running(bench.place, ExaminationLimits(), program=default_program()) as real:
        requests: list[Request[Any]] = []
        for filename, data in whole_and_broken():
            path = bench.place / filename
            path.write_bytes(data)
            real.opened.append(os.open(path, os.O_RDONLY))
            name = parse_distribution_name(filename)
            requests += [
                distribution(real.opened[-1], len(data), filename, name.project),
                upload(real.opened[-1], len(data), name, UploadRules()),
                side_file(real.opened[-1], len(data), ".provenance"),
            ]
        outcomes = real.outcomes(*requests)
    assert real.lines == []
    assert not [
        outcome for outcome in outcomes if isinstance(outcome, OSError | UnexpectedError | ExaminationOverrun)
    ]
    assert sum(not isinstance(outcome, Exception) for outcome in outcomes) >= 6


def whole_and_broken() -> Iterator[tuple[str, bytes]]:
    """Archives of every form, each also cut off, damaged, and with texts in other encodings."""
    odd = "Metadata-Version: 2.1\nName: acme\nVersion: 1.0\nSummary: K\xf6ln\n\nK\xf6ln"
    for encoding in ("utf-8", "latin-1", "utf-8-sig", "utf-16", "cp437"):
        data = wheel_bytes(metadata=odd.encode(encoding))
        yield wheel_name(), data
        yield wheel_name(), data[: len(data) // 2]
        yield wheel_name(), data.replace(b"METADATA", b"METADAT\xff")
    points = "[console_scripts]\nacme = acme:main\n".encode("utf-8-sig")
    yield wheel_name(), wheel_bytes(files={"acme-1.0.dist-info/entry_points.txt": points})
    sdist = gzip.decompress(sdist_bytes())
    packers: dict[str, Callable[[bytes], bytes]] = {
        ".tar.gz": gzip.compress,
        ".tar.bz2": bz2.compress,
        ".tar.xz": lzma.compress,
        ".tar": bytes,
    }
    for suffix, pack in packers.items():
        yield f"acme-1.0{suffix}", pack(sdist)
        yield f"acme-1.0{suffix}", pack(sdist[:700])
        yield f"acme-1.0{suffix}", pack(sdist)[:-9]
    yield "acme-1.0.zip", wheel_bytes()


# -- who overruns -------------------------------------------------------------------------------------------------------

OVERRUNS: dict[str, tuple[str, tuple[Any, ...], str]] = {
    "time": ("compute", (), "examining it takes more than 0 seconds of computing time"),
    "memory": ("eat", (), "examining it takes more than 64 MiB of memory"),
    "crash": (
        "die",
        (int(signal.SIGSEGV),),
        "examining it ended the process that did so: it was ended by SIGSEGV",
    ),
    "abort": (
        "die",
        (int(signal.SIGABRT),),
        "examining it ended the process that did so: it was ended by SIGABRT",
    ),
    "no json": ("talk", ("\0\0\0\1x",), r"it answered what it never should \(no JSON\)"),
    "deep json": (
        "talk",
        (struct.pack("!I", 10_000).decode("latin-1") + "[" * 10_000,),
        "never should .no JSON",
    ),
    "endless": ("talk", ("\xff\xff\xff\xff",), r"it answered what it never should \(4294967295 bytes\)"),
    "no list": (
        "talk",
        ("\0\0\0\1" + "7",),
        r"it answered what it never should \(another number of answers\)",
    ),
    "no answer": ("talk", ("\0\0\0\3[7]",), r"it answered what it never should \(7\)"),
    "too long": ("return", ("x", MIB), r"it answered what it never should \(\d+ bytes\)"),
}


TRIED = [each for each in OVERRUNS if THOROUGH or each not in {"abort", "deep json", "no list"}]
"""Without those that another one is like."""


@for_each(("kind", "arguments", "sentence"), [OVERRUNS[each] for each in TRIED], ids=TRIED)
def test_overruns(kind: str, arguments: tuple[Any, ...], sentence: str, tmp_path: Path) -> None:
    """The file is refused with a sentence, its neighbours are unharmed, and the process is replaced."""
    # The second that has begun, and none more.
    with running(tmp_path, replace(LIMITS, cpu_seconds=0, batch_seconds=0)) as bench:
        bench.assert_works()
        before = bench.pool.pids
        first, outcome, last = bench.outcomes(
            bench.request("content", content="first"),
            bench.request(kind, *arguments),
            bench.request("content", content="last"),
        )
        assert (first, last) == ("first", "last")
        assert isinstance(outcome, ExaminationOverrun)
        assert re.search(sentence, outcome.reason)
        assert not outcome.perhaps_unfinished
        assert not any(map(is_alive, before))
        bench.assert_works()
        assert bench.lines == []


def test_a_value_that_is_none(bench: Bench) -> None:
    """What the reader of an answer does not take is as good as garbage."""
    strange = replace(bench.request("return", "two\nlines"), read=text)
    (outcome,) = bench.outcomes(strange)
    assert isinstance(outcome, ExaminationOverrun)
    assert "it answered what it never should" in outcome.reason


@pytest.mark.parametrize("value", [True, -1, 1 << 64, "1", None, 1.0, [1]])
def test_numbers_are_numbers(value: Any) -> None:
    """JSON has more than what a size can be."""
    with pytest.raises(BadAnswer):
        read_number(value)


@pytest.mark.parametrize(("kind", "arguments", "word"), [("die", (9,), "SIGKILL"), ("leave", (), "status 3")])
def test_ended_from_outside(kind: str, arguments: tuple[int, ...], word: str, bench: Bench) -> None:
    """A process that somebody else ends says nothing of the file: it is tried again later, and the log has a line."""
    outcome, neighbour = bench.outcomes(bench.request(kind, *arguments), bench.request("content"))
    assert isinstance(outcome, NotExamined)
    assert word in outcome.reason
    assert neighbour == "content"
    assert len(bench.lines) == 1
    assert word in bench.lines[0]
    bench.outcomes(bench.request(kind, *arguments))
    assert len(bench.lines) == 1
    bench.assert_works()


def test_ended_once(bench: Bench) -> None:
    """Killed while it works: what it had is examined by another, and nobody hears of it."""
    mark = bench.place / "mark"
    for others in (0, 2):
        mark.touch()
        outcomes = bench.outcomes(
            bench.request("die once", str(mark)), *(bench.request("content") for _ in range(others))
        )
        assert outcomes == ["content"] * (1 + others)
    assert bench.lines == []


def test_an_error_of_our_own(bench: Bench) -> None:
    """It is reported once, with where it was, and the process goes on."""
    outcome, neighbour = bench.outcomes(bench.request("raise"), bench.request("content"))
    assert isinstance(outcome, UnexpectedError)
    assert neighbour == "content"
    (line,) = bench.lines
    assert "This should never happen" in line
    assert "KeyError: 'what nobody thought of'" in line
    assert len(bench.pool.pids) == 1


def test_too_slow(tmp_path: Path) -> None:
    """One that does not answer, and does not compute either, is given up; that is not the file's fault."""
    with running(tmp_path, replace(LIMITS, waiting=0.3, waiting_factor=0)) as bench:
        mark = tmp_path / "mark"
        mark.touch()
        (outcome,) = bench.outcomes(bench.request("wait", str(mark)))
        assert isinstance(outcome, NotExamined)
        assert "it did not answer within" in outcome.reason


# -- their number, and their end ----------------------------------------------------------------------------------------


def in_threads(number: int, work: Callable[[], object]) -> None:
    """Do something in several threads at the same time."""
    threads = [threading.Thread(target=work) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


@pytest.mark.parametrize("most", [1, 2])
def test_never_more_than_cores(most: int, tmp_path: Path) -> None:
    """However many threads ask."""
    with running(tmp_path, most=most) as bench:
        requests = [[bench.request("content", content=f"{a}.{b}") for b in range(3)] for a in range(20)]
        left, seen, done = list(requests), set(), []

        def work() -> None:
            while left:
                mine = left.pop()
                done.append(bench.outcomes(*mine) == [f"{requests.index(mine)}.{b}" for b in range(3)])
                seen.add(len(bench.pool.pids))

        in_threads(4, work)
        assert done == [True] * 20
        assert max(seen) <= most


def test_idle_processes_end(bench: Bench) -> None:
    """After a minute without work, and not before; work begins the minute anew."""
    bench.assert_works()
    (pid,) = bench.pool.pids
    bench.now = 59.0
    bench.pool.end_idle()
    bench.assert_works()
    bench.now = 118.0
    bench.pool.end_idle()
    assert bench.pool.pids == (pid,)
    bench.now = 119.0
    bench.pool.end_idle()
    assert not bench.pool.pids
    assert not is_alive(pid)
    bench.assert_works()


def test_stopped_at_work(tmp_path: Path) -> None:
    """Callers that wait for a process, or for their turn, are refused when the service stops."""
    with running(tmp_path, replace(LIMITS, cpu_seconds=1000), most=1) as bench:
        mark = tmp_path / "mark"
        mark.touch()
        outcomes: list[Any] = []
        requests = [bench.request("wait", str(mark)), bench.request("compute")]
        threads = [
            threading.Thread(target=lambda each=each: outcomes.extend(bench.outcomes(each)))
            for each in requests
        ]
        threads[0].start()
        while mark.exists():
            threads[0].join(0.01)
        threads[1].start()
        while not bench.pool._waiters:
            threads[1].join(0.01)
        (pid,) = bench.pool.pids
        bench.pool.stop()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
        assert [(type(each), each.errno) for each in outcomes] == [(InterruptedError, errno.EINTR)] * 2
        assert not is_alive(pid)
        (late,) = bench.outcomes(bench.request("content"))
        assert isinstance(late, InterruptedError)


def test_none_can_be_begun(tmp_path: Path) -> None:
    """Without an interpreter nothing is examined, nothing is concluded of the files, and one line says so."""
    program = replace(wayward_program(), executable="/nonexistent/python")
    with running(tmp_path, program=program) as bench:
        for outcome in bench.outcomes(bench.request("content"), bench.request("content", size=MIB)):
            assert isinstance(outcome, NotExamined)
            assert "no process that examines files can be begun: No such file or directory" in outcome.reason
            assert outcome.trouble is not None
            assert outcome.trouble.status == 500
        (line,) = bench.lines
        assert bench.log.of(LogLevel.error) == [line]
        assert line.startswith("/nonexistent/python cannot be run by ")
        assert outcome.trouble.for_operator() == line


def test_a_program_that_cannot_be_run_is_known_at_the_start(tmp_path: Path) -> None:
    """Before the first file comes, and without a process: a Python below another user's home is common."""
    forbidden = tmp_path / "python"
    forbidden.write_text("#!/bin/sh")
    for executable, runs in ((sys.executable, True), (str(forbidden), False), ("/nonexistent/python", False)):
        with running(tmp_path, program=replace(wayward_program(), executable=executable)) as bench:
            assert bench.pool.check() is runs
            assert len(bench.log.of(LogLevel.error)) == len(bench.lines) == (0 if runs else 1)
            assert bench.pool.pids == ()


def test_another_version_is_installed(monkeypatch: pytest.MonkeyPatch, bench: Bench) -> None:
    """A server that was upgraded and not restarted says so, and does not guess."""
    monkeypatch.setattr(process_module, "PROTOCOL", -1)
    (outcome,) = bench.outcomes(bench.request("content"))
    assert isinstance(outcome, NotExamined)
    assert "another version is installed now; restart the server" in outcome.reason


def test_prepared(bench: Bench) -> None:
    """One process is begun ahead, and it is the one that the first file goes to."""
    bench.pool.prepare()
    bench.pool.prepare()
    (pid,) = bench.pool.pids
    bench.assert_works()
    assert bench.pool.pids == (pid,)


def test_prepared_in_vain(tmp_path: Path) -> None:
    """Where none can be begun, that is said, and nothing else."""
    with running(tmp_path, program=replace(wayward_program(), executable="/nonexistent/python")) as bench:
        bench.pool.prepare()
        assert len(bench.lines) == 1
        bench.pool.stop()
        bench.pool.prepare()


# -- one batch after the other ------------------------------------------------------------------------------------------


def batches(bench: Bench, *kinds: str) -> Iterator[list[Request[Any]]]:
    """One batch of three files for each kind, with that in the middle."""
    for turn, kind in enumerate(kinds):
        middle = bench.request("content", content=f"{turn} middle", size=MIB) if kind == "large" else None
        arguments = (9,) if kind == "die" else ()
        yield [
            bench.request("content", content=f"{turn} first"),
            middle
            or bench.request("content" if kind == "large" else kind, *arguments, content=f"{turn} middle"),
            bench.request("content", content=f"{turn} last"),
        ]


@pytest.mark.parametrize("most", [1, 2])
@pytest.mark.parametrize(
    "kinds",
    [
        *([], ["content"], ["content"] * 9, ["large"] * 3, ["content", "large", "content", "content"]),
        *(["die"], ["content", "die", "content", "content", "content", "large"], ["raise", "content"]),
    ],
    ids=lambda kinds: "-".join(kinds) or "none",
)
def test_in_turn(kinds: Sequence[str], most: int, tmp_path: Path) -> None:
    """Each batch gets its own outcomes, whatever happens to the process in between, also where there is only one."""
    with running(tmp_path, most=most) as bench:
        for turn, outcomes in enumerate(bench.pool.examine_in_turn(batches(bench, *kinds))):
            first, middle, last = outcomes
            assert (first, last) == (f"{turn} first", f"{turn} last")
            if kinds[turn] in {"content", "large"}:
                assert middle == f"{turn} middle"
            else:
                assert isinstance(middle, NotExamined | UnexpectedError)
        assert len(bench.opened) == 3 * len(kinds)
        bench.assert_works()


def test_an_empty_batch(bench: Bench) -> None:
    """Where nothing of it could be opened, nothing comes of it, in its place."""
    middle = bench.request("content")
    assert [*bench.pool.examine_in_turn([[], [middle], []])] == [[], ["content"], []]


def test_in_turn_left_early(bench: Bench) -> None:
    """The pool still works after a caller that takes no more."""
    line = bench.pool.examine_in_turn(batches(bench, *["content"] * 9))
    next(line)
    line.close()  # type: ignore[attr-defined]
    assert bench.pool.pids == ()
    bench.assert_works()


# -- how much is allowed ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "needed"),
    [(1_000, 0.001), (50 * MIB, 3), (2 << 30, 14), (5 << 30, 14), (700 * MIB, 60)],
    ids=["tiny", "large sdist", "2 GB deflated wheel", "sparse zip64 wheel", "bzip2"],
)
def test_honest_giants_pass(size: int, needed: float) -> None:
    """Ten times what was measured for the largest files known, for machines that are slower than ours."""
    assert ExaminationLimits().seconds_for(size) >= 10 * needed


@pytest.mark.parametrize(
    ("text", "content_type"),
    [
        ("<div>" * 100_000, "text/markdown"),
        (">" * 500_000, "text/markdown"),
        (
            "".join(f".. |a{n}| replace:: {f'|a{n + 1}| ' * 9}\n" for n in range(30))
            + ".. |a30| replace:: x\n\n|a0|",
            "text/x-rst",
        ),
    ][: 3 if THOROUGH else 1],
)
def test_descriptions_that_take_for_ever(text: str, content_type: str, tmp_path: Path) -> None:
    """Each took a thread of the server, and the interpreter with it, for minutes or without end."""
    limits = ExaminationLimits(description_seconds=1, cpu_seconds=60)
    with running(tmp_path, limits, program=default_program()) as bench:
        reader = DistributionReader(bench.pool, InlineThreads())
        assert isinstance(error(reader.description(text, content_type)), ExaminationOverrun)
        html, has_images = result(reader.description("```rust\nfn main() {}\n```\n![a](b)", "text/markdown"))
    assert "main" in html
    assert has_images
