"""Files of requirements that name others: each is read once, within bounds, and what is wrong is named with its line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simpleindex.commands.cache import requirements_files
from simpleindex.commands.cache.lock_file import InvalidLockFile
from simpleindex.commands.cache.requirements_files import read_requirements

if TYPE_CHECKING:
    from pathlib import Path

    from simpleindex.commands.cache.requirements import Requirements


def read(path: Path, text: str) -> Requirements:
    """Read a file of requirements with this text."""
    (path / "wanted.txt").write_text(text)
    return read_requirements(str(path / "wanted.txt"), {}, {})


def names(found: Requirements) -> list[str]:
    """Return the names of the projects."""
    return [str(each.name) for each in found.projects]


def test_files_that_name_each_other_are_read_once(tmp_path: Path) -> None:
    """A circle ends."""
    (tmp_path / "more.txt").write_text("-r wanted.txt\nother\n")
    assert names(read(tmp_path, "-r more.txt\nacme\n")) == ["acme", "other"]


def test_a_file_at_a_url_is_left_out(tmp_path: Path) -> None:
    """It is no mistake of the file, so the rest counts."""
    found = read(tmp_path, "-r https://example.org/more.txt\nacme\n")
    assert names(found) == ["acme"]
    (skipped,) = found.skipped
    assert (skipped.is_mistake, "names a file at a URL" in skipped.reason) == (False, True)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"[tool]\nx = 1\n", "is TOML, but no lock file"),
        (b"# " + b"x" * 200, "is larger than 0 MiB"),
    ],
)
def test_a_named_file_that_cannot_be_read_is_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, reason: str
) -> None:
    """It is named with the line that names it; the rest counts."""
    monkeypatch.setattr(requirements_files, "_LARGEST", 100)
    if content is not None:
        (tmp_path / "more.txt").write_bytes(content)
    found = read(tmp_path, "-r more.txt\nacme\n")
    assert names(found) == ["acme"]
    (skipped,) = found.skipped
    assert skipped.is_mistake
    assert reason in skipped.reason
    assert "wanted.txt" in skipped.where


def test_a_file_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is parsed."""
    monkeypatch.setattr(requirements_files, "_LARGEST", 100)
    with pytest.raises(InvalidLockFile) as refused:
        read(tmp_path, "acme\n" * 100)
    assert "is larger than" in refused.value.reason


def test_the_number_of_files_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that names a hundred others is no file of requirements."""
    monkeypatch.setattr(requirements_files, "_MOST_FILES", 2)
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text("acme\n")
    (skipped,) = read(tmp_path, "-r one.txt\n-r two.txt\n").skipped
    assert "more than 2 files are named" in skipped.reason
