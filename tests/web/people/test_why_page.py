"""Why something is offered or not, as people read it, and as tools do."""

from __future__ import annotations

import pytest

from simpleindex.core.model import Project, Withheld
from simpleindex.core.names import ProjectName
from simpleindex.web.people.filters import with_code
from tests.fixtures.people_site import PLAIN_BROWSER, Document, is_for_people, open_people_pages
from tests.fixtures.site import SiteFixture
from tests.fixtures.stub_source import StubSource

ACME = ProjectName("acme")


@pytest.fixture
def index() -> SiteFixture:
    """A project with a file that is offered, and one that a rule withholds."""
    source = StubSource()
    source.add("acme-1.0.zip")
    withheld = (Withheld("acme-2.0.zip", "It is <b>too new</b>.", "cooldown", "pypi", 86_400.0, public=True),)
    source.put(Project(ACME, source.pages["acme"].files, withheld))
    return SiteFixture(source, people=open_people_pages)


def test_a_person_reads_a_page(index: SiteFixture) -> None:
    reply = index.get("/-/why/Acme", *PLAIN_BROWSER)
    assert is_for_people(reply)
    assert reply.headers["cache-control"] == "no-store"
    document = Document(reply.body.decode())
    assert "Why acme is offered or not" in document.all("h1")[0].text
    for text in (
        "acme-2.0.zip",
        "It is <b>too new</b>.",
        "rule cooldown",
        "acme-1.0.zip",
        "was requested for acme.",
    ):
        assert text in document.text, text


@pytest.mark.parametrize(
    ("headers", "query", "kind"),
    [
        ((("Accept", "application/json"),), "", "application/json"),
        ((), "", "text/plain; charset=utf-8"),
        (PLAIN_BROWSER, "?format=json", "application/json"),
    ],
)
def test_tools_read_what_they_read_before(
    index: SiteFixture, headers: tuple[tuple[str, str], ...], query: str, kind: str
) -> None:
    reply = index.get(f"/-/why/acme{query}", *headers)
    assert reply.status == 200
    assert reply.headers["content-type"] == kind


@pytest.mark.parametrize("target", ["/-/why/", "/-/why/a%20b", "/-/why/acme/1.0%00", "/-/why/acme?view=none"])
def test_what_cannot_be_explained_is_not_here(index: SiteFixture, target: str) -> None:
    assert index.get(target, *PLAIN_BROWSER).status == 404


def test_what_sentences_quote_is_code_and_what_strangers_wrote_is_text() -> None:
    assert (
        with_code("by its `projects` or `<b>`.") == "by its <code>projects</code> or <code>&lt;b&gt;</code>."
    )
    assert with_code("a ` and <code>") == "a ` and &lt;code&gt;"
