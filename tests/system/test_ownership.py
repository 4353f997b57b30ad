"""What root's commands leave behind belongs to whom the directory around it belongs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from simpleindex.core.audit_entry import AuditEntry
from simpleindex.core.names import LEDGER, PROJECT_FILE
from simpleindex.directory.scan.digest_cache import DigestCache
from simpleindex.records.audit.audit import Audit
from simpleindex.system.ownership import make_directories
from simpleindex.upstreams.cache.cache import UpstreamCache
from tests.fixtures.faults import SCENARIOS, Faults, upload
from tests.fixtures.trees import as_nobody, public_directory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")

OWNER = (1234, 4321)


def owners(root: Path) -> dict[str, tuple[int, int]]:
    """Whose everything below a directory is."""
    found = {}
    for path in root.rglob("*"):
        status = path.lstat()
        found[str(path.relative_to(root))] = status.st_uid, status.st_gid
    return found


def give(root: Path, owner: tuple[int, int] = OWNER) -> None:
    """Give a directory, and all of it, to somebody."""
    for path in (root, *root.rglob("*")):
        os.chown(path, *owner, follow_symlinks=False)


@pytest.mark.parametrize("far", [False, True], ids=["near", "far"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_change_by_root(tmp_path: Path, name: str, far: bool) -> None:
    """Files, ledgers, project files, the trash and what is staged, also where the trash is on another file system."""
    prepare, act = SCENARIOS[name]
    prepare(tmp_path)
    give(tmp_path)
    with Faults(far=far).between():
        act(tmp_path)
    assert {path: owner for path, owner in owners(tmp_path).items() if owner != OWNER} == {}


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name != "undelete"])
def test_a_project_of_another_owner_than_the_root(tmp_path: Path, name: str) -> None:
    """What is made in a project's directory belongs to the owner of that; what is undeleted keeps its own."""
    prepare, act = SCENARIOS[name]
    prepare(tmp_path)
    give(tmp_path)
    project = tmp_path / "acme"
    if project.is_dir():
        give(project, (55, 66))
    act(tmp_path)
    if project.is_dir():
        found = {path.name: (path.stat().st_uid, path.stat().st_gid) for path in project.iterdir()}
        other = (55, 66) if (project.stat().st_uid, project.stat().st_gid) == (55, 66) else OWNER
        assert {path: owner for path, owner in found.items() if owner != other} == {}


@pytest.mark.parametrize("scenario", ["delete again", "unyank"])
def test_what_root_left_behind_before_is_mended(tmp_path: Path, scenario: str) -> None:
    """A ledger or project file of root's in somebody else's directory kept the service out; the next command gives it back."""
    prepare, act = SCENARIOS[scenario]
    prepare(tmp_path)
    give(tmp_path)
    for name in (LEDGER, PROJECT_FILE):
        if (tmp_path / "acme" / name).exists():
            os.chown(tmp_path / "acme" / name, 0, 0)
    act(tmp_path)
    assert {owner for path, owner in owners(tmp_path).items() if path.startswith("acme/")} <= {OWNER}


def test_the_service_goes_on_where_root_was(tmp_path: Path) -> None:
    """What the service's user does after a command of root's, in the same project."""
    assert tmp_path
    with public_directory() as root:
        nobody = (65534, 65534)
        os.chown(root, *nobody)
        prepare, act = SCENARIOS["delete"]
        prepare(root)
        give(root, nobody)
        act(root)
        with as_nobody():
            undelete = SCENARIOS["undelete"][1]
            undelete(root)
            act(root)
            SCENARIOS["yank"][1](root)
            upload(root, b"new", "acme-7.0.tar.gz")


def _audit(place: Path) -> None:
    audit = Audit(str(place / "state" / "deep"))
    audit.record(AuditEntry("yank"))
    audit.close()


def _digests(place: Path) -> None:
    digests = DigestCache(str(place / "cache" / "deep"), str(place))
    digests.open()
    digests.close()


def _cache(place: Path) -> None:
    cache = UpstreamCache(str(place / "cache"))
    incoming = cache.files.begin(3)
    incoming.write(b"abc")
    incoming.close()


@pytest.mark.parametrize("make", [_audit, _digests, _cache])
def test_state_and_cache(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """Directories that are made for them too."""
    give(tmp_path)
    make(tmp_path)
    found = owners(tmp_path)
    assert found
    assert set(found.values()) == {OWNER}


def test_directories_that_are_there_are_left_alone(tmp_path: Path) -> None:
    """And a file in the way is an error."""
    (tmp_path / "there").mkdir()
    make_directories(str(tmp_path / "there" / "a" / "b"))
    give(tmp_path / "there")
    make_directories(str(tmp_path / "there" / "a"))
    make_directories(str(tmp_path / "there" / "a" / "c"))
    found = owners(tmp_path)
    assert found.pop("there") == OWNER
    assert found.pop("there/a/c") == OWNER
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        make_directories(str(tmp_path / "file"))
    with pytest.raises(FileExistsError):
        make_directories(str(tmp_path / "file" / "below"))
