"""The status as people read it, and as tools do."""

from __future__ import annotations

from tests.fixtures.people_site import PLAIN_BROWSER, Document, is_for_people, open_people_pages
from tests.fixtures.site import FAR, NEAR, SiteFixture


def test_a_person_on_this_machine_reads_names_and_reasons() -> None:
    reply = SiteFixture(people=open_people_pages).get(
        "/-/status", ("Host", "localhost"), *PLAIN_BROWSER, peer=NEAR
    )
    assert is_for_people(reply)
    document = Document(reply.body.decode())
    for text in ("All is well.", "4.1 kB", "1 file", "acme-2.0.zip", "it is <b>incomplete</b>"):
        assert text in document.text, text


def test_a_person_elsewhere_reads_counts() -> None:
    reply = SiteFixture(people=open_people_pages).get("/-/status", *PLAIN_BROWSER, peer=FAR)
    document = Document(reply.body.decode())
    assert "acme-2.0.zip" not in document.text
    assert "the server's own machine only" in document.text


def test_tools_read_what_they_read_before() -> None:
    index = SiteFixture(people=open_people_pages)
    for target, headers in (("/-/status", ()), ("/-/status?format=json", PLAIN_BROWSER)):
        assert index.get(target, *headers).json["projects"] == 2
    assert index.get("/-/status/x", *PLAIN_BROWSER).status == 404
