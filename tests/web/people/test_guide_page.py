"""The guides as people read them, and as tools do."""

from __future__ import annotations

from tests.fixtures.people_site import PLAIN_BROWSER, Document, is_for_people, open_people_pages
from tests.fixtures.site import SiteFixture


def test_a_guide_in_a_browser() -> None:
    """Its links lead to other guides, and example files, which nobody serves, are named."""
    reply = SiteFixture(people=open_people_pages).get("/-/docs/access", *PLAIN_BROWSER)
    assert is_for_people(reply)
    document = Document(reply.body.decode())
    assert "Access: who may read, upload, yank and delete" in document.text
    assert 'href="downloads.md"' in reply.body.decode()
    assert "The example file (deploy/access.toml in the package)" in document.text
    assert "../deploy" not in reply.body.decode()


def test_the_list_in_a_browser() -> None:
    body = SiteFixture(people=open_people_pages).get("/-/docs/", *PLAIN_BROWSER).body.decode()
    assert "Workers are forked by a process" in Document(body).text
    assert '-/docs/decisions/fork-server"' in body


def test_tools_get_text() -> None:
    index = SiteFixture(people=open_people_pages)
    for target, headers in (("/-/docs/access", ()), ("/-/docs/access?format=text", PLAIN_BROWSER)):
        assert index.get(target, *headers).body.startswith(b"# Access")
    assert index.get("/-/docs/nothing", *PLAIN_BROWSER).status == 404
