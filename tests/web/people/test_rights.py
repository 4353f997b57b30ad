"""A page shows a reader exactly what that reader may read, by the tables of rights written by hand, in both lanes."""

from __future__ import annotations

import re

import pytest

from tests.fixtures.guarded_site import Lanes, access_named, wheel_of
from tests.fixtures.people_site import (
    BROWSERS,
    PLAIN_BROWSER,
    TOOLS,
    Document,
    is_for_people,
    open_people_pages,
)
from tests.fixtures.rights_matrix import FILES, IDENTITIES, OWNERS, READERS, cases

THERE = ("acme-app", "vault", "tool")
"""The projects that exist; the others of the matrix do not."""

REQUIRING = b"Metadata-Version: 2.1\nRequires-Dist: vault>=1\nRequires-Dist: tool\nRequires-Dist: acme-app\n"
BROWSER = tuple(f"{name}: {value}" for name, value in PLAIN_BROWSER)


def readers(file: str) -> dict[tuple[str, str], bool]:
    """Whether an identity may read a project."""
    return {(case.label, case.project): case.allowed for case in cases(file) if case.action.value == "read"}


def lanes_of(file: str) -> Lanes:
    lanes = Lanes(access_named(file), people=open_people_pages)
    for world in lanes.worlds:
        world.source.add("tool-2.0-py3-none-any.whl", b"the newest", metadata=REQUIRING)
    return lanes


def pages_of(project: str) -> tuple[str, ...]:
    """The pages for people that show something of a project."""
    wheel = wheel_of(project)
    return (
        f"/{project}/",
        f"/{project}/1.0/",
        f"/{project}/0.5/",
        f"/-/inside/{project}/{wheel}",
        f"/-/inside/{project}/{wheel}/{project}/__init__.py",
        f"/-/diff/{project}/0.5/1.0",
    )


@pytest.mark.parametrize(("file", "label"), READERS)
def test_a_page_is_refused_as_the_simple_page_is(file: str, label: str) -> None:
    lanes, allowed = lanes_of(file), readers(file)
    for project in OWNERS:
        simple = lanes.ask("GET", f"/simple/{project}/", label)
        readable = allowed[label, project] and project in THERE
        assert (simple.status == 200) == readable
        for target in pages_of(project):
            for _ in range(2):
                reply = lanes.ask("GET", target, label, *BROWSER)
                assert reply.status == simple.status, target
                assert is_for_people(reply)
                assert "public" not in reply.headers["cache-control"]
                assert (
                    "private" in reply.headers["cache-control"]
                    or "no-store" in reply.headers["cache-control"]
                )
                assert not any(name.startswith("access-control") for name in reply.headers)
                assert ("www-authenticate" in reply.headers) == (reply.status == 401)
                if not readable:
                    assert "etag" not in reply.headers
                    assert "sha256" not in reply.text
                    assert wheel_of(project) not in reply.text
        # A reader who must not see it gets no 304 for it either, whatever the tag.
        kept = lanes.ask("GET", f"/{project}/", label, *BROWSER, "If-None-Match: *")
        assert (kept.status == 304) == readable


@pytest.mark.parametrize(("file", "label"), READERS)
def test_dependencies_are_linked_where_the_reader_finds_them(file: str, label: str) -> None:
    lanes, allowed = lanes_of(file), readers(file)
    if not allowed[label, "tool"]:
        return
    document = Document(lanes.ask("GET", "/tool/", label, *BROWSER).text)
    linked = {
        match[1]
        for each in document.all("a")
        if (match := re.fullmatch(r"\.\./([a-z-]+)/", each.attributes["href"]))
    }
    assert linked - {"tool", "simple"} == {each for each in ("vault", "acme-app") if allowed[label, each]}


@pytest.mark.parametrize(("file", "label"), READERS)
def test_commands_have_a_login_where_strangers_need_one(file: str, label: str) -> None:
    """Of a project and of each of its versions alike."""
    lanes, allowed = lanes_of(file), readers(file)
    for project in THERE:
        if allowed[label, project]:
            for target in (f"/{project}/", f"/{project}/1.0/"):
                page = lanes.ask("GET", target, label, *BROWSER)
                assert ("__token__:TOKEN@" in page.text) == (not allowed["anonymous", project]), target


@pytest.mark.parametrize(("file", "label"), READERS)
def test_a_mistyped_name_leads_to_what_the_reader_may_read(file: str, label: str) -> None:
    """To nothing else: a name that is not on the reader's list is not guessed for the reader."""
    lanes, allowed = lanes_of(file), readers(file)
    for project in THERE:
        for typed in (f"{project}s", f"x{project}", project[:-1]):
            reply = lanes.ask("GET", f"/{typed}/", label, *BROWSER)
            if reply.status == 404:
                meant = [each.attributes["href"] for each in Document(reply.text).all("a")]
                assert (f"../{project}/" in meant) == allowed[label, project]
                assert "Did you mean" not in lanes.ask("GET", f"/{typed}/", label, "Accept: text/html").text


@pytest.mark.parametrize("file", FILES)
def test_nobody_gets_a_page_that_was_kept_for_another(file: str) -> None:
    """In either order; what is shown of the reader is the reader's own too."""
    lanes, allowed = lanes_of(file), readers(file)
    for _ in range(2):
        for label, identity in IDENTITIES.items():
            reply = lanes.ask("GET", "/tool/", label, *BROWSER)
            assert (reply.status == 200) == allowed[label, "tool"]
            others = {other.user for other in IDENTITIES.values()} - {identity.user, None}
            header = reply.text.partition("<main")[0]
            assert not any(str(other) in header for other in others)


@pytest.mark.parametrize("name", ["Firefox over TLS", "Firefox over HTTP"])
def test_wrong_credentials_are_refused_with_a_page(name: str) -> None:
    lanes = lanes_of("rules")
    headers = [f"{key}: {value}" for key, value in BROWSERS[name]]
    for target in ("/tool/", "/vault/", "/-/setup/"):
        reply = lanes.ask("GET", target, "anonymous", *headers, "Authorization: Bearer wrong")
        assert reply.status == 401
        assert is_for_people(reply)
        assert reply.headers["www-authenticate"].startswith("Basic")
        assert "access-control-allow-origin" not in reply.headers
        tool = [f"{key}: {value}" for key, value in TOOLS["pip 26"]]
        plain = lanes.ask("GET", target, "anonymous", *tool, "Authorization: Bearer wrong")
        assert (plain.status, is_for_people(plain)) == (401, False)


def test_a_private_index_tells_strangers_nothing() -> None:
    """Every address has the same page, whether there is something or not."""
    lanes = lanes_of("private")
    shown = {
        re.sub(r'(href|src|action)="[./]*', "", lanes.ask("GET", target, "anonymous", *BROWSER).text)
        for target in ("/-/setup/", "/-/inside/x/y", "/-/nothing", "/a/b/c", "/vault/9.9/", "/vault/1.0/")
    }
    assert len(shown) == 1
    assert "log in to read it" in shown.pop()
