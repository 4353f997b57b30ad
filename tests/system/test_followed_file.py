"""A followed file: read again when it changes, and its last valid content stays in force."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from simpleindex.core.errors import RefusedStart, SimpleIndexError
from simpleindex.system import followed_file
from simpleindex.system.clocks import Clocks
from simpleindex.system.followed_file import MAXIMUM_SIZE, FileKind, FollowedFile, read_text_file
from tests.fixtures.trees import FAR_NS, SPECIAL

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fixtures.log import CapturedLog


class NotValid(SimpleIndexError):
    """A content that cannot be used.

    Attributes:
        reason: Why.
    """

    reason: str


def parse(content: bytes) -> str:
    """Return the last line; some are not valid, and the others are comments."""
    value = content.decode().rstrip("\n").rpartition("\n")[2]
    if value.startswith("not valid"):
        raise NotValid(value)
    return value


def warnings(value: str) -> tuple[str, ...]:
    """Warn of each word that begins with a question mark."""
    return tuple(f"{word} has no effect" for word in value.split() if word.startswith("?"))


class FollowedFileFixture:
    """A followed file whose content is its last line, a clock, and what was logged."""

    def __init__(self, path: Path, log: CapturedLog) -> None:
        self.path = path
        self.log = log
        self.time = 0.0
        self.now_ns = FAR_NS
        self.changes: list[str] = []
        path.write_text("first\n")
        self.file = FollowedFile(
            str(path),
            FileKind("test", parse, warnings=warnings, announces=True, remedy="Write it."),
            changed=self.changes.append,
            clocks=Clocks(lambda: self.time, now_ns=lambda: self.now_ns),
        )

    def replace(self, content: str | bytes) -> None:
        """Put another file in its place."""
        aside = self.path.with_name("aside")
        aside.write_bytes(content.encode() if isinstance(content, str) else content)
        aside.replace(self.path)

    def later(self, seconds: float = 1.0) -> str:
        """Return the content after a while."""
        self.time += seconds
        return self.file.current()

    def logged(self) -> list[str]:
        """Return what was logged since the last time."""
        lines = self.log.lines
        self.log.clear()
        return lines


@pytest.fixture
def followed(tmp_path: Path, log: CapturedLog) -> FollowedFileFixture:
    """One that was read."""
    made = FollowedFileFixture(tmp_path / "file", log)
    made.file.open_at_start()
    return made


def test_a_change_is_read_within_a_second(followed: FollowedFileFixture) -> None:
    """Whether the file is written in place or replaced."""
    assert followed.later() == "first"
    followed.path.write_text("the second\n")
    assert followed.later(0.5) == "first"
    assert followed.later(0.5) == "the second"
    followed.replace("third\n")
    assert followed.later(0.9) == "the second"
    assert followed.later(0.2) == "third"
    assert followed.changes == ["the second", "third"]
    assert followed.logged() == [f"The test file {followed.path} was read again."] * 2


def test_at_once(followed: FollowedFileFixture) -> None:
    """For who does not want to wait for that second."""
    followed.replace("second\n")
    assert followed.file.look() == "second"
    followed.replace("third\n")
    assert followed.file.reload() == "third"


def test_one_look_a_second(followed: FollowedFileFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no reading while the file stays as it is."""
    looks: list[str] = []
    reads: list[str] = []
    stat = os.stat

    def look(path: str) -> os.stat_result:
        looks.append(path)
        return stat(path)

    monkeypatch.setattr(os, "stat", look)
    monkeypatch.setattr(followed_file, "read_text_file", reads.append)
    for _ in range(30):
        followed.later(0.1)
    assert 2 <= len(looks) <= 3
    assert reads == []


def test_an_equal_value_is_the_same_object(followed: FollowedFileFixture) -> None:
    """What was made from it stays valid, however often the file is written."""
    first = followed.file.current()
    for text in ("first\n", "# another comment\nfirst\n"):
        followed.replace(text)
        assert followed.later() is first
    assert (followed.changes, followed.logged()) == ([], [])


def test_a_young_file_is_read_again(followed: FollowedFileFixture) -> None:
    """Its next change may leave the time stamp as it is."""
    stamp = followed.path.stat().st_mtime_ns
    followed.now_ns = stamp + 1_000_000_000
    followed.path.write_text("later\n")
    assert followed.later() == "later"
    with followed.path.open("r+") as file:
        file.write("final")
    os.utime(followed.path, ns=(stamp, stamp))
    assert followed.later() == "final"


def test_a_broken_file_changes_nothing(followed: FollowedFileFixture) -> None:
    """Each trouble is logged once, and is over when the file is valid again."""
    followed.path.unlink()
    assert [followed.later(), followed.later()] == ["first", "first"]
    for content in (
        b"",
        b"\n",
        b"a\0",
        b"#" * (MAXIMUM_SIZE + 1),
        b"\xff\xfea\0",
        b"not valid: x",
        b"not valid: y",
    ):
        followed.replace(content)
        assert [followed.later(), followed.later()] == ["first", "first"]
    lines = followed.logged()
    assert [line.partition("(")[2].partition(")")[0] for line in lines] == [
        "No such file or directory",
        "it is empty; write a comment into it if that is meant",
        "it is not text",
        f"it is larger than {MAXIMUM_SIZE} bytes",
        "it is UTF-16 or UTF-32 text; save it as UTF-8",
        "not valid: x",
        "not valid: y",
    ]
    assert all(line.endswith("its last valid content stays in force.") for line in lines)
    followed.replace("second\n")
    assert followed.later() == "second"
    assert followed.logged() == [f"The test file {followed.path} was read again."]


def test_a_trouble_that_is_over_is_logged_when_it_comes_again(followed: FollowedFileFixture) -> None:
    """Also where the file has the same content as before."""
    for _ in range(2):
        followed.replace("not valid")
        followed.later()
        assert len(followed.logged()) == 1
        followed.replace("first\n")
        followed.later()
        assert followed.logged() == [f"The test file {followed.path} is valid again."]


def test_a_reload_logs_again_what_is_wrong(followed: FollowedFileFixture) -> None:
    """Both what is not valid, and what has no effect; a look logs what is new."""
    followed.replace("second ?a\n")
    followed.later()
    followed.replace("second ?a ?b\n")
    followed.later()
    warned = [line for line in followed.logged() if "no effect" in line]
    assert warned == [f"{followed.path}: {word} has no effect" for word in ("?a", "?b")]
    followed.file.reload()
    assert followed.logged() == warned
    followed.replace("not valid")
    followed.file.reload()
    assert followed.file.look() == "second ?a ?b"
    followed.file.reload()
    assert sum("not valid now" in line for line in followed.logged()) == 2


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_file(followed: FollowedFileFixture, kind: str) -> None:
    """It is not waited for, and no descriptor is left behind."""
    followed.path.unlink()
    SPECIAL[kind](followed.path)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        assert followed.later() == "first"
    assert len(os.listdir("/proc/self/fd")) <= before
    assert len(followed.logged()) == 1
    with pytest.raises(RefusedStart, match=r"cannot be read: .*\. Write it\.$"):
        FollowedFile(str(followed.path), FileKind("test", parse, remedy="Write it.")).open_at_start()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, r"^The test file \S+ cannot be read: No such file or directory\. Write it\.$"),
        ("", r"cannot be read: it is empty; write a comment into it if that is meant\. Write it\.$"),
        ("not valid", r"^The test file \S+ is not valid: not valid$"),
    ],
)
def test_a_start_with_a_broken_file(
    content: str | None, sentence: str, tmp_path: Path, log: CapturedLog
) -> None:
    """It is refused, and says what to do."""
    made = FollowedFileFixture(tmp_path / "file", log)
    made.path.unlink()
    if content is not None:
        made.replace(content)
    with pytest.raises(RefusedStart, match=sentence):
        made.file.open_at_start()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_text_in_another_encoding_says_which_is_needed(followed: FollowedFileFixture, encoding: str) -> None:
    """As editors of Windows write it."""
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    followed.path.write_bytes((mark + "text").encode(encoding))
    with pytest.raises(OSError, match="save it as UTF-8"):
        read_text_file(str(followed.path))
