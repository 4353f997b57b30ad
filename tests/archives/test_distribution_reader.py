"""Looking inside distributions through a reader's source."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from simpleindex.archives import distribution_reader
from simpleindex.archives.distribution_reader import DistributionReader
from simpleindex.archives.errors import BrokenArchive
from simpleindex.archives.examination.limits import NotExamined
from simpleindex.archives.member_text import MemberText
from simpleindex.core.errors import NotAllowed, NotHere, Unavailable
from simpleindex.core.files import File
from simpleindex.core.names import Kind, ProjectName
from simpleindex.core.source import Elsewhere
from simpleindex.system.bodies import BytesBody, FileBody
from tests.fixtures.deferreds import result
from tests.fixtures.examiner import InProcessExaminer
from tests.fixtures.threads import InlineThreads, PausedThreads

if TYPE_CHECKING:
    from pathlib import Path

NAME = ProjectName("a")


def zipped(files: dict[str, str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return made.getvalue()


DATA = zipped({"a/x.py": "x = 1\n", "a/y.py": "y = 1\n"})
FILE = File("a-1.0.zip", "1.0", Kind.SDIST, len(DATA), hashlib.sha256(DATA).hexdigest(), None)


class OneFile:
    """A source with one file, which counts how often it is opened."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.opened = 0
        self.bodies: list[Any] = []

    async def file(self, name: ProjectName, filename: str) -> Any:
        self.opened += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        self.bodies.append(self.answer() if callable(self.answer) else self.answer)
        return self.bodies[-1]


class Examiner(InProcessExaminer):
    """Counts files, and may fail."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.count = 0
        self.failure = failure

    def examine(self, requests: Any) -> Any:
        self.count += 1
        return [self.failure] if self.failure is not None else super().examine(requests)


def memory_body() -> BytesBody:
    return BytesBody(DATA, str(FILE.sha256), None)


@pytest.fixture
def file_source(tmp_path: Path) -> OneFile:
    path = tmp_path / FILE.filename
    path.write_bytes(DATA)
    return OneFile(
        lambda: FileBody(os.open(path, os.O_RDONLY), FILE.filename, str(FILE.sha256), InlineThreads().run)
    )


@pytest.mark.parametrize("is_file", [True, False])
def test_members_texts_and_differences(file_source: OneFile, is_file: bool) -> None:
    """Of a file that is here, and of one that still comes from an upstream."""
    source: Any = file_source if is_file else OneFile(memory_body)
    reader = DistributionReader(Examiner(), InlineThreads())
    members = result(reader.members(source, NAME, FILE))
    assert [each.path for each in members.members] == ["a/x.py", "a/y.py"]
    assert result(reader.texts(source, NAME, FILE, ["a/x.py", "none"])) == {"a/x.py": MemberText("x = 1\n")}
    assert result(reader.differences(source, NAME, FILE, {"a/x.py": "x = 0\n"})) == {
        "a/x.py": "@@ -1 +1 @@\n-x = 0\n+x = 1"
    }


def test_an_answer_is_kept_and_the_right_to_it_is_not(file_source: OneFile) -> None:
    examiner = Examiner()
    reader = DistributionReader(examiner, InlineThreads())
    source: Any = file_source
    for _ in range(3):
        result(reader.members(source, NAME, FILE))
    assert (examiner.count, file_source.opened) == (1, 3)
    refused: Any = OneFile(NotHere("file"))
    with pytest.raises(NotHere):
        result(reader.members(refused, NAME, FILE))


@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        (NotExamined("no process"), Unavailable),
        (OSError(5, "I/O error"), Unavailable),
    ],
)
def test_what_cannot_be_read_is_not_kept(
    file_source: OneFile, failure: Exception, raised: type[Exception]
) -> None:
    examiner = Examiner(failure)
    reader = DistributionReader(examiner, InlineThreads())
    source: Any = file_source
    for _ in range(2):
        with pytest.raises(raised):
            result(reader.members(source, NAME, FILE))
    assert examiner.count == 2
    assert all(body._closed for body in file_source.bodies)


def test_that_a_file_is_broken_is_kept_for_ten_minutes(file_source: OneFile) -> None:
    """Each try may take a processor 20 seconds, and anybody can ask again and again."""
    examiner, now = Examiner(BrokenArchive("it is damaged")), [0.0]
    reader = DistributionReader(examiner, InlineThreads(), lambda: now[0])
    source: Any = file_source
    for seconds, count in ((0.0, 1), (599.0, 1), (601.0, 2)):
        now[0] = seconds
        for _ in range(2):
            with pytest.raises(BrokenArchive, match="it is damaged"):
                result(reader.members(source, NAME, FILE))
        assert examiner.count == count
    assert file_source.opened == 6
    assert all(body._closed for body in file_source.bodies)


def test_a_file_is_examined_once_for_all_that_wait(file_source: OneFile) -> None:
    """Each of them opens it, for the right to it; the one that is examined stays open until that is over, whoever leaves."""
    examiner, threads = Examiner(), PausedThreads(held=True)
    reader = DistributionReader(examiner, threads)
    source: Any = file_source
    readers = [Deferred.fromCoroutine(reader.members(source, NAME, FILE)) for _ in range(5)]
    readers[0].addErrback(lambda failure: failure.trap(CancelledError))
    readers[0].cancel()
    assert [body._closed for body in file_source.bodies] == [False, True, True, True, True]
    threads.deliver_all()
    assert len({id(result(each)) for each in readers[1:]}) == 1
    assert examiner.count == 1
    assert all(body._closed for body in file_source.bodies)


def test_what_nobody_waits_for_is_not_examined(file_source: OneFile) -> None:
    """Of a thousand who asked and left, none holds up who asks next."""
    examiner, threads = Examiner(), PausedThreads(held=True)
    reader = DistributionReader(examiner, threads)
    source: Any = file_source
    for number in range(3):
        asking = Deferred.fromCoroutine(reader.texts(source, NAME, FILE, [f"a/{number}.py"]))
        asking.addErrback(lambda failure: failure.trap(CancelledError))
        asking.cancel()
    asked = Deferred.fromCoroutine(reader.members(source, NAME, FILE))
    threads.deliver_all()
    assert len(result(asked).members) == 2
    assert examiner.count == 1
    assert all(body._closed for body in file_source.bodies)
    threads.held = False
    assert result(reader.texts(source, NAME, FILE, ["a/x.py"])) == {"a/x.py": MemberText("x = 1\n")}


def test_what_is_kept_is_weighed_with_its_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths that are in no archive, and texts of which nothing is compared, would fill the memory under small answers."""
    monkeypatch.setattr(distribution_reader, "_KEPT", 20_000)
    reader = DistributionReader(Examiner(), InlineThreads())
    source: Any = OneFile(memory_body)
    for number in range(100):
        result(reader.texts(source, NAME, FILE, [f"{number}" * 1_000]))
        result(reader.differences(source, NAME, FILE, {"a/z.py": f"{number}" * 10_000}))
    kept = list(reader._answers)
    assert sum(len(str(key)) for key in kept) < 25_000


def test_a_large_file_and_one_elsewhere_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = DistributionReader(Examiner(), InlineThreads())
    elsewhere: Any = OneFile(Elsewhere("https://files.example.org/a-1.0.zip"))
    with pytest.raises(NotAllowed, match="another index"):
        result(reader.members(elsewhere, NAME, FILE))
    monkeypatch.setattr(distribution_reader, "LARGEST_FILE", 10)
    large: Any = OneFile(memory_body)
    with pytest.raises(NotAllowed, match="larger than"):
        result(reader.members(large, NAME, FILE))
