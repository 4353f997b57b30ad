"""Access dumps of a pypicloud."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from simpleindex.access.access_file import parse_access
from simpleindex.migration.errors import InvalidImportSource
from simpleindex.migration.people import access_proposal
from simpleindex.migration.pypicloud_people import is_pypicloud_dump, pypicloud_people

DUMP: dict[str, Any] = {
    "version": "1.3.3",
    "allow_register": False,
    "users": [
        {"username": "alice", "admin": True, "password": "$2b$10$x"},
        {"username": "bob", "admin": False, "password": None},
        {"admin": True},
    ],
    "groups": {"staff": ["bob", 7], "everyone": ["bob"], "none": None},
    "packages": {
        "users": {"acme": {"bob": ["read", "write", "fly"]}, "-": {"bob": ["read"]}},
        "groups": {
            "acme": {"staff": ["read"], "everyone": ["write"]},
            "Other.One": {"authenticated": ["read"]},
        },
    },
}


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_dump(pack: Any) -> None:
    content = pack(json.dumps(DUMP).encode())
    assert is_pypicloud_dump(content)
    people = pypicloud_people(content)
    assert [(user.name, user.hash) for user in people.users] == [("alice", "$2b$10$x"), ("bob", "")]
    assert people.groups == {"staff": ("bob",), "none": (), "admins": ("alice",)}
    assert [(rule.projects, rule.who) for rule in people.rules] == [
        (("acme",), {"read": ("group:staff", "bob"), "upload": ("authenticated", "bob")}),
        (("other-one",), {"read": ("authenticated",), "upload": ()}),
        (("*",), {"admin": ("group:admins",)}),
        (("*",), {"read": ("authenticated",)}),
    ]
    assert len(parse_access(access_proposal(people, "old").encode()).rules) == 4


def test_a_dump_without_anything() -> None:
    people = pypicloud_people(b'{"users": []}')
    assert (people.users, people.groups, len(people.rules)) == ((), {}, 1)


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", b'{"users": {}}', b"\x1f\x8bnonsense", gzip.compress(json.dumps(DUMP).encode())[:-20]],
)
def test_what_is_no_dump(content: bytes) -> None:
    with pytest.raises(InvalidImportSource, match="ppc-export"):
        pypicloud_people(content)


def test_a_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simpleindex.migration.pypicloud_people._LARGEST", 1000)
    with pytest.raises(InvalidImportSource):
        pypicloud_people(gzip.compress(b" " * 2000 + b'{"users": []}'))


def test_an_htpasswd_file_is_no_dump() -> None:
    assert not is_pypicloud_dump(b"alice:$2b$")
