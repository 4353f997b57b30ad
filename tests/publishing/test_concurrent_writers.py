"""Several processes write one directory at once: whatever the order, the end is one that some order explains."""

from __future__ import annotations

import os
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import pytest

from simpleindex.core.errors import NotHere, SimpleIndexError
from simpleindex.core.names import LEDGER, PROJECT_FILE
from simpleindex.directory.layout.package_directory import PackageDirectory
from simpleindex.directory.project_file import parse_project_file
from simpleindex.publishing.errors import AlreadyExists, NameUsed
from simpleindex.publishing.local.project_file_writer import ProjectFileWriter
from simpleindex.publishing.local.staging import STAGING
from simpleindex.publishing.local.trash import TRASH
from tests.fixtures.depth import number_of
from tests.fixtures.faults import ACME, WHEEL, writer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


def at_once(tasks: Sequence[Callable[[], object]]) -> list[str]:
    """Run each in a process of its own, all let go together; return what they returned, or the names of their errors."""
    gate, opener = os.pipe()
    children = []
    for task in tasks:
        reading, writing = os.pipe()
        if (child := os.fork()) == 0:
            try:
                os.close(opener)
                os.read(gate, 1)
                try:
                    said = str(task())
                except SimpleIndexError as error:
                    said = type(error).__name__
                os.write(writing, said.encode())
            finally:
                os._exit(0)
        os.close(writing)
        children.append((child, reading))
    os.close(gate)
    os.close(opener)
    results = []
    for child, reading in children:
        with os.fdopen(reading) as file:
            results.append(file.read())
        os.waitpid(child, 0)
    return results


def upload(root: Path, data: bytes, filename: str = WHEEL) -> bool:
    """Commit; whether it was this one that made the file."""
    with writer(root).begin() as draft:
        draft.write(data)
        return writer(root).commit(draft, ACME, filename).created


def rest(root: Path) -> dict[str, bytes]:
    """What lies there, with nothing left in the staging directory."""
    assert not os.listdir(root / STAGING)
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.name != LEDGER
    }


ROUNDS = range(number_of(5, least=1))


@pytest.mark.parametrize("count", [2, 8])
@pytest.mark.parametrize("attempt", ROUNDS)
def test_the_same_bytes(tmp_path: Path, count: int, attempt: int) -> None:
    """All succeed, and one of them made the file."""
    results = at_once([lambda: upload(tmp_path, b"one")] * count)
    assert Counter(results) == {"True": 1, "False": count - 1}
    assert rest(tmp_path) == {f"acme/{WHEEL}": b"one"}


@pytest.mark.parametrize("count", [2, 8])
@pytest.mark.parametrize("attempt", ROUNDS)
def test_other_bytes(tmp_path: Path, count: int, attempt: int) -> None:
    """Exactly one wins, and its bytes are there."""
    tasks = [partial(upload, tmp_path, b"%d" % number) for number in range(count)]
    results = at_once(tasks)
    assert Counter(results) == {"True": 1, AlreadyExists.__name__: count - 1}
    assert rest(tmp_path) == {f"acme/{WHEEL}": b"%d" % results.index("True")}


@pytest.mark.parametrize(
    "names",
    [
        [WHEEL, WHEEL.replace("acme", "Acme"), WHEEL.replace("-1.0-", "-1.0.0-")],
        ["acme-1.0.tar.gz", "acme-1.0.zip", "acme-1.tgz"],
    ],
)
@pytest.mark.parametrize("attempt", ROUNDS)
def test_names_of_one_distribution(tmp_path: Path, names: list[str], attempt: int) -> None:
    """Exactly one wins, as if all had one name."""
    tasks = [partial(upload, tmp_path, name.encode(), name) for name in names]
    results = at_once(tasks)
    assert Counter(results) == {"True": 1, AlreadyExists.__name__: len(names) - 1}
    winner = names[results.index("True")]
    assert rest(tmp_path) == {f"acme/{winner}": winner.encode()}


@pytest.mark.parametrize("attempt", ROUNDS)
def test_distinct_files(tmp_path: Path, attempt: int) -> None:
    """Nobody is in another's way, while others start and clean up."""
    names = [f"acme-{number}.0.zip" for number in range(8)]
    tasks: list[Callable[[], object]] = [partial(upload, tmp_path, name.encode(), name) for name in names]
    cleaning: list[Callable[[], object]] = [lambda: [writer(tmp_path).clean() for _ in range(20)]] * 2
    results = at_once(tasks + cleaning)
    assert results[:8] == ["True"] * 8
    assert rest(tmp_path) == {f"acme/{name}": name.encode() for name in names}


@pytest.mark.parametrize("attempt", ROUNDS)
def test_refused_uploads_leave_no_directory(tmp_path: Path, attempt: int) -> None:
    """The directory comes and goes under everybody's feet, and the one good upload finds it."""

    def refused() -> None:
        with writer(tmp_path).begin() as draft:
            draft.write(b"two")
            try:
                writer(tmp_path).deletions.delete(ACME, ["acme-7.0.zip"], who="alice")
            except NotHere:
                ProjectFileWriter(PackageDirectory(str(tmp_path))).unyank(ACME, "1.0")

    results = at_once([refused, lambda: upload(tmp_path, b"one"), refused, refused])
    assert results[1] == "True"
    assert rest(tmp_path) == {f"acme/{WHEEL}": b"one"}


@pytest.mark.parametrize("attempt", ROUNDS)
def test_commit_against_delete(tmp_path: Path, attempt: int) -> None:
    """Either order is one: identical and then deleted, or deleted and then used; never both, never neither."""
    upload(tmp_path, b"one")
    results = at_once(
        [
            lambda: upload(tmp_path, b"one"),
            lambda: len(writer(tmp_path).deletions.delete(ACME, [WHEEL], who="alice")),
            lambda: len(writer(tmp_path).deletions.delete(ACME, [WHEEL], who="bob")),
        ]
    )
    assert results[0] in {"False", NameUsed.__name__}
    assert Counter(results[1:]) == {"1": 1, NotHere.__name__: 1}
    (path,) = rest(tmp_path)
    assert path.startswith(TRASH)
    assert writer(tmp_path).deletions.used_names(ACME) == {WHEEL}
    assert (tmp_path / "acme" / LEDGER).read_text().count("\n") == 1


@pytest.mark.parametrize("attempt", ROUNDS)
def test_no_yank_is_lost(tmp_path: Path, attempt: int) -> None:
    """Each reads what the one before wrote."""
    upload(tmp_path, b"one")
    tasks = [
        partial(ProjectFileWriter(PackageDirectory(str(tmp_path))).yank, ACME, f"{number}.1", "x")
        for number in range(8)
    ]
    assert at_once(tasks) == ["True"] * 8
    said = parse_project_file(rest(tmp_path)[f"acme/{PROJECT_FILE}"])
    assert set(said.yanked) == {f"{number}.1" for number in range(8)}
