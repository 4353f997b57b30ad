"""Answers to a certificate authority's HTTP challenge: the file that certbot left, and nothing else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from simpleindex.web.acme_challenges import read_challenge

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr_oA"


@pytest.fixture
def challenges(tmp_path: Path) -> Path:
    """The directory that certbot's webroot plugin makes."""
    directory = tmp_path / "webroot" / ".well-known" / "acme-challenge"
    directory.mkdir(parents=True)
    (tmp_path / "webroot" / "secret").write_bytes(b"secret")
    return directory


def read(challenges: Path, token: str = TOKEN) -> bytes | None:
    """Ask for a token."""
    return read_challenge(str(challenges.parent.parent), token)


def test_the_answer_is_the_file_s_bytes(challenges: Path) -> None:
    """RFC 8555 section 8.3: the key authorization as it lies there."""
    (challenges / TOKEN).write_bytes(b"token.thumbprint")
    assert read(challenges) == b"token.thumbprint"


def test_without_a_file_or_a_webroot_there_is_no_answer(challenges: Path) -> None:
    """So that the caller says 404."""
    assert read(challenges) is None
    assert read_challenge(None, TOKEN) is None
    assert read_challenge(str(challenges / "nowhere"), TOKEN) is None


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "../secret", "../../secret", "a/b", "a\n", "a\0", "a%2Fb", "\u212a", "\udcff", "a" * 257],
)
def test_no_other_text_is_a_token(challenges: Path, token: str) -> None:
    """Base64url text cannot climb; everything else is refused before the disk is asked."""
    assert read(challenges, token) is None


def test_a_token_longer_than_any_file_name_has_no_answer(challenges: Path) -> None:
    """The file system refuses 256 bytes; that is a no, and no error."""
    assert read(challenges, "a" * 256) is None


@pytest.mark.parametrize("kind", ["directory", "FIFO", "link", "loop"])
def test_only_a_regular_file_is_an_answer(challenges: Path, kind: str) -> None:
    """Nothing blocks, and no link leads to a secret."""
    makers: dict[str, Callable[[Path], None]] = {
        "directory": os.mkdir,
        "FIFO": os.mkfifo,
        "link": lambda path: os.symlink("../../secret", path),
        "loop": lambda path: os.symlink(TOKEN, path),
    }
    makers[kind](challenges / TOKEN)
    assert read(challenges) is None


def test_a_huge_file_is_not_read_whole(challenges: Path) -> None:
    """4 KiB at most: an answer has about 90 bytes."""
    (challenges / TOKEN).write_bytes(b"x" * 10_000)
    assert len(read(challenges) or b"") == 4096


def test_a_failing_disk_is_no_answer(challenges: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the descriptor is given back."""
    (challenges / TOKEN).write_bytes(b"x")
    opened: list[int] = []

    def read_failing(descriptor: int, length: int) -> bytes:
        opened.append(descriptor)
        raise OSError

    monkeypatch.setattr(os, "read", read_failing)
    assert read(challenges) is None
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])
