"""Hashes of passwords, by the real libraries at their cheapest."""

from __future__ import annotations

import subprocess
import sys

import argon2
import bcrypt
import pytest
from argon2.exceptions import VerificationError

from simpleindex.access.logins import hashes as passwords
from simpleindex.access.logins.hashes import dummy_hash, hash_password, require_libraries, verify
from simpleindex.access.logins.htpasswd import parse_users
from simpleindex.core.errors import RefusedStart, Unavailable

# Fixed salts: hashes are names of tests, which every process of a parallel run must collect alike.
BCRYPT = bcrypt.hashpw(b"secret", b"$2b$04$" + b"abcdefghijklmnopqrstuu").decode()
ARGON2 = argon2.PasswordHasher(1, 64, 1).hash("secret", salt=b"0123456789abcdef")
ARGON2I = argon2.PasswordHasher(1, 64, 1, type=argon2.Type.I).hash("secret", salt=b"0123456789abcdef")


@pytest.mark.parametrize(
    "hash_", [ARGON2, ARGON2I, *(BCRYPT.replace("$2b$", start) for start in ("$2a$", "$2b$", "$2y$"))]
)
def test_verify(hash_: str) -> None:
    """The right password and no other, by every accepted kind."""
    assert verify(hash_, b"secret")
    for wrong in (b"", b"Secret", b"secret ", b"secret\0", b"\xff"):
        assert not verify(hash_, wrong)


def test_a_new_hash_is_accepted() -> None:
    """What we make, we take; and what is not ASCII is UTF-8."""
    hash_ = hash_password("pässwörd🔑")
    assert parse_users(f"alice:{hash_}".encode()).hashes == {"alice": hash_}
    assert hash_.startswith("$argon2id$")
    assert verify(hash_, "pässwörd🔑".encode())
    assert not verify(hash_, "pässwörd".encode())


def test_bcrypt_reads_72_bytes() -> None:
    """A longer password is refused instead of being taken for every one that begins like it."""
    hash_ = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()
    assert verify(hash_, b"x" * 72)
    assert not verify(hash_, b"x" * 73)


@pytest.mark.parametrize(
    "hash_",
    [
        "",
        "$2b$",
        BCRYPT[:-1],
        "$2b$99" + BCRYPT[6:],
        "$2b$12$" + "!" * 53,
        ARGON2[:-10],
        ARGON2 + "!",
    ],
)
def test_damaged_hashes(hash_: str) -> None:
    """Nobody has such a password."""
    assert not verify(hash_, b"secret")


@pytest.mark.parametrize("reason", ["Memory allocation error", "Threading failure"])
def test_no_room(monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    """That is not a wrong password."""

    def fail(*_: object) -> bool:
        raise VerificationError(reason)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", fail)
    with pytest.raises(Unavailable, match="cannot be checked now"):
        verify(ARGON2, b"secret")


@pytest.mark.parametrize(
    "like",
    [
        None,
        "$2y$11$" + "a" * 53,
        "$argon2i$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$" + "A" * 43,
        "$argon2id$v=19$m=102400,t=2,p=8$c2FsdHNhbHRzYWx0$" + "A" * 22,
    ],
)
def test_a_dummy_takes_as_long(like: str | None) -> None:
    """The same kind and the same parameters, accepted like any other, each time another, and nobody's."""
    dummy = dummy_hash(like)
    assert parse_users(f"alice:{dummy}".encode()).hashes == {"alice": dummy}
    parameters = (like or passwords._DUMMY).split("$")[:4]
    assert dummy.split("$")[: len(parameters) - 1] == parameters[:-1]
    assert dummy != dummy_hash(like)
    assert not verify(dummy, b"secret")


def test_the_default_dummy_is_what_new_passwords_are() -> None:
    """The library's choice changes with its releases; ours must follow."""
    assert hash_password("x").startswith(passwords._DUMMY)


def test_without_the_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said what to install."""
    require_libraries()
    monkeypatch.setattr(passwords, "find_spec", lambda name: None if name == "bcrypt" else object())
    with pytest.raises(RefusedStart, match=r"^Python's bcrypt is not installed, .*extra 'publish'"):
        require_libraries()


def test_reading_needs_no_library() -> None:
    """A server without logins needs none of them, and imports none."""
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('argon2', 'bcrypt', 'tomlkit', 'multipart')))\n"
        "import simpleindex.commands.main, simpleindex.service.composition.index, simpleindex.access.logins.authentication, simpleindex.access.followed\n"
        "import simpleindex.commands.accounts.tokens, simpleindex.commands.accounts.passwd, simpleindex.access.logins.hashes\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
