"""Users and rights of other servers: which hashes are usable, and the proposed access file."""

from __future__ import annotations

from simpleindex.access.access_file import parse_access
from simpleindex.migration.people import (
    ImportedPeople,
    ImportedUser,
    ProposedRule,
    access_proposal,
    htpasswd_people,
    judge_users,
)

BCRYPT = "$2b$12$" + "a" * 53
ARGON2 = (
    "$argon2id$v=19$m=102400,t=2,p=8$c29tZXNhbHRzb21lc2FsdA$" + "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE"
)


def test_hashes() -> None:
    """No sentence holds one."""
    judged = judge_users(
        [
            ImportedUser("alice", BCRYPT),
            ImportedUser("bob", ARGON2),
            ImportedUser("carol", "$apr1$salt$secret"),
            ImportedUser("dave"),
            ImportedUser("eve:x", BCRYPT),
            ImportedUser("anyone", BCRYPT),
            ImportedUser("frank", f"x\nmallory:{BCRYPT}"),
            ImportedUser("gr\udc80te", BCRYPT),
            ImportedUser("#heidi", BCRYPT),
        ]
    )
    assert judged.usable == {"alice": BCRYPT, "bob": ARGON2}
    assert judged.unusable["carol"] == "its hash is Apache's MD5, which is too weak"
    assert judged.unusable["dave"] == "it has no hash"
    assert judged.unusable["frank"] == "the hash is damaged"
    assert judged.unusable["eve:x"].startswith("the name has a colon")
    assert "secret" not in repr(judged)
    assert BCRYPT not in repr(judged)
    assert len(judged.unusable) == 7


def test_an_htpasswd_file() -> None:
    people = htpasswd_people(b"\xef\xbb\xbf# ours\n\nalice:x:comment\r\nbob:y\nnobody\n")
    assert [(user.name, user.hash) for user in people.users] == [("alice", "x"), ("bob", "y")]


def test_the_proposed_access_file_can_be_used() -> None:
    """Names that no user or group can have here are left out."""
    people = ImportedPeople(
        groups={"staff": ("alice", 'b"ob', "x\x9b31m\x7f\udc80", "é"), "déjà-vu": ("alice",)},
        rules=(
            ProposedRule(
                ("acme-*",),
                {"read": ("anyone",), "upload": ("group:staff", "group:nobody", "group:", "alice", "a:b")},
                "of an index",
            ),
            ProposedRule(("*",), {"read": ("authenticated",)}),
        ),
    )
    text = access_proposal(people, "old")
    assert text.startswith("# Proposed from the rights in old")
    assert text.replace("\n", "").isprintable()
    assert 'upload = ["group:staff", "alice"]' in text
    assert 'staff" = ["alice", "b\\"ob", "é"]' in text
    assert len(parse_access(text.encode()).rules) == 2
    assert access_proposal(ImportedPeople(), "old") == ""
