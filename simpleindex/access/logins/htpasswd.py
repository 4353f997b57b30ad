"""Parse and edit an htpasswd file: users and the hashes of their passwords.

An invalid line refuses its user only, with a sentence that never holds the hash.
"""

from __future__ import annotations

import re
import unicodedata
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from simpleindex.access.rules import WHO_WORDS
from simpleindex.core.errors import SimpleIndexError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TOKEN_USER: Final = "__token__"  # noqa: S105  (a user name)
"""The user name that announces a token (docs/protocol.md, "Answers to an upload"); no user can have it."""

_LONGEST_NAME: Final = 255

_BCRYPT: Final = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}\Z")
_BCRYPT_COSTS: Final = range(10, 16)
"""OWASP's password storage cheat sheet asks for 10 at least; each step doubles the time, and 15 takes about 2 s."""

_BASE64: Final = "([A-Za-z0-9+/]{1,512})"
_ARGON2: Final = re.compile(
    rf"\$argon2(?:id|i)\$v=19\$m=([0-9]{{1,9}}),t=([0-9]{{1,9}}),p=([0-9]{{1,9}})\${_BASE64}\${_BASE64}\Z"
)
_ARGON2_LEAST_MEMORY: Final = 7_168  # KiB
_ARGON2_LEAST_WORK: Final = 35_840
"""KiB times passes: the least of the choices that OWASP's cheat sheet calls equally good (7 MiB, 5 passes)."""

_ARGON2_MOST_MEMORY: Final = 1 << 20  # KiB: 1 GiB; anybody who knows a user's name makes the server use it
_ARGON2_MOST_WORK: Final = 1 << 22  # KiB times passes: a few seconds
_ARGON2_MOST_LANES: Final = 64
_ARGON2_LEAST_SALT: Final = 8  # bytes (RFC 9106 section 3.1)
_ARGON2_LEAST_TAG: Final = 16  # bytes

_OTHER_KINDS: Final = (
    ("$2", "is a bcrypt hash that is damaged or of an unknown kind"),
    ("$argon2d$", "is argon2d, which is not made for passwords"),
    ("$argon2", "is an argon2 hash that is damaged or of an old version"),
    ("$apr1$", "is Apache's MD5, which is too weak"),
    ("$1$", "is crypt's MD5, which is too weak"),
    ("$5$", "is crypt's SHA-256, which is too weak"),
    ("$6$", "is crypt's SHA-512, which is too weak"),
    ("{SHA}", "is SHA-1, which is too weak"),
    ("{SSHA}", "is SHA-1, which is too weak"),
)


@dataclass(frozen=True, slots=True)
class Users:
    """The content of a users file.

    Attributes:
        hashes: The hashes by user name.
        refused: A sentence for each line that gives nobody access, without the file's name.
    """

    hashes: Mapping[str, str] = field(default_factory=dict, repr=False)
    refused: tuple[str, ...] = ()


_NOBODY: Final = b"# Nobody yet: simpleindex passwd NAME adds a user.\n"


def parse_users(content: bytes) -> Users:
    """Parse an htpasswd file: ``name:hash`` on each line; blank lines and those that begin with ``#`` are skipped.

    A user on two lines is refused, because either password could be meant.
    """
    hashes: dict[str, str] = {}
    lines: dict[str, int] = {}
    refused = []
    for number, name, text in _lines(content):
        if text is None:
            refused.append(f"line {number} gives nobody access: it has no colon behind a user's name.")
            continue
        try:
            user = parse_user_name(name)
        except InvalidUserName as error:
            refused.append(f"line {number} gives nobody access: its user name {error.reason}.")
            continue
        if user in lines:
            hashes.pop(user, None)
            reason = f"it is on line {lines[user]} too, and one of them must go"
        else:
            lines[user] = number
            reason = _hash_refusal(text)
        if reason:
            refused.append(f"line {number}: {user!r} is refused: {reason}.")
        else:
            hashes[user] = text
    return Users(hashes, tuple(refused))


def parse_user_name(text: str) -> str:
    """Return a user's name in the one form in which names are compared (NFC, RFC 7617 section 2.1).

    Raises:
        InvalidUserName: No user can have this name.
    """
    name = unicodedata.normalize("NFC", text)
    if not name:
        raise InvalidUserName("is empty")
    if len(name) > _LONGEST_NAME:
        raise InvalidUserName(f"is longer than {_LONGEST_NAME} characters")
    if not name.isprintable() or name != name.strip():
        raise InvalidUserName("has characters that cannot be seen, or spaces at an end")
    if ":" in name:
        raise InvalidUserName("has a colon, where HTTP and the file end it")
    if name[0] in "#${":
        raise InvalidUserName(f"begins with {name[0]!r}, as comments and hashes do")
    if name == TOKEN_USER:
        raise InvalidUserName("stands for a token")
    if name.lower() in WHO_WORDS:
        raise InvalidUserName(f"{name!r} has a meaning of its own in access rules")
    return name


def with_password(content: bytes, user: str, hash: str) -> bytes:  # noqa: A002  (the field's word)
    """Return a users file's content with a user's hash in it.

    The user's line keeps its place and what stands behind its hash; a second line of the same user goes. All other lines
    stay, byte for byte.
    """
    lines = content.splitlines(keepends=True)
    mine = [number for number, line in enumerate(lines) if _user_of(line) == user]
    if not mine:
        end = b"" if not content or content.endswith(b"\n") else b"\n"
        return content + end + f"{user}:{hash}\n".encode()
    first = lines[mine[0]]
    text = first.rstrip()
    comment = b"".join(text.split(b":", 1)[1].partition(b":")[1:])
    lines[mine[0]] = f"{user}:{hash}".encode() + comment + (first[len(text) :] or b"\n")
    return b"".join(line for number, line in enumerate(lines) if number not in mine[1:])


def without_user(content: bytes, user: str) -> bytes | None:
    """Return a users file's content without a user, or None if there is no such user in it."""
    lines = content.splitlines(keepends=True)
    others = [line for line in lines if _user_of(line) != user]
    if len(others) == len(lines):
        return None
    # An empty file would be taken for one that is being rewritten.
    return b"".join(others) if b"".join(others).strip() else _NOBODY


def _user_of(line: bytes) -> str | None:
    """Return the user of a line."""
    text = line.decode("utf-8", "surrogateescape").lstrip("\ufeff").strip()
    name, colon, _ = text.partition(":")
    return unicodedata.normalize("NFC", name) if colon and not text.startswith("#") else None


def _lines(content: bytes) -> Iterator[tuple[int, str, str | None]]:
    """Yield the lines of users: number, name and hash, which is None without a colon."""
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        # Invalid UTF-8 becomes lone surrogates, which are not printable.
        text = line.decode("utf-8", "surrogateescape").strip()
        if text and not text.startswith("#"):
            # nginx allows a comment behind a second colon; no accepted hash has one.
            name, colon, rest = text.partition(":")
            yield number, name, rest.partition(":")[0] if colon else None


def _hash_refusal(text: str) -> str:
    """Return why a hash is not accepted, as the end of a sentence; empty if it is."""
    if match := _BCRYPT.match(text):
        return _bcrypt_refusal(int(match[1]))
    if match := _ARGON2.match(text):
        memory, passes, lanes = (int(number) for number in match.group(1, 2, 3))
        return _argon2_refusal(memory, passes, lanes, match[4], match[5])
    if not text:
        return "it has no hash; set the password with simpleindex passwd"
    kind = next((kind for start, kind in _OTHER_KINDS if text.startswith(start)), None)
    return f"its hash {kind or 'is neither bcrypt nor argon2'}; set the password with simpleindex passwd"


def _bcrypt_refusal(cost: int) -> str:
    if cost < _BCRYPT_COSTS.start:
        return f"its bcrypt cost {cost} is too weak ({_BCRYPT_COSTS.start} at least)"
    if cost >= _BCRYPT_COSTS.stop:
        return f"its bcrypt cost {cost} takes too long to check ({_BCRYPT_COSTS.stop - 1} at most)"
    return ""


def _argon2_refusal(memory: int, passes: int, lanes: int, salt: str, tag: str) -> str:
    if memory < _ARGON2_LEAST_MEMORY or memory * passes < _ARGON2_LEAST_WORK:
        return f"its argon2 parameters m={memory},t={passes} are too weak (m=19456,t=2 at least)"
    if memory > _ARGON2_MOST_MEMORY or memory * passes > _ARGON2_MOST_WORK:
        return (
            f"its argon2 parameters m={memory},t={passes} cost too much to check (m={_ARGON2_MOST_MEMORY},"
            f"t={_ARGON2_MOST_WORK // _ARGON2_MOST_MEMORY} at most)"
        )
    if not 1 <= lanes <= _ARGON2_MOST_LANES:
        return f"its argon2 parameter p={lanes} is out of bounds (1 to {_ARGON2_MOST_LANES})"
    if _size(salt) < _ARGON2_LEAST_SALT or _size(tag) < _ARGON2_LEAST_TAG:
        return "its argon2 hash is damaged or cut off"
    return ""


def _size(text: str) -> int:
    """Return the number of bytes in a base64 text without padding; 0 for an invalid one."""
    try:
        data = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return 0
    return len(data) if b64encode(data).decode().rstrip("=") == text else 0


class InvalidUserName(SimpleIndexError):
    """A text that cannot be a user's name.

    Attributes:
        reason: What is wrong, as a sentence without its subject; the text itself may be a secret in the wrong place.
    """

    template = "The user name {reason}"
    reason: str
