"""Finding changes where nothing reports them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from simpleindex.core.names import ProjectName
from simpleindex.directory.layout.package_directory import PackageDirectory
from simpleindex.directory.live.sweep import is_outdated, sweep
from simpleindex.directory.scan.digest_cache import DigestCache
from simpleindex.directory.scan.scanner import Scanner
from simpleindex.directory.scan.snapshot import NO_SNAPSHOT, ProjectSnapshot, ScanJob
from tests.fixtures.distributions import add_wheel, put, wheel_name
from tests.fixtures.examiner import InProcessExaminer
from tests.fixtures.log import log_with
from tests.fixtures.trees import FAR_NS, SPECIAL, as_nobody, public_directory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ACME = ProjectName("acme")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with a good file, one that is withheld, and an empty second spelling."""
    root = tmp_path / "root"
    add_wheel(root)
    put(root / "acme" / "acme-2.0.zip", b"broken")
    put(root / "acme" / "simpleindex.toml", b"#")
    (root / "Acme").mkdir()
    return root


def read(
    directory: PackageDirectory, now_ns: int = FAR_NS, previous: ProjectSnapshot = NO_SNAPSHOT
) -> ProjectSnapshot:
    """Read the project once, remembering nothing."""
    digests = DigestCache("/nowhere", directory.root, log_with(pytest.fail))
    directories = directory.survey().directories.get(ACME, ())
    reader = Scanner(directory, digests, lambda: now_ns, examiner=InProcessExaminer())
    return reader.read_project(ScanJob(ACME, directories, (), previous), budget=2**30)


def outdated(directory: PackageDirectory, snapshot: ProjectSnapshot) -> tuple[bool, bool]:
    """Whether a quick and a thorough sweep find it out."""
    return is_outdated(directory, snapshot), is_outdated(directory, snapshot, thorough=True)


def test_what_rests_is_left_alone(root: Path) -> None:
    """By both cadences; so is a project that never was."""
    directory = PackageDirectory(str(root))
    assert outdated(directory, read(directory)) == (False, False)
    assert outdated(directory, NO_SNAPSHOT) == (False, False)


def test_every_kind_of_withheld_file_rests_too(root: Path) -> None:
    """Else a link that leads out of the root would have its project read at every sweep, for ever."""
    for kind, make in SPECIAL.items():
        make(root / "acme" / f"acme-{len(kind)}.tar.gz" if kind != "device" else root / "acme" / "acme-0.zip")
    for number, target in enumerate(
        ("/etc/passwd", "nowhere", "/nowhere", "acme-33.zip", "../../root", "/dev/zero")
    ):
        (root / "acme" / f"acme-{number + 30}.zip").symlink_to(target)
    directory = PackageDirectory(str(root))
    assert outdated(directory, read(directory)) == (False, False)


QUICK: dict[str, Callable[[Path], object]] = {
    "appears": lambda root: (root / "acme" / "acme-3.0.zip").touch(),
    "disappears": lambda root: (root / "acme" / wheel_name()).unlink(),
    "is replaced": lambda root: put(root / "acme" / wheel_name(), b"new"),
    "appears elsewhere": lambda root: (root / "Acme" / "acme-3.0.zip").touch(),
    "withheld, overwritten": lambda root: (root / "acme" / "acme-2.0.zip").write_bytes(b"mended"),
    "withheld, made readable": lambda root: (root / "acme" / "acme-2.0.zip").chmod(0o640),
    "project file, overwritten": lambda root: (root / "acme" / "simpleindex.toml").write_bytes(b"# new"),
    "directory, gone": lambda root: (root / "Acme").rmdir(),
}

THOROUGH: dict[str, Callable[[Path], object]] = {
    "overwritten": lambda root: (root / "acme" / wheel_name()).write_bytes(b"new"),
    "touched": lambda root: os.utime(root / "acme" / wheel_name(), ns=(1, 1)),
    "linked": lambda root: os.link(root / "acme" / wheel_name(), root / "backup"),
}


@pytest.mark.parametrize("what", QUICK)
def test_each_sweep_sees_what_changes_a_directory_or_a_withheld_file(root: Path, what: str) -> None:
    """And the project's own file."""
    directory = PackageDirectory(str(root))
    snapshot = read(directory)
    QUICK[what](root)
    assert outdated(directory, snapshot) == (True, True)


@pytest.mark.parametrize("what", THOROUGH)
def test_a_thorough_sweep_sees_what_leaves_the_directory_alone(root: Path, what: str) -> None:
    """An in-place write changes no directory."""
    directory = PackageDirectory(str(root))
    snapshot = read(directory)
    THOROUGH[what](root)
    assert outdated(directory, snapshot) == (False, True)


def test_what_is_young_or_in_trouble_is_looked_at_every_time(root: Path) -> None:
    """Neither shows its next change for certain."""
    directory = PackageDirectory(str(root))
    now = (root / "acme").stat().st_ctime_ns
    assert outdated(directory, read(directory, now)) == (True, True)
    assert outdated(directory, ProjectSnapshot(trouble="The directory acme cannot be read.")) == (True, True)


def test_a_chmod_of_an_unreadable_project_file_is_seen() -> None:
    """Though the last good one is in force, and its directory unchanged."""
    with public_directory() as root:
        path = put(root / "acme" / "simpleindex.toml", b"#")
        directory = PackageDirectory(str(root))
        snapshot = read(directory)
        path.chmod(0)
        with as_nobody():
            snapshot = read(directory, previous=snapshot)
        assert snapshot.project is not None
        assert snapshot.trouble is None
        assert [item.rule for item in snapshot.project.withheld] == ["project-file"]
        assert outdated(directory, snapshot) == (False, False)
        path.chmod(0o644)
        assert outdated(directory, snapshot) == (True, True)


def test_the_projects_to_look_at_are_named(root: Path) -> None:
    """Those and no others, in the order given."""
    directory = PackageDirectory(str(root))
    resting, young = read(directory), ProjectSnapshot(young=True)
    snapshots = [
        (ProjectName(name), snapshot) for name, snapshot in (("c", young), ("b", resting), ("a", young))
    ]
    assert sweep(directory, snapshots, thorough=True) == ["c", "a"]
    (root / "acme" / wheel_name()).write_bytes(b"new")
    assert sweep(directory, snapshots, thorough=False) == ["c", "a"]
    assert sweep(directory, snapshots, thorough=True) == ["c", "b", "a"]
