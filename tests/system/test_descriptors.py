"""Which descriptors are for connections, which for files, and which are kept."""

from __future__ import annotations

import errno
import os
import resource
from typing import TYPE_CHECKING

import pytest

from simpleindex.core.errors import CannotStore
from simpleindex.core.faults import Fault
from simpleindex.directory.layout.package_directory import PackageDirectory
from simpleindex.publishing.local.writer import Writer
from simpleindex.system import descriptors
from simpleindex.system.descriptors import (
    bounds,
    bounds_of,
    is_reserved_descriptor,
    keep_reserve,
    next_descriptor,
    raise_limit,
)
from tests.fixtures.tables import for_each

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@for_each("limit", [16, 32, 64, 128, 256, 1024, 4096, 20_000, 1 << 20, 1 << 30])
def test_every_limit_leaves_something_for_each(limit: int) -> None:
    """For connections, for files and for the directory; and never more than 256 are kept."""
    found = bounds_of(limit)
    assert limit // 2 <= found.waiting < found.closing < limit
    assert limit - found.waiting <= 256
    if limit >= 64:
        assert limit - found.closing >= 12


@pytest.fixture
def limits() -> Iterator[None]:
    """Put the limits back afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("limits")
def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    """Shells and systemd set the soft one to 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 512), hard))
    assert raise_limit() == hard
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)


def test_a_limit_that_may_not_be_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """What there is has to do."""

    def refuse(*_: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 4096))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert raise_limit() == 256
    assert bounds().limit == 256


def test_the_lowest_free_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit itself where there is none; nothing stays open."""
    first = next_descriptor()
    assert next_descriptor() == first

    def refuse(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        assert next_descriptor() == bounds().limit

    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(OSError, match="Input/output error"):
        next_descriptor()


def test_no_file_is_opened_from_the_reserve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a client that is: what was opened is closed, nothing is left in the directory, and it is a passing trouble."""
    writer = Writer(PackageDirectory(str(tmp_path)))
    monkeypatch.setattr(descriptors, "bounds", lambda: bounds_of(2))
    before = next_descriptor()
    assert is_reserved_descriptor(before)
    with pytest.raises(OSError, match="Too many open files"):
        keep_reserve(os.open(os.devnull, os.O_RDONLY))
    with pytest.raises(CannotStore) as caught:
        writer.begin()
    assert caught.value.fault is Fault.DESCRIPTORS
    assert next_descriptor() == before
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    monkeypatch.undo()
    writer.begin().discard()
