"""The users file: which hashes are good enough, and what is said of the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.access.logins.htpasswd import (
    InvalidUserName,
    parse_user_name,
    parse_users,
    with_password,
    without_user,
)
from tests.fixtures.tables import for_each

BCRYPT_END = "N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"
BCRYPT = f"$2b$12${BCRYPT_END}"
SALT, TAG = "c2FsdHNhbHRzYWx0c2FsdA", "A" * 43
ARGON2 = f"$argon2id$v=19$m=65536,t=3,p=4${SALT}${TAG}"


def one(hash_: str) -> str:
    """Parse one user; returns what is said, or nothing."""
    users = parse_users(f"alice:{hash_}\n".encode())
    assert users.hashes == ({} if users.refused else {"alice": hash_})
    return "".join(users.refused)


@for_each(
    "hash_",
    [
        BCRYPT,
        *(f"$2{kind}$10${BCRYPT_END}" for kind in "aby"),
        f"$2b$15${BCRYPT_END}",
        ARGON2,
        ARGON2.replace("argon2id", "argon2i"),
        *(
            ARGON2.replace("m=65536,t=3,p=4", parameters)
            for parameters in ("m=47104,t=1,p=1", "m=19456,t=2,p=1", "m=7168,t=5,p=1", "m=102400,t=2,p=8")
        ),
        f"$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ${'A' * 22}",
    ],
)
def test_good_hashes(hash_: str) -> None:
    """What bcrypt and argon2 make today, and OWASP's choices."""
    assert one(hash_) == ""


@for_each(
    ("hash_", "reason"),
    [
        (f"$2b$09${BCRYPT_END}", "bcrypt cost 9 is too weak"),
        (f"$2b$16${BCRYPT_END}", "bcrypt cost 16 takes too long"),
        (f"$2b$31${BCRYPT_END}", "bcrypt cost 31 takes too long"),
        (f"$2x$12${BCRYPT_END}", "bcrypt hash that is damaged or of an unknown kind"),
        (f"$2b$12${BCRYPT_END[:-1]}", "bcrypt hash that is damaged"),
        ("$apr1$2b7FGzK5$P1vq2bmlYjlxKMdXjPUiO.", "is Apache's MD5"),
        ("$1$abcdefgh$irWbblnpmw.5z7wgBnprh0", "is crypt's MD5"),
        ("$5$salt$Gcm6FsVtF/Qa77ZKD.iwsJlCVPY0XSMgLJL0Hnww/c1", "is crypt's SHA-256"),
        ("$6$salt$IxDD3jeSOb5eB1CX5LBsqZFVkJdido3OUILO5Ifz5iwMuTS4XMS130MTSuDDl3aCI6W", "is crypt's SHA-512"),
        ("{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "is SHA-1"),
        ("{SSHA}abc", "is SHA-1"),
        ("rqXexS6ZhobKA", "is neither bcrypt nor argon2"),
        ("plain text", "is neither bcrypt nor argon2"),
        ("$y$j9T$abc$def", "is neither bcrypt nor argon2"),
        ("", "it has no hash"),
        (ARGON2.replace("argon2id", "argon2d"), "not made for passwords"),
        (ARGON2.replace("v=19", "v=16"), "of an old version"),
        (ARGON2.replace("$v=19", ""), "of an old version"),
        (ARGON2.replace("p=4", "p=4,keyid=a"), "damaged or of an old version"),
        (ARGON2.replace("m=65536,t=3", "m=19456,t=1"), "m=19456,t=1 are too weak"),
        (ARGON2.replace("m=65536", "m=4096").replace("t=3", "t=100"), "are too weak"),
        (ARGON2.replace("m=65536", "m=2097152"), "cost too much to check"),
        (ARGON2.replace("t=3", "t=1000"), "cost too much to check"),
        (ARGON2.replace("p=4", "p=0"), "p=0 is out of bounds"),
        (ARGON2.replace("p=4", "p=65"), "p=65 is out of bounds"),
        (ARGON2.replace(SALT, "c2FsdA"), "damaged or cut off"),
        (ARGON2.replace(TAG, "A" * 20), "damaged or cut off"),
        (ARGON2.replace(TAG, "A" * 41), "damaged or cut off"),
        (ARGON2.replace(TAG, "A" * 42 + "B"), "damaged or cut off"),
        (f"{ARGON2}!", "damaged or of an old version"),
        (ARGON2.replace("m=65536", "m=99999999999"), "damaged or of an old version"),
    ],
)
def test_refused_hashes(hash_: str, reason: str) -> None:
    """One sentence with the line, the user and the reason, and without the hash."""
    said = one(hash_)
    assert said.startswith("line 1: 'alice' is refused: it")
    assert reason in said
    assert said.endswith(".")
    assert len(hash_) < 4 or hash_ not in said


def test_a_whole_file() -> None:
    """Comments, blank lines, Windows line ends, a byte order mark, a third field, and one bad line among good ones."""
    users = parse_users(
        "\ufeff# People\r\n"
        f"alice:{BCRYPT}\r\n"
        "\r\n"
        f"  bob:{ARGON2}:the new one\n"
        "carol:{SHA}x\n"
        f"José Núñez:{BCRYPT}\n"
        "  # nobody else".encode()
    )
    assert users.hashes == {"alice": BCRYPT, "bob": ARGON2, "José Núñez": BCRYPT}
    (sentence,) = users.refused
    assert sentence.startswith("line 5: 'carol'")


def test_a_name_in_two_forms_is_one_user() -> None:
    """An e with an accent is that however it was typed (NFC)."""
    assert parse_users(f"Jose\u0301:{BCRYPT}".encode()).hashes == {"Jos\u00e9": BCRYPT}


def test_a_user_on_two_lines_is_refused() -> None:
    """Nobody can tell which password is meant; others are not harmed."""
    users = parse_users(f"alice:{BCRYPT}\nbob:{BCRYPT}\nalice:{ARGON2}\nalice:x\n".encode())
    assert users.hashes == {"bob": BCRYPT}
    assert users.refused == tuple(
        f"line {line}: 'alice' is refused: it is on line 1 too, and one of them must go." for line in (3, 4)
    )


@for_each(
    ("line", "reason"),
    [
        (b"alice", "it has no colon behind a user's name"),
        (BCRYPT.encode(), "it has no colon behind a user's name"),
        (f"{BCRYPT}:alice".encode(), "its user name begins with '$'"),
        (b":" + BCRYPT.encode(), "its user name is empty"),
        (b"__token__:" + BCRYPT.encode(), "its user name stands for a token"),
        (b"al\xffice:" + BCRYPT.encode(), "cannot be seen"),
        (b"al\x1bice:" + BCRYPT.encode(), "cannot be seen"),
        (b"alice :" + BCRYPT.encode(), "spaces at an end"),
        (b"a" * 256 + b":" + BCRYPT.encode(), "longer than 255"),
        (b"anyone:" + BCRYPT.encode(), "has a meaning of its own"),
    ],
)
def test_lines_without_a_user(line: bytes, reason: str) -> None:
    """What may be a secret in the wrong place is not shown."""
    users = parse_users(b"# x\n" + line)
    assert users.hashes == {}
    (sentence,) = users.refused
    assert sentence.startswith("line 2 gives nobody access: ")
    assert reason in sentence
    assert BCRYPT not in sentence


@pytest.mark.parametrize("name", ["alice", "a", "a b", "alice@example.org", "Ünal", "@x", "-x"])
def test_user_names(name: str) -> None:
    """Whatever people are called elsewhere."""
    assert parse_user_name(name) == name


@for_each("name", ["", "a:b", "#a", "{a", "a\n", " a", "a\u200b", "__token__", "owner", "Anyone"])
def test_no_user_names(name: str) -> None:
    """What a file or a header could not carry, or what means something else."""
    with pytest.raises(InvalidUserName, match=r"^The user name "):
        parse_user_name(name)


@given(st.binary())
def test_any_bytes(content: bytes) -> None:
    """Whatever the file holds, it is read."""
    assert len(parse_users(content).refused) <= content.count(b"\n") + 1


HASH_LIKE = st.text(alphabet="$2aby1056argon{}SHA=mtpv,+/.idAZ9", min_size=10)


@given(st.lists(st.tuples(st.sampled_from(["alice", "bob", "$x", ""]), HASH_LIKE)))
def test_no_hash_is_ever_shown(lines: list[tuple[str, str]]) -> None:
    """Neither in a sentence nor in a traceback."""
    users = parse_users("\n".join(f"{name}:{hash_}" for name, hash_ in lines).encode())
    said = " ".join(users.refused) + repr(users)
    assert not any(hash_ in said for _, hash_ in lines)


@for_each(
    ("content", "user", "expected"),
    [
        (b"", "alice", b"alice:NEW\n"),
        (b"# People\n", "alice", b"# People\nalice:NEW\n"),
        (b"bob:x", "alice", b"bob:x\nalice:NEW\n"),
        (b"alice:x\nbob:y\n", "alice", b"alice:NEW\nbob:y\n"),
        (b"bob:y\nalice:x", "alice", b"bob:y\nalice:NEW\n"),
        (b"alice:x:since 2020\r\nbob:y\r\n", "alice", b"alice:NEW:since 2020\r\nbob:y\r\n"),
        (b"  alice:x\nbob:y\nalice:z\n# alice:w\n", "alice", b"alice:NEW\nbob:y\n# alice:w\n"),
        (b"\xff:x\n\nalicia:x\nalice:x\n", "alice", b"\xff:x\n\nalicia:x\nalice:NEW\n"),
        ("Jose\u0301:x\n".encode(), "Jos\u00e9", "Jos\u00e9:NEW\n".encode()),
        (b"\xef\xbb\xbfalice:x\n", "alice", b"alice:NEW\n"),
        (b"alice\n", "alice", b"alice\nalice:NEW\n"),
    ],
)
def test_with_password(content: bytes, user: str, expected: bytes) -> None:
    """The line keeps its place and its comment; whatever else stands there stays as it is, byte for byte."""
    assert with_password(content, user, "NEW") == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"# People\nalice:x\nbob:y", b"# People\nbob:y"),
        (b"alice:x\nbob:y\nalice:z\n", b"bob:y\n"),
        (b"alice:x\n", b"# Nobody yet: simpleindex passwd NAME adds a user.\n"),
        (b"bob:x\n", None),
        (b"# alice:x\nalice\n", None),
        (b"", None),
    ],
)
def test_without_user(content: bytes, expected: bytes | None) -> None:
    """An empty file never comes of it, for that would be taken for one that is being written."""
    assert without_user(content, "alice") == expected


@given(st.lists(st.binary(max_size=20)))
def test_a_password_set_is_found(lines: list[bytes]) -> None:
    """In any file, unless a line break in it is none to the one who reads; and taken out again it is gone."""
    content = b"\n".join(lines)
    changed = with_password(content, "alice", BCRYPT)
    assert parse_users(changed).hashes["alice"] == BCRYPT
    removed = without_user(changed, "alice")
    assert removed is not None
    assert "alice" not in parse_users(removed).hashes
