"""Nothing that strangers write runs or loads anything in a page, wherever it stands."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simpleindex.core.files import File
from simpleindex.core.model import Project, Status, Withheld
from simpleindex.core.names import Kind, parse_project_name
from simpleindex.web.release_metadata import parse_release_metadata
from tests.fixtures.depth import number_of, part
from tests.fixtures.hostile_texts import EVIL, HTML, MARKDOWN, RST, assert_harmless
from tests.fixtures.people_site import BROWSERS, PLAIN_BROWSER, Document, is_for_people, open_people_pages
from tests.fixtures.site import SiteFixture
from tests.fixtures.stub_source import StubSource

if TYPE_CHECKING:
    from collections.abc import Iterable

NAME = parse_project_name("acme")


def page(source: StubSource, target: str = "/acme/") -> Document:
    reply = SiteFixture(source, people=open_people_pages).get(target, *PLAIN_BROWSER)
    assert is_for_people(reply)
    return Document(reply.body.decode())


def described(text: str, content_type: str, *fields: str) -> Document:
    """The page of a release with this description."""
    source = StubSource()
    head = "\n".join(("Metadata-Version: 2.4", f"Description-Content-Type: {content_type}", *fields))
    source.add("acme-1.0-py3-none-any.whl", metadata=f"{head}\n\n{text}\n".encode("utf-8", "surrogatepass"))
    return page(source)


@pytest.mark.parametrize(
    ("texts", "content_type"),
    [
        (MARKDOWN, "text/markdown"),
        (RST, "text/x-rst"),
        (RST[len(HTML) :], ""),
        (HTML, "text/html"),
    ],
)
def test_descriptions(texts: Iterable[str], content_type: str) -> None:
    for text in texts:
        try:
            assert_harmless(described(text, content_type))
        except AssertionError as error:
            raise AssertionError(text) from error


def test_links_of_descriptions_lead_elsewhere_and_nowhere_in_the_index() -> None:
    text = "[x](https://host/) [y](/-/account/) [z](../other/) [m](mailto:a@b.example) [s](?q=1) [f](#files)"
    document = described(text, "text/markdown")
    wide = [
        each for each in document.all("a") if each.attributes.get("rel") == "nofollow noopener noreferrer"
    ]
    assert [each.attributes.get("href") for each in wide] == [
        "https://host/",
        None,
        None,
        "mailto:a@b.example",
        None,
        "#user-content-files",
    ], "the last one's place would be in the description"


def fields_with(text: str) -> Iterable[str]:
    """Every field that a page shows, with this text in it."""
    line = " ".join(text.split())
    for field in ("Summary", "License-Expression", "Author", "Maintainer", "Keywords", "Requires-Python"):
        yield f"{field}: {line}"
    for field in ("Author-email", "Maintainer-email"):
        for form in (line, f"{line} <{line}>", f'"{line}" <a@b.example>', "<javascript:alert(1)@x>"):
            yield f"{field}: {form}"
    for field in ("Classifier", "Provides-Extra", "Home-page", "Download-URL"):
        yield f"{field}: {line}"
    for form in (
        line,
        f"{line}, https://host/{line}",
        "x, javascript:alert(1)//https://host/",
        "x, //evil.example/",
    ):
        yield f"Project-URL: {form}"
    for form in (
        *(line, f"fuel; extra == '{line}'", f"fuel @ https://host/{line}", "fuel @ javascript:alert(1)"),
        f"{line}; python_version < '4'",
    ):
        yield f"Requires-Dist: {form}"


def test_fields_of_metadata() -> None:
    for text in part(HTML, 2, "fields of metadata"):
        assert_harmless(described("text", "text/plain", *fields_with(text)))


def test_what_owners_write() -> None:
    for text in part(HTML, 2, "what owners write"):
        source = StubSource()
        source.add("acme-1.0-py3-none-any.whl", yanked=text)
        source.add("acme-1.0.tar.gz", yanked=text)
        withheld = (
            Withheld(f"acme-2.0{text}.tar.gz", text, text, source=text, visible_from=1e9, public=True),
        )
        source.put(
            replace(
                source.pages[NAME], status=Status.ARCHIVED, status_reason=text, withheld=withheld, denied=text
            )
        )
        document = page(source)
        assert_harmless(document)
        if "alert" in text and text.isprintable():
            assert " ".join(text.split()) in document.text, "it is shown as it is written"


def test_what_upstreams_write() -> None:
    for text in part(HTML, 2, "what upstreams write"):
        file = File(
            f"acme-1.0-{text}-none-any.whl",
            "1.0",
            Kind.WHEEL,
            1,
            "ab" * 32,
            10**18,
            requires_python=text,
            yanked=text,
            url=f"https://files.example/{text}",
            provenance=True,
            source=text,
        )
        source = StubSource()
        source.put(
            Project(
                NAME,
                (file, *(replace(file, filename=f"acme-1.0-cp3{n}-{text}-{text}.whl") for n in range(6))),
            )
        )
        document = page(source)
        assert_harmless(document)


def test_addresses() -> None:
    """Whatever stands in a URL is shown as text, if at all."""
    from urllib.parse import quote

    for text in part(HTML, 2, "addresses"):
        quoted = quote(text.replace("/", ""), safe="")
        for target in (
            *(
                f"/{quoted}/",
                f"/acme/{quoted}/",
                f"/acme/1.0/?q={quoted}",
                f"/-/setup/?view={quoted}",
                f"/-/{quoted}",
            ),
            *(
                f"/-/inside/{quoted}/{quoted}/{quoted}",
                f"/-/diff/acme/{quoted}/{quoted}",
                f"/-/static/{quoted}",
            ),
        ):
            source = StubSource()
            source.add("acme-1.0-py3-none-any.whl")
            reply = SiteFixture(source, people=open_people_pages).get(target, *PLAIN_BROWSER)
            if is_for_people(reply):
                assert_harmless(Document(reply.body.decode()))
            else:
                assert reply.status in (301, 404), target


@given(
    st.text(st.sampled_from("<>\"'&/= \nabscriptonj:()[]!`#*_-|.{}%"), max_size=60),
    st.sampled_from(["text/markdown", "text/plain"]),
)
@settings(max_examples=number_of(30), deadline=None)
def test_any_description(text: str, content_type: str) -> None:
    assert_harmless(described(text, content_type, f"Summary: {' '.join(text.split())}"))


def test_what_cannot_be_decoded_is_shown_with_replacements() -> None:
    source = StubSource()
    source.add(
        "acme-1.0-py3-none-any.whl",
        metadata=b"Metadata-Version: 2.1\nSummary: \xff\xfe<b>\n\n\xff\xed\xa0\x80<script>",
    )
    assert_harmless(page(source))


def test_links_of_metadata_are_web_addresses() -> None:
    urls = [
        "javascript:alert(1)",
        "//evil.example/",
        "data:x,y",
        "https://",
        "ftp://a/",
        f" {EVIL}/ok",
        "http://[::1",
    ]
    data = "\n".join(f"Project-URL: x, {url}" for url in urls)
    assert parse_release_metadata(f"{data}\n\n".encode()).urls == (("x", f"{EVIL}/ok"),)


@pytest.mark.parametrize(
    "text",
    [
        # docutils raises KeyError.
        ".. |a| replace:: |b| x\n\n|a|",
        # And RecursionError.
        "\n\n".join(f"{'  ' * depth}- x" for depth in range(600)),
    ],
    ids=["a replacement that is nowhere", "lists in lists"],
)
def test_what_the_library_cannot_render_is_shown_as_it_is_written(text: str) -> None:
    document = described(text, "text/x-rst")
    assert_harmless(document)
    assert "".join(text.split()) in "".join(document.text.split())


@pytest.mark.parametrize("browser", ["Firefox over TLS", "Firefox over HTTP"])
@pytest.mark.parametrize(
    "target",
    ["/acme/", "/acme/1.0/", "/-/setup/", "/-/docs/", "/-/status", "/-/why/acme", "/nothing/", "/-/nothing"],
)
def test_what_browsers_are_told_of_every_page(target: str, browser: str) -> None:
    """Errors too. Over plain HTTP browsers would complain of a policy about who opened the page."""
    source = StubSource()
    source.add("acme-1.0-py3-none-any.whl")
    headers = SiteFixture(source, people=open_people_pages).get(target, *BROWSERS[browser]).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers.get("cross-origin-opener-policy") == (
        "same-origin" if browser == "Firefox over TLS" else None
    )


@pytest.mark.parametrize("field", ["Author-email", "Maintainer-email"])
@pytest.mark.parametrize(
    "text", ["(" * 1_900, '"' * 1_900, "<@," * 600, "[" * 1_900, "a:b;" * 450, "(x\\" * 600]
)
def test_addresses_that_no_library_can_read_are_shown(field: str, text: str) -> None:
    """The standard library goes down one call for each parenthesis; the page was an error, and the log 300 KB longer."""
    assert_harmless(described("text", "text/plain", f"{field}: {text}"))
