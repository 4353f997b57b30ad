"""Whether this process's user can run a program."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from simpleindex.core.faults import Fault
from simpleindex.system.executables import cannot_run, not_run

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOBODY = 65534


@contextmanager
def without_privileges() -> Iterator[None]:
    """Be another user than root, whom no mode of a directory keeps out."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that others may enter, unlike those of pytest's tmp_path."""
    with TemporaryDirectory() as name:
        path = Path(name).resolve()
        path.chmod(0o755)
        yield path


def test_what_runs() -> None:
    """The interpreter of these tests does."""
    assert cannot_run(sys.executable) is None


@pytest.mark.parametrize(
    ("where", "fault", "cause", "remedy"),
    [
        ("home/python", Fault.FORBIDDEN, "Permission denied", "where the service's user may run them"),
        ("venv/python", Fault.FORBIDDEN, "Permission denied", "where the service's user may run them"),
        ("plain", Fault.FORBIDDEN, "Permission denied", "where the service's user may run them"),
        ("gone", Fault.ABSENT, "No such file or directory", "Restart the server"),
        ("plain/python", Fault.MISPLACED, "Not a directory", "Restart the server"),
        ("dangling", Fault.ABSENT, "No such file or directory", "Restart the server"),
    ],
)
def test_what_does_not_run(place: Path, where: str, fault: Fault, cause: str, remedy: str) -> None:
    """Below a closed directory, by a link to such a place, without the right to run it, and gone."""
    home = place / "home"
    home.mkdir()
    (home / "python").touch(0o755)
    (place / "venv").mkdir()
    (place / "venv" / "python").symlink_to(home / "python")
    (place / "plain").touch(0o644)
    (place / "dangling").symlink_to(place / "gone")
    home.chmod(0)
    ends = {"venv/python": home / "python", "dangling": place / "gone"}
    end = str(ends.get(where, place / where))
    try:
        with without_privileges():
            trouble = cannot_run(str(place / where))
    finally:
        home.chmod(0o700)
    assert trouble is not None
    assert (trouble.fault, trouble.cause, trouble.place, trouble.status) == (fault, cause, end, 500)
    sentence = trouble.for_operator()
    assert sentence.startswith(f"{end} cannot be run by ")
    assert f"({cause})" in sentence
    assert remedy in sentence


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE])
def test_what_passes(number: int) -> None:
    """A shortage is no fault of the program's place: it has the remedy of its kind."""
    trouble = not_run(sys.executable, OSError(number, os.strerror(number)))
    assert trouble.is_passing
    assert "cannot be run" not in trouble.for_operator()


def test_a_user_without_a_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The number is given, as systemd's dynamic users may have no entry."""
    monkeypatch.setattr(os, "geteuid", lambda: 123456789)
    error = OSError(errno.EACCES, "Permission denied")
    assert "cannot be run by user 123456789 (" in not_run(str(tmp_path / "python"), error).for_operator()
