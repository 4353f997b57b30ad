"""Lists of names that are not to be offered."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.core.names import ProjectName
from simpleindex.policy.deny_list import InvalidNameList, parse_deny_list
from tests.fixtures.tables import for_each

CONTENT = b"""\xef\xbb\xbf
# names
Evil_Package   # it is
quiet
evil-*         # as above
litellm == 1.82.7 # stole credentials
litellm >= 9, < 10
"""


@pytest.mark.parametrize(
    ("name", "version", "whole", "why"),
    [
        ("evil-package", "1.0", "the list has it, it is", None),
        ("quiet", "1.0", "the list has it", None),
        ("evil-twin", "1.0", "the list has it, as above", None),
        ("evil", "1.0", None, None),
        ("litellm", "1.82.7", None, "the list has it, stole credentials"),
        ("litellm", "1.82.7.post1", None, None),
        ("litellm", "9.5rc1", None, "the list has it"),
        ("litellm", "10.0", None, None),
    ],
)
def test_list(name: str, version: str, whole: str | None, why: str | None) -> None:
    """Names, patterns and versions, each with its reason."""
    names = parse_deny_list(CONTENT)
    assert names.project_reason(ProjectName(name)) == whole
    assert names.version_reason(ProjectName(name), version) == why
    assert not names.is_fix(ProjectName(name), version)


@for_each(
    ("content", "sentence"),
    [
        (b"\n-x*", "has '-x\\*' on line 2, which matches no project"),
        (b"a b", "has 'a b' on line 1, which is neither a name"),
        (b"a; python_version < '3'", "on line 1, which is neither"),
        (b"a[extra]", "on line 1, which is neither"),
        (b"a @ https://example.com/a.zip", "on line 1, which is neither"),
        (b"a == *", "on line 1, which is neither"),
        (b"a\nb_", "has 'b_' on line 2, which is neither"),
        (b"a_ == 1.0", "has 'a_ == 1.0' on line 1, which is neither"),
        (b"\xff", "is not UTF-8 text"),
    ],
)
def test_refused(content: bytes, sentence: str) -> None:
    """A name that is meant to be denied does not pass for a comment."""
    with pytest.raises(InvalidNameList, match=sentence):
        parse_deny_list(content)


def test_a_reason_is_of_its_line() -> None:
    """Whatever characters it has; the first of several for one name counts."""
    names = parse_deny_list("acme  # a\u2028other\x0bthird\r\nacme # b\nac* # c\nac* # d\n".encode())
    assert set(names.names) == {"acme"}
    assert names.project_reason(ProjectName("acme")) == "the list has it, aotherthird"
    assert names.project_reason(ProjectName("acorn")) == "the list has it, c"
    assert names == parse_deny_list(b"ac* # c\nacme # aotherthird")


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_content(content: bytes) -> None:
    """It is read or refused."""
    with contextlib.suppress(InvalidNameList):
        parse_deny_list(content)
