"""A writer that ends, or fails, at any call that changes the file system: the old state or the new one, and no litter."""

from __future__ import annotations

import ast
import errno
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.core.errors import CannotStore, SimpleIndexError
from simpleindex.core.faults import fault_of
from simpleindex.core.names import LEDGER
from simpleindex.directory.layout.package_directory import PackageDirectory
from simpleindex.directory.scan.digest_cache import DigestCache
from simpleindex.directory.scan.scanner import Scanner
from simpleindex.directory.scan.snapshot import NO_SNAPSHOT, ScanJob
from simpleindex.publishing.local import deletions, staging, trash
from simpleindex.publishing.local import ledger_changes as ledgers
from simpleindex.publishing.local import locked_project as locking
from simpleindex.publishing.local import project_file_writer as project_files
from simpleindex.publishing.local import recovery as mending
from simpleindex.publishing.local import writer as writing
from simpleindex.publishing.local.staging import STAGING
from tests.fixtures.depth import part
from tests.fixtures.examiner import InProcessExaminer
from tests.fixtures.faults import ACME, CHANGING, SCENARIOS, Faults, writer
from tests.fixtures.trees import FAR_NS

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULES = (deletions, ledgers, locking, mending, project_files, staging, trash, writing)


def served(root: Path, cache: Path) -> Any:
    """What an index that starts now would say of the project."""
    directory = PackageDirectory(str(root))
    survey = directory.survey()
    places = survey.directories.get(ACME, ()), survey.loose.get(ACME, ())
    reader = Scanner(
        directory, DigestCache(str(cache), str(root)), lambda: FAR_NS, examiner=InProcessExaminer()
    )
    snapshot = reader.read_project(ScanJob(ACME, *places, NO_SNAPSHOT), budget=2**30)
    assert snapshot.trouble is None
    if (project := snapshot.project) is None:
        return None
    files = [
        (file.filename, file.sha256, file.yanked, file.signatures, file.provenance) for file in project.files
    ]
    return files, project.withheld, project.status, project.status_reason


def tree(root: Path) -> frozenset[str]:
    """Every path, without the staging directory, which stays, and ledgers, also where there is nothing else."""
    paths = [path for path in root.rglob("*") if path.name not in {STAGING, LEDGER}]
    return frozenset(
        str(path.relative_to(root))
        for path in paths
        if not path.is_dir() or [inner.name for inner in path.iterdir()] != [LEDGER]
    )


class Sweep:
    """One scenario, carried out again and again."""

    def __init__(self, tmp_path: Path, name: str, *, far: bool = False) -> None:
        self._tmp_path = tmp_path
        self.name = name
        self._prepare, self._act = SCENARIOS[name]
        self._far = far
        self._count = 0
        root = self.fresh()
        self.old = self.state(root)
        with Faults(far=far).between() as faults:
            self._act(root)
        self.calls = faults.calls
        self.new = self.state(root)
        assert writer(root).clean() == []

    def fresh(self) -> Path:
        """A root as it is before."""
        self._count += 1
        root = self._tmp_path / f"root-{self._count}"
        root.mkdir()
        self._prepare(root)
        return root

    def state(self, root: Path) -> Any:
        """What is served, which names are used, and what lies there."""
        return served(root, self._tmp_path / "cache"), writer(root).deletions.used_names(ACME), tree(root)

    def killed(self, root: Path, **how: Any) -> bool:
        """Whether a process that does it ends at its point."""
        return Faults(far=self._far, **how).kill(partial(self._act, root))

    def failed(self, root: Path, **how: Any) -> CannotStore | None:
        """The error of a process that lives on, if there is one."""
        try:
            with Faults(far=self._far, **how).between():
                self._act(root)
        except CannotStore as error:
            return error
        return None

    def is_between(self, state: Any) -> bool:
        """Whether of a file in two places one is in the trash: then the same is served as before."""
        files, used, there = state
        old_files, old_used, old_there = self.old
        new_there = self.new[2]
        if self.name != "delete from two places" or used != old_used or files[0] != old_files[0]:
            return False
        return bool(old_there - there <= old_there - new_there and there - old_there <= new_there - old_there)

    def check(self, root: Path, point: str) -> None:
        """After a start: the old state or the new one; and doing it again makes it the new one."""
        before = served(root, self._tmp_path / "cache")
        said = writer(root).clean()
        assert all(sentence.endswith(("removed.", "cleared away.")) for sentence in said), point
        state = self.state(root)
        assert state in (self.old, self.new) or self.is_between(state), f"{point}: {state}"
        # A start changes nothing of what is served, except side files of what is gone.
        assert before == state[0], point
        assert writer(root).clean() == [], point
        if state != self.new:
            self._act(root)
        assert self.state(root) == self.new, point
        shutil.rmtree(root)


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory in which fsync costs nothing: a sweep has hundreds of points."""
    path = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    yield path
    shutil.rmtree(path)


@pytest.fixture(params=[*SCENARIOS, "upload, new project; far", "overwrite; far", "delete; far", "yank; far"])
def sweep(memory: Path, request: pytest.FixtureRequest) -> Sweep:
    """Each scenario, some with the staging directory on another file system."""
    name, _, far = request.param.partition("; ")
    return Sweep(memory, name, far=bool(far))


def test_killed_at_every_call(sweep: Sweep, request: pytest.FixtureRequest) -> None:
    """Before each call, and in the middle of each write."""
    points = 0
    for number, call in part([*enumerate(sweep.calls, 1)], 12, f"killed {sweep.name}"):
        for half in (False, True) if call == "pwrite" else (False,):
            root = sweep.fresh()
            assert sweep.killed(root, at=number, half=half)
            sweep.check(root, f"killed at call {number}, {call}, of {sweep.calls}; half: {half}")
            points += 1
    root = sweep.fresh()
    assert not sweep.killed(root, at=len(sweep.calls) + 1)
    assert sweep.state(root) == sweep.new
    print(f"{request.node.callspec.id}: {points} points: {' '.join(sweep.calls)}")


@pytest.mark.parametrize(
    ("error", "step"),
    # What is done about an error depends on the call that fails; its number only chooses the sentence.
    [(errno.ENOSPC, 9), (errno.EROFS, 25), (errno.EDQUOT, 25)],
    ids=["ENOSPC", "EROFS", "EDQUOT"],
)
def test_an_error_at_every_call(sweep: Sweep, error: int, step: int, request: pytest.FixtureRequest) -> None:
    """The disk is full, the quota used up, or the file system read-only, for one call or from then on."""
    points = 0
    for number, call in part([*enumerate(sweep.calls, 1)], step, f"{error} {sweep.name}"):
        for for_ever in (False, True):
            root = sweep.fresh()
            point = (
                f"{errno.errorcode[error]} at call {number}, {call}, of {sweep.calls}; for ever: {for_ever}"
            )
            raised = sweep.failed(root, at=number, error=error, for_ever=for_ever)
            if raised is None:
                assert sweep.state(root)[0] == sweep.new[0], point
            else:
                assert raised.fault is fault_of(error), point
                assert os.strerror(error) in str(raised), point
                assert str(root) not in str(raised), point
            sweep.check(root, point)
            points += 1
    print(f"{request.node.callspec.id}: {points} points")


def functions_of_os(module: Any) -> set[str]:
    """What a module calls of ``os``."""
    nodes = ast.walk(ast.parse(inspect.getsource(module)))
    return {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os"
    }


READING = {
    *(
        "close",
        "dup",
        "fstat",
        "fspath",
        "geteuid",
        "listdir",
        "lstat",
        "path",
        "pread",
        "readlink",
        "scandir",
        "stat",
    ),
    *("statvfs", "strerror", "stat_result", "walk"),
    *(
        "O_CLOEXEC",
        "O_CREAT",
        "O_DIRECTORY",
        "O_EXCL",
        "O_NOFOLLOW",
        "O_NONBLOCK",
        "O_RDONLY",
        "O_RDWR",
        "O_WRONLY",
    ),
}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_nothing_changes_the_file_system_past_the_layer(module: Any) -> None:
    """Every function of ``os`` that the modules use is counted or only reads, and nothing else opens files."""
    assert functions_of_os(module) <= {*CHANGING, "open", *READING}
    source = inspect.getsource(module)
    assert not re.search(r"(?<![\w.])open\(|shutil|tempfile|pathlib|Path\(|from os import", source)


KERNEL_NAMES = {
    **{
        name: name
        for name in ("mkdir", "rmdir", "link", "rename", "unlink", "write", "fsync", "fdatasync", "fchmod")
    },
    "mkdirat": "mkdir",
    "linkat": "link",
    "renameat": "rename",
    "renameat2": "rename",
    "unlinkat": "unlink",
    "pwrite64": "pwrite",
    "fchown": "fchown",
    "utimensat": "utime",
    "chmod": "chmod",
    "chown": "chown",
    "writev": "write",
    "pwritev": "pwrite",
    "ftruncate": "truncate",
    "truncate": "truncate",
    "creat": "open",
    "fchmodat": "chmod",
    "fchownat": "chown",
    "symlink": "symlink",
    "symlinkat": "symlink",
    "mknod": "mknod",
    "sendfile": "write",
    "copy_file_range": "write",
    "fallocate": "truncate",
    "mknodat": "mknod",
}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace here")
@pytest.mark.parametrize("name", SCENARIOS)
def test_the_kernel_sees_the_same_calls(tmp_path: Path, name: str) -> None:
    """What the layer counts is what strace counts, so no point is left out."""
    trace = tmp_path / "trace"
    (tmp_path / "root").mkdir()
    program = [sys.executable, "-m", "tests.fixtures.faults", name, str(tmp_path / "root")]
    done = subprocess.run(
        ["strace", "-f", "-e", "trace=file,desc", "-o", str(trace), *program],
        capture_output=True,
        text=True,
        check=False,
    )
    if "ptrace" in done.stderr:
        pytest.skip("no process may be traced here")
    assert done.returncode == 0, done.stderr
    seen = Counter(kernel_calls(trace.read_text(encoding="utf-8", errors="replace")))
    assert dict(seen) == json.loads(done.stdout)
    print(f"{name}: {sum(seen.values())} calls, by strace and by the layer: {dict(seen)}")


def kernel_calls(trace: str) -> Iterator[str]:
    """The calls between the marks that change the file system."""
    lines = trace[trace.index("/begin-real") : trace.index("/end-real")].splitlines()[1:-1]
    for line in lines:
        if match := re.match(r"\d+ +(\w+)\(", line):
            name = match[1]
            if name in {"open", "openat"} and "O_CREAT" in line:
                yield "open"
            elif name in KERNEL_NAMES and not (name == "unlinkat" and "AT_REMOVEDIR" in line):
                yield KERNEL_NAMES[name]


def test_the_layer_fails_what_it_should(memory: Path) -> None:
    """Tested itself: without it every sweep would pass."""
    sweep = Sweep(memory, "upload")
    assert "link" in sweep.calls
    raised = sweep.failed(sweep.fresh(), at=1, error=errno.ENOSPC)
    assert isinstance(raised, SimpleIndexError)
    assert sweep.killed(sweep.fresh(), at=1)
