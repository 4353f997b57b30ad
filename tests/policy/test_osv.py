"""Advisories in the OSV format: which versions they are about, and which mend them."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from simpleindex.core.names import ProjectName
from simpleindex.core.text import printable
from simpleindex.policy.osv import Advisories, InvalidAdvisory, parse_advisory
from tests.fixtures.tables import for_each

ACME = ProjectName("acme")


def record(*affected: dict[str, Any], **values: Any) -> bytes:
    """An advisory."""
    return json.dumps({"id": "PYSEC-1", "affected": affected, **values}).encode()


def about(*events: dict[str, str], versions: tuple[str, ...] = (), **values: Any) -> dict[str, Any]:
    """What is affected of acme."""
    found: dict[str, Any] = {"package": {"ecosystem": "PyPI", "name": "Acme"}, **values}
    if events:
        found["ranges"] = [{"type": "ECOSYSTEM", "events": events}]
    if versions:
        found["versions"] = versions
    return found


@for_each(
    ("affected", "bad", "good"),
    [
        (about({"introduced": "0"}), ["0.dev1", "1.0", "99"], []),
        (about({"introduced": "0"}, {"fixed": "1.5"}), ["0.1", "1.5rc1"], ["1.5", "2.0"]),
        (about({"introduced": "1.0"}, {"last_affected": "1.5"}), ["1.0", "1.5"], ["0.9", "1.5.post1", "1.6"]),
        (
            about({"fixed": "1.5"}, {"introduced": "2.0"}, {"fixed": "2.5"}, {"introduced": "1.0"}),
            ["1.0", "1.4", "2.0", "2.4.9"],
            ["0.9", "1.5", "1.9", "2.5", "3.0"],
        ),
        (about({"introduced": "0"}, {"limit": "2.0"}), ["1.9"], ["2.0", "3.0"]),
        (about({"introduced": "0"}, {"limit": "*"}), ["1.9", "3.0"], []),
        (about(versions=("1.0", "1.2", "odd!")), ["1.0", "1.2", "1.2.0"], ["1.1"]),
        (
            about({"introduced": "1.0"}, {"fixed": "1.1"}, versions=("1.0", "3.0")),
            ["1.0", "3.0"],
            ["1.1", "2.0"],
        ),
        # A beginning that is no version is taken for the earliest: rather too much than too little.
        (about({"introduced": "odd!"}, {"fixed": "1.1"}), ["1.0"], ["1.1"]),
        # The last that is said of a version counts, in the order in which it is said.
        (
            about({"introduced": "0"}, {"fixed": "1.0"}, {"introduced": "1.0"}, {"fixed": "2.0"}),
            ["0.9", "1.0", "1.9"],
            ["2.0"],
        ),
        (about({"introduced": "0"}, {"limit": "*"}, {"limit": "2.0"}), ["1.9", "3.0"], []),
        # The first edition of the schema had both in one event.
        (about({"introduced": "1.0", "fixed": "1.5"}), ["1.0", "1.4"], ["0.9", "1.5"]),
        # An end that is no version is none.
        (about({"introduced": "1.0"}, {"fixed": "odd!"}), ["1.0", "9.0"], ["0.9"]),
        # A build of a version has what the version has, unless it is the one that mends it.
        (about({"introduced": "0"}, {"last_affected": "1.5"}), ["1.5+cpu"], ["1.6+cpu"]),
        (about(versions=("1.0",)), ["1.0+cpu"], ["1.1+cpu"]),
        (about({"introduced": "0"}, {"fixed": "1.5+mended.1"}), ["1.5", "1.5+cpu"], ["1.5+mended.1", "1.6"]),
        # What ends where it begins holds nothing.
        (about({"introduced": "1.0"}, {"fixed": "1.0"}), [], ["0.9", "1.0", "1.1"]),
        (about(ranges=[{"type": "GIT", "events": [{"introduced": "0"}]}]), [], ["1.0"]),
        ({"package": {"ecosystem": "npm", "name": "acme"}, "versions": ["1.0"]}, [], ["1.0"]),
    ],
)
def test_versions(affected: dict[str, Any], bad: list[str], good: list[str]) -> None:
    """By ranges and by name, as the schema evaluates them."""
    advisories = Advisories(parse_advisory(record(affected)))
    for version in bad:
        assert advisories.version_reason(ACME, version) == f"the advisory PYSEC-1 is about {version}"
    for version in good:
        assert advisories.version_reason(ACME, version) is None
    assert advisories.version_reason(ProjectName("other"), "1.0") is None
    assert advisories.project_reason(ACME) is None


def test_a_name_that_no_project_can_have() -> None:
    """What is said of others beside it counts."""
    odd = {"package": {"ecosystem": "PyPI", "name": "-"}, "versions": ["1.0"]}
    (advisory,) = parse_advisory(record(odd, about(versions=("1.0",))))
    assert advisory.name == ACME


def test_fixes() -> None:
    """A version that mends one thing and has another is no fix."""
    one = about({"introduced": "0"}, {"fixed": "1.5"})
    other = json.dumps(
        {"id": "PYSEC-2", "affected": [about({"introduced": "1.5"}, {"fixed": "1.6"})]}
    ).encode()
    advisories = Advisories((*parse_advisory(record(one)), *parse_advisory(other)))
    assert [version for version in ("1.4", "1.5", "1.6", "1.7") if advisories.is_fix(ACME, version)] == [
        "1.6"
    ]
    assert not advisories.is_fix(ProjectName("other"), "1.6")
    assert len(advisories) == 2


def test_many_advisories() -> None:
    """Three are named."""
    records = [
        json.dumps({"id": f"P-{n}", "affected": [about(versions=("1.0",))]}).encode() for n in range(5)
    ]
    advisories = Advisories(found for each in records for found in parse_advisory(each))
    assert advisories.version_reason(ACME, "1.0") == "the advisory P-0, P-1, P-2 and 2 more is about 1.0"


def test_what_ranges_have_is_not_kept_twice() -> None:
    """The public ones name every version."""
    (advisory,) = parse_advisory(
        record(about({"introduced": "1.0"}, {"fixed": "3.0"}, versions=("1.0", "2.0", "5.0")))
    )
    assert advisory.versions == {Version("5.0")}


def test_what_readers_are_told() -> None:
    values = {"aliases": ["CVE-1", 7, "", "GHSA-\x1b1"], "summary": "It\nexplodes"}
    (advisory,) = parse_advisory(record(about(versions=("1.0",)), **values))
    assert (advisory.aliases, advisory.summary) == (
        ("CVE-1", printable("GHSA-\x1b1")),
        printable("It\nexplodes"),
    )
    (advisory,) = parse_advisory(record(about(versions=("1.0",)), aliases="CVE-1", summary=["x"]))
    assert (advisory.aliases, advisory.summary) == ((), "")


def test_withdrawn() -> None:
    """It says nothing any more."""
    assert parse_advisory(record(about(versions=("1.0",)), withdrawn="2026-01-01T00:00:00Z")) == ()


@for_each(
    ("content", "sentence"),
    [
        (b"", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "is not an advisory"),
        (b"{}", "is not an advisory"),
        (b'{"id": 1}', "has an invalid 'id'"),
        (b'{"id": "a\\nb"}', "has an invalid 'id'"),
        (record({"package": {"ecosystem": "PyPI"}}), "is not an advisory"),
        (record({"package": {"ecosystem": "PyPI", "name": 5}}), "is not an advisory"),
        (record(about(ranges=[{"type": "ECOSYSTEM"}])), "is not an advisory"),
        (record(about(ranges=[{"type": "ECOSYSTEM", "events": [{}]}])), "is not an advisory"),
        (record(about(versions=5)), "is not an advisory"),  # type: ignore[arg-type]
    ],
)
def test_refused(content: bytes, sentence: str) -> None:
    """What is none is refused with what is wrong."""
    with pytest.raises(InvalidAdvisory, match=sentence):
        parse_advisory(content)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["PyPI", "acme", "0", "1.0"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "affected",
                    "package",
                    "ecosystem",
                    "name",
                    "ranges",
                    "events",
                    "type",
                    "introduced",
                    "fixed",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(values)
def test_any_record(value: Any) -> None:
    """It is read or refused, whatever it is."""
    with contextlib.suppress(InvalidAdvisory):
        parse_advisory(json.dumps(value).encode())
