"""Hash and verify passwords; slow by intent, so everything but :func:`dummy_hash` runs in a thread.

The libraries belong to the extra "publish" and are imported for the first password.
"""

from __future__ import annotations

import secrets
from base64 import b64encode
from importlib.util import find_spec
from typing import Final

from simpleindex.core.errors import RefusedStart, Unavailable
from simpleindex.system.extras import missing

_LIBRARIES: Final = ("argon2", "bcrypt")

_BCRYPT_LIMIT: Final = 72
"""Bytes of a password that bcrypt reads; longer ones with the same beginning would be equal."""

_BCRYPT_ALPHABET: Final = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

_UNDECODABLE: Final = "Decoding failed"
"""The argon2 library's error for a damaged hash."""

_DUMMY: Final = "$argon2id$v=19$m=65536,t=3,p=4$"
"""The default parameters of argon2-cffi."""


def require_libraries() -> None:
    """Require the libraries that check passwords.

    Raises:
        RefusedStart: The extra "publish" is not installed.
    """
    absent = [name for name in _LIBRARIES if find_spec(name) is None]
    if absent:
        raise RefusedStart(missing(" and ".join(absent), "publish"))


def hash_password(text: str) -> str:
    """Hash a new password with argon2id at the strength that the library's present release chooses."""
    from argon2 import PasswordHasher  # noqa: PLC0415  (only with passwords)

    return PasswordHasher().hash(text)


def verify(hash: str, password: bytes) -> bool:  # noqa: A002  (the field's word)
    """Tell whether a password matches an accepted hash.

    The libraries compare in constant time and release the interpreter's lock.

    Raises:
        Unavailable: There is not enough memory, or no thread.
    """
    if hash.startswith("$2"):
        return _verify_bcrypt(hash, password)
    return _verify_argon2(hash, password)


def dummy_hash(like: str | None = None) -> str:
    """Make a hash of no password that takes as long to verify as another, so that timing does not show which users exist."""
    if like is not None and like.startswith("$2"):
        salt_and_digest = "".join(secrets.choice(_BCRYPT_ALPHABET) for _ in range(31))
        # The salt's last character has only two bits that count.
        return f"{like[:7]}{secrets.token_hex(11)[:21]}.{salt_and_digest}"
    parameters = _DUMMY if like is None else like[: like.index("$", like.index("p=")) + 1]
    return f"{parameters}{_base64(secrets.token_bytes(16))}${_base64(secrets.token_bytes(32))}"


def _verify_bcrypt(hash: str, password: bytes) -> bool:  # noqa: A002
    import bcrypt  # noqa: PLC0415  (only with passwords)

    if len(password) > _BCRYPT_LIMIT or b"\0" in password:
        # Some programs that made such hashes stop at a zero byte.
        return False
    try:
        return bcrypt.checkpw(password, hash.encode())
    except ValueError:
        return False


def _verify_argon2(hash: str, password: bytes) -> bool:  # noqa: A002
    from argon2 import PasswordHasher  # noqa: PLC0415  (only with passwords)
    from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError  # noqa: PLC0415

    try:
        return PasswordHasher().verify(hash, password)
    except (VerifyMismatchError, InvalidHashError):
        return False
    except VerificationError as error:
        if str(error) == _UNDECODABLE:
            return False
        # No memory, or no threads: that is not a wrong password.
        raise Unavailable("Passwords cannot be checked now; try again.") from error


def _base64(data: bytes) -> str:
    return b64encode(data).decode().rstrip("=")
