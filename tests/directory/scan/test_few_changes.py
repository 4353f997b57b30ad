"""A project of very many files in which few change: the outcome is that of reading it anew, without the work."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.core.names import ProjectName
from simpleindex.directory.layout.package_directory import PackageDirectory
from simpleindex.directory.scan import few_changes
from simpleindex.directory.scan.digest_cache import DigestCache
from simpleindex.directory.scan.few_changes import FewChanges
from simpleindex.directory.scan.scanner import Scanner
from simpleindex.directory.scan.snapshot import NO_SNAPSHOT, ProjectSnapshot, ScanJob
from tests.fixtures.distributions import put, sdist_bytes, wheel_bytes, wheel_name
from tests.fixtures.examiner import InProcessExaminer
from tests.fixtures.log import log_into
from tests.fixtures.trees import FAR_NS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ACME = ProjectName("acme")
COUNT = 8


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of eight wheels, for which the threshold is low."""
    monkeypatch.setattr(few_changes, "_MANY", COUNT // 2)
    monkeypatch.setattr(few_changes, "_SHARE", 2)
    for number in range(COUNT):
        add(tmp_path, f"{number}.0")
    return tmp_path


def add(root: Path, version: str, name: str = "acme") -> Path:
    path = root / "acme" / wheel_name(name, version)
    put(path, wheel_bytes(name, version))
    return path


def read(
    root: Path, before: ProjectSnapshot = NO_SNAPSHOT, now_ns: int = FAR_NS, **options: Any
) -> ProjectSnapshot:
    digests = DigestCache("/nonexistent", str(root), log_into([]))
    scanner = Scanner(PackageDirectory(str(root)), digests, lambda: now_ns, examiner=InProcessExaminer())
    job = ScanJob(ACME, ("acme",), (), before)
    return scanner.read_project(job, **{"budget": 2**30, **options})


def filenames(snapshot: ProjectSnapshot) -> list[str]:
    assert snapshot.project is not None
    return [file.filename for file in snapshot.project.files]


def put_back(root: Path) -> None:
    shutil.rmtree(root / "acme")
    os.rename(root / "copy", root / "acme")


def exchange(root: Path, older: str, newer: str) -> None:
    os.unlink(wheel(root, older))
    add(root, newer)


def wheel(root: Path, version: str) -> Path:
    return root / "acme" / wheel_name("acme", version)


PLAIN: list[Callable[[Path], object]] = [
    lambda root: add(root, "2.5"),
    lambda root: [add(root, version) for version in ("0.1", "9.0", "10.0")],
    lambda root: os.unlink(wheel(root, "3.0")),
    lambda root: wheel(root, "3.0").write_bytes(wheel_bytes("acme", "3.0", "Requires-Python: >=3.9")),
    lambda root: os.utime(wheel(root, "3.0")),
    lambda root: exchange(root, "3.0", "11.0"),
    lambda root: put(root / "acme" / "acme-3.0.tar.gz", sdist_bytes("acme", "3.0")),
    lambda root: put(root / "acme" / "notes.txt", b"x"),
]

INVOLVED: list[Callable[[Path], object]] = [
    lambda root: wheel(root, "3.0").write_bytes(b"broken"),
    lambda root: (root / "acme" / "acme-9.0-py3-none-any.whl").symlink_to("/etc/passwd"),
    lambda root: put(root / "acme" / "acme-3.0.0-py3-none-any.whl", wheel_bytes("acme", "3.0.0")),
    lambda root: put(root / "acme" / "simpleindex.toml", b'status = "archived"'),
    lambda root: put(root / "acme" / f"{wheel_name('acme', '3.0')}.asc", b"signature"),
]


@pytest.mark.parametrize("change", [*PLAIN, *INVOLVED])
def test_the_same_as_read_anew(root: Path, change: Callable[[Path], object]) -> None:
    """Whatever changes, and when it changes back."""
    first = snapshot = read(root)
    shutil.copytree(root / "acme", root / "copy", symlinks=True)
    for happens in (change, put_back):
        happens(root)
        snapshot, anew = read(root, snapshot), read(root)
        assert snapshot.project == anew.project
        assert dict(snapshot.known) == dict(anew.known)
        assert (snapshot.chosen, snapshot.stamps) == (anew.chosen, anew.stamps)
    assert filenames(snapshot) == filenames(first)


@pytest.mark.parametrize("change", PLAIN)
def test_nothing_else_is_put_together(
    root: Path, change: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a few plain changes no other file is unpacked; a listing that stays the same is the same object."""
    before = read(root)
    change(root)
    monkeypatch.setattr("simpleindex.directory.scan.scanner.assemble_project", None)
    after = read(root, before)
    assert read(root, after).project is after.project


def test_young_file(root: Path) -> None:
    """A file that was read just after its change is read again later."""
    before = read(root)
    now_ns = add(root, "2.5").stat().st_ctime_ns + 1
    young = read(root, before, now_ns)
    assert (young.young, young.known["acme/" + wheel_name("acme", "2.5")].young) == (True, True)
    settled = read(root, young, verify=True)
    assert (settled.young, settled.project) == (False, young.project)
    assert dict(settled.known) == dict(read(root).known)


def test_pending_file(root: Path) -> None:
    """A file for which there was no time is not listed until it is read."""
    before = read(root)
    for version in ("2.5", "2.6"):
        add(root, version)
    pending = read(root, before, budget=1)
    assert (pending.pending, len(filenames(pending))) == (True, COUNT + 1)
    assert read(root, pending).project == read(root).project


def test_many_changes(root: Path) -> None:
    """Many changes, and small projects, are put together anew."""
    before = read(root)
    for number in range(COUNT + 1):
        add(root, f"{number}.5")
    job = ScanJob(ACME, ("acme",), (), before)
    look = PackageDirectory(str(root)).look(("acme",), ())
    assert FewChanges.between(job, look) is None
    assert read(root, before).project == read(root).project
