"""Looking inside distributions through a reader's source."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.archives import distribution_reader
from simpleindex.archives.distribution_reader import DistributionReader
from simpleindex.archives.errors import BrokenArchive
from simpleindex.archives.examination.limits import NotExamined
from simpleindex.core.errors import NotAllowed, NotHere, Unavailable
from simpleindex.core.files import File
from simpleindex.core.names import Kind, ProjectName
from simpleindex.core.source import Elsewhere
from simpleindex.system.bodies import BytesBody, FileBody
from tests.fixtures.deferreds import result
from tests.fixtures.examiner import InProcessExaminer
from tests.fixtures.threads import InlineThreads

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
    assert result(reader.texts(source, NAME, FILE, ["a/x.py", "none"])) == {"a/x.py": "x = 1\n"}
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
        (BrokenArchive("it is damaged"), BrokenArchive),
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


def test_a_large_file_and_one_elsewhere_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = DistributionReader(Examiner(), InlineThreads())
    elsewhere: Any = OneFile(Elsewhere("https://files.example.org/a-1.0.zip"))
    with pytest.raises(NotAllowed, match="another index"):
        result(reader.members(elsewhere, NAME, FILE))
    monkeypatch.setattr(distribution_reader, "LARGEST_FILE", 10)
    large: Any = OneFile(memory_body)
    with pytest.raises(NotAllowed, match="larger than"):
        result(reader.members(large, NAME, FILE))
