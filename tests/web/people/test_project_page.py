"""The page of a project as people get it, over HTTP."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.archives.distribution_reader import DistributionReader
from simpleindex.archives.errors import BrokenArchive
from simpleindex.core.errors import Unavailable
from simpleindex.core.model import Project, Status, Withheld
from simpleindex.core.names import parse_project_name
from simpleindex.web.people.project import project_page
from simpleindex.web.people.project.project_page import ProjectPage
from simpleindex.web.release_metadata import LONGEST_DESCRIPTION
from tests.fixtures.distributions import sdist_bytes
from tests.fixtures.people_site import PLAIN_BROWSER, Document, is_for_people, open_people_pages
from tests.fixtures.site import Reply, SiteFixture
from tests.fixtures.stub_source import StubSource

if TYPE_CHECKING:
    from simpleindex.web.admission import Admission
    from simpleindex.web.people.pages import PeoplePages

METADATA = b"""Metadata-Version: 2.4
Name: Acme-Rockets
Version: 2.0
Summary: Rockets that come back
Author-email: Wile E. <wile@acme.example>
License-Expression: MIT
Project-URL: Source, https://git.example/rockets
Project-URL: Docs, https://docs.example/
Requires-Python: >=3.9
Requires-Dist: fuel>=2; python_version < "4"
Requires-Dist: anvil
Requires-Dist: paint; extra == "looks"
Provides-Extra: looks
Keywords: rockets,traps
Classifier: Topic :: Games
Description-Content-Type: text/markdown

# Rockets

They *come back*.
"""
WHEEL = "acme_rockets-2.0-py3-none-any.whl"


def stocked() -> StubSource:
    """A source with a project of two versions and one of its dependencies."""
    source = StubSource()
    source.add("acme_rockets-1.0.tar.gz", b"old", yanked="explodes")
    source.add(WHEEL, b"new", metadata=METADATA, requires_python=">=3.9")
    source.add("acme_rockets-3.0rc1.tar.gz", b"newer")
    source.add("fuel-2.0.tar.gz", b"fuel")
    return source


def site(source: StubSource | None = None, **options: Any) -> SiteFixture:
    return SiteFixture(source or stocked(), people=open_people_pages, **options)


def page(index: SiteFixture, target: str = "/acme-rockets/", *headers: tuple[str, str]) -> Document:
    """Return a page as a browser gets it."""
    reply = index.get(target, *PLAIN_BROWSER, *headers)
    assert reply.status == 200, reply.body
    assert is_for_people(reply)
    return Document(reply.body.decode())


def links(document: Document) -> dict[str, str]:
    return {each.attributes["href"]: each.text.strip() for each in document.all("a")}


def test_what_a_page_shows() -> None:
    document = page(site())
    assert document.all("h1")[0].text == "Acme-Rockets 2.0", "the name as its author writes it"
    for text in (
        *("Rockets that come back", "MIT", "Wile E.", "Games", "They come back.", ">=3.9"),
        *("3 versions", "explodes", "pre-release", "for [looks]", "any platform"),
    ):
        assert text in document.text, text
    found = links(document)
    assert found["https://git.example/rockets"] == "Source"
    assert found["mailto:wile@acme.example"] == "wile@acme.example"
    assert found["../fuel/"] == 'fuel>=2; python_version < "4"'
    assert "../anvil/" not in found, "a dependency that is not here has no link"
    assert found["../?q=%22Topic%20%3A%3A%20Games%22"] == "Games", "who has this classifier too"
    assert found["../acme-rockets/feed.xml"] == "Feed of releases"
    ids = {each.attributes["id"] for each in document.elements if "id" in each.attributes}
    assert not {url[1:] for url in found if url.startswith("#")} - ids
    assert "../acme-rockets/1.0/" in found
    assert f"../acme-rockets/{WHEEL}" in found
    commands = [each.text for each in document.all("code")]
    assert "pip install --index-url https://index.example/simple/ acme-rockets==2.0" in commands


def test_requirements_that_lie_behind_the_index_are_expected_there() -> None:
    source = stocked()
    metadata = METADATA.replace(
        b"Requires-Dist: anvil", b"Requires-Dist: anvil\nRequires-Dist: Own_Tool>1\nRequires-Dist: ???"
    )
    source.add(WHEEL, b"newer", metadata=metadata)
    index = site(StubSource(), views={"behind": source, "alone": source})
    document = page(index, "/behind/acme-rockets/")
    found = links(document)
    assert found["../../behind/anvil/"] == "anvil"
    assert "../../behind/own-tool/" not in found
    assert found["../../-/why/own-tool?view=behind"] == "not here"
    assert document.text.count("not here") == 1, "of what cannot be parsed nothing is said"
    assert "not here" not in page(index, "/alone/acme-rockets/").text


def test_a_version() -> None:
    index = site()
    document = page(index, "/acme-rockets/1.0/")
    assert "acme-rockets 1.0" in document.all("h1")[0].text
    assert "This version is yanked: explodes" in document.text
    assert "acme-rockets==1.0" in document.text
    found = links(document)
    assert "../../acme-rockets/acme_rockets-1.0.tar.gz" in found
    assert "the latest version is 2.0" in document.text
    assert "the latest version" not in page(index).text
    current = [each for each in document.all("a") if "aria-current" in each.attributes]
    assert {each.text for each in current} == {"1.0"}, "in the chooser and in the table"


def test_files_of_an_upstream_are_cached_or_not_yet() -> None:
    source = stocked()
    files = [replace(file, source="pypi") for file in source.pages["acme-rockets"].files]
    source.put(replace(source.pages["acme-rockets"], files=files))
    assert "pypi, cached" in page(site(source)).text
    assert "pypi, not cached yet" in page(site(source), "/acme-rockets/1.0/").text


@pytest.mark.parametrize("spelling", ["1.0", "v1.0", "1", "1.0.0", "%31.0"])
def test_a_version_in_any_spelling_is_found(spelling: str) -> None:
    assert "acme-rockets 1.0" in page(site(), f"/acme-rockets/{spelling}/").all("h1")[0].text


def test_a_version_without_its_slash_is_redirected_for_people_alone() -> None:
    index = site(views={"stable": stocked()})
    for target, location in (
        ("/acme-rockets/2.0", "./2.0/"),
        ("/stable/acme-rockets/v1", "./v1/"),
        ("/acme-rockets/1%212.0%2Blocal.1", "./1%212.0%2Blocal.1/"),
    ):
        reply = index.get(target, *PLAIN_BROWSER)
        assert (reply.status, reply.headers["location"]) == (302, location)
        assert reply.headers["cache-control"] == "no-store"
        assert index.get(target).status == 404, "to tools it is a file that is not here"
    for target in (f"/acme-rockets/{WHEEL}", "/acme-rockets/version", "/acme-rockets/2.0.zip"):
        assert index.get(target, *PLAIN_BROWSER).status in (200, 404)


def test_versions_that_are_offered_are_not_folded_away_by_those_that_are_not() -> None:
    source = StubSource()
    source.add("acme_rockets-0.1.tar.gz", b"old")
    name = parse_project_name("acme-rockets")
    withheld = tuple(
        item for number in range(70) for item in withheld_release(f"{number + 1}.5", "py3-none-any")
    )
    source.put(replace(source.pages[name], withheld=withheld))
    document = page(site(source))
    assert "older version" not in document.text
    assert document.all("tr")[-1].text.startswith("0.1")


def test_old_versions_are_folded_away() -> None:
    source = StubSource()
    for number in range(60):
        source.add(f"many-{number}.0.tar.gz", b"%d" % number)
    document = page(site(source), "/many/")
    assert [each.text for each in document.all("summary")] == ["60 versions", "10 older versions"]
    (rows,) = [each.text for each in document.all("details") if "older versions" in each.text]
    assert rows.count("compare") == 10
    assert len(document.all("table")) == 3
    assert "older versions" not in page(site()).text


@pytest.mark.parametrize("version", ["9.9", "nonsense", "1.0%00", "<script>", "..%2f", "%ff"])
def test_what_is_no_version_of_it_is_not_here(version: str) -> None:
    reply = site().get(f"/acme-rockets/{version}/", *PLAIN_BROWSER)
    assert reply.status == 404
    assert is_for_people(reply)
    assert b"<script>" not in reply.body


def test_versions_that_have_to_be_quoted() -> None:
    source = StubSource()
    source.add("odd-1!2.0+local.1-py3-none-any.whl", b"odd")
    found = links(page(site(source), "/odd/"))
    target = "/odd/1%212.0%2Blocal.1/"
    assert f"..{target}" in found
    assert "../odd/odd-1%212.0%2Blocal.1-py3-none-any.whl" in found
    assert "odd 1!2.0+local.1" in page(site(source), target).all("h1")[0].text
    assert site(source).get("/odd/odd-1%212.0%2Blocal.1-py3-none-any.whl").body == b"odd"


def test_a_name_that_is_not_normalized_is_redirected() -> None:
    reply = site().get("/Acme_Rockets/", *PLAIN_BROWSER)
    assert (reply.status, reply.headers["location"]) == (301, "../acme-rockets/")


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (Status.ARCHIVED, "This project is archived: nobody works on it."),
        (Status.DEPRECATED, "This project is deprecated: nobody works on it."),
        (Status.QUARANTINED, "This project is quarantined: nobody works on it."),
    ],
)
def test_a_status_is_shown_with_its_reason(status: Status, text: str) -> None:
    source = stocked()
    name = parse_project_name("acme-rockets")
    files = () if status is Status.QUARANTINED else source.pages[name].files
    source.put(replace(source.pages[name], files=files, status=status, status_reason="nobody works on it"))
    document = page(site(source))
    assert text in document.text
    assert ("pip install" in document.text) == (status is not Status.QUARANTINED)


def test_what_is_not_offered_is_shown_where_everybody_may_know_why() -> None:
    source = stocked()
    name = parse_project_name("acme-rockets")
    withheld = (
        Withheld("acme_rockets-4.0.tar.gz", "it is too new", "age", visible_from=1e9, public=True),
        Withheld("acme_rockets-5.0.tar.gz", "it has a virus", "archive"),
    )
    source.put(replace(source.pages[name], withheld=withheld))
    document = page(site(source))
    assert "it is too new" in document.text
    assert "2001-09-09" in document.text
    assert "../-/why/acme-rockets" in links(document)
    assert "virus" not in document.text
    assert "5.0" not in document.text


def withheld_release(version: str, *tags: str, **facts: Any) -> tuple[Withheld, ...]:
    names = [f"acme_rockets-{version}-{tag}.whl" for tag in tags]
    return tuple(
        Withheld(name, f"{name} is not offered: it is old.", "r", public=True, **facts) for name in names
    )


def test_a_version_that_is_not_offered_is_one_row_in_its_place() -> None:
    source = stocked()
    name = parse_project_name("acme-rockets")
    withheld = (
        *withheld_release("2.5", "py3-none-any", "cp311-abi3-win32"),
        *withheld_release("2.0", "cp311-abi3-win32"),
        *withheld_release("0.5", "py3-none-any", visible_from=1e9),
        Withheld("odd one.txt", "odd one.txt: nothing can be made of it.", "format", public=True),
    )
    source.put(replace(source.pages[name], withheld=withheld))
    index = site(source)
    document = page(index)
    rows = [each.text for each in document.all("tr")]
    first = next(number for number, row in enumerate(rows) if row.startswith("3.0rc1"))
    assert rows[first + 1] == "2.5 2 not offered acme-rockets 2.5 is not offered: it is old. why".replace(
        "2.5 2 not", "2.52 not"
    )
    assert "1 file not offered acme_rockets-2.0-cp311-abi3-win32.whl is not offered" in rows[first + 2]
    assert rows[first + 4].startswith("0.5offered 2001-09-09")
    assert not any("odd one" in row for row in rows)
    (folded,) = [each.text for each in document.all("details") if "of no version: 1 file" in each.text]
    assert "odd one.txt: nothing can be made of it." in folded
    found = links(document)
    assert "../-/why/acme-rockets/2.5" in found
    assert "../acme-rockets/2.5/" in found, "the chooser leads to it"
    assert "2.5not offered" in document.text.replace("2.5 not", "2.5not")
    note = "acme-rockets 2.5 is not offered: it is old. Why?"
    assert note in document.text, "above the newest that is offered, it is what people look for"
    assert note not in page(index, "/acme-rockets/1.0/").text


def test_all_versions_that_are_not_offered() -> None:
    source = StubSource()
    name = parse_project_name("acme-rockets")
    source.put(Project(name, withheld=withheld_release("2.5", "py3-none-any")))
    document = page(site(source))
    assert "None of its versions is offered." in document.text
    assert "../-/why/acme-rockets/2.5" in links(document)
    assert "compare" not in document.text


def test_a_version_that_is_not_here_leads_to_those_that_are() -> None:
    source = stocked()
    name = parse_project_name("acme-rockets")
    withheld = (
        *withheld_release("2.5", "py3-none-any"),
        Withheld("acme_rockets-5.0.tar.gz", "it has a virus", "archive"),
    )
    source.put(replace(source.pages[name], withheld=withheld))
    index = site(source)
    for version, text in (
        ("2.5.0", "acme-rockets 2.5 is not offered: it is old."),
        ("9.9", "There is no version 9.9 of acme-rockets here."),
        ("5.0", "There is no version 5.0 of acme-rockets here."),
    ):
        reply = index.get(f"/acme-rockets/{version}/", *PLAIN_BROWSER)
        assert reply.status == 404
        assert reply.headers["cache-control"] == "no-store"
        document = Document(reply.body.decode())
        assert text in document.text
        assert "../../acme-rockets/2.0/" in links(document)
        assert "virus" not in document.text
        assert "pip install" not in document.text
    assert index.get("/nowhere/1.0/", *PLAIN_BROWSER).status == 404


LICENSED = b"""Metadata-Version: %s
Name: old
License-File: LICENSE
License-File: vendored/a b.txt
License: %s

"""


def test_the_files_of_a_licence_are_linked_where_they_are_known_to_be() -> None:
    source = StubSource()
    source.add("old-1.0-py3-none-any.whl", b"1", metadata=LICENSED % (b"2.4", b"MIT"))
    source.add("older-1.0-py3-none-any.whl", b"2", metadata=LICENSED % (b"2.1", b"MIT"))
    found = links(page(site(source), "/old/"))
    place = "../-/inside/old/old-1.0-py3-none-any.whl/old-1.0.dist-info/licenses"
    assert found[f"{place}/LICENSE"] == "LICENSE"
    assert found[f"{place}/vendored/a%20b.txt"] == "vendored/a b.txt"
    document = page(site(source), "/older/")
    inside = "../-/inside/older/older-1.0-py3-none-any.whl"
    assert [each.text for each in document.all("a") if each.attributes["href"] == inside] == [
        *("look inside", "LICENSE", "vendored/a b.txt")
    ]
    source.add(
        "old-2.0-py3-none-any.whl",
        b"3",
        metadata=LICENSED.replace(b"LICENSE", b"../../evil") % (b"2.4", b"MIT"),
    )
    document = page(site(source), "/old/")
    assert "../../evil" in document.text
    assert not [url for url in links(document) if "evil" in url], "a browser would go up with it"
    document = page(site(source), "/older/")
    assert document.all("h1")[0].text == "older 1.0", "another project's name is not shown as this one's"


def test_the_text_of_a_licence_is_not_its_name() -> None:
    text = b"Copyright (c) 2005\n        All rights reserved.\n" + b"        Redistribution and use\n" * 9
    source = StubSource()
    source.add("old-1.0-py3-none-any.whl", metadata=LICENSED % (b"2.1", text))
    document = page(site(source), "/old/")
    assert "Licence Copyright (c) 2005 All rights reserved." in document.text
    assert any(each.text == "Its text" for each in document.all("summary"))


def test_dependencies_that_are_known_after_the_build_alone() -> None:
    metadata = b"Metadata-Version: 2.2\nName: late\nVersion: 1.0\nDynamic: Requires-Dist\n\n"
    source = StubSource()
    source.add("late-1.0-py3-none-any.whl", metadata=metadata)
    assert "known when it is built" not in page(site(source), "/late/").text
    source.add("late-2.0.tar.gz", sdist_bytes("late", "2.0", "Dynamic: Requires-Dist"))
    assert "known when it is built" in page(site(source), "/late/").text


def test_a_description_that_is_cut_says_so() -> None:
    start = b"Metadata-Version: 2.1\nDescription-Content-Type: text/plain\n\n"
    source = StubSource()
    source.add("long-1.0-py3-none-any.whl", b"1", metadata=start + b"x" * (LONGEST_DESCRIPTION - 9) + b"\n")
    source.add("longer-1.0-py3-none-any.whl", b"2", metadata=start + b"x" * LONGEST_DESCRIPTION + b"y\n")
    assert "longer than what is shown" not in page(site(source), "/long/").text
    assert "longer than what is shown" in page(site(source), "/longer/").text


def test_a_denied_or_stale_project_says_so() -> None:
    source = stocked()
    name = parse_project_name("acme-rockets")
    source.put(replace(source.pages[name], stale=True))
    assert "cannot be reached now" in page(site(source)).text
    source.put(Project(name, denied="Nothing of that name is taken from elsewhere."))
    document = page(site(source))
    assert "Nothing of that name is taken from elsewhere." in document.text
    assert "There are no files." in document.text


def test_a_release_without_metadata_has_a_page() -> None:
    document = page(site(), "/fuel/")
    assert "The metadata of this version cannot be read here" in document.text
    assert "has no description" not in document.text, "nobody knows that"
    assert "fuel==2.0" in document.text


@pytest.mark.parametrize("top", ["long_name-1.0", "long-name-1.0"])
def test_long_metadata_of_an_sdist_are_read(top: str) -> None:
    """Of those projects that only have sdists some have all changes of 20 years in their description."""
    metadata = (
        b"Metadata-Version: 2.1\nName: long-name\nVersion: 1.0\nSummary: Only an sdist\n\n"
        + (b"change " * 600 + b"\n\n") * 100
    )
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        member = tarfile.TarInfo(f"{top}/PKG-INFO")
        member.size = len(metadata)
        archive.addfile(member, io.BytesIO(metadata))
    source = StubSource()
    source.add("long_name-1.0.tar.gz", made.getvalue())
    document = page(site(source), "/long-name/")
    assert "Only an sdist" in document.text
    assert "change" in document.text


def test_of_endless_metadata_the_beginning_is_read() -> None:
    metadata = METADATA + b"A line of it. " * 400_000
    source = StubSource()
    source.add(WHEEL, b"new", metadata=metadata)
    document = page(site(source))
    assert "Rockets that come back" in document.text
    assert "fuel>=2" in document.text
    assert "longer than what is shown" in document.text


def test_many_files_of_a_release_are_folded_away() -> None:
    source = StubSource()
    for minor in range(60):
        source.add(f"many-1.0-cp3{minor}-abi3-any.whl", b"%d" % minor)
    document = page(site(source), "/many/")
    (folded,) = [each for each in document.all("details") if "further file" in each.text]
    assert "10 further files" in folded.text
    assert folded.text.count("look inside") == 10
    assert document.text.count("look inside") == 60
    assert "further file" not in page(site()).text


def test_a_page_that_a_browser_has_is_not_sent_again() -> None:
    index = site()
    first = index.get("/acme-rockets/", *PLAIN_BROWSER)
    assert first.headers["cache-control"] == "private, no-cache"
    tag = ("If-None-Match", first.headers["etag"])
    kept = index.get("/acme-rockets/", *PLAIN_BROWSER, tag)
    assert (kept.status, kept.body) == (304, b"")
    assert kept.headers["etag"] == first.headers["etag"]
    assert kept.headers["vary"] == first.headers["vary"]
    assert site().get("/acme-rockets/", *PLAIN_BROWSER, tag).status == 304, "a restart keeps the tag"
    index.source = stocked()
    other = index.get("/acme-rockets/1.0/", *PLAIN_BROWSER, tag)
    assert other.status == 200


def test_a_page_follows_its_project() -> None:
    source = stocked()
    index = site(source)
    first = index.get("/acme-rockets/", *PLAIN_BROWSER)
    source.add("acme_rockets-2.1.tar.gz", b"newest")
    again = index.get("/acme-rockets/", *PLAIN_BROWSER, ("If-None-Match", first.headers["etag"]))
    assert again.status == 200
    assert "acme-rockets 2.1" in Document(again.body.decode()).all("h1")[0].text


def test_a_page_is_rendered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    index = site()
    page(index)
    monkeypatch.setattr("jinja2.Template.render", lambda *_: pytest.fail("rendered again"))
    page(index)


@pytest.mark.parametrize("stated", ["metadata", "file"])
def test_a_stated_digest_shows_nothing_of_another_project(stated: str) -> None:
    """An upstream may state any digest, also that of metadata that only readers of another project may see."""
    source = StubSource()
    inside = METADATA.replace(b"Acme-Rockets", b"Private").replace(b"come back", b"are secret")
    if stated == "metadata":
        source.add("private-2.0-py3-none-any.whl", b"whl", metadata=inside)
        source.add("evil-2.0-py3-none-any.whl", b"other", metadata=METADATA)
    else:
        source.add("private-2.0.tar.gz", sdist_bytes("private", "2.0", "Summary: They are secret."))
        source.add("evil-2.0.tar.gz", sdist_bytes("evil", "2.0", "Summary: They come back."))
    (private,), (evil,) = (source.pages[name].files for name in ("private", "evil"))
    source.put(
        replace(
            source.pages["evil"], files=(replace(evil, sha256=private.sha256, metadata=private.metadata),)
        )
    )
    index = site(source)
    for _ in range(2):
        assert "They are secret." in page(index, "/private/").text
        assert "They come back." in page(index, "/evil/").text


def test_the_latest_of_many_versions_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    source = stocked()
    index = site(source)
    page(index)
    page(index, "/acme-rockets/1.0/")
    with monkeypatch.context() as patched:
        for name in ("latest_release", "find_version"):
            patched.setattr(
                f"simpleindex.web.people.project.project_page.{name}", lambda *_: pytest.fail("again")
            )
        page(index)
        page(index, "/acme-rockets/1.0/")
    source.add("acme_rockets-2.5.tar.gz", b"newer")
    assert "acme-rockets 2.5" in page(index).all("h1")[0].text


def test_content_is_compressed_as_a_browser_can_read_it() -> None:
    index = site()
    plain = index.get("/acme-rockets/", *PLAIN_BROWSER)
    headers = [each for each in PLAIN_BROWSER if each[0] != "Accept-Encoding"]
    packed = index.get("/acme-rockets/", *headers, ("Accept-Encoding", "gzip"))
    assert packed.headers["content-encoding"] == "gzip"
    assert len(packed.body) < len(plain.body) / 2
    assert packed.headers["etag"] != plain.headers["etag"]


def test_links_hold_below_a_prefix_and_in_a_view() -> None:
    source = stocked()
    index = site(StubSource(), views={"stable": source})
    document = page(index, "/stable/acme-rockets/")
    found = links(document)
    assert "../../stable/fuel/" in found
    assert "../../-/why/acme-rockets?view=stable" in found
    assert "https://index.example/stable/simple/" in document.text
    assert index.get("/acme-rockets/", *PLAIN_BROWSER).status == 404, (
        "the view at the root has its own projects"
    )
    assert "/stable/simple/" in page(index, "/-/setup/?view=stable").text
    assert index.get("/-/setup/?view=nowhere", *PLAIN_BROWSER).status == 404


def test_nothing_of_a_page_comes_from_elsewhere() -> None:
    reply = site().get("/acme-rockets/", *PLAIN_BROWSER)
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert reply.headers["referrer-policy"] == "same-origin"
    assert reply.headers["x-content-type-options"] == "nosniff"
    document = Document(reply.body.decode())
    assert not document.all("style")
    assert all(each.attributes.get("src") and not each.text.strip() for each in document.all("script"))


def test_static_files() -> None:
    index = site()
    document = page(index)
    urls = [
        each.attributes["href"] for each in document.all("link") if each.attributes["rel"] == "stylesheet"
    ]
    urls += [each.attributes["src"] for each in document.all("script")]
    assert len(urls) >= 2
    for url in urls:
        reply = index.get(url.removeprefix(".."))
        assert reply.status == 200
        assert reply.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert reply.headers["x-content-type-options"] == "nosniff"
        unnamed = index.get(url.removeprefix("..").partition("?")[0])
        assert unnamed.headers["cache-control"] == "no-cache"
        packed = index.get(url.removeprefix(".."), ("Accept-Encoding", "gzip"))
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.headers["vary"] == "Accept-Encoding"
        kept = index.get(url.removeprefix(".."), ("If-None-Match", reply.headers["etag"]))
        assert kept.status == 304
        head = index.head(url.removeprefix(".."))
        assert head.headers["content-length"] == str(len(reply.body))
    for name in ("nothing.css", "../pages.py", "..%2fpages.py", "", "style.css/"):
        assert index.get(f"/-/static/{name}").status == 404


def refusal(reply: Reply) -> str:
    assert is_for_people(reply)
    assert reply.headers["cache-control"] in ("no-store", "private, no-store")
    return Document(reply.body.decode()).text


def test_a_file_that_is_not_here_leads_to_those_that_are() -> None:
    """At both addresses of a file; a project that is not here leads nowhere."""
    index = site()
    for target, way in (("/acme-rockets/none.whl", "../"), ("/simple/acme-rockets/none.whl", "../../")):
        reply = index.get(target, *PLAIN_BROWSER)
        assert (reply.status, "There is no file none.whl here." in refusal(reply)) == (404, True)
        assert f"{way}acme-rockets/#files" in links(Document(reply.body.decode()))
    reply = index.get("/nothing/", *PLAIN_BROWSER)
    assert not [way for way in links(Document(reply.body.decode())) if way.endswith("#files")]


def test_refusals_are_pages() -> None:
    index = site()
    reply = index.get("/nothing/", *PLAIN_BROWSER)
    assert reply.status == 404
    assert "Not found" in refusal(reply)
    document = Document(reply.body.decode())
    assert "../-/why/nothing" in links(document)
    for target in (
        "/-/nothing",
        "/../etc/passwd",
        "/acme-rockets/no-1.0.tar.gz",
        "/nothing/1.0/",
        "/a/b/c/d",
    ):
        reply = index.get(target, *PLAIN_BROWSER)
        assert reply.status == 404, target
        refusal(reply)


def test_a_refusal_shows_what_was_requested_as_text() -> None:
    reply = site().get("/x%22%3E%3Cscript%3Ealert(1)%3C/script%3E/", *PLAIN_BROWSER)
    assert not any("alert" in each.text for each in Document(reply.body.decode()).all("script"))


def test_an_unavailable_source_has_a_page() -> None:
    from simpleindex.core.errors import Unavailable

    source = stocked()
    source.error = Unavailable("The index is being read.")
    reply = site(source).get("/acme-rockets/", *PLAIN_BROWSER)
    assert reply.status == 503
    assert "The index is being read." in refusal(reply)


def test_other_sites_pages_do_not_read_people_pages() -> None:
    """Not even with ``--cors``: they are for the reader alone."""
    reply = site(cors="*").get("/acme-rockets/", *PLAIN_BROWSER, ("Origin", "https://elsewhere.example"))
    assert is_for_people(reply)
    assert "access-control-allow-origin" not in reply.headers


def test_the_setup_page() -> None:
    document = page(site(), "/-/setup/")
    headings = [each.text.strip() for each in document.all("h2")]
    for tool in (
        "pip",
        "uv",
        "poetry",
        "pdm",
        "pipenv",
        "hatch",
        "Docker",
        "GitHub Actions",
        "GitLab CI",
        "conda",
    ):
        assert tool in headings
    assert document.text.count("https://index.example/simple/") > 10
    anchors = {
        each.attributes["href"][1:] for each in document.all("a") if each.attributes["href"].startswith("#")
    }
    assert anchors <= {each.attributes["id"] for each in document.elements if "id" in each.attributes}


def test_a_licence_of_old_metadata_is_shown() -> None:
    source = StubSource()
    metadata = (
        b"Metadata-Version: 2.1\nClassifier: License :: OSI Approved :: BSD License\nClassifier: Odd\n\n"
    )
    source.add("old-1.0-py3-none-any.whl", metadata=metadata)
    document = page(site(source), "/old/")
    assert "Licence BSD License" in document.all("aside")[0].text
    assert "Odd" in document.text


@pytest.mark.parametrize(
    ("error", "is_kept"),
    [(BrokenArchive("it takes too long"), True), (Unavailable("Try again later."), False)],
)
def test_a_description_that_cannot_be_rendered_is_shown_as_it_is_written(
    monkeypatch: pytest.MonkeyPatch, error: Exception, is_kept: bool
) -> None:
    """Where it is not to be rendered for now alone, the next reader has it rendered."""
    calls: list[str] = []

    async def refuse(_: object, text: str, __: object) -> None:
        calls.append(text)
        raise error

    monkeypatch.setattr(DistributionReader, "description", refuse)
    index = site()
    assert "# Rockets" in page(index).text
    page(index, "/acme-rockets/2.0/", ("Accept-Encoding", "identity"))
    assert len(calls) == (1 if is_kept else 2)


def test_a_query_of_too_many_parameters_is_none() -> None:
    index = site()
    assert page(index, "/acme-rockets/?" + "&".join(f"a{n}=1" for n in range(40))).text == page(index).text


def test_descriptions_are_kept_by_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 500 hostile ones, with four million characters each, two gigabytes would be kept."""
    monkeypatch.setattr(project_page, "_KEPT", 500_000)
    source = StubSource()
    head = b"Metadata-Version: 2.1\nDescription-Content-Type: text/plain\n\n"
    for number in range(10):
        source.add(f"acme-{number}.0-py3-none-any.whl", metadata=head + b"%d<" % number * 40_000)
    opened: list[PeoplePages] = []

    def open_pages(index: SiteFixture, admission: Admission) -> PeoplePages:
        opened.append(open_people_pages(index, admission))
        return opened[0]

    index = SiteFixture(source, people=open_pages)
    for number in range(10):
        assert index.get(f"/acme/{number}.0/", *PLAIN_BROWSER).status == 200
    page = opened[0].project
    assert isinstance(page, ProjectPage)
    assert 1 <= len(page._descriptions) <= 3
