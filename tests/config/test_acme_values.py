"""Names, directories and contacts for ACME, as an operator may write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.config.acme_values import (
    LETS_ENCRYPT,
    LETS_ENCRYPT_STAGING,
    AcmeContact,
    Identifier,
    parse_acme_directory,
    parse_contact,
    parse_identifier,
)
from simpleindex.core.errors import InvalidSetting
from tests.fixtures.tables import for_each


@pytest.mark.parametrize(
    ("text", "value", "server_name"),
    [
        ("packages.example.org", "packages.example.org", "packages.example.org"),
        ("Packages.Example.ORG.", "packages.example.org", "packages.example.org"),
        (" a.b ", "a.b", "a.b"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("127.0.0.1", "127.0.0.1", "1.0.0.127.in-addr.arpa"),
        ("[2001:DB8::1]", "2001:db8::1", "1" + ".0" * 23 + ".8.b.d.0.1.0.0.2.ip6.arpa"),
    ],
)
def test_names_and_addresses_have_one_spelling_and_the_name_that_a_validator_sends(
    text: str, value: str, server_name: str
) -> None:
    identifier = parse_identifier(text)
    assert (identifier.value, identifier.server_name) == (value, server_name)


@for_each(
    ("text", "part"),
    [
        ("*.example.org", "wildcard"),
        ("localhost", "complete"),
        ("", "no host name"),
        ("a..b", "no host name"),
        ("-a.example", "no host name"),
        ("a_b.example", "no host name"),
        ("ex ample.org", "no host name"),
        ("../../etc/passwd", "no host name"),
        ("1.2.3", "complete"),
        ("300.1.1.1", "complete"),
        (("a" * 63 + ".") * 4 + "example", "no host name"),
        ("a" * 64 + ".example", "no host name"),
        ("bücher.example", "xn--"),
        ("fe80::1%eth0", "no address by which"),
        ("0.0.0.0", "no address by which"),
        ("[::]", "no address by which"),
        ("224.0.0.1", "no address by which"),
    ],
)
def test_what_cannot_be_certified_is_refused_with_the_reason(text: str, part: str) -> None:
    with pytest.raises(InvalidSetting, match=part):
        parse_identifier(text)


@given(st.text(max_size=300))
def test_any_text_is_an_identifier_or_refused(text: str) -> None:
    try:
        identifier = parse_identifier(text)
    except InvalidSetting:
        return
    assert parse_identifier(identifier.value) == identifier == Identifier(identifier.value)
    assert "/" not in identifier.server_name
    assert not identifier.server_name.startswith(".")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("letsencrypt", LETS_ENCRYPT),
        ("Staging", LETS_ENCRYPT_STAGING),
        (
            "https://ca.example.org:9000/acme/acme/directory",
            "https://ca.example.org:9000/acme/acme/directory",
        ),
    ],
)
def test_a_directory_is_a_url_or_a_word(text: str, url: str) -> None:
    assert parse_acme_directory(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lets-encrypt",
        "http://ca.example.org/d",
        "https://",
        "https://u:p@ca.example.org/",
        "https://[::1",
        "https://ca.example.org:99999/d",
        "https://ca.example.org:0/d",
        "https://ca.example.org/ d",
        "https://ca.example.org/\x1b[31m",
    ],
)
def test_other_directories_are_refused(text: str) -> None:
    with pytest.raises(InvalidSetting, match="letsencrypt and staging"):
        parse_acme_directory(text)


@pytest.mark.parametrize(
    ("text", "contact"), [("you@example.org", "you@example.org"), ("none", None), ("NONE", None)]
)
def test_a_contact_is_an_address_or_none(text: str, contact: str | None) -> None:
    assert parse_contact(text) == AcmeContact(contact)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "you",
        "@example.org",
        "a@b",
        "a@b.c,d@e.f",
        "a b@example.org",
        "mailto:a@b.c",
        "a@b.c?subject=x",
        "a\n@b.c",
    ],
)
def test_other_contacts_are_refused(text: str) -> None:
    with pytest.raises(InvalidSetting, match="e-mail"):
        parse_contact(text)
