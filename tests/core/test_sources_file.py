"""The sources file: understood wholly, or refused with what is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.core.errors import InvalidSources
from simpleindex.core.sources_file import (
    Sources,
    Strategy,
    UpstreamSettings,
    parse_sources,
)
from simpleindex.core.toml_values import MAXIMUM_SIZE

FULL = """
strategy = "merge"
own = ["Acme_*"]
allow-upstream = ["acme-open"]

[[upstream]]
name = "pypi"
url = "https://index.example/simple"
projects = ["*"]
exclude = ["bad-*"]
credentials = "env:LOGIN"
ca-file = "/etc/ca.pem"
ttl = "1h"
timeout = "3s"
list = true
hosts = ["*.files.example"]

[[upstream]]
name = "other"
url = "http://localhost:3141/root/"
credentials = "file:/etc/login"
"""


def test_everything() -> None:
    """Every key, and what holds where one is left out."""
    assert parse_sources(FULL.encode()) == Sources(
        strategy=Strategy.MERGE,
        own=("acme-*",),
        allow_upstream=("acme-open",),
        upstreams=(
            UpstreamSettings(
                "pypi",
                "https://index.example/simple/",
                projects=("*",),
                exclude=("bad-*",),
                credentials=("env", "LOGIN"),
                ca_file="/etc/ca.pem",
                ttl=3600.0,
                timeout=3.0,
                lists=True,
                hosts=("*.files.example",),
            ),
            UpstreamSettings("other", "http://localhost:3141/root/", credentials=("file", "/etc/login")),
        ),
    )
    assert parse_sources(b"# nothing\n") == Sources()


UPSTREAM = '[[upstream]]\nname = "a"\nurl = "https://h/"\n'


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("stratgy = 'merge'", "unknown key 'stratgy'; did you mean 'strategy'"),
        ("strategy = 'firstindex'", "did you mean 'first-index'"),
        ("strategy = 1", "known: first-index, merge, isolated"),
        ("strategy = 'isolated'\n" + UPSTREAM, "never asks"),
        ("own = 'acme'", "not a list of texts for 'own'"),
        ("own = ['-']", "for 'own' the project '-'"),
        ("upstream = 1", "write [[upstream]]"),
        ("[[upstream]]\nname = 'a'", "no 'url' in upstream 1"),
        (UPSTREAM.replace('"a"', '"A b"'), "small letters"),
        (UPSTREAM + UPSTREAM, "two sources called 'a'"),
        (UPSTREAM.replace('"a"', '"local"'), "two sources called 'local'"),
        (UPSTREAM.replace("https://h/", "ftp://h/"), "no URL of an index"),
        (UPSTREAM.replace("https://h/", "https://h:x/"), "no URL of an index"),
        (UPSTREAM.replace("https://h/", "https://u:secret@h/"), "a login in the 'url'"),
        (UPSTREAM.replace("https://h/", "https://h/?a"), "a ? or #"),
        (UPSTREAM + "hosts = 'x'", "not a list of texts for 'hosts'"),
        (UPSTREAM + "ttl = 5", "no time such as"),
        (UPSTREAM + "ttl = '0s'", "no time such as"),
        (UPSTREAM + "list = 'yes'", "neither true nor false"),
        (UPSTREAM + "ca-file = ''", "no text for 'ca-file'"),
        (UPSTREAM + "credentials = 'me:secret'", "name no place"),
        (UPSTREAM + "tll = '5m'", "did you mean 'ttl'"),
        ("= ", "not valid TOML"),
    ],
)
def test_refusals(content: str, sentence: str) -> None:
    """Each mistake has its sentence, and no secret is in it."""
    with pytest.raises(InvalidSources) as caught:
        parse_sources(content.encode())
    assert sentence in str(caught.value)
    assert "secret" not in str(caught.value)


def test_what_is_no_text() -> None:
    """Neither are these read."""
    for content, word in (
        (b"\xff", "UTF-8"),
        (b"#" * (MAXIMUM_SIZE + 1), "MiB"),
        (b"a=" + b"[" * 100_000, "nested"),
    ):
        with pytest.raises(InvalidSources, match=word):
            parse_sources(content)


@given(st.text(max_size=60), st.sampled_from(["", UPSTREAM]))
def test_anything(text: str, before: str) -> None:
    """Whatever stands there, it is understood or refused."""
    try:
        parse_sources(f"{before}{text}".encode())
    except InvalidSources as refused:
        assert str(refused).startswith("The sources file")  # noqa: PT017
