"""Answers of devpi servers, whole and hostile."""

from __future__ import annotations

import json
from typing import Any

import pytest

from simpleindex.access.access_file import parse_access
from simpleindex.migration.devpi_pages import (
    devpi_upload_time,
    parse_config,
    parse_devpi_users,
    parse_indexes,
    parse_projects,
    parse_releases,
    people_of_index,
    read_answer,
    stated_hashes,
)
from simpleindex.migration.errors import InvalidImportSource, NotImported
from simpleindex.migration.people import ImportedUser, access_proposal
from tests.fixtures.imports import ACME

URL = "http://devpi.example:3141/alice/dev/"
SHA256 = "ab" * 32


def answer(kind: str, result: Any) -> bytes:
    return json.dumps({"type": kind, "result": result}).encode()


def link(href: str, **more: Any) -> dict[str, Any]:
    return {"rel": "releasefile", "href": href, "hash_spec": f"sha256={SHA256}", **more}


def test_an_index() -> None:
    body = answer("indexconfig", {"type": "stage", "projects": ["Acme", "zope.interface", "-", 7, "acme"]})
    assert parse_config(body)["type"] == "stage"
    assert parse_projects(body) == ("acme", "zope-interface")


@pytest.mark.parametrize(
    "body", [b"<html>", b"[1]", b'{"type": 1}', answer("list:userconfig", {}), answer("indexconfig", [])]
)
def test_other_answers_are_no_index(body: bytes) -> None:
    with pytest.raises(InvalidImportSource):
        parse_config(body)


def test_an_index_without_projects() -> None:
    with pytest.raises(InvalidImportSource, match="does not list"):
        parse_projects(answer("indexconfig", {"type": "stage"}))


def test_indexes_and_users_of_a_server() -> None:
    users = {"alice": {"indexes": {"dev": {}, "prod": {}}}, "bob": {"indexes": []}, "carol": 3}
    kind, result = read_answer(answer("list:userconfig", users))
    assert (kind, parse_indexes(result)) == ("list:userconfig", ("alice/dev", "alice/prod"))
    assert parse_indexes(None) == ()
    assert [user.name for user in parse_devpi_users(answer("list:userconfig", users))] == [
        "alice",
        "bob",
        "carol",
    ]
    assert parse_devpi_users(b"<html>") == ()


def test_a_project() -> None:
    """Files keep the host of the index, with their digest, time and yank; the rest of a version is passed over."""
    log = [
        {"what": "push", "when": [2021, 5, 6, 7, 8, 9]},
        {"what": "upload", "when": [2020, 1, 2, 3, 4, 5]},
        {"what": "upload", "when": "never"},
        None,
    ]
    versions = {
        "1.0": {
            "yanked": "broken",
            "+links": [
                link("https://elsewhere.example/alice/dev/+f/aba/acme-1.0.tar.gz", log=log),
                link(
                    "http://x/alice/dev/+f/aba/acme-1.0-py3-none-any.whl",
                    hashes={"sha512": "cd" * 64},
                    hash_spec="",
                ),
                {"rel": "doczip", "href": "http://x/alice/dev/+f/aba/acme-1.0.doc.zip"},
                {"rel": "releasefile"},
                "nonsense",
            ],
        },
        "2.0": {
            "+links": [
                link("http://cdn.example/acme-2.0.tar.gz"),
                link("http://x/alice/dev/+f/1/..%2Facme.whl"),
            ]
        },
        "3.0": {"+links": None},
        "4.0": None,
    }
    project = parse_releases(answer("projectconfig", versions), ACME, URL)
    wheel, sdist, other = project.files
    assert (sdist.url, sdist.sha256) == (f"{URL}+f/aba/acme-1.0.tar.gz", SHA256)
    assert sdist.uploaded_ns == 1_577_934_245_000_000_000
    assert (wheel.yanked, wheel.other_hash, wheel.uploaded_ns) == ("broken", ("sha512", "cd" * 64), None)
    assert (other.url, other.yanked) == ("http://cdn.example/acme-2.0.tar.gz", None)
    assert [item.rule for item in project.withheld] == ["name"]


@pytest.mark.parametrize("body", [b"", answer("projectconfig", []), answer("versiondata", {})])
def test_other_answers_are_no_project(body: bytes) -> None:
    with pytest.raises(NotImported):
        parse_releases(body, ACME, URL)


def test_a_link_that_is_no_url() -> None:
    project = parse_releases(
        answer("projectconfig", {"1": {"+links": [link("http://[/acme-1.0.zip")]}}), ACME, URL
    )
    assert project.files == ()


def test_hashes_of_every_age() -> None:
    assert stated_hashes({"md5": "x"}) == {"md5": "x"}
    assert stated_hashes({"hash_spec": "md5=x", "hashes": {"sha256": "y"}}) == {"md5": "x", "sha256": "y"}


@pytest.mark.parametrize("when", [[2020, 1, 2, 3, 4], [2020, 1, 2, 3, 4, 5.5], [2020, 1, 2, 3, 4, -1], 7])
def test_no_times(when: Any) -> None:
    assert devpi_upload_time([{"when": when}]) is None
    assert devpi_upload_time("x") is None


def test_rights() -> None:
    """What is proposed is a valid access file."""
    config = {"acl_upload": ["alice", ":DEVS", ":AUTHENTICATED:", 7], "bases": ["root/pypi"]}
    people = people_of_index("alice/dev", config, (ImportedUser("alice"),))
    assert people.rules[0].who == {"read": ("anyone",), "upload": ("alice", "authenticated")}
    assert [note.split()[0] for note in people.notes] == ["'alice/dev'", "A"]
    assert parse_access(access_proposal(people, "old").encode()).rules
    everybody = people_of_index("a/b", {"acl_upload": [":ANONYMOUS:"], "acl_pkg_read": ["alice"]}, ())
    assert everybody.rules[0].who == {"read": ("alice",), "upload": ("authenticated",)}
    assert everybody.notes == ("Everybody may upload to 'a/b'; here a login is needed.",)
