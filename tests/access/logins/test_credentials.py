"""The Authorization header, as clients write it and as nobody does."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.access.logins.credentials import (
    MalformedCredentials,
    PasswordCredentials,
    TokenCredentials,
    parse_authorization,
)
from tests.fixtures.tables import for_each

SECRET = "sidx-" + "A1_-" * 10 + "abc"


def basic(user: str, password: str, encoding: str = "utf-8", scheme: str = "Basic") -> str:
    """As a client writes it."""
    return f"{scheme} {b64encode(f'{user}:{password}'.encode(encoding)).decode()}"


@for_each(
    ("header", "expected"),
    [
        (basic("alice", "secret"), PasswordCredentials("alice", b"secret")),
        (basic("alice", "a:b:c"), PasswordCredentials("alice", b"a:b:c")),
        (basic("alice", " x "), PasswordCredentials("alice", b" x ")),
        (basic("", "x"), PasswordCredentials("", b"x")),
        (basic("alice", "secret", scheme="bAsIc"), PasswordCredentials("alice", b"secret")),
        (basic("alice", "secret", scheme=" Basic  ") + " ", PasswordCredentials("alice", b"secret")),
        (basic("josé", "pässwörd"), PasswordCredentials("josé", "pässwörd".encode())),
        (basic("josé", "pässwörd", "latin-1"), PasswordCredentials("josé", "pässwörd".encode())),
        (basic("jose\u0301", "e\u0301"), PasswordCredentials("jos\u00e9", "e\u0301".encode())),
        (basic("alice", "€🔑"), PasswordCredentials("alice", "€🔑".encode())),
        (basic("alice", "x" * 1024), PasswordCredentials("alice", b"x" * 1024)),
    ],
)
def test_passwords(header: str, expected: PasswordCredentials) -> None:
    """In UTF-8 (uv, curl) and in latin-1 (requests: pip, twine, poetry)."""
    assert parse_authorization(header) == expected


@pytest.mark.parametrize(
    ("header", "user"),
    [
        (basic("__token__", SECRET), "__token__"),
        (basic("__token__", f" {SECRET}\n"), "__token__"),
        (basic("alice", SECRET), "alice"),
        (basic("alice", f"\t{SECRET} "), "alice"),
        (basic("", SECRET), ""),
        (f"Bearer {SECRET}", "__token__"),
        (f"bearer   {SECRET} ", "__token__"),
        (f"token {SECRET}", "__token__"),
    ],
)
def test_tokens(header: str, user: str) -> None:
    """As ``__token__``, as any user, and by the words that pypi.org takes; white space around them is nobody's intent."""
    assert parse_authorization(header) == TokenCredentials(user, SECRET)


@pytest.mark.parametrize(
    ("header", "secret"), [(basic("__token__", "pypi-abc"), "pypi-abc"), ("Bearer x", "x"), ("token", "")]
)
def test_tokens_of_others(header: str, secret: str) -> None:
    """What is announced as a token is never tried as a password."""
    assert parse_authorization(header) == TokenCredentials("__token__", secret)


@pytest.mark.parametrize("header", [basic(user, "") for user in ("", "alice", "__token__")])
def test_a_name_alone_is_no_credential(header: str) -> None:
    """Pip sends one for ``https://alice@host/`` before it asks the keyring, and it must not count as a wrong password."""
    assert parse_authorization(header) is None


@for_each(
    "header",
    [
        "",
        " ",
        "Basic",
        "Basic ?",
        "Basic YWJj!",
        "Basic YWJjOg",
        "Basic YWJj",
        "Basic é",
        "Basic YTpi, Basic YTpi",
        "Digest username=x",
        "Negotiate abc",
        basic("alice", "x" * 1025),
        "Basic " + "A" * 8000,
    ],
)
def test_malformed(header: str) -> None:
    """It is said what is wrong, without what was sent."""
    parsed = parse_authorization(header)
    assert isinstance(parsed, MalformedCredentials)
    assert parsed.reason.startswith("it")


@given(st.text(st.characters(max_codepoint=255)))
def test_any_header(header: str) -> None:
    """Whatever comes is read."""
    for text in (header, f"Basic {header}", basic(header, header, "latin-1"), f"Bearer {header}"):
        parse_authorization(text)


@given(st.text().filter(lambda text: ":" not in text), st.text(max_size=200))
def test_no_secret_is_shown(user: str, password: str) -> None:
    """A traceback or a log may show the value; never what was secret in it."""
    try:
        header = basic(user, password)
    except UnicodeEncodeError:
        return
    parsed = parse_authorization(header)
    if isinstance(parsed, PasswordCredentials):
        assert parsed.password.decode() == password
    assert "password=" not in repr(parsed)
    assert "secret=" not in repr(parsed)
