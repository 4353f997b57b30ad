"""The file of the catalogue: what was written is read, and what is damaged is not."""

from __future__ import annotations

import os
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from simpleindex.core.names import ProjectName
from simpleindex.directory.scan import catalogue as catalogue_module
from simpleindex.directory.scan.catalogue import Catalogue, CatalogueFile
from simpleindex.directory.scan.digest_cache import FORMAT
from simpleindex.directory.scan.resting import packed_at_rest, unpacked_snapshot
from tests.fixtures.snapshots import snapshot_at_rest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAMES = [ProjectName(f"project{number:03}") for number in range(300)]


def _projects() -> Iterator[tuple[ProjectName, bytes]]:
    for number, name in enumerate(NAMES):
        data = packed_at_rest(snapshot_at_rest(name, number))
        assert data is not None
        yield name, data


@pytest.fixture
def file(tmp_path: Path) -> CatalogueFile:
    """A catalogue of three pages."""
    file = CatalogueFile.of(str(tmp_path), "/packages", "local")
    file.write(_projects(), now_ns=7)
    return file


def _opened(file: CatalogueFile) -> Catalogue:
    catalogue = file.open()
    assert catalogue is not None
    return catalogue


def test_all_that_was_written_is_read(file: CatalogueFile) -> None:
    """The states of the directory and of its files, what is counted, and the snapshot itself."""
    catalogue = _opened(file)
    assert ([*catalogue.names], catalogue.written_ns) == (NAMES, 7)
    for number, name in enumerate(NAMES):
        snapshot = snapshot_at_rest(name, number)
        project = catalogue.project(name)
        assert project is not None
        known = snapshot.known.unpacked()
        assert dict(zip(project.paths, project.states, strict=True)) == {
            **snapshot.stamps,
            **{path: item.stamp for path, item in known.items()},
        }
        assert project.paths[0] == name
        assert (project.number, project.files, project.size) == (number, 2, 3_001)
        data = catalogue.packed(name, number)
        assert data is not None
        assert unpacked_snapshot(name, data) == snapshot
    assert [project.name for project in catalogue.projects()] == NAMES
    # As where a damaged place leads to another project's.
    assert catalogue.packed(NAMES[1], 0) is None
    for absent in ("aaa", "project0005", "zzz"):
        assert catalogue.project(ProjectName(absent)) is None
    catalogue.close()


def test_an_empty_catalogue(file: CatalogueFile) -> None:
    """It has no pages."""
    file.write((), now_ns=1)
    catalogue = _opened(file)
    assert (len(catalogue.names), [*catalogue.projects()], catalogue.project(NAMES[0])) == (0, [], None)
    catalogue.close()


def test_a_newer_one_takes_the_name_and_the_older_one_stays_readable(file: CatalogueFile) -> None:
    """As where two processes use one cache directory."""
    before = _opened(file)
    file.write(list(_projects())[:5], now_ns=8)
    assert len(_opened(file).names) == 5
    assert before.project(NAMES[200]) is not None
    assert before.packed(NAMES[200], 200) is not None
    assert os.listdir(os.path.dirname(file.path)) == [os.path.basename(file.path)]
    assert os.stat(file.path).st_mode & 0o777 == 0o600


def test_what_killed_processes_left_is_removed(file: CatalogueFile) -> None:
    """Of whatever number they were; what another one is writing stays."""
    for number in (os.getpid(), 1, 99_999_999):
        Path(f"{file.path}.{number}").write_bytes(b"half")
    with open(f"{file.path}.1", "rb") as written:
        flock(written, LOCK_EX)
        file.write(_projects(), now_ns=8)
    assert sorted(os.listdir(os.path.dirname(file.path))) == [
        os.path.basename(file.path),
        os.path.basename(f"{file.path}.1"),
    ]


def test_another_judgement_of_files(file: CatalogueFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an older version judged is not used, even if a start of this one was killed after it had noted some digests."""
    assert b"%d" % FORMAT in catalogue_module._FORMAT
    monkeypatch.setattr(catalogue_module, "_FORMAT", b"simpleindex catalogue 1 %d\n" % (FORMAT + 1))
    assert file.open() is None


def test_a_write_that_fails_leaves_the_one_before(file: CatalogueFile) -> None:
    """And nothing beside it."""

    def failing() -> Iterator[tuple[ProjectName, bytes]]:
        yield from list(_projects())[:200]
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        file.write(failing(), now_ns=9)
    assert _opened(file).written_ns == 7
    assert os.listdir(os.path.dirname(file.path)) == [os.path.basename(file.path)]


def test_one_of_another_root_is_not_used(file: CatalogueFile) -> None:
    """Nor of the same one with another name among the sources, which the files say too."""
    cache = os.path.dirname(file.path)
    others = [CatalogueFile.of(cache, "/packages", "staging"), CatalogueFile.of(cache, "/other", "local")]
    assert len({file.path, *(other.path for other in others)}) == 3
    for other in others:
        assert other.open() is None
        os.link(file.path, other.path)
        assert other.open() is None


def _moved(path: Path, other: Path) -> Path:
    path.rename(other)
    return path


DAMAGES: dict[str, Callable[[Path], object]] = {
    "gone": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "short": lambda path: path.write_bytes(b"short"),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "ones": lambda path: path.write_bytes(b"\xff" * path.stat().st_size),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "a directory": lambda path: os.mkdir(_moved(path, path.with_name("other"))),
    "a link": lambda path: os.symlink(path.rename(path.with_name("other")), path),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_not_used(file: CatalogueFile, damage: str) -> None:
    """Whatever became of it."""
    DAMAGES[damage](Path(file.path))
    assert file.open() is None


def test_no_byte_changes_unseen(file: CatalogueFile) -> None:
    """A damaged index is none at all, a damaged page costs its projects, and a damaged snapshot itself."""
    path = Path(file.path)
    whole = path.read_bytes()
    expected = [*_opened(file).projects()]
    packed = dict(_projects())
    for place in range(3, len(whole), 4_001):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        if (catalogue := file.open()) is None:
            continue
        projects = [*catalogue.projects()]
        read = {project.name: catalogue.packed(project.name, project.number) for project in projects}
        assert [project for project in expected if project.name in read] == projects
        intact = {name for name, data in read.items() if data == packed[name]}
        assert {data for name, data in read.items() if name not in intact} <= {None}
        assert len(NAMES) - len(intact) in (1, 44, 128)
        catalogue.close()


def test_a_closed_or_failing_disk_gives_nothing(file: CatalogueFile) -> None:
    """As where the disk fails."""
    catalogue = _opened(file)
    project = catalogue.project(NAMES[0])
    assert project is not None
    catalogue.close()
    assert catalogue.packed(NAMES[0], 0) is None
    assert catalogue.project(NAMES[299]) is None
